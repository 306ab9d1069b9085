//! `reeve ledger status`: how far it has come, and the key that verifies it.

use std::path::Path;

use clap::Args;
use serde_json::json;

use crate::deployment::{self, Request};
use crate::exit::ExitCode;
use crate::screen::{FAINT, Screen, paint};

/// Show how far the ledger has come, and the key that verifies it
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &StatusArgs, config: &Path, screen: &Screen) -> anyhow::Result<ExitCode> {
    let (kept, reader) = super::reader(config)?;
    let checkpoint = reader.checkpoint()?;
    let cosigned = reader.cosigned()?.map(|cosigned| cosigned.head().size);
    let running = deployment::ask(&kept.data, &Request::Status).ok().filter(|reply| reply.done);
    if args.json {
        let value = json!({
            "origin": reader.verifier_key().name(), "key": reader.verifier_key().to_string(),
            "sealed": checkpoint.head().size, "cosigned": cosigned,
            "running": running.map(|reply| reply.data),
        });
        screen.data(format_args!("{value:#}"))?;
        return Ok(ExitCode::Holds);
    }
    let rows = [
        ("origin", reader.verifier_key().name().to_owned()),
        ("key", reader.verifier_key().to_string()),
        ("sealed", format!("{} entries", checkpoint.head().size)),
        ("cosigned", cosigned.map_or_else(|| String::from("by no witness"), |size| format!("{size} entries"))),
        ("gateway", running.map_or_else(|| String::from("not running"), |reply| reply.text)),
    ];
    let rows = rows.map(|(name, value)| [paint(FAINT, name), value]);
    screen.data(screen.table(None::<[String; 2]>, rows))?;
    Ok(ExitCode::Holds)
}
