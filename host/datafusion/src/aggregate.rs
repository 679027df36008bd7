//! A guest's aggregate as one of DataFusion's. Its states are in the guest, one for each
//! group of a handle.

use crate::GuestModule;
use crate::arguments::{coerce, columns, states};
use crate::batch::{Argument, Batch};
use crate::query::{QueryGuests, Taken};
use crate::signature::{Column, Signature};
use arrow::array::{Array, ArrayRef, BooleanArray, new_empty_array};
use arrow::compute::{filter, prep_null_mask_filter};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{ScalarValue, exec_datafusion_err, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature as TypeSignature,
};
use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

/// An aggregate of a module's.
#[derive(Debug)]
pub(crate) struct GuestAggregate {
    module: GuestModule,
    signature: Arc<Signature>,
    types: TypeSignature,
    /// The guests of the query that it is in, once it is in one.
    query: Option<Arc<QueryGuests>>,
}

impl GuestAggregate {
    pub(crate) fn new(
        module: &GuestModule,
        signature: &Arc<Signature>,
        query: Option<Arc<QueryGuests>>,
    ) -> Self {
        let types = match signature.arguments.is_empty() {
            true => TypeSignature::nullary(signature.volatility),
            false => TypeSignature::user_defined(signature.volatility),
        };
        Self {
            module: module.clone(),
            types,
            signature: Arc::clone(signature),
            query,
        }
    }

    pub(crate) fn module(&self) -> &GuestModule {
        &self.module
    }

    /// The same in a query, with that one's guests.
    pub(crate) fn in_query(&self, query: Arc<QueryGuests>) -> Self {
        Self::new(&self.module, &self.signature, Some(query))
    }

    fn query(&self) -> Arc<QueryGuests> {
        match &self.query {
            Some(query) => Arc::clone(query),
            None => QueryGuests::new(&self.module),
        }
    }

    /// DataFusion's own aggregates are given these where they say so; a guest is not.
    fn check(&self, args: &AccumulatorArgs<'_>) -> Result<()> {
        match args.is_distinct || !args.order_bys.is_empty() {
            true => exec_err!(
                "{} is a guest's aggregate, which takes neither DISTINCT nor ORDER BY: use a \
                 subquery",
                self.signature.name
            ),
            false => Ok(()),
        }
    }
}

// In which query it is makes no difference: what DataFusion compares are functions.
impl PartialEq for GuestAggregate {
    fn eq(&self, other: &Self) -> bool {
        self.module.hash() == other.module.hash() && self.signature == other.signature
    }
}

impl Eq for GuestAggregate {}

impl Hash for GuestAggregate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.module.hash().hash(state);
        self.signature.name.hash(state);
    }
}

impl AggregateUDFImpl for GuestAggregate {
    fn name(&self) -> &str {
        &self.signature.name
    }

    fn signature(&self) -> &TypeSignature {
        &self.types
    }

    fn coerce_types(&self, found: &[DataType]) -> Result<Vec<DataType>> {
        coerce(&self.signature, found)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.signature.result.data_type.clone())
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let states = self.signature.state.iter().enumerate();
        let field = |(index, state): (usize, &Column)| {
            let name = format_state_name(args.name, &index.to_string());
            Arc::new(Field::new(name, state.data_type.clone(), true))
        };
        Ok(states.map(field).collect())
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.check(&args)?;
        let guest = self.query().share(&self.signature.name)?;
        let state = {
            let mut guest = guest.lock().unwrap_or_else(PoisonError::into_inner);
            State::new(&mut guest, &self.signature)?
        };
        Ok(Box::new(GuestAccumulator { guest, state }))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.check(&args).is_ok()
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        self.check(&args)?;
        let mut guest = self.query().take(&self.signature.name)?;
        let state = State::new(&mut guest, &self.signature)?;
        Ok(Box::new(GuestGroups {
            guest: RefCell::new(guest),
            state,
            groups: 0,
            indices: Vec::new(),
        }))
    }
}

/// The states of an aggregate, in a guest.
#[derive(Debug)]
struct State {
    signature: Arc<Signature>,
    handle: u32,
}

impl State {
    fn new(guest: &mut Taken, signature: &Arc<Signature>) -> Result<Self> {
        let name = &signature.name;
        let export = format!("column:{name}:new");
        let handle = guest.run(name, |guest| guest.call_export(name, &export, ()))?;
        Ok(Self {
            signature: Arc::clone(signature),
            handle,
        })
    }

