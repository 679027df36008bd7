//! Sessions with guests' functions.

use crate::aggregate::GuestAggregate;
use crate::create_function::GuestFactory;
use crate::planner;
use crate::scalar::GuestScalar;
use crate::signature::{Kind, Signature};
use crate::{GuestModule, GuestOptions};
use datafusion::error::Result;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use std::path::Path;
use std::sync::Arc;

/// What is added to a session.
///
/// ```no_run
/// # async fn example() -> datafusion::error::Result<()> {
/// use datafusion::prelude::SessionContext;
/// use genkan_datafusion::RegisterGuest;
///
/// let ctx = SessionContext::new();
/// ctx.register_guest("functions.wasm")?;
/// ctx.sql("SELECT gcd(12, 18)").await?.show().await?;
/// # Ok(())
/// # }
/// ```
pub trait RegisterGuest {
    /// Offers the functions of a module to the session's queries, under their own names.
    ///
    /// # Errors
    /// Those of [`GuestModule::load`].
    fn register_guest(&self, path: impl AsRef<Path>) -> Result<GuestModule> {
        let module = GuestModule::load(path, GuestOptions::default())?;
        self.register_module(&module);
        Ok(module)
    }

    /// The same for a module that was loaded before: with limits, with functions of yours.
    fn register_module(&self, module: &GuestModule);

    /// Lets the session's SQL take functions out of modules: `CREATE FUNCTION gcd AS
    /// 'functions.wasm'`. Whoever may say so has the process read any file.
    fn create_functions_from_guests(&self, options: GuestOptions);
}

impl RegisterGuest for SessionContext {
    fn register_module(&self, module: &GuestModule) {
        planner::install(self);
        for signature in module.functions() {
            match signature.kind {
                Kind::Scalar => self.register_udf(scalar(module, signature)),
                Kind::Aggregate => self.register_udaf(aggregate(module, signature)),
            }
        }
    }

    fn create_functions_from_guests(&self, options: GuestOptions) {
        planner::install(self);
        let factory = Arc::new(GuestFactory::new(options));
        self.state_ref().write().set_function_factory(factory);
    }
}

pub(crate) fn scalar(module: &GuestModule, signature: &Arc<Signature>) -> ScalarUDF {
    ScalarUDF::new_from_impl(GuestScalar::new(module, signature, None))
}

pub(crate) fn aggregate(module: &GuestModule, signature: &Arc<Signature>) -> AggregateUDF {
    AggregateUDF::new_from_impl(GuestAggregate::new(module, signature, None))
}
