// A guest with an allocator of its own: the libraries must use it.
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counting;
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        System.alloc(layout)
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        System.dealloc(pointer, layout)
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let before = ALLOCATED.load(Ordering::Relaxed);
    let text = "x".repeat(1000);
    let list: Vec<u64> = (0..text.len() as u64).collect();
    println!("{} {}", ALLOCATED.load(Ordering::Relaxed) - before, list.len());
}
