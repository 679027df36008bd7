/work/h1/guest/examples/json/target/guests/cargo/f9c1e5e06692/wasm32-wasip1/release/deps/json.d: src/lib.rs

/work/h1/guest/examples/json/target/guests/cargo/f9c1e5e06692/wasm32-wasip1/release/deps/json.wasm: src/lib.rs

src/lib.rs:
