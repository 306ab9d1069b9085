//! Bodies on their way through: counted, bounded in size and in patience, never gathered.

use std::cell::Cell;
use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::answers::reading::Reading;
use crate::guard::OpenRequest;
use crate::learn::Transcript;
use crate::pace::{Pace, PaceLimits};
use crate::refusal::Refusal;
use crate::taking::Share;
use crate::upstream::{Lease, Permit};

/// A body that broke off.
#[derive(Debug)]
pub(crate) struct BrokenOff(String);

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for BrokenOff {}

/// Why a request's body broke off, told to whoever answers the request.
pub(crate) type Breach = Rc<Cell<Option<Refusal>>>;

/// Whose turn it is while a body passes: since when the application's, or the client's (`None`).
pub(crate) type Turn = Rc<Cell<Option<Instant>>>;

/// The body of a request, on its way to the application.
pub(crate) struct RequestBody {
    /// Absent: there is none.
    incoming: Option<Incoming>,
    /// Pieces that were read before the request went on.
    ahead: VecDeque<Frame<Bytes>>,
    /// The room that they take.
    room: Room,
    bytes_left: u64,
    pace: Pace,
    breach: Breach,
    /// Somebody learns from it.
    transcript: Option<Transcript>,
    /// Absent: nobody waits for an application, or it has all of the body already.
    turn: Option<Turn>,
}

impl RequestBody {
    /// Lets at most `bytes_max` pass, and holds the client to a pace.
    pub(crate) fn new(incoming: Incoming, bytes_max: u64, pace: PaceLimits, breach: Breach) -> Self {
        Self {
            incoming: Some(incoming),
            ahead: VecDeque::new(),
            room: Room::default(),
            bytes_left: bytes_max,
            pace: Pace::new(pace),
            breach,
            transcript: None,
            turn: None,
        }
    }

    /// Copies what passes.
    pub(crate) fn copy_to(&mut self, transcript: Transcript) {
        self.transcript = Some(transcript);
    }

    /// No body.
    pub(crate) fn empty() -> Self {
        Self {
            incoming: None,
            ahead: VecDeque::new(),
            room: Room::default(),
            bytes_left: 0,
            pace: Pace::new(PaceLimits { grace: Duration::ZERO, bytes_a_second: 0 }),
            breach: Breach::default(),
            transcript: None,
            turn: None,
        }
    }

    /// Keeps from now on whose turn it is; nothing if there is no more to come from the client.
    pub(crate) fn turn(&mut self) -> Option<Turn> {
        if self.incoming.as_ref().is_none_or(Body::is_end_stream) {
            return None;
        }
        let turn = Rc::new(Cell::new(Some(Instant::now())));
        self.turn = Some(Rc::clone(&turn));
        Some(turn)
    }

    /// Reads ahead: to the end, or [`AHEAD_BYTES_MAX`], or the first pause.
    ///
    /// A body that does not state its length may turn out too large. Most such bodies are short; read ahead, one past
    /// the limit is refused before the application has seen any of it. Without this, an application that answers early
    /// and closes would turn the refusal into a broken exchange.
    pub(crate) async fn read_ahead(mut self, rooms: &Rooms) -> Result<Self, Refusal> {
        self.room = rooms.enter();
        while self.room.taken < AHEAD_BYTES_MAX {
            let next = poll_fn(|cx| Pin::new(&mut self).poll_next(cx));
            let Ok(frame) = tokio::time::timeout(AHEAD_PAUSE, next).await else { break };
            match frame {
                Some(Ok(frame)) => {
                    let fits = self.room.take(frame.data_ref().map_or(0, Bytes::len));
                    self.ahead.push_back(frame);
                    if !fits {
                        break;
                    }
                }
                Some(Err(error)) => {
                    return Err(self.breach.take().unwrap_or_else(|| Refusal::ClientGone(error.to_string())));
                }
                None => {
                    self.incoming = None;
                    break;
                }
            }
        }
        Ok(self)
    }

