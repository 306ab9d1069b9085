//! `reeve ban`: who is shut out, and until when.

use std::net::IpAddr;

use clap::{Args, Subcommand};
use reeve_base::Period;
use reeve_edge::{Ban, PrintBan};
use serde::Deserialize;

use crate::cli::ConfigArgs;
use crate::deployment::{self, BanQuestion, PrintQuestion, Reply, Request};
use crate::exit::ExitCode;
use crate::failure::Advise;
use crate::screen::Screen;
use crate::settings;

/// See who is banned, ban somebody, lift a ban
///
/// Banned addresses are refused before TLS. Controls ban for a while by themselves (`ban.http`, `ban.auto`, `ban.ssh`);
/// here a person does. Each change is recorded in the ledger before it takes effect and is kept across restarts. It goes
/// through the gateway that runs.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct BanArgs {
    #[command(flatten)]
    config: ConfigArgs,

    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  reeve ban list
  reeve ban list 203.0.113.9                          only what concerns this address
  reeve ban add 203.0.113.0/24 --for 1d --reason \"flood since noon\"
  reeve ban lift 203.0.113.0/24
  reeve ban add --fingerprint t13d1516h2_8daaf6152771_e5627efa2ab1 --for 1h

Exit codes of `list` with an address:
  0  it is not banned
  1  it is banned";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show who is banned, the newest first
    List {
        /// Only bans that concern this address
        address: Option<IpAddr>,
        /// The most that are shown
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        /// Print them as JSON
        #[arg(long)]
        json: bool,
    },
    /// Ban an address, a network or a fingerprint
    Add {
        /// An address (of IPv6 it is the /64), or a network such as `203.0.113.0/24`
        #[arg(required_unless_present = "fingerprint")]
        network: Option<String>,
        /// Instead, everybody with this `ja4` or `header_order`, as events show it
        #[arg(long, value_name = "TEXT", conflicts_with = "network")]
        fingerprint: Option<String>,
        /// For how long, such as `1h`; without it until somebody lifts it
        #[arg(long = "for", value_name = "TIME")]
        length: Option<Period>,
        /// Why, for whoever reads the list later
        #[arg(long, value_name = "TEXT", default_value = "by hand")]
        reason: String,
    },
    /// End a ban; for ten minutes no control makes it again
    Lift {
        /// What is banned, as the list shows it: a network or a fingerprint
        what: String,
    },
}

pub(crate) fn run(args: &BanArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    let loaded = settings::load(&args.config.config)?;
    let ask =
        |request| deployment::ask(&loaded.settings.data.value, &request).hint("start the gateway with `reeve up`");
    let reply = ask(question(&args.verb))?;
    if !reply.done {
        screen.complain(reply.text);
        return Ok(ExitCode::CouldNotJudge);
    }
    match &args.verb {
        Verb::List { address, json, .. } => {
            // An address has no fingerprint until it comes.
            let prints = if address.is_none() { Some(ask(Request::Prints(PrintQuestion::List))?) } else { None };
            show(reply, prints, address.is_some(), *json, screen)
        }
        Verb::Add { .. } | Verb::Lift { .. } => {
            screen.talk(reply.text);
            Ok(ExitCode::Holds)
        }
    }
}

fn question(verb: &Verb) -> Request {
    let seconds = |length: &Option<Period>| length.map(|length| length.duration().as_secs().max(1));
    match verb {
        Verb::List { address, limit, .. } => Request::Bans(BanQuestion::List { address: *address, limit: *limit }),
        Verb::Add { fingerprint: Some(fingerprint), length, reason, .. } => {
            let (fingerprint, reason) = (fingerprint.clone(), reason.clone());
            Request::Prints(PrintQuestion::Add { fingerprint, seconds: seconds(length), reason })
        }
        Verb::Add { network, length, reason, .. } => {
            let (network, reason) = (network.clone().unwrap_or_default(), reason.clone());
            Request::Bans(BanQuestion::Add { network, seconds: seconds(length), reason })
        }
        Verb::Lift { what } if reeve_edge::is_fingerprint(what) => {
            Request::Prints(PrintQuestion::Lift { fingerprint: what.clone() })
        }
        Verb::Lift { what } => Request::Bans(BanQuestion::Lift { network: what.clone() }),
    }
}

/// What the gateway tells of its bans.
#[derive(Deserialize)]
struct List {
    bans: Vec<Ban>,
    found: usize,
}

fn show(reply: Reply, prints: Option<Reply>, about_one: bool, json: bool, screen: &Screen) -> anyhow::Result<ExitCode> {
    let Reply { text, mut data, .. } = reply;
    let prints = prints.and_then(|mut reply| reply.data.get_mut("prints").map(serde_json::Value::take));
    if let (Some(prints), Some(members)) = (&prints, data.as_object_mut()) {
        members.insert(String::from("prints"), prints.clone());
    }
    let prints: Vec<PrintBan> = prints.map(serde_json::from_value).transpose()?.unwrap_or_default();
    let list: List = serde_json::from_value(data.clone())?;
    let banned = about_one && list.found > 0;
    if json {
        screen.data(format_args!("{data:#}"))?;
    } else {
        let header = ["banned", "until", "by", "time", "because"].map(str::to_owned);
        if !list.bans.is_empty() || !prints.is_empty() {
            let rows = list.bans.iter().map(cells).chain(prints.iter().map(print_cells));
            screen.data(screen.table(Some(header), rows))?;
        }
        if list.bans.len() < list.found {
            screen.talk(format_args!("{} of {} shown; --limit shows more", list.bans.len(), list.found));
        }
        screen.talk(text);
    }
    Ok(if banned { ExitCode::FoundWanting } else { ExitCode::Holds })
}

fn cells(ban: &Ban) -> [String; 5] {
    let until = ban.until.map(|until| until.round(jiff::Unit::Second).unwrap_or(until).to_string());
    [
        ban.network.to_string(),
        until.unwrap_or_else(|| String::from("lifted")),
        ban.by.clone(),
        ban.times.to_string(),
        ban.reason.clone(),
    ]
}

fn print_cells(ban: &PrintBan) -> [String; 5] {
    let until = ban.until.map(|until| until.round(jiff::Unit::Second).unwrap_or(until).to_string());
    let until = until.unwrap_or_else(|| String::from("lifted"));
    [ban.fingerprint.clone(), until, ban.by.clone(), String::from("-"), ban.reason.clone()]
}
