//! The helper behind `dns_hook`: `reeve up` starts it, and nobody else should.

use clap::Args;

use crate::dns_hook;
use crate::exit::ExitCode;

/// Run the hook for the DNS when asked on standard input (started by `reeve up`)
#[derive(Debug, Args)]
pub(crate) struct DnsHookArgs {
    /// The command, and its arguments before those of each record
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

pub(crate) fn run(args: &DnsHookArgs) -> anyhow::Result<ExitCode> {
    dns_hook::serve(&args.command)?;
    Ok(ExitCode::Holds)
}
