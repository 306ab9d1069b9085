//! Holds what was found against what was expected.

use std::fmt;

use regex::Regex;
use serde::Serialize;

use super::text::{Output, Statuses};
use crate::transaction::Match;

/// What a stage is expected to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Expected {
    /// The connection ends without an answer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub error: bool,
    /// Any of these; empty: whichever.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<u16>,
    /// Rules that speak.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<u32>,
    /// Rules that do not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub no_ids: Vec<u32>,
    /// Patterns, each of which some line of the log matches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    /// Patterns that no line of the log matches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub no_log: Vec<String>,
    /// A pattern that the answer matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// No other rule speaks than the one expected.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub isolated: bool,
}

/// What a stage did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Why there was no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The answer's, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Rules that spoke, each once, in the order in which they did.
    pub ids: Vec<u32>,
    /// The server itself refused the request, for this reason, and no rule saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// An expectation that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmet {
    /// There was an answer.
    NoError,
    /// There was none.
    Error(String),
    /// Another than this.
    Status(Vec<u16>, u16),
    /// Rules that did not speak.
    Silent(Vec<u32>),
    /// Rules that did.
    Spoke(Vec<u32>),
    /// No line matches this.
    NoLine(String),
    /// A line matches this.
    Line(String),
    /// The answer does not match this.
    Answer(String),
    /// Rules beside the one.
    NotAlone(Vec<u32>),
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoError => write!(f, "there was an answer, and should be none"),
            Self::Error(why) => write!(f, "there was no answer: {why}"),
            Self::Status(expected, found) => write!(f, "status {found}, expected {}", list(expected)),
            Self::Silent(ids) => write!(f, "silent: {}", list(ids)),
            Self::Spoke(ids) => write!(f, "spoke and should not: {}", list(ids)),
            Self::NoLine(pattern) => write!(f, "nothing logged matches `{pattern}`"),
            Self::Line(pattern) => write!(f, "something logged matches `{pattern}`"),
            Self::Answer(pattern) => write!(f, "the answer does not match `{pattern}`"),
            Self::NotAlone(ids) => write!(f, "more than one rule spoke: {}", list(ids)),
        }
    }
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// What can be judged of a stage.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) found: Found,
    /// What a log would hold.
    pub(super) lines: Vec<String>,
    /// The answer's body.
    pub(super) body: Vec<u8>,
}

impl Expected {
    pub(super) fn of(output: &Output) -> Self {
        let log = output.log.clone().unwrap_or_default();
        Self {
            error: output.expect_error == Some(true),
            status: match &output.status {
                None => Vec::new(),
                Some(Statuses::One(status)) => vec![*status],
                Some(Statuses::Any(statuses)) => statuses.clone(),
            },
            ids: log.expect_ids,
            no_ids: log.no_expect_ids,
            log: log
                .match_regex
                .into_iter()
                .chain(output.log_contains.clone())
                .filter(|text| !text.is_empty())
                .collect(),
            no_log: log
                .no_match_regex
                .into_iter()
                .chain(output.no_log_contains.clone())
                .filter(|text| !text.is_empty())
                .collect(),
            answer: output.response_contains.clone().filter(|text| !text.is_empty()),
            isolated: output.isolated == Some(true),
        }
    }

    /// Whether whatever happens is as expected.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// What does not hold; empty if all does.
    pub(super) fn unmet(&self, seen: &Seen) -> Result<Vec<Unmet>, regex::Error> {
        let found = &seen.found;
        // As the original has it: where an error is expected, nothing else counts.
        match (&found.error, self.error) {
            (Some(_), true) => return Ok(Vec::new()),
            (None, true) => return Ok(vec![Unmet::NoError]),
            (Some(why), false) => return Ok(vec![Unmet::Error(why.clone())]),
            (None, false) => {}
        }
        let mut unmet = Vec::new();
        let status = found.status.unwrap_or_default();
        if !self.status.is_empty() && !self.status.contains(&status) {
            unmet.push(Unmet::Status(self.status.clone(), status));
        }
        if let Some(pattern) = &self.answer
            && !Regex::new(pattern)?.is_match(&String::from_utf8_lossy(&seen.body))
        {
            unmet.push(Unmet::Answer(pattern.clone()));
        }
        self.lines_unmet(seen, &mut unmet)?;
        let silent: Vec<_> = self.ids.iter().filter(|id| !found.ids.contains(id)).copied().collect();
        let spoke: Vec<_> = self.no_ids.iter().filter(|id| found.ids.contains(id)).copied().collect();
        unmet.extend((!silent.is_empty()).then_some(Unmet::Silent(silent)));
        unmet.extend((!spoke.is_empty()).then_some(Unmet::Spoke(spoke)));
        if self.isolated && found.ids.len() > 1 {
            unmet.push(Unmet::NotAlone(found.ids.clone()));
        }
        Ok(unmet)
    }

    fn lines_unmet(&self, seen: &Seen, unmet: &mut Vec<Unmet>) -> Result<(), regex::Error> {
        let matched = |pattern: &String| -> Result<bool, regex::Error> {
            let pattern = Regex::new(pattern)?;
            Ok(seen.lines.iter().any(|line| pattern.is_match(line)))
        };
        for pattern in &self.log {
            if !matched(pattern)? {
                unmet.push(Unmet::NoLine(pattern.clone()));
            }
        }
        for pattern in &self.no_log {
            if matched(pattern)? {
                unmet.push(Unmet::Line(pattern.clone()));
            }
        }
        Ok(())
    }
}

/// A match as a line of a log, with the words in brackets that tests look for.
pub(super) fn line(found: &Match) -> String {
    let mut line = format!("matched at {}. ", found.variable);
    let mut field = |name: &str, value: &str| {
        line.push_str(&format!("[{name} \"{}\"] ", escaped(value)));
    };
    field("file", &found.place.file);
    field("line", &found.place.line.to_string());
    field("id", &found.rule.to_string());
    field("msg", &found.message);
    field("data", &found.data);
    if let Some(severity) = found.severity {
        field("severity", &format!("{severity:?}").to_uppercase());
    }
    found.tags.iter().for_each(|tag| field("tag", tag));
    line.truncate(line.trim_end().len());
    line
}

/// On one line, and without an end in its midst.
fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for letter in value.chars() {
        match letter {
            '"' => escaped.push_str("\\\""),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            control if control.is_control() => escaped.push_str(&format!("\\x{:02x}", u32::from(control))),
            letter => escaped.push(letter),
        }
    }
    escaped
}
