//! What can be seen of a ring without opening it.

use std::path::Path;

use serde::Serialize;

use super::{Fault, Unverified};
use crate::disk::Folder;
use crate::error::RingError;
use crate::id::{InstallationId, SealId};

/// What a ring says of itself to somebody without a seal. Whoever can write the file can make it say anything: good
/// for choosing what to ask for, and for nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// Whose keys these are.
    pub installation: InstallationId,
    /// Which seals there are, oldest first.
    pub seals: Vec<(SealId, SealKind)>,
}

/// How a seal keeps the root key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SealKind {
    /// Under a secret in a file of its own.
    File,
    /// Under a passphrase.
    Passphrase,
}

impl SealKind {
    /// As settings and the command line write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Passphrase => "passphrase",
        }
    }
}

impl Inspection {
    /// Reads the ring in the folder of the keys.
    ///
    /// # Errors
    /// When there is none, or it is damaged.
    pub fn of(folder: &Path) -> Result<Self, RingError> {
        let (unverified, _) = Unverified::load(&Folder::new(folder).ring())?;
        Ok(Self::new(&unverified))
    }

    /// Reads the text of a ring. `None` if it is none.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        match Unverified::read(bytes) {
            Ok(unverified) => Some(Self::new(&unverified)),
            Err(Fault::Cut | Fault::Damaged(_) | Fault::Future(_)) => None,
        }
    }

    fn new(unverified: &Unverified) -> Self {
        let ring = unverified.claims();
        let seals = ring.seals.iter().map(|seal| (seal.id, seal.kind())).collect();
        Self { installation: ring.installation, seals }
    }
}
