//! Where guests write results that become Arrow buffers without a copy.
//!
//! A result is a region that the guest that writes it has in its memory. While the buffer
//! lives, the guest cannot write there: if it does when the guest is to run again, the region
//! is taken from it before. When the buffer is dropped, the region is used again.

use arrow::buffer::Buffer;
use genkan_host::{Access, Error, Guest, Pinned, Region};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A result of fewer bytes is copied, which costs less.
const SMALLEST: usize = 16 << 10;
/// A result of fewer bytes is copied while the query keeps results: to map it elsewhere for
/// each batch costs more.
const COPIED_IF_KEPT: usize = 1 << 20;
/// For how many results that goes on.
const PATIENCE: u32 = 64;
/// How many regions are kept that are not in the guest's memory.
const MOST_FREE: usize = 8;

/// Regions that buffers gave back.
type Home = Mutex<Vec<Region>>;

/// A region in the guest's memory.
struct Place {
    address: u32,
    /// Which one, while a buffer has it.
    pointer: genkan_host::Pointer,
    /// It, while no buffer has it.
    region: Option<Region>,
}

/// A guest's results.
#[derive(Default)]
pub(crate) struct Results {
    places: Vec<Place>,
    free: Vec<Region>,
    home: Arc<Home>,
    patience: u32,
}

/// A place that a result was given.
pub(crate) struct Taken {
    pub(crate) address: u32,
    index: usize,
}

impl Results {
    /// The guest is to run: takes from it what buffers still have.
    pub(crate) fn next_call(&mut self, guest: &mut Guest) {
        for region in lock(&self.home).drain(..) {
            let mut places = self.places.iter_mut();
            match places.find(|place| place.pointer == region.pointer()) {
                Some(place) => place.region = Some(region),
                None if self.free.len() < MOST_FREE => self.free.push(region),
                None => {}
            }
        }
        self.places.retain(|place| {
            if place.region.is_none() {
                self.patience = PATIENCE;
                // The guest may have taken it away itself.
                let _ = guest.hide(place.address);
            }
            place.region.is_some()
        });
    }

    /// A place for a result of so many bytes; `None` if it is to be copied.
    pub(crate) fn take(&mut self, guest: &mut Guest, len: usize, used: &[Taken]) -> Option<Taken> {
        if len < SMALLEST {
            return None;
        }
        if len < COPIED_IF_KEPT && self.patience > 0 {
            self.patience -= 1;
            return None;
        }
        let size = len.checked_next_power_of_two()?;
        let fits = |region: &Region| region.len() == size;
        let found = self.places.iter().enumerate().find(|(index, place)| {
            place.region.as_ref().is_some_and(fits) && used.iter().all(|it| it.index != *index)
        });
        if let Some((index, place)) = found {
            let address = place.address;
            return Some(Taken { address, index });
        }
        let free = self.free.iter().position(fits);
        let region = match free {
            Some(index) => self.free.swap_remove(index),
            None => Region::zeroed(size).ok()?,
        };
        let address = guest.show(&region, 0..size, Access::ReadWrite).ok()?;
        self.places.push(Place {
            address,
            pointer: region.pointer(),
            region: Some(region),
        });
        let index = self.places.len() - 1;
        Some(Taken { address, index })
    }

    /// What was written there, as a buffer of `len` bytes.
    pub(crate) fn finish(&mut self, taken: &Taken, len: usize) -> Result<Buffer, Error> {
        let place = &mut self.places[taken.index];
        let region = place.region.take().expect("a place is finished once");
        let bytes = match region.pin() {
            Ok(bytes) => bytes,
            Err(error) => {
                place.region = Some(region);
                return Err(error);
            }
        };
        let kept = Kept {
            bytes: Some(bytes),
            region: Some(region),
            home: Arc::downgrade(&self.home),
        };
        Ok(Buffer::from(bytes::Bytes::from_owner(kept)).slice_with_length(0, len))
    }
}

fn lock(home: &Home) -> std::sync::MutexGuard<'_, Vec<Region>> {
    home.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an Arrow buffer keeps.
struct Kept {
    bytes: Option<Pinned>,
    region: Option<Region>,
    home: Weak<Home>,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or_default()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // The guest may write there again from now on.
        self.bytes = None;
        if let (Some(home), Some(region)) = (self.home.upgrade(), self.region.take()) {
            lock(&home).push(region);
        }
    }
}
