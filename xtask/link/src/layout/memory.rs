//! Gives the stack, the data segments and the heap their places in memory, and
//! memory its size.

use crate::error::{MemoryError, MemorySize, Result};
use crate::index::{Address, IndexVec, OutputSegmentId};
use crate::layout::segments::{MEMORY_LIMIT, Segments, THREAD_LOCAL, class, too_large};
use crate::live::Live;
use crate::options::Options;
use crate::resolve::resolution::Resolution;
use crate::symbols::SyntheticGlobal;

const STACK_ALIGN: u64 = 16;
const HEAP_ALIGN: u64 = 16;
/// Where data begins without a stack below it; 0 is the null pointer.
const FIRST_DATA: u64 = 1024;

/// The module's memory and what lies in it.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Lowest byte of the stack.
    pub stack_low: Address,
    /// One past its highest.
    pub stack_high: Address,
    /// First byte of data.
    pub global_base: Address,
    /// One past the last byte of data.
    pub data_end: Address,
    /// Where a heap may begin.
    pub heap_base: Address,
    /// Thread-local data: what each thread has a copy of, where memory is shared.
    pub tls: ThreadLocal,
    /// The words by which the instances that share memory agree on who prepares
    /// it, zero at first.
    pub flags: Option<SharedFlags>,
    /// One past the first size.
    pub end: u64,
    /// Bytes of a page.
    pub page_size: u64,
    /// First size in pages.
    pub pages: u64,
    /// Largest size in pages.
    pub max_pages: Option<u64>,
}

/// Where thread-local data lies, if there is any.
#[derive(Debug, Clone, Copy)]
pub struct ThreadLocal {
    /// Its first byte.
    pub base: Address,
    /// How many bytes there are.
    pub size: u32,
    /// Its alignment in bytes.
    pub align: u32,
}

/// Words in shared memory, four bytes each.
#[derive(Debug, Clone, Copy)]
pub struct SharedFlags {
    /// 0 if nothing has been copied to memory, 1 while it is, 2 after that.
    pub memory: Address,
    /// 1 once the constructors have been called. Not there in wasm-ld's layout,
    /// where that is done at each call.
    pub constructors: Address,
}

/// Where the data segments lie.
#[derive(Debug)]
pub struct Placement {
    /// The address of each.
    pub addresses: IndexVec<OutputSegmentId, Address>,
    /// They in the order of their addresses.
    pub order: Vec<OutputSegmentId>,
    /// What else lies in memory.
    pub memory: Memory,
}

/// Places all of it.
///
/// # Errors
///
/// If it does not fit, or an option about memory is impossible.
pub fn place(
    resolution: &Resolution,
    live: &Live,
    options: &Options,
    segments: &Segments,
) -> Result<Placement> {
    let outputs = &segments.outputs;
    let mut order: Vec<OutputSegmentId> = outputs.indices().collect();
    if !options.is_relocatable() {
        order.sort_by_key(|&id| class(outputs[id].name));
    }
    let stack_size = stack_size(resolution, live, options)?;
    let mut at: u64 = 0;
    let mut stack = (0, 0);
    if options.stack_first {
        stack = (at, at + stack_size);
        at = stack.1;
    }
    match options.global_base {
        Some(base) if options.stack_first && base < at => {
            return Err(MemoryError::GlobalBaseInStack.into());
        }
        Some(base) => at = base,
        // Counted from where the last link, or a dynamic linker, puts it.
        None if options.is_relocatable() || options.is_pic() => {}
        None if !options.stack_first || (options.lean && stack_size == 0) => at = FIRST_DATA,
        None => {}
    }
    let global_base = at;
    let mut addresses = IndexVec::filled(outputs.len(), Address(0));
    let mut tls = ThreadLocal {
        base: Address(0),
        size: 0,
        align: 1,
    };
    let mut data = 0;
    for &id in &order {
        let segment = &outputs[id];
        at = at.next_multiple_of(1 << segment.align);
        let address = Address(u32::try_from(at).map_err(|_| too_large(at))?);
        addresses[id] = address;
        if segment.name == THREAD_LOCAL {
            tls = ThreadLocal {
                base: address,
                size: segment.size,
                align: 1 << segment.align,
            };
        }
        at += u64::from(segment.size);
        data += u64::from(segment.size);
    }
    let mut data_end = at;
    let has_flags = options.memory.shared && (options.lean || !order.is_empty());
    let flags = has_flags.then(|| {
        let first = at.next_multiple_of(4);
        at = first + if options.lean { 8 } else { 4 };
        SharedFlags {
            memory: Address(first as u32),
            constructors: Address(first as u32).plus(4),
        }
    });
    if !options.lean {
        data_end = at;
    }
    if !options.stack_first && stack_size > 0 {
        at = at.next_multiple_of(STACK_ALIGN);
        stack = (at, at + stack_size);
        at = stack.1;
    }
    let needs_heap = resolution.symbols.find("__heap_base").is_some();
    let heap_base = match options.lean || needs_heap {
        true => at.next_multiple_of(HEAP_ALIGN),
        false => at,
    };
    if heap_base >= MEMORY_LIMIT {
        return Err(too_large(heap_base));
    }
    // Without data, stack or heap no byte of memory is the guest's.
    let is_empty = options.lean
        && data == 0
        && flags.is_none()
        && stack_size == 0
        && options.global_base.is_none()
        && !needs_heap;
    let used = if is_empty { 0 } else { heap_base };
    let size = size(used, resolution.is_64, options)?;
    Ok(Placement {
        addresses,
        order,
        memory: Memory {
            stack_low: Address(stack.0 as u32),
            stack_high: Address(stack.1 as u32),
            global_base: Address(global_base as u32),
            data_end: Address(data_end as u32),
            heap_base: Address(heap_base as u32),
            tls,
            flags,
            page_size: options.memory.page_size,
            end: size.pages * options.memory.page_size,
            pages: size.pages,
            max_pages: size.max_pages,
        },
    })
}

