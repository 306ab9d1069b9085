//! Memory for keys: never swapped out where the system allows it, wiped when it is given back.

use aws_lc_rs::aead::{AES_256_GCM_SIV, LessSafeKey, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use reeve_base::Entropy;
use serde::Serialize;
use zeroize::Zeroize;

use crate::chance::{self, NoEntropy};
use crate::id::InstallationId;

/// Whether the root key's memory is kept out of the swap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MemoryLock {
    /// It is locked in RAM.
    Locked,
    /// The system refused. Everything works, and the root may reach a swap partition: encrypt it, switch it off, or
    /// raise `RLIMIT_MEMLOCK` (`LimitMEMLOCK=` of a systemd unit).
    Refused {
        /// In the system's words.
        cause: String,
    },
}

/// 256 secret bits on a page of their own.
///
/// Locks are of whole pages, and giving one back unlocks the page for all that is on it: so a key shares its page with
/// nothing. On systems with pages larger than 4 KiB its neighbours are locked with it and may unlock it early.
pub(crate) struct Key {
    // Given back before the page is: fields are dropped in the order of their declaration.
    lock: Result<region::LockGuard, String>,
    page: Box<Page>,
}

#[repr(C, align(4096))]
struct Page([u8; PAGE_BYTES]);

impl Key {
    /// From what was unsealed. `None` unless it is exactly 32 bytes.
    pub(crate) fn new(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; KEY_BYTES] = bytes.try_into().ok()?;
        let mut key = Self::zero();
        key.bytes_mut().copy_from_slice(bytes);
        Some(key)
    }

    /// A fresh one.
    pub(crate) fn random(entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        let mut key = Self::zero();
        chance::fill(entropy, key.bytes_mut())?;
        Ok(key)
    }

    fn zero() -> Self {
        let page = Box::new(Page([0; PAGE_BYTES]));
        let lock = region::lock(page.0.as_ptr(), PAGE_BYTES).map_err(|error| error.to_string());
        Self { lock, page }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.page.0.first_chunk_mut::<KEY_BYTES>().map_or(&mut [], |key| key)
    }

    /// The key itself, for wrapping it.
    pub(crate) fn expose(&self) -> &[u8] {
        self.page.0.first_chunk::<KEY_BYTES>().map_or(&[], |key| key)
    }

    /// Whether the page is locked.
    pub(crate) fn memory(&self) -> MemoryLock {
        match &self.lock {
            Ok(_) => MemoryLock::Locked,
            Err(cause) => MemoryLock::Refused { cause: cause.clone() },
        }
    }

    /// A key for AES-256-GCM-SIV, derived with HKDF-SHA-256 (RFC 5869): the installation is the salt, `label` says what
    /// for. Its bytes are seen by nobody.
    pub(crate) fn derive_aead(&self, installation: InstallationId, label: &str) -> Result<LessSafeKey, Unspecified> {
        derive_aead(self.expose(), installation, label)
    }

    /// A key for HMAC-SHA-256, derived in the same way.
    pub(crate) fn derive_mac(&self, installation: InstallationId, label: &str) -> Result<hmac::Key, Unspecified> {
        let prk = Salt::new(HKDF_SHA256, &installation.0).extract(self.expose());
        Ok(prk.expand(&[DOMAIN, b" mac ", label.as_bytes()], HMAC_SHA256)?.into())
    }
}

/// As [`Key::derive_aead`], from a secret that is no key of ours: what a seal gives.
pub(crate) fn derive_aead(
    secret: &[u8],
    installation: InstallationId,
    label: &str,
) -> Result<LessSafeKey, Unspecified> {
    let prk = Salt::new(HKDF_SHA256, &installation.0).extract(secret);
    let key: UnboundKey = prk.expand(&[DOMAIN, b" aead ", label.as_bytes()], &AES_256_GCM_SIV)?.into();
    Ok(LessSafeKey::new(key))
}

impl Drop for Key {
    fn drop(&mut self) {
        self.page.0.zeroize();
    }
}

/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 32;

/// The smallest page of the processors that Reeve is built for.
const PAGE_BYTES: usize = 4096;

/// Before every label: keys of another format of the vault share nothing with these.
const DOMAIN: &[u8] = b"reeve/1";

#[cfg(test)]
mod tests {
    use aws_lc_rs::aead::{Aad, Nonce};

    use super::*;

    /// One key, one nonce, one text: what two derived keys make of them tells whether they are the same.
    fn mark(key: &LessSafeKey) -> Vec<u8> {
        let mut text = b"the same text".to_vec();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key([0; 12]), Aad::empty(), &mut text).unwrap();
        text
    }

    #[test]
    fn derived_keys_differ_by_label_and_installation() {
        let (root, other) = (Key::new(&[7; 32]).unwrap(), Key::new(&[8; 32]).unwrap());
        let (here, there) = (InstallationId([1; 16]), InstallationId([2; 16]));
        let marks = [
            mark(&root.derive_aead(here, "store-record").unwrap()),
            mark(&root.derive_aead(here, "store-object").unwrap()),
            mark(&root.derive_aead(there, "store-record").unwrap()),
            mark(&other.derive_aead(here, "store-record").unwrap()),
        ];
        for (index, mark) in marks.iter().enumerate() {
            assert_eq!(marks.iter().position(|other| other == mark), Some(index));
        }
        assert_eq!(marks[0], mark(&root.derive_aead(here, "store-record").unwrap()));
    }

    #[test]
    fn only_256_bits_are_a_key() {
        assert!(Key::new(&[1; 31]).is_none());
        assert!(Key::new(&[1; 33]).is_none());
        assert_eq!(Key::new(&[1; 32]).unwrap().expose(), [1; 32]);
    }
}
