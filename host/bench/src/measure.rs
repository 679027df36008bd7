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
    let row = compare_all(unit, rounds, vec![(what, floor, Box::new(ours))], theirs)?;
    Ok(row.into_iter().next().expect("one for each"))
}

/// One of several that are measured beside the same: what it is, its floor, a turn.
pub type Turn<'a> = (&'static str, Floor, Box<dyn FnMut() -> Result<f64> + 'a>);

/// The same of several, each beside the same other one.
pub fn compare_all(
    unit: &'static str,
    rounds: usize,
    mut ours: Vec<Turn<'_>>,
    theirs: &mut dyn FnMut() -> Result<f64>,
) -> Result<Vec<Comparison>> {
    // Once without counting: caches fill, pages are touched.
    for (_, _, ours) in &mut ours {
        ours()?;
    }
    theirs()?;
    let mut figures = vec![Vec::new(); ours.len()];
    let mut other = Vec::new();
    for _ in 0..rounds {
        for ((_, _, ours), figures) in ours.iter_mut().zip(&mut figures) {
            figures.push(ours()?);
        }
        other.push(theirs()?);
    }
    let theirs = median(other.clone());
    let rows = ours.into_iter().zip(figures);
    let rows = rows.map(|((what, floor, _), figures)| {
        let turns = figures.iter().zip(&other);
        let ratio = median(turns.map(|(ours, theirs)| ours / theirs).collect());
        Comparison {
            what,
            unit,
            ours: median(figures),
            theirs: Some((theirs, ratio)),
            floor,
        }
    });
    Ok(rows.collect())
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
