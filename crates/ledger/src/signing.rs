//! The key that signs checkpoints: 32 random bytes, made when a ledger is opened for the first time, kept sealed by the
//! vault beside the log.

use reeve_base::{Entropy, Purpose, SealError, Sealer, Secret};

use crate::proof::Signer;
use crate::proof::note::SEED_BYTES;
use crate::shelf::{Object, Shelf, ShelfError};

/// Where it lies.
pub(crate) const PATH: &str = "keys/signing.sealed";

/// Why the signing key cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SigningError {
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("the origin cannot be the name of a log")]
    Origin,
    #[error("{0}")]
    Entropy(String),
}

/// The key, if there is one.
pub(crate) fn load(shelf: &dyn Shelf, sealer: &dyn Sealer, origin: &str) -> Result<Option<Signer>, SigningError> {
    let Some(sealed) = shelf.get(PATH)? else { return Ok(None) };
    let seed = sealer.open(Purpose::LedgerSigning, origin.as_bytes(), &sealed)?;
    let seed: [u8; SEED_BYTES] =
        seed.expose().as_slice().try_into().map_err(|_| SealError::Refused(Purpose::LedgerSigning))?;
    signer(origin, &Secret::new(seed)).map(Some)
}

/// A new key, which is on the disk when this returns.
pub(crate) fn make(
    shelf: &dyn Shelf,
    sealer: &dyn Sealer,
    entropy: &dyn Entropy,
    origin: &str,
) -> Result<Signer, SigningError> {
    let mut seed = [0; SEED_BYTES];
    entropy.fill(&mut seed).map_err(|error| SigningError::Entropy(error.to_string()))?;
    let seed = Secret::new(seed);
    let signer = signer(origin, &seed)?;
    let sealed = sealer.seal(Purpose::LedgerSigning, origin.as_bytes(), seed.expose())?;
    shelf.put(&[Object { path: PATH.to_owned(), bytes: sealed }])?;
    Ok(signer)
}

/// Seals the key anew if its sealing is not the newest. Says whether it did.
pub(crate) fn reseal(shelf: &dyn Shelf, sealer: &dyn Sealer, origin: &str) -> Result<bool, SigningError> {
    let Some(sealed) = shelf.get(PATH)?.filter(|sealed| !sealer.is_current(sealed)) else { return Ok(false) };
    let seed = sealer.open(Purpose::LedgerSigning, origin.as_bytes(), &sealed)?;
    let sealed = sealer.seal(Purpose::LedgerSigning, origin.as_bytes(), seed.expose())?;
    shelf.put(&[Object { path: PATH.to_owned(), bytes: sealed }])?;
    Ok(true)
}

fn signer(origin: &str, seed: &Secret<[u8; SEED_BYTES]>) -> Result<Signer, SigningError> {
    Signer::from_seed(origin, seed).map_err(|_| SigningError::Origin)
}
