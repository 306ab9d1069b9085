//! Diagnostics for programs: the same facts, with byte offsets and with lines and columns.

use reeve_base::{Diagnostic, Severity, Source};
use serde::Serialize;

/// One fault.
#[derive(Debug, Serialize)]
pub(crate) struct Fault<'d> {
    code: &'static str,
    severity: Severity,
    message: &'d str,
    help: Option<&'d str>,
    /// The first is where an editor should jump.
    labels: Vec<Label<'d>>,
}

/// A place and what is said of it.
#[derive(Debug, Serialize)]
struct Label<'d> {
    text: &'d str,
    /// From 1.
    line: usize,
    /// From 1, in Unicode scalar values.
    column: usize,
    end_line: usize,
    /// One past the last character.
    end_column: usize,
    /// In bytes from the start of the file, from 0.
    start: usize,
    /// One past the last byte.
    end: usize,
}

/// The faults of `source`.
pub(crate) fn faults<'d>(source: &Source, faults: &'d [Diagnostic]) -> Vec<Fault<'d>> {
    faults.iter().map(|fault| one(source, fault)).collect()
}

fn one<'d>(source: &Source, fault: &'d Diagnostic) -> Fault<'d> {
    let labels = fault.labels.iter().map(|label| {
        let ((line, column), (end_line, end_column)) =
            (source.position(label.span.start), source.position(label.span.end));
        let (start, end) = (label.span.start, label.span.end);
        Label { text: &label.text, line, column, end_line, end_column, start, end }
    });
    Fault {
        code: fault.code,
        severity: fault.severity,
        message: &fault.message,
        help: fault.help.as_deref(),
        labels: labels.collect(),
    }
}
