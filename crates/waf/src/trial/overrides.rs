//! Overrides: tests that are left out, or expect something else of this engine, each with the reason.

use serde::Deserialize;

use super::text::{Output, Unreadable, yaml};

/// A file of overrides, as engines keep them beside the tests.
#[derive(Debug, Default)]
pub struct Overrides {
    entries: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
struct Written {
    #[serde(default)]
    test_overrides: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    rule_id: u32,
    /// None: every test of the rule.
    test_ids: Option<Vec<u32>>,
    /// From 1. None: every stage.
    stage_ids: Option<Vec<usize>>,
    reason: String,
    retry_once: Option<bool>,
    /// Instead of what the test says. None: the test is left out.
    output: Option<Output>,
}

/// What an override makes of a stage.
pub(super) enum Changed<'o> {
    /// Left out, for this reason.
    Ignored(&'o str),
    /// This is expected instead.
    Expects(&'o Output),
    /// Tried twice, and nothing else.
    Retried,
}

impl Overrides {
    /// Reads a file of overrides.
    ///
    /// # Errors
    ///
    /// It is no YAML, or no such file.
    pub fn read(text: &[u8]) -> Result<Self, Unreadable> {
        let written: Option<Written> = yaml(text)?;
        let entries = written.map(|written| written.test_overrides).unwrap_or_default();
        if entries.is_empty() {
            let cause = String::from("no `test_overrides`: this is no file of overrides");
            return Err(Unreadable::Syntax { line: 0, cause });
        }
        Ok(Self { entries })
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What holds for a stage, the first of which is 1; the first entry that speaks of it decides.
    pub(super) fn of(&self, rule: u32, test: u32, stage: usize) -> Option<Changed<'_>> {
        let entry = self.entries.iter().find(|entry| {
            entry.rule_id == rule
                && entry.test_ids.as_ref().is_none_or(|ids| ids.contains(&test))
                && entry.stage_ids.as_ref().is_none_or(|ids| ids.contains(&stage))
        })?;
        Some(match (&entry.output, entry.retry_once) {
            (Some(output), _) => Changed::Expects(output),
            (None, Some(true)) => Changed::Retried,
            (None, _) => Changed::Ignored(&entry.reason),
        })
    }
}
