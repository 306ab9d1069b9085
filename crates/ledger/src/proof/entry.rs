//! The file of `reeve ledger prove`: one entry with everything that it takes to believe it, and nothing to ask
//! (c2sp.org/tlog-proof, file name ending `.tlog-proof`).
//!
//! The form leaves an `extra` line to the application. Ours holds, in base64, a JSON object with what the leaf's hash
//! and its commitment are computed from: `{"leaf": "<the leaf>", "salt": "<base64>", "body": "<base64>"}`, without salt
//! and body if only the leaf is to be shown, or if the contents are destroyed.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::checkpoint::{CheckpointError, SignedCheckpoint, parse_decimal};
use super::leaf::{LEAF_BYTES_MAX, Leaf, LeafError, SALT_BYTES, commitment};
use super::note::{NOTE_BYTES_MAX, NoteError, Verified, VerifierKey};
use super::{Hash, ProofError, leaf_hash, verify_inclusion};

/// The longest contents that a proof can hold, in bytes.
pub const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The longest file that is read, in bytes: the greatest contents in base64 twice over, and the rest.
pub const FILE_BYTES_MAX: usize = BODY_BYTES_MAX / 9 * 16 + NOTE_BYTES_MAX + 64 * 1024;

/// The proof of one entry. That it was read says nothing: see [`EntryProof::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryProof {
    /// The leaf's bytes.
    pub leaf: Vec<u8>,
    /// What the leaf commits to, if it is shown.
    pub contents: Option<Contents>,
    /// The entry's number in the log, from 0.
    pub index: u64,
    /// The way to the root ([`super::inclusion`]).
    pub inclusion: Vec<Hash>,
    /// The checkpoint that is proved against, as a note with its signatures.
    pub checkpoint: String,
}

/// What an entry holds, and what its commitment was salted with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The salt.
    pub salt: [u8; SALT_BYTES],
    /// The contents.
    pub body: Vec<u8>,
}

/// What a proof proves. Made only by [`EntryProof::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    /// What everyone may see of the entry.
    pub leaf: Leaf,
    /// The checkpoint.
    pub checkpoint: SignedCheckpoint,
    /// Which witnesses cosigned that, and when.
    pub witnesses: Vec<Verified>,
}

/// Why a file proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryProofError {
    /// Not written like one.
    #[error("not the proof of an entry: {0}")]
    Malformed(&'static str),
    /// The entry is not a leaf.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// The leaf says that it is another entry.
    #[error("the leaf is that of entry {found}, the proof is of entry {expected}")]
    Sequence {
        /// What the leaf says.
        found: u64,
        /// What the proof says.
        expected: u64,
    },
    /// Salt and contents are not those that the leaf commits to.
    #[error("the contents are not those that the leaf commits to")]
    Contents,
    /// The checkpoint is not the log's.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The entry is not in the log of that checkpoint.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// A cosignature is wrong.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Too few witnesses.
    #[error("{found} of the known witnesses cosigned the checkpoint, and {quorum} are asked for")]
    Quorum {
        /// How many did.
        found: usize,
        /// How many are asked for.
        quorum: usize,
    },
}

impl EntryProof {
    /// Verifies everything that the file says: that the log signed the checkpoint, that `quorum` of `witnesses`
    /// cosigned it, that the entry is in it, and that the contents, if they are there, are the entry's.
    ///
    /// # Errors
    /// At the first that does not hold.
    pub fn verify(
        &self,
        log: &[VerifierKey],
        witnesses: &[VerifierKey],
        quorum: usize,
    ) -> Result<Proved, EntryProofError> {
        let checkpoint = SignedCheckpoint::open(self.checkpoint.as_bytes(), log)?;
        let witnesses = checkpoint.cosigned_by(witnesses)?;
        if witnesses.len() < quorum {
            return Err(EntryProofError::Quorum { found: witnesses.len(), quorum });
        }
        verify_inclusion(&leaf_hash(&self.leaf), self.index, checkpoint.head(), &self.inclusion)?;
        let leaf = Leaf::parse(&self.leaf)?;
        if leaf.seq != self.index {
            return Err(EntryProofError::Sequence { found: leaf.seq, expected: self.index });
        }
        let fits = |contents: &Contents| commitment(&contents.salt, &contents.body) == leaf.commit;
        if !self.contents.as_ref().is_none_or(fits) {
            return Err(EntryProofError::Contents);
        }
        Ok(Proved { leaf, checkpoint, witnesses })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`EntryProofError::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, EntryProofError> {
        let malformed = EntryProofError::Malformed;
        if bytes.len() > FILE_BYTES_MAX {
            return Err(malformed("it is too large"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("it is not text"))?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(malformed("it ends before the checkpoint"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(malformed("it does not begin with `c2sp.org/tlog-proof@v1`"));
        }
        let extra = lines.next().and_then(|line| line.strip_prefix("extra "));
        let (leaf, contents) = extra.and_then(parse_extra).ok_or(malformed("its second line is not our `extra`"))?;
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(parse_decimal);
        let index = index.ok_or(malformed("its third line is not an index"))?;
        let hashes: Result<Vec<Hash>, _> = lines.by_ref().take(PROOF_HASHES_MAX + 1).map(Hash::from_str).collect();
        let inclusion = hashes.map_err(|_| malformed("a line before the blank one is not a hash"))?;
        if inclusion.len() > PROOF_HASHES_MAX {
            return Err(malformed("it has more than 64 hashes"));
        }
        Ok(Self { leaf, contents, index, inclusion, checkpoint: checkpoint.to_owned() })
    }
}

impl fmt::Display for EntryProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extra = Extra {
            leaf: String::from_utf8_lossy(&self.leaf).into_owned(),
            salt: self.contents.as_ref().map(|contents| STANDARD.encode(contents.salt)),
            body: self.contents.as_ref().map(|contents| STANDARD.encode(&contents.body)),
        };
        let extra = serde_json::to_vec(&extra).map_err(|_| fmt::Error)?;
        writeln!(f, "{HEADER}\nextra {}\nindex {}", STANDARD.encode(extra), self.index)?;
        self.inclusion.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Extra {
    leaf: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    salt: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

fn parse_extra(text: &str) -> Option<(Vec<u8>, Option<Contents>)> {
    let extra: Extra = serde_json::from_slice(&STANDARD.decode(text).ok()?).ok()?;
    let contents = match (extra.salt, extra.body) {
        (None, None) => None,
        (Some(salt), Some(body)) => {
            let salt = STANDARD.decode(salt).ok()?.try_into().ok()?;
            Some(Contents { salt, body: STANDARD.decode(body).ok().filter(|body| body.len() <= BODY_BYTES_MAX)? })
        }
        _ => return None,
    };
    let leaf = extra.leaf.into_bytes();
    (leaf.len() <= LEAF_BYTES_MAX).then_some((leaf, contents))
}

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// A tree of 64 bits of size is no deeper.
const PROOF_HASHES_MAX: usize = 64;
