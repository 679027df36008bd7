//! What a module says that its functions over columns are: its section
//! `genkan.columns.1`, which `guest/COLUMNS.md` describes.

use crate::Error;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::logical_expr::Volatility;
use std::fmt;

/// The section's name.
pub(crate) const SECTION: &str = "genkan.columns.1";

/// Whether a function is for rows or for groups of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One result for each row.
    Scalar,
    /// One result for each group of rows.
    Aggregate,
}

/// A column that a function takes or gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its type.
    pub data_type: DataType,
    /// Of an argument, whether the function is called for nulls; of a result, whether it
    /// can be null where no argument was.
    pub nullable: bool,
}

/// A function as the module declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// What it is for.
    pub kind: Kind,
    /// Its name in SQL.
    pub name: String,
    /// Whether it gives the same for the same arguments.
    pub volatility: Volatility,
    /// Its arguments.
    pub arguments: Vec<Column>,
    /// Its result.
    pub result: Column,
    /// Of an aggregate, what its state is between machines and threads.
    pub state: Vec<Column>,
}

/// How a type lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A bit for each value.
    Bits,
    /// So many bytes for each value.
    Fixed(usize),
    /// Bytes, and offsets into them.
    Text,
}

impl Column {
    /// Only for types that [`data_type`] gives.
    pub(crate) fn layout(&self) -> Layout {
        match &self.data_type {
            DataType::Boolean => Layout::Bits,
            DataType::Utf8 | DataType::Binary => Layout::Text,
            DataType::Decimal128(..) => Layout::Fixed(16),
            other => Layout::Fixed(other.primitive_width().unwrap_or(8)),
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        for (index, argument) in self.arguments.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{}", argument.data_type)?;
        }
        write!(f, ") -> {}", self.result.data_type)
    }
}

/// Reads the sections of this name that a module has.
pub(crate) fn parse(sections: &[&[u8]]) -> Result<Vec<Signature>, Error> {
    if sections.is_empty() {
        return Err(Error::NoFunctions { section: SECTION });
    }
    let mut all: Vec<Signature> = Vec::new();
    let mut line = 0;
    for section in sections {
        let wrong = |line, problem| Error::Section {
            section: SECTION,
            line,
            problem,
        };
        let text = std::str::from_utf8(section);
        let text = text.map_err(|_| wrong(line + 1, "it is not UTF-8".into()))?;
        for declaration in text.split_terminator('\n') {
            line += 1;
            let signature = signature(declaration).map_err(|problem| wrong(line, problem))?;
            if all.iter().any(|other| other.name == signature.name) {
                let problem = format!("there is another function {}", signature.name);
                return Err(wrong(line, problem));
            }
            all.push(signature);
        }
    }
    Ok(all)
}

fn signature(line: &str) -> Result<Signature, String> {
    let fields: Vec<&str> = line.split('\t').collect();
    let (kind, fields) = match &fields[..] {
        ["scalar", fields @ ..] if fields.len() == 4 => (Kind::Scalar, fields),
        ["aggregate", fields @ ..] if fields.len() == 5 => (Kind::Aggregate, fields),
        _ => return Err(format!("it is no function that is known: {line:?}")),
    };
    let name = fields[0];
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(letter) {
        return Err(format!("{name:?} is no name of a function"));
    }
    let volatility = match fields[1] {
        "immutable" => Volatility::Immutable,
        "stable" => Volatility::Stable,
        "volatile" => Volatility::Volatile,
        other => return Err(format!("{other:?} is none of immutable, stable, volatile")),
    };
    Ok(Signature {
        kind,
        name: name.into(),
        volatility,
        arguments: columns(fields[2])?,
        result: column(fields[3])?,
        state: fields.get(4).map_or(Ok(Vec::new()), |list| columns(list))?,
    })
}

fn columns(list: &str) -> Result<Vec<Column>, String> {
    match list {
        "" => Ok(Vec::new()),
        list => list.split(';').map(column).collect(),
    }
}

fn column(text: &str) -> Result<Column, String> {
    let (name, nullable) = match text.strip_suffix('?') {
        Some(name) => (name, true),
        None => (text, false),
    };
    let data_type = data_type(name);
    let data_type = data_type.ok_or_else(|| format!("{name:?} is no type that is known"))?;
    Ok(Column {
        data_type,
        nullable,
    })
}

