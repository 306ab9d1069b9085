//! Edge, tiles and proofs.

use std::cell::Cell;

use proptest::prelude::*;
use reeve_ledger::proof::{
    Edge, Hash, Head, ProofError, TileSource, consistency, empty_root, inclusion, leaf_hash, tile, verify_consistency,
    verify_inclusion,
};

use super::model::{self, Shelf, leaves};

/// Around every power of two that is a border of tiles.
const BORDERS: [u64; 17] =
    [0, 1, 2, 3, 254, 255, 256, 257, 511, 512, 513, 65_279, 65_535, 65_536, 65_537, 65_793, 70_000];

fn hex(hash: Hash) -> String {
    hash.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The leaves and roots that Certificate Transparency's implementations are tested with.
#[test]
fn roots_are_those_of_certificate_transparency() {
    let leaves: [&[u8]; 8] = [b"", b"\x00", b"\x10", b" !", b"01", b"@ABC", b"PQRSTUVW", b"`abcdefghijklmno"];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut edge = Edge::new();
    assert_eq!(edge.root(), empty_root());
    for (leaf, root) in leaves.iter().zip(roots) {
        edge.push(leaf_hash(leaf));
        assert_eq!(hex(edge.root()), root, "at {} leaves", edge.size());
    }
}

#[test]
fn the_edge_has_the_root_and_the_tiles_of_the_definition() {
    let all = leaves(70_000);
    let mut shelf = Shelf::default();
    let (mut edge, mut before) = (Edge::new(), 0);
    for size in BORDERS {
        let present = &all[..usize::try_from(size).unwrap()];
        shelf.grow(&mut edge, &present[usize::try_from(before).unwrap()..]);
        assert_eq!(edge.head(), model::head(present), "{size}");
        for (id, hashes) in model::tiles(present) {
            assert_eq!(shelf.0.get(&id), Some(&hashes), "{id} of {size}");
        }
        for id in tile::tiles_for(before, size) {
            assert!(shelf.0.contains_key(&id), "{id} of {size}");
        }
        before = size;
    }
    let written: usize = shelf.0.len();
    let announced: usize =
        BORDERS.iter().zip([0].iter().chain(&BORDERS)).map(|(new, old)| tile::tiles_for(*old, *new).count()).sum();
    assert_eq!(written, announced, "what is written is what is announced");
}

#[test]
fn an_edge_read_from_tiles_goes_on_like_the_one_that_wrote_them() {
    let many = leaves(65_800);
    let borders = [(0, 600), (1, 600), (255, 600), (256, 600), (257, 600), (512, 600)];
    for (size, end) in borders.into_iter().chain([(65_535, 65_800), (65_536, 65_537), (65_537, 65_800)]) {
        let all = &many[..end];
        let (old, new) = all.split_at(size);
        let (mut shelf, written) = Shelf::written(old);
        let mut read = Edge::from_tiles(size as u64, &shelf).unwrap();
        assert_eq!(read.head(), written.head(), "{size}");
        shelf.grow(&mut read, new);
        assert_eq!(read.root(), model::root(all), "from {size}");
        for (id, hashes) in model::tiles(all) {
            assert_eq!(shelf.0.get(&id), Some(&hashes), "{id} from {size}");
        }
    }
}

#[test]
fn an_edge_keeps_no_more_than_its_right_side() {
    let mut edge = Edge::new();
    let mut full = 0;
    for number in 0..200_000_u32 {
        full += edge.push(Hash([u8::try_from(number % 251).unwrap(); 32])).len();
        assert!(number % 999 != 0 || edge.partial().map(|tile| tile.hashes.len()).sum::<usize>() < 3 * 256);
    }
    assert_eq!(full, 200_000 / 256 + 200_000 / 65_536);
}

#[track_caller]
fn check_inclusion(index: u64, head: Head, leaves: &[Hash], shelf: &dyn TileSource) {
    let at = usize::try_from(index).unwrap();
    let proof = inclusion(index, head.size, shelf).unwrap();
    assert_eq!(proof, model::path(at, leaves), "{index} of {}", head.size);
    assert_eq!(verify_inclusion(&leaves[at], index, head, &proof), Ok(()), "{index} of {}", head.size);

    assert!(verify_inclusion(&leaf_hash(b"another"), index, head, &proof).is_err(), "another leaf");
    assert!(verify_inclusion(&leaves[at], head.size, head, &proof).is_err(), "beyond the end");
    for other in [index.wrapping_sub(1), index + 1, index ^ 2, head.size - 1 - index, 0] {
        assert!(other == index || verify_inclusion(&leaves[at], other, head, &proof).is_err(), "entry {other}");
    }
    for tampered in tampered(&proof) {
        assert!(verify_inclusion(&leaves[at], index, head, &tampered).is_err(), "{index} of {}", head.size);
    }
    let root = flipped(head.root, 200);
    assert!(verify_inclusion(&leaves[at], index, Head { root, ..head }, &proof).is_err(), "another root");
}

#[track_caller]
fn check_consistency(old: u64, after: Head, leaves: &[Hash], shelf: &dyn TileSource) {
    let at = usize::try_from(old).unwrap();
    let before = model::head(&leaves[..at]);
    let proof = consistency(old, after.size, shelf).unwrap();
    assert_eq!(proof, model::consistency(at, leaves), "from {old} to {}", after.size);
    assert_eq!(verify_consistency(before, after, &proof), Ok(()), "from {old} to {}", after.size);

    for tampered in tampered(&proof) {
        assert!(verify_consistency(before, after, &tampered).is_err(), "from {old} to {}", after.size);
    }
    let forked = Head { root: flipped(before.root, 3), ..before };
    assert!(verify_consistency(forked, after, &proof).is_err(), "another history, from {old} to {}", after.size);
    if old > 0 {
        let forked = Head { root: flipped(after.root, 3), ..after };
        assert!(verify_consistency(before, forked, &proof).is_err(), "another future, from {old} to {}", after.size);
    }
    if old < after.size {
        let shrunk = verify_consistency(after, before, &proof);
        assert_eq!(shrunk, Err(ProofError::Shrunk { old: after.size, new: old }));
    }
}

/// The proof with each hash flipped, left out and doubled, two exchanged, and one more at either end.
fn tampered(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut all = Vec::new();
    for at in 0..proof.len() {
        let mut other = proof.to_vec();
        other[at] = flipped(other[at], at * 37);
        all.push(other);
        let mut other = proof.to_vec();
        other.remove(at);
        all.push(other);
        let mut other = proof.to_vec();
        other.insert(at, proof[at]);
        all.push(other);
    }
    if proof.len() > 1 {
        let mut other = proof.to_vec();
        other.swap(0, proof.len() - 1);
        all.push(other);
    }
    all.push([proof, &[empty_root()]].concat());
    all.push([&[empty_root()], proof].concat());
    all
}

fn flipped(mut hash: Hash, bit: usize) -> Hash {
    hash.0[bit / 8 % 32] ^= 1 << (bit % 8);
    hash
}

#[test]
fn every_proof_of_every_small_tree_is_the_models() {
    let all = leaves(40);
    for size in 1..=40 {
        let present = &all[..size];
        let (shelf, head) = (Shelf::written(present).0, model::head(present));
        for other in 0..size as u64 {
            check_inclusion(other, head, present, &shelf);
            check_consistency(other, head, present, &shelf);
        }
        check_consistency(size as u64, head, present, &shelf);
    }
}

#[test]
fn proofs_across_the_borders_of_tiles_are_the_models() {
    let all = leaves(66_000);
    for size in [255, 256, 257, 512, 513, 65_535, 65_536, 65_793] {
        let present = &all[..size];
        let (shelf, head) = (Shelf::written(present).0, model::head(present));
        let before = [1, 255, 256, 257, 65_535, 65_536].into_iter().filter(|before| *before < size - 1);
        for other in before.step_by(if size > 1000 { 3 } else { 1 }).chain([size - 1]) {
            check_inclusion(other as u64, head, present, &shelf);
            check_consistency(other as u64, head, present, &shelf);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn proofs_of_any_tree_are_the_models(size in 1_u64..70_000, at in any::<prop::sample::Index>()) {
        let present = leaves(size);
        let (shelf, head) = (Shelf::written(&present).0, model::head(&present));
        let at = at.index(present.len()) as u64;
        check_inclusion(at, head, &present, &shelf);
        check_consistency(at, head, &present, &shelf);
    }

    #[test]
    fn a_log_that_was_altered_anywhere_has_no_proof_from_the_one_before(
        size in 2_u64..3_000,
        old in any::<prop::sample::Index>(),
        altered in any::<prop::sample::Index>(),
    ) {
        let mut present = leaves(size);
        let old = 1 + old.index(present.len() - 1);
        let before = model::head(&present[..old]);
        let altered = altered.index(old);
        present[altered] = leaf_hash(b"rewritten");
        let (shelf, edge) = Shelf::written(&present);
        let proof = consistency(old as u64, size, &shelf).unwrap();
        prop_assert_eq!(verify_consistency(before, edge.head(), &proof), Err(ProofError::Root));
    }
}

#[test]
fn what_is_not_in_the_log_has_no_proof() {
    let (shelf, edge) = Shelf::written(&leaves(3));
    assert_eq!(inclusion(3, 3, &shelf), Err(ProofError::BeyondSize { index: 3, size: 3 }));
    assert_eq!(inclusion(0, 0, &shelf), Err(ProofError::BeyondSize { index: 0, size: 0 }));
    assert_eq!(consistency(4, 3, &shelf), Err(ProofError::Shrunk { old: 4, new: 3 }));
    let nothing = Head { size: 0, root: empty_root() };
    assert_eq!(verify_consistency(nothing, edge.head(), &[]), Ok(()));
    assert_eq!(verify_consistency(nothing, nothing, &[]), Ok(()));
    let wrong = Head { size: 0, root: edge.root() };
    assert_eq!(verify_consistency(wrong, edge.head(), &[]), Err(ProofError::Root), "a root over nothing");
    assert_eq!(verify_consistency(nothing, wrong, &[]), Err(ProofError::Root), "a root over nothing");
    assert!(verify_consistency(nothing, edge.head(), &[empty_root()]).is_err(), "a proof from nothing");
}

#[test]
fn sizes_at_the_end_of_64_bits_break_nothing() {
    let head = Head { size: u64::MAX, root: empty_root() };
    for proof in [vec![], vec![empty_root(); 64], vec![empty_root(); 65]] {
        assert!(verify_inclusion(&empty_root(), u64::MAX - 1, head, &proof).is_err());
        assert!(verify_inclusion(&empty_root(), 0, head, &proof).is_err());
        for size in [1, 1 << 63, (1 << 63) + 1, u64::MAX - 1] {
            assert!(verify_consistency(Head { size, root: leaf_hash(b"") }, head, &proof).is_err(), "{size}");
        }
    }
}

#[test]
fn a_proof_reads_few_tiles_and_names_the_one_that_is_wrong() {
    struct Counted<'s>(&'s Shelf, Cell<usize>);
    impl TileSource for Counted<'_> {
        fn tile(&self, level: u8, index: u64, width: u16) -> Result<Vec<Hash>, ProofError> {
            self.1.set(self.1.get() + 1);
            self.0.tile(level, index, width)
        }
    }
    let (mut shelf, edge) = Shelf::written(&leaves(70_000));
    let counted = Counted(&shelf, Cell::new(0));
    inclusion(12_345, 70_000, &counted).unwrap();
    assert!(counted.1.get() <= 6, "{} tiles for an inclusion", counted.1.get());
    counted.1.set(0);
    consistency(12_345, 70_000, &counted).unwrap();
    assert!(counted.1.get() <= 6, "{} tiles for a consistency", counted.1.get());

    let id = tile::tile_of(70_000, 1, 1).unwrap();
    shelf.0.get_mut(&id).unwrap().pop();
    let narrow = ProofError::Width { path: id.path(), found: 16, expected: 17 };
    assert_eq!(Edge::from_tiles(70_000, &shelf).unwrap_err(), narrow);
    assert_eq!(inclusion(0, 70_000, &shelf).unwrap_err(), narrow);
    shelf.0.remove(&id);
    let said = Edge::from_tiles(70_000, &shelf).unwrap_err().to_string();
    assert_eq!(said, "cannot read `tile/1/001.p/17`: not there");
    assert_eq!(edge.size(), 70_000);
}
