//! Connections to the application: a pool of each worker's own, HTTP/1.1 or HTTP/2.
//!
//! An HTTP/1.1 connection is driven by the request that uses it: while the request waits for the answer, and while the
//! answer's body is read, their tasks poll the connection in place. A task of its own for each connection would cost a
//! wake-up for each request. The price: a connection that died while unused is noticed only when it is taken out.
//!
//! A connection is not used for longer than [`LIFE`], so that a name that has come to mean another machine is followed.

mod balance;
mod condition;
mod connect;
mod group;
mod health;
mod key_pin;
mod outward;

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

use http::header::HOST;
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use tokio::time::Instant;

use crate::body::{RequestBody, Turn};
use crate::settings::UpstreamSettings;
use crate::traces::Exchange;

pub(crate) use balance::{balanced, upgraded};
pub(crate) use condition::Permit;
pub use condition::ServerState;
pub use connect::DialerError;
pub(crate) use connect::{ConnectError, Dialer, Stream};
pub(crate) use connect::{Trust, connector};
pub(crate) use group::{Pools, Upstream, Upstreams};
pub(crate) use health::attend;
pub use key_pin::{KeyPin, KeyPinError};
pub use outward::{Outlook, Outward, TrialError};

type H1Connection = http1::Connection<hyper_util::rt::TokioIo<Stream>, RequestBody>;

/// What goes wrong between the gateway and the application.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("no answer within {0:?} (`answer`)")]
    Slow(Duration),
    #[error("{0}")]
    Exchange(#[source] hyper::Error),
    /// The same of one server among several.
    #[error("{0}: {1}")]
    At(String, #[source] Box<Self>),
    /// No server takes requests.
    #[error("no server takes requests")]
    NoServer(Duration),
}

impl UpstreamError {
    /// What kind of error it is, in a word.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Connect(ConnectError::Timeout { .. }) => "connect_timeout",
            Self::Connect(_) => "connect",
            Self::Slow(_) => "timeout",
            Self::Exchange(_) => "exchange",
            Self::At(_, error) => error.kind(),
            Self::NoServer(_) => "no_server",
        }
    }
}

/// The connections of one worker to the application.
pub(crate) struct Pool {
    dialer: Dialer,
    idle: RefCell<Vec<Idle>>,
    /// The one connection over which HTTP/2 runs, if the application speaks it.
    shared: RefCell<Option<Shared>>,
    idle_max: Duration,
    idle_connections_max: usize,
    answer_max: Duration,
}

#[derive(Clone)]
struct Shared {
    sender: http2::SendRequest<RequestBody>,
    born: Instant,
}

impl Shared {
    fn usable(&self) -> bool {
        !self.sender.is_closed() && self.born.elapsed() < LIFE
    }
}

struct Idle {
    line: Line,
    since: Instant,
}

/// One HTTP/1.1 connection with its driver.
struct Line {
    sender: http1::SendRequest<RequestBody>,
    connection: Pin<Box<H1Connection>>,
    /// The driver has ended: nothing more will come.
    ended: bool,
    born: Instant,
}

impl Line {
    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.ended && self.connection.as_mut().poll(cx).is_ready() {
            self.ended = true;
        }
    }

    /// Whether another request can go over it, as far as can be known.
    fn usable(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        !self.ended && self.sender.is_ready()
    }
}

/// A connection that is in use; it goes back to its pool, or is closed when dropped.
pub(crate) struct Lease {
    line: Line,
    pool: Weak<Pool>,
}

impl Lease {
    /// Lets the connection make progress.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        self.line.drive(cx);
    }

    /// Returns the connection for another request, if it is fit for one.
    pub(crate) fn give_back(mut self) {
        if let Some(pool) = self.pool.upgrade()
            && self.line.usable()
        {
            pool.store(self.line);
        }
    }

    /// Sends the request and waits for the head of the answer, driving the connection meanwhile.
    async fn exchange(
        &mut self,
        mut request: Request<RequestBody>,
        answer_max: Duration,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let turn = request.body_mut().turn();
        let mut answer = pin!(self.line.sender.send_request(request));
        let line = &mut self.line;
        let exchange = poll_fn(|cx| {
            line.drive(cx);
            answer.as_mut().poll(cx)
        });
        within(answer_max, turn, exchange).await
    }
}

/// A connection that a request can go over.
enum Channel {
    Own(Line),
    Shared(http2::SendRequest<RequestBody>),
}

/// An answer's head, and the connection over which its body comes (none with HTTP/2, whose connection is shared).
pub(crate) struct Answer {
    pub(crate) response: Response<Incoming>,
    pub(crate) lease: Option<Lease>,
}