    /// Reads to the end, for whoever must see a body whole before any of it goes on. No pieces if it is longer than
    /// `bytes_max`, or if the worker has no room for it.
    pub(crate) async fn gather(
        mut self,
        rooms: &Rooms,
        bytes_max: usize,
    ) -> Result<(Self, Option<Vec<Bytes>>), Refusal> {
        // Somebody may have gathered it already.
        let mut pieces: Vec<Bytes> = self.ahead.iter().filter_map(|frame| frame.data_ref().cloned()).collect();
        if self.room.rooms.is_none() {
            self.room = rooms.enter();
        }
        if self.room.taken > bytes_max {
            return Ok((self, None));
        }
        loop {
            match poll_fn(|cx| Pin::new(&mut self).poll_next(cx)).await {
                Some(Ok(frame)) => {
                    let data = frame.data_ref().cloned().unwrap_or_default();
                    let fits = self.room.take(data.len());
                    if !fits || self.room.taken > bytes_max {
                        return Ok((self, None));
                    }
                    pieces.push(data);
                    self.ahead.push_back(frame);
                }
                Some(Err(error)) => {
                    return Err(self.breach.take().unwrap_or_else(|| Refusal::ClientGone(error.to_string())));
                }
                None => {
                    self.incoming = None;
                    return Ok((self, Some(pieces)));
                }
            }
        }
    }

    fn break_off(&self, refusal: Refusal) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let broken = BrokenOff(refusal.to_string());
        self.breach.set(Some(refusal));
        Poll::Ready(Some(Err(broken)))
    }
}

impl RequestBody {
    /// The next piece from the client, judged.
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let frame = match Pin::new(incoming).poll_frame(cx) {
            Poll::Pending => {
                ready!(self.pace.poll_lost(cx));
                return self.break_off(Refusal::BodyTooSlow);
            }
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(BrokenOff(error.to_string())))),
            Poll::Ready(None) => {
                self.copy(&[], true);
                return Poll::Ready(None);
            }
        };
        let length = frame.data_ref().map_or(0, Bytes::len);
        self.pace.moved(length);
        match self.bytes_left.checked_sub(length as u64) {
            Some(left) => self.bytes_left = left,
            None => return self.break_off(Refusal::BodyTooLarge),
        }
        if self.transcript.is_some() {
            // Whoever sends it on may not ask again after the last piece.
            let ended = self.incoming.as_ref().is_none_or(Body::is_end_stream);
            self.copy(frame.data_ref().map_or(&[], |data| data), ended);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn copy(&self, piece: &[u8], ended: bool) {
        let Some(transcript) = &self.transcript else { return };
        transcript.take(piece);
        if ended {
            transcript.end();
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let next = match self.ahead.pop_front() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => self.as_mut().poll_next(cx),
        };
        if let Some(turn) = &self.turn {
            turn.set(next.is_ready().then(Instant::now));
        }
        next
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_empty() && self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let ahead: usize = self.ahead.iter().filter_map(Frame::data_ref).map(Bytes::len).sum();
        match &self.incoming {
            None => SizeHint::with_exact(ahead as u64),
            Some(incoming) if ahead == 0 => incoming.size_hint(),
            Some(_) => SizeHint::new(),
        }
    }
}

/// One piece is taken as it is; several are copied together to be looked at, and go on as they were.
pub(crate) fn joined(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() < 2 {
        return pieces.pop().unwrap_or_default();
    }
    let mut whole = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
    whole.freeze()
}

/// What one worker may hold of bodies that were read ahead, all requests together. Past it, bodies go on unread, and
/// one past the limit is cut off on its way instead of before.
#[derive(Debug, Clone)]
pub(crate) struct Rooms(Rc<Cell<usize>>);

impl Default for Rooms {
    fn default() -> Self {
        Self(Rc::new(Cell::new(AHEAD_BYTES_MAX_OF_WORKER)))
    }
}

impl Rooms {
    fn enter(&self) -> Room {
        Room { rooms: Some(self.clone()), taken: 0 }
    }
}

/// The room that one body takes; given back when dropped.
#[derive(Debug, Default)]
struct Room {
    rooms: Option<Rooms>,
    taken: usize,
}

