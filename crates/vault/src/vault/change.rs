//! Changes of the ring: rotation, destruction, uses. Each is one replacement of the file.

use std::fs::{File, TryLockError};
use std::sync::{Arc, MutexGuard, PoisonError};

use reeve_base::Timestamp;

use super::{Vault, mark};
use crate::disk;
use crate::error::{ChangeError, FileError, KeyError, RingError};
use crate::ring::{Ring, Unverified, VERSIONS_MAX, WrappedVersion};
use crate::status::VersionStatus;
use crate::version::{Keys, USES_MAX, Version};

/// The right to change the ring, of this thread in this process.
pub(super) struct Turn<'v> {
    _thread: MutexGuard<'v, ()>,
    _process: File,
    /// The ring as it is on the disk.
    pub(super) ring: Ring,
}

impl Vault {
    /// Makes a new version of the store key, which seals from now on. The ones before open as ever. Whoever keeps sealed
    /// values opens and seals anew what is not [`is_current`](reeve_base::Sealer::is_current), and then the old versions
    /// can be [destroyed](Self::destroy).
    ///
    /// # Errors
    /// When the ring cannot be replaced; nothing has changed then.
    pub fn rotate(&self, now: Timestamp) -> Result<VersionStatus, ChangeError> {
        let mut turn = self.turn()?;
        if turn.ring.versions.len() >= VERSIONS_MAX {
            return Err(ChangeError::VersionsFull(VERSIONS_MAX));
        }
        let version = new_version(&turn.ring, self, now)?;
        if let Some(last) = turn.ring.versions.last_mut() {
            last.superseded = Some(now);
        }
        let status = VersionStatus::new(turn.ring.current() + 1, &version);
        turn.ring.versions.push(version);
        self.commit(&mut turn)?;
        Ok(status)
    }

    /// Destroys an old version of the store key: whatever is still sealed under it is lost for good, here and in every
    /// backup. The caller knows that nothing is.
    ///
    /// # Errors
    /// When it is the current one, was it less than an hour ago (a value sealed then may not be stored yet), when another
    /// process has the vault open, or the ring cannot be replaced. Nothing has changed then.
    pub fn destroy(&self, version: u32, now: Timestamp) -> Result<(), ChangeError> {
        let mut turn = self.turn()?;
        if version == turn.ring.current() {
            return Err(ChangeError::CurrentVersion(version));
        }
        let found = turn.ring.version_mut(version).filter(|found| found.destroyed.is_none());
        let found = found.ok_or(ChangeError::UnknownVersion(version))?;
        let since = found.superseded.unwrap_or(found.created);
        if now.as_second() < since.as_second().saturating_add(DESTROY_AFTER_SECONDS) {
            return Err(ChangeError::TooSoon { version, since });
        }
        found.wrapped = None;
        found.destroyed = Some(now);
        let alone = self.alone()?;
        let outcome = self.commit(&mut turn);
        drop(alone);
        outcome
    }

    /// Takes up what another process changed in the ring: whether it did. Costs one look at the file if it did not.
    ///
    /// # Errors
    /// When the ring on the disk cannot be used; this process goes on with what it had.
    pub fn refresh(&self) -> Result<bool, RingError> {
        if mark(&self.folder)? == self.keys.load().mark {
            return Ok(false);
        }
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.keys.load().ring.generation;
        self.read_again()?;
        Ok(self.keys.load().ring.generation != before)
    }

    /// A version that seals, with one use of it counted.
    pub(super) fn usable_version(&self) -> Result<Arc<Version>, ChangeError> {
        loop {
            let version = self.keys.load().current().cloned().ok_or(ChangeError::Library)?;
            if version.take() {
                return Ok(version);
            }
            self.take_block(&version)?;
        }
    }

