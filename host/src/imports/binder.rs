//! From what a module imports to the values that it gets.

use super::functions::Functions;
use super::state::State;
use super::{access, end, genkan, wasi};
use crate::abi::{self, Source};
use crate::calls::Declaration;
use crate::engine::{Module, Variant};
use crate::regions::Space;
use crate::rewrite::{Access, Added};
use crate::sys::{GuestTunables, Words};
use crate::types::{BoxError, Error, Import, ImportKind, Signature, ValueType};
use std::sync::Arc;
use wasmer::{
    Extern, ExternType, FunctionEnv, FunctionType, ImportType, Instance, Memory, MemoryType, Pages,
    Store,
};

/// Which parts of the host a module's imports need.
#[derive(Default)]
pub(crate) struct Needs {
    pub(crate) access: bool,
    /// Whether there is one of those that is called in any case.
    called: bool,
    pub(crate) copy: bool,
    pub(crate) memory: Option<MemoryType>,
    /// Whether the embedder offers a function in place of one that reads or writes
    /// regions.
    pub(crate) replaced: bool,
}

impl Needs {
    pub(crate) fn of(imports: &[ImportType], functions: &Functions) -> Result<Self, Error> {
        let mut needs = Self::default();
        for import in imports {
            match import.ty() {
                ExternType::Memory(ty) if needs.memory.is_none() => needs.memory = Some(*ty),
                ExternType::Function(_) if !functions.has(import.module(), import.name()) => {
                    match source(import.module(), import.name()) {
                        Some(Source::Access) => {
                            needs.access = true;
                            let access = Access::named(import.module(), import.name());
                            needs.called |= access.is_none();
                        }
                        Some(Source::Copy) => needs.copy = true,
                        Some(Source::Host) => {}
                        None => return Err(not_offered(import, None)),
                    }
                }
                ExternType::Function(_) => {
                    let source = source(import.module(), import.name());
                    needs.replaced |= source == Some(Source::Access);
                }
                _ => return Err(not_offered(import, None)),
            }
        }
        Ok(needs)
    }
}

/// Where a function comes from that the host offers without being told to.
fn source(module: &str, name: &str) -> Option<Source> {
    match module {
        wasi::MODULE => Some(Source::Host),
        _ => abi::function(module, name).map(|function| function.source),
    }
}

fn not_offered(import: &ImportType, offered: Option<&FunctionType>) -> Error {
    let (module, name) = (import.module(), import.name());
    let signature = |ty| Signature::of(format!("{module}.{name}"), ty);
    let kind = match import.ty() {
        ExternType::Function(ty) => ImportKind::Function(signature(ty)),
        ExternType::Memory(_) => ImportKind::Memory,
        ExternType::Table(_) => ImportKind::Table,
        ExternType::Global(ty) => ImportKind::Global(ValueType::of(ty.ty)),
        ExternType::Tag(_) => ImportKind::Tag,
    };
    Error::Import(Box::new(Import {
        module: module.into(),
        name: name.into(),
        kind,
        offered: offered.map(signature),
    }))
}

fn instantiate_error(error: impl Into<BoxError>) -> Error {
    Error::Instantiate(error.into())
}

/// Makes the values for a module's imports.
pub(crate) struct Binder<'a> {
    pub(crate) store: &'a mut Store,
    pub(crate) env: &'a FunctionEnv<State>,
    pub(crate) module: &'a Module,
    pub(crate) tunables: &'a GuestTunables,
    pub(crate) space: &'a Arc<Space>,
}

