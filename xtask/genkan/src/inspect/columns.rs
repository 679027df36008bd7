//! Functions over columns, as a module's section says: `guest/COLUMNS.md` describes it.

use serde::Serialize;

/// The section's name.
pub const SECTION: &str = "genkan.columns.1";

/// A function that is called for batches of rows. Types have Arrow's names, with a `?` if a
/// value can be null where no argument is.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct ColumnFunction {
    /// Its name.
    pub name: String,
    /// `scalar` or `aggregate`.
    pub kind: String,
    /// `immutable`, `stable` or `volatile`.
    pub volatility: String,
    /// Types.
    pub arguments: Vec<String>,
    /// A type.
    pub result: String,
    /// Types of an aggregate's state.
    pub state: Vec<String>,
}

impl ColumnFunction {
    /// The functions of a section's lines; those that are of no use to a host are left out.
    pub fn all(section: &[u8]) -> Vec<Self> {
        let text = String::from_utf8_lossy(section);
        text.lines().filter_map(Self::of_line).collect()
    }

    fn of_line(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split('\t').collect();
        let (fields, state) = match fields[..] {
            ["scalar", name, volatility, arguments, result] => {
                (["scalar", name, volatility, arguments, result], "")
            }
            ["aggregate", name, volatility, arguments, result, state] => {
                (["aggregate", name, volatility, arguments, result], state)
            }
            _ => return None,
        };
        let [kind, name, volatility, arguments, result] = fields.map(str::to_owned);
        let list = |text: &str| match text {
            "" => Vec::new(),
            text => text.split(';').map(str::to_owned).collect(),
        };
        Some(Self {
            name,
            kind,
            volatility,
            arguments: list(&arguments),
            result,
            state: list(state),
        })
    }

    /// What it is, in words, behind its name.
    pub fn signature(&self) -> String {
        let mut text = format!("({}) -> {}", self.arguments.join(", "), self.result);
        if self.kind != "scalar" {
            text += &format!(", {} of ({})", self.kind, self.state.join(", "));
        }
        if self.volatility != "immutable" {
            text += &format!(", {}", self.volatility);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_functions() {
        let section = "scalar\tgcd\timmutable\tInt64;Int64\tInt64\n\
                       nonsense\n\
                       scalar\tanswer\tstable\t\tInt32\n\
                       aggregate\tmean\timmutable\tFloat64\tFloat64?\tFloat64;UInt64\n";
        let functions = ColumnFunction::all(section.as_bytes());
        let texts: Vec<_> = functions
            .iter()
            .map(|function| format!("{}{}", function.name, function.signature()))
            .collect();
        assert_eq!(
            texts,
            [
                "gcd(Int64, Int64) -> Int64",
                "answer() -> Int32, stable",
                "mean(Float64) -> Float64?, aggregate of (Float64, UInt64)",
            ]
        );
        assert_eq!(functions[1].arguments, [""; 0]);
    }
}
