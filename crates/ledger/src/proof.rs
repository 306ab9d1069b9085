//! What anyone can verify offline: hashes, tiles, proofs, signed checkpoints, the file that `reeve ledger prove` makes.
//!
//! Everything here is a plain function over bytes: no I/O, no clock, no key of the vault. The formats are public ones, so
//! that a verifier which shares no code with this one says the same:
//!
//! | module | format |
//! |---|---|
//! | [`tile`], [`bundle`] | [c2sp.org/tlog-tiles](https://c2sp.org/tlog-tiles) |
//! | [`note`] | [c2sp.org/signed-note](https://c2sp.org/signed-note), Ed25519 |
//! | [`checkpoint`] | [c2sp.org/tlog-checkpoint](https://c2sp.org/tlog-checkpoint) |
//! | [`cosignature`] | [c2sp.org/tlog-cosignature](https://c2sp.org/tlog-cosignature), Ed25519 (`cosignature/v1`) |
//! | [`entry`] | [c2sp.org/tlog-proof](https://c2sp.org/tlog-proof), the entry in its `extra` line |
//! | [`leaf`] | our own: canonical JSON with a salted commitment to the contents |
//!
//! ```
//! use reeve_ledger::proof::{Edge, leaf_hash, verify_inclusion};
//!
//! let mut edge = Edge::new();
//! for leaf in [b"one", b"two"] {
//!     edge.push(leaf_hash(leaf));
//! }
//! let path = [leaf_hash(b"two")];
//! assert!(verify_inclusion(&leaf_hash(b"one"), 0, edge.head(), &path).is_ok());
//! assert!(verify_inclusion(&leaf_hash(b"one"), 1, edge.head(), &path).is_err());
//! ```
//!
//! Start reading at [`Edge`] for how a log grows and at [`EntryProof`] for what an auditor gets.

pub mod bundle;
pub mod checkpoint;
pub mod cosignature;
mod edge;
pub mod entry;
mod hash;
pub mod leaf;
pub mod note;
pub mod tile;
mod tree;

pub use checkpoint::{Checkpoint, SignedCheckpoint};
pub use edge::Edge;
pub use entry::EntryProof;
pub use hash::{Hash, Head, empty_root, leaf_hash, node_hash};
pub use leaf::{Leaf, commitment};
pub use note::{Note, Signature, Signer, VerifierKey};
pub use tile::{Tile, TileId, TileSource};
pub use tree::{consistency, inclusion, verify_consistency, verify_inclusion};

/// Why a proof cannot be made, or does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// A tile cannot be read, or is not there.
    #[error("cannot read `{path}`: {cause}")]
    Tile {
        /// Its path below the ledger's folder.
        path: String,
        /// What the storage said.
        cause: String,
    },
    /// A tile came with another number of hashes than its path says.
    #[error("`{path}` holds {found} hashes where {expected} belong")]
    Width {
        /// Its path below the ledger's folder.
        path: String,
        /// How many hashes it held.
        found: usize,
        /// How many hashes it should hold.
        expected: u16,
    },
    /// The entry is not in a log of this size.
    #[error("entry {index} is not in a log of {size} entries")]
    BeyondSize {
        /// The entry's index, from 0.
        index: u64,
        /// The log's size in entries.
        size: u64,
    },
    /// A log does not shrink.
    #[error("a log of {new} entries cannot be the continuation of one of {old}")]
    Shrunk {
        /// The size it once had.
        old: u64,
        /// The size it is said to have now.
        new: u64,
    },
    /// The proof has too many or too few hashes for these sizes.
    #[error("the proof has {found} hashes, which is not what these sizes take")]
    Length {
        /// How many hashes it has.
        found: usize,
    },
    /// The hashes lead to another root: entry, index, size, proof or root was altered.
    #[error("the proof leads to another root: something was altered")]
    Root,
}
