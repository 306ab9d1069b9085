//! Space that is held back for the moment when a disk is full.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use crate::shelf::{FILE_MODE, ShelfError, at};

/// A file that does nothing but take space.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
}

impl Reserve {
    pub(super) fn new(folder: &Path) -> Self {
        Self { path: folder.join("reserve") }
    }

    /// Takes the space, if it is not taken yet.
    pub(super) fn make(&self) -> Result<(), ShelfError> {
        let open = OpenOptions::new().write(true).create(true).truncate(false).mode(FILE_MODE).open(&self.path);
        let mut file = open.map_err(at("make", &self.path))?;
        let taken = match fallocate(&file, FallocateFlags::empty(), 0, RESERVE_BYTES) {
            // Not every file system can do it; zeroes take space on most of those.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                io::copy(&mut io::repeat(0).take(RESERVE_BYTES), &mut file).map(drop)
            }
            other => other.map_err(io::Error::from),
        };
        taken.map_err(at("hold space back with", &self.path))
    }

    /// Gives the space back.
    pub(super) fn free(&self) {
        match fs::remove_file(&self.path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(cause = %error, "the ledger's reserve cannot be freed"),
        }
    }
}

/// As much is held back, in bytes: some thousand entries, and the tiles and the checkpoint for them.
const RESERVE_BYTES: u64 = 8 * 1024 * 1024;
