//! A second reading of the ledger's public files: C2SP tlog-tiles, tlog-checkpoint and signed-note over RFC 6962.
//!
//! Written from the specifications, apart from the code that writes those files: one mistake in both would otherwise
//! agree with itself. It keeps to what a judge needs: all leaves, their root, and who signed it.

use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256, digest};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A hash of the tree.
pub(crate) type Hash = [u8; 32];

/// A signed head of the tree: what the log claims to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// The log's name.
    pub(crate) origin: String,
    /// How many entries.
    pub(crate) size: u64,
    /// The root over them.
    pub(crate) root: Hash,
}

/// A key of signed-note: `name+hash+base64(algorithm || key)`.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    name: String,
    hash: [u8; 4],
    algorithm: u8,
    bytes: Vec<u8>,
}

impl Key {
    /// Reads a verifier key and checks that its hash is its own.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (name, rest) = text.trim().split_once('+')?;
        let (hash, encoded) = rest.split_once('+')?;
        let material = STANDARD.decode(encoded).ok()?;
        let (algorithm, bytes) = material.split_first()?;
        let mut own = Context::new(&SHA256);
        own.update(name.as_bytes());
        own.update(b"\n");
        own.update(&material);
        let own: [u8; 4] = own.finish().as_ref().get(..4)?.try_into().ok()?;
        let stated = u32::from_str_radix(hash, 16).ok()?.to_be_bytes();
        (own == stated).then(|| Self { name: name.to_owned(), hash: own, algorithm: *algorithm, bytes: bytes.to_vec() })
    }

    /// The name that it signs under.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.bytes).verify(message, signature).is_ok()
    }
}

/// A note: a text and the signatures under it.
struct Note<'n> {
    text: &'n str,
    signatures: Vec<(&'n str, Vec<u8>)>,
}

impl<'n> Note<'n> {
    fn read(note: &'n str) -> Option<Self> {
        let at = note.rfind("\n\n")?;
        let (text, signatures) = (note.get(..=at)?, note.get(at + 2..)?);
        let signatures = signatures.lines().map(|line| {
            let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
            Some((name, STANDARD.decode(encoded).ok()?))
        });
        Some(Self { text, signatures: signatures.collect::<Option<_>>()? })
    }

    /// Whether this key signed it: as a log (algorithm 1), or as a witness with the time (algorithm 4).
    fn is_signed_by(&self, key: &Key) -> bool {
        self.signatures.iter().filter(|(name, _)| *name == key.name).any(|(_, bytes)| {
            let Some((hash, rest)) = bytes.split_at_checked(4) else { return false };
            if hash != key.hash {
                return false;
            }
            match key.algorithm {
                1 => key.verifies(self.text.as_bytes(), rest),
                4 => rest.split_at_checked(8).is_some_and(|(time, signature)| {
                    let seconds = time.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
                    let message = format!("cosignature/v1\ntime {seconds}\n{}", self.text);
                    key.verifies(message.as_bytes(), signature)
                }),
                _ => false,
            }
        })
    }
}

/// Reads a checkpoint that must be signed by this key.
pub(crate) fn checkpoint(note: &str, key: &Key) -> Result<Checkpoint, String> {
    let parsed = Note::read(note).ok_or("the checkpoint is no signed note")?;
    if !parsed.is_signed_by(key) {
        return Err(format!("the checkpoint is not signed by {}", key.name));
    }
    let mut lines = parsed.text.lines();
    let (origin, size, root) = (lines.next(), lines.next(), lines.next());
    let root = root.and_then(|root| STANDARD.decode(root).ok()).and_then(|root| root.try_into().ok());
    match (origin, size.and_then(|size| size.parse().ok()), root) {
        (Some(origin), Some(size), Some(root)) => Ok(Checkpoint { origin: origin.to_owned(), size, root }),
        _ => Err(String::from("the checkpoint's lines cannot be read")),
    }
}

/// Whether a witness cosigned the checkpoint.
pub(crate) fn is_cosigned(note: &str, witness: &Key) -> bool {
    Note::read(note).is_some_and(|note| note.is_signed_by(witness))
}

/// The hash of an entry (RFC 6962 section 2.1).
pub(crate) fn leaf_hash(leaf: &[u8]) -> Hash {
    hash(&[&[0], leaf])
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    hash(&[&[1], left, right])
}

