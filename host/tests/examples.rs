//! The examples are tests as well: each checks what it has done.

#![allow(clippy::duplicate_mod, reason = "each example has it for itself")]

use std::sync::Mutex;

/// They build their guests in one folder.
static ONE: Mutex<()> = Mutex::new(());

macro_rules! examples {
    ($($name:ident: $path:literal;)*) => {
        $(
            #[path = $path]
            mod $name;

            #[test]
            fn $name() {
                let _one = ONE.lock();
                $name::main().unwrap();
            }
        )*
    };
}

examples! {
    calc: "../examples/calc.rs";
    sum_file: "../examples/sum_file.rs";
    filter_column: "../examples/filter_column.rs";
    two_guests: "../examples/two_guests.rs";
    plugins: "../examples/plugins.rs";
    async_program: "../examples/async_program.rs";
}
