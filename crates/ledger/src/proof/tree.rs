//! Proofs that an entry is in a log, and that a log continues an older one: RFC 6962, sections 2.1.1 and 2.1.2, made
//! from tiles, and verified as RFC 9162, sections 2.1.3.2 and 2.1.4.2 say.

use std::collections::HashMap;
use std::ops::Range;

use super::edge::{fold, read};
use super::tile::{HASHES, HEIGHT, TileSource, tile_of};
use super::{Hash, Head, ProofError, empty_root, node_hash};

/// The hashes that lead from entry `index` to the root of the log of `size` entries, the sibling of the leaf first. At
/// most 64.
///
/// The tiles are believed: verify the proof against a checkpoint before handing it out.
///
/// # Errors
/// [`ProofError::BeyondSize`], or when a tile cannot be read. Reads at most two tiles of each level.
pub fn inclusion(index: u64, size: u64, source: &dyn TileSource) -> Result<Vec<Hash>, ProofError> {
    if index >= size {
        return Err(ProofError::BeyondSize { index, size });
    }
    let mut reader = Reader::new(size, source);
    let mut proof = Vec::new();
    let mut range = 0..size;
    while range.end - range.start > 1 {
        let middle = split(&range);
        let sibling = if index < middle { middle..range.end } else { range.start..middle };
        range = if index < middle { range.start..middle } else { middle..range.end };
        proof.push(reader.hash(sibling)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The hashes that show that the log of `new` entries begins with the log of `old` entries. At most 64; none if `old`
/// is 0 or `new`.
///
/// # Errors
/// [`ProofError::Shrunk`], or when a tile cannot be read. Reads at most two tiles of each level.
pub fn consistency(old: u64, new: u64, source: &dyn TileSource) -> Result<Vec<Hash>, ProofError> {
    if old > new {
        return Err(ProofError::Shrunk { old, new });
    }
    let mut reader = Reader::new(new, source);
    let mut proof = Vec::new();
    let mut range = 0..new;
    while old > 0 && old != range.end {
        let middle = split(&range);
        let sibling = if old <= middle { middle..range.end } else { range.start..middle };
        range = if old <= middle { range.start..middle } else { middle..range.end };
        proof.push(reader.hash(sibling)?);
    }
    // What begins at 0 is the old tree itself, whose root the verifier knows.
    if old > 0 && range.start > 0 {
        proof.push(reader.hash(range)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Verifies that the leaf with this hash is entry `index` of the log `head`.
///
/// # Errors
/// When it is not, or the proof is not exactly the one for this index and size.
pub fn verify_inclusion(leaf: &Hash, index: u64, head: Head, proof: &[Hash]) -> Result<(), ProofError> {
    if index >= head.size {
        return Err(ProofError::BeyondSize { index, size: head.size });
    }
    let wrong_length = ProofError::Length { found: proof.len() };
    let mut climb = Climb { node: index, last: head.size - 1 };
    let mut root = *leaf;
    for hash in proof {
        root = match climb.step().ok_or_else(|| wrong_length.clone())? {
            Sibling::Left => node_hash(hash, &root),
            Sibling::Right => node_hash(&root, hash),
        };
    }
    if !climb.at_root() {
        return Err(wrong_length);
    }
    if root == head.root { Ok(()) } else { Err(ProofError::Root) }
}

/// Verifies that the log `new` begins with the whole of the log `old`.
///
/// Every log is a continuation of the one without entries, provided that the root of that is the empty tree's.
///
/// # Errors
/// When it does not, or the proof is not exactly the one for these sizes.
pub fn verify_consistency(old: Head, new: Head, proof: &[Hash]) -> Result<(), ProofError> {
    let wrong_length = ProofError::Length { found: proof.len() };
    if old.size > new.size {
        return Err(ProofError::Shrunk { old: old.size, new: new.size });
    }
    if old.size == 0 || old.size == new.size {
        let empty = empty_root();
        let holds = (old.size > 0 || old.root == empty) && (old.size < new.size || old.root == new.root);
        return match (proof, holds) {
            ([], true) => Ok(()),
            ([], false) => Err(ProofError::Root),
            _ => Err(wrong_length),
        };
    }
    // An old tree that is complete is a node of the new one, and a proof does not repeat it.
    let (first, rest) = if old.size.is_power_of_two() {
        (old.root, proof)
    } else {
        let (first, rest) = proof.split_first().ok_or_else(|| wrong_length.clone())?;
        (*first, rest)
    };
    let complete = old.size.trailing_zeros();
    let mut climb = Climb { node: (old.size - 1) >> complete, last: (new.size - 1) >> complete };
    let (mut old_root, mut new_root) = (first, first);
    for hash in rest {
        match climb.step().ok_or_else(|| wrong_length.clone())? {
            Sibling::Left => {
                old_root = node_hash(hash, &old_root);
                new_root = node_hash(hash, &new_root);
            }
            Sibling::Right => new_root = node_hash(&new_root, hash),
        }
    }
    if !climb.at_root() {
        return Err(wrong_length);
    }
    if (old_root, new_root) == (old.root, new.root) { Ok(()) } else { Err(ProofError::Root) }
}

/// The way from a node to the root: its number in its row and that of the row's last node, the RFC's `fn` and `sn`.
struct Climb {
    node: u64,
    last: u64,
}

/// On which side the next hash of a proof stands.
enum Sibling {
    Left,
    Right,
}

impl Climb {
    /// One hash further up; none at the root.
    const fn step(&mut self) -> Option<Sibling> {
        if self.last == 0 {
            return None;
        }
        let sibling = if self.node & 1 == 1 || self.node == self.last { Sibling::Left } else { Sibling::Right };
        // The last node of an odd row has no sibling there: it goes up as it is until it has one.
        let alone = if matches!(sibling, Sibling::Left) { self.node.trailing_zeros() } else { 0 };
        self.node = self.node >> alone >> 1;
        self.last = self.last >> alone >> 1;
        Some(sibling)
    }

    const fn at_root(&self) -> bool {
        self.last == 0
    }
}

/// Where RFC 6962 parts a range of two or more leaves: after the largest power of two that is less than its length.
const fn split(range: &Range<u64>) -> u64 {
    range.start + (1 << (range.end - range.start - 1).ilog2())
}

/// Reads hashes of a tree of one size, each tile once.
struct Reader<'s> {
    size: u64,
    source: &'s dyn TileSource,
    seen: HashMap<(u8, u64), Vec<Hash>>,
}

impl<'s> Reader<'s> {
    fn new(size: u64, source: &'s dyn TileSource) -> Self {
        Self { size, source, seen: HashMap::new() }
    }

    /// The root over a range that [`split`] gave, which is why its start is a multiple of its greatest subtree.
    fn hash(&mut self, range: Range<u64>) -> Result<Hash, ProofError> {
        let mut subtrees = Vec::new();
        let mut start = range.start;
        while start < range.end {
            let bits = (range.end - start).ilog2();
            subtrees.push(self.subtree(start, bits)?);
            start += 1 << bits;
        }
        let joined = subtrees.into_iter().rev().reduce(|right, left| node_hash(&left, &right));
        Ok(joined.unwrap_or_else(empty_root))
    }

    /// The root of the complete subtree of `1 << bits` leaves that begins at `start`.
    fn subtree(&mut self, start: u64, bits: u32) -> Result<Hash, ProofError> {
        let level = u8::try_from(bits / HEIGHT).unwrap_or(u8::MAX);
        let first = start >> (bits / HEIGHT * HEIGHT);
        let index = first / u64::from(HASHES);
        let offset = usize::try_from(first % u64::from(HASHES)).unwrap_or(usize::MAX);
        let hashes = self.tile(level, index)?;
        let hashes = hashes.get(offset..).and_then(|hashes| hashes.get(..1 << (bits % HEIGHT)));
        // INVARIANT: the subtree is complete at this size, so its hashes are in the tile, whose width was checked.
        Ok(hashes.map_or_else(empty_root, fold))
    }

    fn tile(&mut self, level: u8, index: u64) -> Result<&[Hash], ProofError> {
        use std::collections::hash_map::Entry;

        match self.seen.entry((level, index)) {
            Entry::Occupied(seen) => Ok(seen.into_mut()),
            Entry::Vacant(room) => {
                let id = tile_of(self.size, level, index).ok_or(ProofError::BeyondSize { index, size: self.size })?;
                Ok(room.insert(read(self.source, id)?))
            }
        }
    }
}
