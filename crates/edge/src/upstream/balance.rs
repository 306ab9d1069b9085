//! A request to an application with several servers: which of them gets it, and what may be tried again elsewhere.
//!
//! Where there was no connection, nothing of the request was sent, so that any request may go to another server. Once
//! something was sent, only one that may be repeated (RFC 9110 section 9.2.2) and has no body goes on, and only if the
//! connection ended before there was an answer. Nothing else is ever sent twice.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use reeve_base::{Clock, Ticks};

use super::condition::{Failure, Permit};
use super::connect::ConnectError;
use super::group::{Choice, Pools, Tried, Upstream};
use super::{Answer, Channel, Pool, UpstreamError, is_stale, spare, timed};
use crate::body::RequestBody;
use crate::refusal::Refusal;
use crate::traces::Exchange;

/// One request on its way from server to server.
struct Errand<'e> {
    pools: &'e Pools,
    upstream: &'e Upstream,
    number: usize,
    clock: &'e dyn Clock,
    tried: Tried,
    retries_left: u32,
    /// Everything together ends here: a connection and an answer may take so long, however many servers are asked.
    deadline: Ticks,
}

/// Sends a request to the server that has the least to do. The permit is kept for as long as its answer goes on.
pub(crate) async fn balanced(
    pools: &Pools,
    number: usize,
    request: Request<RequestBody>,
    clock: &dyn Clock,
    breach: &Cell<Option<Refusal>>,
) -> Result<(Answer, Permit), UpstreamError> {
    let mut errand = Errand::new(pools, number, clock)?;
    let mut request = request;
    let (mut fresh, mut last) = (false, None);
    loop {
        let again = spare(&request);
        let dialling = Exchange::of(&request).map(|_| clock.ticks());
        let (pool, channel, reused, choice) = errand.channel(fresh, again.is_some(), last).await?;
        if let Some((exchange, dialling)) = Exchange::of(&request).zip(dialling).filter(|_| !reused) {
            exchange.connected(clock.ticks().since(dialling));
        }
        let Choice { index, mut permit } = choice;
        let error = match pool.through(channel, request, errand.left(errand.upstream.settings.answer)).await {
            Ok(answer) => {
                let status = answer.response.status();
                errand.answered(&mut permit, index, status.is_server_error());
                return Ok((answer, permit));
            }
            Err(error) => error,
        };
        // If the client's own body broke the exchange off, the server is not to blame.
        let of_client = breach.take().map(|refusal| breach.set(Some(refusal))).is_some();
        let stale = matches!(&error, UpstreamError::Exchange(error) if is_stale(error) || is_torn(error));
        // A connection that had rested may have been closed in this very moment, which says nothing of the server.
        let forgiven = reused && stale && !fresh;
        if !of_client && !forgiven {
            errand.failed(&mut permit, index, Failure::Bad);
        }
        match again.filter(|_| stale && !of_client) {
            Some(spare) if forgiven || errand.may_go_on(index) => request = spare,
            _ => return Err(at(pool, error)),
        }
        fresh |= forgiven;
        last = Some(at(pool, error));
    }
}

/// The same for a request that asks to change the protocol. It goes over a connection of its own and is sent once.
pub(crate) async fn upgraded(
    pools: &Pools,
    number: usize,
    request: Request<RequestBody>,
    clock: &dyn Clock,
) -> Result<(Response<Incoming>, Option<Permit>, Duration), UpstreamError> {
    let mut errand = Errand::new(pools, number, clock)?;
    let stall_max = errand.upstream.settings.answer;
    if errand.upstream.is_plain {
        let pool = errand.pool(0)?;
        return Ok((pool.send_upgrade(request).await?, None, stall_max));
    }
    let (pool, sender, Choice { index, mut permit }) = timed(&request, errand.upgrade_line()).await?;
    let outcome = pool.through_upgrade(sender, request).await;
    match &outcome {
        Ok(response) => errand.answered(&mut permit, index, response.status().is_server_error()),
        Err(_) => errand.failed(&mut permit, index, Failure::Bad),
    }
    let response = outcome.map_err(|error| at(pool, error))?;
    Ok((response, Some(permit), stall_max))
}

