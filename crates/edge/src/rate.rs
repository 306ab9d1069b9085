//! Rates by address: the generic cell rate algorithm (GCRA, ITU-T I.371) over a table of fixed size.
//!
//! The table is set-associative: an address can stand in one set of eight places, found by a keyed hash. A full set
//! gives up the place of whoever owes least. So memory is bounded by construction, and an attacker who owns many
//! addresses can push out those who have used little of their rate, never one who has used it up.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reeve_base::{Rate, Ticks};

/// What each address may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    /// Nanoseconds between two requests at the sustained rate.
    interval: u64,
    /// How far ahead of that pace an address may be, in nanoseconds.
    tolerance: u64,
}

impl Quota {
    pub(crate) fn new(rate: Rate, burst: u32) -> Self {
        let interval = u64::try_from(rate.interval().as_nanos()).unwrap_or(u64::MAX).max(1);
        Self { interval, tolerance: interval.saturating_mul(u64::from(burst)) }
    }
}

/// The pace of every address seen lately. One for all workers, so that a limit is not multiplied by their number.
pub(crate) struct Rates {
    sets: Box<[Mutex<Set>]>,
    hash: RandomState,
}

#[derive(Debug, Clone, Copy, Default)]
struct Set([Place; PLACES]);

/// An address and the time until which its requests are paid for (the theoretical arrival time of GCRA).
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    address: u128,
    paid_until: u64,
}

impl Rates {
    pub(crate) fn new() -> Self {
        Self { sets: (0..SETS).map(|_| Mutex::default()).collect(), hash: RandomState::new() }
    }

    /// Counts one request of `address`. `Err` is how long until the next one would pass.
    pub(crate) fn count(&self, address: IpAddr, quota: Quota, now: Ticks) -> Result<(), Duration> {
        let key = key(address);
        let hash = usize::try_from(self.hash.hash_one(key) % SETS as u64).unwrap_or_default();
        // INVARIANT: the hash is below the number of sets, and no set is without places. Were it otherwise: deny.
        let Some(set) = self.sets.get(hash) else { return Err(Duration::from_secs(1)) };
        // A panic cannot leave a set half written: each update is one store.
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = set.place(key) else { return Err(Duration::from_secs(1)) };
        // Places begin at zero, before any time that can be asked about.
        let paid_until = place.paid_until.max(now.0);
        let ahead = paid_until - now.0;
        if ahead > quota.tolerance {
            return Err(Duration::from_nanos(ahead - quota.tolerance));
        }
        *place = Place { address: key, paid_until: paid_until.saturating_add(quota.interval) };
        Ok(())
    }
}

impl Set {
    /// The place of `key`: its own, or that of whoever owes least.
    fn place(&mut self, key: u128) -> Option<&mut Place> {
        let debt = |place: &Place| if place.address == key { 0 } else { place.paid_until.max(1) };
        let place = self.0.iter_mut().min_by_key(|place| debt(place))?;
        if place.address != key {
            *place = Place { address: key, paid_until: 0 };
        }
        Some(place)
    }
}

/// IPv6 users own at least a /64 and can leave it at will, so that is what counts as one address (RFC 6177).
fn key(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits() & !u128::from(u64::MAX),
    }
}

const PLACES: usize = 8;

/// 8,192 sets of 8 places of 32 bytes: 65,536 addresses in 2 MiB and a little.
const SETS: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn the_burst_passes_and_then_the_pace_holds() {
        let (rates, quota) = (Rates::new(), Quota::new(Rate::per_minute(60), 5));
        let now = Ticks(1_000 * SECOND);
        for _ in 0..6 {
            assert_eq!(rates.count(address(1), quota, now), Ok(()), "one, and five of burst");
        }
        assert_eq!(rates.count(address(1), quota, now), Err(Duration::from_secs(1)));
        assert_eq!(rates.count(address(1), quota, Ticks(now.0 + SECOND - 1)), Err(Duration::from_nanos(1)));
        assert_eq!(rates.count(address(1), quota, Ticks(now.0 + SECOND)), Ok(()));
    }

    #[test]
    fn addresses_do_not_pay_for_each_other_but_a_64_is_one() {
        let (rates, quota) = (Rates::new(), Quota::new(Rate::per_minute(60), 1));
        let now = Ticks(SECOND);
        let (near, same, other) = ("2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1");
        for _ in 0..2 {
            assert!(rates.count(near.parse().unwrap(), quota, now).is_ok());
        }
        assert!(rates.count(same.parse().unwrap(), quota, now).is_err());
        assert!(rates.count(other.parse().unwrap(), quota, now).is_ok());
    }

    #[test]
    fn a_flood_of_addresses_never_frees_one_that_used_up_its_rate() {
        let (rates, quota) = (Rates::new(), Quota::new(Rate::per_minute(1), 10));
        let now = Ticks(SECOND);
        while rates.count(address(1), quota, now).is_ok() {}
        for number in 0..200_000_u32 {
            let _ = rates.count(IpAddr::from(number.to_be_bytes()), quota, now);
        }
        assert!(rates.count(address(1), quota, now).is_err());
    }
}
