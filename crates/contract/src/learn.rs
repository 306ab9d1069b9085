//! What the requests look like that an application took: shapes without values, and the OpenAPI document that they add
//! up to.
//!
//! [`Notes`] are what is kept. Of a value they keep which types and formats it is of, whether it is negative or empty, and
//! its length rounded up to a power of two; of names (`word`) only those that an application gave and nobody typed. What
//! was taken down can be put together in any order. [`Notes::propose`] writes the document, under which every request
//! that was taken down passes.

mod bodies;
mod fields;
mod operation;
mod propose;
mod shape;
mod text;
mod tree;
mod word;
mod yaml;

use std::net::IpAddr;

use bytes::Bytes;
use http::Method;
use serde::{Deserialize, Serialize};

use crate::body::{self, Media};
use crate::parameter;
use crate::route;

use bodies::Reading;
use tree::{Node, Walk};

pub use propose::Proposal;
pub use word::Discretion;

/// A request that the application has answered well.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "made by whoever sees the request")]
pub struct Sample<'s> {
    /// Its method.
    pub method: &'s Method,
    /// Its path, as it was spelled.
    pub path: &'s str,
    /// Its query.
    pub query: Option<&'s str>,
    /// The one Content-Type that it states.
    pub content_type: Option<&'s str>,
    /// What it carried.
    pub body: Carried<'s>,
    /// The status of the answer.
    pub status: u16,
    /// Who sent it: what several ask for is no one's secret.
    pub client: IpAddr,
}

/// The body of a sample.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_enums, reason = "there is no fourth way")]
pub enum Carried<'s> {
    /// None.
    Nothing,
    /// This.
    Whole(&'s Bytes),
    /// One that was too long to be looked at.
    Unseen,
}

/// Why a sample is not in the notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "whoever counts them needs to know each")]
pub enum Left {
    /// Validation refuses such a request whatever the document says: its JSON is none, its path hides a separator, its
    /// body says nothing of its kind, its method is not one that a document can name.
    #[error("no document can describe it")]
    Unfit,
    /// There is no room for another operation.
    #[error("the notes are full")]
    Full,
}

/// Why notes that were kept cannot be taken up again.
#[derive(Debug, thiserror::Error)]
#[error("these notes cannot be read: {0}")]
pub struct NotesError(String);

/// What is known of the requests to one application. At most [`NODES_MAX`] names and segments, each of a few hundred
/// bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Notes {
    format: u16,
    requests: u64,
    tree: Node,
    room: Room,
    /// Mixed into what is remembered of segments and clients instead of themselves; new in each process.
    #[serde(skip)]
    key: [u8; 16],
}

impl Notes {
    /// Empty ones. `key` is any chance.
    #[must_use]
    pub fn new(key: [u8; 16]) -> Self {
        Self { format: FORMAT, requests: 0, tree: Node::default(), room: Room::default(), key }
    }

