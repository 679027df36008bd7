// Data: constants, zeroes, what is aligned, what points at other data.
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, Once};

static COUNT: AtomicU32 = AtomicU32::new(40);
static ZEROES: [AtomicUsize; 3] = [AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0)];
static TEXTS: [&str; 4] = ["alpha", "beta", "alpha", "ta"];
static NESTED: &[&[&str]] = &[&["x", "y"], &[], &["alpha"]];
static mut SCRATCH: [u8; 100_000] = [0; 100_000];
static ONCE: Once = Once::new();
static LIST: Mutex<Vec<u32>> = Mutex::new(Vec::new());

#[repr(align(64))]
struct Aligned([u8; 3]);
static ALIGNED: Aligned = Aligned([1, 2, 3]);

struct Node {
    value: u32,
    next: Option<&'static Node>,
}
static LAST: Node = Node { value: 3, next: None };
static MIDDLE: Node = Node { value: 2, next: Some(&LAST) };
static FIRST: Node = Node { value: 1, next: Some(&MIDDLE) };

thread_local! {
    static DEPTH: Cell<u32> = Cell::new(7);
    static NAMES: RefCell<Vec<String>> = RefCell::new(Vec::new());
}

fn main() {
    COUNT.fetch_add(2, Ordering::SeqCst);
    ZEROES[1].store(COUNT.load(Ordering::SeqCst) as usize, Ordering::SeqCst);
    println!("{:?} {:?}", COUNT, ZEROES);
    println!("{:?} {:?}", TEXTS, NESTED);
    println!("{} {}", &ALIGNED as *const _ as usize % 64, ALIGNED.0.iter().sum::<u8>());
    let mut node = Some(&FIRST);
    while let Some(Node { value, next }) = node {
        print!("{} → ", value);
        node = *next;
    }
    println!("end");
    // SAFETY: this program has one thread.
    unsafe {
        SCRATCH[99_999] = 9;
        let scratch = std::ptr::addr_of!(SCRATCH) as *const u8;
        println!("{} {}", scratch.add(99_999).read(), scratch.add(5).read());
    }
    ONCE.call_once(|| LIST.lock().unwrap().extend([5, 6]));
    ONCE.call_once(|| LIST.lock().unwrap().push(7));
    println!("{:?}", LIST.lock().unwrap());
    DEPTH.with(|depth| depth.set(depth.get() * 6));
    NAMES.with(|names| names.borrow_mut().push(format!("{}", DEPTH.with(Cell::get))));
    NAMES.with(|names| println!("{:?}", names.borrow()));
}
