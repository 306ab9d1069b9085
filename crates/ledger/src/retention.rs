//! Forgetting: after its time, a day's key is destroyed, its contents are removed, and the ledger says so.
//!
//! Leaves and tiles stay, so every proof stays valid; what was proved can no longer be read. A hold keeps days from
//! being purged. A clock that jumps does not purge early: see [`calendar`].
//!
//! A purge is begun by writing down what is going to be destroyed (`purging`) and ended by removing that, after the
//! entry that tells of it is sealed. One that was interrupted is finished by the next.

mod calendar;
mod hold;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::keys::KeyError;
use crate::log::{AppendError, Class, ClassDay, Entry, Ledger};
use crate::segment;
use crate::settings::Retention;
use crate::shelf::{Object, Shelf, ShelfError};

pub(crate) use calendar::Timekeeper;
pub use hold::{Hold, HoldError, LABEL_BYTES_MAX};

/// What is due to be forgotten, and what is not although it is old enough.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PurgePlan {
    /// Days past their retention, oldest first.
    pub due: Vec<DuePurge>,
    /// Days past their retention that a hold keeps, with its label.
    pub held: Vec<(ClassDay, String)>,
    /// Why nothing is purged now, although it may be due: the clock cannot be believed yet.
    pub doubt: Option<String>,
}

/// A day of a class that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuePurge {
    /// Which.
    pub of: ClassDay,
    /// The first and the last entry that it may hold; `None` if it has a key and nothing else.
    pub entries: Option<(u64, u64)>,
}

/// What a purge did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PurgeReport {
    /// What was purged, with the number of the entry that tells of it.
    pub purged: Vec<(DuePurge, Option<u64>)>,
    /// What was held, and whether the clock was believed.
    pub plan: PurgePlan,
}

/// The contents of the entry `ledger.purge`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgeRecord {
    /// The class.
    pub class: String,
    /// The day.
    pub day: Date,
    /// The first entry whose contents are gone.
    pub first_seq: u64,
    /// The last one. Between the two are entries of other classes, which are not concerned.
    pub last_seq: u64,
    /// SHA-256 of the wrapped key that was destroyed, in base64; missing if a crash had destroyed it before.
    pub key_sha256: Option<String>,
}

