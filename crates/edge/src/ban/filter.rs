//! Answers "certainly not banned" for nearly everybody, in one line of the processor's cache.
//!
//! Both parts may say "perhaps" of an address that is not banned, and never "no" of one that is.

use std::sync::atomic::{AtomicU64, Ordering};

use ipnet::IpNet;

use super::network::span;

/// Tags of single addresses: a table of buckets, each as wide as a cache line.
pub(super) struct Tags(Box<[Bucket]>);

/// Zero is an empty place; [`FULL`] in the first says that a ninth tag had no room.
#[derive(Default)]
#[repr(align(64))]
struct Bucket([AtomicU64; PLACES]);

impl Tags {
    pub(super) fn new() -> Self {
        Self((0..BUCKETS).map(|_| Bucket::default()).collect())
    }

    /// Whether an address with this keyed hash may be banned.
    pub(super) fn may_hold(&self, hash: u64) -> bool {
        let tag = tag(hash);
        self.bucket(hash).is_some_and(|Bucket(places)| {
            places.iter().any(|place| {
                let held = place.load(Ordering::Acquire);
                held == tag || held == FULL
            })
        })
    }

    /// Only the one writer calls it, as all that changes something here.
    pub(super) fn insert(&self, hash: u64) {
        let Some(Bucket(places)) = self.bucket(hash) else { return };
        let tag = tag(hash);
        let held = |place: &&AtomicU64| matches!(place.load(Ordering::Relaxed), held if held == tag || held == FULL);
        if places.iter().any(|place| held(&place)) {
            return;
        }
        let free = places.iter().find(|place| place.load(Ordering::Relaxed) == 0);
        match (free, places.first()) {
            (Some(place), _) => place.store(tag, Ordering::Release),
            // From now on the bucket says "perhaps" to everybody, until all is made anew.
            (None, Some(first)) => first.store(FULL, Ordering::Release),
            (None, None) => {}
        }
    }

    pub(super) fn remove(&self, hash: u64) {
        let Some(Bucket(places)) = self.bucket(hash) else { return };
        let tag = tag(hash);
        for place in places.iter().filter(|place| place.load(Ordering::Relaxed) == tag) {
            place.store(0, Ordering::Release);
        }
    }

    /// Must be filled again at once; meanwhile the table says "perhaps" to everybody.
    pub(super) fn begin_anew(&self) {
        for Bucket(places) in &self.0 {
            if let Some((first, rest)) = places.split_first() {
                first.store(FULL, Ordering::Release);
                rest.iter().for_each(|place| place.store(0, Ordering::Release));
            }
        }
    }

    /// Fills the table with these hashes and no others.
    pub(super) fn fill(&self, hashes: impl Iterator<Item = u64>) {
        let mut sorted: Vec<u64> = hashes.collect();
        sorted.sort_unstable_by_key(|hash| number(*hash));
        let mut rest = sorted.as_slice();
        for (index, Bucket(places)) in self.0.iter().enumerate() {
            let (here, later) = rest.split_at(rest.partition_point(|hash| number(*hash) <= index));
            rest = later;
            // The first place last: until then it says "perhaps".
            for (place, hash) in places.iter().zip(here).skip(1) {
                place.store(tag(*hash), Ordering::Release);
            }
            let first = if here.len() > PLACES { FULL } else { here.first().copied().map_or(0, tag) };
            if let Some(place) = places.first() {
                place.store(first, Ordering::Release);
            }
        }
    }

    fn bucket(&self, hash: u64) -> Option<&Bucket> {
        self.0.get(number(hash))
    }
}

/// Which blocks of addresses a banned network lies in, as one bit for each.
#[derive(Default)]
pub(super) struct Marks([AtomicU64; 8]);

impl Marks {
    /// Whether a banned network may hold this address, by its number.
    pub(super) fn may_hold(&self, bits: u128) -> bool {
        let (word, bit) = place(bits);
        self.0.get(word).is_some_and(|word| word.load(Ordering::Acquire) & bit != 0)
    }