    /// Calls one of the aggregate's exports with a batch.
    fn call(
        &self,
        guest: &mut Taken,
        part: &str,
        rows: usize,
        (arguments, results): (&[Argument], &[Column]),
        groups: Option<(&[u32], usize)>,
    ) -> Result<Vec<ArrayRef>> {
        let name = &self.signature.name;
        let export = format!("column:{name}:{part}");
        let batch = Batch {
            function: name,
            export: &export,
            handle: Some(self.handle),
            rows,
            arguments,
            results,
            groups,
        };
        Ok(guest.run(name, |guest| guest.call(&batch))?)
    }

    /// Takes rows into their groups.
    fn update(
        &self,
        guest: &mut Taken,
        values: &[ArrayRef],
        rows: usize,
        groups: Option<(&[u32], usize)>,
    ) -> Result<()> {
        let arguments = columns(&self.signature, values)?;
        self.call(guest, "update", rows, (&arguments, &[]), groups)?;
        Ok(())
    }

    /// Takes states into their groups.
    fn merge(
        &self,
        guest: &mut Taken,
        values: &[ArrayRef],
        rows: usize,
        groups: Option<(&[u32], usize)>,
    ) -> Result<()> {
        let arguments = states(&self.signature, values)?;
        self.call(guest, "merge", rows, (&arguments, &[]), groups)?;
        Ok(())
    }

    /// The states of the first groups.
    fn state(&self, guest: &mut Taken, groups: usize) -> Result<Vec<ArrayRef>> {
        let states = &self.signature.state;
        if groups == 0 {
            let empty = states.iter().map(|it| new_empty_array(&it.data_type));
            return Ok(empty.collect());
        }
        self.call(guest, "state", groups, (&[], states), Some((&[], groups)))
    }

    /// The results of the first groups.
    fn finish(&self, guest: &mut Taken, groups: usize) -> Result<ArrayRef> {
        let result = std::slice::from_ref(&self.signature.result);
        if groups == 0 {
            return Ok(new_empty_array(&result[0].data_type));
        }
        let groups = (groups, Some((&[][..], groups)));
        let mut results = self.call(guest, "finish", groups.0, (&[], result), groups.1)?;
        Ok(results.swap_remove(0))
    }

    fn remove(&self, guest: &mut Taken, groups: usize) -> Result<()> {
        let name = &self.signature.name;
        let export = format!("column:{name}:remove");
        let args = (self.handle, groups as u32);
        Ok(guest.run(name, |guest| guest.call_export(name, &export, args))?)
    }

    /// About how many bytes it has; 0 if the guest does not say.
    fn size(&self, guest: &mut Taken) -> usize {
        let name = &self.signature.name;
        let export = format!("column:{name}:size");
        let size = guest.run(name, |guest| {
            guest.call_export::<u32>(name, &export, (self.handle,))
        });
        size.map_or(0, |size| size as usize)
    }

    /// The guest forgets it.
    fn end(&self, guest: &mut Taken) {
        let name = &self.signature.name;
        let export = format!("column:{name}:drop");
        if guest.is_usable() {
            // A guest that cannot even do this is not used again.
            let _ = guest.run(name, |guest| {
                guest.call_export::<()>(name, &export, (self.handle,))
            });
        }
    }
}

/// An aggregate over all rows that it is given.
#[derive(Debug)]
struct GuestAccumulator {
    /// Others have it as well.
    guest: Arc<Mutex<Taken>>,
    state: State,
}

impl GuestAccumulator {
    fn with<R>(&self, call: impl FnOnce(&State, &mut Taken) -> R) -> R {
        let mut guest = self.guest.lock().unwrap_or_else(PoisonError::into_inner);
        call(&self.state, &mut guest)
    }
}

impl Accumulator for GuestAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        match values.first().map_or(0, |array| array.len()) {
            0 => Ok(()),
            rows => self.with(|state, guest| state.update(guest, values, rows, None)),
        }
    }

    fn merge_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        match values.first().map_or(0, |array| array.len()) {
            0 => Ok(()),
            rows => self.with(|state, guest| state.merge(guest, values, rows, None)),
        }
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let result = self.with(|state, guest| state.finish(guest, 1))?;
        ScalarValue::try_from_array(&result, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let states = self.with(|state, guest| state.state(guest, 1))?;
        let first = |state: &ArrayRef| ScalarValue::try_from_array(state, 0);
        states.iter().map(first).collect()
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.with(|state, guest| state.size(guest))
    }
}

