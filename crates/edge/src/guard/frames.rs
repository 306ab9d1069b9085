//! A second look at the frames of an HTTP/2 connection: none that stops half way, no flood of those that cost their
//! sender nothing.
//!
//! The library reads the frames and bounds what each may hold. It does not ask how long one takes, nor how many
//! requests are cancelled as soon as they are made (CVE-2023-44487). Only the nine bytes in front of each frame are
//! read here (RFC 9113 section 4.1), so a byte of payload costs nothing.

use tokio::time::Instant;

use crate::refusal::Refusal;

/// Where in the stream of frames a connection stands.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes of the preface, or of the present frame's payload, that are still to come.
    skip: usize,
    /// The bytes of the present frame's own head that have come.
    head: [u8; FRAME_HEAD_BYTES],
    head_filled: usize,
    /// The present frame is one of a body, which may take its time.
    data: bool,
    /// A field block has begun and not ended, in so many further frames.
    block: Option<u32>,
    /// Requests that have begun.
    begun: u64,
    resets: Bucket,
    idle_talk: Bucket,
}

/// How many of something may come at once and over time.
#[derive(Debug)]
struct Bucket {
    left: u32,
    full: u32,
    a_second: u32,
    since: Option<Instant>,
}

impl Frames {
    /// In front of the client's preface (RFC 9113 section 3.4).
    pub(super) const fn new() -> Self {
        Self {
            skip: PREFACE_BYTES,
            head: [0; FRAME_HEAD_BYTES],
            head_filled: 0,
            data: false,
            block: None,
            begun: 0,
            resets: Bucket::new(RESETS_AT_ONCE, RESETS_A_SECOND),
            idle_talk: Bucket::new(IDLE_TALK_AT_ONCE, IDLE_TALK_A_SECOND),
        }
    }

    /// Whether something has begun that its sender owes the rest of, other than a piece of a body.
    pub(super) const fn half_way(&self) -> bool {
        (self.skip > 0 && !self.data) || self.head_filled > 0 || self.block.is_some()
    }

    /// How many requests have begun.
    pub(super) const fn begun(&self) -> u64 {
        self.begun
    }

    /// Follows the frames through the next bytes of the stream.
    pub(super) fn walk(&mut self, mut bytes: &[u8]) -> Result<(), Refusal> {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let wanted = FRAME_HEAD_BYTES - self.head_filled;
            let (head, rest) = bytes.split_at_checked(wanted).unwrap_or((bytes, &[]));
            for (to, from) in self.head.iter_mut().skip(self.head_filled).zip(head) {
                *to = *from;
            }
            self.head_filled += head.len();
            bytes = rest;
            if self.skip == 0 && self.head_filled == FRAME_HEAD_BYTES {
                self.head_filled = 0;
                self.begin()?;
            }
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Refusal> {
        let [high, middle, low, kind, flags, ..] = self.head;
        self.skip = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        self.data = kind == DATA;
        match kind {
            HEADERS => {
                self.begun += 1;
                self.block = (flags & END_HEADERS == 0).then_some(0);
            }
            CONTINUATION => self.continue_block(flags)?,
            RST_STREAM => self.resets.take("too many cancelled requests")?,
            DATA if self.skip == 0 && flags & END_STREAM == 0 => self.idle_talk.take("a flood of empty frames")?,
            PRIORITY | SETTINGS | PING => self.idle_talk.take("a flood of frames that ask for nothing")?,
            _ => {}
        }
        Ok(())
    }

    fn continue_block(&mut self, flags: u8) -> Result<(), Refusal> {
        // A continuation of nothing is the library's to refuse.
        let frames = self.block.unwrap_or_default() + 1;
        if frames > CONTINUATIONS_MAX {
            return Err(Refusal::Flood("a head in too many pieces"));
        }
        self.block = (flags & END_HEADERS == 0).then_some(frames);
        Ok(())
    }
}

impl Bucket {
    const fn new(full: u32, a_second: u32) -> Self {
        Self { left: full, full, a_second, since: None }
    }

