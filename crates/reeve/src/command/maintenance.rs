//! `reeve maintenance`: when the site is closed, and when that was said.

use clap::{Args, Subcommand};
use reeve_base::{Period, Timestamp};
use serde::Deserialize;

use crate::cli::ConfigArgs;
use crate::deployment::{self, MaintenanceQuestion, Reply, Request};
use crate::exit::ExitCode;
use crate::failure::Advise;
use crate::keeping::Window;
use crate::screen::Screen;
use crate::settings;

/// Close the site for maintenance, and say beforehand when that will be
///
/// Meanwhile visitors get a page with status 503 and the time to come back, and the application gets nobody but those
/// whom `--allow` names. Each change is recorded in the ledger before it takes effect, is kept across restarts, and ends
/// on time. It goes through the gateway that runs.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct MaintenanceArgs {
    #[command(flatten)]
    config: ConfigArgs,

    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  reeve maintenance on --for 30m --reason \"new disks\" --allow 203.0.113.9
  reeve maintenance off
  reeve maintenance announce --from 2026-12-05T22:00:00Z --to 2026-12-05T23:00:00Z --reason \"database upgrade\"
  reeve maintenance list

Exit codes of `list`:
  0  the site is open
  1  it is closed";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Close the site now
    On {
        /// For how long, such as `30m`; without it until it is opened
        #[arg(long = "for", value_name = "TIME")]
        length: Option<Period>,
        /// Why, for whoever reads the list later
        #[arg(long, value_name = "TEXT", default_value = "by hand")]
        reason: String,
        /// An address or a network that is served all the same; more than once for several
        #[arg(long, value_name = "NETWORK")]
        allow: Vec<String>,
    },
    /// Open the site, or take a window back
    Off {
        /// The window, as the list shows it; without it whatever closes the site now
        id: Option<String>,
    },
    /// Say when there is going to be maintenance
    Announce {
        /// From when, such as `2026-12-05T22:00:00Z`
        #[arg(long, value_name = "WHEN")]
        from: Timestamp,
        /// Until when
        #[arg(long, value_name = "WHEN")]
        to: Timestamp,
        /// Why, for whoever reads the list later
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Close the site meanwhile; without it the application answers as it can
        #[arg(long)]
        shut: bool,
        /// With `--shut`, an address or a network that is served all the same; more than once for several
        #[arg(long, value_name = "NETWORK", requires = "shut")]
        allow: Vec<String>,
    },
    /// Show what is announced and what is under way
    List {
        /// What is over, too
        #[arg(long)]
        all: bool,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(args: &MaintenanceArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    let question = match &args.verb {
        Verb::On { length, reason, allow } => MaintenanceQuestion::On {
            seconds: length.map(|length| length.duration().as_secs().max(1)),
            reason: reason.clone(),
            allow: allow.clone(),
        },
        Verb::Off { id } => MaintenanceQuestion::Off { id: id.clone() },
        Verb::Announce { from, to, reason, shut, allow } => MaintenanceQuestion::Announce {
            from: *from,
            to: *to,
            reason: reason.clone(),
            shut: *shut,
            allow: allow.clone(),
        },
        Verb::List { all, .. } => MaintenanceQuestion::List { all: *all },
    };
    let loaded = settings::load(&args.config.config)?;
    let reply = deployment::ask(&loaded.settings.data.value, &Request::Maintenance(question))
        .hint("start the gateway with `reeve up`")?;
    if !reply.done {
        screen.complain(reply.text);
        return Ok(ExitCode::CouldNotJudge);
    }
    match &args.verb {
        Verb::List { json, .. } => show(reply, *json, screen),
        Verb::On { .. } | Verb::Off { .. } | Verb::Announce { .. } => {
            screen.talk(reply.text);
            Ok(ExitCode::Holds)
        }
    }
}

/// What the gateway tells.
#[derive(Deserialize)]
struct List {
    closed: bool,
    windows: Vec<Window>,
}

fn show(reply: Reply, json: bool, screen: &Screen) -> anyhow::Result<ExitCode> {
    let Reply { text, data, .. } = reply;
    let list: List = serde_json::from_value(data.clone())?;
    if json {
        screen.data(format_args!("{data:#}"))?;
    } else {
        let header = ["window", "from", "until", "closed", "because"].map(str::to_owned);
        if !list.windows.is_empty() {
            screen.data(screen.table(Some(header), list.windows.iter().map(cells)))?;
        }
        screen.talk(text);
    }
    Ok(if list.closed { ExitCode::FoundWanting } else { ExitCode::Holds })
}

fn cells(window: &Window) -> [String; 5] {
    let whole = |time: Timestamp| time.round(jiff::Unit::Second).unwrap_or(time).to_string();
    let until = window.ended.or(window.to).map_or_else(|| String::from("it is ended"), whole);
    let shut = if window.shut { "yes" } else { "no" };
    [window.id.clone(), whole(window.from), until, shut.to_owned(), window.reason.clone()]
}
