//! Chores of the house, run as `cargo xtask <verb>`.
//!
//! The exit codes are those of every judging command: 0 holds, 1 judged and found wanting, 2 could not judge.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool for developers: printing is all it is for")]

mod dist;
mod tidy;
mod workspace;

use std::process::{Command, ExitCode};

use anyhow::Context;
use clap::Parser;

use crate::workspace::Workspace;

/// Chores of the house.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Verb {
    /// Check what the compiler does not: floors, dependencies, the shape of files, links.
    Tidy,
    /// Run `./test`, as continuous integration does.
    Ci {
        /// Flags and steps, passed on as they are: `--quick`, `fmt tidy`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build the release binary into `dist/`, with its SHA-256 sum beside it.
    Dist,
}

fn main() -> ExitCode {
    match run(&Verb::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(COULD_NOT_JUDGE)
        }
    }
}

fn run(verb: &Verb) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::load()?;
    match verb {
        Verb::Tidy => tidy(&workspace),
        Verb::Ci { arguments } => ci(&workspace, arguments),
        Verb::Dist => {
            let binary = dist::build(&workspace)?;
            println!("{}", binary.display());
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn tidy(workspace: &Workspace) -> anyhow::Result<ExitCode> {
    let faults = tidy::check(workspace)?;
    for fault in &faults {
        println!("{fault}");
    }
    if faults.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("error: tidy found {} fault{}", faults.len(), if faults.len() == 1 { "" } else { "s" });
    Ok(ExitCode::from(FOUND_WANTING))
}

fn ci(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<ExitCode> {
    let script = workspace.root.join("test");
    let status =
        Command::new(&script).args(arguments).status().with_context(|| format!("cannot run `{}`", script.display()))?;
    // Without a code a signal ended it, and nothing was judged.
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(COULD_NOT_JUDGE)))
}

const FOUND_WANTING: u8 = 1;
const COULD_NOT_JUDGE: u8 = 2;
