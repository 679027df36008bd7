//! Follows relocations from what the module must hold to what that needs.

use std::collections::BTreeSet;

use hashbrown::{HashMap, HashSet};
use wasmparser::{RelocationType, SymbolFlags};

use crate::error::{Error, Errors, Result, UndefinedReason, UndefinedSymbol};
use crate::index::{
    IndexVec, ObjFunction, ObjGlobal, ObjSegment, ObjSymbol, ObjTable, ObjTag, ObjectId, SymbolId,
    SyntheticId, Within,
};
use crate::input::object::{FUNCTION_TABLE, Object, ObjectSymbol, Referent, SEGMENT_RETAIN};
use crate::input::relocation::{self, Relocation};
use crate::options::{Options, OutputKind};
use crate::origin::SymbolKind;
use crate::resolve::resolution::{Chunk, FunctionRef, JoinedObject, Resolution, Target};
use crate::signature::Signature;
use crate::symbols::{Action, Definition, LinkerAddress, Symbol, SyntheticGlobal};

/// A symbol whose address or table slot code reads from a global
/// (position-independent code).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GotEntry {
    /// A shared symbol.
    Shared(SymbolId),
    /// An object's own symbol.
    Local(Within<ObjSymbol>),
}

impl GotEntry {
    /// The entry for what a symbol stands for.
    pub fn of(target: Target) -> Self {
        match target {
            Target::Shared(id, _) => GotEntry::Shared(id),
            Target::Object(symbol) => GotEntry::Local(symbol),
        }
    }

    /// Whether the dynamic linker fills it in, or the final link does, since another
    /// module may have the symbol.
    pub fn is_imported(self, resolution: &Resolution, options: &Options) -> bool {
        match self {
            GotEntry::Shared(id) => {
                let symbol = &resolution.symbols[id];
                let is_open =
                    options.is_dynamic() || options.is_relocatable() || symbol.is_in_library();
                !symbol.is_defined() && is_open && !may_be_null(symbol, options)
            }
            GotEntry::Local(symbol) => {
                let symbol = resolution.object_symbol(symbol);
                let is_hidden = symbol.flags.contains(SymbolFlags::VISIBILITY_HIDDEN);
                let is_others = options.kind == OutputKind::Shared
                    && !options.symbolic
                    && !symbol.is_local()
                    && !is_hidden;
                is_others || options.is_relocatable()
            }
        }
    }
}

/// Whether an undefined function is nowhere if this link has none.
fn may_be_null(symbol: &Symbol, options: &Options) -> bool {
    let is_last = !options.is_relocatable() && !options.is_pic();
    symbol.kind == SymbolKind::Function && symbol.is_weak() && is_last && !symbol.is_in_library()
}

/// What is reached of an object.
#[derive(Debug)]
pub struct ReachedObject {
    /// Functions it defines.
    pub functions: IndexVec<ObjFunction, bool>,
    /// How often live code calls each.
    pub calls: IndexVec<ObjFunction, u32>,
    /// Data segments.
    pub segments: IndexVec<ObjSegment, bool>,
    /// Globals it defines.
    pub globals: IndexVec<ObjGlobal, bool>,
    /// Tags it defines.
    pub tags: IndexVec<ObjTag, bool>,
    /// Tables it defines.
    pub tables: IndexVec<ObjTable, bool>,
}

impl ReachedObject {
    fn nothing_of(object: &Object) -> Self {
        ReachedObject {
            functions: IndexVec::filled(object.functions.len(), false),
            calls: IndexVec::filled(object.functions.len(), 0),
            segments: IndexVec::filled(object.segments.len(), false),
            globals: IndexVec::filled(object.globals.len(), false),
            tags: IndexVec::filled(object.tags.len(), false),
            tables: IndexVec::filled(object.tables.len(), false),
        }
    }

    /// Whether it has any code or data in the module.
    pub fn has_part(&self) -> bool {
        let (functions, segments) = (self.functions.as_slice(), self.segments.as_slice());
        functions.contains(&true) || segments.contains(&true)
    }
}

