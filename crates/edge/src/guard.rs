//! The byte stream between TLS and the HTTP library: it lets a message pass only when its head was inspected.
//!
//! The library answers some malformed heads itself, with an empty page and no event, and reads others more kindly than
//! the policy allows. So the guard reads first. A head that passes goes on byte for byte, and the facts about it wait
//! in [`Heads`] for the service. A head that is refused is replaced by a harmless request of the guard's own; the
//! service finds the refusal in [`Heads`], answers it with a proper page and an event, and the connection ends.

mod chunks;
mod frames;

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::ReadBufCursor;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};

use crate::head::{Framing, Head, HeadLimits, Inspection, Strictness, inspect};
use crate::pace::{Pace, PaceLimits};
use crate::refusal::Refusal;

use chunks::Chunks;
use frames::Frames;

/// What the guard found in a head: that it passes, or why it is refused and what it began with.
pub(crate) type Finding = Result<Head, (Refusal, String)>;

/// What was found about the messages of one connection, in their order, for the service to take.
///
/// Guard and service run on one thread and never wait for each other here; the locks and atomics are there because the
/// library asks that a connection which may change its protocol can be sent to another thread.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    waiting: Mutex<VecDeque<Finding>>,
    /// Requests whose answers are not complete; while there are any, the connection is not idle.
    open: AtomicU32,
    /// A fault in the body of the newest request.
    body_fault: Mutex<Option<Refusal>>,
    /// Why the connection as a whole was cut off.
    cut_off: Mutex<Option<Refusal>>,
    /// Told when the connection is to end after the answers that are under way.
    leave: Notify,
    /// The connection left HTTP: from here on the guard only carries bytes.
    released: AtomicBool,
    /// An answer was given before the request was read to its end.
    unread: AtomicBool,
}

impl Heads {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Finding>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn body_fault(&self) -> MutexGuard<'_, Option<Refusal>> {
        self.body_fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The finding about the next request. `None` where the guard inspects nothing.
    pub(crate) fn take(&self) -> Option<Finding> {
        self.waiting().pop_front()
    }

    /// What was wrong with the body that just broke off, if it was the guard that broke it off.
    pub(crate) fn take_body_fault(&self) -> Option<Refusal> {
        self.body_fault().take()
    }

