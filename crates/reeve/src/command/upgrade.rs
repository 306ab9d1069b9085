//! `reeve upgrade`: lets another binary take over from a running gateway.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::cli::ConfigArgs;
use crate::deployment::{self, Request};
use crate::exit::ExitCode;
use crate::failure::Advise;
use crate::screen::Screen;
use crate::settings;

/// Let another binary take over from a running gateway
///
/// The new process reads settings, policy and keys while the old one serves; then it takes over the sockets, the ledger
/// and the store, and the old one ends once its requests have. No request fails and none goes unrecorded. If the new
/// process does not start, the old one goes on, the reason is shown, and the exit code is 1. SIGUSR2 does the same with
/// the file that was started.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct UpgradeArgs {
    #[command(flatten)]
    config: ConfigArgs,

    /// The new program [default: the file that the running one was started from]
    #[arg(value_name = "PROGRAM")]
    program: Option<PathBuf>,

    /// Show the answer as JSON, with both processes
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  install reeve-0.2 /usr/local/bin/reeve && reeve upgrade
  reeve upgrade /opt/reeve-0.2/reeve --config /etc/reeve/reeve.toml";

pub(crate) fn run(args: &UpgradeArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    let loaded = settings::load(&args.config.config)?;
    let program = args.program.as_ref().map(std::path::absolute).transpose().context("no such program")?;
    let reply = deployment::ask(&loaded.settings.data.value, &Request::Upgrade { program })
        .hint("start one with `reeve up`, or name the settings of the one that runs with --config")?;
    if reply.done {
        if args.json {
            screen.data(format_args!("{}\n", reply.data))?;
        } else {
            screen.talk(reply.text);
        }
        return Ok(ExitCode::Holds);
    }
    screen.complain(reply.text.trim_end());
    screen.complain("not upgraded: the gateway goes on as it was");
    Ok(ExitCode::FoundWanting)
}
