//! `reeve ledger export`: entries in clear, for another system.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use reeve_ledger::Content;
use serde_json::{Value, json};

use crate::exit::ExitCode;
use crate::screen::{Screen, ScreenError};

/// Write entries as JSON lines, with their contents in clear
///
/// Each line has the leaf, which the tree holds byte for byte, and its events. The file is as secret as the log.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The first entry
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    from: u64,

    /// The last entry; the newest unless given
    #[arg(long, value_name = "SEQ")]
    to: Option<u64>,

    /// Where to write, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &ExportArgs, config: &Path, screen: &Screen) -> anyhow::Result<ExitCode> {
    let (_, reader) = super::reader(config)?;
    let end = args.to.map_or(u64::MAX, |last| last.saturating_add(1));
    let mut sink: Box<dyn Write> = match &args.out {
        Some(path) => Box::new(File::create(path).with_context(|| format!("cannot write `{}`", path.display()))?),
        None => Box::new(std::io::stdout().lock()),
    };
    let mut writer = BufWriter::new(&mut sink);
    let mut count = 0_u64;
    for record in reader.entries(args.from..end)? {
        let record = record?;
        let events: Vec<Value> = match &record.content {
            Content::Purged => Vec::new(),
            Content::Kept(contents) => {
                let lines = contents.body.split(|byte| *byte == b'\n');
                lines.filter_map(|line| serde_json::from_slice(line).ok()).collect()
            }
        };
        let leaf = String::from_utf8_lossy(&record.leaf_bytes).into_owned();
        let purged = matches!(record.content, Content::Purged);
        let line = json!({ "seq": record.seq, "leaf": leaf, "purged": purged, "events": events });
        writeln!(writer, "{line}").map_err(unwritten)?;
        count += 1;
    }
    writer.flush().map_err(unwritten)?;
    screen.talk(format_args!("{count} entries exported"));
    Ok(ExitCode::Holds)
}

fn unwritten(error: std::io::Error) -> ScreenError {
    match error.kind() {
        std::io::ErrorKind::BrokenPipe => ScreenError::Closed,
        _ => ScreenError::Failed(error),
    }
}
