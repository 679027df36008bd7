//! A batch as it lies in a guest's memory: arguments into it, results out of it. The guest
//! is believed nothing: see `guest/COLUMNS.md` for what it is to do.

use crate::Error;
use crate::resident::Resident;
use crate::signature::{Column, Layout};
use arrow::array::{Array, ArrayData, ArrayRef, Decimal128Array, make_array};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::DataType;
use genkan_host::Guest;
use std::borrow::Cow;
use std::sync::Arc;

/// How many bytes a batch and a column have, before what they refer to.
const BATCH_LEN: usize = 40;
const COLUMN_LEN: usize = 32;
/// Each part begins at a multiple of that.
const ALIGNMENT: usize = 64;
/// The error's text is read up to here.
const LONGEST_ERROR: u32 = 4096;
/// The row of an error that is about none.
const NO_ROW: u32 = u32::MAX;
/// A column's flag: one row stands for all.
const SCALAR: u32 = 1;

/// An argument of a call.
pub(crate) struct Argument {
    pub(crate) data: ArrayData,
    /// Whether its one row stands for all.
    pub(crate) scalar: bool,
}

/// A call with a batch.
pub(crate) struct Batch<'a> {
    /// The function's name in SQL.
    pub(crate) function: &'a str,
    /// The export to be called.
    pub(crate) export: &'a str,
    /// Of an aggregate, which of its states.
    pub(crate) handle: Option<u32>,
    pub(crate) rows: usize,
    pub(crate) arguments: &'a [Argument],
    pub(crate) results: &'a [Column],
    /// Of an aggregate, each row's group if there is more than one, and how many groups
    /// there are.
    pub(crate) groups: Option<(&'a [u32], usize)>,
}

/// Where something is in the guest's memory.
#[derive(Clone, Copy)]
enum Place {
    /// It is not there.
    Nowhere,
    /// So far behind the batch.
    Behind(usize),
    At(u32),
}

/// A column's fields, in their order in memory.
struct Fields {
    values: Place,
    values_len: usize,
    values_bit: usize,
    offsets: Place,
    validity: Place,
    validity_bit: usize,
    nulls: usize,
    flags: u32,
}

/// What lies in the guest's memory, and where.
pub(crate) struct Frame<'a> {
    batch: &'a Batch<'a>,
    /// How long it is.
    len: usize,
    /// The arguments' columns, and then the results'.
    columns: Vec<Fields>,
    groups: Place,
    /// What is copied into it, and where.
    parts: Vec<(usize, Cow<'a, [u8]>)>,
}

