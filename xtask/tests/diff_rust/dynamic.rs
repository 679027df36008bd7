// Calls through tables: trait objects, function pointers, closures, Any.
use std::any::Any;
use std::fmt::Debug;
use std::rc::Rc;

trait Shape: Debug {
    fn area(&self) -> f64;
    fn name(&self) -> String {
        format!("{:?}", self)
    }
}
#[derive(Debug)]
struct Square(f64);
#[derive(Debug)]
struct Circle {
    radius: f64,
}
impl Shape for Square {
    fn area(&self) -> f64 {
        self.0 * self.0
    }
}
impl Shape for Circle {
    fn area(&self) -> f64 {
        3.0 * self.radius * self.radius
    }
    fn name(&self) -> String {
        "circle".to_owned()
    }
}
struct Loud(&'static str);
impl Drop for Loud {
    fn drop(&mut self) {
        println!("dropped {}", self.0);
    }
}

static OPERATIONS: [(&str, fn(i64, i64) -> i64); 4] = [
    ("+", |a, b| a.wrapping_add(b)),
    ("*", |a, b| a.wrapping_mul(b)),
    ("max", i64::max),
    ("first", first),
];

#[inline(never)]
fn first(a: i64, _: i64) -> i64 {
    a
}

fn compose(functions: Vec<Box<dyn Fn(i32) -> i32>>) -> impl Fn(i32) -> i32 {
    move |start| functions.iter().fold(start, |value, function| function(value))
}

fn main() {
    let shapes: Vec<Rc<dyn Shape>> = vec![Rc::new(Square(2.0)), Rc::new(Circle { radius: 1.5 })];
    for shape in &shapes {
        println!("{} {}", shape.name(), shape.area());
    }
    for (name, operation) in OPERATIONS.iter() {
        println!("{} {}", name, operation(6, 7));
    }
    let offset = shapes.len() as i32;
    let all = compose(vec![Box::new(|n| n + 1), Box::new(move |n| n * offset), Box::new(i32::wrapping_neg)]);
    println!("{}", all(20));
    let things: [Box<dyn Any>; 3] = [Box::new(1_u8), Box::new("text"), Box::new(Loud("any"))];
    for thing in &things {
        println!("{:?} {:?}", thing.downcast_ref::<u8>(), thing.downcast_ref::<&str>());
    }
    let _last = Loud("last");
}
