//! One connection from its first byte to its last, and one request from its stages to its answer.

mod record;

use std::borrow::Cow;
use std::cell::Cell;
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
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioTimer;
use reeve_base::{DecisionId, Event, EventId, Outcome, Ticks};
use rustls::ProtocolVersion;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::answers::payment::Visit;
use crate::answers::report::{self, REPORT_PATH};
use crate::answers::{self, coding};
use crate::ban::Seen;
use crate::body::AnswerBody;
use crate::certificate::ACME_TLS;
use crate::connection_cap::Admission;
use crate::entrance;
use crate::fingerprint::{HeaderOrder, NameHash, Tape, ja4};
use crate::forward::forward;
use crate::gateway::Live;
use crate::guard::{Finding, Guard, Heads};
use crate::learn::Lesson;
use crate::maintenance;
use crate::meter::{Ending, Handshake};
use crate::page::{page, prefers_json};
use crate::rate::{Asked, whole_seconds};
use crate::redact;
use crate::refusal::Refusal;
use crate::request::{Allowed, Client, Parsed, Transport};
use crate::rules::Plain;
use crate::taking::Taking;
use crate::waf::{self, Inspection};
use crate::worker::{At, LocalExecutor, Phase, Speaks, Worker};
pub(crate) use record::Record;
use record::{Unanswered, microseconds, outcome};

/// Serves one connection until it ends or the gateway stops.
pub(crate) async fn connection(
    worker: Rc<Worker>,
    live: Arc<Live>,
    mut stream: TcpStream,
    peer: SocketAddr,
    at: At,
    admission: &mut Admission,
) {
    let told = entrance::client_of(&worker, &live, &mut stream, peer, at.set_to, admission).await;
    let Some(address) = told else { return };
    let text: Rc<str> = address.to_string().into();
    let Ok(header) = HeaderValue::from_str(&text) else { return };
    let transport = match at.speaks {
        Speaks::Tls => Transport::Tls,
        Speaks::Plain => Transport::Plain,
    };
    let heads = Arc::default();
    let mut client = Client { address, text, header, transport, heads, taking: None, ja4: None, forwarded: false };
    match at.speaks {
        Speaks::Plain => serve_h1(worker, &live, stream, client).await,
        Speaks::Tls => {
            let started = worker.ticks();
            // Before the handshake there is no head, but a client that holds back the one would hold back the other.
            let patience = HANDSHAKE_MAX.min(live.rules.guard.head_deadline);
            let handshake = shake_hands(&worker, &live, stream, &mut client.ja4);
            let accepted = tokio::time::timeout(patience, Box::pin(handshake)).await;
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
                Ok(Err(Broken::Listed)) => {
                    handshake_failed(&worker, &client, started, "bot.signature", "its fingerprint is listed");
                }
                Ok(Err(Broken::Banned)) => {}
                Ok(Err(Broken::Failed(error))) => {
                    handshake_failed(&worker, &client, started, "tls", &error.to_string());
                }
                Err(_) => handshake_failed(&worker, &client, started, "tls", "not complete in time"),
            }
        }
    }
}

/// Why there was no handshake.
enum Broken {
    Failed(std::io::Error),
    /// Its fingerprint is on the settings' list.
    Listed,
    /// Its fingerprint is banned: as with an address, nothing is said.
    Banned,
}

/// Reads a ClientHello, whose fingerprint is judged before any key is used, and then does the rest.
async fn shake_hands(
    worker: &Worker,
    live: &Live,
    stream: TcpStream,
    print: &mut Option<Rc<str>>,
) -> Result<TlsStream<Tape<TcpStream>>, Broken> {
    let mut start = LazyConfigAcceptor::new(Acceptor::default(), Tape::new(stream)).await.map_err(Broken::Failed)?;
    *print = ja4(&start.io.take()).map(Rc::from);
    if let Some(print) = print.as_deref() {
        if worker.shared.tools.bans.turns_away_print(print) {
            return Err(Broken::Banned);
        }
        if live.callers.lists(print) {
            return Err(Broken::Listed);
        }
    }
    start.into_stream(Arc::clone(&live.tls)).await.map_err(Broken::Failed)
}