impl<'e> Errand<'e> {
    fn new(pools: &'e Pools, number: usize, clock: &'e dyn Clock) -> Result<Self, UpstreamError> {
        let (upstream, _) = pools.upstream(number).ok_or(UpstreamError::NoServer(Duration::ZERO))?;
        let settings = &upstream.settings;
        let patience = u64::try_from((settings.connect + settings.answer).as_nanos()).unwrap_or(u64::MAX);
        let deadline = Ticks(clock.ticks().0.saturating_add(patience));
        let retries_left = settings.retries;
        Ok(Self { pools, upstream, number, clock, tried: Tried::default(), retries_left, deadline })
    }

    fn pool(&self, index: usize) -> Result<&'e Rc<Pool>, UpstreamError> {
        self.pools.pool(self.number, index).ok_or(UpstreamError::NoServer(Duration::ZERO))
    }

    /// What is left of the time, but not more than `most`.
    fn left(&self, most: Duration) -> Duration {
        self.deadline.since(self.clock.ticks()).min(most)
    }

    fn choose(&self, may_fail: bool) -> Result<Choice, UpstreamError> {
        let chosen = self.upstream.choose(self.tried, self.pools.turn(), may_fail, self.clock.ticks());
        chosen.map_err(UpstreamError::NoServer)
    }

    fn answered(&self, permit: &mut Permit, index: usize, error: bool) {
        let now = self.clock.ticks();
        let rule = self.upstream.settings.circuit.as_ref();
        permit.answered(error, rule, now, || self.upstream.has_other(index, now));
    }

    fn failed(&self, permit: &mut Permit, index: usize, failure: Failure) {
        let now = self.clock.ticks();
        let rule = self.upstream.settings.circuit.as_ref();
        permit.failed(failure, rule, now, || self.upstream.has_other(index, now));
    }

    /// Whether another server may be asked after this one failed.
    fn may_go_on(&mut self, index: usize) -> bool {
        self.tried.add(index);
        let may = self.retries_left > 0 && self.left(Duration::MAX) > Duration::ZERO;
        self.retries_left = self.retries_left.saturating_sub(1);
        may
    }

    /// A connection to the best server that can be reached.
    async fn channel(
        &mut self,
        fresh: bool,
        may_fail: bool,
        mut last: Option<UpstreamError>,
    ) -> Result<(&'e Rc<Pool>, Channel, bool, Choice), UpstreamError> {
        loop {
            // Where all were asked, what the last one said says more than that there is no other.
            let mut choice = self.choose(may_fail).map_err(|none| last.take().unwrap_or(none))?;
            let pool = self.pool(choice.index)?;
            if let Some(channel) = (!fresh).then(|| pool.at_hand()).flatten() {
                return Ok((pool, channel, true, choice));
            }
            match self.in_time(pool, pool.dial()).await {
                Ok(channel) => return Ok((pool, channel, false, choice)),
                Err(error) => last = Some(self.unreachable(&mut choice, error)?),
            }
        }
    }

    async fn upgrade_line(&mut self) -> Result<(&'e Rc<Pool>, http1::SendRequest<RequestBody>, Choice), UpstreamError> {
        let mut last = None;
        loop {
            let mut choice = self.choose(true).map_err(|none| last.take().unwrap_or(none))?;
            let pool = self.pool(choice.index)?;
            match self.in_time(pool, pool.dial_upgrade()).await {
                Ok(sender) => return Ok((pool, sender, choice)),
                Err(error) => last = Some(self.unreachable(&mut choice, error)?),
            }
        }
    }

    /// Notes that there was no connection. The error is the answer if no other server may be asked.
    fn unreachable(&mut self, choice: &mut Choice, error: ConnectError) -> Result<UpstreamError, UpstreamError> {
        self.failed(&mut choice.permit, choice.index, Failure::Unreachable);
        let error = UpstreamError::Connect(error);
        if self.may_go_on(choice.index) { Ok(error) } else { Err(error) }
    }

    async fn in_time<T>(
        &self,
        pool: &Pool,
        dial: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, ConnectError> {
        let left = self.left(Duration::MAX);
        let slow = |_| Err(ConnectError::Timeout { to: pool.dialer.to(), within: left });
        tokio::time::timeout(left, dial).await.unwrap_or_else(slow)
    }
}

/// Names the server in what went wrong there; a connection that failed names it by itself.
fn at(pool: &Pool, error: UpstreamError) -> UpstreamError {
    UpstreamError::At(pool.dialer.to(), Box::new(error))
}

/// The connection broke in the middle: the server was killed, or reset it.
fn is_torn(error: &hyper::Error) -> bool {
    let below = std::error::Error::source(error);
    !error.is_parse() && !error.is_user() && below.is_some_and(|below| below.is::<std::io::Error>())
}
