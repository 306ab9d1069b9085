//! The pace of every subject seen lately: the generic cell rate algorithm (GCRA, ITU-T I.371) over a table of fixed size.
//!
//! The table is set-associative: a subject can stand in one set of eight places, found by a keyed hash. A full set gives
//! up the place of whoever owes least. So memory is bounded by construction, and an attacker who owns many addresses, or
//! makes up many keys, can push out those who have used little of their rate, never one who has used it up.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reeve_base::{Rate, Ticks};

/// What a subject may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    /// Nanoseconds between two requests at the sustained rate; at least one.
    interval: u64,
    /// How far ahead of that pace a subject may be, in nanoseconds.
    tolerance: u64,
}

impl Quota {
    pub(crate) fn new(rate: Rate, burst: u32) -> Self {
        let interval = u64::try_from(rate.interval().as_nanos()).unwrap_or(u64::MAX).max(1);
        Self { interval, tolerance: interval.saturating_mul(u64::from(burst)) }
    }

    /// One of so many shares of it. Shares never come to more than the whole, but each is worth one request at least.
    pub(crate) fn share(self, nodes: u32) -> Self {
        let interval = self.interval.saturating_mul(nodes.max(1).into());
        Self { interval, tolerance: self.tolerance.saturating_add(self.interval).saturating_sub(interval) }
    }

    pub(crate) const fn interval(self) -> Duration {
        Duration::from_nanos(self.interval)
    }

    pub(crate) const fn tolerance(self) -> Duration {
        Duration::from_nanos(self.tolerance)
    }

    /// How many could come at once after a rest.
    pub(crate) const fn at_once(self) -> u64 {
        self.tolerance / self.interval + 1
    }

    /// How many could come at once of somebody who is so far ahead.
    pub(crate) const fn left(self, ahead: u64) -> u64 {
        match self.tolerance.checked_sub(ahead) {
            Some(room) => room / self.interval + 1,
            None => 0,
        }
    }
}

/// What came of a count. Both say how far ahead of its rate the subject is, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// The request passes, and is in it.
    Passes(u64),
    /// It does not, and was not counted.
    Refused(u64),
}

impl Pace {
    pub(crate) const fn ahead(self) -> u64 {
        match self {
            Self::Passes(ahead) | Self::Refused(ahead) => ahead,
        }
    }
}

/// Whose requests: a hash that nobody outside this process can aim, and from which nothing can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Key(u64);

/// Paces of one kind of subject. One for all workers, so that a limit is not multiplied by their number.
pub(crate) struct Table {
    sets: Box<[Mutex<Set>]>,
    /// Its key is drawn at every start. 64 bits are enough where only the eight subjects of a set can meet: at a hundred
    /// thousand requests a second, two would count as one about once in fifty years.
    hash: RandomState,
}

#[derive(Debug, Clone, Copy, Default)]
struct Set([Place; PLACES]);

/// A subject and the time until which its requests are paid for (the theoretical arrival time of GCRA).
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    key: Key,
    paid_until: u64,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self { sets: (0..SETS).map(|_| Mutex::default()).collect(), hash: RandomState::new() }
    }

    /// The key of a subject under a limit.
    pub(crate) fn key(&self, limit: u64, subject: impl Hash) -> Key {
        Key(self.hash.hash_one((limit, subject)))
    }

    /// Counts one request.
    pub(crate) fn count(&self, key: Key, quota: Quota, now: Ticks) -> Pace {
        self.at(key, |place| {
            // Places begin at zero, before any time that can be asked about.
            let paid_until = place.paid_until.max(now.0);
            let ahead = paid_until - now.0;
            if ahead > quota.tolerance {
                return Pace::Refused(ahead);
            }
            place.paid_until = paid_until.saturating_add(quota.interval);
            Pace::Passes(ahead.saturating_add(quota.interval))
        })
    }

    /// Says what a count would come to, and counts nothing.
    pub(crate) fn look(&self, key: Key, quota: Quota, now: Ticks) -> Pace {
        self.at(key, |place| match place.paid_until.saturating_sub(now.0) {
            ahead if ahead > quota.tolerance => Pace::Refused(ahead),
            ahead => Pace::Passes(ahead),
        })
    }

    /// Takes note of how far ahead others say that the subject is. What is known here is never forgotten over it.
    pub(crate) fn learn(&self, key: Key, ahead: u64, now: Ticks) {
        self.at(key, |place| {
            place.paid_until = place.paid_until.max(now.0.saturating_add(ahead));
            Pace::Passes(ahead)
        });
    }

    fn at(&self, key: Key, change: impl FnOnce(&mut Place) -> Pace) -> Pace {
        let set = usize::try_from(key.0 % SETS as u64).unwrap_or_default();
        // INVARIANT: the number is below that of the sets, and no set is without places. Were it otherwise: deny.
        let Some(set) = self.sets.get(set) else { return Pace::Refused(UNKNOWN) };
        // A panic cannot leave a set half written: each update is one store.
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        set.place(key).map_or(Pace::Refused(UNKNOWN), change)
    }
}

