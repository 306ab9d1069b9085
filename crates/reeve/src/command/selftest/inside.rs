//! The inner half of the self-test: enters the sandbox of a deployment and tries what should be refused.

use std::io::{self, Write};
use std::sync::Arc;

use anyhow::Context;
use reeve_base::{SystemClock, SystemEntropy};

use super::attempts::{self, Attempt};
use super::gateway;
use super::trial::{Came, Line, Row, Trial, Wanted};
use crate::deployment::Deployment;
use crate::exit::ExitCode;
use crate::sandbox::{self, Mode, Plan};
use crate::screen::Screen;

/// Reads a trial from standard input and tells on standard output what came of it, a JSON object a line.
///
/// # Errors
/// When there is no trial or no deployment; whatever happens inside is a line of the story.
pub(super) fn run(screen: &Screen) -> anyhow::Result<ExitCode> {
    let trial: Trial = serde_json::from_reader(io::stdin().lock()).context("no trial on standard input")?;
    let clock = SystemClock::new();
    let deployment = Deployment::read(&trial.config, &clock)?;
    // Where the start would be refused, the trial shows what is missing.
    let mode = match deployment.loaded.settings.server.sandbox.into() {
        Mode::Enforce | Mode::BestEffort => Mode::BestEffort,
        Mode::Off => Mode::Off,
    };
    // As `reeve up` does it: what is needed from outside, before the door is shut.
    let vault = match trial.gateway {
        true => Some(deployment.kept().unlock(&clock, Arc::new(SystemEntropy))?),
        // Of a deployment that is not ours to start, nothing is made.
        false => None,
    };
    let status = sandbox::enter(&Plan::of(&trial.config, &deployment), mode)?;
    tell(&Line::Entered(Box::new(status)))?;
    let stage = attempts::Stage { trial: &trial, deployment: &deployment };
    for attempt in attempts::FORBIDDEN.iter().chain(attempts::NEEDED) {
        tell(&Line::Tried(stage.make(attempt)))?;
    }
    if let Some(vault) = vault {
        for row in gateway::serve(&trial, &deployment, vault, screen) {
            tell(&Line::Tried(row))?;
        }
    }
    // Last: where it succeeds, this process is another program, which tells its own line.
    tell(&Line::Tried(stage.make(&attempts::BECOME)))?;
    tell(&Line::Done)?;
    Ok(ExitCode::Holds)
}

impl attempts::Stage<'_> {
    fn make(&self, attempt: &Attempt) -> Row {
        row(attempt.what, attempt.wanted, (attempt.make)(self))
    }
}

/// What an attempt comes to. Only a word about permission counts as a refusal: whatever else stood in the way, the
/// sandbox let it pass.
pub(super) fn row(what: &str, wanted: Wanted, outcome: io::Result<String>) -> Row {
    let (came, seen) = match outcome {
        Ok(seen) => (Came::Done, seen),
        Err(error) => match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported => (Came::Refused, error.to_string()),
            io::ErrorKind::NotFound if error.raw_os_error().is_none() => (Came::Untried, error.to_string()),
            _ => match wanted {
                Wanted::Refused(_) => (Came::Done, format!("let through, then: {error}")),
                Wanted::Done => (Came::Refused, error.to_string()),
            },
        },
    };
    Row { what: what.to_owned(), wanted, came, seen }
}

fn tell(line: &Line) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    serde_json::to_writer(&mut stdout, line)?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}