/// Bytes of the stack: none if no code uses it, and the options want none then.
fn stack_size(resolution: &Resolution, live: &Live, options: &Options) -> Result<u64> {
    let is_named = ["__stack_low", "__stack_high"]
        .iter()
        .any(|name| resolution.symbols.find(name).is_some());
    let globals = &live.reached.synthetic_globals;
    let uses_stack = globals.contains(&SyntheticGlobal::StackPointer);
    // A dynamic linker's modules share one.
    let size = if options.is_relocatable() || options.is_pic() {
        0
    } else if options.keep_unused_stack || uses_stack || is_named {
        options.memory.stack_size
    } else {
        0
    };
    if size % STACK_ALIGN != 0 {
        let align = STACK_ALIGN;
        return Err(MemoryError::StackAlignment { size, align }.into());
    }
    Ok(size)
}

struct Size {
    pages: u64,
    max_pages: Option<u64>,
}

/// The size of a memory of which the first `used` bytes are used.
fn size(used: u64, is_64: bool, options: &Options) -> Result<Size> {
    let wanted = &options.memory;
    let page = wanted.page_size;
    let pages = |what, size| pages(what, size, page, is_64);
    let mut end = used + options.initial_heap;
    pages(MemorySize::InitialHeap, options.initial_heap)?;
    if let Some(initial) = wanted.initial {
        pages(MemorySize::Initial, initial)?;
        if end > initial {
            let (what, needed) = (MemorySize::Initial, end);
            return Err(MemoryError::TooSmall { what, needed }.into());
        }
        end = initial;
    }
    end = end.next_multiple_of(page);
    let first = pages(MemorySize::Initial, end)?;
    let max_pages = match wanted.max {
        Some(max) if end > max => {
            let (what, needed) = (MemorySize::Maximum, end);
            return Err(MemoryError::TooSmall { what, needed }.into());
        }
        Some(max) => Some(pages(MemorySize::Maximum, max)?),
        // A memory that is shared must have a maximum.
        None if wanted.fixed || wanted.shared => Some(first),
        None => None,
    };
    Ok(Size {
        pages: first,
        max_pages,
    })
}

fn pages(what: MemorySize, size: u64, page: u64, is_64: bool) -> Result<u64, MemoryError> {
    let limit = match is_64 {
        // As wasm-ld has it.
        true => 1 << 34,
        // The number of pages has 32 bits, too.
        false => MEMORY_LIMIT.min(page * u64::from(u32::MAX)),
    };
    match size % page {
        0 if size <= limit => Ok(size / page),
        0 => Err(MemoryError::TooLarge { what, limit }),
        _ => Err(MemoryError::NotPages { what, size, page }),
    }
}