    /// Takes more uses in the ring, unless another thread just did, or another process has rotated meanwhile.
    fn take_block(&self, version: &Version) -> Result<(), ChangeError> {
        let mut turn = self.turn()?;
        let block = version.next_block();
        if turn.ring.current() != version.number || version.usable() {
            return Ok(());
        }
        let number = version.number;
        let current = turn.ring.version_mut(number).ok_or(ChangeError::UnknownVersion(number))?;
        if current.uses.saturating_add(block) > USES_MAX {
            return Err(ChangeError::Exhausted(number));
        }
        current.uses += block;
        self.commit(&mut turn)?;
        version.grant(block);
        Ok(())
    }

    /// The turn to change the ring, with the ring as it is.
    pub(super) fn turn(&self) -> Result<Turn<'_>, ChangeError> {
        let thread = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let process = self.folder.lock_to_write()?;
        self.read_again()?;
        let ring = self.keys.load().ring.clone();
        Ok(Turn { _thread: thread, _process: process, ring })
    }

    /// Replaces the file by the ring of this turn, and then what this process knows.
    pub(super) fn commit(&self, turn: &mut Turn<'_>) -> Result<(), ChangeError> {
        turn.ring.generation += 1;
        let text = turn.ring.write(&self.derived.ring).map_err(|_| ChangeError::Library)?;
        let path = self.folder.ring();
        let unfinished = disk::unfinished(&path);
        self.disk.write(&unfinished, text.as_bytes())?;
        self.disk.rename(&unfinished, &path)?;
        self.take_up(turn.ring.clone(), mark(&self.folder)?)?;
        Ok(())
    }

    /// Reads the ring, and takes it up if it is newer. Called with `changing` held.
    fn read_again(&self) -> Result<(), RingError> {
        let path = self.folder.ring();
        let (unverified, mark) = Unverified::load(&path)?;
        if unverified.claims().installation != self.installation {
            return Err(RingError::Exchanged(path));
        }
        let ring = unverified.verify(&self.derived.ring).ok_or_else(|| RingError::Altered(path.clone()))?;
        let (found, known) = (ring.generation, self.keys.load().ring.generation);
        if found < known {
            return Err(RingError::RolledBack { path, found, known });
        }
        self.take_up(ring, mark).map_err(|error| RingError::Damaged { path, cause: error.to_string() })
    }

    fn take_up(&self, ring: Ring, mark: disk::Mark) -> Result<(), KeyError> {
        let keys = Keys::new(ring, mark, &self.derived.wrapping, Some(&**self.keys.load()))?;
        self.keys.store(Arc::new(keys));
        Ok(())
    }

    /// Waits for nobody: either no other process has the vault open, and none can open it while this is held, or not.
    fn alone(&self) -> Result<Alone<'_>, ChangeError> {
        match self.presence.try_lock() {
            Ok(()) => Ok(Alone(self)),
            Err(refused) => {
                // A lock that cannot be strengthened may have been given up.
                self.folder.share_presence(&self.presence)?;
                Err(match refused {
                    TryLockError::WouldBlock => ChangeError::InUse,
                    TryLockError::Error(error) => FileError::new("lock", &self.folder.ring(), error).into(),
                })
            }
        }
    }
}

/// This process alone has the vault open, until it is dropped.
struct Alone<'v>(&'v Vault);

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        // An exclusive lock becomes a shared one without waiting; should it fail, others only wait longer.
        let _ = self.0.folder.share_presence(&self.0.presence);
    }
}

/// A fresh version, to be the next of this ring.
fn new_version(ring: &Ring, vault: &Vault, now: Timestamp) -> Result<WrappedVersion, KeyError> {
    let wrapped = Version::generate(ring.current() + 1, &vault.derived.wrapping, ring.installation, &*vault.entropy)?;
    Ok(WrappedVersion { created: now, superseded: None, destroyed: None, uses: 0, wrapped: Some(wrapped) })
}

/// However slow a disk or a database is, what was sealed before is stored by then.
const DESTROY_AFTER_SECONDS: i64 = 3600;
