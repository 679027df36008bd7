//! The words that a guest's own code looks at, in memory that it cannot reach.

use std::cell::UnsafeCell;
use std::mem::offset_of;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use wasmer::sys::vm::{
    LinearMemory, MaybeInstanceOwned, MemoryError, MemoryStyle, Trap, TrapCode, VMMemory,
    VMMemoryDefinition,
};
use wasmer::{MemoryType, Pages};

/// What the host tells a guest's code, and its code the host. The load-time pass
/// writes the accesses.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Words {
    /// The fuel that it has left; below 0 if it would have needed more.
    fuel: AtomicI64,
    /// Why it is to end; 0 while it may go on. Not the first: the pass addresses it from
    /// the byte before as well.
    interrupt: AtomicU32,
}

impl Words {
    /// Where the interrupt is: an `i32`.
    pub(crate) const INTERRUPT: u64 = offset_of!(Self, interrupt) as u64;
    /// Where the fuel is: an `i64`.
    pub(crate) const FUEL: u64 = offset_of!(Self, fuel) as u64;

    /// Has the guest look why it is to end.
    pub(crate) fn raise(&self, bits: u32) {
        self.interrupt.fetch_or(bits, Ordering::SeqCst);
    }

    pub(crate) fn clear(&self, bits: u32) {
        self.interrupt.fetch_and(!bits, Ordering::SeqCst);
    }

    pub(crate) fn raised(&self) -> u32 {
        self.interrupt.load(Ordering::SeqCst)
    }

    /// The fuel that is left. Only the guest's thread changes it.
    pub(crate) fn fuel(&self) -> i64 {
        self.fuel.load(Ordering::Relaxed)
    }

    pub(crate) fn set_fuel(&self, fuel: i64) {
        self.fuel.store(fuel, Ordering::Relaxed);
    }
}

/// The words as a memory of one page, of which only they are there: no code but the
/// pass's uses it, with addresses of them alone.
#[derive(Debug)]
pub(super) struct WordsMemory {
    definition: MaybeInstanceOwned<VMMemoryDefinition>,
    /// What it points to.
    _words: Arc<Words>,
}

// SAFETY: the definition never changes, and the words are atomic.
unsafe impl Send for WordsMemory {}
// SAFETY: as above.
unsafe impl Sync for WordsMemory {}

/// Its type.
pub(super) fn words_type() -> MemoryType {
    MemoryType::new(1, Some(1), false)
}

impl WordsMemory {
    pub(super) fn new(words: &Arc<Words>) -> Self {
        let definition = VMMemoryDefinition {
            base: Arc::as_ptr(words).cast_mut().cast(),
            current_length: size_of::<Words>(),
        };
        Self {
            definition: MaybeInstanceOwned::Host(Box::new(UnsafeCell::new(definition))),
            _words: Arc::clone(words),
        }
    }
}

impl From<WordsMemory> for VMMemory {
    fn from(memory: WordsMemory) -> Self {
        Self(Box::new(memory))
    }
}

impl LinearMemory for WordsMemory {
    fn ty(&self) -> MemoryType {
        words_type()
    }

    fn size(&self) -> Pages {
        Pages(1)
    }

    fn style(&self) -> MemoryStyle {
        MemoryStyle::Static
    }

    fn grow(&mut self, delta: Pages) -> Result<Pages, MemoryError> {
        Err(MemoryError::CouldNotGrow {
            current: self.size(),
            attempted_delta: delta,
        })
    }

    fn vmmemory(&self) -> NonNull<VMMemoryDefinition> {
        self.definition.as_ptr()
    }

    fn try_clone(&self) -> Result<Box<dyn LinearMemory + Send + Sync>, MemoryError> {
        Err(MemoryError::MemoryNotShared)
    }

    fn copy(&self) -> Result<Box<dyn LinearMemory + Send + Sync>, MemoryError> {
        Err(MemoryError::MemoryNotShared)
    }

    unsafe fn initialize_with_data(&self, _: usize, _: &[u8]) -> Result<(), Trap> {
        Err(Trap::lib(TrapCode::HeapAccessOutOfBounds))
    }
}
