/work/h2/guest/examples/columns/target/wasm32-unknown-unknown/release/deps/columns.d: src/lib.rs

/work/h2/guest/examples/columns/target/wasm32-unknown-unknown/release/deps/columns.wasm: src/lib.rs

/work/h2/guest/examples/columns/target/wasm32-unknown-unknown/release/deps/libcolumns.rlib: src/lib.rs

src/lib.rs:
