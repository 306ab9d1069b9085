//! What a feed has brought, in the data folder: the newest manifest, and its files in a folder of their own.
//!
//! The manifest is exchanged last and by a rename: whatever happens before it, the old one stands with all its files.
//! Both are checked again whenever they are read; what was altered on the disk is not run.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use reeve_ledger::proof::VerifierKey;

use crate::keeping::digest;
use crate::settings::Settings;

use super::{FeedError, Listed, Manifest};

/// Where a deployment keeps what its feed has brought.
#[derive(Debug, Clone)]
pub(crate) struct Cabinet {
    folder: PathBuf,
    key: VerifierKey,
}

/// Rules that a feed has brought, whole and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FeedSet {
    /// Where they lie.
    pub(crate) folder: PathBuf,
    /// What they are called.
    pub(crate) version: String,
    /// When the publisher last said so.
    pub(crate) made: Timestamp,
}

impl Cabinet {
    /// None if the settings name no feed.
    pub(crate) fn of(settings: &Settings) -> Option<Self> {
        let feed = settings.waf.feed.as_ref()?;
        Some(Self::new(&settings.data.value, feed.key.clone()))
    }

    pub(crate) fn new(data: &Path, key: VerifierKey) -> Self {
        Self { folder: data.join("rule-feed"), key }
    }

    /// The manifest that was taken last; none if there is none that this key signed.
    pub(crate) fn manifest(&self) -> Option<Manifest> {
        self.opened().map(|(manifest, _)| manifest)
    }

    /// The rules that were taken last. What is not whole is told of, and is as if it were not there.
    pub(crate) fn current(&self) -> Option<FeedSet> {
        let (manifest, folder) = self.opened()?;
        let whole = manifest.files.iter().try_for_each(|file| {
            let bytes = fs::read(folder.join(&file.path)).map_err(|_| FeedError::Altered(file.path.clone()))?;
            matches(file, &bytes)
        });
        match whole {
            Ok(()) => Some(FeedSet { folder, version: manifest.version, made: manifest.made }),
            Err(error) => {
                tracing::error!(%error, "rules of the feed are left out");
                None
            }
        }
    }

    fn opened(&self) -> Option<(Manifest, PathBuf)> {
        let bytes = fs::read(self.folder.join(CURRENT)).ok()?;
        match Manifest::open(&bytes, &self.key) {
            Ok(manifest) => Some((manifest, self.set(&bytes))),
            Err(error) => {
                tracing::error!(%error, "rules of the feed are left out");
                None
            }
        }
    }

    fn set(&self, note: &[u8]) -> PathBuf {
        self.folder.join(SETS).join(digest(note))
    }

    /// A file that was taken with an earlier state.
    pub(crate) fn known(&self, wanted: &Listed) -> Option<Vec<u8>> {
        let (manifest, folder) = self.opened()?;
        let file = manifest.files.iter().find(|file| file.sha256 == wanted.sha256)?;
        let bytes = fs::read(folder.join(&file.path)).ok()?;
        matches(wanted, &bytes).ok().map(|()| bytes)
    }

    /// Lays a state down beside the one that is current. Nothing of it counts before [`commit`](Self::commit).
    ///
    /// # Errors
    /// When a file is not what the manifest says, or cannot be written.
    pub(crate) fn stage(&self, note: &[u8], manifest: &Manifest, files: &[Vec<u8>]) -> Result<FeedSet, FeedError> {
        let folder = self.set(note);
        // What a run before has left of it.
        let _ = fs::remove_dir_all(&folder);
        for (file, bytes) in manifest.files.iter().zip(files) {
            matches(file, bytes)?;
            let path = folder.join(&file.path);
            let parent = path.parent().unwrap_or(&folder);
            fs::create_dir_all(parent).map_err(|source| FeedError::Write { path: parent.to_owned(), source })?;
            write(&path, bytes)?;
        }
        Ok(FeedSet { folder, version: manifest.version.clone(), made: manifest.made })
    }

    /// Makes a state that was laid down the current one.
    ///
    /// # Errors
    /// When the manifest cannot be written; the one before is current then.
    pub(crate) fn commit(&self, note: &[u8]) -> Result<(), FeedError> {
        let (fresh, current) = (self.folder.join(FRESH), self.folder.join(CURRENT));
        write(&fresh, note)?;
        fs::rename(&fresh, &current).map_err(|source| FeedError::Write { path: current, source })?;
        self.clear(&self.set(note));
        Ok(())
    }

    /// Removes a state that was laid down and not taken.
    pub(crate) fn discard(&self, note: &[u8]) {
        let _ = fs::remove_dir_all(self.set(note));
    }

    /// Removes what is not current. What cannot be removed is in nobody's way.
    fn clear(&self, current: &Path) {
        let Ok(entries) = fs::read_dir(self.folder.join(SETS)) else { return };
        for entry in entries.flatten().filter(|entry| entry.path() != current) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether a file is the one that a manifest names.
pub(super) fn matches(file: &Listed, bytes: &[u8]) -> Result<(), FeedError> {
    let same = bytes.len() as u64 == file.bytes && digest(bytes) == file.sha256;
    if same { Ok(()) } else { Err(FeedError::Altered(file.path.clone())) }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), FeedError> {
    let written = fs::File::create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|source| FeedError::Write { path: path.to_owned(), source })
}

const CURRENT: &str = "current.note";
const FRESH: &str = "current.note.new";
const SETS: &str = "sets";
