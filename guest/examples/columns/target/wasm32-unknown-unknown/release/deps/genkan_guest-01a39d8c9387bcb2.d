/work/h2/guest/examples/columns/target/wasm32-unknown-unknown/release/deps/genkan_guest-01a39d8c9387bcb2.d: /work/h2/guest/src/lib.rs /work/h2/guest/src/columns.rs /work/h2/guest/src/columns/aggregate.rs /work/h2/guest/src/columns/argument.rs /work/h2/guest/src/columns/batch.rs /work/h2/guest/src/columns/bits.rs /work/h2/guest/src/columns/column.rs /work/h2/guest/src/columns/element.rs /work/h2/guest/src/columns/function.rs /work/h2/guest/src/columns/kept.rs /work/h2/guest/src/columns/output.rs /work/h2/guest/src/columns/result.rs /work/h2/guest/src/columns/sink.rs /work/h2/guest/src/columns/types.rs /work/h2/guest/src/columns/writer.rs /work/h2/guest/src/host.rs /work/h2/guest/src/number.rs /work/h2/guest/src/owned.rs /work/h2/guest/src/pointer.rs /work/h2/guest/src/room.rs /work/h2/guest/src/section.rs /work/h2/guest/src/window.rs

/work/h2/guest/examples/columns/target/wasm32-unknown-unknown/release/deps/libgenkan_guest-01a39d8c9387bcb2.rlib: /work/h2/guest/src/lib.rs /work/h2/guest/src/columns.rs /work/h2/guest/src/columns/aggregate.rs /work/h2/guest/src/columns/argument.rs /work/h2/guest/src/columns/batch.rs /work/h2/guest/src/columns/bits.rs /work/h2/guest/src/columns/column.rs /work/h2/guest/src/columns/element.rs /work/h2/guest/src/columns/function.rs /work/h2/guest/src/columns/kept.rs /work/h2/guest/src/columns/output.rs /work/h2/guest/src/columns/result.rs /work/h2/guest/src/columns/sink.rs /work/h2/guest/src/columns/types.rs /work/h2/guest/src/columns/writer.rs /work/h2/guest/src/host.rs /work/h2/guest/src/number.rs /work/h2/guest/src/owned.rs /work/h2/guest/src/pointer.rs /work/h2/guest/src/room.rs /work/h2/guest/src/section.rs /work/h2/guest/src/window.rs

/work/h2/guest/examples/columns/target/wasm32-unknown-unknown/release/deps/libgenkan_guest-01a39d8c9387bcb2.rmeta: /work/h2/guest/src/lib.rs /work/h2/guest/src/columns.rs /work/h2/guest/src/columns/aggregate.rs /work/h2/guest/src/columns/argument.rs /work/h2/guest/src/columns/batch.rs /work/h2/guest/src/columns/bits.rs /work/h2/guest/src/columns/column.rs /work/h2/guest/src/columns/element.rs /work/h2/guest/src/columns/function.rs /work/h2/guest/src/columns/kept.rs /work/h2/guest/src/columns/output.rs /work/h2/guest/src/columns/result.rs /work/h2/guest/src/columns/sink.rs /work/h2/guest/src/columns/types.rs /work/h2/guest/src/columns/writer.rs /work/h2/guest/src/host.rs /work/h2/guest/src/number.rs /work/h2/guest/src/owned.rs /work/h2/guest/src/pointer.rs /work/h2/guest/src/room.rs /work/h2/guest/src/section.rs /work/h2/guest/src/window.rs

/work/h2/guest/src/lib.rs:
/work/h2/guest/src/columns.rs:
/work/h2/guest/src/columns/aggregate.rs:
/work/h2/guest/src/columns/argument.rs:
/work/h2/guest/src/columns/batch.rs:
/work/h2/guest/src/columns/bits.rs:
/work/h2/guest/src/columns/column.rs:
/work/h2/guest/src/columns/element.rs:
/work/h2/guest/src/columns/function.rs:
/work/h2/guest/src/columns/kept.rs:
/work/h2/guest/src/columns/output.rs:
/work/h2/guest/src/columns/result.rs:
/work/h2/guest/src/columns/sink.rs:
/work/h2/guest/src/columns/types.rs:
/work/h2/guest/src/columns/writer.rs:
/work/h2/guest/src/host.rs:
/work/h2/guest/src/number.rs:
/work/h2/guest/src/owned.rs:
/work/h2/guest/src/pointer.rs:
/work/h2/guest/src/room.rs:
/work/h2/guest/src/section.rs:
/work/h2/guest/src/window.rs:
