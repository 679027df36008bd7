//! The texts that wasm-ld prints about a link: `-Map`, `--why-extract`,
//! `--trace`.

use std::fmt::Write as _;

use wasmparser::{Parser, Payload};

use genkan_link::{Event, Item, Options, Report, Traced};

/// What is where in the module: one line a section, function and data symbol,
/// in columns of hexadecimal digits.
pub fn map(report: &Report, options: &Options, module: &[u8]) -> String {
    let mut text = String::from("    Addr      Off     Size Out     In      Symbol\n");
    for payload in Parser::new(0).parse_all(module) {
        let Ok(payload) = payload else { break };
        let Some((id, range)) = payload.as_section() else {
            continue;
        };
        let (offset, size) = (range.start, range.end - range.start);
        match payload {
            Payload::CustomSection(ref section) => {
                line(
                    &mut text,
                    None,
                    offset,
                    size,
                    &format!("CUSTOM({})", section.name()),
                );
            }
            _ => line(&mut text, None, offset, size, section_name(id)),
        }
        match payload {
            Payload::CodeSectionStart { .. } => {
                for item in &report.functions {
                    item_lines(&mut text, options, (None, offset + item.position), item);
                }
            }
            Payload::DataSection(segments) => {
                data(&mut text, options, segments, report);
            }
            _ => {}
        }
    }
    text
}

/// The segments of memory, each with the symbols that are within it.
fn data(
    text: &mut String,
    options: &Options,
    segments: wasmparser::DataSectionReader<'_>,
    report: &Report,
) {
    for segment in segments.into_iter().flatten() {
        let wasmparser::DataKind::Active { offset_expr, .. } = segment.kind else {
            continue;
        };
        let Ok(wasmparser::Operator::I32Const { value }) =
            offset_expr.get_operators_reader().read()
        else {
            continue;
        };
        let address = u64::from(value as u32);
        let (size, end) = (segment.data.len() as u64, segment.range.end);
        let offset = end - size;
        line(text, Some(address), offset, size, "  segment");
        let within = address..address + size;
        for item in report
            .data
            .iter()
            .filter(|item| within.contains(&item.position))
        {
            let position = (Some(item.position), offset + item.position - address);
            item_lines(text, options, position, item);
        }
    }
}

/// `address` and `offset` are where it is in memory, and in the module.
fn item_lines(
    text: &mut String,
    options: &Options,
    (address, offset): (Option<u64>, u64),
    item: &Item,
) {
    let name = options.shown(&item.name);
    if let Some(origin) = &item.origin {
        let place = format!("        {origin}:({name})");
        line(text, address, offset, item.size, &place);
    }
    line(
        text,
        address,
        offset,
        item.size,
        &format!("                {name}"),
    );
    for folded in &item.folded {
        let (origin, name) = (&folded.origin, options.shown(&folded.name));
        let place = format!("        {origin}:({name})");
        line(text, address, offset, 0, &place);
    }
}

fn line(text: &mut String, address: Option<u64>, offset: u64, size: u64, what: &str) {
    let address = address.map_or("-".into(), |address| format!("{address:x}"));
    // Writing to a string does not fail.
    let _ = writeln!(text, "{address:>8} {offset:>8x} {size:>8x} {what}");
}

fn section_name(id: u8) -> &'static str {
    match id {
        1 => "TYPE",
        2 => "IMPORT",
        3 => "FUNCTION",
        4 => "TABLE",
        5 => "MEMORY",
        6 => "GLOBAL",
        7 => "EXPORT",
        8 => "START",
        9 => "ELEM",
        10 => "CODE",
        11 => "DATA",
        12 => "DATACOUNT",
        13 => "TAG",
        _ => "UNKNOWN",
    }
}

/// What is written for others, in the manner of lld for ELF.
pub fn folded(report: &Report, options: &Options) -> String {
    let mut text = String::new();
    for item in report.functions.iter().chain(&report.data) {
        let Some(origin) = item.origin.as_ref().filter(|_| !item.folded.is_empty()) else {
            continue;
        };
        let name = options.shown(&item.name);
        let _ = writeln!(text, "selected section {origin}:({name})");
        for folded in &item.folded {
            let (origin, name) = (&folded.origin, options.shown(&folded.name));
            let _ = writeln!(text, "  removing identical section {origin}:({name})");
        }
    }
    text
}

/// What is not in the module, since nothing reaches it.
pub fn removed(report: &Report) -> String {
    let mut text = String::new();
    for removed in &report.removed {
        let origin = removed.origin.as_ref().map(ToString::to_string);
        let origin = origin.as_deref().unwrap_or("<internal>");
        let _ = writeln!(text, "removing unused section {origin}:({})", removed.name);
    }
    text
}

/// What happened to the symbols of `--trace-symbol`.
pub fn traced(report: &Report) -> String {
    let mut text = String::new();
    for Traced {
        symbol,
        origin,
        event,
        ..
    } in &report.traced
    {
        let _ = match event {
            Event::Reference => writeln!(text, "{origin}: reference to {symbol}"),
            Event::Definition => writeln!(text, "{origin}: definition of {symbol}"),
            Event::LazyDefinition => writeln!(text, "{origin}: lazy definition of {symbol}"),
            Event::Import => writeln!(text, "{origin}: importing {symbol}"),
            Event::Export { by } => {
                writeln!(text, "{origin}: exported {symbol} due to import of {by}")
            }
            // The linker has no other.
            _ => Ok(()),
        };
    }
    text
}

/// Which archive members are in the module, and the symbols that they were
/// wanted for.
pub fn why_extract(report: &Report, options: &Options) -> String {
    let mut text = String::from("reference\textracted\tsymbol\n");
    for extracted in &report.extracted {
        match &extracted.wanted_by {
            Some(origin) => text.push_str(&origin.to_string()),
            None => text.push_str("<internal>"),
        }
        let symbol = options.shown(&extracted.symbol);
        let _ = writeln!(text, "\t{}\t{symbol}", extracted.origin);
    }
    text
}