fn hash(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// SHA-256 of salt and body: what a leaf commits to.
pub(crate) fn commitment(salt: &[u8], body: &[u8]) -> Hash {
    hash(&[salt, body])
}

/// The root over these leaf hashes: a stack of whole subtrees, joined from the right.
pub(crate) fn root(leaves: &[Hash]) -> Hash {
    let mut stack: Vec<(u32, Hash)> = Vec::new();
    for leaf in leaves {
        let mut node = (0, *leaf);
        while let Some((height, left)) = stack.pop_if(|(height, _)| *height == node.0) {
            node = (height + 1, node_hash(&left, &node.1));
        }
        stack.push(node);
    }
    let last = stack.pop().map(|(_, hash)| hash);
    let Some(last) = last else { return hash(&[]) };
    stack.iter().rev().fold(last, |right, (_, left)| node_hash(left, &right))
}

/// Whether the leaf is at `index` of the tree with this head (RFC 9162 section 2.1.3.2).
pub(crate) fn includes(leaf: &Hash, index: u64, proof: &[Hash], head: &Checkpoint) -> bool {
    if index >= head.size {
        return false;
    }
    let (mut node, mut last, mut result) = (index, head.size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            result = node_hash(sibling, &result);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            result = node_hash(&result, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && result == head.root
}

/// All that a folder claims, read whole.
#[derive(Debug, Clone)]
pub(crate) struct Copy {
    /// The checkpoint's text.
    pub(crate) note: String,
    /// The leaves, in order.
    pub(crate) leaves: Vec<Vec<u8>>,
    /// The hashes that the lowest tiles state for them.
    tiles: Vec<Hash>,
}

impl Copy {
    /// Reads the newest checkpoint of the folder and every leaf under it.
    ///
    /// # Errors
    /// With the file that is missing or cannot be read so.
    pub(crate) fn read(folder: &Path, key: &Key) -> Result<Self, String> {
        let text = |path: PathBuf| {
            fs::read_to_string(&path).map_err(|error| format!("`{}` cannot be read: {error}", path.display()))
        };
        let note = text(folder.join("checkpoint"))?;
        let head = checkpoint(&note, key)?;
        if head.size > ENTRIES_MAX {
            return Err(format!("{} entries are more than a probe reads ({ENTRIES_MAX})", head.size));
        }
        let (mut leaves, mut tiles) = (Vec::new(), Vec::new());
        let mut index = 0;
        while index * PER_TILE < head.size {
            let width = (head.size - index * PER_TILE).min(PER_TILE);
            let bundle = newest(&folder.join("tile/entries"), index, width)?;
            leaves.extend(split_bundle(&bundle, width).ok_or_else(|| format!("bundle {index} is cut or too long"))?);
            let tile = newest(&folder.join("tile/0"), index, width)?;
            let hashes = tile.chunks_exact(32).take(usize::try_from(width).unwrap_or(0));
            tiles.extend(hashes.filter_map(|hash| Hash::try_from(hash).ok()));
            index += 1;
        }
        Ok(Self { note, leaves, tiles })
    }

    /// Whether a head that was signed before is a beginning of this copy.
    pub(crate) fn continues(&self, earlier: &Checkpoint) -> bool {
        let size = usize::try_from(earlier.size).unwrap_or(usize::MAX);
        let beginning = self.leaves.get(..size);
        beginning.is_some_and(|leaves| {
            let hashes: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
            root(&hashes) == earlier.root
        })
    }

    /// Whether the leaves are those of the signed head, and the tiles say the same. The head on success.
    ///
    /// # Errors
    /// With what does not agree.
    pub(crate) fn verify(&self, key: &Key) -> Result<Checkpoint, String> {
        let head = checkpoint(&self.note, key)?;
        let hashes: Vec<Hash> = self.leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
        if hashes.len() as u64 != head.size {
            return Err(format!("there are {} entries and the head is signed over {}", hashes.len(), head.size));
        }
        if let Some(at) = (0..hashes.len()).find(|at| self.tiles.get(*at) != hashes.get(*at)) {
            return Err(format!("entry {at} is not the one that its tile holds"));
        }
        if root(&hashes) != head.root {
            return Err(String::from("the entries do not add up to the signed root"));
        }
        Ok(head)
    }
}

/// A tile or bundle of this width, or the whole one that has replaced it.
fn newest(folder: &Path, index: u64, width: u64) -> Result<Vec<u8>, String> {
    let whole = folder.join(number(index));
    let partial = if width < PER_TILE { Some(folder.join(format!("{}.p/{width}", number(index)))) } else { None };
    let paths = partial.into_iter().chain([whole.clone()]);
    paths.filter_map(|path| fs::read(path).ok()).next().ok_or_else(|| format!("`{}` is missing", whole.display()))
}

/// `x001/x234/067`.
fn number(index: u64) -> String {
    let mut text = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1000);
        rest /= 1000;
    }
    text
}

/// Entries, each behind its length in two bytes.
fn split_bundle(bytes: &[u8], count: u64) -> Option<Vec<Vec<u8>>> {
    let (mut rest, mut leaves) = (bytes, Vec::new());
    for _ in 0..count {
        let (length, after) = rest.split_at_checked(2)?;
        let length = length.iter().fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
        let (leaf, after) = after.split_at_checked(length)?;
        leaves.push(leaf.to_vec());
        rest = after;
    }
    Some(leaves)
}

/// SHA-256 in hexadecimal.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

const PER_TILE: u64 = 256;

/// Some 2 GB of leaves in memory.
const ENTRIES_MAX: u64 = 8_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of RFC 6962 section 2.1, word by word.
    fn naive(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => hash(&[]),
            [only] => *only,
            more => {
                let split = more.len().next_power_of_two() / 2;
                node_hash(&naive(&more[..split]), &naive(&more[split..]))
            }
        }
    }

    #[test]
    fn the_root_is_that_of_the_definition() {
        let leaves: Vec<Hash> = (0..300_u32).map(|number| leaf_hash(&number.to_be_bytes())).collect();
        for size in (0..70).chain([127, 128, 129, 255, 256, 257, 300]) {
            assert_eq!(root(&leaves[..size]), naive(&leaves[..size]), "{size}");
        }
    }

    #[test]
    fn numbers_are_in_groups_of_three() {
        assert_eq!(number(1_234_067), "x001/x234/067");
        assert_eq!(number(7), "007");
    }
}
