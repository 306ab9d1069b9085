//! Faults of form, out of the parser's errors: one for each mistake, where the parser may see several.

use crate::{Diagnostic, Span, limit};

/// The faults in the order of the text.
///
/// The parser goes on after an error, and then often stumbles over the same mistake again: of several errors in one
/// line only the first is kept, and of a table that is written twice only its header.
pub(super) fn faults(text: &str, errors: &[toml::de::Error]) -> Vec<Diagnostic> {
    let mut errors: Vec<_> = errors.iter().map(|error| (visible(text, error.span()), error.message())).collect();
    errors.sort_by_key(|(span, _)| span.start);
    let mut faults = Vec::new();
    let mut seen_until = 0;
    for (span, message) in errors.into_iter().take(ERRORS_MAX) {
        // At the end of the text, everything that was left open is missed at one place.
        let again = faults
            .last()
            .and_then(|fault: &Diagnostic| fault.labels.first())
            .is_some_and(|label| label.span.start == span.start);
        if span.start < seen_until || again {
            continue;
        }
        let twice = message == "duplicate key";
        seen_until = if twice && line(text, span.start).is_header() {
            text.get(span.start..).and_then(|rest| rest.find("\n[")).map_or(text.len(), |at| span.start + at + 1)
        } else {
            line(text, span.start).end
        };
        faults.push(if twice { written_twice(text, span) } else { malformed(text, span, message) });
        if faults.len() == limit::DIAGNOSTICS_MAX {
            break;
        }
    }
    faults
}

fn malformed(text: &str, span: Span, message: &str) -> Diagnostic {
    let before = text.get(line(text, span.start).start..span.end).unwrap_or_default();
    let fault = Diagnostic::error("document::syntax", message.replace('\n', ", ")).at(span, "here");
    // `key: value` is how YAML and most people's notes write it.
    let colon = before.split_once(':').is_some_and(|(key, _)| key.bytes().all(is_bare) && !before.contains('='));
    if colon { fault.help("write `key = \"value\"`: this is TOML (https://toml.io)") } else { fault }
}

const fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b' ' | b'\t' | b'.' | b'"')
}

fn written_twice(text: &str, span: Span) -> Diagnostic {
    let key = text.get(span.clone()).unwrap_or_default();
    let here = line(text, span.start);
    let first = if here.is_header() { first_header(text, &here) } else { first_key(text, &here, key) };
    let fault = Diagnostic::error("document::twice", format!("`{key}` is written twice")).at(span, "the second time");
    let fault = match first {
        Some(first) => fault.at(first, "the first time"),
        None => fault,
    };
    fault.help("rename one of them, or remove it")
}

/// An earlier header that says the same.
fn first_header(text: &str, here: &Line<'_>) -> Option<Span> {
    lines(text).take_while(|line| line.start < here.start).find(|line| line.text.trim() == here.text.trim()).map(
        |line| {
            let indent = line.text.len() - line.text.trim_start().len();
            line.start + indent..line.start + line.text.trim_end().len()
        },
    )
}

/// An earlier line of the same table that begins with the key.
fn first_key(text: &str, here: &Line<'_>, key: &str) -> Option<Span> {
    let mut first = None;
    for line in lines(text).take_while(|line| line.start < here.start) {
        if line.is_header() {
            first = None;
        } else if line.text.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('=')) {
            first = first.or(Some(line.start..line.start + key.len()));
        }
    }
    first
}

/// A line and where it stands.
struct Line<'t> {
    text: &'t str,
    start: usize,
    end: usize,
}

impl Line<'_> {
    fn is_header(&self) -> bool {
        self.text.trim_start().starts_with('[')
    }
}

fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut start = 0;
    text.split_inclusive('\n').map(move |text| {
        let line = Line { text, start, end: start + text.len() };
        start = line.end;
        line
    })
}

fn line(text: &str, offset: usize) -> Line<'_> {
    let start = text.get(..offset).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    let rest = text.get(start..).unwrap_or_default();
    let end = rest.find('\n').map_or(text.len(), |newline| start + newline + 1);
    Line { text: text.get(start..end).unwrap_or_default(), start, end }
}

/// The parser points at nothing (`5..5`) where something is missing; an empty underline cannot be seen.
fn visible(text: &str, span: Option<Span>) -> Span {
    let span = span.unwrap_or(0..0);
    let next = if span.is_empty() { text.get(span.start..).and_then(|rest| rest.chars().next()) } else { None };
    next.map_or(span.clone(), |next| span.start..span.start + next.len_utf8())
}

/// The most errors that are looked through: a file that is no TOML at all has one in every line.
const ERRORS_MAX: usize = 10 * limit::DIAGNOSTICS_MAX;
