/work/h1/guest/examples/json/target/guests/cargo/f9c1e5e06692/wasm32-wasip1/release/json.wasm: /work/h1/guest/examples/json/src/lib.rs
