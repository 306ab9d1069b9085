//! The ring: the one file of keys, and how it is read and written.
//!
//! ```text
//! {"schema":"reeve.ring/1","installation":…,"generation":…,"seals":[…],"versions":[…]}
//! sha256 <64 digits, of the first line>
//! mac <64 digits, HMAC-SHA-256 over the first line with a key derived from ROOT>
//! ```
//!
//! The checksum tells damage apart from an attack and needs no key; the code is what is trusted. Both are over the exact
//! bytes: there is one text for a ring and no other. The first line is JSON, so that an operator can see without a key
//! which seals there are.

pub(crate) mod inspect;

use std::path::Path;

use aws_lc_rs::digest::{self, SHA256};
use aws_lc_rs::{constant_time, hmac};
use reeve_base::Timestamp;
use serde::{Deserialize, Serialize};

use crate::disk::{self, Mark};
use crate::error::RingError;
use crate::id::{InstallationId, SealId, hexadecimal};
use crate::seal::SealedRoot;

/// What the ring holds. Nothing of it is of use without a seal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ring {
    schema: Schema,
    pub(crate) installation: InstallationId,
    /// Counts every change.
    pub(crate) generation: u64,
    /// The root under each of its seals: 1 to [`SEALS_MAX`].
    pub(crate) seals: Vec<SealedRoot>,
    /// The versions of the store key from 1 on, without a gap; the last one seals. 1 to [`VERSIONS_MAX`].
    pub(crate) versions: Vec<WrappedVersion>,
}

/// One version of the store key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrappedVersion {
    pub(crate) created: Timestamp,
    /// When the next one came, after which it only opens.
    pub(crate) superseded: Option<Timestamp>,
    pub(crate) destroyed: Option<Timestamp>,
    /// How many values may have been sealed under it: taken in blocks before they are used, and never given back.
    pub(crate) uses: u64,
    /// The key under ROOT; nothing if it was destroyed.
    pub(crate) wrapped: Option<Bytes>,
}

/// Bytes that are written in base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

/// A ring whose checksum fits and whose authentication code nobody has looked at yet.
#[derive(Debug)]
pub(crate) struct Unverified {
    ring: Ring,
    body: String,
    mac: String,
}

/// What is wrong with a text, before it is known which file it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    Cut,
    Damaged(String),
    Future(String),
}

impl Ring {
    /// The ring of a new installation, still without seals and keys.
    pub(crate) const fn new(installation: InstallationId) -> Self {
        Self { schema: Schema::One, installation, generation: 0, seals: Vec::new(), versions: Vec::new() }
    }

    /// The text of the file.
    pub(crate) fn write(&self, key: &hmac::Key) -> Result<String, serde_json::Error> {
        let body = serde_json::to_string(self)?;
        let (sum, mac) = (checksum(&body), authentication(key, &body));
        Ok(format!("{body}\n{sum}\n{mac}\n"))
    }

    /// The number of the version that seals.
    pub(crate) fn current(&self) -> u32 {
        u32::try_from(self.versions.len()).unwrap_or(u32::MAX)
    }

    /// The version with this number, counted from 1.
    pub(crate) fn version_mut(&mut self, number: u32) -> Option<&mut WrappedVersion> {
        self.versions.get_mut(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    /// Each version with its number.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (u32, &WrappedVersion)> {
        (1..).zip(&self.versions)
    }

    /// The seal with this id.
    pub(crate) fn seal(&self, id: SealId) -> Option<&SealedRoot> {
        self.seals.iter().find(|seal| seal.id == id)
    }

    /// What no ring of ours has.
    fn contradiction(&self) -> Option<&'static str> {
        let last = self.versions.last();
        let earlier = self.versions.iter().rev().skip(1);
        if self.seals.is_empty() || self.seals.len() > SEALS_MAX {
            Some("it has no seal, or too many")
        } else if self.versions.len() > VERSIONS_MAX {
            Some("it has too many versions")
        } else if last.is_none_or(|last| last.wrapped.is_none() || last.superseded.is_some()) {
            Some("it has no current version")
        } else if earlier.clone().any(|version| version.superseded.is_none()) {
            Some("it has two current versions")
        } else if earlier.clone().any(|version| version.wrapped.is_none() != version.destroyed.is_some()) {
            Some("it has a version that is neither there nor destroyed")
        } else {
            None
        }
    }
}

