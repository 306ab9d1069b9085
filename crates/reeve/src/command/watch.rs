//! `reeve watch`: the logs of other programs, and what is found in them.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use reeve_base::{Clock, SystemClock};
use reeve_watch::{Filter, Host, Kind, Place, Tail};
use serde_json::Value;

use crate::cli::ConfigArgs;
use crate::deployment::{self, Request};
use crate::exit::ExitCode;
use crate::failure::Advise;
use crate::screen::Screen;
use crate::settings;

/// See which logs are watched, and what would be found in one
///
/// The settings name the logs of other programs that are watched (`[[watch]]`); whoever fails in them too often is
/// banned. `try` reads a file with the filter of one kind and says who failed, without a gateway and without a ban.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    config: ConfigArgs,

    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  reeve watch list
  reeve watch try sshd /var/log/auth.log
  reeve watch try nginx-botsearch access.log --count

Kinds: sshd, nginx-http-auth, nginx-botsearch, apache-auth, apache-badbots";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show how the logs are that the running gateway watches
    List {
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Read a file as a log of this kind and print who failed: line, address or name, attempts
    Try {
        /// What is looked for
        #[arg(value_parser = PossibleValuesParser::new(Kind::ALL.map(Kind::name)), hide_possible_values = true)]
        kind: String,
        /// The file
        file: PathBuf,
        /// Print only how much was read and found, and how fast
        #[arg(long)]
        count: bool,
    },
}

pub(crate) fn run(args: &WatchArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    match &args.verb {
        Verb::List { json } => list(&args.config.config, *json, screen),
        Verb::Try { kind, file, count } => {
            let kind = Kind::from_name(kind).context("no such kind")?;
            try_out(kind, file, *count, screen)
        }
    }
}

fn list(config: &Path, as_json: bool, screen: &Screen) -> anyhow::Result<ExitCode> {
    let loaded = settings::load(config)?;
    let reply =
        deployment::ask(&loaded.settings.data.value, &Request::Status).hint("start the gateway with `reeve up`")?;
    let watches = reply.data.get("watches").and_then(Value::as_array).cloned().unwrap_or_default();
    if as_json {
        screen.data(format_args!("{:#}", Value::Array(watches)))?;
        return Ok(ExitCode::Holds);
    }
    if watches.is_empty() {
        screen.talk("no log is watched; `[[watch]]` in the settings names one");
        return Ok(ExitCode::Holds);
    }
    let header = ["kind", "log", "lines", "failures", "trouble"].map(str::to_owned);
    screen.data(screen.table(Some(header), watches.iter().map(cells)))?;
    Ok(ExitCode::Holds)
}

fn cells(watch: &Value) -> [String; 5] {
    let text = |member: &str| match watch.get(member) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let units = watch.get("journal").and_then(Value::as_array);
    let units = units.map(|units| units.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "));
    let log = units.map_or_else(|| text("file"), |units| format!("journal: {units}"));
    [text("kind"), log, text("lines"), text("failures"), text("failing")]
}

fn try_out(kind: Kind, file: &Path, count: bool, screen: &Screen) -> anyhow::Result<ExitCode> {
    let clock = SystemClock::new();
    let started = clock.ticks();
    let mut filter = Filter::new(kind);
    // A place that no file has: the reading begins at the beginning.
    let nowhere = Place { device: 0, inode: 0, offset: 0, head: Vec::new() };
    let mut tail = Tail::new(file.to_owned(), Some(nowhere));
    let (mut lines, mut failures) = (0_u64, 0_u64);
    let mut output = Ok(());
    let mut found = |line: &[u8]| {
        lines += 1;
        let Some(failure) = filter.read(line) else { return };
        failures += 1;
        if !count && output.is_ok() {
            let host = match failure.host {
                Host::Address(address) => address.to_string(),
                Host::Name(name) => name.into(),
            };
            output = screen.data(format_args!("{lines} {host} {}", failure.attempts));
        }
    };
    while tail.look(PIECE_BYTES, &mut found)? {}
    output?;
    let milliseconds = clock.ticks().since(started).as_millis().max(1);
    let overlong = tail.counts().overlong;
    let pace = u128::from(lines) * 1_000 / milliseconds;
    let text =
        format!("{lines} lines, {failures} failures, {overlong} lines too long; {milliseconds} ms, {pace} lines/s");
    if count {
        screen.data(text)?;
    } else {
        screen.talk(text);
    }
    Ok(ExitCode::Holds)
}

const PIECE_BYTES: u64 = 64 * 1024 * 1024;
