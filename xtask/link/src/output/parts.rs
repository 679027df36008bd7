//! What the phases before made, together.

use wasm_encoder::{ConstExpr, InstructionSink};

use crate::fold::Folds;
use crate::index::GlobalIndex;
use crate::indices::IndexSpaces;
use crate::input::object::Referent;
use crate::layout::Layout;
use crate::live::Live;
use crate::live::mark::GotEntry;
use crate::options::Options;
use crate::origin::SymbolKind;
use crate::resolve::resolution::{FunctionRef, Resolution};
use crate::synthetic::Synthetics;

/// What the phases before made, and the module is written from.
#[derive(Clone, Copy)]
pub struct Parts<'p, 'a> {
    /// What each symbol stands for.
    pub resolution: &'p Resolution<'a>,
    /// What the module holds.
    pub live: &'p Live<'a>,
    /// Which functions and constants are the same.
    pub folds: &'p Folds,
    /// What lies where in memory.
    pub layout: &'p Layout<'a>,
    /// The functions that the linker adds.
    pub synthetics: &'p Synthetics<'a>,
    /// All indices.
    pub indices: &'p IndexSpaces<'a>,
    /// What the caller decides.
    pub options: &'p Options,
}

impl<'p> Parts<'p, '_> {
    /// The global by which a dynamic linker places the module: `__memory_base`, or
    /// `__table_base`.
    pub fn place(&self, name: &str) -> Option<GlobalIndex> {
        let id = self.resolution.symbols.find(name)?;
        self.indices
            .globals
            .imported(id)
            .filter(|_| self.options.is_pic())
    }

    /// An address, or a number as wide, as a constant.
    pub fn address(&self, address: u32) -> ConstExpr {
        match self.resolution.is_64 {
            true => ConstExpr::i64_const(address.into()),
            false => ConstExpr::i32_const(address as i32),
        }
    }

    /// Code that pushes an address, or a number as wide.
    pub fn push_address<'c, 's>(
        &self,
        code: &'c mut InstructionSink<'s>,
        address: u32,
    ) -> &'c mut InstructionSink<'s> {
        match self.resolution.is_64 {
            true => code.i64_const(address.into()),
            false => code.i32_const(address as i32),
        }
    }

    /// The kind and name of the symbol that a GOT entry is for.
    pub fn got_symbol(&self, entry: GotEntry) -> (SymbolKind, &'p str) {
        match entry {
            GotEntry::Shared(id) => {
                let symbol = &self.resolution.symbols[id];
                (symbol.kind, &symbol.name)
            }
            GotEntry::Local(at) => {
                let symbol = self.resolution.object_symbol(at);
                (symbol.kind, symbol.name)
            }
        }
    }

    /// A function's name, as its symbol has it.
    pub fn function_name(&self, function: FunctionRef) -> &'p str {
        match function {
            FunctionRef::Undefined(id) => &self.resolution.symbols[id].name,
            FunctionRef::Synthetic(id) => &self.resolution.synthetic[id].name,
            FunctionRef::Object(f) => {
                let symbols = &self.resolution.object(f.object).symbols;
                let mut symbols = symbols.enumerate();
                let defines = Referent::Function(f.index);
                let symbol = symbols.find(|(_, symbol)| symbol.referent == defines);
                symbol.map_or("", |(_, symbol)| symbol.name)
            }
        }
    }
}