    /// Puts in the blocks of these networks, and leaves in what is there.
    pub(super) fn widen<'n>(&self, networks: impl Iterator<Item = &'n IpNet>) {
        for (word, mask) in self.0.iter().zip(words(networks)) {
            word.fetch_or(mask, Ordering::AcqRel);
        }
    }

    /// Leaves the blocks of these networks and no others.
    pub(super) fn narrow<'n>(&self, networks: impl Iterator<Item = &'n IpNet>) {
        for (word, mask) in self.0.iter().zip(words(networks)) {
            word.store(mask, Ordering::Release);
        }
    }
}

fn words<'n>(networks: impl Iterator<Item = &'n IpNet>) -> [u64; 8] {
    let mut words = [0; 8];
    for network in networks {
        // A ban is never wider than a block, so its first address tells.
        let (word, bit) = place(span(network).0);
        if let Some(word) = words.get_mut(word) {
            *word |= bit;
        }
    }
    words
}

/// 256 blocks of IPv4, by the first octet; and 256 groups of IPv6's blocks of /19.
fn place(bits: u128) -> (usize, u64) {
    let block = if bits >> 32 == MAPPED {
        low(bits >> 24)
    } else {
        let block = bits >> (128 - 19);
        256 + low(block ^ block >> 8 ^ block >> 16)
    };
    (block / 64, 1 << (block % 64))
}

fn low(number: u128) -> usize {
    usize::try_from(number & 0xff).unwrap_or_default()
}

fn number(hash: u64) -> usize {
    usize::try_from(hash % BUCKETS as u64).unwrap_or_default()
}

/// What stands for an address in its bucket; neither empty nor full.
fn tag(hash: u64) -> u64 {
    hash.clamp(1, FULL - 1)
}

/// The 96 bits in front of an IPv4 address (RFC 4291 section 2.5.5.2).
const MAPPED: u128 = 0xffff;

const FULL: u64 = u64::MAX;
const PLACES: usize = 8;

/// 65,536 buckets of 64 bytes: 4 MiB, and with 131,072 bans two tags in each on average.
const BUCKETS: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ban::network::bits;
    use crate::ban::parse_network;

    #[test]
    fn a_bucket_that_overflows_says_perhaps_to_everybody_until_it_is_made_anew() {
        let tags = Tags::new();
        let hash = |number: u64| number * BUCKETS as u64 + 7;
        (1..=8).for_each(|number| tags.insert(hash(number)));
        assert!(tags.may_hold(hash(8)) && !tags.may_hold(hash(9)) && !tags.may_hold(8));
        tags.remove(hash(8));
        assert!(!tags.may_hold(hash(8)));
        (8..=9).for_each(|number| tags.insert(hash(number)));
        assert!((1..20).all(|number| tags.may_hold(hash(number))));
        tags.remove(hash(3));
        assert!(tags.may_hold(hash(9)));
        tags.begin_anew();
        assert!(tags.may_hold(hash(1)) && tags.may_hold(3));
        tags.fill([hash(1), 3].into_iter());
        assert!(tags.may_hold(hash(1)) && tags.may_hold(3) && !tags.may_hold(hash(2)) && !tags.may_hold(4));
        tags.begin_anew();
        tags.fill((1..=9).map(hash));
        assert!((1..20).all(|number| tags.may_hold(hash(number))));
    }

    #[test]
    fn marks_hold_every_address_of_a_network() {
        for text in ["10.0.0.0/8", "192.0.2.0/28", "2001:db8::/32", "2600::/19", "2001:db8::7/128", "192.0.2.1/32"] {
            let (marks, network) = (Marks::default(), parse_network(text).unwrap());
            marks.widen(std::iter::once(&network));
            assert!(marks.may_hold(bits(network.network())) && marks.may_hold(bits(network.broadcast())), "{text}");
            marks.narrow(std::iter::empty());
            assert!(!marks.may_hold(bits(network.network())), "{text}");
        }
    }
}
