//! A table of strings: data that holds addresses of other data.

static DAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// How long the name of a day is; -1 if there is no such day.
#[no_mangle]
pub extern "C" fn length(day: u32) -> i32 {
    DAYS.get(day as usize).map_or(-1, |name| name.len() as i32)
}

/// A byte of the name of a day; -1 if there is none.
#[no_mangle]
pub extern "C" fn byte(day: u32, place: u32) -> i32 {
    let name = DAYS.get(day as usize).map(|name| name.as_bytes());
    let byte = name.and_then(|name| name.get(place as usize));
    byte.map_or(-1, |&byte| i32::from(byte))
}
