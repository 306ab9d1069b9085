//! The bans as those see them who accept connections: no locks, no allocation, a bounded number of steps.
//!
//! First a filter answers for those that are certainly not banned. Behind it, single addresses stand in shards, each a sorted slice that is exchanged whole; an insertion copies some dozens of
//! entries and never the table. Wider networks are few and change seldom: they are flattened into one sorted slice of
//! ranges that do not overlap, so that one binary search answers for all prefix lengths at once.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use ipnet::IpNet;

use super::book::Book;
use super::filter::{Marks, Tags};
use super::network::{bits, is_one, key, span};

pub(super) struct Table {
    /// How many bans there are; most gateways have none most of the time. Stored after what it counts.
    count: AtomicUsize,
    /// Grows with each change, for those who copy the table elsewhere.
    generation: AtomicU64,
    tags: Tags,
    shards: Box<[ArcSwap<Vec<One>>]>,
    marks: Marks,
    ranges: ArcSwap<Vec<Range>>,
    hash: RandomState,
}

/// A single address and when its ban ends, in nanoseconds of steady time.
#[derive(Debug, Clone, Copy)]
struct One {
    key: u128,
    end: u64,
}

/// Addresses from `first` to `last` and when the ban ends that lasts longest among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: u128,
    last: u128,
    end: u64,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            count: AtomicUsize::new(0),
            generation: AtomicU64::new(0),
            tags: Tags::new(),
            shards: (0..SHARDS).map(|_| ArcSwap::default()).collect(),
            marks: Marks::default(),
            ranges: ArcSwap::default(),
            hash: RandomState::new(),
        }
    }

    /// When the ban of this address ends, if there is one. It may have ended already.
    pub(super) fn end(&self, address: IpAddr) -> Option<u64> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let (key, bits) = (key(address), bits(address));
        let hash = self.hash.hash_one(key);
        let one = if self.tags.may_hold(hash) { self.end_of_one(key, hash) } else { None };
        let range = if self.marks.may_hold(bits) { self.end_in_range(bits) } else { None };
        one.max(range)
    }

    fn end_of_one(&self, key: u128, hash: u64) -> Option<u64> {
        let shard = self.shards.get(number(hash))?.load();
        let place = shard.binary_search_by_key(&key, |one| one.key).ok()?;
        shard.get(place).map(|one| one.end)
    }

    fn end_in_range(&self, bits: u128) -> Option<u64> {
        let ranges = self.ranges.load();
        let after = ranges.partition_point(|range| range.first <= bits);
        let range = ranges.get(after.checked_sub(1)?)?;
        (bits <= range.last).then_some(range.end)
    }

    /// Puts in what the book says of `network`. The caller holds the book, so that there is one writer.
    pub(super) fn set(&self, network: &IpNet, book: &Book) {
        match book.end_of(network) {
            Some(end) if is_one(network) => self.write(key(network.addr()), Some(end)),
            _ => self.flatten(book),
        }
        self.changed(book);
    }

    /// Takes `network` out, which the book no longer holds.
    pub(super) fn clear(&self, network: &IpNet, book: &Book) {
        if is_one(network) {
            self.write(key(network.addr()), None);
        } else {
            self.flatten(book);
        }
        self.changed(book);
    }

    /// Makes everything anew: after many changes at once.
    pub(super) fn rebuild(&self, book: &Book) {
        let mut shards: Vec<Vec<One>> = vec![Vec::new(); SHARDS];
        let mut hashes = Vec::with_capacity(book.len());
        for (network, end) in book.ends().filter(|(network, _)| is_one(network)) {
            let key = key(network.addr());
            let hash = self.hash.hash_one(key);
            hashes.push(hash);
            if let Some(shard) = shards.get_mut(number(hash)) {
                shard.push(One { key, end });
            }
        }
        self.tags.begin_anew();
        for (place, mut shard) in self.shards.iter().zip(shards) {
            shard.sort_unstable_by_key(|one| one.key);
            place.store(Arc::new(shard));
        }
        self.tags.fill(hashes.into_iter());
        self.flatten(book);
        self.changed(book);
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn changed(&self, book: &Book) {
        self.count.store(book.len(), Ordering::Release);
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    fn write(&self, key: u128, end: Option<u64>) {
        let hash = self.hash.hash_one(key);
        let Some(place) = self.shards.get(number(hash)) else { return };
        let mut shard = Vec::clone(&place.load());
        match (shard.binary_search_by_key(&key, |one| one.key), end) {
            (Ok(at), Some(end)) => {
                if let Some(one) = shard.get_mut(at) {
                    one.end = end;
                }
            }
            (Ok(at), None) => {
                shard.remove(at);
            }
            (Err(at), Some(end)) => shard.insert(at, One { key, end }),
            (Err(_), None) => return,
        }
        // Whoever asks meanwhile is told "perhaps" and finds out, never "no".
        if end.is_some() {
            place.store(Arc::new(shard));
            self.tags.insert(hash);
        } else {
            self.tags.remove(hash);
            place.store(Arc::new(shard));
        }
    }

    fn flatten(&self, book: &Book) {
        let networks: Vec<_> = book.ends().filter(|(network, _)| !is_one(network)).collect();
        let ranges = networks.iter().map(|(network, end)| {
            let (first, last) = span(network);
            Range { first, last, end: *end }
        });
        self.marks.widen(networks.iter().map(|(network, _)| network));
        self.ranges.store(Arc::new(flat(ranges.collect())));
        self.marks.narrow(networks.iter().map(|(network, _)| network));
    }
}

/// The shard, by a keyed hash: nobody can choose addresses that all fall into one. Its upper bits, because the filter
/// goes by the lower ones.
fn number(hash: u64) -> usize {
    usize::try_from((hash >> 32) % SHARDS as u64).unwrap_or_default()
}

/// Networks are nested or apart, never astride (RFC 4632 section 3.1): going through them by their first address, the
/// widest first, a stack holds those that are open.
fn flat(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_unstable_by_key(|range| (range.first, u128::MAX - range.last));
    let mut flat: Vec<Range> = Vec::with_capacity(ranges.len());
    let mut open: Vec<Range> = Vec::new();
    let mut from = 0;
    for range in ranges {
        while let Some(outer) = open.pop_if(|outer| outer.last < range.first) {
            push(&mut flat, Range { first: from, ..outer });
            from = outer.last.saturating_add(1);
        }
        if let Some(outer) = open.last()
            && from < range.first
        {
            push(&mut flat, Range { first: from, last: range.first - 1, end: outer.end });
        }
        from = range.first;
        // Whoever is inside is banned at least as long as what is around.
        let end = open.last().map_or(range.end, |outer| outer.end.max(range.end));
        open.push(Range { end, ..range });
    }
    while let Some(outer) = open.pop() {
        push(&mut flat, Range { first: from, ..outer });
        from = outer.last.saturating_add(1);
    }
    flat
}

fn push(flat: &mut Vec<Range>, range: Range) {
    if range.first <= range.last {
        flat.push(range);
    }
}

/// With 100,000 single addresses, about 25 in each.
const SHARDS: usize = 4_096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(ranges: &[Range], bits: u128) -> Option<u64> {
        ranges.iter().filter(|range| (range.first..=range.last).contains(&bits)).map(|range| range.end).max()
    }

    fn found(flat: &[Range], bits: u128) -> Option<u64> {
        flat.iter().find(|range| (range.first..=range.last).contains(&bits)).map(|range| range.end)
    }

    proptest! {
        #[test]
        fn flattened_networks_answer_as_a_search_through_all_of_them(
            networks in proptest::collection::vec((0_u128..256, 0_u32..=8, 0_u64..100), 0..12),
        ) {
            let ranges: Vec<_> = networks
                .iter()
                .map(|(start, width, end)| {
                    let size = 1_u128 << width;
                    let first = start / size * size;
                    Range { first, last: first + size - 1, end: *end }
                })
                .collect();
            let flat = flat(ranges.clone());
            prop_assert!(flat.windows(2).all(|pair| pair[0].last < pair[1].first));
            for bits in 0..300 {
                prop_assert_eq!(found(&flat, bits), naive(&ranges, bits), "{}", bits);
            }
        }
    }
}
