//! What a witness remembers: for each log the latest checkpoint that it cosigned, in one file.
//!
//! The file holds the checkpoints as they were cosigned, so that the witness's own signature guards its memory. It is
//! made before the key is; that it is missing while the key is there is never taken for a beginning, because a witness
//! that forgets would cosign the rewritten history it is there to refuse.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use reeve_base::Entropy;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::identity::{self, IdentityError};
use crate::proof::cosignature::CosigningKey;
use crate::proof::{Checkpoint, Head, Note, SignedCheckpoint, VerifierKey};

/// The latest checkpoint of each log, here and on the disk.
#[derive(Debug)]
pub(super) struct Memory {
    folder: PathBuf,
    heads: BTreeMap<String, Head>,
    file: Remembered,
    /// Held for as long as the witness runs: two on one folder would each remember half.
    _lock: File,
}

/// Why the memory or the key of a witness cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The disk refused.
    #[error("cannot use `{}`: {source}", path.display())]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another witness is at work.
    #[error("another witness uses `{}`; stop it, or give this one a folder of its own", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// What is written there was altered, is of another key, or is missing.
    #[error(
        "`{}` cannot be believed: {cause}; bring back its newest copy, or begin as a new witness in an empty folder and \
         give the logs its new key",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The key is not this witness's, is damaged or cannot be made.
    #[error("the key in `{}` cannot be used: {source}", path.display())]
    Identity {
        /// The key's file.
        path: PathBuf,
        /// Why.
        source: IdentityError,
    },
}

/// The file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    v: u8,
    /// By origin: the checkpoint as a note, with our cosignature.
    logs: BTreeMap<String, String>,
}

impl Memory {
    /// Reads key and memory. In a folder that is empty, or does not exist, both are made.
    pub(super) fn open(folder: &Path, name: &str, entropy: &dyn Entropy) -> Result<(Self, CosigningKey), MemoryError> {
        let lock = lock(folder)?;
        let path = folder.join(FILE);
        let identity = |source| MemoryError::Identity { path: folder.join(KEY), source };
        let remembered = read_if_there(&path)?;
        let private = read_if_there(&folder.join(KEY))?.map(Zeroizing::new);
        let (key, remembered) = match (private, remembered) {
            (Some(private), Some(remembered)) => (identity::read(&private, name).map_err(identity)?, remembered),
            (Some(_), None) => return Err(MemoryError::Damaged { path, cause: String::from("it is missing") }),
            (None, None) => {
                let nothing = serde_json::to_vec(&Remembered { v: VERSION, ..Remembered::default() });
                let nothing = nothing.unwrap_or_default();
                replace(folder, FILE, &nothing).map_err(|source| MemoryError::Disk { path: path.clone(), source })?;
                (make_key(folder, name, entropy)?, nothing)
            }
            // What a crash between the two leaves behind: a memory of nothing. Anything else once had a key.
            (None, Some(remembered)) => {
                let file: Option<Remembered> = serde_json::from_slice(&remembered).ok();
                if file.is_none_or(|file| !file.logs.is_empty()) {
                    return Err(identity(IdentityError::Missing));
                }
                (make_key(folder, name, entropy)?, remembered)
            }
        };
        let parsed = parse(&remembered, key.verifier_key());
        let (file, heads) = parsed.map_err(|cause| MemoryError::Damaged { path, cause })?;
        Ok((Self { folder: folder.to_owned(), heads, file, _lock: lock }, key))
    }

    /// The latest of a log, if there is one.
    pub(super) fn latest(&self, origin: &str) -> Option<Head> {
        self.heads.get(origin).copied()
    }

    /// Remembers a checkpoint that carries our cosignature. When this returns without error, it outlasts a crash.
    pub(super) fn remember(&mut self, checkpoint: &SignedCheckpoint) -> io::Result<()> {
        let origin = &checkpoint.checkpoint().origin;
        let mut file = self.file.clone();
        file.logs.insert(origin.clone(), checkpoint.to_string());
        replace(&self.folder, FILE, &serde_json::to_vec_pretty(&file)?)?;
        self.file = file;
        self.heads.insert(origin.clone(), checkpoint.head());
        Ok(())
    }
}

fn lock(folder: &Path) -> Result<File, MemoryError> {
    let disk = |source| MemoryError::Disk { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(disk)?;
    let lock = options().truncate(false).open(folder.join(LOCK)).map_err(disk)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(MemoryError::InUse { folder: folder.to_owned() }),
        Err(fs::TryLockError::Error(error)) => Err(disk(error)),
    }
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, MemoryError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(MemoryError::Disk { path: path.to_owned(), source }),
    }
}

fn make_key(folder: &Path, name: &str, entropy: &dyn Entropy) -> Result<CosigningKey, MemoryError> {
    let path = folder.join(KEY);
    let (key, text) =
        identity::make(name, entropy).map_err(|source| MemoryError::Identity { path: path.clone(), source })?;
    replace(folder, KEY, text.expose().as_bytes()).map_err(|source| MemoryError::Disk { path, source })?;
    Ok(key)
}

fn parse(bytes: &[u8], key: &VerifierKey) -> Result<(Remembered, BTreeMap<String, Head>), String> {
    let file: Remembered = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if file.v != VERSION {
        return Err(format!("its version is {}, and this program reads {VERSION}", file.v));
    }
    let mut heads = BTreeMap::new();
    for (origin, note) in &file.logs {
        let note = Note::parse(note.as_bytes()).map_err(|error| format!("of `{origin}`: {error}"))?;
        note.verify(std::slice::from_ref(key)).map_err(|error| format!("of `{origin}`: {error}"))?;
        let checkpoint: Checkpoint = note.text().parse().map_err(|error| format!("of `{origin}`: {error}"))?;
        if checkpoint.origin != *origin {
            return Err(format!("under `{origin}` stands a checkpoint of `{}`", checkpoint.origin));
        }
        heads.insert(origin.clone(), checkpoint.head());
    }
    Ok((file, heads))
}

/// Writes beside the file and then in its place, each step on the disk before the next: whatever happens, one of the
/// two states is there whole.
fn replace(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let next = folder.join(format!("{name}.next"));
    let mut out = options().truncate(true).open(&next)?;
    out.write_all(bytes)?;
    out.sync_all()?;
    fs::rename(&next, folder.join(name))?;
    File::open(folder)?.sync_all()
}

/// Files that only their owner reads and writes.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).write(true).mode(0o600);
    options
}

const FILE: &str = "cosigned.json";
const KEY: &str = "key";
const LOCK: &str = "lock";
const VERSION: u8 = 1;
