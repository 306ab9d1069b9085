//! A log that is followed and read, and what is told of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use reeve_base::{Actuator, Clock};

use crate::filter::{Failure, Filter, Host, Kind};
use crate::journal::{Journal, JournalPlace};
use crate::tail::{Counts, Place, Tail};

/// A log that is watched.
pub struct Watch {
    kind: Kind,
    rule: String,
    source: Source,
    filter: Filter,
    clock: Arc<dyn Clock>,
    zone: TimeZone,
    actuator: Arc<dyn Actuator>,
    seen: Seen,
    /// Why the last look failed, so that it is said once.
    failing: Option<String>,
    troubles: u64,
    trouble: Option<String>,
}

/// Where lines come from.
enum Source {
    File(Box<Tail>),
    Journal(Box<Journal>),
}

/// A log, by what it is called.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "each needs its own way of reading")]
pub enum Log {
    /// A file.
    File(PathBuf),
    /// What these units write to the journal.
    Journal(Vec<String>),
}

/// How far a log was read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "each needs its own way of keeping")]
pub enum Mark {
    /// A file.
    File(Place),
    /// A journal.
    Journal(JournalPlace),
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
    /// Where.
    pub log: Log,
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
    /// How many times it began to fail, or to fail otherwise.
    pub troubles: u64,
    /// Why it failed the last time.
    pub trouble: Option<String>,
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
        let source = Source::File(Box::new(Tail::new(file, left_off)));
        Self::of(kind, source, rule.into(), (clock, zone), actuator)
    }

    /// Watches a journal for failures of this kind and counts them under `rule`. Times in the lines themselves count for
    /// nothing: the journal knows better when it took them.
    pub fn of_journal(
        kind: Kind,
        journal: Journal,
        rule: impl Into<String>,
        clock: Arc<dyn Clock>,
        actuator: Arc<dyn Actuator>,
    ) -> Self {
        Self::of(kind, Source::Journal(Box::new(journal)), rule.into(), (clock, TimeZone::UTC), actuator)
    }

    fn of(
        kind: Kind,
        source: Source,
        rule: String,
        (clock, zone): (Arc<dyn Clock>, TimeZone),
        actuator: Arc<dyn Actuator>,
    ) -> Self {
        let (filter, seen) = (Filter::new(kind), Seen::default());
        let (failing, troubles, trouble) = (None, 0, None);
        Self { kind, rule, source, filter, clock, zone, actuator, seen, failing, troubles, trouble }
    }

    /// Reads what is new, a bounded part of it, and tells of the failures in it.
    pub fn look(&mut self) -> Looked {
        let Self { rule, source, filter, clock, zone, actuator, seen, .. } = self;
        let now = clock.now();
        let outcome = match source {
            Source::File(tail) => {
                let outcome = tail.look(LOOK_BYTES_MAX, &mut |line| {
                    let Some(failure) = filter.read(line) else { return };
                    let age = failure.stamp.age(now, zone);
                    seen.tell(&failure, age, rule, &**actuator);
                });
                outcome.map_err(|error| error.to_string())
            }
            Source::Journal(journal) => {
                let outcome = journal.look(LOOK_BYTES_MAX, clock.ticks(), &mut |line, time| {
                    let Some(failure) = filter.read(line) else { return };
                    // What lies ahead was just now: the clock was set back.
                    let age = Duration::try_from(now.duration_since(time)).unwrap_or_default();
                    seen.tell(&failure, Some(age), rule, &**actuator);
                });
                outcome.map_err(|error| error.to_string())
            }
        };
        match outcome {
            Ok(more) => {
                self.failing = None;
                if more { Looked::More } else { Looked::All }
            }
            Err(error) => {
                self.complain(error);
                Looked::Failed
            }
        }
    }

    fn complain(&mut self, text: String) {
        if self.failing.as_ref() != Some(&text) {
            tracing::warn!(kind = self.kind.name(), error = text, "a log cannot be watched; tried again");
            self.troubles += 1;
            self.trouble = Some(text.clone());
            self.failing = Some(text);
        }
    }

    /// How far the reading has come.
    #[must_use]
    pub fn mark(&self) -> Option<Mark> {
        match &self.source {
            Source::File(tail) => tail.place().map(Mark::File),
            Source::Journal(journal) => Some(Mark::Journal(journal.place().clone())),
        }
    }

    /// What it is called.
    #[must_use]
    pub fn log(&self) -> Log {
        match &self.source {
            Source::File(tail) => Log::File(tail.path().to_owned()),
            Source::Journal(journal) => Log::Journal(journal.units().names().to_vec()),
        }
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> WatchStatus {
        WatchStatus {
            kind: self.kind,
            log: self.log(),
            counts: match &self.source {
                Source::File(tail) => tail.counts(),
                Source::Journal(journal) => journal.counts(),
            },
            failures: self.seen.failures,
            names: self.seen.names,
            undated: self.seen.undated,
            failing: self.failing.clone(),
            troubles: self.troubles,
            trouble: self.trouble.clone(),
        }
    }
}

impl Seen {
    /// Counts a failure, and tells of it if it is an address's.
    fn tell(&mut self, failure: &Failure<'_>, age: Option<Duration>, rule: &str, actuator: &dyn Actuator) {
        self.failures += 1;
        let Host::Address(address) = failure.host else {
            self.names += 1;
            return;
        };
        self.undated += u64::from(age.is_none());
        for _ in 0..failure.attempts.min(ATTEMPTS_MAX) {
            actuator.offence(rule, address, age.unwrap_or(Duration::ZERO));
        }
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("kind", &self.kind).field("log", &self.log()).finish_non_exhaustive()
    }
}

/// What one look reads at most, so that logs take turns and a stop is not waited for.
const LOOK_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Attempts that one line may stand for.
const ATTEMPTS_MAX: u32 = 64;
