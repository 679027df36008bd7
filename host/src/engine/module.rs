//! A module, compiled once for each way in which the pass rewrites it for its guests.

use super::compiler::{Compiled, Compiler};
use super::data;
use super::elements;
use super::frames;
use super::plain::plain;
use super::stack_pointer::StackPointer;
use crate::backtrace::{self, Origin, RawFrame};
use crate::calls::Declarations;
use crate::rewrite::{self, Added, Checks, Layout, Pass};
use crate::sys::Image;
use crate::sys::stack::Addresses;
use crate::types::{Error, Limits, Signature};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// A compiled module. It can be instantiated any number of times, on any thread;
/// cheap to clone.
#[derive(Clone)]
pub struct Module(Arc<Inner>);

struct Inner {
    compiler: Compiler,
    bytes: Box<[u8]>,
    /// How many imports it has.
    imports: usize,
    /// They, once somebody asked.
    imported: OnceLock<Vec<wasmer::ImportType>>,
    /// Its functions that say their types.
    declared: Declarations,
    /// By the numbers of what the pass does.
    variants: [OnceLock<Variant>; Pass::COUNT],
    /// What its memory begins with, once somebody asked.
    image: OnceLock<Option<Arc<Image>>>,
    /// Where its stack is, once somebody asked.
    stack_pointer: OnceLock<Option<StackPointer>>,
}

/// A module with its checks.
pub(crate) struct Variant {
    pub(crate) module: wasmer::Module,
    /// The engine that holds its code.
    pub(crate) wasmer: wasmer::Engine,
    pub(crate) pass: Pass,
    /// What the pass added to what the guest imports.
    pub(crate) added: Vec<Added>,
    way_back: OnceLock<WayBack>,
}

/// From the code that is compiled to the guest's module.
struct WayBack {
    layout: Layout,
    /// How many bytes less there are before the code.
    moved: i32,
}

impl Variant {
    /// Whether its code reads and writes regions itself.
    pub(crate) fn inlines(&self) -> bool {
        let mut added = self.added.iter();
        added.any(|added| matches!(added, Added::Space { .. }))
    }

    /// Whether it does nothing else with the imports that do so.
    pub(crate) fn inlines_all(&self) -> bool {
        self.added.contains(&Added::Space { inlined: true })
    }

    /// The guest's own memories.
    pub(crate) fn guest_memories(&self) -> impl Iterator<Item = wasmer::MemoryType> {
        let info = self.module.info();
        // Those that the pass added are the last ones that are imported.
        let imported = info.num_imported_memories;
        let memories = self.added.iter().filter(|added| added.is_memory()).count();
        let added = imported - memories..imported;
        let memories: Vec<_> = info.memories.values().copied().enumerate().collect();
        let own = memories.into_iter();
        own.filter_map(move |(index, ty)| (!added.contains(&index)).then_some(ty))
    }
}

/// A variant of a module: where its frames come from.
pub(crate) struct VariantOrigin {
    module: Module,
    pass: Pass,
}

impl Origin for VariantOrigin {
    fn module(&self) -> &[u8] {
        &self.module.0.bytes
    }

    fn own(&self, compiled: &[RawFrame]) -> Vec<RawFrame> {
        let Ok(variant) = self.module.variant(self.pass) else {
            return Vec::new();
        };
        let WayBack { layout, moved } = self.module.way_back(variant);
        let own = compiled.iter().filter_map(|frame| {
            Some(RawFrame {
                function: layout.function(frame.function)?,
                offset: frame.offset.and_then(|at| {
                    let at = at.checked_add_signed(*moved)?;
                    layout.offset(at)
                }),
            })
        });
        own.collect()
    }

    fn frames_at(&self, addresses: &Addresses) -> [Vec<RawFrame>; 2] {
        frames::at(self.name(), addresses)
    }

    fn name(&self) -> &str {
        let variant = self.module.variant(self.pass).ok();
        variant.and_then(|it| it.module.name()).unwrap_or_default()
    }
}

impl VariantOrigin {
    pub(crate) fn new(module: &Module, pass: Pass) -> Arc<Self> {
        Arc::new(Self {
            module: module.clone(),
            pass,
        })
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module")
            .field("functions", &self.functions())
            .finish_non_exhaustive()
    }
}

impl Module {
    pub(super) fn new(
        compiler: &Compiler,
        bytes: &[u8],
        declared: Declarations,
        checks: Checks,
    ) -> Result<Self, Error> {
        let module = Self(Arc::new(Inner {
            compiler: compiler.clone(),
            bytes: bytes.into(),
            imports: rewrite::imports(bytes)?,
            imported: OnceLock::new(),
            declared,
            variants: Default::default(),
            image: OnceLock::new(),
            stack_pointer: OnceLock::new(),
        }));
        module.variant(Pass::inlining(checks))?;
        Ok(module)
    }

    /// Compiles it, or takes it from the cache, with the checks that a guest with
    /// these limits needs, unless it was already: the first such guest would have it
    /// done otherwise.
    ///
    /// # Errors
    /// [`Error::Compile`].
    pub fn prepare(&self, limits: &Limits) -> Result<(), Error> {
        self.variant(Pass::inlining(Checks::of(limits))).map(drop)
    }