/// What is reached.
#[derive(Debug)]
pub struct Reached<'a> {
    /// Per object, what of it.
    pub objects: IndexVec<ObjectId, ReachedObject>,
    /// Functions that the linker defines for symbols.
    pub synthetic: IndexVec<SyntheticId, bool>,
    /// Globals that the linker defines.
    pub synthetic_globals: BTreeSet<SyntheticGlobal>,
    /// The function table, be it empty.
    pub function_table: bool,
    /// A zero byte for the allocator shim.
    pub zero_byte: bool,
    /// Functions whose address is taken.
    pub address_taken: BTreeSet<FunctionRef>,
    /// Symbols whose address is read from a global.
    pub got: BTreeSet<GotEntry>,
    /// Types of indirect calls.
    pub call_types: Vec<Signature<'a>>,
    /// `__start_NAME` and `__stop_NAME` symbols.
    pub bounds: Vec<SymbolId>,
    /// Symbols that nothing defines, with the first object that uses each.
    pub undefined: Vec<(SymbolId, Option<ObjectId>)>,
    /// Undefined functions that are called, not only pointed to.
    pub called_undefined: BTreeSet<SymbolId>,
    /// Weak functions of a shared library that other modules may replace, and that
    /// are called.
    pub replaceable: BTreeSet<SymbolId>,
    /// Weak functions that nothing defines, but that are called.
    pub called_weak: BTreeSet<SymbolId>,
    /// For the report: what first reached a chunk.
    pub reached_from: HashMap<Chunk, Chunk>,
}

impl Reached<'_> {
    /// Whether a live data segment has this name.
    pub fn has_segment(&self, resolution: &Resolution, name: &str) -> bool {
        self.objects.enumerate().any(|(id, reached)| {
            let segments = &resolution.object(id).segments;
            let mut live = reached.segments.marked();
            live.any(|index| segments[index].name == name)
        })
    }
}

/// Marks all that `exports`, the entry, constructors and retained data need.
///
/// # Errors
///
/// If relocations are damaged, or refer to a comdat group's local symbol of
/// which another copy is linked.
pub fn reach<'a>(
    resolution: &Resolution<'a>,
    options: &Options,
    exports: &[SymbolId],
) -> Result<Reached<'a>> {
    let mut marker = Marker::new(resolution, options);
    if options.is_relocatable() {
        marker.whole_objects();
        marker.references();
    } else {
        marker.roots(exports);
        marker.run()?;
        if !options.gc_sections {
            marker.whole_objects();
            marker.named(SyntheticGlobal::StackPointer.name());
        }
    }
    marker.run()?;
    Errors::check(marker.errors)?;
    Ok(marker.reached)
}

struct Marker<'p, 'a> {
    resolution: &'p Resolution<'a>,
    options: &'p Options,
    reached: Reached<'a>,
    queue: Vec<Chunk>,
    /// Per object: its constructors and retained segments are marked.
    entered: IndexVec<ObjectId, bool>,
    seen_shared: HashSet<SymbolId>,
    seen_types: HashSet<Signature<'a>>,
    errors: Vec<Error>,
    current: Option<Chunk>,
}

impl<'p, 'a> Marker<'p, 'a> {
    fn new(resolution: &'p Resolution<'a>, options: &'p Options) -> Self {
        let objects = resolution.all_objects();
        Marker {
            resolution,
            options,
            reached: Reached {
                objects: objects
                    .map(|(_, object)| ReachedObject::nothing_of(object))
                    .collect(),
                synthetic: IndexVec::filled(resolution.synthetic.len(), false),
                synthetic_globals: BTreeSet::new(),
                function_table: false,
                zero_byte: false,
                address_taken: BTreeSet::new(),
                got: BTreeSet::new(),
                call_types: Vec::new(),
                bounds: Vec::new(),
                undefined: Vec::new(),
                called_undefined: BTreeSet::new(),
                replaceable: BTreeSet::new(),
                called_weak: BTreeSet::new(),
                reached_from: HashMap::new(),
            },
            queue: Vec::new(),
            entered: IndexVec::filled(resolution.objects.len(), false),
            seen_shared: HashSet::new(),
            seen_types: HashSet::new(),
            errors: Vec::new(),
            current: None,
        }
    }

