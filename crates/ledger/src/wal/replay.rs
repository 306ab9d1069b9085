//! Reading the write-ahead log after a stop, however it came.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use super::batch::{self, FILE_HEADER_BYTES, FileHeader, Found};
use super::{EXTENSION, Frame, WalError};
use crate::shelf::at;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    /// The entries that are not sealed, without a gap from the checkpoint's size on.
    pub(crate) frames: Vec<Frame>,
    /// How many bytes were cut off because they had never been acknowledged.
    pub(crate) cut: u64,
    /// Files that still hold something, with the entry after their last one; oldest first.
    pub(super) files: Vec<(PathBuf, u64)>,
    /// Files that hold nothing of use.
    pub(super) obsolete: Vec<PathBuf>,
    pub(super) last_number: u64,
    /// The entry after the last one.
    pub(super) end: u64,
}

/// Reads all files of `folder`, cuts the last one where it ends in an incomplete batch.
pub(super) fn read(folder: &Path, ledger: &[u8; 32], sealed: u64) -> Result<Replay, WalError> {
    let mut replay = Replay { end: sealed, ..Replay::default() };
    let mut paths = files(folder)?;
    replay.last_number = paths.last().map_or(0, |(number, _)| *number);
    let mut contents = Vec::with_capacity(paths.len());
    while let Some((_, path)) = paths.pop() {
        // Files are read from the newest, because a rescue makes it meaningless how the older ones end.
        let content = Content::read(path, ledger, contents.is_empty(), sealed)?;
        match content.rescue() {
            Some(false) => replay.obsolete.push(content.path),
            None => contents.push(content),
            Some(true) => {
                replay.obsolete.extend(paths.drain(..).map(|(_, path)| path));
                contents.push(content);
            }
        }
    }
    for content in contents.into_iter().rev() {
        replay.cut += content.cut;
        replay.take(content, folder)?;
    }
    Ok(replay)
}

impl Replay {
    fn take(&mut self, content: Content, folder: &Path) -> Result<(), WalError> {
        for frame in content.frames {
            if frame.seq < self.end {
                continue;
            }
            if frame.seq > self.end {
                let folder = folder.display().to_string();
                return Err(WalError::Gap { folder, expected: self.end, found: frame.seq });
            }
            self.end = frame.seq + 1;
            self.frames.push(frame);
        }
        self.files.push((content.path, self.end));
        Ok(())
    }
}

/// One file.
struct Content {
    path: PathBuf,
    header: Option<FileHeader>,
    /// How many entries it holds.
    entries: u64,
    /// Those of them that are not sealed.
    frames: Vec<Frame>,
    cut: u64,
}

impl Content {
    fn read(path: PathBuf, ledger: &[u8; 32], last: bool, sealed: u64) -> Result<Self, WalError> {
        let bytes = fs::read(&path).map_err(at("read", &path))?;
        let mut content = Self { path, header: None, entries: 0, frames: Vec::new(), cut: 0 };
        let Some(header) = FileHeader::decode(&bytes) else {
            // Nothing is acknowledged before the header is durable, so one that was not finished hides nothing.
            let unfinished = !bytes.iter().skip(FILE_HEADER_BYTES - 1).any(|byte| *byte != 0);
            return if last && unfinished {
                Ok(content)
            } else {
                Err(content.damaged(0, "its head is altered", sealed))
            };
        };
        if header.ledger != *ledger {
            return Err(WalError::Foreign { path: content.path.display().to_string() });
        }
        content.header = Some(header);
        let end = content.batches(&bytes, header, last, sealed)?;
        if end < bytes.len() {
            content.cut = (bytes.len() - end) as u64;
            content.truncate(end as u64)?;
        }
        Ok(content)
    }

    /// Reads batch after batch; gives where the last whole one ends.
    fn batches(&mut self, bytes: &[u8], header: FileHeader, last: bool, sealed: u64) -> Result<usize, WalError> {
        let mut offset = FILE_HEADER_BYTES;
        while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
            let next = header.first + self.entries;
            match batch::decode(rest, offset as u64, &header.ledger) {
                Found::Batch(frames, _) if frames.first().is_some_and(|frame| frame.seq != next) => {
                    return Err(self.damaged(offset, "a batch is out of its order", next));
                }
                Found::Batch(frames, length) => {
                    self.entries += frames.len() as u64;
                    self.frames.extend(frames.into_iter().filter(|frame| frame.seq >= sealed));
                    offset += length;
                }
                Found::Incomplete if last => return Ok(offset),
                Found::Incomplete => return Err(self.damaged(offset, "it was cut, and a later file exists", next)),
                Found::Wrong(cause) => return Err(self.damaged(offset, cause, next)),
            }
        }
        Ok(offset)
    }

    /// Whether it is the file of a rescue, and if so, whether that came to its end.
    fn rescue(&self) -> Option<bool> {
        match self.header {
            // A head that was never finished: whatever it was to be, it holds nothing.
            None => Some(false),
            Some(FileHeader { carried, .. }) => carried.map(|carried| self.entries >= carried),
        }
    }

    fn truncate(&self, length: u64) -> Result<(), WalError> {
        let file = OpenOptions::new().write(true).open(&self.path).map_err(at("open", &self.path))?;
        file.set_len(length).and_then(|()| file.sync_all()).map_err(at("cut", &self.path))?;
        Ok(())
    }

    fn damaged(&self, offset: usize, cause: &'static str, seq: u64) -> WalError {
        WalError::Damaged { path: self.path.display().to_string(), offset: offset as u64, cause, seq }
    }
}

fn files(folder: &Path) -> Result<Vec<(u64, PathBuf)>, WalError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(at("read", folder))? {
        let path = entry.map_err(at("read", folder))?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if let Some(number) = stem.filter(|_| path.extension().is_some_and(|extension| extension == EXTENSION)) {
            found.push((number, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}
