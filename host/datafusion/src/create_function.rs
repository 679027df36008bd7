//! `CREATE FUNCTION … AS 'functions.wasm'`.

use crate::module::WeakModule;
use crate::session::{aggregate, scalar};
use crate::signature::{Kind, Signature};
use crate::{GuestModule, GuestOptions};
use async_trait::async_trait;
use datafusion::common::{ScalarValue, plan_err};
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::execution::context::{FunctionFactory, RegisterFunction};
use datafusion::logical_expr::{CreateFunction, Expr};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Takes functions out of modules.
#[derive(Debug)]
pub(crate) struct GuestFactory {
    options: GuestOptions,
    /// Those that functions were taken out of, by the SHA-256 of their files.
    modules: Mutex<HashMap<[u8; 32], WeakModule>>,
}

impl GuestFactory {
    pub(crate) fn new(options: GuestOptions) -> Self {
        Self {
            options,
            modules: Mutex::default(),
        }
    }

    /// The module in a file; one that is there already, if it is the same.
    fn module(&self, path: &str) -> Result<GuestModule> {
        let hash = std::fs::read(path).map(|bytes| Sha256::digest(&bytes).into());
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        // Where it cannot be read, to load it says so.
        let there = hash
            .as_ref()
            .ok()
            .and_then(|hash| modules.get(hash)?.upgrade());
        if let Some(module) = there {
            return Ok(module);
        }
        let module = GuestModule::load(path, self.options.clone())?;
        modules.retain(|_, module| module.upgrade().is_some());
        modules.extend(hash.ok().map(|hash| (hash, module.downgrade())));
        Ok(module)
    }
}

#[async_trait]
impl FunctionFactory for GuestFactory {
    async fn create(
        &self,
        _: &SessionState,
        statement: CreateFunction,
    ) -> Result<RegisterFunction> {
        let path = match &statement.params.function_body {
            Some(Expr::Literal(ScalarValue::Utf8(Some(path)), _)) => path.clone(),
            _ => {
                return plan_err!(
                    "CREATE FUNCTION {} … AS 'FILE' names the module that has the function",
                    statement.name
                );
            }
        };
        if let Some(language) = &statement.params.language
            && !language.value.eq_ignore_ascii_case("wasm")
        {
            return plan_err!("functions are of language wasm here, not {language}");
        }
        let module = self.module(&path)?;
        let mut functions = module.functions().iter();
        let Some(signature) = functions.find(|it| it.name == statement.name) else {
            let names = module.functions().iter().map(|it| it.name.as_str());
            let mut names: Vec<_> = names.collect();
            names.sort_unstable();
            return plan_err!(
                "the module has no function {}; it has {}",
                statement.name,
                names.join(", ")
            );
        };
        check(signature, &statement)?;
        Ok(match signature.kind {
            Kind::Scalar => RegisterFunction::Scalar(Arc::new(scalar(&module, signature))),
            Kind::Aggregate => RegisterFunction::Aggregate(Arc::new(aggregate(&module, signature))),
        })
    }
}

/// Checks what the statement says of the function, as far as it does.
fn check(signature: &Signature, statement: &CreateFunction) -> Result<()> {
    if let Some(args) = &statement.args {
        let said = args.iter().map(|arg| &arg.data_type);
        if !said.eq(signature.arguments.iter().map(|it| &it.data_type)) {
            let said: Vec<_> = args.iter().map(|arg| arg.data_type.to_string()).collect();
            return plan_err!(
                "the module's function is {signature}, not one of ({})",
                said.join(", ")
            );
        }
    }
    match &statement.return_type {
        Some(said) if *said != signature.result.data_type => {
            plan_err!("the module's function is {signature}, it does not return {said}")
        }
        _ => Ok(()),
    }
}
