//! One connection from its first byte to its last, and one request from its stages to its answer.

use std::borrow::Cow;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioTimer;
use reeve_base::{DecisionId, Event, EventId, Outcome, Ticks};
use rustls::ProtocolVersion;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use crate::ban::Seen;
use crate::body::AnswerBody;
use crate::certificate::ACME_TLS;
use crate::forward::forward;
use crate::gateway::Live;
use crate::guard::Guard;
use crate::meter::{Ending, Handshake};
use crate::page::{page, prefers_json};
use crate::redact;
use crate::refusal::{Refusal, whole_seconds};
use crate::request::{Allowed, Client, Parsed, Transport};
use crate::rules::Plain;
use crate::worker::{LocalExecutor, Phase, Speaks, Worker};

/// Serves one connection until it ends or the gateway stops.
pub(crate) async fn connection(
    worker: Rc<Worker>,
    live: Arc<Live>,
    stream: TcpStream,
    peer: SocketAddr,
    speaks: Speaks,
) {
    let address = peer.ip().to_canonical();
    let text: Rc<str> = address.to_string().into();
    let Ok(header) = HeaderValue::from_str(&text) else { return };
    let transport = match speaks {
        Speaks::Tls => Transport::Tls,
        Speaks::Plain => Transport::Plain,
    };
    let client = Client { address, text, header, transport, heads: Arc::default(), leave: Rc::default() };
    match speaks {
        Speaks::Plain => serve_h1(worker, &live, stream, client).await,
        Speaks::Tls => {
            let started = worker.ticks();
            let accept = TlsAcceptor::from(Arc::clone(&live.tls)).accept(stream);
            // Before the handshake there is no head, but a client that holds back the one would hold back the other.
            let patience = HANDSHAKE_MAX.min(live.rules.guard.head_deadline);
            let accepted = tokio::time::timeout(patience, accept).await;
            worker.meter.handshake(match &accepted {
                Ok(Ok(tls)) if tls.get_ref().1.protocol_version() == Some(ProtocolVersion::TLSv1_2) => Handshake::Tls12,
                Ok(Ok(_)) => Handshake::Tls13,
                _ => Handshake::Failed,
            });
            match accepted {
                Ok(Ok(tls)) if tls.get_ref().1.alpn_protocol() == Some(b"h2") => {
                    serve_h2(worker, &live, tls, client).await;
                }
                // An authority has seen in the handshake what it came for (RFC 8737 section 3): nothing is served here.
                Ok(Ok(tls)) if tls.get_ref().1.alpn_protocol() == Some(ACME_TLS) => drop(tls),
                Ok(Ok(tls)) => serve_h1(worker, &live, tls, client).await,
                Ok(Err(error)) => handshake_failed(&worker, &client, started, &error.to_string()),
                Err(_) => handshake_failed(&worker, &client, started, "not complete in time"),
            }
        }
    }
}

fn handshake_failed(worker: &Worker, client: &Client, started: Ticks, cause: &str) {
    let time = worker.shared.tools.clock.now();
    worker.log.record(&Event {
        time,
        id: worker.shared.events.next(time),
        activity: "tls.handshake",
        actor: Cow::Borrowed(&client.text),
        action: Cow::Borrowed("handshake"),
        object: Cow::Borrowed("listener"),
        outcome: Outcome::Refused { control: "tls", cause: Cow::Borrowed(cause) },
        status: None,
        duration_us: Some(microseconds(worker.ticks().since(started))),
    });
}

async fn serve_h1<IO: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    worker: Rc<Worker>,
    live: &Live,
    io: IO,
    client: Client,
) {
    let guard = Guard::new(io, Arc::clone(&client.heads), live.rules.guard);
    let mut builder = http1::Builder::new();
    // The guard has judged sizes already; these only have to let pass whatever it lets pass.
    builder.max_buf_size(live.rules.guard.head.head_bytes_max.max(H1_BUFFER_BYTES_MIN));
    if live.rules.guard.head.fields_max > H1_FIELDS_WITHOUT_ALLOCATION {
        builder.max_headers(live.rules.guard.head.fields_max);
    }
    let leave = Rc::clone(&client.leave);
    let left = left(worker.phase.clone(), worker.silence);
    let connection = builder.serve_connection(guard, service(worker, client)).with_upgrades();
    let mut connection = pin!(connection);
    until_drained(left, &leave, |cx, draining| {
        if draining {
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx).map(|_| ())
    })
    .await;
}

