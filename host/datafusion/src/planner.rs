//! Where a query gets its guests: when its plan is made.

use crate::GuestModule;
use crate::aggregate::GuestAggregate;
use crate::guest_exec::GuestExec;
use crate::query::QueryGuests;
use crate::scalar::GuestScalar;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::execution::context::{QueryPlanner, SessionContext};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::expr::WindowFunctionDefinition;
use datafusion::logical_expr::{AggregateUDF, Expr, LogicalPlan, ScalarUDF};
use datafusion::physical_plan::ExecutionPlan;
use std::any::Any;
use std::sync::Arc;

/// A planner that gives each query guests of its own, for the functions in it, and leaves
/// the rest to another one.
#[derive(Debug)]
struct GuestPlanner {
    inner: Arc<dyn QueryPlanner + Send + Sync>,
}

/// Has a session's queries get guests.
pub(crate) fn install(context: &SessionContext) {
    let state = context.state_ref();
    let mut state = state.write();
    let inner = Arc::clone(state.query_planner());
    if (&*inner as &dyn Any).is::<GuestPlanner>() {
        return;
    }
    *state = with_planner(&state, Arc::new(GuestPlanner { inner }));
}

fn with_planner(
    state: &SessionState,
    planner: Arc<dyn QueryPlanner + Send + Sync>,
) -> SessionState {
    let id = state.session_id().to_owned();
    let builder = SessionStateBuilder::new_from_existing(state.clone());
    builder
        .with_session_id(id)
        .with_query_planner(planner)
        .build()
}

#[async_trait]
impl QueryPlanner for GuestPlanner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut guests = Guests::default();
        let bound = plan.clone().transform_up_with_subqueries(|plan| {
            plan.map_expressions(|expr| expr.transform_up(|expr| guests.bind(expr)))
        })?;
        let plan = self
            .inner
            .create_physical_plan(&bound.data, session)
            .await?;
        Ok(match guests.0.is_empty() {
            true => plan,
            false => Arc::new(GuestExec::new(plan, guests.0)),
        })
    }
}

/// A query's, one for each module.
#[derive(Default)]
struct Guests(Vec<Arc<QueryGuests>>);

impl Guests {
    fn of(&mut self, module: &GuestModule) -> Arc<QueryGuests> {
        let mut there = self.0.iter();
        if let Some(guests) = there.find(|guests| guests.module().is(module)) {
            return Arc::clone(guests);
        }
        let guests = QueryGuests::new(module);
        self.0.push(Arc::clone(&guests));
        guests
    }

    fn scalar(&mut self, function: &ScalarUDF) -> Option<Arc<ScalarUDF>> {
        let guest = function.inner().downcast_ref::<GuestScalar>()?;
        let bound = guest.in_query(self.of(guest.module()));
        Some(Arc::new(ScalarUDF::new_from_impl(bound)))
    }

    fn aggregate(&mut self, function: &AggregateUDF) -> Option<Arc<AggregateUDF>> {
        let guest = function.inner().downcast_ref::<GuestAggregate>()?;
        let bound = guest.in_query(self.of(guest.module()));
        Some(Arc::new(AggregateUDF::new_from_impl(bound)))
    }

    /// Gives a guest's function the query's guests.
    fn bind(&mut self, mut expr: Expr) -> Result<Transformed<Expr>> {
        let bound = match &mut expr {
            Expr::ScalarFunction(call) => self.scalar(&call.func).map(|it| call.func = it),
            Expr::AggregateFunction(call) => self.aggregate(&call.func).map(|it| call.func = it),
            Expr::WindowFunction(call) => match &mut call.fun {
                WindowFunctionDefinition::AggregateUDF(function) => {
                    self.aggregate(function).map(|it| *function = it)
                }
                WindowFunctionDefinition::WindowUDF(_) => None,
            },
            _ => None,
        };
        Ok(match bound {
            Some(()) => Transformed::yes(expr),
            None => Transformed::no(expr),
        })
    }
}
