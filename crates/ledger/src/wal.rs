//! The write-ahead log: what is acknowledged as durable and not yet sealed into the tree.
//!
//! Numbered files of batches, each batch written by one write and made durable by one `fdatasync` before any of its
//! entries is acknowledged. A file is removed when a signed checkpoint covers all that is in it.
//!
//! **After a crash** the last batch of the last file may be torn. It is cut off if it is *incomplete*: the file ends
//! inside of it, or sectors of it were never written (they are zeroes). No part of it was acknowledged. A batch that is
//! complete and wrong, or an incomplete one that is not the last, is damage to what was acknowledged, and opening is
//! refused with the place: nothing that was acknowledged is dropped in silence.
//!
//! **After a failed write or sync** the file is not trusted any more, whatever a later sync says: the kernel reports a
//! lost page once and then forgets it. All unsealed entries are in memory; they go to a new file, which replaces all
//! older ones as soon as it is durable ([`Wal::rescue`]).

mod batch;
mod replay;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::Date;

use crate::log::{Class, ClassDay};
use crate::shelf::{FILE_MODE, ShelfError, at, sync_folder};

use batch::FileHeader;
pub(crate) use replay::Replay;

/// One entry as it is written: everything that its leaf, its bundle and its segment are made of, so that sealing it
/// after a crash gives the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) seq: u64,
    pub(crate) class: Class,
    pub(crate) day: Date,
    /// The leaf's bytes.
    pub(crate) leaf: Vec<u8>,
    /// The sealed contents.
    pub(crate) content: Vec<u8>,
}

impl Frame {
    /// Whose key its contents are sealed under.
    pub(crate) const fn of(&self) -> ClassDay {
        ClassDay { class: self.class, day: self.day }
    }

    /// What it takes of memory and of the disk, about.
    pub(crate) const fn size(&self) -> usize {
        self.leaf.len() + self.content.len() + FRAME_OVERHEAD_BYTES
    }
}

/// The open write-ahead log.
pub(crate) struct Wal {
    folder: PathBuf,
    /// Names the ledger that the files belong to.
    ledger: [u8; 32],
    current: Current,
    /// Older files, oldest first, with the number of the first entry that none of them holds any more.
    older: Vec<(PathBuf, u64)>,
    /// Reused from batch to batch.
    buffer: Vec<u8>,
    disk: Arc<dyn Disk>,
}

struct Current {
    file: File,
    path: PathBuf,
    number: u64,
    /// Where the next batch goes.
    length: u64,
    /// The entry after the last one in it.
    end: u64,
}

/// How files reach the medium. A test puts a disk in place that fails.
pub(crate) trait Disk: Send + Sync {
    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }
}

/// The machine's own.
pub(crate) struct SystemDisk;

impl Disk for SystemDisk {}

/// Why the write-ahead log cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] ShelfError),
    /// What was acknowledged is damaged.
    #[error(
        "the write-ahead log `{path}` is damaged at byte {offset}: {cause}; entries from {seq} on were acknowledged and \
         cannot all be read: restore the file from a copy, or move it away to go on without them"
    )]
    Damaged {
        /// The file.
        path: String,
        /// Where the damage begins, in bytes.
        offset: u64,
        /// What is wrong there.
        cause: &'static str,
        /// The first entry that may be lost.
        seq: u64,
    },
    /// Entries between the sealed and the first unsealed one are missing.
    #[error(
        "the write-ahead log `{folder}` begins with entry {found}, and the ledger ends before entry {expected}: a file \
         is missing, or the ledger's storage is an older copy; put back what belongs together"
    )]
    Gap {
        /// The folder.
        folder: String,
        /// The next entry that the ledger lacks.
        expected: u64,
        /// The first that is there.
        found: u64,
    },
    /// It belongs to another ledger.
    #[error("the write-ahead log `{path}` is that of another ledger; give each ledger a folder of its own")]
    Foreign {
        /// The file.
        path: String,
    },
}

impl Wal {
    /// Reads what is there, cuts off what was never acknowledged, and begins a new file. `sealed` is the size of the
    /// last checkpoint.
    pub(crate) fn open(
        folder: &Path,
        ledger: [u8; 32],
        sealed: u64,
        disk: Arc<dyn Disk>,
    ) -> Result<(Self, Replay), WalError> {
        let replay = replay::read(folder, &ledger, sealed)?;
        for path in &replay.obsolete {
            fs::remove_file(path).map_err(at("remove", path))?;
        }
        let number = replay.last_number + 1;
        let end = replay.end.max(sealed);
        let current = Current::begin(folder, number, FileHeader { ledger, first: end, carried: None }, &*disk)?;
        let older = replay.files.clone();
        Ok((Self { folder: folder.to_owned(), ledger, current, older, buffer: Vec::new(), disk }, replay))
    }