    /// Why the connection was cut off, if it was.
    pub(crate) fn take_cut_off(&self) -> Option<Refusal> {
        self.cut_off.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Cuts the connection off: whoever reads or writes it next gets this error.
    pub(crate) fn cut_off(&self, refusal: Refusal) -> io::Error {
        let error = io::Error::new(io::ErrorKind::TimedOut, refusal.to_string());
        *self.cut_off.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
        error
    }

    /// Asks for the end of the connection, after the answers that are under way.
    pub(crate) fn ask_to_leave(&self) {
        self.leave.notify_one();
    }

    /// Waits until the connection is to end.
    pub(crate) async fn asked_to_leave(&self) {
        self.leave.notified().await;
    }

    /// Stops to inspect, because the connection now speaks another protocol.
    pub(crate) fn release(&self) {
        self.released.store(true, Relaxed);
    }

    /// Listens on for a moment when the connection ends, because a request was answered before it was read.
    pub(crate) fn leave_unread(&self) {
        self.unread.store(true, Relaxed);
    }

    /// Counts a request as open until the token is dropped.
    pub(crate) fn open(self: &Arc<Self>) -> OpenRequest {
        self.open.fetch_add(1, Relaxed);
        OpenRequest(Arc::clone(self))
    }
}

/// A request whose answer is not complete.
#[derive(Debug)]
pub(crate) struct OpenRequest(Arc<Heads>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

/// What the guard holds a connection to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GuardLimits {
    pub(crate) head: HeadLimits,
    pub(crate) strictness: Strictness,
    /// From a head's first byte to its last.
    pub(crate) head_deadline: Duration,
    /// Between requests.
    pub(crate) idle_deadline: Duration,
    /// How slowly a client may send a body and take an answer.
    pub(crate) pace: PaceLimits,
}

#[derive(Debug)]
enum Stage {
    /// A head is awaited or under way; so many of its bytes are known to hold no end.
    Head {
        scanned: usize,
    },
    /// So many bytes of a head that passed are still to be handed on.
    Passing {
        left: usize,
        then: Body,
    },
    Body(Body),
    /// The guard's own request, of which so many bytes were handed on.
    Refused {
        sent: usize,
    },
    /// The frames of HTTP/2, which the library inspects, are followed.
    Frames,
    /// Nothing is inspected.
    Raw,
    /// Nothing more is handed on.
    Ended,
}

#[derive(Debug, Clone, Copy)]
enum Body {
    Empty,
    Length(u64),
    Chunked(Chunks),
    /// The client wants another protocol: nothing is read until the answer says whether it gets it.
    Undecided,
}

pub(crate) struct Guard<IO> {
    io: IO,
    heads: Arc<Heads>,
    limits: GuardLimits,
    buffer: Vec<u8>,
    /// The bytes of `buffer` that were read and not yet handed on.
    filled: std::ops::Range<usize>,
    stage: Stage,
    /// When the present wait began.
    since: Instant,
    alarm: Option<Pin<Box<Sleep>>>,
    /// Where the frames of HTTP/2 stand.
    frames: Option<Box<Frames>>,
    /// How the client takes what is written.
    writing: Pace,
    linger: Option<Linger>,
}

/// After a refusal the client may still be sending. Closing at once would reset the connection, and the reset would
/// overtake the page that explains it (RFC 9112 section 9.6).
struct Linger {
    until: Pin<Box<Sleep>>,
    bytes_left: usize,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Guard<IO> {
    /// Guards an HTTP/1 connection.
    pub(crate) fn new(io: IO, heads: Arc<Heads>, limits: GuardLimits) -> Self {
        Self::at(Stage::Head { scanned: 0 }, io, heads, limits)
    }

    /// Guards an HTTP/2 connection, whose library checks its own framing.
    pub(crate) fn h2(io: IO, heads: Arc<Heads>, limits: GuardLimits) -> Self {
        Self { frames: Some(Box::new(Frames::new())), ..Self::at(Stage::Frames, io, heads, limits) }
    }

    fn at(stage: Stage, io: IO, heads: Arc<Heads>, limits: GuardLimits) -> Self {
        Self {
            io,
            heads,
            limits,
            buffer: vec![0; BUFFER_BYTES],
            filled: 0..0,
            stage,
            since: Instant::now(),
            alarm: None,
            frames: None,
            writing: Pace::new(limits.pace),
            linger: None,
        }
    }

    fn waiting(&self) -> &[u8] {
        self.buffer.get(self.filled.clone()).unwrap_or_default()
    }

    /// Reads more into the buffer. `Ready(Ok(0))` is the end of the stream.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.filled.is_empty() {
            self.filled = 0..0;
        } else if self.filled.end == self.buffer.len() {
            if self.filled.start > 0 {
                self.buffer.copy_within(self.filled.clone(), 0);
                self.filled = 0..self.filled.len();
            } else {
                // A head is bounded by its limit; a body is handed on before the buffer is full.
                let larger = (self.buffer.len() * 2).min(self.limits.head.head_bytes_max.max(BUFFER_BYTES) + 1);
                self.buffer.resize(larger, 0);
            }
        }
        let Some(free) = self.buffer.get_mut(self.filled.end..) else { return Poll::Ready(Ok(0)) };
        let mut target = ReadBuf::new(free);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut target))?;
        let read = target.filled().len();
        self.filled.end += read;
        Poll::Ready(Ok(read))
    }

    /// Hands on up to `most` of the waiting bytes.
    fn hand_on(&mut self, out: &mut ReadBufCursor<'_>, most: usize) -> usize {
        let count = self.filled.len().min(out.remaining()).min(most);
        if let Some(bytes) = self.waiting().get(..count) {
            out.put_slice(bytes);
        }
        self.filled.start += count;
        count
    }

    /// Waits for a head: inspects what is there, reads more, watches the deadline.
    fn poll_head(&mut self, cx: &mut Context<'_>, mut scanned: usize) -> Poll<io::Result<()>> {
        loop {
            if self.heads.released.load(Relaxed) {
                self.stage = Stage::Raw;
                return Poll::Ready(Ok(()));
            }
            if !self.filled.is_empty() {
                let inspection = inspect(self.waiting(), &mut scanned, &self.limits.head, self.limits.strictness);
                match inspection {
                    Inspection::Passed(head) => {
                        self.pass(head);
                        return Poll::Ready(Ok(()));
                    }
                    Inspection::Refused(refusal) => {
                        self.refuse(refusal);
                        return Poll::Ready(Ok(()));
                    }
                    Inspection::Incomplete => self.stage = Stage::Head { scanned },
                }
            }
            let first = self.filled.is_empty();
            match self.poll_fill(cx)? {
                Poll::Ready(0) => {
                    self.stage = Stage::Ended;
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(_) if first => self.since = Instant::now(),
                Poll::Ready(_) => {}
                Poll::Pending => {
                    ready!(self.poll_deadline(cx, first));
                    if self.filled.is_empty() {
                        self.stage = Stage::Ended;
                    } else {
                        self.refuse(Refusal::HeadTooSlow);
                    }
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    /// Ready when the wait for a head has lasted too long. The alarm is set once and moved only when it rings too
    /// early, so that a busy connection never touches the timer.
    fn poll_deadline(&mut self, cx: &mut Context<'_>, idle: bool) -> Poll<()> {
        loop {
            if idle && self.heads.open.load(Relaxed) > 0 {
                self.since = Instant::now();
            }
            let limit = if idle { self.limits.idle_deadline } else { self.limits.head_deadline };
            let due = self.since + limit;
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
            if alarm.deadline() > due {
                alarm.as_mut().reset(due);
            }
            ready!(alarm.as_mut().poll(cx));
            if alarm.deadline() >= due {
                self.alarm = None;
                return Poll::Ready(());
            }
            alarm.as_mut().reset(due);
        }
    }

    /// Reads on and follows the frames; watches for what stops half way and for a connection that nobody uses.
    fn poll_frames(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(mut frames) = self.frames.take() else { return Poll::Ready(Ok(0)) };
        let read = self.follow(cx, &mut frames);
        self.frames = Some(frames);
        read
    }

    fn follow(&mut self, cx: &mut Context<'_>, frames: &mut Frames) -> Poll<io::Result<usize>> {
        loop {
            let (half_way, begun) = (frames.half_way(), frames.begun());
            if let Poll::Ready(read) = self.poll_fill(cx)? {
                frames.walk(self.waiting()).map_err(|refusal| self.heads.cut_off(refusal))?;
                if frames.begun() != begun || frames.half_way() != half_way {
                    self.since = Instant::now();
                }
                return Poll::Ready(Ok(read));
            }
            ready!(self.poll_deadline(cx, !half_way));
            if half_way {
                return Poll::Ready(Err(self.heads.cut_off(Refusal::HeadTooSlow)));
            }
            // The client is told, so that it knows which requests it may send again (RFC 9113 section 6.8).
            self.heads.ask_to_leave();
            self.since = Instant::now();
        }
    }

    fn pass(&mut self, head: Head) {
        let then = match head.framing {
            Framing::Empty if head.upgrade => Body::Undecided,
            Framing::Empty => Body::Empty,
            Framing::Length(length) => Body::Length(length),
            Framing::Chunked => Body::Chunked(Chunks::new()),
        };
        self.stage = Stage::Passing { left: head.bytes, then };
        self.heads.waiting().push_back(Ok(head));
    }

    fn refuse(&mut self, refusal: Refusal) {
        let line = self.waiting().split(|byte| matches!(byte, b'\r' | b'\n' | b'?')).next().unwrap_or_default();
        let line = String::from_utf8_lossy(line.get(..LINE_SHOWN_BYTES_MAX).unwrap_or(line)).into_owned();
        self.heads.waiting().push_back(Err((refusal, line)));
        self.stage = Stage::Refused { sent: 0 };
        self.heads.leave_unread();
    }

    /// Where the message stands after `count` bytes of its body were handed on.
    fn begin_next(&mut self) {
        self.since = Instant::now();
        self.stage = Stage::Head { scanned: 0 };
    }

    fn poll_body(&mut self, cx: &mut Context<'_>, body: Body, out: &mut ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        if self.filled.is_empty() && ready!(self.poll_fill(cx))? == 0 {
            self.stage = Stage::Ended;
            return Poll::Ready(Ok(()));
        }
        match body {
            Body::Empty | Body::Undecided => self.begin_next(),
            Body::Length(left) => {
                let handed = self.hand_on(out, usize::try_from(left).unwrap_or(usize::MAX));
                let left = left - handed as u64;
                if left == 0 {
                    self.begin_next();
                } else {
                    self.stage = Stage::Body(Body::Length(left));
                }
            }
            Body::Chunked(mut chunks) => {
                let reach = self.filled.len().min(out.remaining());
                match chunks.walk(self.waiting().get(..reach).unwrap_or_default()) {
                    Ok(walked) => {
                        self.hand_on(out, walked);
                        if chunks.ended() {
                            self.begin_next();
                        } else {
                            self.stage = Stage::Body(Body::Chunked(chunks));
                        }
                    }
                    // Lenient: the library reads on by its own lights, unwatched.
                    Err(_) if self.limits.strictness == Strictness::Lenient => self.stage = Stage::Raw,
                    Err(refusal) => {
                        let message = refusal.to_string();
                        *self.heads.body_fault() = Some(refusal);
                        self.stage = Stage::Ended;
                        return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, message)));
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads and throws away what a refused client still sends, within bounds.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.heads.unread.swap(false, Relaxed) {
            let until = Box::pin(tokio::time::sleep(LINGER_MAX));
            self.linger = Some(Linger { until, bytes_left: LINGER_BYTES_MAX });
        }
        let Some(mut linger) = self.linger.take() else { return Poll::Ready(()) };
        loop {
            self.filled = 0..0;
            match self.poll_fill(cx) {
                Poll::Ready(Ok(read)) if read > 0 && read < linger.bytes_left => linger.bytes_left -= read,
                Poll::Ready(Ok(_) | Err(_)) => return Poll::Ready(()),
                Poll::Pending => {
                    let timeout = linger.until.as_mut().poll(cx);
                    if timeout.is_pending() {
                        self.linger = Some(linger);
                    }
                    return timeout;
                }
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> hyper::rt::Read for Guard<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, mut out: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let guard = &mut *self;
        let room = out.remaining();
        // Each turn either hands bytes on, ends the stream, or moves to a stage that will.
        while out.remaining() == room {
            match guard.stage {
                Stage::Head { scanned } => ready!(guard.poll_head(cx, scanned))?,
                Stage::Passing { left, then } => {
                    let left = left - guard.hand_on(&mut out, left);
                    match (left, then) {
                        (0, Body::Empty) => guard.begin_next(),
                        (0, then) => guard.stage = Stage::Body(then),
                        (left, then) => guard.stage = Stage::Passing { left, then },
                    }
                }
                Stage::Body(Body::Undecided) => {
                    if guard.heads.released.load(Relaxed) {
                        guard.stage = Stage::Raw;
                    } else if guard.heads.open.load(Relaxed) == 0 && guard.heads.waiting().is_empty() {
                        guard.begin_next();
                    } else if guard.filled.is_empty() {
                        // Bytes may wait for the decision, but the end of the stream is told at once.
                        if ready!(guard.poll_fill(cx))? == 0 {
                            guard.stage = Stage::Ended;
                        }
                    } else {
                        return Poll::Pending;
                    }
                }
                Stage::Body(body) => ready!(guard.poll_body(cx, body, &mut out))?,
                Stage::Refused { sent } => {
                    let rest = STAND_IN.get(sent..).unwrap_or_default();
                    let count = rest.len().min(out.remaining());
                    if count == 0 {
                        // Not the end of the stream: that would make the library drop the answer.
                        return Poll::Pending;
                    }
                    out.put_slice(rest.get(..count).unwrap_or_default());
                    guard.stage = Stage::Refused { sent: sent + count };
                }
                Stage::Frames => {
                    if guard.filled.is_empty() && ready!(guard.poll_frames(cx))? == 0 {
                        return Poll::Ready(Ok(()));
                    }
                    guard.hand_on(&mut out, usize::MAX);
                }
                Stage::Raw => {
                    if guard.filled.is_empty() && ready!(guard.poll_fill(cx))? == 0 {
                        return Poll::Ready(Ok(()));
                    }
                    guard.hand_on(&mut out, usize::MAX);
                }
                Stage::Ended => return Poll::Ready(Ok(())),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO> Guard<IO> {
    /// Holds a client to its pace in taking what is written.
    fn paced<T>(
        &mut self,
        cx: &mut Context<'_>,
        done: Poll<io::Result<T>>,
        bytes: impl Fn(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        match &done {
            Poll::Ready(Ok(moved)) => self.writing.moved(bytes(moved)),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                ready!(self.writing.poll_lost(cx));
                return Poll::Ready(Err(self.heads.cut_off(Refusal::ReaderTooSlow)));
            }
        }
        done
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> hyper::rt::Write for Guard<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.paced(cx, written, |written| *written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        // What is flushed was counted when it was written.
        self.paced(cx, flushed, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
        ready!(self.poll_linger(cx));
        Poll::Ready(Ok(()))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.paced(cx, written, |written| *written)
    }
}

/// What the library reads in place of a head that was refused.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused.invalid\r\nconnection: close\r\n\r\n";

/// One TLS record's worth of request: most heads fit, and an idle connection costs no more.
const BUFFER_BYTES: usize = 4 * 1024;

/// How much of a refused head an operator is shown: its beginning, without a query.
const LINE_SHOWN_BYTES_MAX: usize = 128;

/// How long, and for how many bytes, a refused client is listened to after the answer.
const LINGER_MAX: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 4 * 1024 * 1024;
