//! Points against each address within a sliding window, in a table of fixed size.
//!
//! The window is cut into sixteen slices and the one that is filling: what happened within the window always counts
//! whole, and nothing that is older than the window and a sixteenth counts at all. The table is set-associative like
//! that of the rates: a full set gives up whoever has fewest points, so a flood of addresses pushes out those that did
//! little, never those that are about to be banned.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reeve_base::Ticks;

use super::nanoseconds;
use super::network::key;

pub(super) struct Tallies {
    sets: Box<[Mutex<Set>]>,
    hash: RandomState,
    /// The length of a slice in nanoseconds.
    slice: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Set([Place; PLACES]);

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    key: u128,
    /// The number of the newest slice. Zero: never used, because steady time in slices is counted from SLICES up.
    newest: u64,
    points: [u16; SLICES],
}

impl Tallies {
    pub(super) fn new(window: Duration) -> Self {
        let slice = (nanoseconds(window) / (SLICES as u64 - 1)).max(1);
        Self { sets: (0..SETS).map(|_| Mutex::default()).collect(), hash: RandomState::new(), slice }
    }

    /// Adds points for something that happened `age` ago. The sum within the window.
    pub(super) fn count(&self, address: IpAddr, points: u16, age: Duration, now: Ticks) -> u32 {
        let key = key(address);
        let Some(set) = self.set(key) else { return 0 };
        // A panic cannot leave a place half written in a way that matters: it would count less.
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now.0 / self.slice + SLICES as u64;
        let aged = (nanoseconds(age) / self.slice).min(SLICES as u64);
        let Some(place) = set.place(key, now) else { return 0 };
        place.advance(now);
        if aged < SLICES as u64
            && let Some(slice) = place.slice(now - aged)
        {
            *slice = slice.saturating_add(points);
        }
        place.sum()
    }

    /// Strikes out what was counted against the address.
    pub(super) fn forget(&self, address: IpAddr) {
        let key = key(address);
        let Some(set) = self.set(key) else { return };
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        set.0.iter_mut().filter(|place| place.key == key).for_each(|place| *place = Place::default());
    }

    fn set(&self, key: u128) -> Option<&Mutex<Set>> {
        self.sets.get(usize::try_from(self.hash.hash_one(key) % SETS as u64).unwrap_or_default())
    }
}

impl Set {
    /// The place of `key`: its own, or that of whoever has fewest points by now.
    fn place(&mut self, key: u128, now: u64) -> Option<&mut Place> {
        if let Some(held) = self.0.iter().position(|place| place.key == key && place.newest > 0) {
            return self.0.get_mut(held);
        }
        self.0.iter_mut().for_each(|place| place.advance(now));
        let place = self.0.iter_mut().min_by_key(|place| place.sum())?;
        *place = Place { key, newest: now, ..Place::default() };
        Some(place)
    }
}

impl Place {
    /// Empties the slices that time has passed over.
    fn advance(&mut self, now: u64) {
        let passed = now.saturating_sub(self.newest).min(SLICES as u64);
        for step in 0..passed {
            if let Some(slice) = self.slice(now - step) {
                *slice = 0;
            }
        }
        self.newest = self.newest.max(now);
    }

    fn slice(&mut self, number: u64) -> Option<&mut u16> {
        self.points.get_mut(usize::try_from(number % SLICES as u64).unwrap_or_default())
    }

    fn sum(&self) -> u32 {
        self.points.iter().copied().map(u32::from).sum()
    }
}

/// Sixteen, and the one that is filling.
const SLICES: usize = 17;

const PLACES: usize = 8;

/// 4,096 sets of 8 places of 64 bytes: 32,768 addresses in 2 MiB, for each rule.
const SETS: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(600);

    fn at(seconds: u64) -> Ticks {
        Ticks(seconds * 1_000_000_000)
    }

    fn address(number: u32) -> IpAddr {
        IpAddr::from((0xC000_0000 + number).to_be_bytes())
    }

    #[test]
    fn what_lies_within_the_window_counts_and_what_lies_behind_it_does_not() {
        let tallies = Tallies::new(WINDOW);
        let one = address(1);
        for (second, sum) in [(0, 1), (300, 2), (599, 3), (600, 4)] {
            assert_eq!(tallies.count(one, 1, Duration::ZERO, at(second)), sum, "{second}");
        }
        // A window and a sixteenth after the first and the second.
        assert_eq!(tallies.count(one, 1, Duration::ZERO, at(640)), 4);
        assert_eq!(tallies.count(one, 1, Duration::ZERO, at(940)), 4);
        assert_eq!(tallies.count(one, 1, Duration::ZERO, at(90_000)), 1);
    }

    #[test]
    fn what_is_told_late_counts_for_when_it_happened() {
        let tallies = Tallies::new(WINDOW);
        let one = address(1);
        assert_eq!(tallies.count(one, 1, Duration::from_secs(500), at(10_000)), 1);
        assert_eq!(tallies.count(one, 1, Duration::from_secs(5_000), at(10_000)), 1, "long past");
        assert_eq!(tallies.count(one, 1, Duration::ZERO, at(10_200)), 1, "the first has gone by");
    }

    #[test]
    fn points_add_up_without_overflow_and_can_be_forgotten() {
        let tallies = Tallies::new(WINDOW);
        let one = address(1);
        tallies.count(one, u16::MAX, Duration::ZERO, at(1));
        assert_eq!(tallies.count(one, u16::MAX, Duration::ZERO, at(1)), u32::from(u16::MAX));
        tallies.forget(one);
        assert_eq!(tallies.count(one, 1, Duration::ZERO, at(1)), 1);
    }

    #[test]
    fn a_flood_of_addresses_never_frees_one_with_many_points() {
        let tallies = Tallies::new(WINDOW);
        let one = address(1);
        tallies.count(one, 4, Duration::ZERO, at(1));
        for number in 2..200_000 {
            tallies.count(address(number), 1, Duration::ZERO, at(1));
        }
        assert_eq!(tallies.count(one, 1, Duration::ZERO, at(2)), 5);
    }
}