    fn roots(&mut self, exports: &[SymbolId]) {
        let resolution = self.resolution;
        let symbols = &resolution.symbols;
        let entry = self.options.entry.as_deref();
        let entry = entry.and_then(|name| symbols.find(name));
        // An export keeps no data segment.
        let is_bound = |id: &SymbolId| symbols[*id].bounds().is_some();
        let exports = exports.iter().copied().filter(|id| !is_bound(id));
        let roots = exports.chain(entry);
        for id in roots.chain(resolution.destructors) {
            self.symbol(resolution.shared_target(id), None);
        }
        for (id, symbol) in symbols.enumerate() {
            // The table of functions is needed when something uses it; LLVM
            // marks it in every object, and wasm-ld keeps it.
            let kept = symbol.flags.contains(SymbolFlags::NO_STRIP)
                && !(self.options.lean && symbol.definition == Definition::FunctionTable);
            if kept && symbol.is_defined() {
                self.symbol(resolution.shared_target(id), None);
            }
        }
        for (id, joined) in resolution.objects.enumerate() {
            if joined.is_root {
                self.enter(id);
            }
        }
        let table = &self.options.table;
        if self.options.is_pic() {
            self.named("__memory_base");
            self.named("__table_base");
        }
        self.reached.function_table |=
            table.export || (table.import && symbols.find(FUNCTION_TABLE).is_some());
        let any_legacy = |joined: &JoinedObject| joined.object.legacy_table;
        self.reached.function_table |=
            !self.options.lean && resolution.objects.iter().any(any_legacy);
    }

    fn named(&mut self, name: &str) {
        if let Some(id) = self.resolution.symbols.find(name) {
            self.symbol(self.resolution.shared_target(id), None);
        }
    }

    /// Marks what an object brings along as soon as it is part of the module.
    fn enter(&mut self, id: ObjectId) {
        if std::mem::replace(&mut self.entered[id], true) {
            return;
        }
        let resolution = self.resolution;
        let object = resolution.object(id);
        self.reached.function_table |= object.legacy_table;
        for &(_, symbol) in &object.init_functions {
            self.symbol(resolution.target(Within::new(id, symbol)), Some(id));
        }
        for (index, segment) in object.segments.enumerate() {
            if segment.flags & SEGMENT_RETAIN != 0 {
                self.segment(Within::new(id, index));
            }
        }
    }

    fn reach(&mut self, chunk: Chunk) {
        self.queue.push(chunk);
        if self.options.report
            && let Some(current) = self.current
        {
            self.reached.reached_from.insert(chunk, current);
        }
    }

    fn function(&mut self, function: Within<ObjFunction>) {
        let Within { object, index } = function;
        let comdat = self.resolution.object(object).functions[index].comdat;
        let live = &mut self.reached.objects[object].functions[index];
        if !*live && !self.resolution.is_discarded(object, comdat) {
            *live = true;
            self.reach(Chunk::Function(function));
            self.enter(object);
        }
    }

    fn segment(&mut self, segment: Within<ObjSegment>) {
        let Within { object, index } = segment;
        let comdat = self.resolution.object(object).segments[index].comdat;
        let live = &mut self.reached.objects[object].segments[index];
        if !*live && !self.resolution.is_discarded(object, comdat) {
            *live = true;
            self.reach(Chunk::Segment(segment));
            self.enter(object);
        }
    }

    /// Marks what a symbol stands for; `user` is the object that refers to it.
    fn symbol(&mut self, target: Target<'p>, user: Option<ObjectId>) {
        match target {
            Target::Object(symbol) => {
                let object = symbol.object;
                let reached = &mut self.reached.objects[object];
                match self.resolution.referent(symbol) {
                    Referent::Function(index) => self.function(Within::new(object, index)),
                    Referent::Data { segment, .. } => self.segment(Within::new(object, segment)),
                    Referent::Global(index) => reached.globals[index] = true,
                    Referent::Tag(index) => reached.tags[index] = true,
                    Referent::Table(index) => reached.tables[index] = true,
                    Referent::Absolute(_)
                    | Referent::Section(_)
                    | Referent::Import(_)
                    | Referent::UndefinedData => {}
                }
            }
            Target::Shared(id, definition) => {
                if self.seen_shared.insert(id) {
                    self.shared(id, definition, user);
                }
            }
        }
    }

