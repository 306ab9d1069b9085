//! Patterns that are compiled when they are first needed.
//!
//! A rule set has hundreds, of which ordinary requests need a few dozen: those of higher paranoia levels never run, and of
//! the rest most are ruled out by a look at the value. Compiled, they would be most of what a rule set takes.

use std::sync::OnceLock;

use regex::bytes::Regex;

use super::{PatternError, compile};

/// A pattern that is known to compile.
#[derive(Debug)]
pub(crate) struct Lazy {
    pattern: Box<[u8]>,
    compiled: OnceLock<Option<Regex>>,
}

impl Lazy {
    /// Compiles a SecLang pattern once and lets go of the result.
    pub(crate) fn new(pattern: &[u8]) -> Result<Self, PatternError> {
        compile(pattern)?;
        Ok(Self { pattern: pattern.into(), compiled: OnceLock::new() })
    }

    /// The compiled pattern. None only if what was compiled when rules were loaded no longer can be.
    pub(crate) fn get(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| compile(&self.pattern).ok()).as_ref()
    }

    /// Whether it matches; a pattern that cannot be compiled matches everything, so that nothing passes by it.
    pub(crate) fn is_match(&self, value: &[u8]) -> bool {
        self.get().is_none_or(|pattern| pattern.is_match(value))
    }
}
