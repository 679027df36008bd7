//! The indices of globals: imports, then synthetic ones, then the objects', GOT
//! entries, and those that hold addresses of exported data.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::index::{GlobalIndex, Index, IndexVec, ObjGlobal, ObjectId, SymbolId, Within};
use crate::live::Live;
use crate::live::mark::GotEntry;
use crate::options::Options;
use crate::origin::SymbolKind;
use crate::resolve::resolution::Resolution;
use crate::symbols::SyntheticGlobal;
use crate::synthetic::Synthetics;

/// A global that the module defines.
#[derive(Debug, Clone, Copy)]
pub enum DefinedGlobal {
    /// One that the linker defines for a symbol.
    Synthetic(SyntheticGlobal),
    /// Whether the constructors have run.
    InitDone,
    /// An object's.
    Object(Within<ObjGlobal>),
    /// An address or table slot for position-independent code.
    Got(GotEntry),
    /// The address of an exported data symbol.
    ExportedData(SymbolId),
}

/// The globals of the module.
#[derive(Debug, Default)]
pub struct Globals {
    /// Those it imports.
    pub imports: Vec<SymbolId>,
    /// GOT entries that it imports, after those.
    pub got_imports: Vec<GotEntry>,
    /// Those it defines; their indices go on from the imports'.
    pub defined: Vec<DefinedGlobal>,
    /// Which says that the constructors have run.
    pub init_done: Option<GlobalIndex>,
    synthetic: BTreeMap<SyntheticGlobal, GlobalIndex>,
    imported: HashMap<SymbolId, GlobalIndex>,
    objects: IndexVec<ObjectId, IndexVec<ObjGlobal, Option<GlobalIndex>>>,
    got: HashMap<GotEntry, GlobalIndex>,
    exported_data: HashMap<SymbolId, GlobalIndex>,
}

/// Numbers them.
pub fn number(
    resolution: &Resolution,
    live: &Live,
    synthetics: &Synthetics,
    options: &Options,
) -> Globals {
    let mut globals = Globals::default();
    for &id in &live.imports {
        if resolution.symbols[id].kind == SymbolKind::Global {
            let index = GlobalIndex::new(globals.imports.len());
            globals.imports.push(id);
            globals.imported.insert(id, index);
        }
    }
    for (alias, id) in &live.same_imports {
        if let Some(&index) = globals.imported.get(id) {
            globals.imported.insert(*alias, index);
        }
    }
    let reached = &live.reached;
    for &entry in &reached.got {
        if entry.is_imported(resolution, options) {
            let index = GlobalIndex::new(globals.imported_count());
            globals.got_imports.push(entry);
            globals.got.insert(entry, index);
        }
    }
    for &global in &reached.synthetic_globals {
        let index = globals.define(DefinedGlobal::Synthetic(global));
        globals.synthetic.insert(global, index);
    }
    if synthetics.has_init_done {
        globals.init_done = Some(globals.define(DefinedGlobal::InitDone));
    }
    for (id, reached) in reached.objects.enumerate() {
        let mut indices = IndexVec::filled(reached.globals.len(), None);
        for global in reached.globals.marked() {
            let defined = DefinedGlobal::Object(Within::new(id, global));
            indices[global] = Some(globals.define(defined));
        }
        globals.objects.push(indices);
    }
    for &entry in &live.got {
        if !globals.got.contains_key(&entry) {
            let index = globals.define(DefinedGlobal::Got(entry));
            globals.got.insert(entry, index);
        }
    }
    for &id in &live.exports {
        if resolution.symbols[id].kind == SymbolKind::Data {
            let index = globals.define(DefinedGlobal::ExportedData(id));
            globals.exported_data.insert(id, index);
        }
    }
    globals
}

impl Globals {
    fn define(&mut self, global: DefinedGlobal) -> GlobalIndex {
        self.defined.push(global);
        GlobalIndex::new(self.imported_count() + self.defined.len() - 1)
    }

    /// How many it imports.
    pub fn imported_count(&self) -> usize {
        self.imports.len() + self.got_imports.len()
    }

    /// The index of one that the linker defines, if it is live.
    pub fn synthetic(&self, global: SyntheticGlobal) -> Option<GlobalIndex> {
        self.synthetic.get(&global).copied()
    }

    /// The index of an imported one.
    pub fn imported(&self, id: SymbolId) -> Option<GlobalIndex> {
        self.imported.get(&id).copied()
    }

    /// The index of an object's, if it is live.
    pub fn object(&self, global: Within<ObjGlobal>) -> Option<GlobalIndex> {
        self.objects[global.object][global.index]
    }

    /// The index of a GOT entry.
    pub fn got(&self, entry: GotEntry) -> Option<GlobalIndex> {
        self.got.get(&entry).copied()
    }

    /// The index of the one that holds the address of exported data.
    pub fn exported_data(&self, id: SymbolId) -> Option<GlobalIndex> {
        self.exported_data.get(&id).copied()
    }
}