impl Drop for GuestAccumulator {
    fn drop(&mut self) {
        self.with(|state, guest| state.end(guest));
    }
}

/// An aggregate over groups.
struct GuestGroups {
    guest: RefCell<Taken>,
    state: State,
    /// How many groups there are.
    groups: usize,
    /// Each row's, as the guest has them.
    indices: Vec<u32>,
}

impl GuestGroups {
    /// Takes rows into groups: those that a filter lets through.
    fn take(
        &mut self,
        merge: bool,
        values: &[ArrayRef],
        indices: &[usize],
        rows: Option<&BooleanArray>,
        groups: usize,
    ) -> Result<()> {
        let kept = rows.map(|rows| Kept::new(rows, values)).transpose()?;
        let values = kept.as_ref().map_or(values, |kept| &kept.values);
        self.indices.clear();
        self.indices.reserve(indices.len());
        let passes = |row: usize| kept.as_ref().is_none_or(|kept| kept.rows.value(row));
        for (row, group) in indices.iter().enumerate().filter(|(row, _)| passes(*row)) {
            let group = u32::try_from(*group);
            let group = group.map_err(|_| exec_datafusion_err!("row {row} is of too many groups"));
            self.indices.push(group?);
        }
        self.groups = self.groups.max(groups);
        let rows = self.indices.len();
        if rows == 0 {
            return Ok(());
        }
        let groups = Some((&self.indices[..], groups));
        let guest = self.guest.get_mut();
        match merge {
            true => self.state.merge(guest, values, rows, groups),
            false => self.state.update(guest, values, rows, groups),
        }
    }

    /// Forgets what was emitted.
    fn emitted(&mut self, groups: usize) -> Result<()> {
        self.groups -= groups;
        self.state.remove(self.guest.get_mut(), groups)
    }

    fn count(&self, emit_to: EmitTo) -> usize {
        match emit_to {
            EmitTo::All => self.groups,
            EmitTo::First(groups) => groups.min(self.groups),
        }
    }
}

/// The rows that a filter lets through.
struct Kept {
    rows: BooleanArray,
    values: Vec<ArrayRef>,
}

impl Kept {
    fn new(rows: &BooleanArray, values: &[ArrayRef]) -> Result<Self> {
        let rows = match rows.null_count() {
            0 => rows.clone(),
            _ => prep_null_mask_filter(rows),
        };
        let values: Result<_, _> = values.iter().map(|array| filter(array, &rows)).collect();
        Ok(Self {
            values: values?,
            rows,
        })
    }
}

impl GroupsAccumulator for GuestGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.take(false, values, group_indices, opt_filter, total_num_groups)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.take(true, values, group_indices, None, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = self.count(emit_to);
        let result = self.state.finish(self.guest.get_mut(), groups)?;
        self.emitted(groups)?;
        Ok(result)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let groups = self.count(emit_to);
        let states = self.state.state(self.guest.get_mut(), groups)?;
        self.emitted(groups)?;
        Ok(states)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        // Each row is a group, of a handle of its own.
        let rows = values.first().map_or(0, |array| array.len());
        let mut guest = self.guest.borrow_mut();
        let state = State::new(&mut guest, &self.state.signature)?;
        let kept = opt_filter.map(|rows| Kept::new(rows, values)).transpose()?;
        let values = kept.as_ref().map_or(values, |kept| &kept.values);
        let passes = |row: &usize| kept.as_ref().is_none_or(|kept| kept.rows.value(*row));
        let indices: Vec<u32> = (0..rows).filter(passes).map(|row| row as u32).collect();
        let updated = match indices.is_empty() {
            true => Ok(()),
            false => state.update(&mut guest, values, indices.len(), Some((&indices, rows))),
        };
        let states = updated.and_then(|()| state.state(&mut guest, rows));
        state.end(&mut guest);
        states
    }

    fn size(&self) -> usize {
        let indices = self.indices.capacity() * size_of::<u32>();
        size_of::<Self>() + indices + self.state.size(&mut self.guest.borrow_mut())
    }
}

impl Drop for GuestGroups {
    fn drop(&mut self) {
        self.state.end(self.guest.get_mut());
    }
}
