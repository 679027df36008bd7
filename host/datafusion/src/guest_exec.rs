//! The top of a plan with guests: a query that nobody wants any more ends them.

use crate::query::QueryGuests;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties,
};
use futures::{Stream, StreamExt};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A plan whose results come from tasks of their own: so whoever reads them can stop at any
/// time, also while a guest is in the middle of a batch, and the guest is ended then.
#[derive(Debug)]
pub(crate) struct GuestExec {
    input: Arc<dyn ExecutionPlan>,
    guests: Vec<Arc<QueryGuests>>,
}

impl GuestExec {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, guests: Vec<Arc<QueryGuests>>) -> Self {
        Self { input, guests }
    }
}

impl DisplayAs for GuestExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GuestExec: modules=[")?;
        for (index, guests) in self.guests.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{}", &guests.module().hash_text()[..12])?;
        }
        write!(f, "]")
    }
}

impl ExecutionPlan for GuestExec {
    fn name(&self) -> &str {
        "GuestExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let guests = self.guests.clone();
        Ok(Arc::new(Self::new(children.swap_remove(0), guests)))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let guard = Guard::new(&self.guests);
        let schema = self.input.schema();
        let mut builder = RecordBatchReceiverStream::builder(schema, 1);
        let (sender, input) = (builder.tx(), Arc::clone(&self.input));
        builder.spawn(async move {
            let mut input = input.execute(partition, context)?;
            while let Some(batch) = input.next().await {
                if sender.send(batch).await.is_err() {
                    break;
                }
            }
            Ok(())
        });
        Ok(Box::pin(Guarded {
            guard,
            stream: builder.build(),
        }))
    }
}

/// A query's result that somebody reads.
struct Guard {
    guests: Vec<Arc<QueryGuests>>,
    finished: bool,
}

impl Guard {
    fn new(guests: &[Arc<QueryGuests>]) -> Self {
        guests.iter().for_each(|guests| guests.stream_begins());
        Self {
            guests: guests.to_vec(),
            finished: false,
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        for guests in &self.guests {
            guests.stream_ends(self.finished);
        }
    }
}

struct Guarded {
    // It is dropped first: the task ends when its guest has.
    guard: Guard,
    stream: SendableRecordBatchStream,
}

impl Stream for Guarded {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.stream.poll_next_unpin(cx);
        if let Poll::Ready(None) = polled {
            self.guard.finished = true;
        }
        polled
    }
}

impl RecordBatchStream for Guarded {
    fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }
}
