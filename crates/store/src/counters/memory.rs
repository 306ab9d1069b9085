//! Counters in this process, in a table of fixed size.
//!
//! The table is set-associative: a counter can stand in one set of eight places, found by its keyed hash, which nobody
//! outside can aim. A full set gives up a place whose window is over, else that of the smallest count: whoever owns many
//! names can push out counters that have hardly begun, never one that is about to be refused.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reeve_base::Ticks;

use crate::names::Digest;

/// The table.
pub(super) struct Memory {
    sets: Box<[Mutex<Set>]>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Set([Place; PLACES]);

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// Half of the hash: enough that two never meet.
    key: u128,
    count: u64,
    /// When the window is over; 0 in a place that was never used.
    end: Ticks,
}

impl Default for Memory {
    fn default() -> Self {
        Self { sets: (0..SETS).map(|_| Mutex::default()).collect() }
    }
}

impl Memory {
    pub(super) fn add(&self, digest: &Digest, amount: u32, window: Duration, now: Ticks) -> u64 {
        let (key, set) = split(digest);
        // INVARIANT: the index is below the number of sets, and no set is without places. Were it otherwise, the count
        // is as high as can be, and whoever counts to refuse, refuses.
        let Some(set) = self.sets.get(set) else { return u64::MAX };
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = set.place(key, now) else { return u64::MAX };
        if place.key != key || place.end <= now {
            let length = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
            *place = Place { key, count: 0, end: Ticks(now.0.saturating_add(length)) };
        }
        place.count = place.count.saturating_add(amount.into());
        place.count
    }

    pub(super) fn read(&self, digest: &Digest, now: Ticks) -> u64 {
        let (key, set) = split(digest);
        let Some(set) = self.sets.get(set) else { return u64::MAX };
        let set = set.lock().unwrap_or_else(PoisonError::into_inner);
        set.0.iter().find(|place| place.key == key && place.end > now).map_or(0, |place| place.count)
    }
}

impl Set {
    /// The place of `key`: its own, or the one that is missed least.
    fn place(&mut self, key: u128, now: Ticks) -> Option<&mut Place> {
        let worth = |place: &Place| match place {
            Place { key: own, end, .. } if *own == key && *end > now => 0,
            Place { end, .. } if *end <= now => 1,
            Place { count, .. } => count.saturating_add(2),
        };
        self.0.iter_mut().min_by_key(|place| worth(place))
    }
}

/// The key within a set, and the set.
fn split(digest: &Digest) -> (u128, usize) {
    let (left, right) = digest.split_at(16);
    let number = |half: &[u8]| half.try_into().map_or(0, u128::from_be_bytes);
    (number(left), usize::try_from(number(right) % SETS as u128).unwrap_or_default())
}

const PLACES: usize = 8;

/// 8,192 sets of 8 places of 32 bytes: 65,536 counters in 2 MiB and a little.
const SETS: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const WINDOW: Duration = Duration::from_secs(60);

    fn digest(number: u64) -> Digest {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &number.to_be_bytes());
        hash.as_ref().try_into().unwrap()
    }

    #[test]
    fn a_window_begins_with_the_first_count_and_ends_on_time() {
        let memory = Memory::default();
        let now = |seconds: u64| Ticks((1_000 + seconds) * SECOND);
        assert_eq!(memory.add(&digest(1), 1, WINDOW, now(0)), 1);
        assert_eq!(memory.add(&digest(1), 2, WINDOW, now(59)), 3);
        assert_eq!(memory.read(&digest(1), Ticks(now(60).0 - 1)), 3);
        assert_eq!(memory.read(&digest(1), now(60)), 0, "the window is over at its end, not after it");
        assert_eq!(memory.add(&digest(1), 1, WINDOW, now(60)), 1);
        assert_eq!(memory.read(&digest(2), now(60)), 0);
    }

    #[test]
    fn a_flood_of_names_never_pushes_out_a_high_count() {
        let memory = Memory::default();
        let now = Ticks(SECOND);
        memory.add(&digest(0), 5, WINDOW, now);
        for number in 1..300_000 {
            memory.add(&digest(number), 1, WINDOW, now);
        }
        assert_eq!(memory.read(&digest(0), now), 5);
    }
}
