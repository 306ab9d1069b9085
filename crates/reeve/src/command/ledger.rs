//! `reeve ledger`: what happened, shown, proved, verified, and destroyed when its time is over.

mod export;
mod hold;
mod prove;
mod purge;
mod status;
mod tail;
mod verify;

use std::path::Path;
use std::sync::Arc;

use clap::{Args, Subcommand};
use reeve_base::{Sealer, SystemClock, SystemEntropy};
use reeve_ledger::Reader;
use reeve_policy::catalogue::Controls;

use crate::cli::ConfigArgs;
use crate::deployment::Deployment;
use crate::exit::ExitCode;
use crate::keeping::{self, Kept};
use crate::screen::Screen;

/// See, prove and verify what happened
///
/// The ledger holds every request, every administrative act and every proof of this deployment, as a Merkle tree under
/// signed checkpoints (RFC 6962, C2SP tlog-tiles). Contents are sealed; whoever may open the keys may read them here,
/// beside a gateway that runs.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct LedgerArgs {
    #[command(flatten)]
    config: ConfigArgs,

    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  reeve ledger tail --follow --where outcome=refused
  reeve ledger show 812
  reeve ledger prove 812 --out act.tlog-proof     a file that anyone can verify
  reeve ledger verify --since checkpoint.kept
  reeve ledger hold add case-17 --class request --from 2026-11-01 --to 2026-11-07";

#[derive(Debug, Subcommand)]
enum Verb {
    Status(status::StatusArgs),
    Tail(tail::TailArgs),
    Show(tail::ShowArgs),
    Prove(prove::ProveArgs),
    Verify(verify::VerifyArgs),
    Export(export::ExportArgs),
    Purge(purge::PurgeArgs),
    Hold(hold::HoldArgs),
}

pub(crate) fn run(args: &LedgerArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    let config = &args.config.config;
    match &args.verb {
        Verb::Status(args) => status::run(args, config, screen),
        Verb::Tail(args) => tail::run(args, config, screen),
        Verb::Show(args) => tail::show(args, config, screen),
        Verb::Prove(args) => prove::run(args, config, screen),
        Verb::Verify(args) => verify::run(args, config, screen),
        Verb::Export(args) => export::run(args, config, screen),
        Verb::Purge(args) => purge::run(args, config, screen),
        Verb::Hold(args) => hold::run(args, config, screen),
    }
}

pub(crate) use tail::printable;

/// Where the deployment of these settings keeps things.
pub(crate) fn kept(config: &Path) -> anyhow::Result<Kept> {
    let deployment = Deployment::read(config, &SystemClock::new())?;
    Ok(Kept::of(&deployment.loaded.settings, &Controls::of(&deployment.policy)))
}

/// The ledger of the deployment, for reading: nothing is locked, whether a gateway runs or not.
pub(crate) fn reader(config: &Path) -> anyhow::Result<(Kept, Reader)> {
    let kept = kept(config)?;
    let vault = keeping::open_vault(&kept.data, &kept.seal, Arc::new(SystemEntropy))?;
    let settings = keeping::ledger_settings(&kept);
    let reader = Reader::open(&settings.origin, &settings.place, Arc::new(vault) as Arc<dyn Sealer>)?;
    Ok((kept, reader))
}