/// Why a purge did not come to its end. What it had begun, the next one finishes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PurgeError {
    /// The place did not do what it was asked.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// A key could not be destroyed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The holds cannot be read, and without them nothing may be purged.
    #[error(transparent)]
    Hold(#[from] HoldError),
    /// The entry that tells of it could not be recorded.
    #[error("the purge could not be recorded: {0}")]
    Record(#[from] AppendError),
    /// What an interrupted purge wrote down cannot be read.
    #[error("`{PURGING}` in {0} is damaged: remove it, then purge again")]
    Interrupted(String),
}

/// Purges and holds go one at a time.
#[derive(Debug, Default)]
pub(crate) struct Retaining {
    turn: Mutex<()>,
}

impl Ledger {
    /// What is due to be purged now. Changes nothing.
    ///
    /// # Errors
    /// When the place or the holds cannot be read.
    pub fn due_purges(&self) -> Result<PurgePlan, PurgeError> {
        let shared = self.shared();
        let mut plan = PurgePlan::default();
        let now = match shared.time.believed() {
            Ok(now) => now,
            Err(doubt) => {
                plan.doubt = Some(doubt);
                return Ok(plan);
            }
        };
        let holds = hold::read(&*shared.shelf)?;
        for class in Class::ALL {
            let Some(days) = kept_for(class, shared.settings.retention) else { continue };
            for day in days_of(&*shared.shelf, class)? {
                let of = ClassDay { class, day };
                if !shared.time.is_past(day, days, now) {
                    continue;
                }
                match holds.iter().find(|hold| hold.covers(of)) {
                    Some(hold) => plan.held.push((of, hold.label.clone())),
                    None => plan.due.push(DuePurge { of, entries: extent(&*shared.shelf, of)? }),
                }
            }
        }
        plan.due.sort_by_key(|due| (due.of.day, due.of.class));
        Ok(plan)
    }

    /// Purges what is due: destroys keys, removes contents, and records it. To be called every hour or so; blocks.
    ///
    /// # Errors
    /// [`PurgeError`]. What was purged before the error stays so and is recorded.
    pub fn purge(&self) -> Result<PurgeReport, PurgeError> {
        let _turn = self.retaining.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.finish_interrupted()?;
        let plan = self.due_purges()?;
        let mut report = PurgeReport { plan: plan.clone(), ..PurgeReport::default() };
        for due in plan.due {
            let recorded = self.purge_day(&due)?;
            report.purged.push((due, recorded));
        }
        self.shared().time.save()?;
        Ok(report)
    }

    fn purge_day(&self, due: &DuePurge) -> Result<Option<u64>, PurgeError> {
        let shared = self.shared();
        let Some((first_seq, last_seq)) = due.entries else {
            shared.keyring.destroy(due.of)?;
            return Ok(None);
        };
        let key_sha256 = shared.keyring.name(due.of)?.map(|name| name.to_string());
        let record = PurgeRecord { class: due.of.class.to_string(), day: due.of.day, first_seq, last_seq, key_sha256 };
        let bytes = serde_json::to_vec(&record).unwrap_or_default();
        shared.shelf.put(&[Object { path: PURGING.to_owned(), bytes }])?;
        self.carry_out(&record, due.of).map(Some)
    }

    fn finish_interrupted(&self) -> Result<(), PurgeError> {
        let shelf = &self.shared().shelf;
        let Some(bytes) = shelf.get(PURGING)? else { return Ok(()) };
        let damaged = || PurgeError::Interrupted(shelf.name());
        let record: PurgeRecord = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        let class = Class::from_name(&record.class).ok_or_else(damaged)?;
        self.carry_out(&record, ClassDay { class, day: record.day }).map(drop)
    }

    fn carry_out(&self, record: &PurgeRecord, of: ClassDay) -> Result<u64, PurgeError> {
        let shared = self.shared();
        shared.keyring.destroy(of)?;
        let folder = segment::folder(of);
        let segments: Vec<String> =
            shared.shelf.list(&folder)?.into_iter().map(|name| format!("{folder}/{name}")).collect();
        shared.shelf.remove(&segments)?;
        let seq = self.record(PURGE, record)?;
        // Until everybody can read that entry, `purging` is what explains that the contents are gone.
        shared.wait_sealed(seq)?;
        shared.shelf.remove(&[PURGING.to_owned()])?;
        Ok(seq)
    }

    /// Records an act of the ledger's own, and waits until that is durable.
    fn record(&self, activity: &str, what: &impl Serialize) -> Result<u64, AppendError> {
        let body = serde_json::to_vec(what).unwrap_or_default();
        let entry = Entry { class: Class::Ledger, activity: activity.to_owned(), clause: None, actor: None, body };
        self.append(entry)?.wait_durable()
    }
}

/// For how many days a class is kept; `None` for ever.
const fn kept_for(class: Class, retention: Retention) -> Option<u16> {
    match class {
        Class::Request => Some(retention.requests_days),
        Class::Security => Some(retention.security_days),
        Class::Ledger => None,
    }
}

/// The days of a class that have a key or contents.
fn days_of(shelf: &dyn Shelf, class: Class) -> Result<BTreeSet<Date>, ShelfError> {
    let keys = shelf.list(&format!("keys/{class}"))?;
    let bodies = shelf.list(&format!("body/{class}"))?;
    let keys = keys.iter().filter_map(|name| name.strip_suffix(".wrapped"));
    Ok(keys.chain(bodies.iter().filter_map(|name| name.strip_suffix('/'))).filter_map(|day| day.parse().ok()).collect())
}

/// The first and the last entry of a day, by the names of its segments.
fn extent(shelf: &dyn Shelf, of: ClassDay) -> Result<Option<(u64, u64)>, ShelfError> {
    let spans = segment::spans(shelf, of)?;
    let first = spans.iter().map(|span| span.first).min();
    Ok(first.zip(spans.iter().map(|span| span.last).max()))
}

/// The day that an unfinished purge is about, if there is one that can be read.
pub(crate) fn purging(shelf: &dyn Shelf) -> Result<Option<ClassDay>, ShelfError> {
    let record = shelf.get(PURGING)?.and_then(|bytes| serde_json::from_slice::<PurgeRecord>(&bytes).ok());
    Ok(record.and_then(|record| Some(ClassDay { class: Class::from_name(&record.class)?, day: record.day })))
}

/// The entry that tells of a purge.
pub(crate) const PURGE: &str = "ledger.purge";

/// What an unfinished purge is going to destroy.
const PURGING: &str = "purging";
