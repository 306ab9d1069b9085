//! The versions of the store key in memory: one ready key for each purpose, and how often they may still be used.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::aead::LessSafeKey;
use reeve_base::{Entropy, Purpose};

use crate::disk::Mark;
use crate::envelope::{self, Header};
use crate::error::KeyError;
use crate::id::InstallationId;
use crate::locked::Key;
use crate::ring::{Bytes, Ring};

/// One of each kind for every purpose. A purpose that is added to [`Purpose`] does not compile until it has one.
pub(crate) struct ForPurposes<T> {
    ledger_signing: T,
    ledger_day: T,
    store_record: T,
    store_message: T,
    store_object: T,
    certificate: T,
}

impl<T> ForPurposes<T> {
    /// One made for each.
    pub(crate) fn make<E>(mut make: impl FnMut(Purpose) -> Result<T, E>) -> Result<Self, E> {
        Ok(Self {
            ledger_signing: make(Purpose::LedgerSigning)?,
            ledger_day: make(Purpose::LedgerDay)?,
            store_record: make(Purpose::StoreRecord)?,
            store_message: make(Purpose::StoreMessage)?,
            store_object: make(Purpose::StoreObject)?,
            certificate: make(Purpose::Certificate)?,
        })
    }

    /// The one for this purpose.
    pub(crate) const fn of(&self, purpose: Purpose) -> &T {
        match purpose {
            Purpose::LedgerSigning => &self.ledger_signing,
            Purpose::LedgerDay => &self.ledger_day,
            Purpose::StoreRecord => &self.store_record,
            Purpose::StoreMessage => &self.store_message,
            Purpose::StoreObject => &self.store_object,
            Purpose::Certificate => &self.certificate,
        }
    }
}

/// The ring as it was last read or written, with its keys ready for use.
pub(crate) struct Keys {
    pub(crate) ring: Ring,
    /// Which state of the file it is.
    pub(crate) mark: Mark,
    /// By number, from 1 on. Shared with the [`Keys`] before and after, so that uses are counted once.
    versions: Vec<Option<Arc<Version>>>,
}

impl Keys {
    /// Unwraps what `before` has not unwrapped already.
    pub(crate) fn new(ring: Ring, mark: Mark, wrapping: &LessSafeKey, before: Option<&Self>) -> Result<Self, KeyError> {
        let mut versions = Vec::with_capacity(ring.versions.len());
        for (number, version) in ring.numbered() {
            let known = before.and_then(|before| before.shared(number));
            versions.push(match (&version.wrapped, known) {
                (None, _) => None,
                (Some(_), Some(known)) => Some(known),
                (Some(wrapped), None) => Some(Arc::new(Version::unwrap(number, wrapped, wrapping, ring.installation)?)),
            });
        }
        Ok(Self { ring, mark, versions })
    }

    /// The version that seals.
    pub(crate) fn current(&self) -> Option<&Arc<Version>> {
        self.versions.last()?.as_ref()
    }

    /// The version with this number. The outer `None`: there is no such number; the inner one: it was destroyed.
    pub(crate) fn version(&self, number: u32) -> Option<Option<&Version>> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.versions.get(index).map(Option::as_deref)
    }

    fn shared(&self, number: u32) -> Option<Arc<Version>> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.versions.get(index)?.clone()
    }
}

/// One version of the store key. Its own bytes are gone: it is the keys derived from it that seal.
pub(crate) struct Version {
    pub(crate) number: u32,
    keys: ForPurposes<LessSafeKey>,
    uses: Uses,
}

impl Version {
    /// A fresh key, wrapped under the root: for the ring.
    pub(crate) fn generate(
        number: u32,
        wrapping: &LessSafeKey,
        installation: InstallationId,
        entropy: &dyn Entropy,
    ) -> Result<Bytes, KeyError> {
        let key = Key::random(entropy)?;
        let header = Header { purpose: envelope::WRAPPED_KEY, installation, version: number };
        Ok(Bytes(envelope::seal(wrapping, header, CONTEXT, key.expose(), entropy)?))
    }

    fn unwrap(
        number: u32,
        wrapped: &Bytes,
        wrapping: &LessSafeKey,
        installation: InstallationId,
    ) -> Result<Self, KeyError> {
        let expected = Header { purpose: envelope::WRAPPED_KEY, installation, version: number };
        let named = envelope::read(&wrapped.0).is_some_and(|(header, _)| header == expected);
        let bytes = envelope::open(wrapping, CONTEXT, &wrapped.0).filter(|_| named).ok_or(KeyError::Library)?;
        let key = Key::new(bytes.expose()).ok_or(KeyError::Library)?;
        let keys = ForPurposes::make(|purpose| key.derive_aead(installation, purpose.as_str()))?;
        Ok(Self { number, keys, uses: Uses::default() })
    }

    /// The key that seals and opens for this purpose.
    pub(crate) const fn key(&self, purpose: Purpose) -> &LessSafeKey {
        self.keys.of(purpose)
    }

    /// Counts one use. `false`: what this process took is used up, and more is to be taken in the ring first.
    pub(crate) fn take(&self) -> bool {
        self.uses.take()
    }

    /// Whether a use can be counted without taking more first.
    pub(crate) fn usable(&self) -> bool {
        self.uses.left()
    }

    /// How many uses to take next: few for a process that seals once and ends, more the more it has used.
    pub(crate) fn next_block(&self) -> u64 {
        self.uses.taken.load(Ordering::Relaxed).clamp(BLOCK_MIN, BLOCK_MAX)
    }

    /// More uses, that stand in the ring now.
    pub(crate) fn grant(&self, uses: u64) {
        self.uses.granted.fetch_add(uses, Ordering::Relaxed);
    }
}

/// Uses of one version by this process. The ring holds the sum over all processes, in whole blocks.
#[derive(Default)]
struct Uses {
    /// Never more than `granted`.
    taken: AtomicU64,
    granted: AtomicU64,
}

impl Uses {
    fn left(&self) -> bool {
        self.taken.load(Ordering::Relaxed) < self.granted.load(Ordering::Relaxed)
    }

    fn take(&self) -> bool {
        // Only numbers are counted here, nothing is published with them.
        let next = |taken| (taken < self.granted.load(Ordering::Relaxed)).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}

/// A rotation is asked for from here on: half a nonce's worth of caution before the limit.
pub(crate) const USES_TO_ROTATE: u64 = 1 << 31;

/// With random nonces of 96 bits, two in 2^32 are equal with a chance of 2^-33 (NIST SP 800-38D, 8.3). A synthetic IV
/// would survive it; the limit is kept all the same, so that nothing hangs on one construction.
pub(crate) const USES_MAX: u64 = 1 << 32;

const BLOCK_MIN: u64 = 1 << 12;

/// At 300 000 values a second, the ring is written every three seconds.
const BLOCK_MAX: u64 = 1 << 20;

const CONTEXT: &[u8] = b"store key";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_use_is_taken_that_was_not_granted() {
        let uses = Uses::default();
        assert!(!uses.take());
        uses.granted.fetch_add(2, Ordering::Relaxed);
        assert_eq!([uses.take(), uses.take(), uses.take(), uses.take()], [true, true, false, false]);
        uses.granted.fetch_add(1, Ordering::Relaxed);
        assert_eq!([uses.take(), uses.take()], [true, false]);
    }
}
