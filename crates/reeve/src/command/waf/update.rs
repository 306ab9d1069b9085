//! `reeve waf update`: looks at the feed of rules now.

use clap::Args;

use crate::cli::ConfigArgs;
use crate::deployment::{self, Request};
use crate::exit::ExitCode;
use crate::failure::Advise;
use crate::screen::Screen;
use crate::settings;

/// Look at the feed of rules now, and take up what is newer
///
/// The gateway that runs fetches what the feed has, believes it only if it is signed by the key of the settings and not
/// older than what it has, tries it, records it, and lets it run. Whatever fails, the rules that run stay.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct UpdateArgs {
    #[command(flatten)]
    config: ConfigArgs,

    /// Print one JSON object: version, serial and when it was made
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  reeve waf update
  reeve waf update --config /etc/reeve/reeve.toml --json

Exit codes:
  0  the newest rules run
  1  they could not be taken up; the rules that run stay";

/// Runs the verb.
pub(crate) fn run(args: &UpdateArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    let loaded = settings::load(&args.config.config)?;
    let reply = deployment::ask(&loaded.settings.data.value, &Request::UpdateRules)
        .hint("start one with `reeve up`, or name the settings of the one that runs with --config")?;
    if !reply.done {
        screen.complain(reply.text.trim_end());
        screen.complain("not updated: the gateway goes on with the rules that it had");
        return Ok(ExitCode::FoundWanting);
    }
    if args.json {
        screen.data(format_args!("{:#}", reply.data))?;
    } else {
        screen.talk(reply.text);
    }
    Ok(ExitCode::Holds)
}