impl Room {
    /// Takes more, even past what is left: the piece is in memory already. Says whether another one may come.
    fn take(&mut self, bytes: usize) -> bool {
        let Some(Rooms(left)) = &self.rooms else { return false };
        self.taken += bytes;
        left.set(left.get().saturating_sub(bytes));
        left.get() > 0
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(Rooms(left)) = &self.rooms {
            left.set((left.get() + self.taken).min(AHEAD_BYTES_MAX_OF_WORKER));
        }
    }
}

/// The body of an answer, on its way to the client.
pub(crate) struct AnswerBody {
    source: Source,
    /// Marks the request as open until its answer is complete.
    open: Option<OpenRequest>,
    /// Tells whether the client takes it, where the connection does not show that by itself.
    share: Option<Share>,
    /// Looks at what passes.
    reading: Option<Box<Reading>>,
}

enum Source {
    Own(Option<Bytes>),
    Upstream {
        incoming: Incoming,
        lease: Option<Lease>,
        /// The room that the request takes at its server.
        permit: Option<Permit>,
        patience: Patience,
    },
    /// What was looked at before it went on, and the rest.
    Ahead {
        frames: VecDeque<Frame<Bytes>>,
        rest: Box<AnswerBody>,
    },
}

impl AnswerBody {
    /// A body of the gateway's own.
    pub(crate) fn own(text: impl Into<Bytes>) -> Self {
        let bytes = text.into();
        Self { source: Source::Own((!bytes.is_empty()).then_some(bytes)), open: None, share: None, reading: None }
    }

    /// The application's body, with the connection that it comes over.
    pub(crate) fn upstream(
        incoming: Incoming,
        lease: Option<Lease>,
        permit: Option<Permit>,
        stall_max: Duration,
    ) -> Self {
        let source = Source::Upstream { incoming, lease, permit, patience: Patience::new(stall_max) };
        let mut body = Self { source, open: None, share: None, reading: None };
        body.release_if_ended();
        body
    }

    /// Keeps the request counted as open while this body lives.
    pub(crate) fn keep_open(&mut self, open: OpenRequest, share: Option<Share>) {
        self.open = Some(open);
        self.share = share;
    }

    /// Has somebody look at what passes.
    pub(crate) fn tap(&mut self, reading: Box<Reading>) {
        self.reading = Some(reading);
    }

    /// Waits for the beginning: `bytes_max` of it, or all, or a pause. What was read goes on to the client as it came.
    pub(crate) async fn look_ahead(&mut self, bytes_max: usize, pause: Duration) -> Vec<Bytes> {
        let (mut frames, mut pieces, mut length) = (VecDeque::new(), Vec::new(), 0);
        while length < bytes_max && !self.is_end_stream() {
            let next = poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx));
            // An error comes again when the rest is read: the client sees the answer break off there, as it did.
            let Ok(Some(Ok(frame))) = tokio::time::timeout(pause, next).await else { break };
            if let Some(data) = frame.data_ref() {
                length += data.len();
                pieces.push(data.clone());
            }
            frames.push_back(frame);
        }
        if !frames.is_empty() {
            let rest = std::mem::replace(self, Self::own(""));
            *self =
                Self { source: Source::Ahead { frames, rest: Box::new(rest) }, open: None, share: None, reading: None };
        }
        pieces
    }

    /// Reads the rest and throws it away, within bounds, so that the connection to the application can serve again and
    /// the application does not see its answer cut off.
    pub(crate) async fn read_out(mut self) {
        let mut left = READ_OUT_BYTES_MAX;
        let read = async {
            while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut self).poll_frame(cx)).await {
                match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                    Some(rest) => left = rest,
                    None => return,
                }
            }
        };
        // Whatever is not read by then is cut off after all.
        let _ = tokio::time::timeout(READ_OUT_MAX, read).await;
    }

    /// Gives the connection back as soon as nothing more comes over it: the server above may never ask again.
    fn release_if_ended(&mut self) {
        if let Source::Upstream { incoming, lease, permit, .. } = &mut self.source
            && incoming.is_end_stream()
        {
            *permit = None;
            if let Some(lease) = lease.take() {
                lease.give_back();
            }
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let frame = self.poll_source(cx);
        if let Some(share) = &mut self.share {
            // Asked for more, so what there was has been taken.
            if frame.is_ready() { share.offered() } else { share.awaited() }
        }
        let frame = ready!(frame);
        if self.reading.is_some() {
            self.read_along(frame.as_ref());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Own(bytes) => bytes.is_none(),
            Source::Upstream { incoming, .. } => incoming.is_end_stream(),
            Source::Ahead { frames, rest } => frames.is_empty() && rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Source::Upstream { incoming, .. } => incoming.size_hint(),
            Source::Ahead { frames, rest } => {
                let ahead: usize = frames.iter().filter_map(Frame::data_ref).map(Bytes::len).sum();
                let exact = rest.size_hint().exact().map(|rest| rest.saturating_add(ahead as u64));
                exact.map_or_else(SizeHint::new, SizeHint::with_exact)
            }
        }
    }
}

