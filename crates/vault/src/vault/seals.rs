//! Changes of the seals.

use std::path::Path;

use reeve_base::Timestamp;

use super::Vault;
use super::change::Turn;
use crate::disk;
use crate::error::{ChangeError, FileError};
use crate::id::SealId;
use crate::ring::SEALS_MAX;
use crate::ring::inspect::SealKind;
use crate::seal::file::SealFile;
use crate::seal::{Making, NewSeal, Reseal, strong_enough};

impl Vault {
    /// Adds, replaces or removes a seal; returns the id of the one that came or went. The root key stays as it is:
    /// somebody who has a removed seal and a copy of the ring from that time still opens both the copy and what is sealed.
    ///
    /// # Errors
    /// When the seal is out of bounds, unknown or the last one, or something cannot be written. Nothing has changed then.
    pub fn reseal(&self, change: Reseal, now: Timestamp) -> Result<SealId, ChangeError> {
        match change {
            Reseal::AddPassphrase { passphrase, cost } => {
                strong_enough(&passphrase)?;
                self.add_passphrase(NewSeal::Passphrase { passphrase, cost }, now)
            }
            Reseal::ReplaceFile(path) => self.replace_file(&path, now),
            Reseal::Remove(seal) => self.remove(seal),
        }
    }

    fn add_passphrase(&self, seal: NewSeal, now: Timestamp) -> Result<SealId, ChangeError> {
        // Made before the turn: it takes a second in which nobody should wait.
        let made = self.making(now).make(seal)?;
        let mut turn = self.turn()?;
        if turn.ring.seals.len() >= SEALS_MAX {
            return Err(ChangeError::SealsFull(SEALS_MAX));
        }
        let id = made.sealed.id;
        turn.ring.seals.push(made.sealed);
        self.commit(&mut turn)?;
        Ok(id)
    }

    fn replace_file(&self, path: &Path, now: Timestamp) -> Result<SealId, ChangeError> {
        let mut turn = self.turn()?;
        may_stand_at(path, &turn)?;
        let made = self.making(now).make(NewSeal::File(path.to_owned()))?;
        turn.ring.seals.retain(|seal| seal.kind() != SealKind::File);
        if turn.ring.seals.len() >= SEALS_MAX {
            return Err(ChangeError::SealsFull(SEALS_MAX));
        }
        let id = made.sealed.id;
        turn.ring.seals.push(made.sealed);
        // As when the ring is made: the file first, under the name that counts only with its ring.
        let unfinished = disk::unfinished(path);
        if let Some((_, file)) = &made.file {
            self.disk.write(&unfinished, file.write().as_bytes())?;
        }
        self.commit(&mut turn)?;
        self.disk.rename(&unfinished, path)?;
        Ok(id)
    }

    fn remove(&self, seal: SealId) -> Result<SealId, ChangeError> {
        let mut turn = self.turn()?;
        if turn.ring.seal(seal).is_none() {
            return Err(ChangeError::UnknownSeal(seal));
        }
        if turn.ring.seals.len() == 1 {
            return Err(ChangeError::LastSeal(seal));
        }
        turn.ring.seals.retain(|kept| kept.id != seal);
        self.commit(&mut turn)?;
        Ok(seal)
    }

    fn making(&self, now: Timestamp) -> Making<'_> {
        Making { root: &self.root, installation: self.installation, now, entropy: &*self.entropy }
    }
}

/// Only a seal of this ring is written over: it is being replaced anyway.
fn may_stand_at(path: &Path, turn: &Turn<'_>) -> Result<(), ChangeError> {
    let exists = || ChangeError::SealFileExists(path.to_owned());
    if !path.try_exists().map_err(|error| FileError::new("read", path, error))? {
        return Ok(());
    }
    let file = SealFile::load(path).ok().flatten().ok_or_else(exists)?;
    turn.ring.seal(file.seal).map(drop).ok_or_else(exists)
}