impl Binder<'_> {
    pub(crate) fn bind(
        &mut self,
        variant: &Variant,
        needs: &Needs,
        functions: &Functions,
    ) -> Result<Vec<Extern>, Error> {
        let imports = self.module.imports();
        let memory = match needs.memory {
            None => None,
            Some(ty) => {
                let state = self.tunables.guest_memory(&ty).map_err(Error::Memory)?;
                let memory = self.tunables.memory(self.store, state, ty);
                let memory = memory.map_err(instantiate_error)?;
                self.env.as_mut(self.store).memory = Some(memory.clone());
                Some(memory)
            }
        };
        let called = needs.access && (needs.called || !variant.inlines_all());
        let access = self.carried_access(called)?;
        let copy = self.carried_copy(needs, memory.as_ref())?;
        let mut externs = Vec::with_capacity(imports.len() + 2);
        for import in imports {
            let (module, name) = (import.module(), import.name());
            let ExternType::Function(ty) = import.ty() else {
                externs.extend(memory.clone().map(Extern::Memory));
                continue;
            };
            let declared = self.declared(import).cloned();
            self.check_types(import, functions)?;
            let function = functions
                .bind(self.store, self.env, module, name, ty, declared.as_ref())
                .or_else(|| {
                    let carried = match source(module, name)? {
                        Source::Access => access.as_ref(),
                        Source::Copy => copy.as_ref(),
                        Source::Host => None,
                    };
                    match carried {
                        Some(carried) => carried.exports.get_function(name).ok().cloned(),
                        None if module == wasi::MODULE => {
                            wasi::function(self.store, self.env, name, ty)
                        }
                        None => match Access::named(module, name) {
                            Some(access) => Some(access::function(self.store, self.env, access)),
                            None => genkan::function(self.store, self.env, module, name),
                        },
                    }
                });
            let function = function.ok_or_else(|| not_offered(import, None))?;
            let offered = function.ty(self.store);
            if offered != *ty {
                return Err(not_offered(import, Some(&offered)));
            }
            externs.push(function.into());
        }
        Ok(externs)
    }

    /// The values for what the pass added to what the guest imports.
    pub(crate) fn bind_added(
        &mut self,
        variant: &Variant,
        words: &Arc<Words>,
    ) -> Result<Vec<Extern>, Error> {
        let mut externs = Vec::new();
        for added in &variant.added {
            externs.push(match added {
                Added::End => end::function(self.store, self.env).into(),
                Added::Words => {
                    let words = self.tunables.words(self.store, words);
                    words.map_err(instantiate_error)?.into()
                }
                Added::Space { .. } => self.region_space()?,
            });
        }
        Ok(externs)
    }

    /// A region space as a memory of the store's.
    fn region_space(&mut self) -> Result<Extern, Error> {
        let regions = self.space.regions.clone();
        let regions = regions.expect("it has one if the guest can reach it");
        let pages = Pages::max_value();
        let ty = MemoryType::new(pages, Some(pages), false);
        let memory = self.tunables.memory(self.store, regions, ty);
        Ok(memory.map_err(instantiate_error)?.into())
    }

    fn declared(&self, import: &ImportType) -> Option<&Arc<Declaration>> {
        let name = format!("{}.{}", import.module(), import.name());
        self.module.declared().imports.get(&name)
    }

    /// Checks that a function which is offered with types is the one that is imported.
    fn check_types(&self, import: &ImportType, functions: &Functions) -> Result<(), Error> {
        let declared = self.declared(import).map(|declared| &**declared);
        let state = &*self.env.as_ref(self.store).given.user;
        let names = (import.module(), import.name());
        match functions.mismatch(names, declared, state) {
            None => Ok(()),
            Some(mismatch) => Err(Error::Mismatch {
                function: match declared {
                    Some(declared) => format!("the import {declared}"),
                    None => format!("the import {}.{}", names.0, names.1),
                },
                mismatch,
            }),
        }
    }

    /// The carried module with the reads and writes, if a guest calls them.
    fn carried_access(&mut self, called: bool) -> Result<Option<Instance>, Error> {
        if !called || self.space.regions.is_none() {
            return Ok(None);
        }
        let module = self.module.compiler().access()?;
        let fault = genkan::fault(self.store, self.env);
        let status = genkan::status(self.store, self.env);
        let externs = [self.region_space()?, fault.into(), status.into()];
        self.instantiate(module, &externs).map(Some)
    }

    /// The carried module with the copies, if a guest calls them and it can be used.
    fn carried_copy(
        &mut self,
        needs: &Needs,
        memory: Option<&Memory>,
    ) -> Result<Option<Instance>, Error> {
        // The host's functions in its place charge what they copy.
        let counted = self.env.as_ref(self.store).counted;
        let Some(memory) = memory.filter(|_| needs.copy && !counted) else {
            return Ok(None);
        };
        let module = self.module.compiler().copy()?;
        let fault = genkan::fault(self.store, self.env);
        let end = end::function(self.store, self.env);
        let memory = Extern::from(memory.clone());
        let externs = [self.region_space()?, memory, fault.into(), end.into()];
        self.instantiate(module, &externs).map(Some)
    }

    fn instantiate(
        &mut self,
        module: &wasmer::Module,
        externs: &[Extern],
    ) -> Result<Instance, Error> {
        Instance::new_by_index(self.store, module, externs).map_err(instantiate_error)
    }
}
