//! A fault in a text that someone wrote, as plain data: the terminal, the console, JSON and SARIF each draw it.

use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

/// A range of bytes in a [`Source`].
pub type Span = Range<usize>;

/// The text that a diagnostic points into.
#[derive(Debug, Clone)]
pub struct Source {
    /// What the reader of the message calls it: a path as it was given.
    pub name: Arc<str>,
    /// The whole text.
    pub text: Arc<str>,
}

impl Source {
    /// A text under a name.
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// Line and column of a byte offset, both from 1; columns count Unicode scalar values, as editors do.
    #[must_use]
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count();
        (before.matches('\n').count() + 1, column + 1)
    }
}

/// How grave it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Probably not meant so.
    Warning,
    /// Cannot be used as written.
    Error,
}

/// A place in the text and what is to be said of it.
#[derive(Debug, Clone, Serialize)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What, in a few words.
    pub text: String,
}

/// One fault: its stable code, what is wrong, where, and the way out.
#[derive(Debug, Clone, Serialize)]
pub struct Diagnostic {
    /// Stable across releases, for suppression lists and searches: `policy::unknown-control`.
    pub code: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// What is wrong: a lower-case fragment, the user's own words in backticks.
    pub message: String,
    /// The places, the first of which is where an editor should jump.
    pub labels: Vec<Label>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error with this code and message.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, message: message.into(), labels: Vec::new(), help: None }
    }

    /// A warning with this code and message.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Adds a place.
    #[must_use]
    pub fn at(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Adds the way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The name among `known` that the writer probably meant by `written`: the nearest, if it is near at all.
pub fn nearest<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(written, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

/// Below this Jaro-Winkler likeness a suggestion puzzles more than it helps.
const LIKENESS_MIN: f64 = 0.8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let source = Source::new("p", "ä\nbc");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(3), (2, 1));
        assert_eq!(source.position(4), (2, 2));
        assert_eq!(source.position(99), (2, 3), "an offset past the end is the end");
    }

    #[test]
    fn suggests_what_was_meant_and_nothing_far_off() {
        assert_eq!(nearest("tls.flor", ["tls.floor", "rate.ip"]), Some("tls.floor"));
        assert_eq!(nearest("zebra", ["tls.floor", "rate.ip"]), None);
    }
}
