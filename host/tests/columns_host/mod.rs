//! A host for functions over columns, as small as can be: wasmer, and a guest's memory as
//! bytes. What it passes and expects is what `guest/COLUMNS.md` says.

use crate::random::Random;
use std::collections::HashMap;
use wasmer::{Function, Imports, Instance, Memory, MemoryType, Module, Store, Value};

/// A value's bytes; of a `Boolean` one byte.
pub type Cell = Option<Vec<u8>>;

/// A line of the section.
#[derive(Clone, Debug)]
pub struct Signature {
    pub kind: String,
    pub volatility: String,
    pub arguments: Vec<String>,
    pub result: String,
    pub state: Vec<String>,
}

/// A type's width in bytes, if it has one.
fn width(ty: &str) -> Option<usize> {
    Some(match ty.trim_end_matches('?') {
        "Int8" | "UInt8" => 1,
        "Int16" | "UInt16" => 2,
        "Int32" | "UInt32" | "Float32" | "Date32" => 4,
        "Boolean" | "Utf8" | "Binary" => return None,
        decimal if decimal.starts_with("Decimal128(") => 16,
        "Int64" | "UInt64" | "Float64" | "Date64" => 8,
        time if time.starts_with("Timestamp(") => 8,
        other => panic!("no type {other}"),
    })
}

/// A column of any type.
#[derive(Clone, Debug)]
pub struct Column {
    pub ty: String,
    pub cells: Vec<Cell>,
    /// The first cell stands for all.
    pub constant: bool,
}

impl Column {
    /// With `nulls` of ten cells null.
    pub fn random(ty: &str, rows: usize, nulls: u64, random: &mut Random) -> Self {
        let cell = |random: &mut Random| {
            let is_null = random.below(10) < nulls;
            (!is_null).then(|| value(ty, random))
        };
        Self {
            ty: ty.to_owned(),
            cells: (0..rows).map(|_| cell(random)).collect(),
            constant: false,
        }
    }

    /// All rows as the first.
    pub fn into_constant(mut self) -> Self {
        self.constant = true;
        let first = self.cells.first().cloned().unwrap_or_default();
        self.cells.fill(first);
        self
    }
}

fn value(ty: &str, random: &mut Random) -> Vec<u8> {
    // Small numbers too: functions do something of their own with some.
    let bits = match random.below(2) {
        0 => random.next(),
        _ => random.below(100),
    };
    match (ty.trim_end_matches('?'), width(ty)) {
        ("Boolean", _) => vec![(bits & 1) as u8],
        ("Float64", _) => (random.below(1000) as f64 / 8.0 + 0.5).to_le_bytes().into(),
        ("Utf8", _) => [
            "",
            "a",
            "ä b",
            " the quick brown fox ",
            "日本語 テキスト",
            "x",
        ][random.below(6) as usize]
            .repeat(random.below(3) as usize)
            .into_bytes(),
        ("Binary", _) => (0..random.below(90)).map(|_| random.next() as u8).collect(),
        (decimal, _) if decimal.starts_with("Decimal") => {
            (i128::from(bits as i64) / 1000).to_le_bytes().into()
        }
        (_, Some(width)) => bits.to_le_bytes()[..width].into(),
        (other, None) => panic!("no type {other}"),
    }
}

/// An instance of a guest.
pub struct Host {
    store: Store,
    instance: Instance,
    memory: Memory,
    pub signatures: HashMap<String, Signature>,
    /// Memory that the guest gave: where it is, and what is used of it.
    arena: u32,
    used: u32,
    /// For what a host is free to do.
    random: Random,
}

/// How much memory the guest gives.
const ARENA: u32 = 256 << 10;
/// What lies around everything.
const AROUND: u8 = 0xa5;

/// Why a call failed.
#[derive(Debug, PartialEq)]
pub struct Failure {
    pub text: String,
    pub row: Option<usize>,
}

