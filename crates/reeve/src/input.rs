//! Reading what a person names on the command line: a file, or `-` for standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use reeve_base::limit;

/// The bytes of a file, and what messages call it.
#[derive(Debug)]
pub(crate) struct Input {
    /// The path as it was given.
    pub(crate) name: String,
    /// The bytes: at most one more than a document may have, which is enough to refuse it.
    pub(crate) bytes: Vec<u8>,
}

/// A file could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{}`: {}", path.display(), reason(error))]
pub(crate) struct Unreadable {
    path: PathBuf,
    error: io::Error,
}

/// Reads `path`, or standard input if it is `-`. Never more than a document may have: the path may name a device that
/// does not end.
///
/// # Errors
/// When it is not there, not ours to read, or no file.
pub(crate) fn read(path: &Path) -> Result<Input, Unreadable> {
    let mut bytes = Vec::new();
    let outcome = if path == Path::new("-") {
        fill(io::stdin().lock(), &mut bytes)
    } else {
        File::open(path).and_then(|file| fill(file, &mut bytes))
    };
    let name = if path == Path::new("-") { String::from("<stdin>") } else { path.display().to_string() };
    outcome.map(|()| Input { name, bytes }).map_err(|error| Unreadable { path: path.to_owned(), error })
}

fn fill(reader: impl Read, bytes: &mut Vec<u8>) -> io::Result<()> {
    let most = u64::try_from(limit::DOCUMENT_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    reader.take(most).read_to_end(bytes).map(drop)
}

impl Unreadable {
    /// What can be done about it, where that is plain.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self.error.kind() {
            io::ErrorKind::IsADirectory => Some("name the files in it: `reeve check folder/*.toml`"),
            io::ErrorKind::NotFound => Some("`reeve init` writes a policy.toml and a reeve.toml to start from"),
            _ => None,
        }
    }

    /// The reason alone, in a few words.
    pub(crate) fn reason(&self) -> String {
        reason(&self.error)
    }
}

/// In our words for the common ones: the operating system's end in `(os error 21)`.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => String::from("there is no such file"),
        io::ErrorKind::PermissionDenied => String::from("permission denied"),
        io::ErrorKind::IsADirectory => String::from("it is a folder"),
        _ => error.to_string(),
    }
}
