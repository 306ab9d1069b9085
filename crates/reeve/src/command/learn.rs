//! `reeve learn`: an OpenAPI document out of the requests that pass.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use reeve_base::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::cli::ConfigArgs;
use crate::deployment::{self, LearnQuestion, Reply, Request};
use crate::exit::ExitCode;
use crate::failure::Advise;
use crate::screen::{FAINT, GOOD, Screen, paint};
use crate::settings;

/// Learn an application's OpenAPI document from the requests to it
///
/// With `learn = true` in `[upstream]` or `[[upstreams]]` the gateway notes of each request that the application answers
/// with success what it looks like: path, names, types, formats and rough lengths, and no values. Let the traffic of a day
/// pass, or your test suite; then have the document proposed, read it, and hold requests to it with `openapi`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct LearnArgs {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  reeve learn status
  reeve learn propose > openapi.yaml
  reeve learn propose --upstream api --output api.yaml
  reeve learn forget

What is learned survives a restart. Once the document is right, name it: `openapi = \"openapi.yaml\"`, and remove `learn`.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show how much was learned, and what was left out
    Status {
        /// Print it as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Print the document that the requests so far add up to
    Propose {
        /// The upstream, if several are learned
        #[arg(long, value_name = "NAME")]
        upstream: Option<String>,
        /// Write it to this file, which must not be there yet
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Replace the file if it is there
        #[arg(long, requires = "output")]
        force: bool,
        /// As JSON, without the comments
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Forget what was learned, and begin anew where `learn` is on
    Forget {
        /// The upstream, if several are learned
        #[arg(long, value_name = "NAME")]
        upstream: Option<String>,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

pub(crate) fn run(args: &LearnArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    let (question, config) = match &args.verb {
        Verb::Status { config, .. } => (LearnQuestion::Status, config),
        Verb::Propose { upstream, config, .. } => (LearnQuestion::Propose { upstream: upstream.clone() }, config),
        Verb::Forget { upstream, config } => (LearnQuestion::Forget { upstream: upstream.clone() }, config),
    };
    let loaded = settings::load(&config.config)?;
    let reply = deployment::ask(&loaded.settings.data.value, &Request::Learn(question))
        .hint("start the gateway with `reeve up`")?;
    if !reply.done {
        screen.complain(reply.text);
        return Ok(ExitCode::CouldNotJudge);
    }
    match &args.verb {
        Verb::Status { json, .. } => show(reply, *json, screen)?,
        Verb::Propose { output, force, json, .. } => propose(reply, output.as_deref(), *force, *json, screen)?,
        Verb::Forget { .. } => screen.talk(reply.text),
    }
    Ok(ExitCode::Holds)
}

/// A document, as the gateway tells it.
#[derive(Deserialize)]
struct Proposed {
    document: Value,
    operations: usize,
    uncertain: usize,
}

fn propose(reply: Reply, output: Option<&Path>, force: bool, json: bool, screen: &Screen) -> anyhow::Result<()> {
    let Proposed { document, operations, uncertain } = serde_json::from_value(reply.data)?;
    let text = if json { format!("{document:#}\n") } else { reply.text };
    match output {
        None => screen.data(text.trim_end())?,
        Some(path) => write(path, &text, force)?,
    }
    let named = output.map_or_else(String::new, |path| format!("{}: ", path.display()));
    screen.talk(format!(
        "{named}operations: {operations}, of which seen seldom: {uncertain}. Read it, then name it in `openapi` of the upstream"
    ));
    Ok(())
}

/// A document that somebody has worked on is not lost by accident.
fn write(path: &Path, text: &str, force: bool) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(force).create_new(!force);
    let mut file = match options.open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(anyhow!("`{}` is there already", path.display()))
                .hint("name another file, or replace it with --force");
        }
        opened => opened.with_context(|| format!("cannot write `{}`", path.display()))?,
    };
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write `{}`", path.display()))
}

/// How far it has come, as the gateway tells it.
#[derive(Deserialize)]
struct Status {
    upstreams: Vec<Progress>,
}

#[derive(Deserialize)]
struct Progress {
    upstream: String,
    learning: bool,
    requests: u64,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    unsuccessful: u64,
    unfit: u64,
    unfinished: u64,
    busy: u64,
    full: u64,
    known: u64,
    known_max: u64,
}

fn show(reply: Reply, json: bool, screen: &Screen) -> anyhow::Result<()> {
    if json {
        screen.data(format_args!("{:#}", reply.data))?;
        return Ok(());
    }
    let status: Status = serde_json::from_value(reply.data)?;
    let header = ["upstream", "learns", "requests", "from", "to", "room taken", "left out"].map(str::to_owned);
    if !status.upstreams.is_empty() {
        screen.data(screen.table(Some(header), status.upstreams.iter().map(cells)))?;
    }
    screen.talk(reply.text);
    Ok(())
}

fn cells(progress: &Progress) -> [String; 7] {
    let whole = |time: Option<Timestamp>| {
        time.map_or_else(|| String::from("-"), |time| time.round(jiff::Unit::Second).unwrap_or(time).to_string())
    };
    let learns = if progress.learning { paint(GOOD, "yes") } else { paint(FAINT, "no") };
    [
        progress.upstream.clone(),
        learns,
        progress.requests.to_string(),
        whole(progress.from),
        whole(progress.to),
        format!("{} %", progress.known * 100 / progress.known_max.max(1)),
        left_out(progress),
    ]
}

fn left_out(progress: &Progress) -> String {
    let causes = [
        (progress.unsuccessful, "not answered with success"),
        (progress.unfit, "that no document can describe"),
        (progress.unfinished, "answered before they were here"),
        (progress.busy, "came too fast"),
        (progress.full, "without room"),
    ];
    let told = causes.iter().filter(|(count, _)| *count > 0).map(|(count, cause)| format!("{count} {cause}"));
    let told: Vec<String> = told.collect();
    if told.is_empty() { String::from("none") } else { told.join(", ") }
}
