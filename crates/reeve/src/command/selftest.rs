//! `reeve selftest`: Reeve tries its own protections.

mod attempts;
mod gateway;
mod inside;
mod report;
mod trial;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::environment;
use crate::exit::ExitCode;
use crate::screen::Screen;

/// Try Reeve's own protections from inside
#[derive(Debug, Args)]
pub(crate) struct SelftestArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Sandbox(SandboxArgs),
    /// The child of the above: reads a trial from standard input, enters the sandbox, tries.
    #[command(hide = true)]
    Inside,
}

/// Try what the sandbox forbids, and what it must leave
///
/// Starts a second process that enters the very sandbox of a deployment and then tries: to read and write other files,
/// to run programs, to reach into other processes, to load modules, to set the clock, to get its rights back. Each must
/// be refused, and what the gateway needs must go on working. Nothing that runs is disturbed.
///
/// Without a deployment, a scratch one is made and its gateway serves a request from inside.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SandboxArgs {
    /// The settings of the deployment; ./reeve.toml if it is there
    #[arg(short, long, value_name = "FILE", env = environment::CONFIG.name, hide_env = true)]
    config: Option<PathBuf>,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  reeve selftest sandbox
  reeve selftest sandbox --config /etc/reeve/reeve.toml --json

Exit codes:
  0  all that is forbidden was refused, all that is needed went on working
  1  something forbidden was done, or something needed was refused
  2  this kernel cannot refuse something of it, or the trial could not be made";

/// Runs the verb.
pub(crate) fn run(args: &SelftestArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    match &args.what {
        What::Sandbox(args) => {
            let config = args.config.clone().or_else(|| Some(PathBuf::from(DEFAULT)).filter(|path| path.exists()));
            let outcome = trial::hold(config)?;
            report::show(&outcome, args.json, screen)
        }
        What::Inside => inside::run(screen),
    }
}

/// The settings that every verb looks for.
const DEFAULT: &str = "reeve.toml";
