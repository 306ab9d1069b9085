//! `reeve explain`: what a control promises, what may be written, what enforces it and what proves it.

mod example;
mod show;

use anyhow::{Context, anyhow};
use clap::Args;
use comfy_table::{Attribute, Cell};
use reeve_base::diagnostic::nearest;
use reeve_policy::catalogue::{self, Control, PLANNED};
use serde::Serialize;

use crate::exit::ExitCode;
use crate::failure::Advise;
use crate::screen::Screen;

/// Explain a control: parameters, bounds, defaults, what enforces it, what proves it
///
/// Without CONTROL, all controls are listed.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// The name of a control, as a clause writes it
    #[arg(value_name = "CONTROL")]
    control: Option<String>,

    /// List also the controls that are named and not built yet
    #[arg(long, conflicts_with = "control")]
    all: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  reeve explain              the controls that this version enforces or proves
  reeve explain --all        also those that are planned
  reeve explain tls.floor    one of them, with a clause ready to paste";

/// Runs the verb.
pub(crate) fn run(args: &ExplainArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    let Some(name) = &args.control else { return list(args, screen) };
    if let Some(control) = Control::named(name) {
        let explained = show::Explained::of(&control);
        screen.data(if args.json { json(&explained)? } else { explained.text(screen.width()) })?;
        return Ok(ExitCode::Holds);
    }
    if let Some(planned) = catalogue::planned(name) {
        let status = show::Planned::of(planned);
        screen.data(if args.json { json(&status)? } else { status.text(screen.width()) })?;
        return Ok(ExitCode::Holds);
    }
    let hint = nearest(name, catalogue::names()).map_or_else(
        || String::from("`reeve explain --all` lists every control"),
        |meant| format!("did you mean `{meant}`?"),
    );
    Err(anyhow!("there is no control `{name}`")).hint(hint)
}

/// A line of the list.
#[derive(Debug, Serialize)]
struct Listed {
    name: &'static str,
    /// `typed` or `planned`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capability: Option<&'static str>,
}

fn list(args: &ExplainArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    let typed = Control::every().into_iter().map(|control| {
        let facts = control.facts();
        Listed { name: facts.name, status: "typed", summary: Some(facts.summary), capability: None }
    });
    let planned = PLANNED.iter().filter(|_| args.all).map(|planned| Listed {
        name: planned.name,
        status: "planned",
        summary: None,
        capability: Some(planned.capability),
    });
    let listed: Vec<_> = typed.chain(planned).collect();
    if args.json {
        screen.data(json(&listed)?)?;
        return Ok(ExitCode::Holds);
    }
    let rows = listed.iter().map(|one| {
        let planned = || format!("planned, in `{}`", one.capability.unwrap_or_default());
        [
            Cell::new(one.name).add_attribute(Attribute::Bold),
            Cell::new(one.summary.map_or_else(planned, |summary| summary.trim_end_matches('.').to_owned())),
        ]
    });
    screen.data(screen.table(None, rows))?;
    let typed = Control::every().len();
    let more = if args.all { "" } else { "; `--all` lists them too" };
    screen.talk(format_args!(
        "\n{typed} controls are enforced or proved by this version, {} are planned{more}.\n\
         `reeve explain CONTROL` shows parameters, proof and a clause to paste.",
        PLANNED.len()
    ));
    Ok(ExitCode::Holds)
}

fn json(value: &impl Serialize) -> anyhow::Result<String> {
    serde_json::to_string_pretty(value).context("cannot write JSON")
}
