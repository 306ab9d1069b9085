//! `reeve cert`: the certificates that a running gateway shows, and how to have them replaced.

use clap::{Args, Subcommand};
use reeve_base::{Clock, SystemClock, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cli::ConfigArgs;
use crate::deployment::{self, Reply, Request};
use crate::exit::ExitCode;
use crate::failure::Advise;
use crate::screen::{CAREFUL, FAINT, GOOD, Screen, paint};
use crate::settings;

/// Show and renew the certificates of a running gateway
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CertArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Status(StatusArgs),
    Renew(RenewArgs),
}

/// Show names, issuer, end and next renewal of each certificate, and why the last attempt failed
///
/// The exit code is 1 if an attempt failed since the last certificate was issued, or a temporary one is shown.
#[derive(Debug, Args)]
struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Replace certificates now, whether they are due or not
///
/// Authorities limit how often a certificate may be asked for: it is renewed by itself before two thirds of its life are
/// over. It is an administrative act, and recorded before it is done. Connections that are open stay.
#[derive(Debug, Args)]
struct RenewArgs {
    /// Only those that hold this name
    name: Option<String>,

    #[command(flatten)]
    config: ConfigArgs,
}

const EXAMPLES: &str = "\
Examples:
  reeve cert status
  reeve cert renew www.example.com";

/// A certificate as the gateway tells of it.
#[derive(Debug, Deserialize)]
struct Row {
    names: Vec<String>,
    source: String,
    temporary: bool,
    issuer: String,
    to: Timestamp,
    due: Option<Timestamp>,
    failures: u32,
    cause: Option<String>,
    failed: Option<Timestamp>,
    retry: Option<Timestamp>,
}

/// As `--json` prints it. The schema only grows.
#[derive(Serialize)]
struct Report<'r> {
    schema: &'static str,
    #[serde(flatten)]
    data: &'r Value,
}

/// Runs the verb.
pub(crate) fn run(args: &CertArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    match &args.what {
        What::Status(args) => status(args, screen),
        What::Renew(args) => renew(args, screen),
    }
}

fn ask(config: &ConfigArgs, request: &Request) -> anyhow::Result<Reply> {
    let loaded = settings::load(&config.config)?;
    deployment::ask(&loaded.settings.data.value, request).hint("start the gateway with `reeve up`")
}

fn status(args: &StatusArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    let reply = ask(&args.config, &Request::Certificates)?;
    if !reply.done {
        screen.complain(reply.text);
        return Ok(ExitCode::CouldNotJudge);
    }
    let list = reply.data.get("certificates").cloned().unwrap_or_default();
    let rows: Vec<Row> = serde_json::from_value(list)?;
    if args.json {
        screen.data(serde_json::to_string_pretty(&Report { schema: SCHEMA, data: &reply.data })?)?;
    } else {
        show(&rows, screen)?;
    }
    let wanting = rows.iter().any(|row| row.temporary || row.failures > 0);
    Ok(if wanting { ExitCode::FoundWanting } else { ExitCode::Holds })
}

fn show(rows: &[Row], screen: &Screen) -> anyhow::Result<()> {
    let now = SystemClock::new().now();
    let header = ["names", "from", "issuer", "ends", "renewed"].map(str::to_owned);
    screen.data(screen.table(Some(header), rows.iter().map(|row| cells(row, now))))?;
    for row in rows {
        let (Some(cause), Some(failed), Some(retry)) = (&row.cause, row.failed, row.retry) else { continue };
        let attempts = if row.failures == 1 { "attempt" } else { "attempts" };
        screen.complain(format_args!(
            "{} {}: {} {attempts} failed, the last at {}: {cause}; tried again at {}",
            paint(CAREFUL, "warning:"),
            row.names.join(", "),
            row.failures,
            when(failed),
            when(retry),
        ));
    }
    Ok(())
}

fn cells(row: &Row, now: Timestamp) -> [String; 5] {
    let issuer = if row.temporary { paint(CAREFUL, "nobody yet: temporary") } else { row.issuer.clone() };
    let left = row.to.duration_since(now).as_hours();
    let left = if left >= 48 { format!("{} days", left / 24) } else { format!("{left} h") };
    let due = match row.due {
        Some(_) if row.temporary => String::from("as soon as it is issued"),
        Some(due) => paint(GOOD, when(due)),
        None => paint(FAINT, "not by itself"),
    };
    [row.names.join("\n"), row.source.clone(), issuer, format!("{}, in {left}", when(row.to)), due]
}

fn renew(args: &RenewArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    let name = args.name.as_ref().map(|name| name.to_ascii_lowercase());
    let reply = ask(&args.config, &Request::RenewCertificate { name })?;
    if reply.done {
        screen.talk(reply.text);
        return Ok(ExitCode::Holds);
    }
    screen.complain(reply.text);
    Ok(ExitCode::CouldNotJudge)
}

/// To the second: what a person compares with other logs.
fn when(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

const SCHEMA: &str = "reeve.certificates/1";