impl Unverified {
    /// Reads a text. Foreign bytes until [`Self::verify`].
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Fault> {
        if bytes.len() > RING_BYTES_MAX {
            return Err(Fault::Damaged(format!("it is longer than {RING_BYTES_MAX} bytes")));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Fault::Damaged(String::from("it is no text")))?;
        let mut lines = text.split('\n');
        let body = lines.next().unwrap_or_default();
        let (Some(sum), Some(mac), Some(""), None) = (lines.next(), lines.next(), lines.next(), lines.next()) else {
            return Err(future(body).unwrap_or(Fault::Cut));
        };
        if sum != checksum(body) {
            return Err(Fault::Damaged(String::from("its checksum does not fit")));
        }
        if let Some(future) = future(body) {
            return Err(future);
        }
        let ring: Ring = serde_json::from_str(body).map_err(|error| Fault::Damaged(error.to_string()))?;
        match ring.contradiction() {
            Some(contradiction) => Err(Fault::Damaged(contradiction.to_owned())),
            None => Ok(Self { ring, body: body.to_owned(), mac: mac.to_owned() }),
        }
    }

    /// The ring of a file, and which state of the file it is.
    pub(crate) fn load(path: &Path) -> Result<(Self, Mark), RingError> {
        let content = disk::read(path, RING_BYTES_MAX)?.ok_or_else(|| RingError::Missing(path.to_owned()))?;
        match Self::read(&content.bytes) {
            Ok(unverified) => Ok((unverified, content.mark)),
            Err(Fault::Cut) => Err(RingError::Cut(path.to_owned())),
            Err(Fault::Damaged(cause)) => Err(RingError::Damaged { path: path.to_owned(), cause }),
            Err(Fault::Future(format)) => Err(RingError::Future { path: path.to_owned(), format }),
        }
    }

    /// What it says of itself, to find the seal that opens it. Not to be believed before [`Self::verify`].
    pub(crate) const fn claims(&self) -> &Ring {
        &self.ring
    }

    /// The ring, if its authentication code fits.
    pub(crate) fn verify(self, key: &hmac::Key) -> Option<Ring> {
        let expected = authentication(key, &self.body);
        constant_time::verify_slices_are_equal(expected.as_bytes(), self.mac.as_bytes()).ok().map(|()| self.ring)
    }
}

/// The one format there is. Another one is refused before anything else of the file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Schema {
    #[serde(rename = "reeve.ring/1")]
    One,
}

fn future(body: &str) -> Option<Fault> {
    #[derive(Deserialize)]
    struct Head {
        schema: String,
    }
    let head: Head = serde_json::from_str(body).ok()?;
    let ours = serde_json::from_value::<Schema>(head.schema.as_str().into()).is_ok();
    (head.schema.starts_with("reeve.ring/") && !ours)
        .then(|| Fault::Future(head.schema.chars().filter(|character| !character.is_control()).take(32).collect()))
}

fn checksum(body: &str) -> String {
    format!("sha256 {}", hexadecimal(digest::digest(&SHA256, body.as_bytes()).as_ref()))
}

fn authentication(key: &hmac::Key, body: &str) -> String {
    format!("mac {}", hexadecimal(hmac::sign(key, body.as_bytes()).as_ref()))
}

impl TryFrom<String> for Bytes {
    type Error = base64::DecodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.decode(text).map(Self)
    }
}

impl From<Bytes> for String {
    fn from(bytes: Bytes) -> Self {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(bytes.0)
    }
}

/// More seals are more doors.
pub(crate) const SEALS_MAX: usize = 16;

/// One version a week for twenty years.
pub(crate) const VERSIONS_MAX: usize = 1024;

/// A full ring is half of it.
const RING_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests;
