//! Resident buffers as one guest sees them: each is mapped once, and stays.

use crate::resident::Resident;
use genkan_host::{Access, Guest};
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// How many buffers a guest sees at a time. A process has some 65,000 mappings.
const MOST: usize = 256;

struct Shown {
    resident: Weak<Resident>,
    address: u32,
    /// The call that used it last.
    used: u64,
}

/// What a guest is shown, by the buffers' addresses.
#[derive(Default)]
pub(crate) struct Windows {
    shown: HashMap<usize, Shown>,
    /// How many calls there have been.
    call: u64,
}

impl Windows {
    /// The next call begins: what the last one used may go.
    pub(crate) fn next_call(&mut self) {
        self.call += 1;
    }

    /// Where the guest sees a buffer; `None` if it cannot: then it is to be copied.
    pub(crate) fn show(&mut self, guest: &mut Guest, resident: &Arc<Resident>) -> Option<u32> {
        if let Some(shown) = self.shown.get_mut(&resident.address()) {
            if std::ptr::eq(shown.resident.as_ptr(), Arc::as_ptr(resident)) {
                shown.used = self.call;
                return Some(shown.address);
            }
            // Another buffer was there before.
            let gone = self.shown.remove(&resident.address());
            hide(guest, gone);
        }
        if self.shown.len() >= MOST {
            self.make_room(guest)?;
        }
        let region = &resident.region;
        let address = guest.show(region, 0..region.len(), Access::Read).ok()?;
        let shown = Shown {
            resident: Arc::downgrade(resident),
            address,
            used: self.call,
        };
        self.shown.insert(resident.address(), shown);
        Some(address)
    }

    /// Hides the one that was not used for longest.
    fn make_room(&mut self, guest: &mut Guest) -> Option<()> {
        let unused = self.shown.iter().filter(|(_, it)| it.used < self.call);
        let (&oldest, _) = unused.min_by_key(|(_, it)| it.used)?;
        hide(guest, self.shown.remove(&oldest));
        Some(())
    }
}

fn hide(guest: &mut Guest, shown: Option<Shown>) {
    if let Some(shown) = shown {
        // The guest may have taken it away itself.
        let _ = guest.hide(shown.address);
    }
}
