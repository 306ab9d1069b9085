//! Which day it is, for keys and for purges, by a clock that may jump.
//!
//! What must not happen is that contents are destroyed early; that they are destroyed late after a clock was wrong is
//! borne. Three rules follow.
//!
//! 1. **A clock is believed while it agrees with the steady clock** of this process to within [`TOLERANCE`]. When it
//!    jumps, either way, nothing is purged until it has run on from there for [`PROBATION`].
//! 2. **At a start it is believed if it is not far ahead** (by [`PROBATION`]) of the last time that was believed, which is
//!    kept in `clock` and never moves by a jump. A clock that is further ahead may be right, after a long stop: then
//!    the first purge comes a day late.
//! 3. **Entries written while the clock is behind** that time are sealed under its day, and that day counts from the
//!    moment at which the clock caught up: however long the wrong time lasted, it was over then.
//!
//! Entries that a clock which was ahead put under a day of the future stay until that day is past its time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use reeve_base::{Clock, Ticks, Timestamp};
use serde::{Deserialize, Serialize};

use crate::shelf::{Object, Shelf, ShelfError};

/// The calendar of one ledger, with the clock and the place where it is kept.
pub(crate) struct Timekeeper {
    clock: Arc<dyn Clock>,
    shelf: Arc<dyn Shelf>,
    calendar: Mutex<Calendar>,
}

impl Timekeeper {
    /// Reads what was kept. A ledger that is `fresh` has nothing that could be purged early.
    pub(crate) fn open(clock: Arc<dyn Clock>, shelf: Arc<dyn Shelf>, fresh: bool) -> Result<Self, ShelfError> {
        let (now, ticks) = (clock.now(), clock.ticks());
        let kept = if fresh { Some(Kept::since(now)) } else { shelf.get(PATH)?.and_then(|bytes| parse(&bytes)) };
        let time = Self { clock, shelf, calendar: Mutex::new(Calendar::begin(kept, now, ticks)) };
        time.save()?;
        Ok(time)
    }

    /// The time for a leaf, and the day under whose key its contents go.
    pub(crate) fn stamp(&self) -> Result<(Timestamp, Date), ShelfError> {
        let mut calendar = self.calendar();
        let (now, ticks) = (self.clock.now(), self.clock.ticks());
        let before = calendar.kept.late.clone();
        let day = calendar.day(now, ticks);
        if calendar.kept.late != before {
            // Before anything is sealed under that day.
            self.write(&calendar)?;
        }
        Ok((now, day))
    }

    /// The days whose keys are going to be used: today's and the next.
    pub(crate) fn days_ahead(&self) -> Vec<Date> {
        let mut calendar = self.calendar();
        let today = calendar.day(self.clock.now(), self.clock.ticks());
        today.series(jiff::Span::new().days(1)).take(2).collect()
    }

    /// The time, if it is to be believed; otherwise why not.
    pub(crate) fn believed(&self) -> Result<Timestamp, String> {
        let mut calendar = self.calendar();
        let (now, ticks) = (self.clock.now(), self.clock.ticks());
        calendar.observe(now, ticks);
        calendar.doubt(ticks).map_or(Ok(now), Err)
    }

    /// Whether a day that is kept for so many days after its end is to be forgotten at `now`.
    pub(crate) fn is_past(&self, day: Date, kept_days: u16, now: Timestamp) -> bool {
        self.calendar().is_past(day, kept_days, now)
    }

    /// Writes down how far the clock is believed.
    pub(crate) fn save(&self) -> Result<(), ShelfError> {
        let mut calendar = self.calendar();
        calendar.observe(self.clock.now(), self.clock.ticks());
        self.write(&calendar)
    }

    fn write(&self, calendar: &Calendar) -> Result<(), ShelfError> {
        let bytes = serde_json::to_vec(&calendar.kept).unwrap_or_default();
        self.shelf.put(&[Object { path: PATH.to_owned(), bytes }])
    }