    pub(crate) fn variant(&self, pass: Pass) -> Result<&Variant, Error> {
        let cell = &self.0.variants[pass.number()];
        if let Some(variant) = cell.get() {
            return Ok(variant);
        }
        let Compiled { module, wasmer } = self.0.compiler.compile(&self.0.bytes, pass)?;
        let added = module.imports().skip(self.0.imports);
        let added = added.map(|import| Added::of(import.name())).collect();
        Ok(cell.get_or_init(|| Variant {
            module,
            wasmer,
            added,
            pass,
            way_back: OnceLock::new(),
        }))
    }

    /// What its memory begins with: `None` if only the engine can tell, or the system
    /// gives no file for it. Then the engine writes its data for each instance.
    pub(crate) fn image(&self) -> Option<Arc<Image>> {
        let image = self.0.image.get_or_init(|| {
            let segments = data::active(&self.0.bytes)?;
            Image::new(&segments).ok().map(Arc::new)
        });
        image.clone()
    }

    /// What the functions are called that its active segments put at these places of its
    /// first table, as far as it says so.
    pub(crate) fn names_in_table(&self, places: &[u32]) -> Vec<Option<String>> {
        let functions = elements::functions(&self.0.bytes, places);
        let names = backtrace::names(&self.0.bytes, &functions);
        let name = |function: &Option<u32>| names.get(function.as_ref()?).cloned();
        functions.iter().map(name).collect()
    }

    /// Its stack pointer, if it says which it is.
    pub(crate) fn stack_pointer(&self) -> Option<&StackPointer> {
        let find = || StackPointer::find(&self.0.bytes);
        self.0.stack_pointer.get_or_init(find).as_ref()
    }

    /// One that is compiled.
    fn any(&self) -> &Variant {
        let mut variants = self.0.variants.iter();
        let variant = variants.find_map(OnceLock::get);
        variant.expect("it was compiled when it was made")
    }

    /// Its functions that say their types.
    pub(crate) fn declared(&self) -> &Declarations {
        &self.0.declared
    }

    pub(crate) fn compiler(&self) -> &Compiler {
        &self.0.compiler
    }

    /// What it imports itself.
    pub(crate) fn imports(&self) -> &[wasmer::ImportType] {
        self.0.imported.get_or_init(|| {
            let imports = self.any().module.imports();
            imports.take(self.0.imports).collect()
        })
    }

    fn way_back<'a>(&self, variant: &'a Variant) -> &'a WayBack {
        // The pass does the same again as when it was compiled, by whomever.
        variant.way_back.get_or_init(|| {
            let bytes = &self.0.bytes;
            let rewritten = rewrite::rewrite(bytes, variant.pass).ok();
            let compiled = rewritten.as_ref().and_then(|it| it.bytes.as_deref());
            let pointer = self.stack_pointer();
            let plain = plain(compiled.unwrap_or(bytes), "", pointer);
            WayBack {
                moved: plain.map_or(0, |plain| plain.moved),
                layout: rewritten.map(|it| it.layout).unwrap_or_default(),
            }
        })
    }

    /// The function to call if none is named: `_start` of a program, or the one
    /// that is exported.
    ///
    /// # Errors
    /// [`Error::NoSuchExport`] if there is more than one, or none.
    pub fn only_function(&self) -> Result<String, Error> {
        let functions = self.functions();
        match &functions[..] {
            _ if self.function("_start").is_some() => Ok("_start".into()),
            [one] => Ok(one.name.clone()),
            _ => Err(self.no_such_export("_start")),
        }
    }

    /// The exported functions, in the module's order.
    pub fn functions(&self) -> Vec<Signature> {
        let exports = self.any().module.exports().functions();
        exports
            .map(|export| Signature::of(export.name(), export.ty()))
            .collect()
    }

    fn function(&self, name: &str) -> Option<Signature> {
        let mut exports = self.any().module.exports().functions();
        exports
            .find(|export| export.name() == name)
            .map(|export| Signature::of(export.name(), export.ty()))
    }

    /// The module itself, as it was given; in binary form if it was text.
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// The contents of its custom sections of this name, in the module's order.
    pub fn custom_sections(&self, name: &str) -> Vec<&[u8]> {
        let payloads = wasmparser::Parser::new(0).parse_all(&self.0.bytes);
        let sections = payloads.filter_map(|payload| match payload {
            Ok(wasmparser::Payload::CustomSection(section)) if section.name() == name => {
                Some(section.data())
            }
            _ => None,
        });
        sections.collect()
    }

    /// The exported function of this name.
    ///
    /// # Errors
    /// [`Error::NoSuchExport`].
    pub fn exported(&self, name: &str) -> Result<Signature, Error> {
        self.function(name).ok_or_else(|| self.no_such_export(name))
    }

    pub(crate) fn no_such_export(&self, name: &str) -> Error {
        Error::NoSuchExport {
            name: name.into(),
            exports: self.functions(),
        }
    }
}
