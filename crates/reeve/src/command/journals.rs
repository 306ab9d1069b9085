//! `reeve journals`: the helper that `reeve up` starts for itself where logs are in systemd's journal. Not for people.

use clap::Args;

use crate::exit::ExitCode;
use crate::journal::{Source, helper};

/// Read journals for a gateway that runs, as it orders on standard input (started by `reeve up`)
#[derive(Debug, Args)]
pub(crate) struct JournalsArgs {
    /// A journal that may be read, as JSON
    #[arg(long = "source", value_name = "JSON")]
    sources: Vec<String>,
}

pub(crate) fn run(args: &JournalsArgs) -> anyhow::Result<ExitCode> {
    let sources: Result<Vec<Source>, _> = args.sources.iter().map(|text| serde_json::from_str(text)).collect();
    helper::serve(&sources?)?;
    Ok(ExitCode::Holds)
}
