//! What a publisher says of its rules, signed.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use reeve_ledger::proof::{Note, Signer, VerifierKey};
use serde::{Deserialize, Serialize};

use super::FeedError;

/// One state of a feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// The one format there is.
    schema: String,
    /// Grows with every state; what has a smaller one is older.
    pub(crate) serial: u64,
    /// What the rules are called, such as `4.28.0`.
    pub(crate) version: String,
    /// When the publisher last said that these are the rules to run.
    pub(crate) made: Timestamp,
    /// Every file.
    pub(crate) files: Vec<Listed>,
}

/// A file of a feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listed {
    /// Within the rule set: `rules/REQUEST-942.conf`.
    pub(crate) path: String,
    /// How long it is.
    pub(crate) bytes: u64,
    /// SHA-256, in lower-case hexadecimal.
    pub(crate) sha256: String,
}

/// What a manifest is beside the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// To be taken.
    Newer,
    /// The same.
    Known,
}

impl Manifest {
    pub(crate) fn new(serial: u64, version: String, made: Timestamp, files: Vec<Listed>) -> Self {
        Self { schema: SCHEMA.to_owned(), serial, version, made, files }
    }

    /// Reads a signed manifest and believes it only if this key signed it.
    ///
    /// # Errors
    /// Unsigned, altered, malformed, too large, or with names that lead elsewhere.
    pub(crate) fn open(bytes: &[u8], key: &VerifierKey) -> Result<Self, FeedError> {
        let note = Note::parse(bytes)?;
        note.verify(std::slice::from_ref(key))?;
        let manifest: Self =
            serde_json::from_str(note.text()).map_err(|error| FeedError::Malformed(error.to_string()))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The signed note.
    ///
    /// # Errors
    /// When it would not be believed or read by anybody.
    pub(crate) fn sign(&self, signer: &Signer) -> Result<String, FeedError> {
        self.check()?;
        let text = serde_json::to_string_pretty(self).map_err(|error| FeedError::Malformed(error.to_string()))?;
        let mut note = Note::new(format!("{text}\n"))?;
        note.add(signer.sign(note.text()));
        Ok(note.to_string())
    }

    /// Whether it may come after another.
    ///
    /// # Errors
    /// When it is older, says something else of the same state, or is of the future.
    pub(crate) fn follows(&self, known: Option<&Self>, now: Timestamp) -> Result<News, FeedError> {
        if self.made.duration_since(now) > SKEW_MAX {
            return Err(FeedError::Future(self.made));
        }
        let Some(known) = known else { return Ok(News::Newer) };
        if self == known {
            return Ok(News::Known);
        }
        if self.serial < known.serial || self.made < known.made {
            let (found, found_made) = (self.serial, self.made);
            return Err(FeedError::Rollback { found, found_made, known: known.serial, known_made: known.made });
        }
        if self.serial == known.serial {
            return Err(FeedError::Forked(self.serial));
        }
        Ok(News::Newer)
    }

    fn check(&self) -> Result<(), FeedError> {
        if self.schema != SCHEMA {
            return Err(FeedError::Malformed(format!("`{}` is no format that this version reads", self.schema)));
        }
        let plain = |letter: char| letter.is_ascii_graphic();
        if self.version.is_empty() || self.version.len() > VERSION_BYTES_MAX || !self.version.chars().all(plain) {
            return Err(FeedError::Malformed(String::from("its version is no word")));
        }
        if self.files.is_empty() || self.files.len() > FILES_MAX {
            return Err(FeedError::TooLarge(format!("{} files; 1 to {FILES_MAX} are taken", self.files.len())));
        }
        let mut sum = 0_u64;
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for file in &self.files {
            if !is_plain(&file.path) || !seen.insert(&file.path) || !is_digest(&file.sha256) {
                return Err(FeedError::Name(file.path.clone()));
            }
            if file.bytes > FILE_BYTES_MAX {
                return Err(FeedError::TooLarge(format!("`{}` has {} bytes", file.path, file.bytes)));
            }
            sum = sum.saturating_add(file.bytes);
        }
        if sum > ALL_BYTES_MAX {
            return Err(FeedError::TooLarge(format!("{sum} bytes together; {ALL_BYTES_MAX} are taken")));
        }
        // A file where another file needs a folder.
        let taken =
            |path: &str| path.match_indices('/').any(|(at, _)| path.get(..at).is_some_and(|up| seen.contains(up)));
        match self.files.iter().find(|file| taken(&file.path)) {
            Some(file) => Err(FeedError::Name(file.path.clone())),
            None => Ok(()),
        }
    }
}

/// Whether a path stays within its folder whatever system reads it, and hides nothing.
fn is_plain(path: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    path.len() <= PATH_BYTES_MAX && path.split('/').count() <= DEPTH_MAX && path.split('/').all(part)
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| b"0123456789abcdef".contains(&byte))
}

const SCHEMA: &str = "reeve.rules/1";
/// Beside the manifest: files under their digests.
pub(crate) const FILES_FOLDER: &str = "files";
/// The manifest is a note, and a note has at most 64 KiB.
pub(crate) const MANIFEST_BYTES_MAX: usize = reeve_ledger::proof::note::NOTE_BYTES_MAX;
const FILES_MAX: usize = 400;
const FILE_BYTES_MAX: u64 = 8 << 20;
const ALL_BYTES_MAX: u64 = 64 << 20;
const PATH_BYTES_MAX: usize = 200;
const DEPTH_MAX: usize = 8;
const VERSION_BYTES_MAX: usize = 64;

/// Clocks of two machines may differ by so much.
const SKEW_MAX: SignedDuration = SignedDuration::from_mins(5);
