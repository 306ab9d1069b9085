//! `reeve reload`: tells a running gateway to read settings and policy again.

use clap::Args;

use crate::cli::ConfigArgs;
use crate::deployment::{self, Request};
use crate::exit::ExitCode;
use crate::failure::Advise;
use crate::screen::Screen;
use crate::settings;

/// Make a running gateway read its settings and policy again
///
/// Both take effect together, on the next request of every connection; what the certificate is and how large a head may
/// be, on the next connection. If either has a fault, it is shown here, the gateway goes on with what it had, and the
/// exit code is 1.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReloadArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

const EXAMPLES: &str = "\
Examples:
  reeve check policy.toml && reeve reload
  reeve reload --config /etc/reeve/reeve.toml";

pub(crate) fn run(args: &ReloadArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    // Only the data folder is read from the settings here; what the gateway thinks of the rest, it says itself.
    let loaded = settings::load(&args.config.config)?;
    let reply = deployment::ask(&loaded.settings.data.value, &Request::Reload)
        .hint("start one with `reeve up`, or name the settings of the one that runs with --config")?;
    if reply.done {
        screen.talk(reply.text);
        return Ok(ExitCode::Holds);
    }
    screen.complain(reply.text.trim_end());
    screen.complain("not reloaded: the gateway goes on with what it had");
    Ok(ExitCode::FoundWanting)
}