fn data_type(name: &str) -> Option<DataType> {
    Some(match name {
        "Boolean" => DataType::Boolean,
        "Int8" => DataType::Int8,
        "Int16" => DataType::Int16,
        "Int32" => DataType::Int32,
        "Int64" => DataType::Int64,
        "UInt8" => DataType::UInt8,
        "UInt16" => DataType::UInt16,
        "UInt32" => DataType::UInt32,
        "UInt64" => DataType::UInt64,
        "Float32" => DataType::Float32,
        "Float64" => DataType::Float64,
        "Utf8" => DataType::Utf8,
        "Binary" => DataType::Binary,
        "Date32" => DataType::Date32,
        "Date64" => DataType::Date64,
        "Timestamp(Second)" => DataType::Timestamp(TimeUnit::Second, None),
        "Timestamp(Millisecond)" => DataType::Timestamp(TimeUnit::Millisecond, None),
        "Timestamp(Microsecond)" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "Timestamp(Nanosecond)" => DataType::Timestamp(TimeUnit::Nanosecond, None),
        _ => decimal(name)?,
    })
}

/// `Decimal128(P, S)`: of Arrow, up to 38 digits, of which up to P are behind the point.
fn decimal(name: &str) -> Option<DataType> {
    let digits = name.strip_prefix("Decimal128(")?.strip_suffix(')')?;
    let (precision, scale) = digits.split_once(',')?;
    let precision: u8 = precision.trim().parse().ok()?;
    let scale: i8 = scale.trim().parse().ok()?;
    let fits = (1..=38).contains(&precision) && scale <= precision as i8;
    fits.then_some(DataType::Decimal128(precision, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<Signature>, String> {
        parse(&[text.as_bytes()]).map_err(|error| error.to_string())
    }

    #[test]
    fn a_section_says_what_functions_there_are() {
        let text = "scalar\tgcd\timmutable\tInt64;Int64\tInt64\n\
                    scalar\tnow_ish\tvolatile\t\tTimestamp(Second)\n\
                    aggregate\tmean\tstable\tDecimal128(10, 2)?\tUtf8?\tFloat64;UInt64\n";
        let all = parsed(text).unwrap();
        assert_eq!(all[0].to_string(), "gcd(Int64, Int64) -> Int64");
        assert_eq!(all[1].arguments, []);
        assert_eq!(all[2].kind, Kind::Aggregate);
        assert_eq!(all[2].volatility, Volatility::Stable);
        assert!(all[2].arguments[0].nullable && all[2].result.nullable);
        assert_eq!(all[2].arguments[0].layout(), Layout::Fixed(16));
        assert_eq!(all[2].state.len(), 2);
        assert_eq!(parsed("").unwrap(), []);
    }

    #[test]
    fn what_is_wrong_with_a_section_is_said_with_its_line() {
        let good = "scalar\ta\timmutable\t\tInt8\n";
        for (line, problem) in [
            ("table\tb\timmutable\t\tInt8", "no function that is known"),
            (
                "scalar\tb\timmutable\t\tInt8\tInt8",
                "no function that is known",
            ),
            ("scalar\tb c\timmutable\t\tInt8", "no name"),
            ("scalar\t\timmutable\t\tInt8", "no name"),
            ("scalar\ta\timmutable\t\tInt8", "another function a"),
            ("scalar\tb\tpure\t\tInt8", "none of immutable"),
            ("scalar\tb\tstable\tInt8;;Int8\tInt8", "no type"),
            ("scalar\tb\tstable\t\tInt128", "no type"),
            ("scalar\tb\tstable\t\tDecimal128(39, 2)", "no type"),
            ("scalar\tb\tstable\t\tDecimal128(3, 4)", "no type"),
        ] {
            let error = parsed(&format!("{good}{line}\n")).unwrap_err();
            assert!(
                error.contains("line 2") && error.contains(problem),
                "{error}"
            );
        }
        assert!(parse(&[b"\xff"]).is_err());
        assert!(matches!(parse(&[]), Err(Error::NoFunctions { .. })));
    }
}
