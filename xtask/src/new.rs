//! `new`: a guest of this repository's own to start from.

use anyhow::ensure;

use genkan::build_guest::relative_to_here;
use genkan::files;
use genkan::new::{check_name, source};
use genkan::shell::{self, Shell};

use crate::repository::Checkout;

/// Makes `guest/examples/NAME.rs`, which is not there yet, and says how it is run.
pub fn example(shell: Shell, checkout: &Checkout, name: &str) -> anyhow::Result<()> {
    check_name(name)?;
    let path = checkout.examples().join(format!("{name}.rs"));
    ensure!(!path.exists(), "{} is there already", path.display());
    let run = format!("cargo xtask run {name}");
    files::write(&path, source(&run).as_bytes())?;
    shell.status("Created", relative_to_here(&path).display());
    shell::print(&format!("Run it:\n    {run} -- --invoke add 20 22\n"))
}
