//! Where the sealed ledger lies: a folder or a bucket, behind one trait.
//!
//! Everything is whole objects under paths like `tile/0/x001/067`. Most are written once: tiles, bundles and segments
//! have their place in the log in their name, so that the same name always means the same bytes. What changes
//! (`checkpoint`, `writer`) changes by compare-and-swap.

mod bucket;
mod folder;

use std::fmt;
use std::io;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};

use crate::lock::Lock;
use crate::settings::Place;

pub(crate) use bucket::BucketShelf;
pub(crate) use folder::{FILE_MODE, FolderShelf, at, make_folder, sync_folder, write_whole};

/// Keeps objects. Every call blocks until what it did would survive a loss of power.
pub(crate) trait Shelf: Send + Sync + fmt::Debug {
    /// An object's bytes; `None` if there is none.
    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, ShelfError>;

    /// Writes objects that have one possible content each. One that is there already with the same bytes is left; one
    /// with other bytes is what a crash or a displaced writer left beyond the checkpoint, and is replaced.
    fn put(&self, objects: &[Object]) -> Result<(), ShelfError>;

    /// An object's bytes and version, for [`Shelf::swap`].
    fn versioned(&self, path: &str) -> Result<Option<(Vec<u8>, Version)>, ShelfError>;

    /// Replaces the object if it is still at the version `seen`, or makes it if nothing was seen. What is there
    /// afterwards is read back and compared.
    fn swap(&self, path: &str, seen: Option<&Version>, bytes: &[u8]) -> Result<Version, ShelfError>;

    /// The names directly below a folder, sorted; those of folders end with a slash. None if there is no such folder.
    fn list(&self, folder: &str) -> Result<Vec<String>, ShelfError>;

    /// Removes objects; those that are not there are fine.
    fn remove(&self, paths: &[String]) -> Result<(), ShelfError>;

    /// Removes an object so that its bytes are gone from the medium, as far as the medium lets itself be told.
    fn destroy(&self, path: &str) -> Result<(), ShelfError>;

    /// The place in words, for messages.
    fn name(&self) -> String;
}

/// An object to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
}

/// Which content an object had: the bucket's entity tag, or a hash of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version(String);

impl Version {
    fn of(bytes: &[u8]) -> Self {
        Self(digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// Opens the place that settings name.
pub(crate) fn open(place: &Place) -> Result<Arc<dyn Shelf>, ShelfError> {
    Ok(match place {
        Place::Folder(folder) => Arc::new(FolderShelf::new(folder)),
        Place::Bucket(bucket) => Arc::new(BucketShelf::open(bucket)?),
    })
}

/// Makes sure that nobody else of this machine writes there, and that writing can begin. A bucket has no locks: its
/// `checkpoint` and `writer` are compared and swapped.
pub(crate) fn lock(place: &Place) -> Result<Option<Lock>, ShelfError> {
    match place {
        Place::Folder(folder) => FolderShelf::new(folder).lock().map(Some),
        Place::Bucket(_) => Ok(None),
    }
}

/// Why the place where the ledger is kept did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShelfError {
    /// A file could not be read or written.
    #[error("cannot {doing} `{path}`: {source}")]
    File {
        /// What was tried: `read`, `write`.
        doing: &'static str,
        /// The whole path.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Another process holds the folder.
    #[error("`{path}` is in use by another process{holder}; stop that one first: a ledger has one writer")]
    Locked {
        /// The lock file.
        path: String,
        /// ` (process 123)`, if it said so.
        holder: String,
    },
    /// A bucket did not do it, after the time it was given.
    #[error("cannot {doing} `{path}` in {bucket}: {cause}")]
    Bucket {
        /// What was tried.
        doing: &'static str,
        /// The key below the prefix.
        path: String,
        /// The bucket as `s3://name/prefix`.
        bucket: String,
        /// What the client library said.
        cause: String,
    },
    /// The settings of a bucket cannot be used.
    #[error("the bucket `{name}` cannot be used as it is set: {cause}")]
    BucketSettings {
        /// The bucket's name.
        name: String,
        /// What is wrong.
        cause: String,
    },
    /// The object was changed by somebody else since it was read.
    #[error("`{path}` in {place} was changed by another process: two processes write this ledger; stop one of them")]
    Changed {
        /// Its path.
        path: String,
        /// The folder or bucket.
        place: String,
    },
    /// The bucket said that it wrote, and holds something else.
    #[error(
        "{place} said that `{path}` was written, but other bytes are there: it does not keep its promise of conditional \
         writes, or somebody else writes without them; use a bucket that honours If-Match and If-None-Match"
    )]
    Lied {
        /// Its path.
        path: String,
        /// The bucket.
        place: String,
    },
}
