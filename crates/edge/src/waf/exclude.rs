//! Rules, or some of what they look at, that are left out on a part of the site until a day.
//!
//! Looked up once for each request, by its path and method; a request that none is about pays a few comparisons of bytes.

use std::fmt;

use http::request::Parts;
use reeve_base::Timestamp;
use reeve_waf::{Engine, Exclusion, Part, Transaction};

use super::{WafError, is_below};
use crate::rules::plainly;

/// What is left out of rules, where, until a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclude {
    /// The rules' ids; at least one.
    pub rules: Vec<u32>,
    /// It and what is below it, as it is spelled plainly.
    pub path: String,
    /// Only requests of this method; all if none is named.
    pub method: Option<String>,
    /// What of them: what they find in this variable, such as `ARGS:q`; the whole rules if none is named.
    pub variable: Option<String>,
    /// The variable is a collection, and all of its members are meant.
    pub whole: bool,
    /// From here on it is as everywhere.
    pub until: Timestamp,
}

impl Exclude {
    /// What is left out, as the engine takes it.
    #[must_use]
    pub fn part(&self) -> Part<'_> {
        match &self.variable {
            None => Part::Rule,
            Some(variable) if self.whole => Part::Collection(variable),
            Some(variable) => Part::Variable(variable),
        }
    }

    /// Whether it is about a request. Only as its path is spelled plainly: what an application may read otherwise is held
    /// to the rules.
    #[must_use]
    pub fn covers(&self, method: &str, path: &str, now: Timestamp) -> bool {
        is_below(&self.path, path)
            && now < self.until
            && self.method.as_ref().is_none_or(|only| only == method)
            && *plainly(path) == *path
    }
}

impl fmt::Display for Exclude {
    /// `942100, 942120 at ARGS:q under /search`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<_> = self.rules.iter().map(ToString::to_string).collect();
        f.write_str(&rules.join(", "))?;
        if let Some(variable) = &self.variable {
            write!(f, " at {}{variable}", if self.whole { "all of " } else { "" })?;
        }
        write!(f, " under {}", self.path)?;
        self.method.as_ref().map_or(Ok(()), |method| write!(f, ", only {method}"))
    }
}

/// All of them, checked against the rules.
#[derive(Debug)]
pub(super) struct Exclusions(Box<[(Exclude, Exclusion)]>);

impl Exclusions {
    /// Those that hold now or later. What has ended is not asked for any more, and the rules may be gone since.
    pub(super) fn new(exclude: &[Exclude], engine: &Engine, now: Timestamp) -> Result<Self, WafError> {
        let (mut exclusions, mut errors) = (Vec::new(), Vec::new());
        for (at, one) in exclude.iter().enumerate().filter(|(_, one)| now < one.until) {
            match engine.exclusion(&one.rules, one.part()) {
                Ok(exclusion) => exclusions.push((one.clone(), exclusion)),
                Err(more) => errors.extend(more.into_iter().map(|error| (at, error))),
            }
        }
        if errors.is_empty() { Ok(Self(exclusions.into())) } else { Err(WafError::Exclusions(errors)) }
    }

    pub(super) fn apply(&self, transaction: &mut Transaction<'_>, request: &Parts, now: Timestamp) {
        let (method, path) = (request.method.as_str(), request.uri.path());
        for (exclude, exclusion) in &self.0 {
            if exclude.covers(method, path, now) {
                transaction.exclude(exclusion);
            }
        }
    }

    pub(super) fn holding(&self, now: Timestamp) -> impl Iterator<Item = &Exclude> {
        self.0.iter().map(|(exclude, _)| exclude).filter(move |exclude| now < exclude.until)
    }
}
