//! Figures of a benchmark as a picture: groups of bars, rivals side by side.

use std::fmt::Write as _;
use std::process::Command;

/// A figure of one rival.
pub struct Bar {
    /// Who.
    pub name: String,
    /// How much: not negative.
    pub value: f64,
    /// The figure as it is written beside the bar, with its unit.
    pub shown: String,
}

/// Bars that are compared with each other.
pub struct Group {
    /// What was measured, and what is better.
    pub title: String,
    /// Ours first.
    pub bars: Vec<Bar>,
}

/// What stands above the bars and below them.
pub struct Surroundings {
    /// What was compared.
    pub title: String,
    /// Versions of what was measured.
    pub versions: String,
}

/// Pixels.
const WIDTH: usize = 860;
const NAMES: usize = 150;
const LONGEST: f64 = 540.0;
const BAR: usize = 18;

/// Bars as long as their values, the longest of a group over the whole width.
/// Ours are coloured, the others grey; in light and in dark.
pub fn svg(surroundings: &Surroundings, groups: &[Group]) -> String {
    let bars: usize = groups.iter().map(|group| group.bars.len()).sum();
    let height = 118 + groups.len() * 42 + bars * (BAR + 4);
    let title = escape(&surroundings.title);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-labelledby=\"title\">\n\
         <title id=\"title\">{title}</title>\n<style>{STYLE}</style>\n\
         <rect class=\"b\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
         <text class=\"t\" x=\"20\" y=\"36\">{title}</text>\n",
    );
    let mut y = 58;
    for group in groups {
        y += 26;
        let _ = writeln!(
            svg,
            "<text class=\"h\" x=\"20\" y=\"{y}\">{}</text>",
            escape(&group.title)
        );
        y += 9;
        let most = group.bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
        for (place, bar) in group.bars.iter().enumerate() {
            let length = if most > 0.0 {
                bar.value / most * LONGEST
            } else {
                0.0
            };
            let class = if place == 0 { "o" } else { "r" };
            let middle = y + 13;
            let _ = writeln!(
                svg,
                "<text class=\"n\" x=\"{NAMES}\" y=\"{middle}\">{}</text>\
                 <rect class=\"{class}\" x=\"{}\" y=\"{y}\" width=\"{:.1}\" height=\"{BAR}\" rx=\"2\"/>\
                 <text x=\"{:.1}\" y=\"{middle}\">{}</text>",
                escape(&bar.name),
                NAMES + 8,
                length.max(1.0),
                NAMES as f64 + 14.0 + length.max(1.0),
                escape(&bar.shown),
            );
            y += BAR + 4;
        }
        y += 7;
    }
    let [machine, versions] = [machine(), surroundings.versions.clone()].map(|it| escape(&it));
    let _ = write!(
        svg,
        "<text class=\"s\" x=\"20\" y=\"{}\">{machine}</text>\n\
         <text class=\"s\" x=\"20\" y=\"{}\">{versions}</text>\n</svg>\n",
        y + 28,
        y + 46,
    );
    svg
}

const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#17181c}.b{fill:#fff}.t{font-size:19px;font-weight:600}\
.h{font-weight:600}.n{text-anchor:end}.s{font-size:12px;fill:#565b66}.o{fill:#0b57d0}.r{fill:#9aa2b1}\
@media(prefers-color-scheme:dark){text{fill:#eceef2}.b{fill:#0d1117}.s{fill:#a5abb8}\
.o{fill:#8ab4f8}.r{fill:#596273}}";

/// `8 × Some CPU, Linux 6.1.0, 2026-11-24`.
fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or(std::env::consts::ARCH, |(_, model)| model);
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let system = said("uname", &["-sr"]).unwrap_or_else(|| std::env::consts::OS.to_owned());
    let date = said("date", &["-u", "+%Y-%m-%d"]).unwrap_or_else(|| "date unknown".to_owned());
    format!("{count} × {model}, {system}, {date}")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_values() {
        let bar = |name: &str, value| Bar {
            name: name.into(),
            value,
            shown: format!("{value} ms"),
        };
        let groups = [Group {
            title: "a < b".into(),
            bars: vec![bar("genkan", 10.0), bar("other", 40.0), bar("none", 0.0)],
        }];
        let surroundings = Surroundings {
            title: "It".into(),
            versions: "genkan 1".into(),
        };
        let svg = svg(&surroundings, &groups);
        for text in [
            "width=\"135.0\"",
            "width=\"540.0\"",
            "width=\"1.0\"",
            "a &lt; b",
            "40 ms",
            "genkan 1",
        ] {
            assert!(svg.contains(text), "{text} in:\n{svg}");
        }
    }
}
