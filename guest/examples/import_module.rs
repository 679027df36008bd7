//! A function from a module of the guest's choice, here WASI's.

#[link(wasm_import_module = "wasi_snapshot_preview1")]
extern "C" {
    /// 0 on success.
    fn sched_yield() -> i32;
}

/// 7 if the host has yielded.
#[no_mangle]
pub extern "C" fn yielded() -> i32 {
    7 - unsafe { sched_yield() }
}