impl Pool {
    pub(crate) fn new(settings: &UpstreamSettings, dialer: Dialer) -> Rc<Self> {
        Rc::new(Self {
            dialer,
            idle: RefCell::default(),
            shared: RefCell::default(),
            idle_max: settings.idle,
            idle_connections_max: settings.idle_connections_max,
            answer_max: settings.answer,
        })
    }

    pub(crate) fn answer_max(&self) -> Duration {
        self.answer_max
    }

    fn store(&self, line: Line) {
        let mut idle = self.idle.borrow_mut();
        let now = Instant::now();
        if idle.len() < self.idle_connections_max && now.duration_since(line.born) < LIFE {
            idle.push(Idle { line, since: now });
        }
    }

    /// The connection used last is taken first, so that the others can grow old and go.
    fn take(&self) -> Option<(Line, Duration)> {
        let mut idle = self.idle.borrow_mut();
        while let Some(mut candidate) = idle.pop() {
            let unused = candidate.since.elapsed();
            if unused < self.idle_max && candidate.line.usable() {
                return Some((candidate.line, unused));
            }
        }
        None
    }

    /// Closes connections that were unused for too long. Called now and then by the worker.
    pub(crate) fn expire(&self) {
        self.idle.borrow_mut().retain_mut(|idle| idle.since.elapsed() < self.idle_max && idle.line.usable());
    }

    /// Sends a request and returns the head of the answer.
    ///
    /// A connection that was unused for a while may have been closed by the application in this very moment. A request
    /// that may be repeated (RFC 9110 section 9.2.2) and has no body is then made once more, over a new connection.
    ///
    /// Every other way is boxed: connecting has a large state, and requests that find a connection need not carry it.
    pub(crate) async fn send(self: &Rc<Self>, request: Request<RequestBody>) -> Result<Answer, UpstreamError> {
        if self.shared.borrow().is_some() {
            return Box::pin(self.send_shared(request)).await;
        }
        let Some((line, unused)) = self.take() else { return Box::pin(self.send_fresh(request)).await };
        let spare = if unused >= STALE_AFTER { spare(&request).map(Box::new) } else { None };
        match (self.over(line, request).await, spare) {
            (Err(UpstreamError::Exchange(error)), Some(spare)) if is_stale(&error) => {
                Box::pin(self.send_fresh(*spare)).await
            }
            (outcome, _) => outcome,
        }
    }

    /// Sends it over the connection that is shared, or a new one if that has ended.
    async fn send_shared(self: &Rc<Self>, request: Request<RequestBody>) -> Result<Answer, UpstreamError> {
        let shared = self.shared.borrow().clone().filter(Shared::usable);
        match shared {
            Some(Shared { sender, .. }) => self.through(Channel::Shared(sender), request, self.answer_max).await,
            None => self.send_fresh(request).await,
        }
    }

    async fn send_fresh(self: &Rc<Self>, request: Request<RequestBody>) -> Result<Answer, UpstreamError> {
        let channel = timed(&request, self.dial()).await?;
        self.through(channel, request, self.answer_max).await
    }

    /// Notes for a request's trace that it goes to this server.
    fn note(&self, request: &Request<RequestBody>) {
        if let Some(exchange) = Exchange::of(request) {
            let (host, port) = self.dialer.place();
            exchange.sent(host, port);
        }
    }

    /// A new connection.
    async fn dial(&self) -> Result<Channel, ConnectError> {
        let born = Instant::now();
        Ok(match self.dialer.dial().await? {
            connect::Dialled::H1(sender, connection) => Channel::Own(Line { sender, connection, ended: false, born }),
            connect::Dialled::H2(sender) => {
                *self.shared.borrow_mut() = Some(Shared { sender: sender.clone(), born });
                Channel::Shared(sender)
            }
        })
    }

    /// A connection that is there already.
    fn at_hand(&self) -> Option<Channel> {
        if let Some(shared) = &*self.shared.borrow()
            && shared.usable()
        {
            return Some(Channel::Shared(shared.sender.clone()));
        }
        self.take().map(|(line, _)| Channel::Own(line))
    }

    async fn through(
        self: &Rc<Self>,
        channel: Channel,
        request: Request<RequestBody>,
        answer_max: Duration,
    ) -> Result<Answer, UpstreamError> {
        self.note(&request);
        match channel {
            Channel::Own(line) => {
                let mut lease = Lease { line, pool: Rc::downgrade(self) };
                let response = lease.exchange(request, answer_max).await?;
                Ok(Answer { response, lease: Some(lease) })
            }
            Channel::Shared(sender) => shared_within(answer_max, sender, request).await,
        }
    }

