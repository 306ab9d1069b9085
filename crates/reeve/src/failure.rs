//! How a verb fails: `error:`, `Caused by:` and `hint:` lines, or the diagnostics of the text that was refused.

use std::error::Error;
use std::fmt;

use crate::diagnostics::{Refused, text};
use crate::exit::ExitCode;
use crate::screen::{ADVICE, BAD, STRONG, Screen, ScreenError, paint};

/// An error with the way out of it. Made by [`Advise::hint`].
#[derive(Debug)]
struct Advised {
    error: anyhow::Error,
    hint: String,
}

impl fmt::Display for Advised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for Advised {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// Adds the way out to an error.
pub(crate) trait Advise<T> {
    /// The line that is printed as `hint:` below the error.
    fn hint(self, hint: impl Into<String>) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Advise<T> for Result<T, E> {
    fn hint(self, hint: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| Advised { error: error.into(), hint: hint.into() }.into())
    }
}

/// Shows why a verb failed, and says with which code the process ends.
pub(crate) fn report(error: &anyhow::Error, screen: &Screen) -> ExitCode {
    if matches!(error.downcast_ref(), Some(ScreenError::Closed)) {
        return ExitCode::Holds;
    }
    screen.complain(explain(error, screen.width()));
    ExitCode::CouldNotJudge
}

/// The text that was refused, if that is what the error comes to, under whatever context and advice.
fn refused(error: &anyhow::Error) -> Option<&Refused> {
    let below = || error.downcast_ref::<Advised>().and_then(|advised| refused(&advised.error));
    error.downcast_ref().or_else(below)
}

/// All that there is to say of an error, in lines.
pub(crate) fn explain(error: &anyhow::Error, width: usize) -> String {
    let mut lines = Vec::new();
    if let Some(refused) = refused(error) {
        lines.push(text::report(&refused.source, &refused.faults, width).trim_end().to_owned());
        // What was added above it (`cannot reload`) is the sentence to end on.
    }
    lines.push(format!("{} {}", paint(BAD, "error:"), paint(STRONG, error)));
    let causes: Vec<_> = error.chain().skip(1).collect();
    if !causes.is_empty() {
        lines.push(paint(BAD, "Caused by:"));
    }
    lines.extend(causes.iter().map(|cause| format!("  {cause}")));
    if let Some(advised) = error.downcast_ref::<Advised>() {
        lines.push(format!("{} {}", paint(ADVICE, "hint:"), advised.hint));
    }
    lines.join("\n")
}