impl AnswerBody {
    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let (incoming, lease, patience) = match &mut self.source {
            Source::Own(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Source::Upstream { incoming, lease, patience, .. } => (incoming, lease, patience),
            Source::Ahead { frames, rest } => {
                return match frames.pop_front() {
                    Some(frame) => Poll::Ready(Some(Ok(frame))),
                    None => Pin::new(&mut **rest).poll_frame(cx),
                };
            }
        };
        let mut frame = Pin::new(&mut *incoming).poll_frame(cx);
        if frame.is_pending()
            && let Some(lease) = lease
        {
            // The connection is driven from here, inside the request's own task: no task of its own, no wake-up.
            lease.drive(cx);
            frame = Pin::new(&mut *incoming).poll_frame(cx);
        }
        match frame {
            Poll::Pending => {
                ready!(patience.poll_lost(cx));
                Poll::Ready(Some(Err(BrokenOff(String::from("the upstream stalled")))))
            }
            Poll::Ready(Some(Ok(frame))) => {
                patience.renew();
                self.release_if_ended();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(BrokenOff(error.to_string())))),
            Poll::Ready(None) => {
                self.release_if_ended();
                Poll::Ready(None)
            }
        }
    }

    /// Shows what passes to whoever reads along, and tells when that was all. Whoever sends it on may not ask again after
    /// the last piece.
    fn read_along(&mut self, frame: Option<&Result<Frame<Bytes>, BrokenOff>>) {
        match frame {
            Some(Ok(frame)) => {
                if let (Some(reading), Some(data)) = (&mut self.reading, frame.data_ref()) {
                    reading.take(data);
                }
                if self.is_end_stream()
                    && let Some(reading) = self.reading.take()
                {
                    reading.end();
                }
            }
            Some(Err(_)) => self.reading = None,
            None => {
                if let Some(reading) = self.reading.take() {
                    reading.end();
                }
            }
        }
    }
}

/// How long to wait for the next piece. The timer exists only while there is a wait.
struct Patience {
    stall_max: Duration,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    const fn new(stall_max: Duration) -> Self {
        Self { stall_max, alarm: None }
    }

    fn renew(&mut self) {
        self.alarm = None;
    }

    fn poll_lost(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.stall_max)));
        alarm.as_mut().poll(cx)
    }
}

/// An error page of the application that is replaced is read out up to this size, for this long.
const READ_OUT_BYTES_MAX: usize = 256 * 1024;
const READ_OUT_MAX: Duration = Duration::from_secs(2);

/// Larger bodies of unstated length go on piece by piece. A little more than the usual limit of 1 MiB, so that one past
/// it is seen here.
const AHEAD_BYTES_MAX: usize = (1 << 20) + (1 << 16);
const AHEAD_BYTES_MAX_OF_WORKER: usize = 64 << 20;

/// A client that pauses may be waiting for an answer to what it has sent.
const AHEAD_PAUSE: Duration = Duration::from_millis(250);
