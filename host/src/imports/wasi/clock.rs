//! WASI's clocks.

use super::answer::{Done, store};
use crate::files::Errno;
use crate::imports::state::Env;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

/// The real time; or for all other clocks, the time since the process asked first: in
/// nanoseconds.
pub(super) fn now(clock: u32) -> Result<u64, Errno> {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let now = match clock {
        0 => SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO),
        // Not 0: a guest may take that for "never".
        1..=3 => START.elapsed() + Duration::from_secs(1),
        _ => return Err(Errno::INVAL),
    };
    Ok(now.as_nanos() as u64)
}

pub(super) fn clock_time_get(env: &mut Env<'_>, clock: u32, _precision: u64, to: u32) -> Done {
    Ok(store(env, to, &now(clock)?.to_le_bytes())?)
}

pub(super) fn clock_res_get(env: &mut Env<'_>, clock: u32, to: u32) -> Done {
    if clock > 3 {
        return Err(Errno::INVAL.into());
    }
    Ok(store(env, to, &1u64.to_le_bytes())?)
}