    /// How many requests were taken down.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// How much of [`NODES_MAX`] is taken.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.room.taken
    }

    /// Takes a request down.
    ///
    /// # Errors
    /// See [`Left`]: it is not among the requests then.
    pub fn take(&mut self, sample: &Sample<'_>, discretion: &Discretion) -> Result<(), Left> {
        let method = method(sample.method).ok_or(Left::Unfit)?;
        let segments = route::segments(sample.path).map_err(|_| Left::Unfit)?;
        if segments.len() > SEGMENTS_MAX {
            return Err(Left::Unfit);
        }
        let query = parameter::pairs(sample.query.unwrap_or_default().as_bytes(), parameter::PAIRS_MAX);
        let query = query.map_err(|_| Left::Unfit)?;
        let reading = Reading::of(sample)?;
        let mut walk = Walk { client: sample.client, key: self.key, discretion, room: &mut self.room };
        let node = self.tree.descend(&segments, &mut walk)?;
        let operation = node.operation(method, walk.room)?;
        operation.see(&query, reading, sample.status, discretion, walk.room);
        self.requests += 1;
        Ok(())
    }

    /// Puts other notes in. It makes no difference which of the two goes into which.
    pub fn merge(&mut self, other: Self) {
        self.requests += other.requests;
        self.tree.merge(other.tree, self.key);
        self.room.taken = self.tree.size();
    }

    /// The notes as they can be kept elsewhere. Segments that are not known by name yet count as values in it.
    #[must_use]
    pub fn kept(&self) -> Vec<u8> {
        let mut kept = self.clone();
        kept.tree.forget_pending(self.key);
        // Strings, numbers and lists: there is nothing in it that could fail.
        serde_json::to_vec(&kept).unwrap_or_default()
    }

    /// Notes that were kept. `key` is any chance.
    ///
    /// # Errors
    /// When they are of another version, or no notes.
    pub fn taken_up(bytes: &[u8], key: [u8; 16]) -> Result<Self, NotesError> {
        let mut notes: Self = serde_json::from_slice(bytes).map_err(|error| NotesError(error.to_string()))?;
        if notes.format != FORMAT {
            return Err(NotesError(format!("they are of version {}, this program writes {FORMAT}", notes.format)));
        }
        notes.key = key;
        notes.room.taken = notes.tree.size();
        Ok(notes)
    }

    /// The OpenAPI 3.1 document that they add up to. The lines of `heading` stand at its top. None if there is nothing yet.
    #[must_use]
    pub fn propose(&self, title: &str, heading: &[String]) -> Option<Proposal> {
        let mut tree = self.tree.clone();
        tree.settle(self.key);
        propose::document(&tree, title, heading)
    }
}

/// Whether bodies of this kind are looked into, so that they have to be shown whole.
#[must_use]
pub fn is_learned(content_type: &str) -> bool {
    matches!(Media::of(&body::essence(content_type)), Media::Json | Media::Form | Media::Multipart)
}

/// The name of a method in a document. A HEAD is judged as the GET of its path.
fn method(method: &Method) -> Option<&'static str> {
    match method.as_str() {
        "GET" | "HEAD" => Some("get"),
        "PUT" => Some("put"),
        "POST" => Some("post"),
        "DELETE" => Some("delete"),
        "OPTIONS" => Some("options"),
        "PATCH" => Some("patch"),
        "TRACE" => Some("trace"),
        _ => None,
    }
}

/// How much of the memory that notes may have is taken.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Room {
    taken: usize,
}

impl Room {
    /// Takes the room of one more name or segment, if there is any.
    fn take(&mut self) -> bool {
        let fits = self.taken < NODES_MAX;
        self.taken += usize::from(fits);
        fits
    }
}

/// The power of two that is not less than a length.
fn rounded(length: usize) -> u8 {
    u8::try_from(length.checked_next_power_of_two().unwrap_or(usize::MAX).trailing_zeros()).unwrap_or(u8::MAX)
}

/// The bound that is proposed for lengths up to 2 to the power of `rounded`: twice as much, because the longest of those
/// to come has hardly been seen. None where a bound would say nothing.
fn bound(rounded: u8) -> Option<u64> {
    let rounded = rounded.max(BOUND_ROUNDED_MIN);
    (rounded <= BOUND_ROUNDED_MAX).then(|| 2 << rounded)
}

/// Names, segments, operations and kinds of body in the notes of one application. Each takes a few hundred bytes, so that
/// it is about 16 MiB.
pub const NODES_MAX: usize = 40_000;

/// How often something must have been seen for it to count as what is always so.
pub const SURE_MIN: u64 = 5;

/// Deeper paths are left out: the notes are kept as JSON, which is read to a depth of 128.
const SEGMENTS_MAX: usize = 16;
const BOUND_ROUNDED_MIN: u8 = 5;
const BOUND_ROUNDED_MAX: u8 = 14;
const FORMAT: u16 = 1;

/// A body is looked into this far.
const VALUES_MAX: u32 = 20_000;
