//! Hashes, tiles and proofs against a model that knows nothing of tiles; notes and files against what others print.

mod entry;
pub(crate) mod model;
mod note;
mod tree;
