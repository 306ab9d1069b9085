//! `reeve top`: what the gateway is doing now.

mod draw;
mod plain;
mod view;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use crate::cli::ConfigArgs;
use crate::deployment::{self, Request};
use crate::exit::ExitCode;
use crate::failure::Advise;
use crate::screen::Screen;
use crate::settings;
use view::{Told, View};

/// Watch what a running gateway does: rates, refusals, slow routes, bans
///
/// Figures are of the last interval. Routes are paths with whatever varies taken out; they are noted only while somebody
/// watches. `q` ends it. Without a terminal it says once how things are.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TopArgs {
    #[command(flatten)]
    config: ConfigArgs,

    /// Say once how things are
    #[arg(long)]
    once: bool,

    /// The same as JSON
    #[arg(long)]
    json: bool,

    /// Seconds between two looks, 1 to 9
    #[arg(long, default_value_t = 1, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=9))]
    interval: u64,
}

const EXAMPLES: &str = "\
Examples:
  reeve top
  reeve top --once --interval 5
  reeve top --json | jq .requests_per_second";

pub(crate) fn run(args: &TopArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    let loaded = settings::load(&args.config.config)?;
    let source = Source { folder: loaded.settings.data.value };
    let interval = Duration::from_secs(args.interval);
    if args.once || args.json || !std::io::stdout().is_terminal() {
        let view = source.view(interval)?;
        if args.json {
            screen.data(format_args!("{:#}", serde_json::to_value(&view)?))?;
        } else {
            screen.data(plain::text(&view))?;
        }
    } else {
        draw::until_ended(&source, interval)?;
    }
    Ok(ExitCode::Holds)
}

/// Where the figures come from.
struct Source {
    folder: PathBuf,
}

impl Source {
    /// The counts now.
    fn look(&self) -> anyhow::Result<Told> {
        let reply = deployment::ask(&self.folder, &Request::Top)
            .hint("start one with `reeve up`, or name the settings of the one that runs with --config")?;
        anyhow::ensure!(reply.done, reply.text);
        serde_json::from_value(reply.data).context("the gateway is of another version")
    }

    /// What happens within the interval.
    fn view(&self, interval: Duration) -> anyhow::Result<View> {
        let before = self.look()?;
        pause(interval);
        Ok(View::between(&before, &self.look()?))
    }
}

/// Waits.
fn pause(time: Duration) {
    let (_open, silence) = channel::<()>();
    // Nothing ever comes; this is for the time alone.
    let (Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected)) = silence.recv_timeout(time);
}