    fn shared(&mut self, id: SymbolId, definition: &Definition, user: Option<ObjectId>) {
        let reached = &mut self.reached;
        match definition {
            Definition::Synthetic(synthetic) => self.synthetic(*synthetic),
            Definition::Global(global) => drop(reached.synthetic_globals.insert(*global)),
            Definition::FunctionTable => reached.function_table = true,
            Definition::Address(LinkerAddress::ZeroByte) => reached.zero_byte = true,
            Definition::Address(LinkerAddress::SegmentStart(_) | LinkerAddress::SegmentStop(_)) => {
                reached.bounds.push(id);
            }
            // `Target` has looked through the last.
            Definition::Address(_) | Definition::Object(_) => {}
            // A weak reference to a member that nothing else wants.
            Definition::Lazy(_) | Definition::Undefined => reached.undefined.push((id, user)),
        }
    }

    fn synthetic(&mut self, id: SyntheticId) {
        self.reached.synthetic[id] = true;
        match self.resolution.synthetic[id].action {
            Action::Panic(_) => {
                if let Some(report) = self.resolution.panic_report {
                    self.symbol(self.resolution.shared_target(report.symbol), None);
                }
            }
            Action::InitTls => {
                let base = SyntheticGlobal::TlsBase;
                self.reached.synthetic_globals.insert(base);
            }
            Action::Trap | Action::ReturnZero | Action::CallCtors | Action::ApplyDataRelocs => {}
        }
    }

    fn run(&mut self) -> Result<()> {
        let resolution = self.resolution;
        while let Some(chunk) = self.queue.pop() {
            self.current = Some(chunk);
            for relocation in resolution.relocations(chunk)? {
                self.relocation(chunk.object(), relocation);
            }
        }
        self.current = None;
        Ok(())
    }

    fn relocation(&mut self, id: ObjectId, relocation: &Relocation) {
        use RelocationType::*;
        let resolution = self.resolution;
        if relocation.ty == TypeIndexLeb {
            let ty = resolution.object(id).types[relocation.type_index()];
            if self.seen_types.insert(ty) {
                self.reached.call_types.push(ty);
            }
            return;
        }
        let symbol = Within::new(id, relocation.symbol());
        let target = resolution.target(symbol);
        if let Some(group) = resolution.discarded_group(target) {
            self.errors.push(discarded(resolution, symbol, group));
            return;
        }
        let entry = GotEntry::of(target);
        if resolution.is_dynamic && entry_is_needed(relocation.ty) {
            let is_absolute = matches!(
                target,
                Target::Shared(_, Definition::Address(LinkerAddress::Absolute(_)))
            );
            let imported = entry.is_imported(resolution, self.options);
            let in_code = !relocation::is_address_in_data(relocation.ty);
            if in_code && (imported || self.options.is_pic()) && !is_absolute {
                self.errors.push(absolute(resolution, symbol, relocation));
                return;
            }
            if imported {
                self.reached.got.insert(entry);
                self.symbol(target, Some(id));
                return;
            }
        }
        match relocation.ty {
            // A weak function that nothing defines: its address is null.
            ty if relocation::is_slot(ty) && !self.take_address(target) => {
                return;
            }
            FunctionIndexLeb => {
                if let Target::Object(callee) = target
                    && let Referent::Function(index) = resolution.referent(callee)
                {
                    self.reached.objects[callee.object].calls[index] += 1;
                }
                if let Some(id) = self.replaceable(symbol) {
                    self.reached.replaceable.insert(id);
                }
                if let Target::Shared(id, Definition::Undefined | Definition::Lazy(_)) = target {
                    self.reached.called_undefined.insert(id);
                }
                if let Target::Shared(id, Definition::Undefined | Definition::Lazy(_)) = target
                    && may_be_null(&self.resolution.symbols[id], self.options)
                {
                    self.reached.called_weak.insert(id);
                    return;
                }
            }
            GlobalIndexLeb | GlobalIndexI32 if resolution.is_got_entry(target) => {
                self.reached.got.insert(entry);
                let is_function = resolution.object_symbol(symbol).kind == SymbolKind::Function;
                let is_imported = entry.is_imported(resolution, self.options);
                // An object has all pointers to functions in its table.
                let is_own = !is_imported || self.options.is_relocatable();
                if is_function && is_own && !self.take_address(target) {
                    return;
                }
            }
            _ => {}
        }
        self.symbol(target, Some(id));
    }

