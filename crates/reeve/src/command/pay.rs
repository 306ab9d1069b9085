//! `reeve pay`: the scripts on the payment pages, and their approval.

use clap::{Args, Subcommand};
use serde::Deserialize;

use crate::cli::ConfigArgs;
use crate::deployment::{self, PayQuestion, Reply, Request};
use crate::exit::ExitCode;
use crate::failure::Advise;
use crate::screen::{BAD, GOOD, Screen, paint};
use crate::settings;

/// See the scripts on the payment pages, approve them
///
/// The gateway reads every script in the pages that `pay.scripts` names, as they pass. One that appears, changes or goes is
/// recorded in the ledger. Which scripts may run at all stands in the policy; an approval says that somebody looked at what
/// one holds today.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct PayArgs {
    #[command(flatten)]
    config: ConfigArgs,

    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  reeve pay scripts
  reeve pay scripts --approve 4f1c09aa73de --why \"adds up the total\"
  reeve pay scripts --approve all --why \"reviewed for release 12\"

Exit codes of `scripts`:
  0  every script that is there was approved as it is
  1  one was not";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the inventory, or approve scripts as they are now
    Scripts {
        /// The ids of scripts that were looked at, or `all`
        #[arg(long, value_name = "ID", num_args = 1.., requires = "why")]
        approve: Vec<String>,
        /// What the scripts are for; recorded with the approval
        #[arg(long, value_name = "TEXT", requires = "approve")]
        why: Option<String>,
        /// Print the inventory as JSON
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(args: &PayArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    let Verb::Scripts { approve, why, json } = &args.verb;
    let question = match why {
        Some(reason) => PayQuestion::Approve { ids: approve.clone(), reason: reason.clone() },
        None => PayQuestion::List,
    };
    let loaded = settings::load(&args.config.config)?;
    let reply = deployment::ask(&loaded.settings.data.value, &Request::Pay(question))
        .hint("start the gateway with `reeve up`")?;
    if !reply.done {
        screen.complain(reply.text);
        return Ok(ExitCode::CouldNotJudge);
    }
    if why.is_some() {
        screen.talk(reply.text);
        return Ok(ExitCode::Holds);
    }
    show(reply, *json, screen)
}

/// The inventory, as the gateway tells it.
#[derive(Deserialize)]
struct Inventory {
    scripts: Vec<Listed>,
    open: usize,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    page: String,
    source: String,
    inline: bool,
    digest: Option<String>,
    authorised: bool,
    approved: bool,
    gone: bool,
    last_seen: jiff::Timestamp,
}

fn show(reply: Reply, json: bool, screen: &Screen) -> anyhow::Result<ExitCode> {
    let Reply { text, data, .. } = reply;
    let inventory: Inventory = serde_json::from_value(data.clone())?;
    if json {
        screen.data(format_args!("{data:#}"))?;
    } else {
        let header = ["id", "page", "script", "contents", "policy", "approved", "last seen"].map(str::to_owned);
        if !inventory.scripts.is_empty() {
            screen.data(screen.table(Some(header), inventory.scripts.iter().map(cells)))?;
        }
        screen.talk(text);
    }
    Ok(if inventory.open == 0 { ExitCode::Holds } else { ExitCode::FoundWanting })
}

fn cells(script: &Listed) -> [String; 7] {
    let word = |well: bool, good: &str, bad: &str| {
        if well { paint(GOOD, good).to_string() } else { paint(BAD, bad).to_string() }
    };
    let seen = script.last_seen.round(jiff::Unit::Second).unwrap_or(script.last_seen);
    let source = if script.inline { String::from("in the page") } else { script.source.clone() };
    [
        script.id.clone(),
        script.page.clone(),
        source,
        script.digest.clone().unwrap_or_else(|| String::from("elsewhere")),
        word(script.authorised, "runs", "blocked"),
        if script.gone { String::from("gone") } else { word(script.approved, "yes", "no") },
        seen.to_string(),
    ]
}
