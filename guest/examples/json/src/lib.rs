//! A guest with crates from the registry: reads JSON.

use serde_json::Value;

const ORDER: &str = r#"{
    "customer": "genkan",
    "items": [
        { "name": "slippers", "price": 12, "count": 2 },
        { "name": "umbrella", "price": 9, "count": 2 }
    ]
}"#;

/// The price of an order.
#[no_mangle]
pub extern "C" fn total() -> i64 {
    let order: Value = serde_json::from_str(ORDER).unwrap();
    let items = order["items"].as_array().unwrap();
    let price = |item: &Value| item["price"].as_i64()?.checked_mul(item["count"].as_i64()?);
    items.iter().filter_map(price).sum()
}

/// How many numbers are in a JSON array of `n` of them, written and read again.
#[no_mangle]
pub extern "C" fn round_trip(n: u32) -> u32 {
    let text = serde_json::to_string(&(0..n).collect::<Vec<_>>()).unwrap();
    let numbers: Vec<u32> = serde_json::from_str(&text).unwrap();
    numbers.into_iter().filter(|&i| i < n).count() as u32
}
