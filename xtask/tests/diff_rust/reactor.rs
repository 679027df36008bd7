// options: --crate-type=cdylib
// A library: exports with arguments, state that lives from call to call.
use std::collections::HashMap;
use std::sync::Mutex;

static SEEN: Mutex<Option<HashMap<i32, f64>>> = Mutex::new(None);

#[no_mangle]
pub extern "C" fn remember(key: i32, value: f64) -> u64 {
    let mut seen = SEEN.lock().unwrap();
    let seen = seen.get_or_insert_with(HashMap::new);
    seen.insert(key, value);
    seen.len() as u64
}

#[no_mangle]
pub extern "C" fn recall(key: i32) -> f64 {
    let seen = SEEN.lock().unwrap();
    seen.as_ref().and_then(|seen| seen.get(&key)).copied().unwrap_or(-1.0)
}

#[no_mangle]
pub extern "C" fn length_of(n: i32) -> i32 {
    format!("{:?}", (0..n).map(|n| n * n).collect::<Vec<_>>()).len() as i32
}

#[no_mangle]
pub static ANSWER: u32 = 42;
