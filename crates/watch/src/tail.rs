//! One file, followed while it grows, is rotated and is cut.
//!
//! Rotation by renaming: what is left in the old file is read to its end before the new one is opened. Rotation by
//! copying and cutting: a file that is shorter than what was read of it begins anew. A line counts when its end is there;
//! one longer than [`LINE_BYTES_MAX`] is passed over, whatever its length, in the memory of a single buffer.
//!
//! [`Place`] says how far the reading has come and can be kept: the next process goes on there, if the file is still the
//! same, and with the rest of the old one if it was renamed to `.1` meanwhile.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use memchr::memchr;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

/// A file that is followed.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    /// Where an earlier process left off, until that is used.
    left_off: Option<Place>,
    /// What to do with a file that is met for the first time.
    fresh: Start,
    open: Option<Open>,
    counts: Counts,
}

/// An open file.
#[derive(Debug)]
struct Open {
    file: File,
    device: u64,
    inode: u64,
    /// How far it was read from the disk.
    read: u64,
    /// The line that has no end yet.
    line: Vec<u8>,
    /// Whether that line is too long, and is passed over.
    overlong: bool,
    head: Vec<u8>,
}

/// Where the reading of a file begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Beginning,
    End,
}

/// How far a file was read: behind its last whole line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file system.
    pub device: u64,
    /// The file.
    pub inode: u64,
    /// Behind the last line that was handed on, in bytes.
    pub offset: u64,
    /// What it begins with: a file that was cut and written anew may have the same length.
    pub head: Vec<u8>,
}

/// What was seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Lines that were handed on.
    pub lines: u64,
    /// Lines that were too long.
    pub overlong: u64,
    /// Times another file was found under the name.
    pub rotated: u64,
    /// Times the file was cut.
    pub cut: u64,
    /// Entries of a journal that are not by whom they should be, or not what such entries are.
    pub odd: u64,
}

/// Why a file cannot be followed at the moment. The next look may find it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TailError {
    /// It is not there; a service that logs may not have started.
    #[error("`{}` is not there", .0.display())]
    Missing(PathBuf),
    /// It is a folder, a pipe or a device.
    #[error("`{}` is no regular file", .0.display())]
    NotAFile(PathBuf),
    /// The system refuses.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Tail {
    /// Follows the file at `path`: from where an earlier process left off, or else from its end as it is at the first
    /// look. One that appears later is read from its beginning.
    #[must_use]
    pub fn new(path: PathBuf, left_off: Option<Place>) -> Self {
        Self { path, left_off, fresh: Start::End, open: None, counts: Counts::default() }
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Hands on the lines that have come since the last look, without their ends, from at most `bytes_max` bytes.
    /// Whether there is more to be read.
    ///
    /// # Errors
    /// See [`TailError`]. What was read before it was handed on.
    pub fn look(&mut self, bytes_max: u64, sink: &mut dyn FnMut(&[u8])) -> Result<bool, TailError> {
        let mut left = bytes_max;
        if self.open.is_none() {
            self.begin(&mut left, sink)?;
        }
        if !self.read_on(&mut left, sink)? {
            return Ok(true);
        }
        let Some(now) = self.under_the_name()? else { return Ok(false) };
        let Some(open) = &self.open else { return Ok(false) };
        if (now.dev(), now.ino()) == (open.device, open.inode) {
            if now.len() < open.read {
                self.counts.cut += 1;
                self.open = None;
                self.open_at(Start::Beginning)?;
                return Ok(true);
            }
            return Ok(false);
        }
        // Between the last reading and the renaming more may have been written.
        if !self.read_on(&mut left, sink)? {
            return Ok(true);
        }
        self.counts.rotated += 1;
        self.open = None;
        self.open_at(Start::Beginning)?;
        Ok(true)
    }

    /// How far the reading has come; what was left off where, until the file is there.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        let Some(open) = &self.open else { return self.left_off.clone() };
        // A line that is passed over is not gone back to.
        let pending = if open.overlong { 0 } else { open.line.len() as u64 };
        Some(Place { device: open.device, inode: open.inode, offset: open.read - pending, head: open.head.clone() })
    }

    /// What was seen so far.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Opens the file for the first time.
    fn begin(&mut self, left: &mut u64, sink: &mut dyn FnMut(&[u8])) -> Result<(), TailError> {
        let Some(now) = self.under_the_name()? else {
            self.fresh = Start::Beginning;
            return Err(TailError::Missing(self.path.clone()));
        };
        let Some(place) = self.left_off.clone() else {
            let start = self.fresh;
            return self.open_at(start);
        };
        if self.resume(&self.path.clone(), &place)? {
            self.left_off = None;
            return Ok(());
        }
        // It was rotated while nobody looked: its rest first, as far as it can be found.
        let mut renamed = self.path.clone().into_os_string();
        renamed.push(".1");
        let renamed = PathBuf::from(renamed);
        if (now.dev(), now.ino()) != (place.device, place.inode) && self.resume(&renamed, &place).unwrap_or(false) {
            self.counts.rotated += 1;
            // What does not fit into this look is lost: the bound is the caller's.
            self.read_on(left, sink)?;
        }
        self.left_off = None;
        self.open = None;
        self.open_at(Start::Beginning)
    }

    /// Opens the file at `path` where `place` says, if it is the same one.
    fn resume(&mut self, path: &Path, place: &Place) -> Result<bool, TailError> {
        let Some((file, about)) = open(path)? else { return Ok(false) };
        let same = (about.dev(), about.ino()) == (place.device, place.inode) && about.len() >= place.offset;
        if !same {
            return Ok(false);
        }
        let mut open = Open::new(file, &about);
        let begin = open.seek_to(place.offset).and_then(|()| Ok(open.head()?.starts_with(&place.head)));
        let begins_alike = begin.map_err(|source| TailError::Read { path: path.to_owned(), source })?;
        if begins_alike {
            open.head.clone_from(&place.head);
            self.open = Some(open);
        }
        Ok(begins_alike)
    }

    fn open_at(&mut self, start: Start) -> Result<(), TailError> {
        let Some((file, about)) = open(&self.path)? else {
            self.fresh = Start::Beginning;
            return Err(TailError::Missing(self.path.clone()));
        };
        let mut open = Open::new(file, &about);
        if start == Start::End {
            let prepared = open.seek_to_last_line(about.len());
            prepared.map_err(|source| TailError::Read { path: self.path.clone(), source })?;
        }
        self.fresh = Start::Beginning;
        self.open = Some(open);
        Ok(())
    }

    /// Reads the open file to its end, or until the bound is met; whether the end was reached.
    fn read_on(&mut self, left: &mut u64, sink: &mut dyn FnMut(&[u8])) -> Result<bool, TailError> {
        let Some(open) = &mut self.open else { return Ok(true) };
        open.read_on(left, &mut self.counts, sink).map_err(|source| TailError::Read { path: self.path.clone(), source })
    }

    fn under_the_name(&self) -> Result<Option<Metadata>, TailError> {
        match std::fs::metadata(&self.path) {
            Ok(about) if about.is_file() => Ok(Some(about)),
            Ok(_) => Err(TailError::NotAFile(self.path.clone())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(TailError::Read { path: self.path.clone(), source }),
        }
    }
}

