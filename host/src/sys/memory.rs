//! An address space as the engine's linear memory.

use super::address_space::AddressSpace;
use super::image::Image;
use std::cell::UnsafeCell;
use std::io;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use wasmer::sys::vm::{
    self, MaybeInstanceOwned, MemoryError, MemoryStyle, Trap, TrapCode, VMMemory,
    VMMemoryDefinition,
};
use wasmer::{MemoryType, Pages, WASM_PAGE_SIZE};

/// What the host keeps of a linear memory, beside the engine.
#[derive(Debug)]
pub(crate) struct MemoryState {
    pub(crate) space: AddressSpace,
    /// Its size, in Wasm pages of 64 KiB.
    pages: AtomicU32,
    /// How many of them are windows' and so not the guest's own.
    window_pages: AtomicU32,
    /// How many pages the guest may have of its own.
    limit: u32,
    /// Whether growth was refused because of that limit.
    refused: AtomicBool,
    /// Whether the next growth makes room for a window and stays unmapped.
    for_window: AtomicBool,
    /// What it begins with, and how many pages it has then.
    image: Option<Arc<Image>>,
    first_pages: u32,
    /// How many segments the engine will write that are in the image already.
    unwritten: AtomicU32,
}

impl MemoryState {
    /// A memory of `pages`, which may become `limit` pages without its windows.
    pub(crate) fn new(pages: u32, limit: u32, image: Option<Arc<Image>>) -> io::Result<Arc<Self>> {
        let guard =
            usize::try_from(MemoryStyle::static_offset_guard_size()).map_err(io::Error::other)?;
        let space = AddressSpace::reserve(MemoryStyle::static_bound().bytes().0 + guard)?;
        let len = pages as usize * WASM_PAGE_SIZE;
        space.commit(0..len)?;
        // The engine says what is wrong with segments that do not fit.
        let image = image.filter(|image| image.range.end <= len);
        if let Some(image) = &image {
            space.map_image(image)?;
        }
        Ok(Arc::new(Self::over(space, pages, limit, image)))
    }

    fn over(space: AddressSpace, pages: u32, limit: u32, image: Option<Arc<Image>>) -> Self {
        Self {
            space,
            pages: AtomicU32::new(pages),
            window_pages: AtomicU32::new(0),
            limit,
            refused: AtomicBool::new(false),
            for_window: AtomicBool::new(false),
            unwritten: AtomicU32::new(image.as_ref().map_or(0, |image| image.segments)),
            image,
            first_pages: pages,
        }
    }

    /// Makes it what it was when it was new, if nobody else has it; `None` if it cannot
    /// be used again. Only what was touched costs time.
    pub(crate) fn restore(self: Arc<Self>) -> Option<Self> {
        let Self {
            mut space,
            limit,
            image,
            first_pages: pages,
            ..
        } = Arc::into_inner(self)?;
        let restored = space.restore(pages as usize * WASM_PAGE_SIZE, image.as_deref());
        restored.then(|| Self::over(space, pages, limit, image))
    }

    /// The same, for a guest with another limit.
    pub(super) fn with_limit(self, limit: u32) -> Arc<Self> {
        Arc::new(Self { limit, ..self })
    }

    /// The region space: all of 4 GiB, and nothing mapped yet.
    ///
    /// The guard behind it is small: only the carried modules and what the load-time pass
    /// writes use this memory, with small constant offsets.
    pub(crate) fn region_space() -> io::Result<Arc<Self>> {
        let pages = MemoryStyle::static_bound();
        let space = AddressSpace::reserve(pages.bytes().0 + WASM_PAGE_SIZE)?;
        Ok(Arc::new(Self::over(space, pages.0, pages.0, None)))
    }

    /// The addresses that are reserved for it.
    pub(crate) fn addresses(&self) -> Range<usize> {
        self.space.addresses()
    }

    /// Its size in bytes.
    pub(crate) fn len(&self) -> usize {
        self.pages.load(Ordering::Acquire) as usize * WASM_PAGE_SIZE
    }

    /// Whether growth was refused because of the limit.
    pub(crate) fn refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// The next growth is for a window: its pages stay unmapped, and do not count.
    pub(crate) fn grow_for_window(&self) {
        self.for_window.store(true, Ordering::Relaxed);
    }
}

/// Where a guest's memory will be, once the engine has made it.
pub(crate) type MemoryCell = Arc<OnceLock<Arc<MemoryState>>>;

