//! `reeve successor`: the helper that `reeve up` starts for itself, so that another binary can take over. Not for people.

use std::path::PathBuf;

use clap::Args;

use crate::exit::ExitCode;
use crate::upgrade::helper::{self, Allowed};

/// Start another binary for a gateway that runs, as it orders on standard input
#[derive(Debug, Args)]
pub(crate) struct SuccessorArgs {
    /// What is started if nothing else is named
    #[arg(long)]
    program: PathBuf,

    /// The settings that it is started with
    #[arg(long)]
    config: PathBuf,

    /// A folder from which nothing is started
    #[arg(long, value_name = "FOLDER")]
    not_from: Vec<PathBuf>,
}

pub(crate) fn run(args: &SuccessorArgs) -> anyhow::Result<ExitCode> {
    let (program, config, not_from) = (args.program.clone(), args.config.clone(), args.not_from.clone());
    helper::serve(&Allowed { program, config, not_from })?;
    Ok(ExitCode::Holds)
}
