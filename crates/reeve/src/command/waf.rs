//! `reeve waf`: rules of the web application firewall, at the desk.

mod feed;
mod pin;
mod test;
mod update;

use clap::{Args, Subcommand};

use crate::exit::ExitCode;
use crate::screen::Screen;

/// Try, pin and update rules of the web application firewall
#[derive(Debug, Args)]
pub(crate) struct WafArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Feed(feed::FeedArgs),
    Pin(pin::PinArgs),
    Test(test::TestArgs),
    Update(update::UpdateArgs),
}

/// Runs the verb.
pub(crate) fn run(args: &WafArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    match &args.what {
        What::Feed(args) => feed::run(args, screen),
        What::Pin(args) => pin::run(args, screen),
        What::Test(args) => test::run(args, screen),
        What::Update(args) => update::run(args, screen),
    }
}
