//! Functions over columns: what a guest makes of batches of every type, with nulls, with
//! bitmaps that begin anywhere, and with constants, against the same in this process.

mod columns_host;
mod guests;
mod random;

use columns_host::{Cell, Column, Failure, Host};
use random::Random;
use std::process::Command;
use std::sync::LazyLock;

fn host() -> Host {
    static BYTES: LazyLock<Vec<u8>> =
        LazyLock::new(|| std::fs::read(guests::package("columns")).unwrap());
    Host::new(&BYTES)
}

fn int(cell: &[u8]) -> i64 {
    let mut bytes = [if cell.last().unwrap() >> 7 == 1 {
        255
    } else {
        0
    }; 8];
    bytes[..cell.len()].copy_from_slice(cell);
    i64::from_le_bytes(bytes)
}

fn uint(cell: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes[..cell.len()].copy_from_slice(cell);
    u64::from_le_bytes(bytes)
}

fn float(cell: &[u8]) -> f64 {
    f64::from_le_bytes(cell.try_into().unwrap())
}

fn text(cell: &[u8]) -> &str {
    std::str::from_utf8(cell).unwrap()
}

fn i64s(value: i64) -> Option<Vec<u8>> {
    Some(value.to_le_bytes().into())
}

/// What a function gives for a row whose strict arguments have values.
fn model(name: &str, cells: &[&Cell]) -> Result<Cell, String> {
    // Of a strict argument.
    let cell = |index: usize| -> &[u8] { cells[index].as_ref().unwrap() };
    Ok(match name {
        name if name.starts_with("same_") => cells[0].clone(),
        name if name.starts_with("first_") && name != "first_word" => {
            cells[0].clone().or(cells[1].clone())
        }
        "or_else" => cells[0].clone().or(cells[1].clone()),
        "gcd" => {
            let (mut a, mut b) = (int(cell(0)), int(cell(1)));
            while b != 0 {
                (a, b) = (b, a.wrapping_rem(b));
            }
            i64s(a.wrapping_abs())
        }
        "axpy" => Some((float(cell(0)) * 2.0 + float(cell(1))).to_le_bytes().into()),
        "upper" => Some(text(cell(0)).to_uppercase().into()),
        "first_word" => text(cell(0)).split_whitespace().next().map(Into::into),
        "repeated" => Some(text(cell(0)).repeat(cell(1)[0].into()).into()),
        "divide" => {
            let (a, b) = (int(cell(0)) as i32, int(cell(1)) as i32);
            let quotient = a.checked_div(b).ok_or_else(|| format!("{a} / {b}"))?;
            Some(quotient.to_le_bytes().into())
        }
        "same" => Some(vec![(cells[0] == cells[1]).into()]),
        "next_day" => Some((int(cell(0)) as i32).wrapping_add(1).to_le_bytes().into()),
        "hour" => Some(vec![
            int(cell(0)).div_euclid(3_600_000_000).rem_euclid(24) as u8
        ]),
        "taxed" => {
            let amount = i128::from_le_bytes(cell(0).try_into().unwrap());
            let taxed = amount * (100 + i128::from(cell(1)[0])) / 100;
            Some(taxed.to_le_bytes().into())
        }
        "answer" => Some(42i32.to_le_bytes().into()),
        "many" => {
            let ints: i64 = (0..3).map(|i| int(cell(i))).sum();
            let uints: u64 = (4..7).map(|i| uint(cell(i))).sum();
            let lens = cell(9).len() + cell(10).len();
            let number = ints + uints as i64 + i64::from(cell(8)[0]) + lens as i64;
            let h = cells[7].as_ref().map_or(7, |cell| uint(cell)) as i64;
            let l = cells[11].as_ref().map_or(0, |cell| int(cell));
            i64s(int(cell(3)).wrapping_add(number).wrapping_add(h ^ l))
        }
        "less" => Some(vec![(float(cell(0)) < float(cell(1))).into()]),
        "all_of_it" => {
            let a = int(cell(0)) as i16;
            match a {
                77 => return Err("it is 77".into()),
                _ => (a % 3 != 0).then(|| a.to_le_bytes().into()),
            }
        }
        "perhaps_bool" => match cells[0].as_deref() {
            Some([1]) => None,
            Some(_) => Some(vec![1]),
            None => Some(vec![0]),
        },
        "bytes_of" => cells[0].clone().filter(|cell| !cell.is_empty()),
        "plus" => cells[0].as_ref().zip(cells[1].as_ref()).map(|(a, b)| {
            (int(a) as i32)
                .wrapping_add(int(b) as i32)
                .to_le_bytes()
                .into()
        }),
        "not" => cells[0].as_ref().map(|cell| vec![1 - cell[0]]),
        "joined" => cells[0].as_ref().map(|a| match cells[1] {
            Some(b) => format!("{}-{}", text(a), b.len()).into_bytes(),
            None => a.clone(),
        }),
        other => panic!("no model of {other}"),
    })
}

