//! stub
use crate::shell::Shell;
/// x
pub fn reproduce(_: Shell, _: &[String]) -> anyhow::Result<bool> {
    Ok(false)
}
