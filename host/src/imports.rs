//! From what a module imports to the values that it gets.

use crate::Error;
use crate::engine::Module;
use crate::functions::{self, Functions, Source, State};
use crate::guest::describe;
use crate::map::GuestTunables;
use crate::space::Space;
use std::sync::Arc;
use wasmer::{
    Extern, ExternType, FunctionEnv, ImportType, Instance, Memory, MemoryType, Pages, Store,
};

/// Which parts of the host a module's imports need.
#[derive(Default)]
pub(crate) struct Needs {
    pub(crate) access: bool,
    pub(crate) copy: bool,
    pub(crate) memory: Option<MemoryType>,
}

impl Needs {
    pub(crate) fn of(imports: &[ImportType], functions: &Functions) -> Result<Self, Error> {
        let mut needs = Self::default();
        for import in imports {
            match import.ty() {
                ExternType::Memory(ty) if needs.memory.is_none() => needs.memory = Some(*ty),
                ExternType::Function(_) if !functions.has(import.module(), import.name()) => {
                    match functions::source(import.module(), import.name()) {
                        Some(Source::Access) => needs.access = true,
                        Some(Source::Copy) => needs.copy = true,
                        Some(Source::Host) => {}
                        None => return Err(not_offered(import)),
                    }
                }
                ExternType::Function(_) => {}
                _ => return Err(not_offered(import)),
            }
        }
        Ok(needs)
    }
}

fn not_offered(import: &ImportType) -> Error {
    let (module, name) = (import.module(), import.name());
    let path = format!("{module}.{name}");
    let (what, hint) = match import.ty() {
        ExternType::Function(ty) => (
            format!("the function {}", describe(&path, ty)),
            "; a function of your own is offered with Setup::functions",
        ),
        ExternType::Memory(_) => (format!("a second memory, {path}"), ""),
        ExternType::Table(_) => (format!("the table {path}"), ""),
        ExternType::Global(ty) => (
            format!(
                "the global {path} of type {}",
                ty.ty.to_string().to_lowercase()
            ),
            "",
        ),
        ExternType::Tag(_) => (format!("the tag {path}"), ""),
    };
    Error::Import {
        what,
        hint: hint.into(),
    }
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
        imports: &[ImportType],
        needs: &Needs,
        functions: &Functions,
    ) -> Result<Vec<Extern>, Error> {
        let memory = match needs.memory {
            None => None,
            Some(ty) => {
                let state = self.tunables.guest_memory(&ty)?;
                let memory = self.tunables.memory(self.store, state, ty)?;
                self.env.as_mut(self.store).memory = Some(memory.clone());
                Some(memory)
            }
        };
        let (access, copy) = self.carried(needs, memory.as_ref())?;
        let mut externs = Vec::with_capacity(imports.len());
        for import in imports {
            let (module, name) = (import.module(), import.name());
            let ExternType::Function(ty) = import.ty() else {
                externs.extend(memory.clone().map(Extern::Memory));
                continue;
            };
            let function = functions
                .bind(self.store, self.env, module, name, ty)
                .or_else(|| {
                    let carried = match functions::source(module, name)? {
                        Source::Access => access.as_ref(),
                        Source::Copy => copy.as_ref(),
                        Source::Host => None,
                    };
                    match carried {
                        Some(carried) => carried.exports.get_function(name).ok().cloned(),
                        None => functions::host_function(self.store, self.env, module, name, ty),
                    }
                });
            let function = function.ok_or_else(|| not_offered(import))?;
            let offered = function.ty(self.store);
            if offered != *ty {
                return Err(Error::Import {
                    what: format!("the function {}", describe(&format!("{module}.{name}"), ty)),
                    hint: format!(
                        "; it offers {}",
                        describe(&format!("{module}.{name}"), &offered)
                    ),
                });
            }
            externs.push(function.into());
        }
        Ok(externs)
    }

    /// The carried modules' instances, as far as they are needed and possible.
    fn carried(
        &mut self,
        needs: &Needs,
        memory: Option<&Memory>,
    ) -> Result<(Option<Instance>, Option<Instance>), Error> {
        let Some(regions) = self.space.regions.clone() else {
            return Ok((None, None));
        };
        let pages = Pages::max_value();
        let ty = MemoryType::new(pages, Some(pages), false);
        let space = Extern::from(self.tunables.memory(self.store, regions, ty)?);
        let fault = Extern::from(functions::fault(self.store, self.env));
        let instantiate = |store: &mut Store, module, externs: &[Extern]| {
            Instance::new_by_index(store, module, externs)
                .map_err(|e| Error::Instantiate(e.to_string()))
        };
        let mut access = None;
        if needs.access {
            let module = self.module.engine.access()?;
            let resolve = functions::resolve(self.store, self.env);
            let externs = [space.clone(), fault.clone(), resolve.into()];
            access = Some(instantiate(self.store, module, &externs)?);
        }
        let mut copy = None;
        if needs.copy
            && let Some(memory) = memory
        {
            let module = self.module.engine.copy()?;
            let externs = [space, memory.clone().into(), fault];
            copy = Some(instantiate(self.store, module, &externs)?);
        }
        Ok((access, copy))
    }
}