    /// Writes a batch and makes it durable. After an error, only [`Wal::rescue`] is allowed.
    pub(crate) fn append(&mut self, frames: &[Arc<Frame>]) -> Result<(), WalError> {
        if self.current.length > FILE_BYTES_MAX {
            self.rotate()?;
        }
        self.buffer.clear();
        batch::encode(frames, self.current.length, &self.ledger, &mut self.buffer);
        self.current.write(&self.buffer, &*self.disk)?;
        self.buffer.shrink_to(BUFFER_BYTES_MAX);
        self.current.end = frames.last().map_or(self.current.end, |last| last.seq + 1);
        Ok(())
    }

    /// Begins a file with all that is unsealed, and drops the older files once it is durable.
    pub(crate) fn rescue(&mut self, next: u64, unsealed: &[Arc<Frame>]) -> Result<(), WalError> {
        let first = unsealed.first().map_or(next, |frame| frame.seq);
        let header = FileHeader { ledger: self.ledger, first, carried: Some(next - first) };
        let number = self.current.number + 1;
        let path = file_path(&self.folder, number);
        let rescued = self.carry(number, header, unsealed);
        let current = rescued.inspect_err(|_| drop(fs::remove_file(&path)))?;
        let before = std::mem::replace(&mut self.current, current);
        let older = std::mem::take(&mut self.older);
        for path in older.iter().map(|(path, _)| path).chain([&before.path]) {
            fs::remove_file(path).map_err(at("remove", path))?;
        }
        Ok(sync_folder(&self.folder)?)
    }

    fn carry(&self, number: u64, header: FileHeader, unsealed: &[Arc<Frame>]) -> Result<Current, WalError> {
        let mut current = Current::begin(&self.folder, number, header, &*self.disk)?;
        for frames in unsealed.chunks(RESCUE_ENTRIES) {
            let mut bytes = Vec::new();
            batch::encode(frames, current.length, &self.ledger, &mut bytes);
            current.write(&bytes, &*self.disk)?;
            current.end = frames.last().map_or(current.end, |last| last.seq + 1);
        }
        Ok(current)
    }

    /// Removes the files that hold only entries below `sealed`, the size of a checkpoint that is durable.
    pub(crate) fn release(&mut self, sealed: u64) -> Result<(), WalError> {
        let done = self.older.iter().take_while(|(_, end)| *end <= sealed).count();
        for (path, _) in self.older.drain(..done) {
            fs::remove_file(&path).map_err(at("remove", &path))?;
        }
        Ok(())
    }

    /// Removes all files: everything is sealed.
    pub(crate) fn finish(mut self, sealed: u64) -> Result<(), WalError> {
        self.release(sealed)?;
        if self.older.is_empty() && self.current.end <= sealed {
            fs::remove_file(&self.current.path).map_err(at("remove", &self.current.path))?;
        }
        Ok(sync_folder(&self.folder)?)
    }

    fn rotate(&mut self) -> Result<(), WalError> {
        let header = FileHeader { ledger: self.ledger, first: self.current.end, carried: None };
        let next = Current::begin(&self.folder, self.current.number + 1, header, &*self.disk)?;
        let before = std::mem::replace(&mut self.current, next);
        self.older.push((before.path, before.end));
        Ok(())
    }
}

impl Current {
    fn begin(folder: &Path, number: u64, header: FileHeader, disk: &dyn Disk) -> Result<Self, WalError> {
        let path = file_path(folder, number);
        let open = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&path);
        let file = open.map_err(at("make", &path))?;
        let mut current = Self { file, path, number, length: 0, end: header.first };
        let begun = current.write(&header.encode(), disk).and_then(|()| Ok(sync_folder(folder)?));
        // Its number is going to be used again.
        begun.inspect_err(|_| drop(fs::remove_file(&current.path)))?;
        Ok(current)
    }

    fn write(&mut self, bytes: &[u8], disk: &dyn Disk) -> Result<(), WalError> {
        disk.write(&mut self.file, bytes).map_err(at("write", &self.path))?;
        disk.sync(&self.file).map_err(at("sync", &self.path))?;
        self.length += bytes.len() as u64;
        Ok(())
    }
}

fn file_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:016}.{EXTENSION}"))
}

/// What the files are called.
const EXTENSION: &str = "wal";

/// A file is followed by a new one at this length: what is sealed takes no more of the disk than this and what was
/// written within one seal.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A batch's buffer is kept up to this size.
const BUFFER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How many entries go into one batch of a rescue.
const RESCUE_ENTRIES: usize = 1024;

/// What a frame has beside leaf and contents, in bytes.
const FRAME_OVERHEAD_BYTES: usize = 16;

#[cfg(test)]
mod tests;
