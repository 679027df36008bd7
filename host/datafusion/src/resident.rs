//! Arrow buffers in memory that guests can be shown: a function gets such a column without a
//! copy.
//!
//! Each buffer is a region of its own, and what a guest is shown is a buffer: all of it, also
//! where the query has a slice. It is read only, and only by guests of functions that were
//! given a column in it.

use arrow::array::{Array, ArrayData, ArrayRef, MutableArrayData, RecordBatch, make_array};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use datafusion::datasource::MemTable;
use datafusion::error::{DataFusionError, Result};
use genkan_host::{Number, Pinned, Region, RegionVec};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, Weak};

/// Where an array has so many bytes or fewer, to copy them costs less than to show them.
const SMALL: usize = 4096;

/// A buffer's bytes, as a region.
#[derive(Debug)]
pub(crate) struct Resident {
    pub(crate) region: Region,
    bytes: Pinned,
}

/// All of them, by their address.
static ALL: RwLock<BTreeMap<usize, Weak<Resident>>> = RwLock::new(BTreeMap::new());

impl Resident {
    fn new(region: Region) -> Result<Arc<Self>, genkan_host::Error> {
        let bytes = region.pin()?;
        let resident = Arc::new(Self { region, bytes });
        let mut all = ALL.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(resident.address(), Arc::downgrade(&resident));
        drop(all);
        Ok(resident)
    }

    pub(crate) fn address(&self) -> usize {
        self.bytes.as_ptr() as usize
    }

    /// The one that these bytes are in, and where they begin in it.
    pub(crate) fn find(bytes: &[u8]) -> Option<(Arc<Self>, usize)> {
        if bytes.len() < SMALL {
            return None;
        }
        let address = bytes.as_ptr() as usize;
        let all = ALL.read().unwrap_or_else(PoisonError::into_inner);
        let (base, resident) = all.range(..=address).next_back()?;
        let resident = resident.upgrade()?;
        let start = address - base;
        let inside = start.checked_add(bytes.len())? <= resident.bytes.len();
        inside.then_some((resident, start))
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        let mut all = ALL.write().unwrap_or_else(PoisonError::into_inner);
        all.remove(&self.address());
    }
}

/// What an Arrow buffer keeps.
struct Kept(Arc<Resident>);

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

fn host(error: genkan_host::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Makes numbers an Arrow buffer that guests can be shown. The numbers stay where they are.
///
/// # Errors
/// When the system has no memory left.
pub fn resident_buffer<T: Number>(numbers: RegionVec<T>) -> Result<Buffer> {
    let resident = Resident::new(numbers.into_region().map_err(host)?).map_err(host)?;
    Ok(Buffer::from(bytes::Bytes::from_owner(Kept(resident))))
}

/// Copies an array into memory that guests can be shown; without what a slice leaves out.
/// Small buffers are left where they are, and so are those of views and of nested types,
/// which functions do not take.
///
/// # Errors
/// When the system has no memory left.
pub fn resident_array(array: &dyn Array) -> Result<ArrayRef> {
    let data = array.to_data();
    if !data.child_data().is_empty() {
        return Ok(make_array(data));
    }
    let mut compact = MutableArrayData::new(vec![&data], false, data.len());
    compact.try_extend(0, 0, data.len())?;
    let data = compact.freeze();
    let moved = |buffer: &Buffer| match buffer.len() {
        len if len <= SMALL => Ok(buffer.clone()),
        _ => copy(buffer),
    };
    let nulls = match data.nulls() {
        Some(nulls) => {
            let bits = nulls.inner().sliced();
            Some(NullBuffer::new(arrow::buffer::BooleanBuffer::new(
                moved(&bits)?,
                0,
                nulls.len(),
            )))
        }
        None => None,
    };
    let buffers: Result<_> = data.buffers().iter().map(moved).collect();
    let data = ArrayData::builder(data.data_type().clone())
        .len(data.len())
        .offset(data.offset())
        .buffers(buffers?)
        .nulls(nulls)
        .build()?;
    Ok(make_array(data))
}

fn copy(buffer: &Buffer) -> Result<Buffer> {
    let mut bytes = RegionVec::<u8>::with_capacity(buffer.len()).map_err(host)?;
    bytes.extend_from_slice(buffer).map_err(host)?;
    resident_buffer(bytes)
}

/// The same for all columns of a batch.
///
/// # Errors
/// As for [`resident_array`].
pub fn resident_batch(batch: &RecordBatch) -> Result<RecordBatch> {
    let columns: Result<_> = batch
        .columns()
        .iter()
        .map(|it| resident_array(it))
        .collect();
    Ok(RecordBatch::try_new(batch.schema(), columns?)?)
}

/// A table in memory whose columns guests can be shown: each column is one buffer, which a
/// guest is shown once, and the query gets it in batches of so many rows.
///
/// # Errors
/// When the batches are not of this schema; as for [`resident_array`].
pub fn resident_table(
    schema: SchemaRef,
    batches: &[RecordBatch],
    batch_rows: usize,
) -> Result<MemTable> {
    if batch_rows == 0 {
        let problem = "batches of no rows".to_string();
        return Err(ArrowError::InvalidArgumentError(problem).into());
    }
    let whole = resident_batch(&concat_batches(&schema, batches)?)?;
    let starts = (0..whole.num_rows()).step_by(batch_rows);
    let slice = |start| whole.slice(start, batch_rows.min(whole.num_rows() - start));
    MemTable::try_new(schema, vec![starts.map(slice).collect()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{AsArray, Int64Array, StringArray};
    use arrow::datatypes::Int64Type;

    #[test]
    fn an_array_is_found_by_its_bytes_until_it_is_dropped() {
        let array: Int64Array = (0..10_000).map(|n| (n % 7 != 0).then_some(n)).collect();
        let slice = array.slice(100, 5_000);
        let moved = resident_array(&slice).unwrap();
        assert_eq!(moved.as_primitive::<Int64Type>(), &slice);
        let part = moved.slice(1_000, 600);
        let values = part.as_primitive::<Int64Type>().values().inner().clone();
        drop((moved, part));
        let (found, start) = Resident::find(&values).unwrap();
        assert_eq!(start, 8_000);
        let address = found.address();
        assert!(Resident::find(array.values().inner()).is_none());
        drop((found, values));
        assert!(!ALL.read().unwrap().contains_key(&address));
    }

    #[test]
    fn text_and_small_arrays_stay_what_they_were() {
        let text: StringArray = (0..2_000)
            .map(|n| (n % 3 != 0).then(|| n.to_string()))
            .collect();
        let moved = resident_array(&text.slice(7, 1_500)).unwrap();
        assert_eq!(moved.as_string::<i32>(), &text.slice(7, 1_500));
        let small = StringArray::from(vec!["a"]);
        assert_eq!(resident_array(&small).unwrap().as_string::<i32>(), &small);
        let none = StringArray::from(Vec::<&str>::new());
        assert_eq!(resident_array(&none).unwrap().len(), 0);
    }
}
