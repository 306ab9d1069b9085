//! `reeve firewall`: the helper that `reeve up` starts for itself where bans go into the kernel. Not for people.

use clap::Args;

use crate::exit::ExitCode;
use crate::firewall::helper;

/// Carry out bans by nftables, as the gateway orders on standard input
#[derive(Debug, Args)]
pub(crate) struct FirewallArgs {}

pub(crate) fn run() -> anyhow::Result<ExitCode> {
    helper::run()?;
    Ok(ExitCode::Holds)
}