/// The same for all rows.
fn expected(
    name: &str,
    takes_null: &[bool],
    columns: &[Column],
    rows: usize,
) -> Result<Vec<Cell>, Failure> {
    (0..rows)
        .map(|row| {
            let cells: Vec<_> = columns.iter().map(|column| &column.cells[row]).collect();
            let mut strict = cells.iter().zip(takes_null).filter(|(_, takes)| !**takes);
            if strict.any(|(cell, _)| cell.is_none()) {
                return Ok(None);
            }
            model(name, &cells).map_err(|text| Failure {
                text,
                row: Some(row),
            })
        })
        .collect()
}

#[test]
fn functions_of_every_type() {
    let mut host = host();
    let mut random = Random(1);
    let mut names: Vec<_> = host.signatures.keys().cloned().collect();
    names.retain(|name| host.signatures[name].kind == "scalar");
    // These have tests of their own.
    names.retain(|name| !["difference", "counter", "even", "too_few"].contains(&&**name));
    names.sort();
    assert!(names.len() > 60, "{names:?}");
    let mut failures = 0;
    for name in names {
        let arguments = host.signatures[&name].arguments.clone();
        let takes_null: Vec<_> = arguments.iter().map(|ty| ty.ends_with('?')).collect();
        for round in 0..20 {
            let rows = [0, 1, 63, 64, 65, 128, 300][random.below(7) as usize];
            let nulls = [0, 0, 1, 5, 10][round % 5];
            let columns: Vec<_> = arguments
                .iter()
                .map(|ty| {
                    let column = Column::random(ty, rows, nulls, &mut random);
                    match rows > 0 && random.below(4) == 0 {
                        true => column.into_constant(),
                        false => column,
                    }
                })
                .collect();
            if name == "not" && columns[0].constant && columns[0].cells[0].is_none() {
                continue;
            }
            let results = host.scalar(&name, &columns, rows);
            failures += u32::from(results.is_err());
            let expected = expected(&name, &takes_null, &columns, rows);
            assert_eq!(results, expected, "{name} of {columns:?}");
        }
    }
    assert!(failures > 2, "{failures}");
}

#[test]
fn signatures() {
    let host = host();
    let line = |name: &str| {
        let it = &host.signatures[name];
        let state = it.state.join(", ");
        format!(
            "{} {}({}) {} [{state}]",
            it.volatility,
            it.kind,
            it.arguments.join(", "),
            it.result
        )
    };
    assert_eq!(line("gcd"), "immutable scalar(Int64, Int64) Int64 []");
    assert_eq!(line("first_word"), "immutable scalar(Utf8) Utf8? []");
    assert_eq!(line("answer"), "stable scalar() Int32 []");
    assert_eq!(line("counter"), "volatile scalar() Int64 []");
    assert_eq!(line("all_of_it"), "immutable scalar(Int16) Binary? []");
    assert_eq!(line("plus"), "immutable scalar(Int32?, Int32?) Int32? []");
    assert_eq!(
        line("same_money"),
        "immutable scalar(Decimal128(38, -3)) Decimal128(38, -3) []"
    );
    assert_eq!(
        line("taxed"),
        "immutable scalar(Decimal128(18, 2), UInt8) Decimal128(18, 2) []"
    );
    assert_eq!(
        line("geometric_mean"),
        "immutable aggregate(Float64) Float64? [Float64, UInt64]"
    );
    assert_eq!(
        line("extent"),
        "immutable aggregate(Int64?, Boolean) Utf8? [Int64?, UInt64, Boolean]"
    );
}