/// The engine's side of a [`MemoryState`].
#[derive(Debug)]
pub(crate) struct LinearMemory {
    state: Arc<MemoryState>,
    ty: MemoryType,
    definition: MaybeInstanceOwned<VMMemoryDefinition>,
}

// SAFETY: the definition is the engine's, which uses it from one thread at a
// time; the rest is `Send` and `Sync`.
unsafe impl Send for LinearMemory {}
// SAFETY: as above.
unsafe impl Sync for LinearMemory {}

impl LinearMemory {
    /// For a memory that modules import.
    pub(crate) fn host(state: Arc<MemoryState>, ty: MemoryType) -> Self {
        let definition = Box::new(UnsafeCell::new(definition(&state)));
        Self {
            state,
            ty,
            definition: MaybeInstanceOwned::Host(definition),
        }
    }

    /// For a memory that a module defines.
    ///
    /// # Safety
    /// `location` must be valid for as long as the memory lives.
    pub(crate) unsafe fn instance(
        state: Arc<MemoryState>,
        ty: MemoryType,
        location: NonNull<VMMemoryDefinition>,
    ) -> Self {
        // SAFETY: passed on to the caller.
        unsafe { location.write(definition(&state)) };
        Self {
            state,
            ty,
            definition: MaybeInstanceOwned::Instance(location),
        }
    }
}

fn definition(state: &MemoryState) -> VMMemoryDefinition {
    VMMemoryDefinition {
        base: state.space.base().as_ptr(),
        current_length: state.len(),
    }
}

impl From<LinearMemory> for VMMemory {
    fn from(memory: LinearMemory) -> Self {
        Self(Box::new(memory))
    }
}

impl vm::LinearMemory for LinearMemory {
    fn ty(&self) -> MemoryType {
        MemoryType {
            minimum: self.size(),
            ..self.ty
        }
    }

    fn size(&self) -> Pages {
        Pages(self.state.pages.load(Ordering::Acquire))
    }

    fn style(&self) -> MemoryStyle {
        MemoryStyle::Static
    }

    fn grow(&mut self, delta: Pages) -> Result<Pages, MemoryError> {
        let state = &self.state;
        let for_window = state.for_window.swap(false, Ordering::Relaxed);
        let old = self.size();
        let refuse = MemoryError::CouldNotGrow {
            current: old,
            attempted_delta: delta,
        };
        let maximum = self.ty.maximum.unwrap_or(Pages::max_value());
        let new = match old.checked_add(delta) {
            Some(new) if new <= maximum && new <= Pages::max_value() => new,
            _ => return Err(refuse),
        };
        let windows = state.window_pages.load(Ordering::Relaxed);
        if for_window {
            state
                .window_pages
                .store(windows + delta.0, Ordering::Relaxed);
        } else {
            if new.0 - windows > state.limit {
                state.refused.store(true, Ordering::Relaxed);
                return Err(refuse);
            }
            let range = old.bytes().0..new.bytes().0;
            state
                .space
                .commit(range)
                .map_err(|e| MemoryError::Region(e.to_string()))?;
        }
        state.pages.store(new.0, Ordering::Release);
        // SAFETY: the engine grows a memory from the one thread that uses it,
        // between two instructions of the guest.
        unsafe { self.definition.as_ptr().as_mut() }.current_length = new.bytes().0;
        Ok(old)
    }

    fn vmmemory(&self) -> NonNull<VMMemoryDefinition> {
        self.definition.as_ptr()
    }

    fn try_clone(&self) -> Result<Box<dyn vm::LinearMemory + Send + Sync>, MemoryError> {
        Err(MemoryError::MemoryNotShared)
    }

    fn copy(&self) -> Result<Box<dyn vm::LinearMemory + Send + Sync>, MemoryError> {
        Err(MemoryError::MemoryNotShared)
    }

    // A data segment may not fault, nor may its copy be interrupted: locks are held
    // meanwhile, the engine's and the address space's.
    unsafe fn initialize_with_data(&self, start: usize, data: &[u8]) -> Result<(), Trap> {
        // The engine writes the active segments first, each once.
        let left = &self.state.unwritten;
        if left.load(Ordering::Relaxed) > 0 {
            left.fetch_sub(1, Ordering::Relaxed);
            return Ok(());
        }
        let copied = vm::on_host_stack(|| self.state.space.write(start, data));
        copied.map_err(|_| Trap::lib(TrapCode::HeapAccessOutOfBounds))
    }
}