/// Whose request it is, where a trusted proxy carries those of many.
fn speaks_for(live: &Live, client: &Rc<Client>, headers: &HeaderMap) -> Result<Rc<Client>, Refusal> {
    let told = if live.entrance.trusts(client.address) { live.entrance.forwarded(headers)? } else { None };
    let Some(address) = told else { return Ok(Rc::clone(client)) };
    let text: Rc<str> = address.to_string().into();
    let header = HeaderValue::from_str(&text).map_err(|error| Refusal::Fault(error.to_string()))?;
    // The handshake was the proxy's.
    let (ja4, forwarded, client) = (None, true, Client::clone(client));
    Ok(Rc::new(Client { address, text, header, ja4, forwarded, ..client }))
}

fn handshake_failed(worker: &Worker, client: &Client, started: Ticks, control: &'static str, cause: &str) {
    let time = worker.shared.tools.clock.now();
    worker.log.record(&Event {
        time,
        id: worker.shared.events.next(time),
        activity: "tls.handshake",
        actor: Cow::Borrowed(&client.text),
        action: Cow::Borrowed("handshake"),
        object: Cow::Borrowed("listener"),
        outcome: Outcome::Refused { control, cause: Cow::Borrowed(cause) },
        status: None,
        duration_us: Some(microseconds(worker.ticks().since(started))),
        ja4: client.ja4.as_deref(),
        header_order: None,
        findings: None,
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
    let client = Rc::new(client);
    let connection = builder.serve_connection(guard, service(Rc::clone(&worker), Rc::clone(&client))).with_upgrades();
    let mut connection = pin!(connection);
    until_drained(left(worker.phase.clone(), worker.silence), &client.heads, |cx, draining| {
        if draining {
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx).map(|_| ())
    })
    .await;
    record_cut_off(&worker, &client);
}

async fn serve_h2<IO: AsyncRead + AsyncWrite + Unpin + 'static>(
    worker: Rc<Worker>,
    live: &Live,
    io: IO,
    client: Client,
) {
    let guard = Guard::h2(io, Arc::clone(&client.heads), live.rules.guard);
    let turn = live.rules.guard.pace.grace;
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
    let taking = Rc::new(Taking::default());
    let client = Rc::new(Client { taking: Some(Rc::clone(&taking)), ..client });
    {
        let mut connection = pin!(builder.serve_connection(guard, service(Rc::clone(&worker), Rc::clone(&client))));
        // Over HTTP/2 the client is told what will still be answered, so there is nothing to wait for.
        let left = left(worker.phase.clone(), Duration::ZERO);
        let ended = until_drained(left, &client.heads, |cx, draining| {
            if draining {
                connection.as_mut().graceful_shutdown();
            }
            connection.as_mut().poll(cx).map(|_| ())
        });
        tokio::select! {
            biased;
            () = ended => {}
            // A stream cannot be ended from here, only the connection: nothing asks its answer for more.
            () = taking.left_lying(turn, tokio::time::sleep) => drop(client.heads.cut_off(Refusal::ReaderTooSlow)),
        }
    }
    record_cut_off(&worker, &client);
}

/// A connection that was cut off between requests, or beneath them, has an event of its own.
fn record_cut_off(worker: &Worker, client: &Client) {
    let Some(refusal) = client.heads.take_cut_off() else { return };
    let status = refusal.status();
    worker.shared.tools.bans.notice(client.address, Seen { path: None, status, refusal: Some(&refusal) });
    let time = worker.shared.tools.clock.now();
    worker.log.record(&Event {
        time,
        id: worker.shared.events.next(time),
        activity: "http.connection",
        actor: Cow::Borrowed(&client.text),
        action: Cow::Borrowed("cut off"),
        object: Cow::Borrowed("listener"),
        outcome: outcome(&refusal),
        status: None,
        duration_us: None,
        ja4: client.ja4.as_deref(),
        header_order: None,
        findings: None,
    });
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
    heads: &Heads,
    mut poll: impl FnMut(&mut std::task::Context<'_>, bool) -> Poll<()>,
) {
    let mut drain = pin!(left);
    let mut leave = pin!(heads.asked_to_leave());
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
    client: Rc<Client>,
) -> impl Service<
    Request<Incoming>,
    Response = Response<AnswerBody>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<AnswerBody>, Infallible>>,
> {
    service_fn(move |request| {
        let (worker, client) = (Rc::clone(&worker), Rc::clone(&client));
        // Boxed: HTTP/2 makes a task of it, and on its way there and back the task is copied half a dozen times.
        Box::pin(async move { Ok(answer(&worker, &client, request).await) })
    })
}

async fn answer(worker: &Rc<Worker>, client: &Rc<Client>, mut request: Request<Incoming>) -> Response<AnswerBody> {
    let started = worker.ticks();
    let time = worker.shared.tools.clock.now();
    let id = worker.shared.events.next(time);
    let finding = client.heads.take();
    let open = client.heads.open();
    let live = worker.shared.live.load_full();
    let (method, target) = (request.method().clone(), request.uri().path_and_query().cloned());
    let order = header_order(&request, finding.as_ref());
    let (personal, visit) = (live.rules.answers.personal(request.headers()), visit(worker, &live, &mut request));
    let (json, h1) = (prefers_json(request.headers()), request.version() <= Version::HTTP_11);
    let trusted = || live.entrance.trusts(client.address);
    let tracer = live.tracing.as_ref();
    let trace = tracer.and_then(|tracer| tracer.begin(&worker.traces, &request, trusted(), started));
    let (allowance, detected) = (Cell::default(), Cell::default());
    let record = Record { started, time, id, method, target, h1, personal, visit, order, allowance, detected, trace };

    if let Some(Err((refusal, line))) = finding {
        let response = refused(&refusal, id, json, h1, &live);
        return finish(worker, client, &live, &record, Some((&refusal, Some(line))), response, open);
    }
    let (client, outcome) = match speaks_for(&live, client, request.headers()) {
        Ok(client) => {
            let mut unanswered = Unanswered { worker, client: &client, record: &record, answered: false };
            let outcome = match worker.shared.rates.together() {
                None => caught(pin!(stages(worker, &client, &live, &record, request))).await,
                // Boxed: while nobody counts together, it costs a request nothing, not even the room.
                Some(_) => caught(pin!(Box::pin(stages_together(worker, &client, &live, &record, request)))).await,
            };
            unanswered.answered = true;
            drop(unanswered);
            (client, outcome)
        }
        Err(refusal) => (Rc::clone(client), Err(refusal)),
    };
    let client = &client;
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
    record: &Record,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Refusal> {
    let judged = judge(worker, client, live, record, Rate::ToCount, request)?;
    carry_out(worker, client, live, record, judged).await
}

async fn carry_out(
    worker: &Rc<Worker>,
    client: &Client,
    live: &Live,
    record: &Record,
    judged: Judged,
) -> Result<Response<AnswerBody>, Refusal> {
    let (mut allowed, upstream) = match judged {
        Judged::Answered(response) => return Ok(response),
        Judged::Report(report) => return Box::pin(report::take(worker, live, client, *report)).await,
        Judged::Allowed(allowed, upstream) => (allowed, upstream),
    };
    let desk = live.desks.get(upstream).and_then(Option::as_ref);
    let lesson = desk.and_then(|desk| Lesson::begin(desk, &mut allowed, client, record.time));
    let allowed = allowed.carrying(record.carried(live, upstream));
    let pools = worker.pools(live);
    let response = match live.waf.load_full() {
        None => {
            let response = forward(allowed, client, &live.rules, &pools, upstream, worker, None).await?;
            looked_into(worker, live, record, response).await?
        }
        Some(waf) => {
            let on = async |allowed, inspection: &mut Inspection| {
                let inspection = Some(inspection);
                let response = forward(allowed, client, &live.rules, &pools, upstream, worker, inspection);
                looked_into(worker, live, record, response.await?).await
            };
            Box::pin(waf::carry(worker, live, &waf, client, record, allowed, on)).await?
        }
    };
    if let Some(lesson) = lesson {
        lesson.end(response.status());
    }
    Ok(response)
}

/// What is asked of the application for the sake of whoever looks into its answer, and whether that is a payment page.
fn visit(worker: &Worker, live: &Live, request: &mut Request<Incoming>) -> Option<Visit> {
    // Rules see what the client asked for: where there are some, it is changed after they have.
    if live.rules.traces.is_some() && live.waf.load().is_none() {
        coding::ask_for_readable(request.headers_mut());
    }
    let visit = live.rules.payment.as_ref()?.visit(request, |path| worker.shared.scripts.is_script(path))?;
    visit.prepare(request.headers_mut());
    Some(visit)
}

/// The stages that look into the application's answer, where the policy asks for any.
async fn looked_into(
    worker: &Worker,
    live: &Live,
    record: &Record,
    mut response: Response<AnswerBody>,
) -> Result<Response<AnswerBody>, Refusal> {
    if live.rules.answers.replaces(response.status()) {
        return Ok(response);
    }
    let path = record.target.as_ref().map_or("/", PathAndQuery::path);
    if live.rules.traces.as_ref().is_some_and(|traces| traces.concern(&record.method, path, &response)) {
        // Boxed: the state of the future around it is moved for each request, whether it has an answer to look into or not.
        response = Box::pin(answers::examine(response)).await?;
    }
    if let (Some(visit), Some(rules)) = (&record.visit, &live.rules.payment) {
        visit.watch(&record.method, &mut response, rules, &worker.shared.scripts)?;
    }
    Ok(response)
}

/// The same where several nodes count rates together: that is waited for, and comes first.
async fn stages_together(
    worker: &Rc<Worker>,
    client: &Client,
    live: &Live,
    record: &Record,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Refusal> {
    let asked = Asked { headers: request.headers(), path: request.uri().path(), address: client.address };
    if let Some(shared) = worker.shared.rates.together()
        && !worker.shared.tools.bans.refuses(client.address)
    {
        let (rates, clock) = (&worker.shared.rates, &*worker.shared.tools.clock);
        rates.count_together(&**shared, &live.rates, asked, clock, &record.allowance).await?;
        let judged = judge(worker, client, live, record, Rate::Counted, request)?;
        return carry_out(worker, client, live, record, judged).await;
    }
    stages(worker, client, live, record, request).await
}

/// Whether the rates have counted a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rate {
    ToCount,
    Counted,
}

/// What came of the stages that wait for nothing.
enum Judged {
    /// The gateway answers by itself.
    Answered(Response<AnswerBody>),
    /// The gateway answers by itself, and has to read what was sent.
    Report(Box<Parsed>),
    /// The application with this number may answer.
    Allowed(Allowed, usize),
}

/// The stages up to the decision. Apart from the one that waits, so that its future holds nothing of theirs.
fn judge(
    worker: &Worker,
    client: &Client,
    live: &Live,
    record: &Record,
    rate: Rate,
    request: Request<Incoming>,
) -> Result<Judged, Refusal> {
    let order = record.order.as_ref().map(HeaderOrder::as_str);
    if is_banned(worker, client, order) {
        // Over HTTP/1 the answer ends the connection; over HTTP/2 this does, once the answers under way are out. Not
        // that of a proxy, on which others depend.
        if !client.forwarded {
            client.heads.ask_to_leave();
        }
        return Err(Refusal::Banned);
    }
    if worker.log.must_refuse() {
        return Err(Refusal::Unrecorded);
    }
    let parsed = Parsed::read(request, &live.rules)?;
    live.callers.judge(parsed.parts(), client, order)?;
    let admitted = parsed.admit(|parts| {
        if rate == Rate::Counted {
            return Ok(());
        }
        let asked = Asked { headers: &parts.headers, path: parts.uri.path(), address: client.address };
        worker.shared.rates.count(&live.rates, asked, worker.ticks(), &record.allowance)
    })?;
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
    if live.rules.reports && admitted.request().path() == REPORT_PATH {
        return Ok(Judged::Report(Box::new(admitted.into_request())));
    }
    let shared = &worker.shared;
    if let Some(closed) = shared.maintenance.turns_away(client.address, &*shared.tools.clock) {
        return Err(Refusal::Maintenance { until: closed.until, retry_after: closed.retry_after });
    }
    let upstream = live.upstreams.routes.find(admitted.request().authority(), admitted.request().path())?;
    let scrutiny =
        live.scrutiny.get(upstream).ok_or_else(|| Refusal::Fault(String::from("an upstream without rules")))?;
    let allowed = admitted.decide(&live.rules, DecisionId(record.id))?.inspect(scrutiny)?;
    Ok(Judged::Allowed(allowed, upstream))
}

fn is_banned(worker: &Worker, client: &Client, order: Option<&str>) -> bool {
    let bans = &worker.shared.tools.bans;
    let mut prints = order.into_iter().chain(client.ja4.as_deref());
    bans.turns_away(client.address) || prints.any(|print| bans.turns_away_print(print))
}

/// The fingerprint of the header order: of the bytes as they came, or of the fields where no guard stands before them.
fn header_order(request: &Request<Incoming>, finding: Option<&Finding>) -> Option<HeaderOrder> {
    let names = match finding {
        Some(Ok(head)) => head.names,
        Some(Err(_)) => return None,
        None => NameHash::of(request.headers()),
    };
    Some(HeaderOrder::new(request.version(), request.method(), names))
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
    let mut response = match refusal {
        Refusal::Maintenance { until, .. } => maintenance::page(*until, id, json),
        _ => page(refusal.status(), id, json, live.pages.as_ref()),
    };
    let headers = response.headers_mut();
    if let Refusal::Rate { retry_after, .. }
    | Refusal::NoServer { retry_after, .. }
    | Refusal::Maintenance { retry_after, .. } = refusal
    {
        headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(*retry_after)));
    }
    if let (Refusal::Method, Some(methods)) = (refusal, &live.rules.methods) {
        headers.insert(ALLOW, methods.allow.clone());
    }
    if let Refusal::Unfit(unfit) = refusal
        && let Some(allow) = &unfit.allow
    {
        headers.insert(ALLOW, allow.clone());
    }
    if let Refusal::Waf(blocked) = refusal
        && let Some(location) = &blocked.location
    {
        headers.insert(LOCATION, location.clone());
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
    let (refusal, line) = refusal.map_or((None, None), |(refusal, line)| (Some(refusal), line));
    live.rules.answers.dress(response.headers_mut(), client.transport, record.personal);
    if let Some(visit) = &record.visit {
        visit.dress(response.headers_mut(), live.rules.answers.own_policy);
    }
    if worker.leaving.get() && record.h1 && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    record.allowance.get().announce(&live.rates, response.headers_mut());
    response.body_mut().keep_open(open, client.taking.as_ref().map(Taking::share));
    worker.shared.tools.bans.notice(
        client.address,
        Seen { path: record.target.as_ref().map(PathAndQuery::path), status: response.status(), refusal },
    );
    let detected = record.detected.take();
    let outcome = match (refusal, &detected) {
        (None, None) => Outcome::Allowed,
        (None, Some(told)) => Outcome::Detected { control: "waf.attack_set", cause: Cow::Borrowed(&*told.cause) },
        (Some(refusal), _) => outcome(refusal),
    };
    let mut event = record.event(worker, client, outcome, Some(response.status()));
    event.findings = match (refusal, &detected) {
        (Some(Refusal::Waf(blocked)), _) => blocked.findings.as_deref(),
        (None, Some(told)) => Some(&told.findings),
        _ => None,
    };
    if let Some(line) = line {
        // Of a head that could not be read there is no method and no path, only what it began with.
        (event.action, event.object) = (Cow::Borrowed("-"), Cow::Owned(redact::line(line)));
    }
    let took_us = event.duration_us.unwrap_or_default();
    let ending = match &event.outcome {
        Outcome::Allowed | Outcome::Detected { .. } => Ending::Allowed,
        Outcome::Refused { control, .. } => Ending::Refused(control),
        Outcome::Failed { part, .. } => Ending::Failed(part),
    };
    if let Some(target) = &record.target {
        worker.meter.routes.note(worker.ticks(), record.method.as_str(), target.path(), took_us);
    }
    worker.meter.request(client.transport, ending, response.status().as_u16(), took_us);
    worker.log.record(&event);
    record.tell(worker, client, &event);
    response
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