async fn serve_h2<IO: AsyncRead + AsyncWrite + Unpin + 'static>(
    worker: Rc<Worker>,
    live: &Live,
    io: IO,
    client: Client,
) {
    let guard = Guard::raw(io, live.rules.guard);
    let head_bytes_max = u32::try_from(live.rules.guard.head.head_bytes_max).unwrap_or(u32::MAX);
    let mut builder = http2::Builder::new(LocalExecutor);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_STREAMS_MAX)
        // Twice the policy's limit, so that a head one past it gets its page and not a closed stream.
        .max_header_list_size(head_bytes_max.saturating_mul(2))
        .initial_stream_window_size(H2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(H2_CONNECTION_WINDOW_BYTES)
        .max_local_error_reset_streams(Some(H2_RESETS_MAX))
        .max_pending_accept_reset_streams(Some(H2_RESETS_MAX))
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .keep_alive_timeout(Duration::from_secs(20));
    let leave = Rc::clone(&client.leave);
    // Over HTTP/2 the client is told what will still be answered, so there is nothing to wait for.
    let left = left(worker.phase.clone(), Duration::ZERO);
    let mut connection = pin!(builder.serve_connection(guard, service(worker, client)));
    until_drained(left, &leave, |cx, draining| {
        if draining {
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx).map(|_| ())
    })
    .await;
}

/// Waits until connections are to be closed. When another process takes over, those of HTTP/1 end by themselves with
/// their next answer, and only those that are silent for so long are closed: a request may be on its way to any other.
async fn left(mut phase: tokio::sync::watch::Receiver<Phase>, silence: Duration) {
    let leaving = phase.wait_for(|phase| *phase != Phase::Serving).await.is_ok_and(|phase| *phase == Phase::Leaving);
    if leaving && !silence.is_zero() {
        // Over after the time, or when it is to stop at once.
        let _ = tokio::time::timeout(silence, phase.wait_for(|phase| *phase == Phase::Draining)).await;
    }
}

