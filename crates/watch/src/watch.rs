//! A log that is followed and read, and what is told of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use reeve_base::{Actuator, Clock};

use crate::filter::{Filter, Host, Kind};
use crate::tail::{Counts, Place, Tail, TailError};

/// A log that is watched.
pub struct Watch {
    kind: Kind,
    rule: String,
    tail: Tail,
    filter: Filter,
    clock: Arc<dyn Clock>,
    zone: TimeZone,
    actuator: Arc<dyn Actuator>,
    seen: Seen,
    /// Why the last look failed, so that it is said once.
    failing: Option<String>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    failures: u64,
    names: u64,
    undated: u64,
}

/// What came of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing else to do next")]
pub enum Looked {
    /// There is more to be read at once.
    More,
    /// All that there is was read.
    All,
    /// It cannot be read at the moment.
    Failed,
}

/// How a watch is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchStatus {
    /// What is looked for.
    pub kind: Kind,
    /// The file.
    pub file: PathBuf,
    /// What was read.
    pub counts: Counts,
    /// Failures that were found.
    pub failures: u64,
    /// Those among them that name no address, which therefore count for nothing.
    pub names: u64,
    /// Those among them whose time cannot be read, which count as of now.
    pub undated: u64,
    /// Why it cannot be read, in a sentence.
    pub failing: Option<String>,
}

impl Watch {
    /// Watches `file` for failures of this kind and counts them under `rule`. Times without a zone are of `zone`.
    pub fn new(
        kind: Kind,
        file: PathBuf,
        rule: impl Into<String>,
        left_off: Option<Place>,
        (clock, zone): (Arc<dyn Clock>, TimeZone),
        actuator: Arc<dyn Actuator>,
    ) -> Self {
        let (tail, filter) = (Tail::new(file, left_off), Filter::new(kind));
        Self { kind, rule: rule.into(), tail, filter, clock, zone, actuator, seen: Seen::default(), failing: None }
    }

    /// Reads what is new, a bounded part of it, and tells of the failures in it.
    pub fn look(&mut self) -> Looked {
        let Self { rule, tail, filter, clock, zone, actuator, seen, .. } = self;
        let now = clock.now();
        let outcome = tail.look(LOOK_BYTES_MAX, &mut |line| {
            let Some(failure) = filter.read(line) else { return };
            seen.failures += 1;
            let Host::Address(address) = failure.host else {
                seen.names += 1;
                return;
            };
            let age = failure.stamp.age(now, zone);
            seen.undated += u64::from(age.is_none());
            for _ in 0..failure.attempts.min(ATTEMPTS_MAX) {
                actuator.offence(rule, address, age.unwrap_or(Duration::ZERO));
            }
        });
        match outcome {
            Ok(more) => {
                self.failing = None;
                if more { Looked::More } else { Looked::All }
            }
            Err(error) => {
                self.complain(&error);
                Looked::Failed
            }
        }
    }

    fn complain(&mut self, error: &TailError) {
        let text = error.to_string();
        if self.failing.as_ref() != Some(&text) {
            tracing::warn!(kind = self.kind.name(), %error, "a log cannot be watched; tried again");
            self.failing = Some(text);
        }
    }

    /// How far the reading has come.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        self.tail.place()
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> WatchStatus {
        WatchStatus {
            kind: self.kind,
            file: self.tail.path().to_owned(),
            counts: self.tail.counts(),
            failures: self.seen.failures,
            names: self.seen.names,
            undated: self.seen.undated,
            failing: self.failing.clone(),
        }
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("kind", &self.kind).field("file", &self.tail.path()).finish_non_exhaustive()
    }
}

/// What one look reads at most, so that logs take turns and a stop is not waited for.
const LOOK_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Attempts that one line may stand for.
const ATTEMPTS_MAX: u32 = 64;
