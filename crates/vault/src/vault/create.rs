//! The first ring of an installation.

use std::path::Path;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use reeve_base::{Entropy, Timestamp};

use super::{Derived, Vault, mark};
use crate::chance;
use crate::disk::{self, Disk, Folder};
use crate::error::CreateError;
use crate::id::InstallationId;
use crate::locked::Key;
use crate::ring::{Ring, WrappedVersion};
use crate::seal::{MadeSeal, Making, NewSeal, strong_enough};
use crate::version::{Keys, Version};

/// As [`Vault::create`], on this disk. The seal files come first and get their names last: until the ring is there, they
/// count for nothing and are written anew; from then on, opening finds them under either name.
pub(super) fn create(
    folder: &Path,
    seals: Vec<NewSeal>,
    entropy: Arc<dyn Entropy>,
    now: Timestamp,
    disk: Arc<dyn Disk>,
) -> Result<Vault, CreateError> {
    check(&seals)?;
    let folder = Folder::new(folder);
    folder.make()?;
    let presence = folder.lock_presence()?;
    let writing = folder.lock_to_write()?;
    if folder.has_ring()? {
        return Err(CreateError::RingExists(folder.ring()));
    }
    let root = Key::random(&*entropy)?;
    let installation = InstallationId(chance::array(&*entropy)?);
    let derived = Derived::from(&root, installation)?;
    let making = Making { root: &root, installation, now, entropy: &*entropy };
    let made = seals.into_iter().map(|seal| making.make(seal)).collect::<Result<Vec<_>, _>>()?;

    let mut ring = Ring::new(installation);
    ring.seals = made.iter().map(|made| made.sealed.clone()).collect();
    let wrapped = Version::generate(1, &derived.wrapping, installation, &*entropy)?;
    let version = WrappedVersion { created: now, superseded: None, destroyed: None, uses: 0, wrapped: Some(wrapped) };
    ring.versions.push(version);
    write(&folder, &ring, &derived, &made, &*disk)?;
    let mark = mark(&folder)?;
    drop(writing);

    let opened = made.first().map(|made| made.sealed.id).ok_or(CreateError::NoSeal)?;
    let keys = ArcSwap::from_pointee(Keys::new(ring, mark, &derived.wrapping, None)?);
    let changing = Mutex::new(());
    Ok(Vault { installation, root, derived, keys, changing, folder, presence, opened, disk, entropy })
}

/// What can be refused before anything is made.
fn check(seals: &[NewSeal]) -> Result<(), CreateError> {
    if seals.is_empty() {
        return Err(CreateError::NoSeal);
    }
    for seal in seals {
        match seal {
            NewSeal::File(path) if path.exists() => return Err(CreateError::SealFileExists(path.clone())),
            NewSeal::File(_) => {}
            NewSeal::Passphrase { passphrase, .. } => strong_enough(passphrase)?,
        }
    }
    Ok(())
}

fn write(
    folder: &Folder,
    ring: &Ring,
    derived: &Derived,
    made: &[MadeSeal],
    disk: &dyn Disk,
) -> Result<(), CreateError> {
    let files = || made.iter().filter_map(|made| made.file.as_ref());
    for (path, file) in files() {
        disk.write(&disk::unfinished(path), file.write().as_bytes())?;
    }
    let text = ring.write(&derived.ring).map_err(|_| CreateError::Library)?;
    let path = folder.ring();
    disk.write(&disk::unfinished(&path), text.as_bytes())?;
    disk.rename(&disk::unfinished(&path), &path)?;
    for (path, _) in files() {
        disk.rename(&disk::unfinished(path), path)?;
    }
    Ok(())
}
