//! A program: `main`, a thread-local with a destructor, an exit code.

use std::cell::RefCell;
use std::fmt::Write as _;

thread_local! {
    static LINES: RefCell<Vec<String>> = RefCell::new(Vec::new());
}

fn say(line: &str) {
    LINES.with(|lines| lines.borrow_mut().push(line.to_owned()));
}

fn main() {
    say("from main");
    let mut text = String::new();
    write!(
        text,
        "{:?}",
        "1 2 x"
            .split(' ')
            .map(str::parse::<i32>)
            .collect::<Vec<_>>()
    )
    .unwrap();
    say(&text);
    LINES.with(|lines| println!("{}", lines.borrow().join("\n")));
}