impl Host {
    pub fn new(bytes: &[u8]) -> Self {
        let mut store = Store::default();
        let module = Module::new(&store, bytes).unwrap();
        let mut imports = Imports::new();
        let mut memory = None;
        for import in module.imports() {
            let there = match import.ty() {
                wasmer::ExternType::Memory(ty) => {
                    let ty = MemoryType::new(ty.minimum, ty.maximum, ty.shared);
                    let made = Memory::new(&mut store, ty).unwrap();
                    memory = Some(made.clone());
                    wasmer::Extern::Memory(made)
                }
                wasmer::ExternType::Function(ty) => {
                    let name = import.name().to_owned();
                    Function::new(&mut store, ty, move |arguments| {
                        Err(wasmer::RuntimeError::new(format!("{name}{arguments:?}")))
                    })
                    .into()
                }
                other => panic!("{other:?}"),
            };
            imports.define(import.module(), import.name(), there);
        }
        let instance = Instance::new(&mut store, &module, &imports).unwrap();
        let memory =
            memory.unwrap_or_else(|| instance.exports.get_memory("memory").unwrap().clone());
        let sections = module.custom_sections("genkan.columns.1");
        let lines: String = sections
            .map(|part| String::from_utf8(part.into()).unwrap())
            .collect();
        let mut host = Self {
            store,
            instance,
            memory,
            signatures: lines.lines().map(signature).collect(),
            arena: 0,
            used: 0,
            random: Random(0x5eed),
        };
        host.arena = host.call("genkan_alloc", &[ARENA]).unwrap() as u32;
        assert!(host.arena > 0 && host.arena.is_multiple_of(16));
        host
    }

    fn call(&mut self, name: &str, arguments: &[u32]) -> Result<i32, String> {
        let function = self.instance.exports.get_function(name).unwrap();
        let arguments: Vec<_> = arguments.iter().map(|&it| Value::I32(it as i32)).collect();
        let results = function.call(&mut self.store, &arguments);
        let results = results.map_err(|trap| trap.message())?;
        Ok(results.first().map_or(0, |value| value.unwrap_i32()))
    }

    fn write(&self, at: u32, bytes: &[u8]) {
        self.memory
            .view(&self.store)
            .write(at.into(), bytes)
            .unwrap();
    }

    fn read(&self, at: u32, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.memory
            .view(&self.store)
            .read(at.into(), &mut bytes)
            .unwrap();
        bytes
    }

    fn words<const N: usize>(&self, at: u32) -> [u32; N] {
        let bytes = self.read(at, 4 * N);
        std::array::from_fn(|i| u32::from_le_bytes(bytes[4 * i..][..4].try_into().unwrap()))
    }

    fn write_words(&self, at: u32, words: &[u32]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.write(at, &bytes);
    }

    /// Room for that many bytes at a multiple of `align`, with something around it.
    fn place(&mut self, len: usize, align: u32) -> u32 {
        let start = (self.arena + self.used + 16).next_multiple_of(align);
        self.used = start + len as u32 + 16 - self.arena;
        assert!(self.used <= ARENA);
        start
    }

    fn place_bytes(&mut self, bytes: &[u8], align: u32) -> u32 {
        let start = self.place(bytes.len(), align);
        self.write(start, bytes);
        start
    }

    /// A bitmap of these bits, which begins anywhere in a byte and has any bits around.
    fn place_bits(&mut self, bits: &[bool]) -> (u32, u32) {
        let first = self.random.below(70) as usize;
        let mut bytes: Vec<u8> = (0..(first + bits.len()).div_ceil(8))
            .map(|_| self.random.next() as u8)
            .collect();
        for (index, &bit) in (first..).zip(bits) {
            bytes[index / 8] =
                bytes[index / 8] & !(1 << (index % 8)) | u8::from(bit) << (index % 8);
        }
        (self.place_bytes(&bytes, 1), first as u32)
    }