impl<'a> Frame<'a> {
    /// Lays a batch out. Buffers that are resident are shown by `show`; if it cannot, they
    /// are copied as the others are.
    pub(crate) fn new(
        batch: &'a Batch<'a>,
        mut show: impl FnMut(&Arc<Resident>) -> Option<u32>,
    ) -> Self {
        let columns = batch.arguments.len() + batch.results.len();
        let mut frame = Self {
            batch,
            len: BATCH_LEN + columns * COLUMN_LEN,
            columns: Vec::with_capacity(columns),
            groups: Place::Nowhere,
            parts: Vec::with_capacity(2 * columns),
        };
        for argument in batch.arguments {
            let fields = frame.argument(argument, &mut show);
            frame.columns.push(fields);
        }
        if let Some((groups, _)) = batch.groups {
            let bytes: Vec<u8> = groups
                .iter()
                .flat_map(|group| group.to_le_bytes())
                .collect();
            frame.groups = frame.copied(Cow::Owned(bytes));
        }
        frame
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Room for so many bytes.
    fn room(&mut self, len: usize) -> Place {
        let start = self.len.next_multiple_of(ALIGNMENT);
        self.len = start + len;
        Place::Behind(start)
    }

    fn copied(&mut self, bytes: Cow<'a, [u8]>) -> Place {
        let start = self.len.next_multiple_of(ALIGNMENT);
        self.len = start + bytes.len();
        self.parts.push((start, bytes));
        Place::Behind(start)
    }

    /// Bytes of an argument's: shown where they can be, else copied.
    fn bytes(
        &mut self,
        bytes: &'a [u8],
        show: &mut impl FnMut(&Arc<Resident>) -> Option<u32>,
    ) -> Place {
        if let Some((resident, start)) = Resident::find(bytes)
            && let Some(address) = show(&resident)
        {
            // A region is shorter than what an address can say.
            return Place::At(address + start as u32);
        }
        self.copied(Cow::Borrowed(bytes))
    }

    /// A bitmap of an argument's, from a bit on: where it is, and which bit of its first byte.
    fn bits(
        &mut self,
        bytes: &'a [u8],
        (start, len): (usize, usize),
        show: &mut impl FnMut(&Arc<Resident>) -> Option<u32>,
    ) -> (Place, usize) {
        let bytes = &bytes[start / 8..(start + len).div_ceil(8)];
        (self.bytes(bytes, show), start % 8)
    }

    fn argument(
        &mut self,
        argument: &'a Argument,
        show: &mut impl FnMut(&Arc<Resident>) -> Option<u32>,
    ) -> Fields {
        let data = &argument.data;
        let (start, len) = (data.offset(), data.len());
        let mut fields = Fields {
            values: Place::Nowhere,
            values_len: 0,
            values_bit: 0,
            offsets: Place::Nowhere,
            validity: Place::Nowhere,
            validity_bit: 0,
            nulls: 0,
            flags: if argument.scalar { SCALAR } else { 0 },
        };
        if let Some(nulls) = data.nulls().filter(|nulls| nulls.null_count() > 0) {
            let bits = (nulls.offset(), nulls.len());
            (fields.validity, fields.validity_bit) = self.bits(nulls.validity(), bits, show);
            fields.nulls = nulls.null_count();
        }
        match layout(data.data_type()) {
            Layout::Bits => {
                let bytes = data.buffers()[0].as_slice();
                (fields.values, fields.values_bit) = self.bits(bytes, (start, len), show);
                fields.values_len = (fields.values_bit + len).div_ceil(8);
            }
            Layout::Fixed(width) => {
                let bytes = &data.buffers()[0].as_slice()[start * width..(start + len) * width];
                fields.values = self.bytes(bytes, show);
                fields.values_len = bytes.len();
            }
            Layout::Text => self.text(data, &mut fields, show),
        }
        fields
    }

    /// Text: all of it if it is resident, else the rows' alone, with offsets into that.
    fn text(
        &mut self,
        data: &'a ArrayData,
        fields: &mut Fields,
        show: &mut impl FnMut(&Arc<Resident>) -> Option<u32>,
    ) {
        let rows = data.offset()..data.offset() + data.len() + 1;
        let bytes = &data.buffers()[0].as_slice()[rows.start * 4..rows.end * 4];
        let offsets = &data.buffers()[0].typed_data::<i32>()[rows];
        let text = data.buffers()[1].as_slice();
        if let Some((resident, start)) = Resident::find(text)
            && let Some(address) = show(&resident)
        {
            fields.values = Place::At(address + start as u32);
            fields.values_len = text.len();
            fields.offsets = self.bytes(bytes, show);
            return;
        }
        // The array's own checks say that they rise, and end in the text.
        let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
        let text = &text[first as usize..last as usize];
        fields.values = self.copied(Cow::Borrowed(text));
        fields.values_len = text.len();
        fields.offsets = match first {
            0 => self.bytes(bytes, show),
            first => {
                let moved = offsets.iter().flat_map(|at| (at - first).to_le_bytes());
                let moved = moved.collect();
                self.copied(Cow::Owned(moved))
            }
        };
    }

    /// How many bytes the values of a result have, if each has as many as the others.
    pub(crate) fn fixed_len(&self, result: usize) -> Option<usize> {
        match self.batch.results[result].layout() {
            Layout::Fixed(width) => Some(self.batch.rows * width),
            Layout::Bits | Layout::Text => None,
        }
    }

    /// Lays the next result out; its values are at `address` if that is given.
    pub(crate) fn place_result(&mut self, result: usize, address: Option<u32>) {
        let rows = self.batch.rows;
        // Whole words of 8 bytes.
        let bits = rows.div_ceil(64) * 8;
        let (values, values_len, offsets) = match self.batch.results[result].layout() {
            Layout::Bits => (self.room(bits), bits, Place::Nowhere),
            Layout::Text => (Place::Nowhere, 0, self.room((rows + 1) * 4)),
            Layout::Fixed(width) => {
                let len = rows * width;
                let values = address.map_or_else(|| self.room(len), Place::At);
                (values, len, Place::Nowhere)
            }
        };
        let fields = Fields {
            values,
            values_len,
            values_bit: 0,
            offsets,
            validity: self.room(bits),
            validity_bit: 0,
            nulls: 0,
            flags: 0,
        };
        self.columns.push(fields);
    }

    /// Writes all of it into the guest's memory, at `address`.
    ///
    /// # Errors
    /// [`genkan_host::Error::GuestRange`] where the guest gave memory that it has not.
    pub(crate) fn write(&self, guest: &mut Guest, address: u32) -> Result<(), genkan_host::Error> {
        let batch = self.batch;
        let columns = address + BATCH_LEN as u32;
        let results = columns + (batch.arguments.len() * COLUMN_LEN) as u32;
        let words = [
            word(batch.rows),
            columns,
            word(batch.arguments.len()),
            results,
            word(batch.results.len()),
            self.groups.address(address),
            // All rows are of one group if nobody says how many there are.
            batch.groups.map_or(1, |(_, count)| word(count)),
            0,
            0,
            NO_ROW,
        ];
        let fields = self.columns.iter().flat_map(|it| it.words(address));
        let header: Vec<u8> = words
            .into_iter()
            .chain(fields)
            .flat_map(u32::to_le_bytes)
            .collect();
        guest.write(address, &header)?;
        for (start, bytes) in &self.parts {
            guest.write(address + word(*start), bytes)?;
        }
        Ok(())
    }

    /// What the guest has answered: its results, checked. Values that were placed elsewhere
    /// come from `elsewhere`, which is asked for so many bytes.
    ///
    /// # Errors
    /// [`Error::Failed`], [`Error::Returned`].
    pub(crate) fn lift(
        &self,
        guest: &Guest,
        address: u32,
        code: u32,
        mut elsewhere: impl FnMut(usize) -> Result<Buffer, genkan_host::Error>,
    ) -> Result<Vec<ArrayRef>, Error> {
        match code {
            0 => {}
            1 => return Err(self.failed(guest, address)),
            other => return Err(self.returned("status", format!("{other} is neither 0 nor 1"))),
        }
        let first = self.batch.arguments.len();
        let mut arrays = Vec::with_capacity(self.batch.results.len());
        for (index, column) in self.batch.results.iter().enumerate() {
            let made = &self.columns[first + index];
            let at = address + word(BATCH_LEN + (first + index) * COLUMN_LEN);
            let array = self.result(guest, (address, at), made, column, &mut elsewhere);
            let expected = column.data_type.to_string();
            arrays.push(array.map_err(|problem| self.returned(&expected, problem))?);
        }
        Ok(arrays)
    }

    fn result(
        &self,
        guest: &Guest,
        (address, at): (u32, u32),
        made: &Fields,
        column: &Column,
        elsewhere: &mut impl FnMut(usize) -> Result<Buffer, genkan_host::Error>,
    ) -> Result<ArrayRef, String> {
        let rows = self.batch.rows;
        let left = guest
            .read_numbers::<u32>(at, COLUMN_LEN / 4)
            .map_err(text)?;
        let [values, values_len, _, offsets, validity, ..] = left[..] else {
            return Err("its column is gone".into());
        };
        let moved = |what| Err(format!("it moved the column's {what}"));
        let nulls = match validity {
            0 => None,
            at if at == made.validity.address(address) => Some(bits(guest, at, rows)?),
            _ => return moved("validity"),
        };
        let nulls = nulls.map(NullBuffer::new).filter(|it| it.null_count() > 0);
        let same = values == made.values.address(address) && values_len == word(made.values_len);
        let data = ArrayData::builder(column.data_type.clone())
            .len(rows)
            .nulls(nulls);
        let data = match column.layout() {
            Layout::Bits | Layout::Fixed(_) if !same => return moved("values"),
            Layout::Bits => data.add_buffer(bits(guest, values, rows)?.into_inner()),
            Layout::Fixed(width) => data.add_buffer(match made.values {
                Place::At(_) => elsewhere(rows * width).map_err(text)?,
                _ => fixed(guest, values, rows, width)?,
            }),
            Layout::Text if offsets != made.offsets.address(address) => return moved("offsets"),
            Layout::Text => {
                let offsets = guest.read_numbers::<i32>(offsets, rows + 1).map_err(text)?;
                let len = match (offsets[0], offsets[rows]) {
                    (0, last @ 0..) if last as u32 <= values_len => last as usize,
                    (first, last) => {
                        return Err(format!(
                            "its offsets are from {first} to {last}, in {values_len} bytes"
                        ));
                    }
                };
                let bytes = guest.read_numbers::<u8>(values, len).map_err(text)?;
                data.add_buffer(Buffer::from_vec(offsets))
                    .add_buffer(Buffer::from_vec(bytes))
            }
        };
        // This checks offsets, and that text is UTF-8.
        let array = make_array(data.build().map_err(|error| error.to_string())?);
        if let DataType::Decimal128(precision, _) = column.data_type
            && let Some(decimals) = array.as_any().downcast_ref::<Decimal128Array>()
        {
            let valid = decimals.validate_decimal_precision(precision);
            valid.map_err(|error| error.to_string())?;
        }
        Ok(array)
    }

    /// What a function that failed says.
    fn failed(&self, guest: &Guest, address: u32) -> Error {
        let words = guest.read_numbers::<u32>(address + 28, 3);
        let [start, len, row] = words.unwrap_or_default()[..] else {
            return self.returned("error", "its batch is gone".into());
        };
        match guest.read_numbers::<u8>(start, len.min(LONGEST_ERROR) as usize) {
            Ok(message) => Error::Failed {
                function: self.batch.function.into(),
                row: (row != NO_ROW).then_some(row),
                message: String::from_utf8_lossy(&message).into_owned(),
            },
            Err(error) => self.returned("error", error.to_string()),
        }
    }

    fn returned(&self, expected: &str, problem: String) -> Error {
        Error::Returned {
            function: self.batch.function.into(),
            expected: expected.into(),
            problem,
        }
    }
}

impl Place {
    fn address(self, batch: u32) -> u32 {
        match self {
            Self::Nowhere => 0,
            Self::Behind(start) => batch + word(start),
            Self::At(address) => address,
        }
    }
}

impl Fields {
    fn words(&self, batch: u32) -> [u32; COLUMN_LEN / 4] {
        [
            self.values.address(batch),
            word(self.values_len),
            word(self.values_bit),
            self.offsets.address(batch),
            self.validity.address(batch),
            word(self.validity_bit),
            word(self.nulls),
            self.flags,
        ]
    }
}

/// All of these lie in the guest's memory, or are to, which has been checked to have room.
fn word(len: usize) -> u32 {
    len as u32
}

fn layout(data_type: &DataType) -> Layout {
    Column {
        data_type: data_type.clone(),
        nullable: true,
    }
    .layout()
}

fn text(error: genkan_host::Error) -> String {
    error.to_string()
}

/// A bitmap that the guest filled in.
fn bits(guest: &Guest, address: u32, rows: usize) -> Result<BooleanBuffer, String> {
    let bytes = guest
        .read_numbers::<u8>(address, rows.div_ceil(8))
        .map_err(text)?;
    Ok(BooleanBuffer::new(Buffer::from_vec(bytes), 0, rows))
}

/// Values that the guest filled in, at a multiple of their width.
fn fixed(guest: &Guest, address: u32, rows: usize, width: usize) -> Result<Buffer, String> {
    let values = match width {
        16 => {
            let halves = guest.read_numbers::<u64>(address, rows * 2).map_err(text)?;
            let (pairs, _) = halves.as_chunks::<2>();
            let whole = pairs
                .iter()
                .map(|[low, high]| u128::from(*low) | u128::from(*high) << 64);
            Buffer::from_vec(whole.map(|it| it as i128).collect::<Vec<_>>())
        }
        8 => Buffer::from_vec(guest.read_numbers::<u64>(address, rows).map_err(text)?),
        4 => Buffer::from_vec(guest.read_numbers::<u32>(address, rows).map_err(text)?),
        2 => Buffer::from_vec(guest.read_numbers::<u16>(address, rows).map_err(text)?),
        _ => Buffer::from_vec(
            guest
                .read_numbers::<u8>(address, rows * width)
                .map_err(text)?,
        ),
    };
    Ok(values)
}
