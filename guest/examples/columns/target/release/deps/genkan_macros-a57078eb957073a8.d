/work/h2/guest/examples/columns/target/release/deps/genkan_macros-a57078eb957073a8.d: /work/h2/guest/macros/src/lib.rs /work/h2/guest/macros/src/column_aggregate.rs /work/h2/guest/macros/src/column_fn.rs /work/h2/guest/macros/src/columns.rs /work/h2/guest/macros/src/export.rs /work/h2/guest/macros/src/import.rs /work/h2/guest/macros/src/types.rs /work/h2/guest/macros/src/../Cargo.toml

/work/h2/guest/examples/columns/target/release/deps/libgenkan_macros-a57078eb957073a8.so: /work/h2/guest/macros/src/lib.rs /work/h2/guest/macros/src/column_aggregate.rs /work/h2/guest/macros/src/column_fn.rs /work/h2/guest/macros/src/columns.rs /work/h2/guest/macros/src/export.rs /work/h2/guest/macros/src/import.rs /work/h2/guest/macros/src/types.rs /work/h2/guest/macros/src/../Cargo.toml

/work/h2/guest/macros/src/lib.rs:
/work/h2/guest/macros/src/column_aggregate.rs:
/work/h2/guest/macros/src/column_fn.rs:
/work/h2/guest/macros/src/columns.rs:
/work/h2/guest/macros/src/export.rs:
/work/h2/guest/macros/src/import.rs:
/work/h2/guest/macros/src/types.rs:
/work/h2/guest/macros/src/../Cargo.toml:
