//! `reeve ledger hold`: keeps days from being purged, while a case lasts.

use std::path::Path;

use clap::{Args, Subcommand, ValueEnum};
use jiff::civil::Date;

use crate::deployment::{self, Hold, Request};
use crate::exit::ExitCode;
use crate::failure::Advise;
use crate::screen::Screen;

/// Keep the contents of some days from being purged (legal hold)
///
/// A hold is an entry of the ledger itself, as is its end. It goes through the gateway that runs.
#[derive(Debug, Args)]
pub(crate) struct HoldArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Begin a hold
    Add {
        /// What it is called
        label: String,
        /// Which entries
        #[arg(long, value_enum, default_value_t = HeldClass::Request)]
        class: HeldClass,
        /// The first day, in UTC
        #[arg(long, value_name = "DATE")]
        from: Date,
        /// The last day, in UTC
        #[arg(long, value_name = "DATE")]
        to: Date,
    },
    /// End a hold
    Lift {
        /// What it is called
        label: String,
    },
}

/// A class of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum HeldClass {
    /// Requests
    Request,
    /// The security trail
    Security,
}

pub(super) fn run(args: &HoldArgs, config: &Path, screen: &Screen) -> anyhow::Result<ExitCode> {
    let request = match &args.verb {
        Verb::Add { label, class, from, to } => {
            let class = match class {
                HeldClass::Request => "request",
                HeldClass::Security => "security",
            };
            Request::Hold(Hold { label: label.clone(), class: class.to_owned(), from: *from, to: *to })
        }
        Verb::Lift { label } => Request::Lift { label: label.clone() },
    };
    let kept = super::kept(config)?;
    let reply = deployment::ask(&kept.data, &request).hint("start the gateway with `reeve up`")?;
    if reply.done {
        screen.talk(reply.text);
        return Ok(ExitCode::Holds);
    }
    screen.complain(reply.text);
    Ok(ExitCode::CouldNotJudge)
}