    fn take(&mut self, cause: &'static str) -> Result<(), Refusal> {
        if self.left == 0 {
            let since = *self.since.get_or_insert_with(Instant::now);
            let earned = since.elapsed().as_millis() * u128::from(self.a_second) / 1_000;
            self.left = u32::try_from(earned).unwrap_or(self.full).min(self.full);
            self.since = Some(Instant::now());
        }
        self.left = self.left.checked_sub(1).ok_or(Refusal::Flood(cause))?;
        // The clock is read when a bucket is opened and when it is empty, and never in between.
        self.since.get_or_insert_with(Instant::now);
        Ok(())
    }
}

const PREFACE_BYTES: usize = 24;
const FRAME_HEAD_BYTES: usize = 9;

/// Types of frames (RFC 9113 section 6) and their flags.
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const PRIORITY: u8 = 0x2;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const CONTINUATION: u8 = 0x9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// A browser that leaves a page of pictures cancels some dozens at once; nobody cancels so many every second.
const RESETS_AT_ONCE: u32 = 200;
const RESETS_A_SECOND: u32 = 20;

/// Frames that carry no request: pings of clients that measure the line come with each piece they receive.
const IDLE_TALK_AT_ONCE: u32 = 1_000;
const IDLE_TALK_A_SECOND: u32 = 100;

/// At 16 KiB each, the least that every client may send in one frame, more than any limit on a head.
const CONTINUATIONS_MAX: u32 = 16;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let mut bytes = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        bytes.extend(std::iter::repeat_n(0xff, payload));
        bytes
    }

    fn opened() -> Frames {
        let mut frames = Frames::new();
        frames.walk(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        assert!(!frames.half_way());
        frames
    }

    #[test]
    fn whole_frames_leave_nothing_half_way_however_they_are_cut() {
        let stream: Vec<_> =
            [frame(SETTINGS, 0, 18), frame(HEADERS, 0, 40), frame(CONTINUATION, 4, 3), frame(DATA, 1, 0)].concat();
        for piece in 1..stream.len() {
            let mut frames = opened();
            for bytes in stream.chunks(piece) {
                frames.walk(bytes).unwrap();
            }
            assert!(!frames.half_way(), "pieces of {piece}");
        }
    }

    #[test]
    fn every_cut_that_leaves_something_owed_is_seen() {
        let stream = [frame(HEADERS, 0, 40), frame(CONTINUATION, 4, 3)].concat();
        for cut in 1..stream.len() {
            let mut frames = opened();
            frames.walk(&stream[..cut]).unwrap();
            assert!(frames.half_way(), "after {cut} bytes");
        }
        let mut body = opened();
        body.walk(&frame(DATA, 0, 100)[..50]).unwrap();
        assert!(!body.half_way(), "a body has a pace of its own");
        assert!(Frames::new().half_way(), "the preface is owed from the start");
    }

    #[tokio::test(start_paused = true)]
    async fn cancelling_is_free_up_to_a_point_and_earned_back_with_time() {
        let mut frames = opened();
        let reset = frame(RST_STREAM, 0, 4);
        for _ in 0..RESETS_AT_ONCE {
            frames.walk(&reset).unwrap();
        }
        assert_eq!(frames.walk(&reset), Err(Refusal::Flood("too many cancelled requests")));
        let mut slow = opened();
        for _ in 0..10 * RESETS_AT_ONCE {
            tokio::time::advance(Duration::from_millis(60)).await;
            slow.walk(&reset).unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn floods_of_what_costs_nothing_end_and_downloads_do_not() {
        for (kind, flags, payload) in [(PING, 0, 8), (SETTINGS, 0, 0), (PRIORITY, 0, 5), (DATA, 0, 0)] {
            let mut frames = opened();
            let flood = frame(kind, flags, payload).repeat(usize::try_from(IDLE_TALK_AT_ONCE).unwrap());
            frames.walk(&flood).unwrap();
            assert!(frames.walk(&frame(kind, flags, payload)).is_err(), "kind {kind}");
        }
        let mut frames = opened();
        let window_update = frame(0x8, 0, 4);
        for _ in 0..100_000 {
            frames.walk(&window_update).unwrap();
        }
    }

    #[test]
    fn a_head_in_too_many_pieces_is_refused() {
        let mut frames = opened();
        frames.walk(&frame(HEADERS, 0, 1)).unwrap();
        for _ in 0..CONTINUATIONS_MAX {
            frames.walk(&frame(CONTINUATION, 0, 0)).unwrap();
        }
        assert!(frames.walk(&frame(CONTINUATION, 0, 0)).is_err());
    }
}
