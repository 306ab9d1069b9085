//! Cosignatures of witnesses: a time and a signature over it and the checkpoint (c2sp.org/tlog-cosignature,
//! `cosignature/v1`).

use std::fmt;

use aws_lc_rs::signature::Ed25519KeyPair;
use reeve_base::{Secret, Timestamp};

use super::Checkpoint;
use super::note::{Algorithm, KeyError, SEED_BYTES, Signature, VerifierKey, pair_from_seed};

/// The key of a witness.
///
/// A type of its own, so that a log's key cannot cosign and a witness's cannot sign a log: the message of a
/// cosignature does not name the witness, so one key must not serve two.
pub struct CosigningKey {
    pair: Ed25519KeyPair,
    public: VerifierKey,
}

impl CosigningKey {
    /// From the private key of [`SEED_BYTES`] bytes that RFC 8032 calls the secret.
    ///
    /// # Errors
    /// When the name cannot be a key's.
    pub fn from_seed(name: &str, seed: &Secret<[u8; SEED_BYTES]>) -> Result<Self, KeyError> {
        let (pair, public) = pair_from_seed(name, Algorithm::Cosignature, seed)?;
        Ok(Self { pair, public })
    }

    /// Its public half, to be given to the logs and to everyone who verifies.
    #[must_use]
    pub const fn verifier_key(&self) -> &VerifierKey {
        &self.public
    }

    /// States that `checkpoint` is, at this time, the latest of its log that the witness knows. Whole seconds are
    /// signed; a time before 1970 counts as 1970.
    #[must_use]
    pub fn cosign(&self, checkpoint: &Checkpoint, time: Timestamp) -> Signature {
        let seconds = u64::try_from(time.as_second()).unwrap_or(0);
        let signature = self.pair.sign(message(seconds, &checkpoint.to_string()).as_bytes());
        let bytes = seconds.to_be_bytes().iter().chain(signature.as_ref()).copied().collect();
        Signature { name: self.public.name().to_owned(), id: self.public.id(), bytes }
    }
}

impl fmt::Debug for CosigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CosigningKey({})", self.public)
    }
}

/// What is signed at this time for a note's text.
pub(super) fn message(time: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// The time and the signature of a cosignature; none if it is too short or beyond the times that may be signed.
pub(super) fn split(cosignature: &[u8]) -> Option<(u64, &[u8])> {
    let (time, signature) = cosignature.split_first_chunk()?;
    let time = u64::from_be_bytes(*time);
    i64::try_from(time).ok().map(|_| (time, signature))
}
