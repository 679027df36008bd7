//! Objects as text, one thing a line:
//!
//! ```text
//! import puts (i32) -> i32 [weak]          an undefined function, of module env
//! import wasi.fd_close (i32) -> i32        one of a module by name
//! extern other [weak]                      undefined data
//! func main (i32) -> i32 [hidden] [local] [weak] [export] [retain] [comdat=G]
//!   local.get 0
//!   i32.const 7 / &greeting+4 / *puts      a number, an address, a table slot
//!   call puts
//!   call_indirect (i32) -> i32
//!   global.get __stack_pointer
//! data greeting .rodata.greeting [align=4] [strings] [retain] [tls] [weak] …
//!   "hello\00"
//!   &greeting+4 / *puts                    four bytes: an address, a table slot
//!   zero 16
//! constructor 10 main
//! feature +bulk-memory
//! custom note "text"
//! ```

use super::{Code, Data, Function, I32, Object, Segment, Symbol, Type, Undefined, flags, reloc};

/// The object that `text` describes. What it does not understand, it panics at.
pub fn object(text: &str) -> Object {
    let mut object = Object::default();
    let mut in_data = false;
    for line in text.lines() {
        let line = line.split(";;").next().unwrap().trim_end();
        let is_inner = line.starts_with("  ");
        let line = line.trim();
        match line {
            "" => {}
            _ if !is_inner => in_data = outer(&mut object, line),
            _ if in_data => {
                let piece = data(line);
                object.segments.last_mut().unwrap().contents.push(piece);
            }
            _ => {
                let code = instruction(line);
                object.functions.last_mut().unwrap().body.extend(code);
            }
        }
    }
    object
}

