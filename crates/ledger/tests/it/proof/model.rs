//! The tree as RFC 6962, section 2.1 defines it: recursion over slices of leaf hashes, with nothing clever in it.

use std::collections::BTreeMap;

use reeve_ledger::proof::tile::{HASHES, hashes_at};
use reeve_ledger::proof::{Edge, Hash, Head, ProofError, Tile, TileId, TileSource, empty_root, leaf_hash, node_hash};

/// `n` different leaves, hashed.
pub(crate) fn leaves(n: u64) -> Vec<Hash> {
    (0..n).map(|number| leaf_hash(format!("leaf {number}").as_bytes())).collect()
}

/// MTH.
pub(crate) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(part(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// PATH: the inclusion proof of leaf `m`.
pub(crate) fn path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return vec![];
    }
    let k = part(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut path, sibling) = if m < k { (path(m, left), root(right)) } else { (path(m - k, right), root(left)) };
    path.push(sibling);
    path
}

/// PROOF: the consistency proof from the first `m` leaves.
pub(crate) fn consistency(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if m == 0 { vec![] } else { subproof(m, leaves, true) }
}

fn subproof(m: usize, leaves: &[Hash], complete: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if complete { vec![] } else { vec![root(leaves)] };
    }
    let k = part(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut proof, sibling) =
        if m <= k { (subproof(m, left, complete), root(right)) } else { (subproof(m - k, right, false), root(left)) };
    proof.push(sibling);
    proof
}

/// The largest power of two that is less than `n`.
fn part(n: usize) -> usize {
    let mut k = 1;
    while k * 2 < n {
        k *= 2;
    }
    k
}

/// Size and root of these leaves.
pub(crate) fn head(leaves: &[Hash]) -> Head {
    Head { size: leaves.len() as u64, root: root(leaves) }
}

/// Every tile of a log of these leaves, by the definition in c2sp.org/tlog-tiles.
pub(crate) fn tiles(leaves: &[Hash]) -> BTreeMap<TileId, Vec<Hash>> {
    let mut tiles = BTreeMap::new();
    for level in 0..3 {
        let span = 256_usize.pow(u32::from(level));
        let hashes: Vec<Hash> = leaves.chunks_exact(span).map(root).collect();
        assert_eq!(hashes.len() as u64, hashes_at(leaves.len() as u64, level));
        for (hashes, index) in hashes.chunks(usize::from(HASHES)).zip(0..) {
            let width = u16::try_from(hashes.len()).unwrap();
            tiles.insert(TileId { level, index, width }, hashes.to_vec());
        }
    }
    tiles
}

/// Tiles in memory, as a writer leaves them behind: partial ones stay beside the full.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shelf(pub(crate) BTreeMap<TileId, Vec<Hash>>);

impl Shelf {
    /// What an [`Edge`] hands out while these leaves are pushed, and at the end.
    pub(crate) fn written(leaves: &[Hash]) -> (Self, Edge) {
        let (mut shelf, mut edge) = (Self::default(), Edge::new());
        shelf.grow(&mut edge, leaves);
        (shelf, edge)
    }

    /// The same, from where the edge is.
    pub(crate) fn grow(&mut self, edge: &mut Edge, leaves: &[Hash]) {
        for leaf in leaves {
            edge.push(*leaf).into_iter().for_each(|tile| self.put(tile));
        }
        edge.partial().for_each(|tile| self.put(tile));
    }

    fn put(&mut self, tile: Tile) {
        self.0.insert(tile.id, tile.hashes);
    }
}

impl TileSource for Shelf {
    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Vec<Hash>, ProofError> {
        let id = TileId { level, index, width };
        let gone = || ProofError::Tile { path: id.path(), cause: String::from("not there") };
        self.0.get(&id).cloned().ok_or_else(gone)
    }
}
