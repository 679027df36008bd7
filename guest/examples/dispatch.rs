//! Functions called through pointers: a table of them, and trait objects.

static OPERATIONS: [fn(i32, i32) -> i32; 3] = [add, multiply, |a, b| a - b];

fn add(a: i32, b: i32) -> i32 {
    a + b
}

fn multiply(a: i32, b: i32) -> i32 {
    a * b
}

/// Operation 0 adds, 1 multiplies, 2 subtracts; others give 0.
#[no_mangle]
pub extern "C" fn apply(operation: u32, a: i32, b: i32) -> i32 {
    OPERATIONS
        .get(operation as usize)
        .map_or(0, |operation| operation(a, b))
}

trait Shape {
    fn area(&self) -> i32;
}

struct Square(i32);
struct Rectangle(i32, i32);

impl Shape for Square {
    fn area(&self) -> i32 {
        self.0 * self.0
    }
}

impl Shape for Rectangle {
    fn area(&self) -> i32 {
        self.0 * self.1
    }
}

/// The area of a square and of a rectangle, by one virtual call each.
#[no_mangle]
pub extern "C" fn area(side: i32, other: i32) -> i32 {
    total(&[&Square(side), &Rectangle(side, other)])
}

#[inline(never)]
fn total(shapes: &[&dyn Shape]) -> i32 {
    shapes.iter().map(|shape| shape.area()).sum()
}