    /// The words of an argument's column.
    fn argument(&mut self, column: &Column) -> [u32; 8] {
        let cells = match column.constant {
            true => &column.cells[..1],
            false => &column.cells[..],
        };
        let nulls = cells.iter().filter(|cell| cell.is_none()).count();
        let there: Vec<bool> = cells.iter().map(Option::is_some).collect();
        let mut words = [0; 8];
        // A bitmap without a null may be there, or not.
        if nulls > 0 || self.random.below(2) == 0 {
            (words[4], words[5]) = self.place_bits(&there);
        }
        words[6] = nulls as u32;
        words[7] = column.constant.into();
        // Anything is where there is no value.
        let any = |cell: &Cell| {
            cell.clone()
                .unwrap_or_else(|| value(&column.ty, &mut self.random))
        };
        let filled: Vec<_> = cells.iter().map(any).collect();
        match width(&column.ty) {
            Some(width) => {
                let bytes = filled.concat();
                words[0] = self.place_bytes(&bytes, width as u32);
                words[1] = bytes.len() as u32;
            }
            None if column.ty.starts_with("Boolean") => {
                let bits: Vec<bool> = filled.iter().map(|cell| cell[0] != 0).collect();
                (words[0], words[2]) = self.place_bits(&bits);
                words[1] = (words[2] + bits.len() as u32).div_ceil(8);
            }
            None => {
                let mut bytes = b"before".to_vec();
                let mut offsets = vec![bytes.len() as u32];
                for row in filled {
                    bytes.extend(row);
                    offsets.push(bytes.len() as u32);
                }
                words[0] = self.place_bytes(&bytes, 1);
                words[1] = bytes.len() as u32;
                words[3] = self.place(4 * offsets.len(), 4);
                self.write_words(words[3], &offsets);
            }
        }
        words
    }

    /// The words of a result's column.
    fn result(&mut self, ty: &str, rows: usize) -> [u32; 8] {
        let bits = rows.div_ceil(64) * 8;
        let mut words = [0; 8];
        words[4] = self.place(bits, 8);
        match width(ty) {
            Some(width) => {
                words[1] = (rows * width) as u32;
                words[0] = self.place(rows * width, 16);
            }
            None if ty.starts_with("Boolean") => {
                words[1] = bits as u32;
                words[0] = self.place(bits, 8);
            }
            None => words[3] = self.place(4 * (rows + 1), 4),
        }
        words
    }

    /// Calls a function with a batch of these columns, and of these results.
    pub fn batch(
        &mut self,
        function: &str,
        handle: Option<u32>,
        columns: &[Column],
        groups: Option<&[u32]>,
        rows: usize,
        results: &[String],
    ) -> Result<Result<Vec<Vec<Cell>>, Failure>, String> {
        self.used = 0;
        self.write(self.arena, &vec![AROUND; ARENA as usize]);
        let arguments: Vec<_> = columns.iter().map(|column| self.argument(column)).collect();
        let columns_at = self.place(32 * arguments.len(), 4);
        self.write_words(columns_at, arguments.as_flattened());
        let groups_at = match groups {
            Some(groups) => {
                let at = self.place(4 * groups.len(), 4);
                self.write_words(at, groups);
                at
            }
            None => 0,
        };
        let group_count = groups.map_or(1, |groups| groups.iter().max().map_or(0, |most| most + 1));
        let given = self.read(self.arena, self.used as usize);
        let from = self.used;

        let made: Vec<_> = results.iter().map(|ty| self.result(ty, rows)).collect();
        let results_at = self.place(32 * made.len(), 4);
        self.write_words(results_at, made.as_flattened());
        let batch = self.place(40, 4);
        let (count, results_count) = (columns.len() as u32, results.len() as u32);
        let fields = [
            rows as u32,
            columns_at,
            count,
            results_at,
            results_count,
            groups_at,
            group_count,
        ];
        self.write_words(batch, &fields);
        let before = self.read(self.arena, ARENA as usize);

        let arguments: Vec<u32> = handle.into_iter().chain([batch]).collect();
        let status = self.call(&format!("column:{function}"), &arguments)?;

        // What the host gave for reading is as it was, and so is what lies around.
        assert_eq!(self.read(self.arena, given.len()), given, "{function}");
        let mut written = vec![(results_at, 32 * made.len()), (batch + 28, 12)];
        for (words, ty) in made.iter().zip(results) {
            written.push((words[4], rows.div_ceil(64) * 8));
            match width(ty) {
                None if !ty.starts_with("Boolean") => written.push((words[3], 4 * (rows + 1))),
                _ => written.push((words[0], words[1] as usize)),
            }
        }
        let mut after = self.read(self.arena, ARENA as usize);
        for (start, len) in written {
            let range = (start - self.arena) as usize..;
            after[range.clone()][..len].copy_from_slice(&before[range][..len]);
        }
        assert!(
            after[from as usize..] == before[from as usize..],
            "{function} wrote elsewhere"
        );

        let [error, error_len, error_row] = self.words(batch + 28);
        match status {
            0 => {
                let columns = made.iter().zip(results).enumerate();
                Ok(Ok(columns
                    .map(|(index, (made, ty))| {
                        let words = self.words(results_at + 32 * index as u32);
                        self.cells(ty, *made, words, rows)
                    })
                    .collect()))
            }
            1 => Ok(Err(Failure {
                text: String::from_utf8(self.read(error, error_len as usize)).unwrap(),
                row: (error_row != u32::MAX).then_some(error_row as usize),
            })),
            other => panic!("{function} gives {other}"),
        }
    }

