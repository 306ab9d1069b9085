//! The vault: opened with a seal, it seals and opens for everybody else.

mod change;
mod create;
mod seals;

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::hmac;
use reeve_base::{Entropy, Purpose, SealError, Sealer, Secret, Timestamp};

use crate::disk::{Disk, Folder, Mark, SystemDisk};
use crate::envelope::{self, Header};
use crate::error::{CreateError, FileError, KeyError, OpenError, RingError};
use crate::id::{InstallationId, SealId};
use crate::locked::Key;
use crate::ring::{Ring, Unverified};
use crate::seal::{NewSeal, SealedBy, Unlock, file};
use crate::status::{SealStatus, Status, VersionStatus};
use crate::version::{ForPurposes, Keys, Version};

/// The keys of one installation, open.
///
/// # Several processes
///
/// Any number may have the same folder open; they share it by locks of files, so it must be on a disk of this machine.
/// Every change of the ring is made under a lock, on the ring as it is on the disk. A process notices another's
/// rotation when it meets a value of a version that it does not know, when it needs more uses, and when it is told to
/// [`refresh`](Self::refresh); until then it goes on to seal under the version that it knows, which stays openable.
/// [`destroy`](Self::destroy) therefore asks to be the only process.
///
/// # Uses
///
/// How often a version has sealed is counted in blocks of 4096 to 2^20, which are taken in the ring before they are
/// used: a process that ends wastes the rest of its block, and no restart makes a count go back. The first value that a
/// process seals writes the ring. From 2^31 on [`Status::rotation_due`] asks for a rotation, at 2^32 nothing more is sealed.
///
/// # Memory
///
/// The root key is on a page of its own that is locked where the system allows it ([`Status::memory`]). The keys
/// derived from it are in the cryptography library's contexts: ordinary memory, wiped when it is given back.
pub struct Vault {
    installation: InstallationId,
    root: Key,
    /// Derived from the root, all for the life of the installation.
    derived: Derived,
    /// Replaced as a whole after the ring was; readers never wait.
    keys: ArcSwap<Keys>,
    /// Held while this process changes the ring or takes up another's change; taken before the lock file.
    changing: Mutex<()>,
    folder: Folder,
    /// Locked shared for as long as the vault is open.
    presence: File,
    opened: SealId,
    disk: Arc<dyn Disk>,
    entropy: Arc<dyn Entropy>,
}

/// What is derived from the root alone.
struct Derived {
    ring: hmac::Key,
    audit: hmac::Key,
    lookups: ForPurposes<hmac::Key>,
    wrapping: LessSafeKey,
}

impl Vault {
    /// Makes the keys of a new installation: a folder (mode 0700) with a ring, and the seals. Ended at any instant, it
    /// leaves either nothing that counts, so that it can be called again, or everything.
    ///
    /// # Errors
    /// When there are keys already, a seal is out of bounds, or something cannot be written.
    pub fn create(
        folder: &Path,
        seals: Vec<NewSeal>,
        entropy: Arc<dyn Entropy>,
        now: Timestamp,
    ) -> Result<Self, CreateError> {
        create::create(folder, seals, entropy, now, Arc::new(SystemDisk))
    }

    /// Whether there are keys in this folder.
    ///
    /// # Errors
    /// When it cannot be found out.
    pub fn exists(folder: &Path) -> Result<bool, FileError> {
        Folder::new(folder).has_ring()
    }

    /// Opens the keys in a folder.
    ///
    /// # Errors
    /// Each way in which the ring or the seal may be lost, wrong or altered has its own; see [`OpenError`].
    pub fn open(folder: &Path, unlock: Unlock, entropy: Arc<dyn Entropy>) -> Result<Self, OpenError> {
        Self::open_on(folder, unlock, entropy, Arc::new(SystemDisk))
    }

    fn open_on(
        folder: &Path,
        unlock: Unlock,
        entropy: Arc<dyn Entropy>,
        disk: Arc<dyn Disk>,
    ) -> Result<Self, OpenError> {
        let folder = Folder::new(folder);
        if !folder.has_ring()? {
            return Err(RingError::Missing(folder.ring()).into());
        }
        // Before the ring is read: whoever destroys a version waits for those who may have read it.
        let presence = folder.lock_presence()?;
        let (unverified, mark) = Unverified::load(&folder.ring())?;
        let (root, opened) = unlock_root(&unlock, unverified.claims())?;
        let derived = Derived::from(&root, unverified.claims().installation)?;
        let ring = unverified.verify(&derived.ring).ok_or_else(|| RingError::Altered(folder.ring()))?;
        if let Unlock::File(path) = &unlock {
            file::finish(path, opened, &*disk)?;
        }
        let installation = ring.installation;
        let keys = ArcSwap::from_pointee(Keys::new(ring, mark, &derived.wrapping, None)?);
        let changing = Mutex::new(());
        Ok(Self { installation, root, derived, keys, changing, folder, presence, opened, disk, entropy })
    }

    /// Whose keys these are.
    #[must_use]
    pub const fn installation(&self) -> InstallationId {
        self.installation
    }

