//! The seam between what keeps things and what holds the keys: whoever stores something is given a [`Sealer`] and never
//! sees a key.

use std::fmt;

use crate::Secret;

/// Seals small values under keys that the caller never sees. The vault is one.
///
/// Sealing is authenticated: `context` says where the value belongs (table, record, tenant, day) and is not stored, so
/// a sealed value that was moved elsewhere does not open.
pub trait Sealer: Send + Sync {
    /// Seals `plain` under the newest version of the key for `purpose`.
    ///
    /// # Errors
    /// When there is no randomness, or the key has been used as often as it may be.
    fn seal(&self, purpose: Purpose, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError>;

    /// Opens what was sealed for the same purpose and context, under whichever version it was sealed.
    ///
    /// # Errors
    /// See [`SealError`]. An altered value, a moved one and one under a foreign key cannot be told apart.
    fn open(&self, purpose: Purpose, context: &[u8], sealed: &[u8]) -> Result<Secret<Vec<u8>>, SealError>;

    /// Whether it is sealed under the newest version. What is not should be opened and sealed again, so that old
    /// versions can be destroyed.
    fn is_current(&self, sealed: &[u8]) -> bool;

    /// A keyed hash for lookups: the same for the same value for as long as the installation lives, and useless to
    /// whoever has the hashes and not the key. `context` separates tables and tenants.
    fn lookup(&self, purpose: Purpose, context: &[u8], value: &[u8]) -> [u8; 32];
}

/// What a sealed value is for. Bound into it, so that none can pass as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "each purpose has its number in stored bytes")]
#[repr(u8)]
pub enum Purpose {
    /// The key that signs the ledger's checkpoints.
    LedgerSigning = 1,
    /// The key of one day's contents of one class in the ledger.
    LedgerDay = 2,
    /// A record of the store.
    StoreRecord = 3,
    /// A message of the store's outbox.
    StoreMessage = 4,
    /// An object beside the store.
    StoreObject = 5,
    /// A private key of the gateway: a certificate's, a local authority's.
    Certificate = 6,
}

impl Purpose {
    /// The purpose as text, for what is derived and for what people read.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LedgerSigning => "ledger-signing",
            Self::LedgerDay => "ledger-day",
            Self::StoreRecord => "store-record",
            Self::StoreMessage => "store-message",
            Self::StoreObject => "store-object",
            Self::Certificate => "certificate",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why something cannot be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// It was altered, moved from where it belongs, cut, or sealed under a foreign key.
    #[error("a sealed {0} does not open: it was altered, moved, or sealed by another installation")]
    Refused(Purpose),
    /// It was sealed under a version of the key that has been destroyed.
    #[error("a sealed {purpose} is under version {version} of the key, which has been destroyed")]
    Destroyed {
        /// What it is for.
        purpose: Purpose,
        /// The version.
        version: u32,
    },
    /// The system gives no randomness, or the key may not be used again.
    #[error("cannot seal a {purpose}: {cause}")]
    CannotSeal {
        /// What it is for.
        purpose: Purpose,
        /// Why not.
        cause: String,
    },
}
