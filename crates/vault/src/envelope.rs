//! The form of everything that is sealed or wrapped.
//!
//! ```text
//! "RVW1" | alg u8 | purpose u8 | installation 16 | version u32 BE | nonce 12 | ciphertext | tag 16
//! └──────────────────── header, 26 bytes ───────────────────────┘
//! ```
//!
//! `alg` 2 is AES-256-GCM-SIV (RFC 8452): a nonce that repeats, as after a virtual machine was cloned with the state
//! of its random numbers, gives away only that two values are equal. What is authenticated beside the value is
//! `header | length of the context, u64 BE | context`: the header has one length and the context says its own, so no
//! two pairs read the same.

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};
use reeve_base::{Entropy, Secret};
use zeroize::Zeroizing;

use crate::chance::{self, NoEntropy};
use crate::id::InstallationId;

/// What stands before a ciphertext: which key it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// A [`reeve_base::Purpose`], or one of ours from [`WRAPPED_KEY`] on.
    pub(crate) purpose: u8,
    pub(crate) installation: InstallationId,
    /// Of the store key; 0 where the root itself is sealed.
    pub(crate) version: u32,
}

/// A value cannot be sealed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnvelopeError {
    #[error("it is longer than {PLAIN_BYTES_MAX} bytes, the most that is sealed in one piece")]
    TooLong,
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    #[error("the cryptography library refuses")]
    Library,
}

/// Seals `plain` for `context` with the key that the header names. The nonce is fresh.
pub(crate) fn seal(
    key: &LessSafeKey,
    header: Header,
    context: &[u8],
    plain: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, EnvelopeError> {
    if plain.len() > PLAIN_BYTES_MAX {
        return Err(EnvelopeError::TooLong);
    }
    let nonce: [u8; NONCE_BYTES] = chance::array(entropy)?;
    let mut sealed = Vec::with_capacity(OVERHEAD_BYTES + plain.len());
    header.write(&mut sealed);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plain);
    let aad = Aad::from(authenticated(header, context));
    let body = sealed.get_mut(HEADER_BYTES + NONCE_BYTES..).unwrap_or_default();
    let tag = key
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, body)
        .map_err(|_| EnvelopeError::Library)?;
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

/// Opens it, if it was sealed with this key for this context under the header that it carries.
pub(crate) fn open(key: &LessSafeKey, context: &[u8], sealed: &[u8]) -> Option<Secret<Vec<u8>>> {
    let (header, rest) = read(sealed)?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>()?;
    let (cipher, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
    let mut plain = Zeroizing::new(vec![0; cipher.len()]);
    let aad = Aad::from(authenticated(header, context));
    key.open_separate_gather(Nonce::assume_unique_for_key(*nonce), aad, cipher, tag, &mut plain).ok()?;
    Some(Secret::new(std::mem::take(&mut plain)))
}

/// The header, and what follows it. `None`: it is nothing of ours.
pub(crate) fn read(sealed: &[u8]) -> Option<(Header, &[u8])> {
    let (magic, rest) = sealed.split_first_chunk::<4>()?;
    let (&[algorithm, purpose], rest) = rest.split_first_chunk::<2>()?;
    let (installation, rest) = rest.split_first_chunk::<16>()?;
    let (version, rest) = rest.split_first_chunk::<4>()?;
    let ours = magic == MAGIC && algorithm == AES_256_GCM_SIV;
    let header = Header { purpose, installation: InstallationId(*installation), version: u32::from_be_bytes(*version) };
    ours.then_some((header, rest))
}

impl Header {
    fn write(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[AES_256_GCM_SIV, self.purpose]);
        bytes.extend_from_slice(&self.installation.0);
        bytes.extend_from_slice(&self.version.to_be_bytes());
    }
}

/// What the tag covers beside the value.
fn authenticated(header: Header, context: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + 8 + context.len());
    header.write(&mut bytes);
    append(&mut bytes, context);
    bytes
}

/// Appends `part` behind its length, so that parts in a row can be told apart.
pub(crate) fn append(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
    bytes.extend_from_slice(part);
}

/// Purpose of a store key's version, wrapped under the root. The purposes of values stay below it.
pub(crate) const WRAPPED_KEY: u8 = 0x80;

/// Purpose of the root, sealed.
pub(crate) const SEALED_ROOT: u8 = 0x81;

const MAGIC: &[u8; 4] = b"RVW1";
const AES_256_GCM_SIV: u8 = 2;
const HEADER_BYTES: usize = 26;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// How much longer a sealed value is than what is in it.
pub(crate) const OVERHEAD_BYTES: usize = HEADER_BYTES + NONCE_BYTES + TAG_BYTES;

/// More is to be cut into pieces by whoever has it: a piece is in memory twice while it is sealed.
pub(crate) const PLAIN_BYTES_MAX: usize = 64 << 20;

#[cfg(test)]
mod tests;