impl Open {
    fn new(file: File, about: &Metadata) -> Self {
        let (device, inode) = (about.dev(), about.ino());
        Self { file, device, inode, read: 0, line: Vec::new(), overlong: false, head: Vec::new() }
    }

    fn seek_to(&mut self, offset: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.read = offset;
        Ok(())
    }

    /// Goes to the end, and back to the beginning of a line that is being written, if it is not far.
    fn seek_to_last_line(&mut self, end: u64) -> io::Result<()> {
        self.head = self.head()?;
        let from = end.saturating_sub(LINE_BYTES_MAX as u64);
        self.file.seek(SeekFrom::Start(from))?;
        let mut tail = Vec::new();
        (&self.file).take(end - from).read_to_end(&mut tail)?;
        let behind = memchr::memrchr(b'\n', &tail).map(|at| at as u64 + 1);
        match behind {
            Some(behind) => self.seek_to(from + behind),
            None if from == 0 => self.seek_to(0),
            None => {
                self.overlong = true;
                self.seek_to(end)
            }
        }
    }

    /// What the file begins with. Where it is read from does not change.
    fn head(&mut self) -> io::Result<Vec<u8>> {
        let mut head = Vec::with_capacity(HEAD_BYTES);
        self.file.seek(SeekFrom::Start(0))?;
        (&self.file).take(HEAD_BYTES as u64).read_to_end(&mut head)?;
        self.file.seek(SeekFrom::Start(self.read))?;
        Ok(head)
    }

    fn read_on(&mut self, left: &mut u64, counts: &mut Counts, sink: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
        let mut chunk = vec![0; CHUNK_BYTES];
        while *left > 0 {
            let count = match self.file.read(&mut chunk) {
                Ok(0) => return Ok(true),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let read = chunk.get(..count).unwrap_or_default();
            if self.head.len() < HEAD_BYTES && self.read == self.head.len() as u64 {
                self.head.extend(read.iter().take(HEAD_BYTES - self.head.len()));
            }
            self.read += count as u64;
            *left = left.saturating_sub(count as u64);
            self.lines(read, counts, sink);
        }
        Ok(false)
    }

    fn lines(&mut self, mut read: &[u8], counts: &mut Counts, sink: &mut dyn FnMut(&[u8])) {
        while let Some((piece, rest)) = memchr(b'\n', read).and_then(|at| Some((read.get(..at)?, read.get(at + 1..)?)))
        {
            read = rest;
            if self.overlong || self.line.len() + piece.len() > LINE_BYTES_MAX {
                counts.overlong += 1;
            } else if self.line.is_empty() {
                counts.lines += 1;
                sink(piece.strip_suffix(b"\r").unwrap_or(piece));
            } else {
                counts.lines += 1;
                self.line.extend_from_slice(piece);
                sink(self.line.strip_suffix(b"\r").unwrap_or(&self.line));
            }
            self.overlong = false;
            self.line.clear();
        }
        if self.overlong || self.line.len() + read.len() > LINE_BYTES_MAX {
            self.overlong = true;
            self.line = Vec::new();
        } else {
            self.line.extend_from_slice(read);
        }
    }
}

/// Opens a regular file without waiting, whatever stands under the name; nothing if there is nothing.
fn open(path: &Path) -> Result<Option<(File, Metadata)>, TailError> {
    let failed = |source| TailError::Read { path: path.to_owned(), source };
    // A pipe under the name would hold whoever opens it until somebody writes.
    let file = match OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed(source)),
    };
    let about = file.metadata().map_err(failed)?;
    if about.is_file() { Ok(Some((file, about))) } else { Err(TailError::NotAFile(path.to_owned())) }
}

/// The longest line that is read. Those of the programs that are read here are far shorter: nginx cuts its errors at
/// 2 KiB, and a request line has 8 KiB at most where nobody changed it.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

const CHUNK_BYTES: usize = 64 * 1024;

/// Enough to tell one log from another: it begins with a time.
const HEAD_BYTES: usize = 64;

#[cfg(test)]
mod tests;
