//! The hashes of RFC 6962, section 2.1.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A SHA-256 hash in the tree. It is written in base64 with padding, 44 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; Hash::BYTES]);

/// A log at one moment: how many entries it had, and the root over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The number of entries.
    pub size: u64,
    /// The root over exactly so many.
    pub root: Hash,
}

/// The text is not a hash in base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 hash in base64 (44 characters)")]
pub struct HashError;

impl Hash {
    /// The length of a hash in bytes.
    pub const BYTES: usize = 32;
}

/// The hash of a leaf: SHA-256 of a zero byte and the leaf.
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    // One call over a buffer on the stack takes half the time of a context with two updates, and leaves are short.
    let mut buffer = [LEAF; SHORT_LEAF_BYTES_MAX + 1];
    if let Some(room) = buffer.get_mut(1..=leaf.len()) {
        room.copy_from_slice(leaf);
        return sha256(buffer.get(..=leaf.len()).unwrap_or_default());
    }
    let mut context = Context::new(&SHA256);
    context.update(&[LEAF]);
    context.update(leaf);
    from_digest(context.finish().as_ref())
}

/// The hash of an inner node: SHA-256 of a one byte, the left and the right hash.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut buffer = [NODE; 1 + 2 * Hash::BYTES];
    let (_, hashes) = buffer.split_at_mut(1);
    let (left_half, right_half) = hashes.split_at_mut(Hash::BYTES);
    left_half.copy_from_slice(&left.0);
    right_half.copy_from_slice(&right.0);
    sha256(&buffer)
}

/// The root of the tree without entries: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    sha256(&[])
}

/// SHA-256 of these bytes as they are.
pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    from_digest(digest(&SHA256, bytes).as_ref())
}

/// SHA-256 of the parts in sequence.
pub(crate) fn sha256_of(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    from_digest(context.finish().as_ref())
}

fn from_digest(digest: &[u8]) -> Hash {
    // INVARIANT: SHA-256 gives 32 bytes; were it ever otherwise, nothing would verify.
    Hash(digest.try_into().unwrap_or_default())
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = HashError;

    /// Reads the one way to write a hash in base64: with padding, and without bits that mean nothing.
    fn from_str(text: &str) -> Result<Self, HashError> {
        let bytes = STANDARD.decode(text).map_err(|_| HashError)?;
        bytes.try_into().map(Self).map_err(|_| HashError)
    }
}

const LEAF: u8 = 0;
const NODE: u8 = 1;

/// The longest leaf that is hashed in one call.
const SHORT_LEAF_BYTES_MAX: usize = 1023;

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(hash: Hash) -> String {
        hash.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn hashes_are_those_of_the_rfc() {
        assert_eq!(hex(empty_root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(hex(leaf_hash(b"")), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        let (left, right) = (leaf_hash(b""), leaf_hash(b"\x00"));
        let both = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125";
        assert_eq!(hex(node_hash(&left, &right)), both);
    }

    #[test]
    fn a_long_leaf_hashes_like_a_short_one() {
        for length in [0, 1, SHORT_LEAF_BYTES_MAX - 1, SHORT_LEAF_BYTES_MAX, SHORT_LEAF_BYTES_MAX + 1, 65_535] {
            let leaf = vec![7; length];
            assert_eq!(leaf_hash(&leaf), sha256_of(&[&[0], &leaf]), "of {length} bytes");
        }
    }

    #[test]
    fn base64_is_read_in_one_way_only() {
        let hash = leaf_hash(b"");
        let text = hash.to_string();
        assert_eq!(text.parse(), Ok(hash));
        let unpadded = text.trim_end_matches('=');
        for wrong in ["", unpadded, &format!("{text}="), &format!(" {text}"), &format!("{text}\n"), "AAAA"] {
            assert_eq!(wrong.parse::<Hash>(), Err(HashError), "{wrong}");
        }
        let trailing_bits = format!("{}J=", text.get(..42).unwrap());
        assert_eq!(trailing_bits.parse::<Hash>(), Err(HashError));
    }
}
