//! The engine's memories and tables: ours, within a guest's limits.

use super::image::Image;
use super::memory::{LinearMemory, MemoryCell, MemoryState};
use super::words::{Words, WordsMemory, words_type};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use wasmer::sys::vm::{
    MemoryError, MemoryStyle, TableStyle, VMConfig, VMMemory, VMMemoryDefinition, VMTable,
    VMTableDefinition,
};
use wasmer::sys::{BaseTunables, Tunables};
use wasmer::{Memory, MemoryType, Store, TableType};

/// How large what the engine makes may become.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Pages of 64 KiB in a memory, without its windows.
    pub(crate) memory_pages: u32,
    /// Elements in each table.
    pub(crate) table: Option<u32>,
    /// Bytes of native stack.
    pub(crate) stack: Option<usize>,
}

/// What a guest's memory is made from.
#[derive(Default)]
pub(crate) struct Origin {
    /// What it begins with, if that is known.
    pub(crate) image: Option<Arc<Image>>,
    /// One of the same module's that was used, and is what it was when it was new.
    pub(crate) restored: Option<MemoryState>,
}

/// Has the engine use our memories, within the guest's limits.
#[derive(Clone)]
pub(crate) struct GuestTunables(Arc<Inner>);

struct Inner {
    base: BaseTunables,
    config: VMConfig,
    bounds: Bounds,
    memory: MemoryCell,
    origin: Mutex<Origin>,
    /// What the next host memory is.
    next: Mutex<Option<VMMemory>>,
}

impl GuestTunables {
    /// The guest's memory will be in `memory`.
    pub(crate) fn new(bounds: Bounds, memory: MemoryCell, origin: Origin) -> Self {
        const SMALLEST_STACK: usize = 64 << 10;
        Self(Arc::new(Inner {
            base: BaseTunables::new(),
            config: VMConfig {
                wasm_stack_size: bounds.stack.map(|stack| stack.max(SMALLEST_STACK)),
            },
            bounds,
            memory,
            origin: Mutex::new(origin),
            next: Mutex::new(None),
        }))
    }

    /// The guest's memory: there is but one.
    pub(crate) fn guest_memory(&self, ty: &MemoryType) -> io::Result<Arc<MemoryState>> {
        let limit = self.0.bounds.memory_pages;
        let origin = std::mem::take(&mut *self.0.origin.lock().expect("no panic under this lock"));
        let state = match origin.restored {
            Some(restored) => restored.with_limit(limit),
            None => MemoryState::new(ty.minimum.0, limit, origin.image)?,
        };
        let _ = self.0.memory.set(Arc::clone(&state));
        Ok(state)
    }

    /// A memory of the store's that uses these tunables, over a state of ours.
    pub(crate) fn memory(
        &self,
        store: &mut Store,
        state: Arc<MemoryState>,
        ty: MemoryType,
    ) -> Result<Memory, MemoryError> {
        *self.next() = Some(VMMemory::from_custom(LinearMemory::host(state, ty)));
        Memory::new(store, ty)
    }

    /// The words that a guest's code looks at, as a memory of the store's.
    pub(crate) fn words(
        &self,
        store: &mut Store,
        words: &Arc<Words>,
    ) -> Result<Memory, MemoryError> {
        *self.next() = Some(VMMemory::from_custom(WordsMemory::new(words)));
        Memory::new(store, words_type())
    }

    fn next(&self) -> MutexGuard<'_, Option<VMMemory>> {
        self.0.next.lock().expect("no panic under this lock")
    }

    fn limited(&self, ty: &TableType) -> TableType {
        let mut ty = *ty;
        if let Some(limit) = self.0.bounds.table {
            ty.maximum = Some(ty.maximum.map_or(limit, |maximum| maximum.min(limit)));
        }
        ty
    }
}

impl Tunables for GuestTunables {
    fn memory_style(&self, _: &MemoryType) -> MemoryStyle {
        MemoryStyle::Static
    }

    fn table_style(&self, table: &TableType) -> TableStyle {
        self.0.base.table_style(table)
    }

    fn create_host_memory(&self, _: &MemoryType, _: &MemoryStyle) -> Result<VMMemory, MemoryError> {
        let next = self.next().take();
        next.ok_or_else(|| MemoryError::Generic("no memory".into()))
    }

    // The engine promises that the location is valid for as long as the memory.
    unsafe fn create_vm_memory(
        &self,
        ty: &MemoryType,
        _: &MemoryStyle,
        location: std::ptr::NonNull<VMMemoryDefinition>,
    ) -> Result<VMMemory, MemoryError> {
        let state = self
            .guest_memory(ty)
            .map_err(|e| MemoryError::Generic(e.to_string()))?;
        // SAFETY: passed on to the caller.
        Ok(VMMemory::from_custom(unsafe {
            LinearMemory::instance(state, *ty, location)
        }))
    }

    fn create_host_table(&self, ty: &TableType, style: &TableStyle) -> Result<VMTable, String> {
        self.0.base.create_host_table(&self.limited(ty), style)
    }

    unsafe fn create_vm_table(
        &self,
        ty: &TableType,
        style: &TableStyle,
        location: std::ptr::NonNull<VMTableDefinition>,
    ) -> Result<VMTable, String> {
        // SAFETY: passed on to the caller.
        unsafe {
            self.0
                .base
                .create_vm_table(&self.limited(ty), style, location)
        }
    }

    fn vmconfig(&self) -> &VMConfig {
        &self.0.config
    }
}