/// Reads what begins at the margin; whether data follows.
fn outer(object: &mut Object, line: &str) -> bool {
    let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    match what {
        "import" => {
            let (ty, rest) = signature(rest);
            let (module, name) = match name.split_once('.') {
                Some((module, name)) => (Some(module.to_owned()), name),
                None => (None, name),
            };
            object.undefined.push(Undefined {
                name: name.to_owned(),
                module,
                flags: rest.split_whitespace().map(symbol_flag).sum(),
                ty,
            });
        }
        "extern" => {
            let flags = rest.split_whitespace().map(symbol_flag).sum();
            object.undefined_data.push((name.to_owned(), flags));
        }
        "func" => {
            let (ty, rest) = signature(rest);
            let mut function = Function {
                name: name.into(),
                ty,
                ..Function::default()
            };
            for word in rest.split_whitespace() {
                match word.strip_prefix("comdat=") {
                    Some(group) => {
                        let member = vec![object.functions.len()];
                        object.comdats.push((group.to_owned(), member));
                    }
                    None => function.flags |= symbol_flag(word),
                }
            }
            object.functions.push(function);
        }
        "data" => {
            let (section, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            let mut segment = Segment {
                name: section.to_owned(),
                symbol: name.into(),
                ..Segment::default()
            };
            for word in rest.split_whitespace() {
                match word {
                    "strings" => segment.flags |= 1,
                    "tls" => segment.flags |= 2,
                    "retain" => segment.flags |= 4,
                    _ => match word.strip_prefix("align=") {
                        Some(align) => {
                            let align: u32 = align.parse().unwrap();
                            assert!(align.is_power_of_two(), "{word}");
                            segment.align = align.trailing_zeros();
                        }
                        None => segment.symbol_flags |= symbol_flag(word),
                    },
                }
            }
            object.segments.push(segment);
            return true;
        }
        "constructor" => {
            let function = Symbol::Name(rest.to_owned());
            object.constructors.push((name.parse().unwrap(), function));
        }
        "feature" => {
            let (policy, name) = name.split_at(1);
            object
                .features
                .push((policy.as_bytes()[0], name.to_owned()));
        }
        "custom" => object.customs.push((name.to_owned(), string(rest))),
        _ => panic!("what is `{line}`?"),
    }
    false
}

fn symbol_flag(word: &str) -> u32 {
    match word {
        "weak" => flags::WEAK,
        "local" => flags::LOCAL,
        "hidden" => flags::HIDDEN,
        "export" => flags::EXPORTED,
        "retain" => flags::NO_STRIP,
        "named" => flags::EXPLICIT_NAME,
        _ => panic!("what is `{word}`?"),
    }
}

/// `(i32) -> i32` at the front of a text, and what follows.
fn signature(text: &str) -> (Type, &str) {
    let inner = text
        .strip_prefix('(')
        .unwrap_or_else(|| panic!("no type in `{text}`"));
    let (params, rest) = inner.split_once(')').unwrap();
    let params = params.split_whitespace().map(value_type).collect();
    let mut rest = rest.trim_start();
    let mut results = Vec::new();
    if let Some(after) = rest.strip_prefix("-> ") {
        let (result, after) = after.split_once(' ').unwrap_or((after, ""));
        results.push(value_type(result));
        rest = after;
    }
    (Type { params, results }, rest)
}

fn value_type(name: &str) -> u8 {
    match name {
        "i32" => I32,
        "i64" => 0x7e,
        "f32" => 0x7d,
        "f64" => 0x7c,
        _ => panic!("what is `{name}`?"),
    }
}

/// `&symbol+4` or `*symbol`: whether it is a table slot, the symbol, the addend.
fn reference(text: &str) -> Option<(bool, Symbol, Option<i32>)> {
    if let Some(function) = text.strip_prefix('*') {
        return Some((true, Symbol::Name(function.to_owned()), None));
    }
    let (name, addend) = match text.strip_prefix('&')? {
        text if text.contains('+') => text.split_once('+').unwrap(),
        text => (text, "0"),
    };
    let addend = addend.parse().unwrap();
    Some((false, Symbol::Name(name.to_owned()), Some(addend)))
}

fn data(line: &str) -> Data {
    match reference(line) {
        Some((true, symbol, _)) => Data::Pointer(reloc::TABLE_INDEX_I32, symbol, None),
        Some((false, symbol, addend)) => Data::Pointer(reloc::MEMORY_ADDR_I32, symbol, addend),
        None => match line.strip_prefix("zero ") {
            Some(count) => Data::Bytes(vec![0; count.parse().unwrap()]),
            None => Data::Bytes(string(line)),
        },
    }
}

/// `"text"`, with `\00` for bytes.
fn string(text: &str) -> Vec<u8> {
    let inner = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let mut rest = inner.unwrap_or_else(|| panic!("no text: {text}"));
    let mut bytes = Vec::new();
    while let Some((plain, escaped)) = rest.split_once('\\') {
        bytes.extend(plain.bytes());
        bytes.push(u8::from_str_radix(&escaped[..2], 16).unwrap());
        rest = &escaped[2..];
    }
    bytes.extend(rest.bytes());
    bytes
}

fn instruction(line: &str) -> Vec<Code> {
    let (name, operand) = line.split_once(' ').unwrap_or((line, ""));
    let plain = |opcode: u8| vec![Code::Bytes(vec![opcode])];
    let number = |opcode: u8| {
        let mut bytes = vec![opcode];
        super::sleb(&mut bytes, operand.parse().unwrap());
        vec![Code::Bytes(bytes)]
    };
    let symbol = |opcode: u8, kind: u8| {
        let symbol = match operand {
            "__stack_pointer" => Symbol::StackPointer,
            name => Symbol::Name(name.to_owned()),
        };
        vec![Code::Bytes(vec![opcode]), Code::Operand(kind, symbol, None)]
    };
    match name {
        "unreachable" => plain(0x00),
        "return" => plain(0x0f),
        "drop" => plain(0x1a),
        "i32.add" => plain(0x6a),
        "i32.sub" => plain(0x6b),
        "i32.mul" => plain(0x6c),
        "i32.load" => vec![Code::Bytes(vec![0x28, 2, 0])],
        "i32.load8_u" => vec![Code::Bytes(vec![0x2d, 0, 0])],
        "i32.store" => vec![Code::Bytes(vec![0x36, 2, 0])],
        "local.get" => number(0x20),
        "call" => symbol(0x10, reloc::FUNCTION_INDEX_LEB),
        "global.get" => symbol(0x23, reloc::GLOBAL_INDEX_LEB),
        "global.set" => symbol(0x24, reloc::GLOBAL_INDEX_LEB),
        "call_indirect" => vec![
            Code::Bytes(vec![0x11]),
            Code::TypeOperand(signature(operand).0),
            Code::Operand(reloc::TABLE_NUMBER_LEB, Symbol::Index(0), None),
        ],
        "i32.const" => match reference(operand) {
            Some((slot, symbol, addend)) => {
                let kind = match slot {
                    true => reloc::TABLE_INDEX_SLEB,
                    false => reloc::MEMORY_ADDR_SLEB,
                };
                vec![Code::Bytes(vec![0x41]), Code::Operand(kind, symbol, addend)]
            }
            None => number(0x41),
        },
        _ => panic!("what is `{line}`?"),
    }
}
