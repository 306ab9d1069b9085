//! Bodies on their way through: counted, bounded in size and in patience, never gathered.

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use crate::guard::OpenRequest;
use crate::refusal::Refusal;
use crate::upstream::Lease;

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

/// The body of a request, on its way to the application.
pub(crate) struct RequestBody {
    /// Absent: there is none.
    incoming: Option<Incoming>,
    bytes_left: u64,
    patience: Patience,
    breach: Breach,
}

impl RequestBody {
    /// Lets at most `bytes_max` pass, and waits at most `stall_max` for each piece.
    pub(crate) fn new(incoming: Incoming, bytes_max: u64, stall_max: Duration, breach: Breach) -> Self {
        Self { incoming: Some(incoming), bytes_left: bytes_max, patience: Patience::new(stall_max), breach }
    }

    /// No body.
    pub(crate) fn empty() -> Self {
        Self { incoming: None, bytes_left: 0, patience: Patience::new(Duration::MAX), breach: Breach::default() }
    }

    fn break_off(&self, refusal: Refusal) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let broken = BrokenOff(refusal.to_string());
        self.breach.set(Some(refusal));
        Poll::Ready(Some(Err(broken)))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let frame = match Pin::new(incoming).poll_frame(cx) {
            Poll::Pending => {
                ready!(self.patience.poll_lost(cx));
                return self.break_off(Refusal::BodyTooSlow);
            }
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(BrokenOff(error.to_string())))),
            Poll::Ready(None) => return Poll::Ready(None),
        };
        self.patience.renew();
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        match self.bytes_left.checked_sub(length) {
            Some(left) => self.bytes_left = left,
            None => return self.break_off(Refusal::BodyTooLarge),
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// The body of an answer, on its way to the client.
pub(crate) struct AnswerBody {
    source: Source,
    /// Marks the request as open until its answer is complete.
    open: Option<OpenRequest>,
}

enum Source {
    Own(Option<Bytes>),
    Upstream { incoming: Incoming, lease: Option<Lease>, patience: Patience },
}

impl AnswerBody {
    /// A body of the gateway's own.
    pub(crate) fn own(text: impl Into<Bytes>) -> Self {
        let bytes = text.into();
        Self { source: Source::Own((!bytes.is_empty()).then_some(bytes)), open: None }
    }

    /// The application's body, with the connection that it comes over.
    pub(crate) fn upstream(incoming: Incoming, lease: Option<Lease>, stall_max: Duration) -> Self {
        let mut body =
            Self { source: Source::Upstream { incoming, lease, patience: Patience::new(stall_max) }, open: None };
        body.release_if_ended();
        body
    }

    /// Keeps the request counted as open while this body lives.
    pub(crate) fn keep_open(&mut self, open: OpenRequest) {
        self.open = Some(open);
    }

    /// Gives the connection back as soon as nothing more comes over it: the server above may never ask again.
    fn release_if_ended(&mut self) {
        if let Source::Upstream { incoming, lease, .. } = &mut self.source
            && incoming.is_end_stream()
            && let Some(lease) = lease.take()
        {
            lease.give_back();
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let (incoming, lease, patience) = match &mut self.source {
            Source::Own(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Source::Upstream { incoming, lease, patience } => (incoming, lease, patience),
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

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Own(bytes) => bytes.is_none(),
            Source::Upstream { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Source::Upstream { incoming, .. } => incoming.size_hint(),
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
