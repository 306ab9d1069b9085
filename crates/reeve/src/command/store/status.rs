//! `reeve store status`: how much is kept, and whether the file is whole.

use std::path::Path;

use clap::Args;
use reeve_store::{Status, Store};
use serde::Serialize;

use super::{keys_and_store, only_database};
use crate::exit::ExitCode;
use crate::screen::{FAINT, Screen, paint};

/// Show how much is kept, and look through the file for damage
///
/// A gateway may run meanwhile. A file of many gigabytes takes its time.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// As `--json` prints it. The schema only grows.
#[derive(Serialize)]
struct Report<'s> {
    schema: &'static str,
    #[serde(flatten)]
    status: &'s Status,
    /// `null`, or what is wrong with the file.
    damage: Option<String>,
}

pub(super) async fn run(args: &StatusArgs, config: &Path, screen: &Screen) -> anyhow::Result<ExitCode> {
    let (tools, settings) = keys_and_store(config)?;
    let store = Store::look(only_database(&settings)?, tools).await?;
    let status = store.status().await?;
    let damage = store.examine().await.err().map(|damage| damage.to_string());
    store.close().await;
    let code = if damage.is_some() { ExitCode::FoundWanting } else { ExitCode::Holds };
    if args.json {
        let report = Report { schema: SCHEMA, status: &status, damage };
        screen.data(serde_json::to_string_pretty(&report)?)?;
        return Ok(code);
    }
    let mut rows = vec![
        ("database", status.database.clone()),
        ("tenants", status.tenants.to_string()),
        ("records", status.records_total().to_string()),
    ];
    rows.extend(status.records.iter().map(|(collection, count)| ("", format!("{count} {collection}"))));
    rows.push(("messages to send", status.messages.to_string()));
    rows.push(("leases held", status.leases.to_string()));
    let rows = rows.into_iter().map(|(name, value)| [paint(FAINT, name), value]);
    screen.data(screen.table(None::<[String; 2]>, rows))?;
    if let Some(damage) = damage {
        screen.complain(damage);
    }
    Ok(code)
}

const SCHEMA: &str = "reeve.store-status/1";
