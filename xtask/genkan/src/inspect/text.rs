//! A summary for people.

use std::fmt::Write as _;

use super::names::{cut, visible};
use super::{CrateSize, Export, Function, Import, Section, Summary};
use crate::shell::{self, BOLD};

impl Summary {
    /// For people, within 80 columns: of crates and functions the `top` largest,
    /// or all.
    pub fn text(&self, top: Option<usize>) -> String {
        let mut text = String::new();
        let what = if self.object {
            "relocatable object"
        } else {
            "module"
        };
        let _ = writeln!(text, "{BOLD}{what}{BOLD:#}, {}", shell::bytes(self.size));
        self.interface(&mut text);
        self.section_sizes(&mut text);
        self.code(&mut text, top.unwrap_or(usize::MAX));
        text
    }

    fn interface(&self, text: &mut String) {
        heading(text, "Imports", self.imports.len());
        for import in &self.imports {
            let Import {
                module, name, ty, ..
            } = import;
            entry(text, &format!("{module}.{name}"), ty);
        }
        heading(text, "Exports", self.exports.len());
        for Export { name, ty } in &self.exports {
            entry(text, name, ty);
        }
        if !self.column_functions.is_empty() {
            heading(text, "Functions over columns", self.column_functions.len());
            for function in &self.column_functions {
                entry(text, &function.name, &visible(&function.signature()));
            }
        }
        for (title, lines) in [
            ("Memory", &self.memories),
            ("Table", &self.tables),
            ("Features", &self.features),
            ("Producers", &self.producers),
        ] {
            if !lines.is_empty() {
                heading(text, title, lines.len());
                for line in lines {
                    let _ = writeln!(text, "  {}", cut(&visible(line), 78));
                }
            }
        }
    }

    fn section_sizes(&self, text: &mut String) {
        heading(text, "Sections", self.sections.len());
        for Section { name, size, .. } in &self.sections {
            self.size_line(text, *size, name, "");
        }
        let contents: u64 = self.sections.iter().map(|section| section.size).sum();
        self.size_line(text, self.size - contents, "(headers)", "");
        self.size_line(text, self.size, "total", "");
    }

    fn code(&self, text: &mut String, top: usize) {
        let all: u64 = self.functions.iter().map(|function| function.size).sum();
        if self.crates.len() > 1 {
            heading(text, "Code by crate", self.crates.len());
            for entry in self.crates.iter().take(top) {
                let CrateSize {
                    name,
                    size,
                    functions,
                } = entry;
                self.size_line(
                    text,
                    *size,
                    name,
                    &format!(" ({})", shell::count(*functions, "function")),
                );
            }
            let rest = self.crates.iter().skip(top).map(|entry| entry.size);
            self.rest_line(text, rest, "crates");
            let functions = format!(" ({})", shell::count(self.functions.len(), "function"));
            self.size_line(text, all, "total", &functions);
        }
        heading(text, "Functions", self.functions.len());
        for function in self.functions.iter().take(top) {
            let Function { name, size, .. } = function;
            let group = visible(function.group().trim_matches(['(', ')']));
            self.size_line(text, *size, name, &format!(" [{}]", cut(&group, 20)));
        }
        let rest = self
            .functions
            .iter()
            .skip(top)
            .map(|function| function.size);
        self.rest_line(text, rest, "functions");
        if self.functions.len() > 1 {
            self.size_line(text, all, "total", "");
        }
    }

    /// A size, its share of the file, and whose it is.
    fn size_line(&self, text: &mut String, size: u64, name: &str, more: &str) {
        let share = share(size, self.size);
        let name = cut(&visible(name), 60 - more.chars().count());
        let _ = writeln!(text, "{size:>10} {share:>5.1} %  {name}{more}");
    }

    fn rest_line(&self, text: &mut String, rest: impl Iterator<Item = u64>, what: &str) {
        let (count, size) = rest.fold((0, 0), |(count, sum), size| (count + 1, sum + size));
        if count > 0 {
            self.size_line(text, size, &format!("… {count} smaller {what}"), "");
        }
    }
}

/// `size` in percent of `whole`.
pub fn share(size: u64, whole: u64) -> f64 {
    match whole {
        0 => 0.0,
        whole => size as f64 * 100.0 / whole as f64,
    }
}

fn heading(text: &mut String, title: &str, count: usize) {
    let _ = match count {
        0 => writeln!(text, "\n{BOLD}{title}{BOLD:#}: none"),
        1 => writeln!(text, "\n{BOLD}{title}{BOLD:#}"),
        _ => writeln!(text, "\n{BOLD}{title}{BOLD:#} ({count})"),
    };
}

/// A name and its type: on one line where that fits.
fn entry(text: &mut String, name: &str, ty: &str) {
    let name = visible(name);
    let _ = match name.chars().count() + ty.len() {
        0..76 => writeln!(text, "  {name}: {ty}"),
        _ => writeln!(text, "  {}:\n      {}", cut(&name, 76), cut(ty, 74)),
    };
}
