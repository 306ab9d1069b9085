//! [`Diagnostic`]s drawn for their readers: people ([`text`]), programs ([`json`]), code scanners ([`sarif`]).

pub(crate) mod json;
pub(crate) mod sarif;
pub(crate) mod text;

use std::fmt;

use reeve_base::{Diagnostic, Severity, Source};

/// A text that was refused, with every reason. As an error it is drawn in full by [`crate::failure::report`].
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    /// The text.
    pub(crate) source: Source,
    /// What is wrong with it, in the order of the text.
    pub(crate) faults: Vec<Diagnostic>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` has {}", self.source.name, tally(&self.faults))
    }
}

// By hand: `thiserror` takes a field called `source` for the cause of the error, and the text is none.
impl std::error::Error for Refused {}

/// `3 faults, 1 of them a warning`, `no fault`.
pub(crate) fn tally(faults: &[Diagnostic]) -> String {
    tally_of(faults.len(), faults.iter().filter(|fault| fault.severity != Severity::Error).count())
}

/// The same from numbers: faults altogether, and warnings and notes among them.
pub(crate) fn tally_of(faults: usize, mild: usize) -> String {
    let count = plural(faults, "fault");
    match mild {
        0 => count,
        _ if mild == faults => plural(mild, "warning"),
        1 => format!("{count}, 1 of them a warning"),
        _ => format!("{count}, {mild} of them warnings"),
    }
}

/// `1 fault`, `2 faults`.
pub(crate) fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Whether any of them forbids the text's use.
pub(crate) fn any_error(faults: &[Diagnostic]) -> bool {
    faults.iter().any(|fault| fault.severity == Severity::Error)
}
