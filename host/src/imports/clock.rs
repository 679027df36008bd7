//! WASI's clocks.

use super::errno::{EINVAL, errno, store};
use super::state::Env;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

/// The real time; or for all other clocks, the time since the process asked first: in
/// nanoseconds.
pub(super) fn now(clock: u32) -> Result<u64, i32> {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let now = match clock {
        0 => SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO),
        // Not 0: a guest may take that for "never".
        1..=3 => START.elapsed() + Duration::from_secs(1),
        _ => return Err(EINVAL),
    };
    Ok(now.as_nanos() as u64)
}

pub(super) fn clock_time_get(env: Env<'_>, clock: i32, _precision: i64, to: u32) -> i32 {
    let now = now(clock as u32);
    errno(now.and_then(|now| store(&env, to, &now.to_le_bytes())))
}

pub(super) fn clock_res_get(env: Env<'_>, clock: i32, to: u32) -> i32 {
    if !(0..=3).contains(&clock) {
        return EINVAL;
    }
    errno(store(&env, to, &1u64.to_le_bytes()))
}