impl Set {
    /// The place of `key`: its own, or that of whoever owes least.
    fn place(&mut self, key: Key) -> Option<&mut Place> {
        let debt = |place: &Place| if place.key == key { 0 } else { place.paid_until.max(1) };
        let place = self.0.iter_mut().min_by_key(|place| debt(place))?;
        if place.key != key {
            *place = Place { key, paid_until: 0 };
        }
        Some(place)
    }
}

const PLACES: usize = 8;

/// 16,384 sets of 8 places of 16 bytes: 131,072 subjects in 2.1 MiB.
const SETS: usize = 16_384;

/// A second, in nanoseconds: for what cannot happen.
const UNKNOWN: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn the_burst_passes_and_then_the_pace_holds() {
        let (table, quota) = (Table::new(), Quota::new(Rate::per_minute(60), 5));
        let (key, now) = (table.key(0, "one"), Ticks(1_000 * SECOND));
        for counted in 1..=6 {
            assert_eq!(table.count(key, quota, now), Pace::Passes(counted * SECOND), "one, and five of burst");
        }
        assert_eq!(table.count(key, quota, now), Pace::Refused(6 * SECOND));
        assert_eq!(table.look(key, quota, Ticks(now.0 + SECOND - 1)), Pace::Refused(5 * SECOND + 1));
        assert_eq!(table.count(key, quota, Ticks(now.0 + SECOND)), Pace::Passes(6 * SECOND));
        assert_eq!((quota.at_once(), quota.left(0), quota.left(5 * SECOND), quota.left(5 * SECOND + 1)), (6, 6, 1, 0));
    }

    #[test]
    fn a_look_counts_nothing_and_what_others_say_counts() {
        let (table, quota, now) = (Table::new(), Quota::new(Rate::per_minute(60), 1), Ticks(SECOND));
        let key = table.key(0, "one");
        for _ in 0..9 {
            assert_eq!(table.look(key, quota, now), Pace::Passes(0));
        }
        table.learn(key, 3 * SECOND, now);
        table.learn(key, SECOND, now);
        assert_eq!(table.count(key, quota, now), Pace::Refused(3 * SECOND));
    }

    #[test]
    fn shares_come_to_no_more_than_the_whole() {
        for (rate, burst, nodes, at_once) in [(600, 99, 4, 25), (600, 99, 3, 33), (60, 1, 2, 1), (60, 1, 7, 1)] {
            let share = Quota::new(Rate::per_minute(rate), burst).share(nodes);
            assert_eq!(share.at_once(), at_once, "{rate}/min, {burst} of burst, {nodes} nodes");
            assert_eq!(share.interval(), Duration::from_secs(60) * nodes / u32::try_from(rate).unwrap());
        }
    }

    #[test]
    fn a_flood_of_subjects_never_frees_one_that_used_up_its_rate() {
        let (table, quota) = (Table::new(), Quota::new(Rate::per_minute(1), 10));
        let (key, now) = (table.key(0, "one"), Ticks(SECOND));
        while matches!(table.count(key, quota, now), Pace::Passes(_)) {}
        for number in 0..500_000_u32 {
            table.count(table.key(0, number), quota, now);
        }
        assert!(matches!(table.count(key, quota, now), Pace::Refused(_)));
    }

    #[test]
    fn a_subject_stands_apart_under_each_limit() {
        let table = Table::new();
        assert_eq!(table.key(1, "one"), table.key(1, "one"));
        assert_ne!(table.key(1, "one"), table.key(2, "one"));
        assert_ne!(Table::new().key(1, "one"), table.key(1, "one"), "keys are drawn anew at every start");
    }
}
