//! The bytes of the write-ahead log. Numbers are big-endian; checks are the first bytes of SHA-256, against accidents
//! and not against people: those are the tree's business. (A sector of the very last batch that turned into zeroes after
//! it was acknowledged cannot be told from one that was never written.)
//!
//! ```text
//! file   = "REEVEWAL" | version u32 | ledger 32 | first u64 | rescue u8 | carried u64 | check 8
//! batch  = "BATCH" | 0 u8 | entries u16 | first u64 | length u32 | check 16 of (ledger, offset, these, payload)
//!        | check 8 of (all before) | payload | "DONE"
//! frame  = class u8 | leaf length u16 | contents length u32 | day i32 (days since 1970-01-01) | leaf | contents
//! ```

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use jiff::civil::Date;

use super::Frame;
use crate::log::Class;

/// What a file begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileHeader {
    pub(super) ledger: [u8; 32],
    /// The number of the first entry that may be in it.
    pub(super) first: u64,
    /// For the file of a rescue: how many entries it was begun with. When all of them are there, older files no longer
    /// count; until then, this one does not.
    pub(super) carried: Option<u64>,
}

impl FileHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = FILE_MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        bytes.extend_from_slice(&self.ledger);
        bytes.extend_from_slice(&self.first.to_be_bytes());
        bytes.push(u8::from(self.carried.is_some()));
        bytes.extend_from_slice(&self.carried.unwrap_or(0).to_be_bytes());
        bytes.extend_from_slice(&check::<8>(&[&bytes]));
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (fields, found) = bytes.get(..FILE_HEADER_BYTES)?.split_last_chunk::<8>()?;
        let (magic, rest) = fields.split_first_chunk::<8>()?;
        let (version, rest) = rest.split_first_chunk()?;
        let (ledger, rest) = rest.split_first_chunk()?;
        let (first, rest) = rest.split_first_chunk()?;
        let ([rescue], rest) = rest.split_first_chunk()?;
        let carried = (*rescue == 1).then_some(u64::from_be_bytes(*rest.first_chunk()?));
        let whole = magic == FILE_MAGIC && u32::from_be_bytes(*version) == VERSION && check::<8>(&[fields]) == *found;
        whole.then_some(Self { ledger: *ledger, first: u64::from_be_bytes(*first), carried })
    }
}

/// Appends a batch that begins at `offset` of its file.
pub(super) fn encode(frames: &[Arc<Frame>], offset: u64, ledger: &[u8; 32], into: &mut Vec<u8>) {
    let start = into.len();
    into.resize(start + HEADER_BYTES, 0);
    for frame in frames {
        encode_frame(frame, into);
    }
    let payload = into.get(start + HEADER_BYTES..).unwrap_or_default();
    let first = frames.first().map_or(0, |frame| frame.seq);
    // INVARIANT: the queue gives at most 4,096 entries and 9 MiB of contents, a rescue at most 1,024 of 1 MiB.
    let (entries, length) = (u16::try_from(frames.len()), u32::try_from(payload.len()));
    debug_assert!(entries.is_ok() && length.is_ok(), "{} entries, {} bytes", frames.len(), payload.len());
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&entries.unwrap_or(0).to_be_bytes());
    header.extend_from_slice(&first.to_be_bytes());
    header.extend_from_slice(&length.unwrap_or(0).to_be_bytes());
    header.extend_from_slice(&check::<16>(&[ledger, &offset.to_be_bytes(), &header, payload]));
    header.extend_from_slice(&check::<8>(&[&header]));
    into.splice(start..start + HEADER_BYTES, header);
    into.extend_from_slice(TRAILER);
}

fn encode_frame(frame: &Frame, into: &mut Vec<u8>) {
    let days = frame.day.since(EPOCH).map_or(0, |span| span.get_days());
    into.push(
        Class::ALL.iter().position(|class| *class == frame.class).and_then(|at| u8::try_from(at).ok()).unwrap_or(0),
    );
    into.extend_from_slice(&u16::try_from(frame.leaf.len()).unwrap_or(0).to_be_bytes());
    into.extend_from_slice(&u32::try_from(frame.content.len()).unwrap_or(0).to_be_bytes());
    into.extend_from_slice(&days.to_be_bytes());
    into.extend_from_slice(&frame.leaf);
    into.extend_from_slice(&frame.content);
}

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A batch, and how many bytes it takes.
    Batch(Vec<Frame>, usize),
    /// A batch whose writing did not come to its end.
    Incomplete,
    /// Something else.
    Wrong(&'static str),
}