#[test]
fn inspect_shows_them_in_a_stripped_module_too() {
    let module = guests::package_with("columns", "columns-stripped", &["--strip"]);
    let summary = genkan::inspect::inspect(&module).unwrap();
    let names = summary.sections.iter().map(|section| &*section.name);
    assert!(!names.into_iter().any(|name| name == "name"));
    let text = summary.text(Some(0));
    for line in [
        "  gcd: (Int64, Int64) -> Int64\n",
        "  geometric_mean: (Float64) -> Float64?, aggregate of (Float64, UInt64)\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

/// Each line of `wrong.rs` with `//~` has an error that begins so.
#[test]
fn what_cannot_be_is_named_where_it_is() {
    let package = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/packages/columns");
    let output = Command::new(env!("CARGO"))
        .args(["check", "--quiet", "--features", "wrong"])
        .args(["--message-format", "short", "--target-dir"])
        .arg(guests::folder().join("columns-wrong"))
        .current_dir(package)
        .output()
        .unwrap();
    let messages = String::from_utf8(output.stderr).unwrap();
    let source = include_str!("packages/columns/src/wrong.rs");
    let mut expected = 0;
    for (number, line) in (1..).zip(source.lines()) {
        let Some((_, message)) = line.split_once("//~ ") else {
            continue;
        };
        let place = format!("src/wrong.rs:{number}:");
        let mut there = messages.lines().filter(|line| line.starts_with(&place));
        assert!(
            there.any(|line| line.contains(message)),
            "{place} {message}\n{messages}"
        );
        expected += 1;
    }
    assert_eq!(expected, 15);
}

#[test]
fn there_is_no_call_for_a_row_without_a_value() {
    let mut host = host();
    let mut random = Random(2);
    let cells = (0..1000).map(|row| (row % 7 != 3).then(|| (row * 2i64).to_le_bytes().to_vec()));
    let column = Column {
        ty: "Int64".into(),
        cells: cells.collect(),
        constant: false,
    };
    let halves = host.scalar("even", &[column], 1000).unwrap();
    for (row, cell) in halves.iter().enumerate() {
        let half = (row % 7 != 3).then(|| (row as i64).to_le_bytes().to_vec());
        assert_eq!(*cell, half);
    }
    let odd = Column::random("Int64", 1, 0, &mut random);
    let odd = Column {
        cells: vec![i64s(7)],
        ..odd
    };
    let batch = host.batch("even", None, &[odd], None, 1, &["Int64".into()]);
    let trap = batch.unwrap_err();
    assert!(trap.contains("__genkan_panic"), "{trap}");
}

#[test]
fn a_volatile_function_has_a_call_for_each_row() {
    let mut host = host();
    for first in [1, 101] {
        let counted = host.scalar("counter", &[], 100).unwrap();
        let expected: Vec<_> = (first..first + 100).map(i64s).collect();
        assert_eq!(counted, expected);
    }
}

#[test]
fn a_function_of_a_whole_batch_looks_around() {
    let mut host = host();
    let mut random = Random(4);
    let column = Column::random("Float64", 200, 2, &mut random);
    let differences = host.scalar("difference", std::slice::from_ref(&column), 200);
    let expected: Vec<Cell> = (0..200)
        .map(|row: usize| {
            let before = column.cells[row.checked_sub(1)?].as_ref()?;
            let difference = float(column.cells[row].as_ref()?) - float(before);
            Some(difference.to_le_bytes().into())
        })
        .collect();
    assert_eq!(differences.unwrap(), expected);

    let constant = Column::random("Boolean", 9, 10, &mut random).into_constant();
    let refused = host.scalar("not", &[constant], 9).unwrap_err();
    assert_eq!((&*refused.text, refused.row), ("it is always null", None));
    let bytes = Column::random("Binary", 3, 0, &mut random);
    let refused = host.scalar("too_few", &[bytes], 3).unwrap_err();
    assert_eq!(
        refused.text,
        "the function pushed 2 rows into its result, of 3"
    );
}

/// An aggregate in this process: a value of the model's for each group.
trait Model {
    fn update(&mut self, cells: &[Cell]) -> Result<(), String>;
    fn finish(&self) -> Result<Cell, String>;
}

#[derive(Default)]
struct Total(f64);

impl Model for Total {
    fn update(&mut self, cells: &[Cell]) -> Result<(), String> {
        self.0 += cells[0].as_ref().map_or(0.0, |cell| float(cell));
        Ok(())
    }

    fn finish(&self) -> Result<Cell, String> {
        Ok(Some(self.0.to_le_bytes().into()))
    }
}

#[derive(Default)]
struct Longest(Cell);

impl Model for Longest {
    fn update(&mut self, cells: &[Cell]) -> Result<(), String> {
        if cells[0].as_ref().map(Vec::len) > self.0.as_ref().map(Vec::len) {
            self.0 = cells[0].clone();
        }
        Ok(())
    }

    fn finish(&self) -> Result<Cell, String> {
        Ok(self.0.clone())
    }
}

#[derive(Default)]
struct Extent(Option<i64>, u64, bool);

impl Model for Extent {
    fn update(&mut self, cells: &[Cell]) -> Result<(), String> {
        let Some(flag) = &cells[1] else { return Ok(()) };
        self.2 |= flag[0] != 0;
        match &cells[0] {
            Some(cell) => self.0 = Some(self.0.map_or(int(cell), |least| least.min(int(cell)))),
            None => self.1 += 1,
        }
        Ok(())
    }

    fn finish(&self) -> Result<Cell, String> {
        Ok(match self.1 {
            0 => self
                .0
                .map(|least| format!("{least} {}", self.2).into_bytes()),
            nulls if nulls > 1000 => return Err(format!("{nulls} nulls")),
            nulls => Some(format!("{:?} {nulls}", self.0).into_bytes()),
        })
    }
}

/// Batches into two handles, whose states are merged into a third; some of the groups go
/// out before the rest.
fn aggregated<M: Model + Default>(name: &str, seed: u64) {
    let mut host = host();
    let mut random = Random(seed);
    let signature = host.signatures[name].clone();
    let result = [signature.result.clone()];
    for round in 0..12 {
        let grouped = round % 3 != 0;
        let most = if grouped { [1, 7, 200][round % 3] } else { 1 };
        let nulls = [0, 3, 10][round / 4];
        let mut models: Vec<M> = Vec::new();
        models.resize_with(most, M::default);
        let merged = host.new_groups(name);
        for _ in 0..2 {
            let handle = host.new_groups(name);
            let mut seen = 0;
            for _ in 0..2 {
                let rows = [0, 1, 64, 300][random.below(4) as usize];
                let columns: Vec<_> = (signature.arguments.iter())
                    .map(|ty| Column::random(ty, rows, nulls, &mut random))
                    .collect();
                let groups: Vec<_> = (0..rows)
                    .map(|_| random.below(most as u64) as u32)
                    .collect();
                for (row, group) in groups.iter().enumerate() {
                    let cells: Vec<_> = columns.iter().map(|it| it.cells[row].clone()).collect();
                    models[*group as usize].update(&cells).unwrap();
                    seen = seen.max(*group as usize + 1);
                }
                let groups = grouped.then_some(&*groups);
                let update = format!("{name}:update");
                host.batch(&update, Some(handle), &columns, groups, rows, &[])
                    .unwrap()
                    .unwrap();
            }
            let state = format!("{name}:state");
            let states = host
                .batch(&state, Some(handle), &[], None, seen, &signature.state)
                .unwrap()
                .unwrap();
            assert!(host.size(name, handle) > 0);
            host.drop_groups(name, handle);
            let columns: Vec<_> = (signature.state.iter().zip(states))
                .map(|(ty, cells)| Column {
                    ty: ty.clone(),
                    cells,
                    constant: false,
                })
                .collect();
            let groups: Vec<_> = (0..seen as u32).collect();
            let merge = format!("{name}:merge");
            host.batch(&merge, Some(merged), &columns, Some(&groups), seen, &[])
                .unwrap()
                .unwrap();
        }
        let finish = format!("{name}:finish");
        let first = most / 3;
        let mut cells = Vec::new();
        for count in [first, most - first] {
            // It can be asked twice.
            for _ in 0..2 {
                let finished = host
                    .batch(&finish, Some(merged), &[], None, count, &result)
                    .unwrap()
                    .unwrap();
                cells.truncate(if count == first { 0 } else { first });
                cells.extend(finished[0].clone());
            }
            host.remove(name, merged, count as u32);
        }
        let expected: Vec<_> = models.iter().map(|it| it.finish().unwrap()).collect();
        assert_eq!(cells, expected, "{name}, round {round}");
        host.drop_groups(name, merged);
    }
}

#[test]
fn a_sum() {
    aggregated::<Total>("total", 5);
}

#[test]
fn a_state_that_is_text() {
    aggregated::<Longest>("longest", 6);
}

#[test]
fn a_state_with_nulls() {
    aggregated::<Extent>("extent", 7);
}

#[test]
fn an_aggregate_that_fails_names_the_row() {
    let mut host = host();
    let handle = host.new_groups("geometric_mean");
    let numbers = [Some(2.0f64), None, Some(8.0), Some(-1.0), Some(3.0)];
    let column = |numbers: &[Option<f64>]| Column {
        ty: "Float64".into(),
        cells: numbers
            .iter()
            .map(|it| it.map(|it| it.to_le_bytes().to_vec()))
            .collect(),
        constant: false,
    };
    let mut update = |numbers: &[Option<f64>]| {
        let columns = [column(numbers)];
        let rows = numbers.len();
        host.batch(
            "geometric_mean:update",
            Some(handle),
            &columns,
            None,
            rows,
            &[],
        )
        .unwrap()
    };
    update(&numbers[..3]).unwrap();
    let failure = update(&numbers).unwrap_err();
    assert_eq!(
        (&*failure.text, failure.row),
        ("-1 has no logarithm", Some(3))
    );

    let finish = |host: &mut Host, handle| {
        let result = ["Float64?".to_string()];
        host.batch("geometric_mean:finish", Some(handle), &[], None, 1, &result)
            .unwrap()
            .unwrap()
            .remove(0)
            .remove(0)
    };
    let new = host.new_groups("geometric_mean");
    assert_eq!(finish(&mut host, new), None);
    let mean = finish(&mut host, handle).unwrap();
    // 2 and 8 once, and once more before the failure.
    assert!((float(&mean) - 4.0).abs() < 1e-12);
}
