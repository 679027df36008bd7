/work/h1/guest/examples/json/target/guests/cargo/f9c1e5e06692/wasm32-wasip1/release/deps/zmij-94e5fba867bfc977.d: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/zmij-1.0.23/src/lib.rs /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/zmij-1.0.23/src/traits.rs

/work/h1/guest/examples/json/target/guests/cargo/f9c1e5e06692/wasm32-wasip1/release/deps/libzmij-94e5fba867bfc977.rlib: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/zmij-1.0.23/src/lib.rs /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/zmij-1.0.23/src/traits.rs

/work/h1/guest/examples/json/target/guests/cargo/f9c1e5e06692/wasm32-wasip1/release/deps/libzmij-94e5fba867bfc977.rmeta: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/zmij-1.0.23/src/lib.rs /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/zmij-1.0.23/src/traits.rs

/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/zmij-1.0.23/src/lib.rs:
/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/zmij-1.0.23/src/traits.rs:
