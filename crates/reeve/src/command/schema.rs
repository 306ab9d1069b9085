//! `reeve schema`: the JSON Schema of the policy file, for editors.

use anyhow::Context;
use clap::Args;

use crate::exit::ExitCode;
use crate::screen::Screen;

/// Print the JSON Schema of the policy file
///
/// An editor that is told of it completes and underlines while you write. Editors with the taplo or Even Better TOML
/// language server take it from a first line in policy.toml: `#:schema ./policy.schema.json`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SchemaArgs {}

const EXAMPLES: &str = "\
Examples:
  reeve schema > policy.schema.json";

/// Runs the verb.
pub(crate) fn run(_: &SchemaArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    let schema = serde_json::to_string_pretty(&reeve_policy::json_schema()).context("cannot write the schema")?;
    screen.data(schema)?;
    Ok(ExitCode::Holds)
}
