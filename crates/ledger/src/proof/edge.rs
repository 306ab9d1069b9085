//! The right edge of a tree: all that a log must remember to grow.

use super::tile::{HASHES, HEIGHT, LEVELS, Tile, TileId, TileSource, hashes_at};
use super::{Hash, Head, ProofError, empty_root, node_hash};

/// The right edge of a log's tree: of each level of tiles the one that is not full yet.
///
/// Its memory does not grow with the log: at most 8 levels of 255 hashes, 64 KiB. [`Edge::push`] hands out each tile
/// that becomes full, [`Edge::partial`] the ones that are not, so that whoever writes a log needs nothing else:
///
/// ```
/// # use reeve_ledger::proof::{Edge, leaf_hash};
/// # fn write(_: &reeve_ledger::proof::Tile) {}
/// let mut edge = Edge::new();
/// for number in 0..300_u32 {
///     for tile in edge.push(leaf_hash(&number.to_be_bytes())) {
///         write(&tile); // tile/0/000
///     }
/// }
/// for tile in edge.partial() {
///     write(&tile); // tile/0/001.p/44 and tile/1/000.p/1
/// }
/// assert_eq!(edge.head().size, 300); // and then the checkpoint
/// ```
#[derive(Debug, Clone, Default)]
pub struct Edge {
    size: u64,
    /// By level, the lowest first: the hashes beyond the last full tile, less than [`HASHES`].
    levels: [Vec<Hash>; LEVELS as usize],
}

impl Edge {
    /// The edge of a log without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The edge of a log that has `size` entries, read from its tiles.
    ///
    /// Nothing vouches for those: compare [`Edge::root`] with a checkpoint's before anything is built on it.
    ///
    /// # Errors
    /// When a tile cannot be read, or holds another number of hashes than it should.
    pub fn from_tiles(size: u64, source: &dyn TileSource) -> Result<Self, ProofError> {
        let mut edge = Self { size, ..Self::default() };
        for (level, hashes) in (0..).zip(&mut edge.levels) {
            let at_level = hashes_at(size, level);
            let (index, width) = (at_level / u64::from(HASHES), at_level % u64::from(HASHES));
            if let Ok(width @ 1..) = u16::try_from(width) {
                *hashes = read(source, TileId { level, index, width })?;
            }
        }
        Ok(edge)
    }

    /// Adds the hash of the next leaf. Gives the tiles that became full by it, lowest level first: one tile at every
    /// 256th leaf, two at every 65,536th, and so on; none (and no allocation) otherwise.
    pub fn push(&mut self, leaf: Hash) -> Vec<Tile> {
        self.size += 1;
        let mut full = Vec::new();
        let mut carried = leaf;
        for (level, hashes) in (0..).zip(&mut self.levels) {
            hashes.push(carried);
            if hashes.len() < usize::from(HASHES) {
                break;
            }
            let hashes = std::mem::take(hashes);
            let index = hashes_at(self.size, level) / u64::from(HASHES) - 1;
            carried = fold(&hashes);
            full.push(Tile { id: TileId { level, index, width: HASHES }, hashes });
        }
        full
    }

    /// The tiles that are not full at this size, lowest level first; at most 8, none of them empty.
    pub fn partial(&self) -> impl Iterator<Item = Tile> {
        (0..).zip(&self.levels).filter_map(|(level, hashes)| {
            let width = u16::try_from(hashes.len()).ok().filter(|width| *width > 0)?;
            let index = hashes_at(self.size, level) / u64::from(HASHES);
            Some(Tile { id: TileId { level, index, width }, hashes: hashes.clone() })
        })
    }

    /// How many leaves there are.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root over all leaves. Costs about as many hashes as the edge holds, so call it for a checkpoint rather than
    /// for an entry.
    #[must_use]
    pub fn root(&self) -> Hash {
        // RFC 6962, section 2.1: the complete subtrees shrink towards the right, and are joined from the right.
        let mut root = None;
        for hashes in &self.levels {
            let mut rest = hashes.as_slice();
            let mut power = 1;
            while !rest.is_empty() {
                if rest.len() & power != 0 {
                    let (before, subtree) = rest.split_at(rest.len() - power);
                    let left = fold(subtree);
                    root = Some(root.map_or(left, |right| node_hash(&left, &right)));
                    rest = before;
                }
                power <<= 1;
            }
        }
        root.unwrap_or_else(empty_root)
    }

    /// Size and root.
    #[must_use]
    pub fn head(&self) -> Head {
        Head { size: self.size, root: self.root() }
    }
}

/// Reads a tile and holds it to its width.
pub(super) fn read(source: &dyn TileSource, id: TileId) -> Result<Vec<Hash>, ProofError> {
    let hashes = source.tile(id.level, id.index, id.width)?;
    if hashes.len() == usize::from(id.width) {
        Ok(hashes)
    } else {
        Err(ProofError::Width { path: id.path(), found: hashes.len(), expected: id.width })
    }
}

/// The root of a complete subtree: as many hashes as a power of two, at most those of a tile.
pub(super) fn fold(hashes: &[Hash]) -> Hash {
    debug_assert!(hashes.len().is_power_of_two() && hashes.len() <= 1 << HEIGHT, "{} hashes", hashes.len());
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row.as_chunks().0.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    row.first().copied().unwrap_or_else(empty_root)
}