    fn calendar(&self) -> MutexGuard<'_, Calendar> {
        self.calendar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What survives a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// The last time that was believed.
    believed: Timestamp,
    /// Days that got entries while the clock was behind, with the time when it had caught up.
    late: BTreeMap<Date, Option<Timestamp>>,
}

impl Kept {
    const fn since(now: Timestamp) -> Self {
        Self { believed: now, late: BTreeMap::new() }
    }
}

/// Pure: every time is an argument.
#[derive(Debug)]
struct Calendar {
    kept: Kept,
    /// What both clocks said when they were last taken to belong together.
    anchor: (Timestamp, Ticks),
    doubted: bool,
}

impl Calendar {
    fn begin(kept: Option<Kept>, now: Timestamp, ticks: Ticks) -> Self {
        let near = |kept: &Kept| {
            let ahead = now.duration_since(kept.believed);
            -signed(TOLERANCE) <= ahead && ahead <= signed(PROBATION)
        };
        let doubted = !kept.as_ref().is_some_and(near);
        Self { kept: kept.unwrap_or_else(|| Kept::since(now)), anchor: (now, ticks), doubted }
    }

    fn observe(&mut self, now: Timestamp, ticks: Ticks) {
        let elapsed = ticks.since(self.anchor.1);
        let off = now.duration_since(self.anchor.0) - signed(elapsed);
        if off.unsigned_abs() > TOLERANCE {
            self.anchor = (now, ticks);
            self.doubted = true;
        } else if self.doubted && elapsed >= PROBATION {
            self.doubted = false;
            // It has shown itself to be right, even if that is earlier than what was once believed.
            self.kept.believed = now;
        }
        if !self.doubted {
            self.kept.believed = self.kept.believed.max(now);
        }
        if !self.is_behind(now) {
            for caught_up in self.kept.late.values_mut() {
                caught_up.get_or_insert(now);
            }
        }
    }

    fn day(&mut self, now: Timestamp, ticks: Ticks) -> Date {
        self.observe(now, ticks);
        if !self.is_behind(now) {
            return date(now);
        }
        let day = date(self.kept.believed);
        self.kept.late.insert(day, None);
        day
    }

    fn is_behind(&self, now: Timestamp) -> bool {
        self.kept.believed.duration_since(now) > signed(TOLERANCE)
    }

    fn doubt(&self, ticks: Ticks) -> Option<String> {
        let left = PROBATION.saturating_sub(ticks.since(self.anchor.1));
        self.doubted.then(|| {
            format!(
                "the clock jumped, or is more than a day past the last time that was believed ({:.0}); it is believed \
                 again when it has run on evenly for {} more minutes in this process",
                self.kept.believed,
                left.as_secs().div_ceil(60)
            )
        })
    }

    fn is_past(&self, day: Date, kept_days: u16, now: Timestamp) -> bool {
        let Some(end) = day.tomorrow().ok().and_then(|end| end.to_zoned(TimeZone::UTC).ok()) else { return false };
        let start = match self.kept.late.get(&day) {
            Some(None) => return false,
            Some(Some(caught_up)) => end.timestamp().max(*caught_up),
            None => end.timestamp(),
        };
        now.duration_since(start) >= signed(DAY * u32::from(kept_days))
    }
}

fn date(now: Timestamp) -> Date {
    now.to_zoned(TimeZone::UTC).date()
}

fn signed(duration: Duration) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX)
}

fn parse(bytes: &[u8]) -> Option<Kept> {
    serde_json::from_slice(bytes).ok()
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How far the wall clock may part from the steady one: leap seconds, slewing, a correction after start.
const TOLERANCE: Duration = Duration::from_secs(60 * 60);

/// How long a clock that jumped must run evenly, and how far ahead it may be at a start.
const PROBATION: Duration = DAY;

/// Where it is kept.
const PATH: &str = "clock";

#[cfg(test)]
mod tests;
