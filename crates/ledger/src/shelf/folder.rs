//! A folder of this machine: whole files, put in place by a rename, each synced before it and its folder after it.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Object, Shelf, ShelfError, Version};
use crate::lock::Lock;

/// A ledger's folder.
#[derive(Debug)]
pub(crate) struct FolderShelf {
    folder: PathBuf,
    /// Names of unfinished files. `Relaxed`: only that they differ is asked.
    unfinished: AtomicU64,
}

impl FolderShelf {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), unfinished: AtomicU64::new(0) }
    }

    /// Makes the folder if need be, takes it for this process, and removes what a crash left half-written.
    pub(crate) fn lock(&self) -> Result<Lock, ShelfError> {
        make_folder(&self.folder)?;
        let lock = Lock::take(&self.folder.join("lock"))?;
        self.clear_unfinished()?;
        Ok(lock)
    }

    fn file(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// What a crash left half-written. It never had a name that anybody reads.
    fn clear_unfinished(&self) -> Result<(), ShelfError> {
        let folder = self.file(UNFINISHED);
        make_folder(&folder)?;
        for entry in fs::read_dir(&folder).map_err(at("read", &folder))? {
            let path = entry.map_err(at("read", &folder))?.path();
            fs::remove_file(&path).map_err(at("remove", &path))?;
        }
        Ok(())
    }

    /// Writes and syncs a file that has no name yet.
    fn prepare(&self, bytes: &[u8]) -> Result<PathBuf, ShelfError> {
        let number = self.unfinished.fetch_add(1, Ordering::Relaxed);
        let path = self.file(UNFINISHED).join(number.to_string());
        write_synced(&path, bytes)?;
        Ok(path)
    }
}

impl Shelf for FolderShelf {
    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, ShelfError> {
        let file = self.file(path);
        match fs::read(&file) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if missing(&error) => Ok(None),
            Err(error) => Err(at("read", &file)(error)),
        }
    }

    fn put(&self, objects: &[Object]) -> Result<(), ShelfError> {
        let mut folders = BTreeSet::new();
        let mut prepared = Vec::with_capacity(objects.len());
        for object in objects {
            let file = self.file(&object.path);
            let parent = file.parent().unwrap_or(&self.folder).to_owned();
            if folders.insert(parent.clone()) {
                make_folder(&parent)?;
            }
            prepared.push((self.prepare(&object.bytes)?, file));
        }
        for (from, to) in prepared {
            fs::rename(&from, &to).map_err(at("write", &to))?;
        }
        folders.iter().try_for_each(|folder| sync_folder(folder))
    }

    fn versioned(&self, path: &str) -> Result<Option<(Vec<u8>, Version)>, ShelfError> {
        Ok(self.get(path)?.map(|bytes| {
            let version = Version::of(&bytes);
            (bytes, version)
        }))
    }

    /// Nobody else can write between the comparison and the rename: the folder is locked.
    fn swap(&self, path: &str, seen: Option<&Version>, bytes: &[u8]) -> Result<Version, ShelfError> {
        let found = self.get(path)?.map(|bytes| Version::of(&bytes));
        if found.as_ref() != seen {
            return Err(ShelfError::Changed { path: path.to_owned(), place: self.name() });
        }
        self.put(&[Object { path: path.to_owned(), bytes: bytes.to_owned() }])?;
        Ok(Version::of(bytes))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, ShelfError> {
        let folder = self.file(folder);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if missing(&error) => return Ok(Vec::new()),
            Err(error) => return Err(at("read", &folder)(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(at("read", &folder))?;
            let slash = if entry.file_type().map_err(at("read", &folder))?.is_dir() { "/" } else { "" };
            names.push(format!("{}{slash}", entry.file_name().to_string_lossy()));
        }
        names.sort_unstable();
        Ok(names)
    }

    fn remove(&self, paths: &[String]) -> Result<(), ShelfError> {
        let mut folders = BTreeSet::new();
        for path in paths {
            let file = self.file(path);
            match fs::remove_file(&file) {
                Ok(()) => drop(file.parent().map(|parent| folders.insert(parent.to_owned()))),
                Err(error) if missing(&error) => {}
                Err(error) => return Err(at("remove", &file)(error)),
            }
        }
        for folder in folders {
            sync_folder(&folder)?;
            // The folder goes with its last file (`….p/`, `body/<class>/<day>/`); one that holds something stays.
            drop(fs::remove_dir(&folder));
        }
        Ok(())
    }

    /// Overwrites before it unlinks. That reaches the medium where files are overwritten in place (ext4, XFS on a disk
    /// or an SSD's mapped blocks); copies that a file system or an SSD made by itself are beyond any program's reach.
    fn destroy(&self, path: &str) -> Result<(), ShelfError> {
        let file = self.file(path);
        let overwritten = OpenOptions::new().read(true).write(true).open(&file).and_then(|mut open| {
            let length = open.metadata()?.len();
            open.rewind()?;
            io::copy(&mut io::repeat(0).take(length), &mut open)?;
            open.sync_all()
        });
        match overwritten {
            Ok(()) => self.remove(&[path.to_owned()]),
            Err(error) if missing(&error) => Ok(()),
            Err(error) => Err(at("overwrite", &file)(error)),
        }
    }

    fn name(&self) -> String {
        format!("`{}`", self.folder.display())
    }
}

/// Writes one file so that it is there whole or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ShelfError> {
    let unfinished = path.with_added_extension("unfinished");
    write_synced(&unfinished, bytes)?;
    fs::rename(&unfinished, path).map_err(at("write", path))?;
    path.parent().map_or(Ok(()), sync_folder)
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), ShelfError> {
    let open = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(path);
    let written = open.and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_data()
    });
    written.map_err(|source| {
        // It would hold space that a full disk needs; a leftover goes at the next start anyway.
        drop(fs::remove_file(path));
        at("write", path)(source)
    })
}

/// Makes a folder and its parents, for this user alone, so that they survive a loss of power.
pub(crate) fn make_folder(folder: &Path) -> Result<(), ShelfError> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_folder(parent)?;
    }
    match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        Ok(()) => folder.parent().map_or(Ok(()), sync_folder),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(at("make the folder", folder)(error)),
    }
}

/// Makes durable which names a folder holds.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), ShelfError> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(at("sync", folder))
}

/// Turns an error of the system into one that says what was tried on which file.
pub(crate) fn at(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> ShelfError + use<> {
    let path = path.display().to_string();
    move |source| ShelfError::File { doing, path: path.clone(), source }
}

fn missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Files of the ledger are for its own user alone.
pub(crate) const FILE_MODE: u32 = 0o600;

/// And so are its folders.
const FOLDER_MODE: u32 = 0o700;

/// Where files are until they are whole. On the same file system as the rest, so that a rename is enough.
const UNFINISHED: &str = "unfinished";
