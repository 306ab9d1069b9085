//! `reeve ledger purge`: destroys what has expired, now instead of within the hour.

use std::path::Path;

use clap::Args;
use serde_json::Value;

use crate::deployment::{self, Request};
use crate::exit::ExitCode;
use crate::failure::Advise;
use crate::screen::Screen;

/// Destroy what has expired
///
/// A gateway that runs does so by itself every hour. Of a purged day the leaves stay, and with them every proof; who and
/// what was in it is gone.
#[derive(Debug, Args)]
pub(crate) struct PurgeArgs {
    /// Say what has expired, and destroy nothing
    #[arg(long)]
    dry_run: bool,

    /// Print what the gateway answers, as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &PurgeArgs, config: &Path, screen: &Screen) -> anyhow::Result<ExitCode> {
    let kept = super::kept(config)?;
    let request = Request::Purge { dry_run: args.dry_run };
    let reply = deployment::ask(&kept.data, &request).hint("start the gateway with `reeve up`")?;
    if !reply.done {
        screen.complain(reply.text);
        return Ok(ExitCode::CouldNotJudge);
    }
    if args.json {
        screen.data(format_args!("{:#}", reply.data))?;
        return Ok(ExitCode::Holds);
    }
    for day in reply.data.get("due").and_then(Value::as_array).into_iter().flatten() {
        let text = |member: &str| day.get(member).map_or_else(String::new, |value| value.to_string().replace('"', ""));
        screen.data(format_args!("{}  entries {} to {}", text("day"), text("first"), text("last")))?;
    }
    let plan = reply.data.get("plan").unwrap_or(&reply.data);
    for held in plan.get("held").and_then(Value::as_array).into_iter().flatten() {
        let text = |member: &str| held.get(member).and_then(Value::as_str).unwrap_or_default();
        screen.talk(format_args!("{} is kept by the hold `{}`", text("day"), text("hold")));
    }
    if let Some(doubt) = plan.get("doubt").and_then(Value::as_str) {
        screen.complain(format_args!("nothing is purged yet: {doubt}"));
    }
    screen.talk(reply.text);
    Ok(ExitCode::Holds)
}