    /// What may be known of the keys, as this process knows them.
    #[must_use]
    pub fn status(&self) -> Status {
        let keys = self.keys.load();
        let seals = keys.ring.seals.iter().map(|seal| SealStatus {
            id: seal.id,
            kind: seal.kind(),
            created: seal.created,
            cost: match seal.by {
                SealedBy::File {} => None,
                SealedBy::Passphrase { cost, .. } => Some(cost),
            },
            opened: seal.id == self.opened,
        });
        let versions: Vec<_> =
            keys.ring.numbered().map(|(number, version)| VersionStatus::new(number, version)).collect();
        Status {
            installation: self.installation,
            generation: keys.ring.generation,
            seals: seals.collect(),
            rotation_due: versions.iter().any(VersionStatus::rotation_due),
            versions,
            memory: self.root.memory(),
        }
    }

    /// An authentication code for the trail of administrative acts: HMAC-SHA-256 under a key that never changes.
    /// `context` says what is authenticated, so that one code cannot stand for another thing.
    #[must_use]
    pub fn audit_mac(&self, context: &[u8], bytes: &[u8]) -> [u8; 32] {
        mac(&self.derived.audit, context, bytes)
    }

    /// The version under a number, if it takes a look at the disk to know it.
    fn version_on_disk(&self, number: u32) -> Option<Arc<Keys>> {
        let keys = self.keys.load_full();
        // Foreign bytes can claim any version: the file is read again only if it has changed.
        (number > keys.ring.current() && self.refresh().is_ok_and(|changed| changed)).then(|| self.keys.load_full())
    }
}

impl Sealer for Vault {
    fn seal(&self, purpose: Purpose, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let cannot = |cause: String| SealError::CannotSeal { purpose, cause };
        let version = self.usable_version().map_err(|error| cannot(error.line()))?;
        let header = Header { purpose: purpose as u8, installation: self.installation, version: version.number };
        envelope::seal(version.key(purpose), header, context, plain, &*self.entropy)
            .map_err(|error| cannot(error.to_string()))
    }

    fn open(&self, purpose: Purpose, context: &[u8], sealed: &[u8]) -> Result<Secret<Vec<u8>>, SealError> {
        let refused = SealError::Refused(purpose);
        let Some((header, _)) = envelope::read(sealed) else { return Err(refused) };
        if header.purpose != purpose as u8 || header.installation != self.installation {
            return Err(refused);
        }
        let open = |version: Option<&Version>| match version {
            Some(version) => envelope::open(version.key(purpose), context, sealed).ok_or(SealError::Refused(purpose)),
            None => Err(SealError::Destroyed { purpose, version: header.version }),
        };
        if let Some(version) = self.keys.load().version(header.version) {
            return open(version);
        }
        let keys = self.version_on_disk(header.version).ok_or_else(|| refused.clone())?;
        keys.version(header.version).map_or(Err(refused), open)
    }

    fn is_current(&self, sealed: &[u8]) -> bool {
        envelope::read(sealed).is_some_and(|(header, _)| {
            header.installation == self.installation && header.version == self.keys.load().ring.current()
        })
    }

    fn lookup(&self, purpose: Purpose, context: &[u8], value: &[u8]) -> [u8; 32] {
        mac(self.derived.lookups.of(purpose), context, value)
    }
}

impl Derived {
    fn from(root: &Key, installation: InstallationId) -> Result<Self, KeyError> {
        let lookup = |purpose: Purpose| root.derive_mac(installation, &format!("lookup {purpose}"));
        Ok(Self {
            ring: root.derive_mac(installation, "ring")?,
            audit: root.derive_mac(installation, "audit")?,
            lookups: ForPurposes::make(lookup)?,
            wrapping: root.derive_aead(installation, "wrap store key")?,
        })
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("installation", &self.installation).finish_non_exhaustive()
    }
}

/// The root of a ring that nobody has verified: with a root in hand it can be.
fn unlock_root(unlock: &Unlock, ring: &Ring) -> Result<(Key, SealId), OpenError> {
    match unlock {
        Unlock::File(path) => file::open(path, ring),
        Unlock::Passphrase(passphrase) => {
            let mut tried = false;
            for seal in ring.seals.iter().filter(|seal| matches!(seal.by, SealedBy::Passphrase { .. })) {
                tried = true;
                if let Some(root) = seal.open_with(passphrase, ring.installation)? {
                    return Ok((root, seal.id));
                }
            }
            Err(if tried { OpenError::WrongPassphrase } else { OpenError::NoPassphrase })
        }
    }
}

fn mac(key: &hmac::Key, context: &[u8], value: &[u8]) -> [u8; 32] {
    let mut code = hmac::Context::with_key(key);
    code.update(&u64::try_from(context.len()).unwrap_or(u64::MAX).to_be_bytes());
    code.update(context);
    code.update(value);
    let mut bytes = [0; 32];
    bytes.iter_mut().zip(code.sign().as_ref()).for_each(|(byte, of_code)| *byte = *of_code);
    bytes
}

/// What a fresh [`Keys`] is marked with before its file was read.
fn mark(folder: &Folder) -> Result<Mark, FileError> {
    Mark::of(&folder.ring())
}

#[cfg(test)]
mod tests;
