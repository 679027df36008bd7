//! Types as WebAssembly's text format writes them, nearly.

use wasmparser::{FuncType, GlobalType, MemoryType, TableType, ValType};

/// `(i64, i32) -> i32`.
pub fn function(ty: &FuncType) -> String {
    let list = |types: &[ValType]| {
        let types: Vec<String> = types.iter().map(ToString::to_string).collect();
        types.join(", ")
    };
    match ty.results() {
        [] => format!("({})", list(ty.params())),
        results => format!("({}) -> {}", list(ty.params()), list(results)),
    }
}

/// `1 to 4 pages`.
pub fn memory(ty: &MemoryType) -> String {
    let wide = if ty.memory64 { "i64 " } else { "" };
    let shared = if ty.shared { ", shared" } else { "" };
    format!("{wide}{} pages{shared}", limits(ty.initial, ty.maximum))
}

/// `exactly 2 funcref`.
pub fn table(ty: &TableType) -> String {
    format!("{} {}", limits(ty.initial, ty.maximum), ty.element_type)
}

/// `mut i32`.
pub fn global(ty: &GlobalType) -> String {
    let mutable = if ty.mutable { "mut " } else { "" };
    format!("{mutable}{}", ty.content_type)
}

fn limits(initial: u64, maximum: Option<u64>) -> String {
    match maximum {
        Some(maximum) if maximum == initial => format!("exactly {initial}"),
        Some(maximum) => format!("{initial} to {maximum}"),
        None => format!("{initial} or more"),
    }
}
