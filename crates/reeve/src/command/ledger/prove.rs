//! `reeve ledger prove`: one entry with everything that it takes to believe it.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use crate::exit::ExitCode;
use crate::screen::Screen;

/// Write the proof of one entry, which anyone can verify offline
///
/// The file (C2SP tlog-proof) holds the entry, its way to the root, and the checkpoint with its signatures. `reeve
/// ledger verify --proof FILE --key KEY` verifies it, on any machine.
#[derive(Debug, Args)]
pub(crate) struct ProveArgs {
    /// The entry's number, from 0
    #[arg(value_name = "SEQ")]
    seq: u64,

    /// Where to write it, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Leave the contents out: prove that it happened, and not what
    #[arg(long)]
    without_contents: bool,
}

pub(super) fn run(args: &ProveArgs, config: &Path, screen: &Screen) -> anyhow::Result<ExitCode> {
    let (_, reader) = super::reader(config)?;
    let mut proof = reader.proof(args.seq)?;
    if args.without_contents {
        proof.contents = None;
    }
    let text = proof.to_string();
    match &args.out {
        None => screen.data(text.trim_end())?,
        Some(path) => {
            std::fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
            screen.talk(format_args!("proof of entry {} written to {}", args.seq, path.display()));
        }
    }
    screen.talk(format_args!("verify it with --key {}", reader.verifier_key()));
    Ok(ExitCode::Holds)
}
