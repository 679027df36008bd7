//! Functions and constants that are the same: what a program can tell of them.

/// The same value, of which the compiler knows nothing any more.
fn black_box<T: Copy>(value: T) -> T {
    // SAFETY: a reference can be read from.
    unsafe { std::ptr::read_volatile(&value) }
}

#[inline(never)]
fn first(n: i32) -> i32 {
    black_box(n) * 3 + 1
}

#[inline(never)]
fn second(n: i32) -> i32 {
    black_box(n) * 3 + 1
}

trait Shape {
    fn area(&self) -> u32;
    fn name(&self) -> String {
        format!("a shape of {}", self.area())
    }
}

struct Square(u32);
struct Box4(u32);

impl Shape for Square {
    fn area(&self) -> u32 {
        self.0 * self.0
    }
}

impl Shape for Box4 {
    fn area(&self) -> u32 {
        self.0 * self.0
    }
}

/// One copy for each type, all of them the same code.
#[inline(never)]
fn last<T: Copy>(all: &[T]) -> Option<T> {
    black_box(all).last().copied()
}

static ONE: [u8; 4] = *b"same";
static TWO: [u8; 4] = *b"same";

fn main() {
    let pointers: [fn(i32) -> i32; 2] = [black_box(first as _), black_box(second as _)];
    println!("{}", pointers.iter().map(|f| f(7)).sum::<i32>());
    println!("{}", black_box(&ONE).as_ptr() == black_box(&TWO).as_ptr());
    let shapes: [Box<dyn Shape>; 2] = [Box::new(Square(3)), Box::new(Box4(4))];
    for shape in &shapes {
        println!("{}", shape.name());
    }
    println!(
        "{:?} {:?} {:?}",
        last(&[1_u32, 2]),
        last(&[-1_i32]),
        last(&['a', 'b'])
    );
    let strings: Vec<String> = vec!["same".into(), String::from("same")];
    println!("{}", strings[0].as_ptr() != strings[1].as_ptr());
    let words: Vec<u8> = Vec::from([7]);
    println!("{}", words[black_box(3)]);
}
