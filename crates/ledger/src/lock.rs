//! One process at a time: an advisory lock on a file, which the system gives back when the process ends, however it ends.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::shelf::{FILE_MODE, ShelfError, at};

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, or says who has it.
    pub(crate) fn take(path: &Path) -> Result<Self, ShelfError> {
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(path);
        let mut file = open.map_err(at("open", path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let holder = fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u32>().ok());
                let holder = holder.map_or(String::new(), |process| format!(" (process {process})"));
                return Err(ShelfError::Locked { path: path.display().to_string(), holder });
            }
            Err(error) => return Err(at("lock", path)(error.into())),
        }
        // The number is a courtesy to whoever is refused: that it cannot be written must not keep anybody out.
        drop(file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())));
        Ok(Self { _file: file })
    }
}
