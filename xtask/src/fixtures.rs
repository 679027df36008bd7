//! stub
use crate::shell::Shell;
use std::path::{Path, PathBuf};
/// x
pub fn kept_object(_root: &Path, _file: &Path) -> Option<PathBuf> {
    None
}
/// x
pub fn check(_: Shell, _: &[String]) -> anyhow::Result<bool> {
    Ok(false)
}
/// x
pub fn reproduce(_: Shell, _: &[String]) -> anyhow::Result<bool> {
    Ok(false)
}
/// x
pub fn regenerate(_: Shell, _: &[String]) -> anyhow::Result<bool> {
    Ok(false)
}
