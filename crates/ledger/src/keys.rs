//! The keys of days: made, wrapped, kept in memory for as long as they are used, destroyed.
//!
//! Each class has a key of 32 random bytes for each day, sealed by the vault under [`Purpose::LedgerDay`] for exactly
//! this origin, class and day. Destroying the wrapped key destroys what was sealed under it, wherever copies of that
//! may lie.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use reeve_base::{Entropy, Purpose, SealError, Sealer};
use zeroize::Zeroizing;

use crate::content::DayKey;
use crate::log::ClassDay;
use crate::proof::Hash;
use crate::shelf::{Object, Shelf, ShelfError};

/// The day keys of one ledger.
pub(crate) struct Keyring {
    shelf: Arc<dyn Shelf>,
    sealer: Arc<dyn Sealer>,
    origin: String,
    /// Keys in use. The lock is held while a key is made, so that no day gets two.
    keys: Mutex<BTreeMap<ClassDay, Arc<DayKey>>>,
}

/// Why there is no key for a day.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The place did not do what it was asked.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// The wrapped key does not open, or cannot be wrapped.
    #[error("the day key `{path}` cannot be used: {cause}; if it is damaged, restore it from the newest copy")]
    Sealed {
        /// Which.
        path: String,
        /// What the vault said.
        cause: SealError,
    },
    /// There is no randomness.
    #[error("{0}")]
    Entropy(String),
}

impl Keyring {
    pub(crate) fn new(shelf: Arc<dyn Shelf>, sealer: Arc<dyn Sealer>, origin: &str) -> Self {
        Self { shelf, sealer, origin: origin.to_owned(), keys: Mutex::default() }
    }

    /// The key of a day; `None` if it was destroyed or never made.
    pub(crate) fn find(&self, of: ClassDay) -> Result<Option<Arc<DayKey>>, KeyError> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = keys.get(&of) {
            return Ok(Some(Arc::clone(key)));
        }
        let Some(wrapped) = self.shelf.get(&path(of))? else { return Ok(None) };
        let key = Arc::new(self.unwrap(of, &wrapped)?);
        keep(&mut keys, of, &key);
        Ok(Some(key))
    }

    /// The key of a day, made if there is none. It is on the disk before anything is sealed under it.
    pub(crate) fn find_or_make(&self, of: ClassDay, entropy: &dyn Entropy) -> Result<Arc<DayKey>, KeyError> {
        if let Some(key) = self.find(of)? {
            return Ok(key);
        }
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = keys.get(&of) {
            return Ok(Arc::clone(key));
        }
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        entropy.fill(bytes.as_mut()).map_err(|error| KeyError::Entropy(error.to_string()))?;
        let sealed = |cause| KeyError::Sealed { path: path(of), cause };
        let wrapped = self.sealer.seal(Purpose::LedgerDay, &self.context(of), bytes.as_ref()).map_err(sealed)?;
        self.shelf.put(&[Object { path: path(of), bytes: wrapped }])?;
        let key = Arc::new(self.ready(of, bytes.as_ref())?);
        keep(&mut keys, of, &key);
        Ok(key)
    }

    /// Destroys a day's key, in memory and on the medium.
    pub(crate) fn destroy(&self, of: ClassDay) -> Result<(), KeyError> {
        self.forget(of);
        Ok(self.shelf.destroy(&path(of))?)
    }

    /// Drops a key from memory.
    pub(crate) fn forget(&self, of: ClassDay) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&of);
    }

    /// A hash that names the wrapped key of a day; `None` if there is none.
    pub(crate) fn name(&self, of: ClassDay) -> Result<Option<Hash>, KeyError> {
        let wrapped = self.shelf.get(&path(of))?;
        Ok(wrapped.and_then(|wrapped| digest(&SHA256, &wrapped).as_ref().try_into().ok().map(Hash)))
    }

    /// Wraps a day's key anew if its wrapping is not the newest. Says whether it did.
    pub(crate) fn reseal(&self, of: ClassDay) -> Result<bool, KeyError> {
        let Some(wrapped) = self.shelf.get(&path(of))? else { return Ok(false) };
        if self.sealer.is_current(&wrapped) {
            return Ok(false);
        }
        let sealed = |cause| KeyError::Sealed { path: path(of), cause };
        let context = self.context(of);
        let bytes = self.sealer.open(Purpose::LedgerDay, &context, &wrapped).map_err(sealed)?;
        let wrapped = self.sealer.seal(Purpose::LedgerDay, &context, bytes.expose()).map_err(sealed)?;
        self.shelf.put(&[Object { path: path(of), bytes: wrapped }])?;
        Ok(true)
    }

    fn unwrap(&self, of: ClassDay, wrapped: &[u8]) -> Result<DayKey, KeyError> {
        let sealed = |cause| KeyError::Sealed { path: path(of), cause };
        let bytes = self.sealer.open(Purpose::LedgerDay, &self.context(of), wrapped).map_err(sealed)?;
        self.ready(of, bytes.expose())
    }

    fn ready(&self, of: ClassDay, bytes: &[u8]) -> Result<DayKey, KeyError> {
        let key = (bytes.len() == KEY_BYTES).then(|| DayKey::new(bytes, &self.origin, of)).flatten();
        key.ok_or_else(|| KeyError::Sealed { path: path(of), cause: SealError::Refused(Purpose::LedgerDay) })
    }

    fn context(&self, of: ClassDay) -> Vec<u8> {
        format!("{}|{}|{}", self.origin, of.class, of.day).into_bytes()
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({})", self.origin)
    }
}

/// Where the wrapped key of a day lies.
pub(crate) fn path(of: ClassDay) -> String {
    format!("keys/{}/{}.wrapped", of.class, of.day)
}

/// Remembers a key, and forgets the oldest of too many: a reader that walks through a year must not hold a year's keys.
fn keep(keys: &mut BTreeMap<ClassDay, Arc<DayKey>>, of: ClassDay, key: &Arc<DayKey>) {
    keys.insert(of, Arc::clone(key));
    if keys.len() > KEYS_MAX {
        let oldest = keys.keys().filter(|known| **known != of).min_by_key(|known| known.day).copied();
        oldest.map(|oldest| keys.remove(&oldest));
    }
}

/// The length of a day's key in bytes.
const KEY_BYTES: usize = 32;

/// As many keys stay in memory: today's, tomorrow's and a reader's of each class.
const KEYS_MAX: usize = 12;