    /// A result's cells, from what the guest made of a column.
    fn cells(&self, ty: &str, made: [u32; 8], words: [u32; 8], rows: usize) -> Vec<Cell> {
        let is_text = width(ty).is_none() && !ty.starts_with("Boolean");
        for field in [2, 3, 5, 7] {
            assert_eq!(words[field], made[field]);
        }
        if !is_text {
            assert_eq!(words[..2], made[..2]);
        }
        let bit = |at: u32, row: usize| self.read(at + row as u32 / 8, 1)[0] >> (row % 8) & 1;
        let is_there = |row: usize| match words[4] {
            0 => true,
            at => {
                assert_eq!(at, made[4]);
                bit(at, row) != 0
            }
        };
        if is_text {
            let offsets = self.read(words[3], 4 * (rows + 1));
            let offsets: Vec<u32> = (offsets.chunks(4))
                .map(|it| u32::from_le_bytes(it.try_into().unwrap()))
                .collect();
            assert!(offsets[0] == 0 && offsets.is_sorted());
            assert_eq!(offsets[rows], words[1]);
            let text = self.read(words[0], words[1] as usize);
            let row = |row: usize| text[offsets[row] as usize..offsets[row + 1] as usize].to_vec();
            let cells: Vec<_> = (0..rows).map(|it| is_there(it).then(|| row(it))).collect();
            assert_eq!(
                cells.iter().filter(|it| it.is_none()).count(),
                words[6] as usize
            );
            return cells;
        }
        let cell = |row: usize| match width(ty) {
            Some(width) => self.read(words[0] + (row * width) as u32, width),
            None => vec![bit(words[0], row)],
        };
        let cells: Vec<_> = (0..rows)
            .map(|row| is_there(row).then(|| cell(row)))
            .collect();
        assert_eq!(
            cells.iter().filter(|it| it.is_none()).count(),
            words[6] as usize
        );
        assert_eq!(words[4] == 0, words[6] == 0);
        cells
    }

    /// A scalar function's result for a batch.
    pub fn scalar(
        &mut self,
        name: &str,
        columns: &[Column],
        rows: usize,
    ) -> Result<Vec<Cell>, Failure> {
        let result = self.signatures[name].result.clone();
        let results = self.batch(name, None, columns, None, rows, &[result]);
        Ok(results.unwrap()?.remove(0))
    }

    pub fn new_groups(&mut self, name: &str) -> u32 {
        self.call(&format!("column:{name}:new"), &[]).unwrap() as u32
    }

    pub fn remove(&mut self, name: &str, handle: u32, count: u32) {
        self.call(&format!("column:{name}:remove"), &[handle, count])
            .unwrap();
    }

    pub fn size(&mut self, name: &str, handle: u32) -> u32 {
        self.call(&format!("column:{name}:size"), &[handle])
            .unwrap() as u32
    }

    pub fn drop_groups(&mut self, name: &str, handle: u32) {
        self.call(&format!("column:{name}:drop"), &[handle])
            .unwrap();
    }
}

fn signature(line: &str) -> (String, Signature) {
    let fields: Vec<_> = line.split('\t').collect();
    let list = |text: &str| match text {
        "" => Vec::new(),
        text => text.split(';').map(str::to_owned).collect(),
    };
    let signature = Signature {
        kind: fields[0].into(),
        volatility: fields[2].into(),
        arguments: list(fields[3]),
        result: fields[4].into(),
        state: list(fields.get(5).unwrap_or(&"")),
    };
    assert_eq!(fields.len(), if fields[0] == "aggregate" { 6 } else { 5 });
    (fields[1].into(), signature)
}
