//! Finding and opening the contents of entries, best in the order of their numbers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::{Content, ReadError};
use crate::content::{Cipher, DayKey, run_of};
use crate::keys::Keyring;
use crate::log::{Class, ClassDay};
use crate::proof::{Hash, commitment};
use crate::segment::{self, Span};
use crate::shelf::Shelf;

/// Reads contents; keeps the last segment of each class.
pub(crate) struct ContentsReader {
    shelf: Arc<dyn Shelf>,
    keyring: Arc<Keyring>,
    days: BTreeMap<Class, Day>,
}

/// What is at hand of one class.
struct Day {
    of: ClassDay,
    /// `None` if it was destroyed.
    key: Option<Arc<DayKey>>,
    spans: Vec<Span>,
    segment: Option<Segment>,
}

struct Segment {
    path: String,
    frames: BTreeMap<u64, Vec<u8>>,
    cipher: Option<Cipher>,
}

impl ContentsReader {
    pub(crate) fn new(shelf: Arc<dyn Shelf>, keyring: Arc<Keyring>) -> Self {
        Self { shelf, keyring, days: BTreeMap::new() }
    }

    /// The contents of entry `seq`, held against the leaf's commitment.
    pub(crate) fn read(&mut self, seq: u64, of: ClassDay, commit: &Hash) -> Result<Content, ReadError> {
        let held = self.days.remove(&of.class).filter(|day| day.of == of);
        let mut day = match held {
            Some(day) => day,
            None => Day { of, key: self.keyring.find(of)?, spans: Vec::new(), segment: None },
        };
        let content = day.read(&*self.shelf, seq, commit);
        self.days.insert(of.class, day);
        match content {
            // The key may have been destroyed since it was fetched, and the segments after it.
            Err(ReadError::Lost { .. }) if self.destroyed(of)? => Ok(Content::Purged),
            other => other,
        }
    }

    fn destroyed(&mut self, of: ClassDay) -> Result<bool, ReadError> {
        self.keyring.forget(of);
        self.days.remove(&of.class);
        Ok(self.keyring.find(of)?.is_none())
    }
}

impl Day {
    fn read(&mut self, shelf: &dyn Shelf, seq: u64, commit: &Hash) -> Result<Content, ReadError> {
        let Some(key) = self.key.clone() else { return Ok(Content::Purged) };
        let segment = self.find(shelf, seq)?;
        let altered = |cause| ReadError::Contents { seq, path: segment.path.clone(), cause };
        let sealed = segment.frames.get(&seq).ok_or_else(|| altered("it has no such entry"))?;
        if segment.cipher.as_ref().is_none_or(|cipher| !cipher.fits(sealed)) {
            segment.cipher = run_of(sealed).and_then(|run| key.cipher(run));
        }
        let opened = segment.cipher.as_ref().map(|cipher| cipher.open(seq, sealed));
        let contents = opened.and_then(Result::ok).ok_or_else(|| altered("they do not open under their day's key"))?;
        if commitment(&contents.salt, &contents.body) != *commit {
            return Err(altered("they are not what the leaf commits to"));
        }
        Ok(Content::Kept(contents))
    }

    /// The segment that holds `seq`.
    fn find(&mut self, shelf: &dyn Shelf, seq: u64) -> Result<&mut Segment, ReadError> {
        if self.segment.as_ref().is_none_or(|segment| !segment.frames.contains_key(&seq)) {
            self.segment = Some(self.load(shelf, seq)?);
        }
        let folder = segment::folder(self.of);
        self.segment.as_mut().ok_or(ReadError::Lost { seq, folder })
    }

    fn load(&mut self, shelf: &dyn Shelf, seq: u64) -> Result<Segment, ReadError> {
        // A segment that grew is under another name now, so a list may be older than what it tells of.
        for _ in 0..LISTINGS_MAX {
            if let Some(span) = covering(&self.spans, seq) {
                let path = segment::path(self.of, span.first, span.last);
                if let Some(bytes) = shelf.get(&path)? {
                    return open(path, &bytes, seq);
                }
            }
            self.spans = segment::spans(shelf, self.of)?;
        }
        Err(ReadError::Lost { seq, folder: segment::folder(self.of) })
    }
}

/// The last segment that may hold `seq`: of two with the same beginning, the longer.
fn covering(spans: &[Span], seq: u64) -> Option<Span> {
    spans.iter().rev().skip_while(|span| span.first > seq).find(|span| span.last >= seq).copied()
}

fn open(path: String, bytes: &[u8], seq: u64) -> Result<Segment, ReadError> {
    let Some(frames) = segment::decode(bytes) else {
        return Err(ReadError::Contents { seq, path, cause: "the segment is damaged" });
    };
    let frames = frames.into_iter().map(|(seq, content)| (seq, content.to_owned())).collect();
    Ok(Segment { path, frames, cipher: None })
}

impl fmt::Debug for ContentsReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentsReader({} classes)", self.days.len())
    }
}

/// How often a day's segments are listed before contents count as missing.
const LISTINGS_MAX: usize = 4;
