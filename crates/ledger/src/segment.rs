//! Segments: the sealed contents of consecutive entries of one class and day, in one object.
//!
//! ```text
//! body/<class>/<day>/<first seq, 20 digits>-<last seq, 20 digits>.enc
//! = "RVSEGMT1" | frames: seq u64 | length u32 | sealed contents (see `content`)
//! ```
//!
//! Only whole objects are written, because a bucket knows nothing else. A day with little in it would become thousands
//! of them, so the last segment of a day is written again with what has come since until it is [`GROWN_BYTES`] long,
//! under the same first number and a greater last one; then the shorter one is removed. Two segments may hold the same
//! entry after a crash. They hold the same bytes then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::log::ClassDay;
use crate::shelf::{Object, Shelf, ShelfError};
use crate::wal::Frame;

/// The segments that can still grow, one for each class and day.
#[derive(Debug, Clone, Default)]
pub(crate) struct Growing(BTreeMap<ClassDay, Segment>);

/// A segment that is being put together.
#[derive(Debug, Clone)]
struct Segment {
    first: u64,
    last: u64,
    bytes: Vec<u8>,
}

/// What one sealing does to the segments.
#[derive(Debug, Default)]
pub(crate) struct Growth {
    /// To be written before the checkpoint.
    pub(crate) objects: Vec<Object>,
    /// To be removed after it.
    pub(crate) outgrown: Vec<String>,
}

impl Growing {
    /// Adds frames, which go on where the last ones ended.
    pub(crate) fn grow(&mut self, frames: &[Arc<Frame>]) -> Growth {
        let mut growth = Growth::default();
        let touched: BTreeSet<ClassDay> = frames.iter().map(|frame| frame.of()).collect();
        for of in &touched {
            growth.outgrown.extend(self.0.get(of).map(|segment| path(*of, segment.first, segment.last)));
        }
        for frame in frames {
            let segment = self.0.entry(frame.of()).or_insert_with(|| Segment::begin(frame.seq));
            segment.push(frame);
            if segment.bytes.len() >= WHOLE_BYTES {
                growth.objects.extend(self.0.remove(&frame.of()).map(|segment| segment.object(frame.of())));
            }
        }
        for of in touched {
            let grown = self.0.get(&of).is_some_and(|segment| segment.bytes.len() >= GROWN_BYTES);
            let segment = if grown { self.0.remove(&of) } else { self.0.get(&of).cloned() };
            growth.objects.extend(segment.map(|segment| segment.object(of)));
        }
        // A day ends for its class when the next one begins: only the newest can grow.
        let newest: BTreeMap<_, _> = self.0.keys().map(|of| (of.class, of.day)).collect();
        self.0.retain(|of, _| newest.get(&of.class) == Some(&of.day));
        growth
    }
}

impl Segment {
    fn begin(first: u64) -> Self {
        Self { first, last: first, bytes: MAGIC.to_vec() }
    }

    fn push(&mut self, frame: &Frame) {
        self.last = frame.seq;
        self.bytes.extend_from_slice(&frame.seq.to_be_bytes());
        // INVARIANT: contents are at most 1 MiB and some bytes (`Entry::check`).
        self.bytes.extend_from_slice(&u32::try_from(frame.content.len()).unwrap_or(0).to_be_bytes());
        self.bytes.extend_from_slice(&frame.content);
    }

    fn object(self, of: ClassDay) -> Object {
        Object { path: path(of, self.first, self.last), bytes: self.bytes }
    }
}

/// Which entries a segment spans, by its name. Not each number between the two is in it: other classes have some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// The segments of a day, in order.
pub(crate) fn spans(shelf: &dyn Shelf, of: ClassDay) -> Result<Vec<Span>, ShelfError> {
    let names = shelf.list(&folder(of))?;
    Ok(names.iter().filter_map(|name| parse(name)).collect())
}

/// Takes a segment apart: number and sealed contents of each entry. `None` if it is not written like one.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<(u64, &[u8])>> {
    let mut rest = bytes.strip_prefix(MAGIC.as_slice())?;
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let (seq, after) = rest.split_first_chunk()?;
        let (length, after) = after.split_first_chunk()?;
        let (content, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        frames.push((u64::from_be_bytes(*seq), content));
        rest = after;
    }
    Some(frames)
}

/// Where a segment lies.
pub(crate) fn path(of: ClassDay, first: u64, last: u64) -> String {
    format!("{}/{first:020}-{last:020}.enc", folder(of))
}

/// Where the segments of a day lie.
pub(crate) fn folder(of: ClassDay) -> String {
    format!("body/{}/{}", of.class, of.day)
}

fn parse(name: &str) -> Option<Span> {
    let (first, last) = name.strip_suffix(".enc")?.split_once('-')?;
    Some(Span { first: first.parse().ok()?, last: last.parse().ok()? })
}

const MAGIC: &[u8; 8] = b"RVSEGMT1";

/// A segment this long is not written again: what a small seal costs is bounded by it.
const GROWN_BYTES: usize = 128 * 1024;

/// A segment this long is ended in the middle of a seal: what a reader must fetch for one entry is bounded by it.
const WHOLE_BYTES: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests;