    async fn over(self: &Rc<Self>, line: Line, request: Request<RequestBody>) -> Result<Answer, UpstreamError> {
        self.note(&request);
        let mut lease = Lease { line, pool: Rc::downgrade(self) };
        let response = lease.exchange(request, self.answer_max).await?;
        Ok(Answer { response, lease: Some(lease) })
    }

    /// Sends a request that asks to change the protocol, over a connection of its own that is never pooled.
    pub(crate) async fn send_upgrade(
        &self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let line = timed(&request, self.dial_upgrade()).await?;
        self.through_upgrade(line, request).await
    }

    async fn dial_upgrade(&self) -> Result<http1::SendRequest<RequestBody>, ConnectError> {
        let (sender, connection) = self.dialer.dial_h1().await?;
        // This one outlives the request, so it has a task: it ends when either side closes.
        tokio::task::spawn_local(connection.with_upgrades());
        Ok(sender)
    }

    async fn through_upgrade(
        &self,
        mut sender: http1::SendRequest<RequestBody>,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        self.note(&request);
        within(self.answer_max, None, sender.send_request(request)).await
    }
}

/// Waits for a new connection, and notes how long it took if the request is traced.
async fn timed<T, E>(request: &Request<RequestBody>, dial: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let dialling = Exchange::of(request).map(|exchange| (exchange, Instant::now()));
    let outcome = dial.await;
    if let Some((exchange, dialling)) = dialling {
        exchange.connected(dialling.elapsed());
    }
    outcome
}

/// Waits for the head of an answer, but not for longer than `answer_max` while it is the application's turn: what a
/// client takes to send its body is judged by its pace and is nobody else's fault.
async fn within<T>(
    answer_max: Duration,
    turn: Option<Turn>,
    exchange: impl Future<Output = Result<T, hyper::Error>>,
) -> Result<T, UpstreamError> {
    let mut exchange = pin!(exchange);
    let mut deadline = Instant::now() + answer_max;
    loop {
        if let Ok(outcome) = tokio::time::timeout_at(deadline, exchange.as_mut()).await {
            return outcome.map_err(UpstreamError::Exchange);
        }
        let now = Instant::now();
        deadline = turn.as_ref().map_or(deadline, |turn| turn.get().unwrap_or(now) + answer_max);
        if deadline <= now {
            return Err(UpstreamError::Slow(answer_max));
        }
    }
}

async fn shared_within(
    answer_max: Duration,
    sender: http2::SendRequest<RequestBody>,
    mut request: Request<RequestBody>,
) -> Result<Answer, UpstreamError> {
    let turn = request.body_mut().turn();
    within(answer_max, turn, exchange_shared(sender, request)).await
}

async fn exchange_shared(
    mut sender: http2::SendRequest<RequestBody>,
    mut request: Request<RequestBody>,
) -> Result<Answer, hyper::Error> {
    name_site(&mut request);
    poll_fn(|cx| sender.poll_ready(cx)).await?;
    let response = sender.send_request(request).await?;
    Ok(Answer { response, lease: None })
}

/// HTTP/2 names the site in the target and not in Host (RFC 9113 section 8.3.1).
fn name_site(request: &mut Request<RequestBody>) {
    let host = request.headers_mut().remove(HOST);
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    parts.scheme = Some(Scheme::HTTP);
    // A target that cannot be put together stays empty, and the library refuses to send it.
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    *request.version_mut() = Version::HTTP_2;
}

/// The connection ended before anything of an answer came: the other side had closed it while it was unused.
fn is_stale(error: &hyper::Error) -> bool {
    error.is_canceled() || error.is_closed() || error.is_incomplete_message()
}

/// The same request again, if it may be sent twice.
fn spare(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    if !request.method().is_idempotent() || !request.body().is_end_stream() {
        return None;
    }
    let mut spare = Request::new(RequestBody::empty());
    spare.method_mut().clone_from(request.method());
    spare.uri_mut().clone_from(request.uri());
    *spare.version_mut() = request.version();
    spare.headers_mut().clone_from(request.headers());
    spare.extensions_mut().clone_from(request.extensions());
    Some(spare)
}

/// A connection in steady use is not closed under us: servers close what rests, or say so in their last answer.
const STALE_AFTER: Duration = Duration::from_millis(250);

/// How long a connection is used at most.
const LIFE: Duration = Duration::from_secs(300);
