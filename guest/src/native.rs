//! A host in this process, for a guest that is compiled for this machine: so that a
//! guest's unit tests need no Wasm.
//!
//! An exported function is called as it is. What a trait of imported functions
//! offers, the test offers:
//!
//! ```ignore
//! Host::offer_lookup(|key| Some(key.into()));
//! assert_eq!(transform("doc", Config::default()), Ok("…".into()));
//! ```

use alloc::boxed::Box;
use alloc::rc::Rc;
use core::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::thread_local;

thread_local! {
    /// The functions that this thread's test offers: each test has its own thread.
    static FUNCTIONS: RefCell<HashMap<&'static str, Box<dyn Any>>> = RefCell::default();
}

/// Offers a function, on this thread, until it is offered again.
#[doc(hidden)]
pub fn offer<F: ?Sized + 'static>(name: &'static str, function: Rc<F>) {
    FUNCTIONS.with(|functions| functions.borrow_mut().insert(name, Box::new(function)));
}

/// Calls a function that was offered.
#[doc(hidden)]
pub fn call<F: ?Sized + 'static, R>(name: &'static str, call: impl FnOnce(&F) -> R) -> R {
    let function = FUNCTIONS.with(|functions| {
        let functions = functions.borrow();
        let function = functions.get(name)?.downcast_ref::<Rc<F>>();
        function.cloned()
    });
    match function {
        Some(function) => call(&function),
        None => {
            panic!("the guest calls {name}, which this test does not offer: call its offer_… first")
        }
    }
}