    /// The shared symbol of a weak function that other modules may replace.
    fn replaceable(&self, symbol: Within<ObjSymbol>) -> Option<SymbolId> {
        let id = self.resolution.objects[symbol.object].bindings[symbol.index]?;
        let shared = &self.resolution.symbols[id];
        let may_be = self.options.kind == OutputKind::Shared
            && shared.is_weak()
            && shared.is_defined()
            && !shared.is_hidden();
        may_be.then_some(id)
    }

    /// Notes that a function's address is taken; whether that is not null.
    fn take_address(&mut self, target: Target) -> bool {
        let Some(function) = self.resolution.target_function(target) else {
            return false;
        };
        let is_null = match function {
            FunctionRef::Object(_) => false,
            FunctionRef::Synthetic(id) => self.resolution.synthetic[id].action == Action::Trap,
            FunctionRef::Undefined(id) => may_be_null(&self.resolution.symbols[id], self.options),
        };
        if !is_null {
            self.reached.address_taken.insert(function);
        }
        !is_null
    }

    /// Marks all undefined symbols that objects list: an object has them though
    /// nothing refers to them, so that archives' members are extracted.
    fn references(&mut self) {
        for (id, symbol) in self.resolution.symbols.enumerate() {
            if !symbol.is_defined() && symbol.wanted_by.is_some() {
                self.symbol(self.resolution.shared_target(id), symbol.wanted_by);
            }
        }
    }

    fn whole_objects(&mut self) {
        for (id, object) in self.resolution.all_objects() {
            self.enter(id);
            for function in object.functions.indices() {
                self.function(Within::new(id, function));
            }
            for segment in object.segments.indices() {
                self.segment(Within::new(id, segment));
            }
            let reached = &mut self.reached.objects[id];
            reached.globals = IndexVec::filled(object.globals.len(), true);
            reached.tags = IndexVec::filled(object.tags.len(), true);
            reached.tables = IndexVec::filled(object.tables.len(), true);
        }
        if self.options.lean || self.options.is_relocatable() {
            return;
        }
        // wasm-ld keeps its own functions, too.
        for id in self.resolution.synthetic.indices() {
            self.synthetic(id);
        }
        for (id, symbol) in self.resolution.symbols.enumerate() {
            let is_undefined = matches!(
                symbol.definition,
                Definition::Undefined | Definition::Lazy(_)
            );
            let is_wanted = symbol.wanted_by.is_some() && symbol.kind == SymbolKind::Function;
            if is_undefined && is_wanted && symbol.is_weak() {
                self.reached.called_weak.insert(id);
            }
        }
    }
}

/// Whether a relocation of this type writes an address that another module decides.
fn entry_is_needed(ty: RelocationType) -> bool {
    use RelocationType::*;
    matches!(
        ty,
        TableIndexSleb
            | MemoryAddrSleb
            | MemoryAddrLeb
            | TableIndexSleb64
            | MemoryAddrSleb64
            | MemoryAddrLeb64
    ) || relocation::is_address_in_data(ty)
}

/// An error about code with an address in it that is not known yet.
fn absolute(resolution: &Resolution, symbol: Within<ObjSymbol>, relocation: &Relocation) -> Error {
    let object = resolution.object(symbol.object);
    Error::NotPositionIndependent {
        origin: object.name.into(),
        ty: relocation::name(relocation.ty),
        symbol: object.symbols[symbol.index].name.to_owned(),
    }
}

fn discarded(resolution: &Resolution, symbol: Within<ObjSymbol>, group: &str) -> Error {
    let object = resolution.object(symbol.object);
    let ObjectSymbol { name, kind, .. } = object.symbols[symbol.index];
    Error::Undefined(UndefinedSymbol {
        symbol: name.to_owned(),
        kind,
        used_by: Some(object.name.into()),
        reason: UndefinedReason::Comdat(group.to_owned()),
    })
}