/// Reads the batch at the beginning of `bytes`, which stand at `offset` of their file and go to its end.
pub(super) fn decode(bytes: &[u8], offset: u64, ledger: &[u8; 32]) -> Found {
    let Some(header) = bytes.get(..HEADER_BYTES) else { return Found::Incomplete };
    let Some(header) = Header::decode(header) else {
        // A header of which the rest was never written ends in zeroes, and so does everything after it.
        let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        return if written < HEADER_BYTES { Found::Incomplete } else { Found::Wrong("the head of a batch is altered") };
    };
    let Some(body) = bytes.get(HEADER_BYTES..HEADER_BYTES + header.length + TRAILER.len()) else {
        return Found::Incomplete;
    };
    let (payload, trailer) = body.split_at(header.length);
    let expected = check::<16>(&[ledger, &offset.to_be_bytes(), &header.fields, payload]);
    if trailer == TRAILER && expected == header.check {
        return decode_frames(payload, header.first, header.entries)
            .map_or(Found::Wrong("a batch holds another number of entries than it says"), |frames| {
                Found::Batch(frames, HEADER_BYTES + body.len())
            });
    }
    // A batch is begun only after the one before it was durable: if something follows, this one was once whole.
    let followed = bytes.get(HEADER_BYTES + body.len()..).is_some_and(|after| after.iter().any(|byte| *byte != 0));
    let torn = !followed && never_written(body, offset + HEADER_BYTES as u64);
    if torn { Found::Incomplete } else { Found::Wrong("a batch is altered") }
}

struct Header {
    fields: Vec<u8>,
    entries: u16,
    first: u64,
    length: usize,
    check: [u8; 16],
}

impl Header {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (checked, found) = bytes.split_last_chunk::<8>()?;
        if check::<8>(&[checked]) != *found {
            return None;
        }
        let (fields, check) = checked.split_last_chunk::<16>()?;
        let rest = fields.strip_prefix(MAGIC)?;
        let (entries, rest) = rest.split_first_chunk()?;
        let (first, rest) = rest.split_first_chunk()?;
        let length = u32::from_be_bytes(*rest.first_chunk()?);
        Some(Self {
            fields: fields.to_owned(),
            entries: u16::from_be_bytes(*entries),
            first: u64::from_be_bytes(*first),
            length: usize::try_from(length).ok()?,
            check: *check,
        })
    }
}

fn decode_frames(mut rest: &[u8], first: u64, entries: u16) -> Option<Vec<Frame>> {
    let mut frames = Vec::with_capacity(usize::from(entries));
    for seq in (first..).take(usize::from(entries)) {
        let ([class], after) = rest.split_first_chunk()?;
        let (leaf, after) = after.split_first_chunk()?;
        let (content, after) = after.split_first_chunk()?;
        let (days, after) = after.split_first_chunk()?;
        let (leaf, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*leaf)))?;
        let (content, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*content)).ok()?)?;
        let class = *Class::ALL.get(usize::from(*class))?;
        let day = EPOCH.checked_add(jiff::Span::new().try_days(i32::from_be_bytes(*days)).ok()?).ok()?;
        frames.push(Frame { seq, class, day, leaf: leaf.to_owned(), content: content.to_owned() });
        rest = after;
    }
    rest.is_empty().then_some(frames)
}

/// Whether some of these bytes, which stand at `offset` of their file, never reached the disk: the last one is a zero,
/// which no trailer ends in, or a whole sector is zeroes, which leaves and ciphertext do not contain.
fn never_written(bytes: &[u8], offset: u64) -> bool {
    let to_boundary = usize::try_from(offset.next_multiple_of(SECTOR_BYTES as u64) - offset).unwrap_or(0);
    let sectors = bytes.get(to_boundary..).unwrap_or_default().chunks_exact(SECTOR_BYTES);
    bytes.last() == Some(&0) || sectors.into_iter().any(|sector| sector.iter().all(|byte| *byte == 0))
}

fn check<const BYTES: usize>(parts: &[&[u8]]) -> [u8; BYTES] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    context.finish().as_ref().first_chunk().copied().unwrap_or([0; BYTES])
}

const EPOCH: Date = jiff::civil::date(1970, 1, 1);
const FILE_MAGIC: &[u8; 8] = b"REEVEWAL";
const VERSION: u32 = 1;
pub(super) const FILE_HEADER_BYTES: usize = 8 + 4 + 32 + 8 + 1 + 8 + 8;
const MAGIC: &[u8] = b"BATCH\0";
const HEADER_BYTES: usize = 6 + 2 + 8 + 4 + 16 + 8;

/// The last bytes of a batch. None of them is zero, so that a batch which ends in one was cut.
const TRAILER: &[u8] = b"DONE";

/// The smallest piece that a disk writes whole, in bytes.
const SECTOR_BYTES: usize = 512;
