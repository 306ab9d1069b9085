//! Leaves: what the tree holds of an entry, and all that is left of it once its contents are destroyed.
//!
//! A leaf is one line of canonical JSON, shorter than [`LEAF_BYTES_MAX`]. It tells when, of which class and type, under
//! which clause; who and what are only committed to. Without the salt the commitment gives nothing away, not even to
//! somebody who tries every likely content; with salt and contents anyone can compute it again.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reeve_base::Timestamp;
use serde::{Deserialize, Deserializer, de};

use super::Hash;
use super::hash::sha256_of;

/// The longest leaf in bytes.
pub const LEAF_BYTES_MAX: usize = 1023;

/// The longest class, type or clause in bytes.
pub const WORD_BYTES_MAX: usize = 96;

/// The length of the salt of a commitment in bytes.
pub const SALT_BYTES: usize = 32;

/// One entry, as everyone may see it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    /// The version of this form, [`VERSION`].
    pub v: u8,
    /// The entry's number in the log, from 0.
    pub seq: u64,
    /// When it was appended, by the wall clock.
    pub ts: Timestamp,
    /// How long its contents are kept: a class of entries. A word.
    pub class: String,
    /// What happened, in a word.
    #[serde(rename = "type")]
    pub kind: String,
    /// The clause that it is evidence for. A word.
    #[serde(default)]
    pub clause: Option<String>,
    /// The day whose key seals its contents, in UTC.
    pub day: jiff::civil::Date,
    /// A hash of the actor under that day's key: the same actor can be followed through a day, and not beyond it.
    #[serde(default, deserialize_with = "some_hash")]
    pub actor_tag: Option<Hash>,
    /// [`commitment`] to the contents.
    #[serde(deserialize_with = "hash")]
    pub commit: Hash,
}

/// The version of leaf that is written and read here.
pub const VERSION: u8 = 1;

/// Why something is no leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeafError {
    /// A class, type or clause is not a word.
    #[error("`{0}` of the entry is not a word: 1 to {WORD_BYTES_MAX} of the characters a-z A-Z 0-9 . _ : / -")]
    Word(&'static str),
    /// Not the canonical JSON of a leaf of this version.
    #[error("not a leaf of version {VERSION} in its canonical form")]
    Malformed,
}

/// SHA-256 of the salt and the contents. The salt has a fixed length, so no contents can pass as others.
#[must_use]
pub fn commitment(salt: &[u8; SALT_BYTES], body: &[u8]) -> Hash {
    sha256_of(&[salt, body])
}

impl Leaf {
    /// Its bytes, the one way to write it.
    ///
    /// # Errors
    /// [`LeafError::Word`], and [`LeafError::Malformed`] for another version.
    pub fn print(&self) -> Result<Vec<u8>, LeafError> {
        let words = [("class", Some(&self.class)), ("type", Some(&self.kind)), ("clause", self.clause.as_ref())];
        if let Some((name, _)) = words.into_iter().find(|(_, word)| word.is_some_and(|word| !is_word(word))) {
            return Err(LeafError::Word(name));
        }
        let mut json = Vec::with_capacity(LEAF_BYTES_MAX);
        self.write(&mut json).map_err(|_| LeafError::Malformed)?;
        if self.v == VERSION && json.len() <= LEAF_BYTES_MAX { Ok(json) } else { Err(LeafError::Malformed) }
    }

    /// Written by hand, since a log prints one for each entry: words need no escapes, so there is nothing to get wrong
    /// that reading it back would not show.
    fn write(&self, json: &mut Vec<u8>) -> std::io::Result<()> {
        let Self { v, seq, ts, class, kind, clause, day, actor_tag, commit } = self;
        write!(json, r#"{{"v":{v},"seq":{seq},"ts":"{ts}","class":"{class}","type":"{kind}""#)?;
        if let Some(clause) = clause {
            write!(json, r#","clause":"{clause}""#)?;
        }
        write!(json, r#","day":"{day}""#)?;
        if let Some(actor_tag) = actor_tag {
            write_hash(json, "actor_tag", actor_tag)?;
        }
        write_hash(json, "commit", commit)?;
        json.write_all(b"}")
    }

    /// Reads what [`Leaf::print`] wrote, and nothing that is written otherwise.
    ///
    /// # Errors
    /// [`LeafError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, LeafError> {
        if bytes.len() > LEAF_BYTES_MAX {
            return Err(LeafError::Malformed);
        }
        let leaf: Self = serde_json::from_slice(bytes).map_err(|_| LeafError::Malformed)?;
        if leaf.print()? == bytes { Ok(leaf) } else { Err(LeafError::Malformed) }
    }
}

fn is_word(word: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte);
    (1..=WORD_BYTES_MAX).contains(&word.len()) && word.bytes().all(known)
}

/// Without a text of its own for each hash.
fn write_hash(json: &mut Vec<u8>, name: &str, hash: &Hash) -> std::io::Result<()> {
    write!(json, r#","{name}":""#)?;
    let mut text = [0; 44];
    let length = STANDARD.encode_slice(hash.0, &mut text).map_err(std::io::Error::other)?;
    json.write_all(text.get(..length).unwrap_or_default())?;
    json.write_all(b"\"")
}

fn hash<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Hash, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
}

fn some_hash<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Hash>, D::Error> {
    hash(deserializer).map(Some)
}
