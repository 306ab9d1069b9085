//! What a log sends to a witness: the size that it believes to be known there, why its checkpoint continues that, and
//! the checkpoint.

use std::fmt;

use crate::proof::checkpoint::{CheckpointError, parse_decimal};
use crate::proof::{Checkpoint, Hash, Note, SignedCheckpoint, VerifierKey};

/// The longest request that is read, in bytes. The longest that makes sense has 63 hashes and a checkpoint.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// The body of a request to `add-checkpoint`. That it was read says nothing about signatures or proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size that the client believes to be the latest that the witness cosigned; 0 if it does not know.
    pub old: u64,
    /// Why the checkpoint continues that. At most 63 hashes.
    pub proof: Vec<Hash>,
    origin: String,
    note: Note,
}

/// Why a request cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Longer than [`REQUEST_BYTES_MAX`].
    #[error("the request has more than {REQUEST_BYTES_MAX} bytes")]
    TooLong,
    /// Not text.
    #[error("the request is not text")]
    NotText,
    /// The first line is not `old <size>`.
    #[error("the first line is not `old` and a size")]
    Old,
    /// No blank line after the proof.
    #[error("no blank line stands before the checkpoint")]
    NoCheckpoint,
    /// A line of the proof is not a hash.
    #[error("line {0} of the consistency proof is not a hash")]
    Hash(usize),
    /// More hashes than any two sizes take.
    #[error("the consistency proof has more than {PROOF_HASHES_MAX} hashes")]
    TooManyHashes,
    /// The checkpoint is not one.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The size before is greater than the size after.
    #[error("the old size {old} is greater than the checkpoint's, {size}")]
    OldSize {
        /// The size before.
        old: u64,
        /// The checkpoint's.
        size: u64,
    },
}

impl AddCheckpoint {
    /// The request that a signed checkpoint makes.
    #[must_use]
    pub fn new(old: u64, proof: Vec<Hash>, checkpoint: &SignedCheckpoint) -> Self {
        Self { old, proof, origin: checkpoint.checkpoint().origin.clone(), note: checkpoint.note().clone() }
    }

    /// Reads a request.
    ///
    /// # Errors
    /// When it is not written exactly as the protocol says.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        if body.len() > REQUEST_BYTES_MAX {
            return Err(RequestError::TooLong);
        }
        let text = std::str::from_utf8(body).map_err(|_| RequestError::NotText)?;
        let (head, note) = text.split_once("\n\n").ok_or(RequestError::NoCheckpoint)?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(parse_decimal);
        let old = old.ok_or(RequestError::Old)?;
        let mut proof = Vec::new();
        for (line, number) in lines.zip(1..) {
            if number > PROOF_HASHES_MAX {
                return Err(RequestError::TooManyHashes);
            }
            proof.push(line.parse().map_err(|_| RequestError::Hash(number))?);
        }
        let note = Note::parse(note.as_bytes()).map_err(CheckpointError::from)?;
        let Checkpoint { origin, .. } = note.text().parse()?;
        Ok(Self { old, proof, origin, note })
    }

    /// The log that the checkpoint says to be of.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The checkpoint, if one of these keys signed it.
    ///
    /// # Errors
    /// When none did, or it is not of their log.
    pub fn open(&self, keys: &[VerifierKey]) -> Result<SignedCheckpoint, CheckpointError> {
        SignedCheckpoint::from_note(self.note.clone(), keys)
    }
}

impl fmt::Display for AddCheckpoint {
    /// The body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.note)
    }
}

/// The most hashes that a request may have (c2sp.org/tlog-witness, "add-checkpoint").
const PROOF_HASHES_MAX: usize = 63;
