//! Programs by what they name themselves.

use std::sync::Arc;

use aho_corasick::{AhoCorasick, BuildError};
use jiff::civil::Date;

use super::CallerError;
use crate::settings::BotSettings;

/// The list that is shipped. Its form stands at its head.
pub const SHIPPED_AGENTS: &str = include_str!("../../data/user-agents.txt");

/// Why a list cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentListError {
    /// It does not say when it was reviewed.
    #[error("the shipped list of user agents has no line `version` with a date")]
    Undated,
}

/// When the list was reviewed.
///
/// # Errors
/// When it does not say so.
pub fn list_date(list: &str) -> Result<Date, AgentListError> {
    let date = list.lines().find_map(|line| line.strip_prefix("version "));
    date.and_then(|date| date.trim().parse().ok()).ok_or(AgentListError::Undated)
}

fn patterns(list: &str) -> impl Iterator<Item = &str> {
    let lines = list.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#') && !line.starts_with("version "))
}

#[derive(Debug)]
pub(super) struct Agents {
    deny: AhoCorasick,
    patterns: Vec<Arc<str>>,
    allow: Option<AhoCorasick>,
}

impl Agents {
    /// Of the settings' lists, and the shipped one if it is asked for. `None` where nothing is denied.
    pub(super) fn new(settings: &BotSettings, shipped: bool) -> Result<Option<Self>, CallerError> {
        let shipped_list = if shipped { SHIPPED_AGENTS } else { "" };
        if shipped {
            list_date(shipped_list)?;
        }
        let own = settings.deny.iter().map(String::as_str);
        let patterns: Vec<Arc<str>> = patterns(shipped_list).chain(own).map(Arc::from).collect();
        if patterns.is_empty() {
            return Ok(None);
        }
        let deny = searcher(patterns.iter().map(|pattern| &**pattern))?;
        let allow = (!settings.allow.is_empty()).then(|| searcher(settings.allow.iter().map(String::as_str)));
        Ok(Some(Self { deny, patterns, allow: allow.transpose()? }))
    }

    /// The pattern that it is refused by.
    pub(super) fn refuses(&self, agent: &[u8]) -> Option<&Arc<str>> {
        let found = self.deny.find(agent)?;
        if self.allow.as_ref().is_some_and(|allow| allow.is_match(agent)) {
            return None;
        }
        self.patterns.get(found.pattern().as_usize())
    }
}

/// Finds any of these, in capitals or not, in one pass over the text.
pub(super) fn searcher<'p>(patterns: impl Iterator<Item = &'p str>) -> Result<AhoCorasick, BuildError> {
    AhoCorasick::builder().ascii_case_insensitive(true).build(patterns)
}
