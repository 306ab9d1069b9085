//! `reeve firewall`: the digest of the host's rules, for a policy to approve. Without a verb it is the helper that `reeve up`
//! starts for itself where bans go into the kernel, and not for people.

use clap::{Args, Subcommand};

use crate::command::prove::live_ruleset;
use crate::exit::ExitCode;
use crate::firewall::helper;
use crate::screen::Screen;

/// Tell the digest of this host's firewall rules, or carry out bans by nftables for the gateway
#[derive(Debug, Args)]
pub(crate) struct FirewallArgs {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print SHA-256 of the nftables rules that hold now, as `ruleset` of `host.firewall` takes it
    Digest,
}

pub(crate) fn run(args: &FirewallArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    match args.verb {
        Some(Verb::Digest) => {
            let digest = reeve_prove::ruleset_digest(&live_ruleset()).map_err(anyhow::Error::msg)?;
            screen.data(format_args!("sha256:{digest}"))?;
        }
        None => helper::run()?,
    }
    Ok(ExitCode::Holds)
}
