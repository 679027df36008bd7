//! Medians, ratios and floors.

use anyhow::Result;
use serde_json::{Value, json};

/// What a ratio must be.
#[derive(Clone, Copy)]
pub enum Floor {
    AtMost(f64),
    AtLeast(f64),
}

/// Ours beside theirs.
pub struct Comparison {
    what: &'static str,
    unit: &'static str,
    ours: f64,
    /// Theirs, and the ratio; `None` where the floor is a figure and no ratio.
    theirs: Option<(f64, f64)>,
    floor: Floor,
}

/// Measures both in turns, and takes the medians of the figures, and of the ratios of
/// each turn: what else the machine does meets both.
pub fn compare(
    what: &'static str,
    unit: &'static str,
    floor: Floor,
    rounds: usize,
    ours: &mut dyn FnMut() -> Result<f64>,
    theirs: &mut dyn FnMut() -> Result<f64>,
) -> Result<Comparison> {
    // Once without counting: caches fill, pages are touched.
    ours()?;
    theirs()?;
    let mut figures = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        figures.0.push(ours()?);
        figures.1.push(theirs()?);
    }
    let turns = figures.0.iter().zip(&figures.1);
    let ratio = median(turns.map(|(ours, theirs)| ours / theirs).collect());
    Ok(Comparison {
        what,
        unit,
        ours: median(figures.0),
        theirs: Some((median(figures.1), ratio)),
        floor,
    })
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

impl Comparison {
    /// A figure that is to be at most `most`.
    pub fn fixed(what: &'static str, unit: &'static str, ours: f64, most: f64) -> Self {
        Self {
            what,
            unit,
            ours,
            theirs: None,
            floor: Floor::AtMost(most),
        }
    }

    /// Ours to theirs; or ours alone.
    fn ratio(&self) -> f64 {
        self.theirs.map_or(self.ours, |(_, ratio)| ratio)
    }

    pub fn passes(&self) -> bool {
        match self.floor {
            Floor::AtMost(most) => self.ratio() <= most,
            Floor::AtLeast(least) => self.ratio() >= least,
        }
    }

    fn floor(&self) -> String {
        match self.floor {
            Floor::AtMost(most) => format!("<= {most}"),
            Floor::AtLeast(least) => format!(">= {least}"),
        }
    }

    pub fn json(&self) -> Value {
        json!({
            "what": self.what,
            "unit": self.unit,
            "ours": self.ours,
            "theirs": self.theirs.map(|(theirs, _)| theirs),
            "ratio": self.theirs.map(|(_, ratio)| ratio),
            "floor": self.floor(),
            "passes": self.passes(),
        })
    }
}

/// The comparisons, to read.
pub fn table(rows: &[Comparison]) -> String {
    let mut text = format!(
        "{:<68} {:>10} {:>10} {:>5} {:>7} {:>7}\n",
        "ours; theirs", "ours", "theirs", "unit", "ratio", "floor"
    );
    for row in rows {
        let (theirs, ratio) = match row.theirs {
            Some((theirs, ratio)) => (format!("{theirs:.2}"), format!("{ratio:.3}")),
            None => ("-".into(), "-".into()),
        };
        text += &format!(
            "{:<68} {:>10.2} {theirs:>10} {:>5} {ratio:>7} {:>7}{}\n",
            row.what,
            row.ours,
            row.unit,
            row.floor(),
            if row.passes() { "" } else { "  MISSED" },
        );
    }
    text
}

/// How many page faults this process has had.
pub fn faults() -> usize {
    // SAFETY: zero is a valid `rusage`, and the call fills it in.
    let usage = unsafe {
        let mut usage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    (usage.ru_minflt + usage.ru_majflt) as usize
}
