//! `reeve waf`: rules of the web application firewall, at the desk.

mod explain;
mod feed;
mod pin;
mod suggest;
mod test;
mod update;

use clap::{Args, Subcommand};

use crate::exit::ExitCode;
use crate::screen::Screen;

/// Explain what the web application firewall refused; try, pin and update its rules
#[derive(Debug, Args)]
pub(crate) struct WafArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Explain(explain::ExplainArgs),
    Suggest(suggest::SuggestArgs),
    Feed(feed::FeedArgs),
    Pin(pin::PinArgs),
    Test(test::TestArgs),
    Update(update::UpdateArgs),
}

/// Runs the verb.
pub(crate) fn run(args: &WafArgs, screen: &Screen) -> anyhow::Result<ExitCode> {
    match &args.what {
        What::Explain(args) => explain::run(args, screen),
        What::Suggest(args) => suggest::run(args, screen),
        What::Feed(args) => feed::run(args, screen),
        What::Pin(args) => pin::run(args, screen),
        What::Test(args) => test::run(args, screen),
        What::Update(args) => update::run(args, screen),
    }
}