/// Polls a connection to its end, and tells it once when the gateway drains or its client is to leave.
async fn until_drained(
    left: impl Future<Output = ()>,
    leave: &Notify,
    mut poll: impl FnMut(&mut std::task::Context<'_>, bool) -> Poll<()>,
) {
    let mut drain = pin!(left);
    let mut leave = pin!(leave.notified());
    let mut told = false;
    poll_fn(|cx| {
        if !told && (drain.as_mut().poll(cx).is_ready() || leave.as_mut().poll(cx).is_ready()) {
            told = true;
            return poll(cx, true);
        }
        poll(cx, false)
    })
    .await;
}

/// What answers the requests of one connection. A panic costs the one request: it is refused and recorded.
fn service(
    worker: Rc<Worker>,
    client: Client,
) -> impl Service<
    Request<Incoming>,
    Response = Response<AnswerBody>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<AnswerBody>, Infallible>>,
> {
    let client = Rc::new(client);
    service_fn(move |request| {
        let (worker, client) = (Rc::clone(&worker), Rc::clone(&client));
        // Boxed: HTTP/2 makes a task of it, and on its way there and back the task is copied half a dozen times.
        Box::pin(async move { Ok(answer(&worker, &client, request).await) })
    })
}

/// What is kept of a request for its event, after the request itself has gone on.
struct Record {
    started: Ticks,
    time: reeve_base::Timestamp,
    id: EventId,
    method: Method,
    target: Option<PathAndQuery>,
    /// Whether the connection has one request after the other.
    h1: bool,
}

async fn answer(worker: &Rc<Worker>, client: &Rc<Client>, request: Request<Incoming>) -> Response<AnswerBody> {
    let started = worker.ticks();
    let time = worker.shared.tools.clock.now();
    let id = worker.shared.events.next(time);
    let finding = client.heads.take();
    let open = client.heads.open();
    let live = worker.shared.live.load_full();
    let (json, h1) = (prefers_json(request.headers()), request.version() <= Version::HTTP_11);
    let target = request.uri().path_and_query().cloned();
    let record = Record { started, time, id, method: request.method().clone(), target, h1 };

    let outcome = match finding {
        Some(Err((refusal, line))) => {
            let response = refused(&refusal, id, json, h1, &live);
            return finish(worker, client, &live, &record, Some((&refusal, Some(line))), response, open);
        }
        Some(Ok(_)) | None => caught(pin!(stages(worker, client, &live, id, request))).await,
    };
    match outcome {
        Ok(response) if live.rules.answers.replaces(response.status()) => {
            let refusal = Refusal::UpstreamError(response.status());
            // When to come back is the application's to say, and gives nothing away.
            let retry_after = response.headers().get(RETRY_AFTER).cloned();
            tokio::task::spawn_local(response.into_body().read_out());
            let mut response = refused(&refusal, id, json, h1, &live);
            if let Some(retry_after) = retry_after {
                response.headers_mut().insert(RETRY_AFTER, retry_after);
            }
            finish(worker, client, &live, &record, Some((&refusal, None)), response, open)
        }
        Ok(response) => finish(worker, client, &live, &record, None, response, open),
        Err(refusal) => {
            if refusal.closes() {
                client.heads.leave_unread();
            }
            let response = refused(&refusal, id, json, h1, &live);
            finish(worker, client, &live, &record, Some((&refusal, None)), response, open)
        }
    }
}

/// The stages, in their order.
async fn stages(
    worker: &Rc<Worker>,
    client: &Client,
    live: &Live,
    id: EventId,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Refusal> {
    match judge(worker, client, live, id, request)? {
        Judged::Answered(response) => Ok(response),
        Judged::Allowed(allowed) => forward(allowed, client, &live.rules, &worker.pool(live), &worker.rooms).await,
    }
}

/// What came of the stages that wait for nothing.
enum Judged {
    /// The gateway answers by itself.
    Answered(Response<AnswerBody>),
    /// The application may answer.
    Allowed(Allowed),
}

/// The stages up to the decision. Apart from the one that waits, so that its future holds nothing of theirs.
fn judge(
    worker: &Worker,
    client: &Client,
    live: &Live,
    id: EventId,
    request: Request<Incoming>,
) -> Result<Judged, Refusal> {
    if worker.shared.tools.bans.turns_away(client.address) {
        // Over HTTP/1 the answer ends the connection; over HTTP/2 this does, once the answers under way are out.
        client.leave.notify_one();
        return Err(Refusal::Banned);
    }
    if worker.log.must_refuse() {
        return Err(Refusal::Unrecorded);
    }
    let parsed = Parsed::read(request, &live.rules)?;
    let admitted = parsed.admit(client, &live.rules, &worker.shared.rates, worker.ticks())?;
    // Before the redirect: it is over plain HTTP that an authority looks (RFC 8555 section 8.3).
    if let Some(response) = proof_of_name(worker, admitted.request()) {
        return Ok(Judged::Answered(response));
    }
    if client.transport == Transport::Plain && live.rules.plain == Plain::Redirect {
        return redirect(admitted.request(), live.redirect_port).map(Judged::Answered);
    }
    if let Some(response) = own_answer(worker, live, admitted.request()) {
        return Ok(Judged::Answered(response));
    }
    admitted.decide(&live.rules, DecisionId(id)).map(Judged::Allowed)
}

/// Turns a panic inside a stage into a refusal. The stages come pinned: a future that is handed over by value stands
/// twice in the state of whoever awaits it.
async fn caught<T>(mut stages: Pin<&mut impl Future<Output = Result<T, Refusal>>>) -> Result<T, Refusal> {
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| stages.as_mut().poll(cx))) {
        Ok(poll) => poll,
        Err(_) => Poll::Ready(Err(Refusal::Fault(String::from("a stage panicked")))),
    })
    .await
}

/// The same address under `https:`. 308 keeps the method, so that no form is silently turned into a read.
fn redirect(request: &Parsed, port: u16) -> Result<Response<AnswerBody>, Refusal> {
    let host = request.authority().host();
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    let target = request.parts().uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let location = HeaderValue::from_str(&format!("https://{host}{port}{target}"));
    let location = location.map_err(|error| Refusal::Fault(error.to_string()))?;
    let mut response = Response::new(AnswerBody::own(""));
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(LOCATION, location);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(response)
}

/// What an authority wants to see under a name before it issues a certificate for it. Other tokens are not ours: the
/// application may have an order of its own under way.
fn proof_of_name(worker: &Worker, request: &Parsed) -> Option<Response<AnswerBody>> {
    let token = request.path().strip_prefix("/.well-known/acme-challenge/")?;
    if !matches!(request.parts().method, Method::GET | Method::HEAD) {
        return None;
    }
    let mut response = Response::new(AnswerBody::own(worker.shared.challenges.http(token)?));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Some(response)
}

