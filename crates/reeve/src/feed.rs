//! Feeds of firewall rules: what a publisher signs, the way to it, and where what it brought is kept.
//!
//! A feed is a folder on a web server or on this machine. In it lies a manifest, a signed note (C2SP signed-note, the form
//! of the ledger's checkpoints), that names every file by path, size and SHA-256, and beside it the files under their
//! digests: nothing is unpacked, a name decides nothing before it is signed and checked, and what has not changed is not
//! fetched again. The publisher signs anew, with a later `made`, also where nothing has changed: that is what the age of
//! rules is judged by, and how a feed that is held back is noticed (as the timestamp role of The Update Framework does).

mod cabinet;
mod fetch;
mod manifest;

pub(crate) use cabinet::{Cabinet, FeedSet};
pub(crate) use fetch::Way;
pub(crate) use manifest::{FILES_FOLDER, Listed, Manifest, News};

use std::path::PathBuf;

/// Why a feed's rules are not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FeedError {
    /// It was not signed by the key of the settings, or altered.
    #[error("the feed's manifest is not believed: {0}")]
    Signature(#[from] reeve_ledger::proof::note::NoteError),
    /// It cannot be read.
    #[error("the feed's manifest cannot be read: {0}")]
    Malformed(String),
    /// A name that could lead out of the folder, or be two things.
    #[error("the feed's manifest names `{0}`, which is no plain relative path of its own")]
    Name(String),
    /// More than is taken.
    #[error("the feed is too large: {0}")]
    TooLarge(String),
    /// Older than what was taken before.
    #[error("the feed goes back: serial {found} of {found_made} after {known} of {known_made}")]
    Rollback {
        /// Its serial.
        found: u64,
        /// When it was made.
        found_made: jiff::Timestamp,
        /// The serial that was taken before.
        known: u64,
        /// When that was made.
        known_made: jiff::Timestamp,
    },
    /// Other contents under the same serial.
    #[error("the feed says two things under serial {0}")]
    Forked(u64),
    /// Made later than now.
    #[error("the feed was made at {0}, which is in the future: whose clock is wrong?")]
    Future(jiff::Timestamp),
    /// A file is not what the manifest says.
    #[error("`{0}` is not the file that the feed's manifest names")]
    Altered(String),
    /// It cannot be reached.
    #[error("cannot fetch `{what}`: {cause}")]
    Unreachable {
        /// A URL or a path.
        what: String,
        /// What is in the way.
        cause: String,
    },
    /// What it brought cannot be kept.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The path.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

#[cfg(test)]
mod tests;