/// Paths that the gateway answers by itself.
fn own_answer(worker: &Worker, live: &Live, request: &Parsed) -> Option<Response<AnswerBody>> {
    let file = live.rules.security_txt.as_ref()?;
    let reads = matches!(request.parts().method, Method::GET | Method::HEAD);
    if request.path() != "/.well-known/security.txt" || !reads {
        return None;
    }
    let text = file.render(&format!("https://{}", request.authority()), worker.shared.tools.clock.now());
    let mut response = Response::new(AnswerBody::own(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Some(response)
}

fn refused(refusal: &Refusal, id: EventId, json: bool, h1: bool, live: &Live) -> Response<AnswerBody> {
    let mut response = page(refusal.status(), id, json);
    let headers = response.headers_mut();
    if let Refusal::Rate { retry_after } = refusal {
        headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(*retry_after)));
    }
    if let (Refusal::Method, Some(methods)) = (refusal, &live.rules.methods) {
        headers.insert(ALLOW, methods.allow.clone());
    }
    if refusal.closes() && h1 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Dresses the answer and records the event.
fn finish(
    worker: &Worker,
    client: &Client,
    live: &Live,
    record: &Record,
    refusal: Option<(&Refusal, Option<String>)>,
    mut response: Response<AnswerBody>,
    open: crate::guard::OpenRequest,
) -> Response<AnswerBody> {
    live.rules.answers.dress(response.headers_mut(), client.transport);
    if worker.leaving.get() && record.h1 && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response.body_mut().keep_open(open);
    worker.shared.tools.bans.notice(
        client.address,
        Seen {
            path: record.target.as_ref().map(PathAndQuery::path),
            status: response.status(),
            refusal: refusal.as_ref().map(|(refusal, _)| *refusal),
        },
    );
    let (outcome, line) = match refusal {
        None => (Outcome::Allowed, None),
        Some((refusal, line)) => (outcome(refusal), line),
    };
    let (action, object) = match line {
        // Of a head that could not be read there is no method and no path, only what it began with.
        Some(line) => (Cow::Borrowed("-"), Cow::Owned(redact::line(line))),
        None => (Cow::Borrowed(record.method.as_str()), redact::target(record.target.as_ref())),
    };
    let took_us = microseconds(worker.ticks().since(record.started));
    let ending = match &outcome {
        Outcome::Allowed => Ending::Allowed,
        Outcome::Refused { control, .. } => Ending::Refused(control),
        Outcome::Failed { part, .. } => Ending::Failed(part),
    };
    if let Some(target) = &record.target {
        worker.meter.routes.note(worker.ticks(), record.method.as_str(), target.path(), took_us);
    }
    worker.meter.request(client.transport, ending, response.status().as_u16(), took_us);
    worker.log.record(&Event {
        time: record.time,
        id: record.id,
        activity: "http.request",
        actor: Cow::Borrowed(&client.text),
        action,
        object,
        outcome,
        status: Some(response.status().as_u16()),
        duration_us: Some(took_us),
    });
    response
}

fn outcome(refusal: &Refusal) -> Outcome<'static> {
    let cause = Cow::Owned(refusal.to_string());
    match refusal {
        Refusal::UpstreamDown(_)
        | Refusal::UpstreamSlow
        | Refusal::UpstreamGarbled(_)
        | Refusal::UpstreamError(_)
        | Refusal::ClientGone(_)
        | Refusal::Fault(_) => Outcome::Failed { part: refusal.control(), cause },
        _ => Outcome::Refused { control: refusal.control(), cause },
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A client that cannot finish a handshake in this time is not one.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// The library asks for at least this much.
const H1_BUFFER_BYTES_MIN: usize = 16 * 1024;
const H1_FIELDS_WITHOUT_ALLOCATION: usize = 100;

/// Enough for a browser's burst, too little to hold the gateway with one connection.
const H2_STREAMS_MAX: u32 = 128;
/// Rapid reset (CVE-2023-44487): a client that cancels more than this at once is cut off.
const H2_RESETS_MAX: usize = 64;
const H2_STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const H2_CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_a_stage_is_a_refusal_of_that_request() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let stage = pin!(async {
            // Not on the first poll: a stage may have waited for something.
            tokio::task::yield_now().await;
            panic!("a stage with a fault")
        });
        let outcome: Result<(), _> = runtime.block_on(caught(stage));
        let refusal = outcome.unwrap_err();
        assert_eq!((refusal.status(), refusal.closes()), (StatusCode::INTERNAL_SERVER_ERROR, true));
    }
}
