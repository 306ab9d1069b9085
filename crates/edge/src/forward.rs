//! From an allowed request to the application's answer.

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;

use http::header::{CONNECTION, EXPECT, HOST, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Uri};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use reeve_base::Clock;

use crate::body::{AnswerBody, Breach, RequestBody, Rooms};
use crate::learn::Transcript;
use crate::refusal::Refusal;
use crate::request::{Allowed, Client};
use crate::response::{is_hop_by_hop, remove_fields};
use crate::rules::Rules;
use crate::scrutiny::{self, Expected};
use crate::traces::Exchange;
use crate::upstream::{Answer, Permit, Pool, Pools, Upstream, UpstreamError, balanced, upgraded};
use crate::waf::Inspection;
use crate::worker::Worker;

/// A request as the application will see it.
struct Outbound {
    request: Request<RequestBody>,
    /// Why its body broke off, if it does.
    breach: Breach,
    /// Its body does not state its length.
    unstated: bool,
    /// It asks to change the protocol, and may.
    upgrade: Option<OnUpgrade>,
}

/// Sends the request on and brings the answer back.
///
/// What is rare is boxed: the state of this future is moved and cleared for each request, so it has room only for what
/// each request needs.
pub(crate) async fn forward(
    allowed: Allowed,
    client: &Client,
    rules: &Rules,
    pools: &Pools,
    number: usize,
    worker: &Worker,
    inspection: Option<&mut Inspection>,
) -> Result<Response<AnswerBody>, Refusal> {
    let (rooms, clock) = (&worker.rooms, &*worker.shared.tools.clock);
    let (upstream, pool) = pools.upstream(number).ok_or_else(|| Refusal::Fault(String::from("no such upstream")))?;
    let Outbound { mut request, breach, unstated, upgrade } = outbound(allowed, client, rules)?;
    let expected = request.extensions_mut().remove::<Expected>();
    let whole = expected.is_some() || inspection.is_some();
    if let Some(expected) = expected {
        let whole = Box::pin(scrutiny::whole(request, expected, rooms)).await;
        request = whole.map_err(|refusal| client.heads.take_body_fault().unwrap_or(refusal))?;
    }
    if let Some(inspection) = inspection.filter(|inspection| inspection.awaits_body()) {
        let inspected = Box::pin(inspection.request_body(request, rooms)).await;
        request = inspected.map_err(|refusal| client.heads.take_body_fault().unwrap_or(refusal))?;
    }
    if unstated && !whole {
        let ahead = Box::pin(read_ahead(request, rooms)).await;
        request = ahead.map_err(|refusal| client.heads.take_body_fault().unwrap_or(refusal))?;
    }
    let exchange = Exchange::of(&request).cloned();
    if let Some(exchange) = &exchange {
        exchange.begins(clock.ticks(), upstream);
    }
    let noted = |answer: Answer| {
        exchange.iter().for_each(|exchange| exchange.answered(&answer.response));
        answer
    };
    let outcome = match upgrade {
        Some(on_upgrade) => Box::pin(change_protocol(request, on_upgrade, client, pools, number, clock)).await,
        None if upstream.is_plain => pool.send(request).await.map(|answer| bring_back(noted(answer), None, pool)),
        None => Box::pin(balanced(pools, number, request, clock, &breach))
            .await
            .map(|(answer, permit)| bring_back(noted(answer), Some(permit), pool)),
    };
    if let Some(exchange) = &exchange {
        exchange.ends(clock.ticks(), &outcome);
    }
    outcome.map_err(|error| refusal(error, &breach, client, upstream))
}

fn outbound(allowed: Allowed, client: &Client, rules: &Rules) -> Result<Outbound, Refusal> {
    let (mut parts, incoming, authority, _decision, _subject, carried) = allowed.into_parts();
    let breach = Breach::default();
    let mut body = RequestBody::new(incoming, rules.body_bytes_max, rules.guard.pace, Rc::clone(&breach));
    if let Some(transcript) = parts.extensions.remove::<Transcript>() {
        body.copy_to(transcript);
    }
    let unstated = parts.version == Version::HTTP_11 && parts.headers.contains_key(TRANSFER_ENCODING);
    let protocol = upgrade_asked_for(&parts);
    let on_upgrade = parts.extensions.remove::<OnUpgrade>();
    prepare(&mut parts, &authority, client)?;
    if let Some(carried) = carried {
        carried.put(&mut parts);
    }
    let upgrade = protocol.zip(on_upgrade).map(|(protocol, on_upgrade)| {
        parts.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        parts.headers.insert(UPGRADE, protocol);
        on_upgrade
    });
    Ok(Outbound { request: Request::from_parts(parts, body), breach, unstated, upgrade })
}

async fn read_ahead(request: Request<RequestBody>, rooms: &Rooms) -> Result<Request<RequestBody>, Refusal> {
    let (parts, body) = request.into_parts();
    Ok(Request::from_parts(parts, body.read_ahead(rooms).await?))
}

/// The protocol that an HTTP/1.1 request asks to change to (RFC 9110 section 7.8). Only WebSocket is served (RFC 6455):
/// anything else, such as h2c, would carry requests past the stages that judge them.
fn upgrade_asked_for(parts: &Parts) -> Option<HeaderValue> {
    let protocol = parts.headers.get(UPGRADE)?;
    let websocket = protocol.as_bytes().eq_ignore_ascii_case(b"websocket");
    let connection = parts.headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let asked = connection.flat_map(|value| value.split(',')).any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    (websocket && asked && parts.version == Version::HTTP_11 && parts.method == Method::GET).then(|| protocol.clone())
}

/// Turns the head into what the application should see: its own site and path, and who asks.
fn prepare(parts: &mut Parts, authority: &Authority, client: &Client) -> Result<(), Refusal> {
    // Expect was met already: whoever waits for permission gets it from the gateway when the body is wanted.
    remove_fields(&mut parts.headers, |name| is_hop_by_hop(name) || is_untrusted(name) || *name == EXPECT);
    // Where there is a Host it says what the authority says: that was read from it, or compared with it.
    let host = match parts.headers.get(HOST) {
        Some(host) => host.clone(),
        None => HeaderValue::from_str(authority.as_str()).map_err(|error| Refusal::Fault(error.to_string()))?,
    };
    parts.headers.insert(X_FORWARDED_FOR, client.header.clone());
    parts.headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(client.transport.scheme()));
    parts.headers.insert(X_FORWARDED_HOST, host.clone());
    // Even where there is one: more than one, which a lenient policy lets pass, become the one that was judged.
    parts.headers.insert(HOST, host);
    if parts.uri.authority().is_some() {
        let target = parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        parts.uri = Uri::from(target);
    }
    parts.version = Version::HTTP_11;
    Ok(())
}

/// What the client says of proxies before it is not believed, because anybody can write these. Those that the gateway
/// sets itself need not be named here.
fn is_untrusted(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "forwarded" | "x-forwarded-port" | "x-forwarded-server" | "x-real-ip" | "x-client-ip" | "true-client-ip"
    )
}

fn bring_back(answer: Answer, permit: Option<Permit>, pool: &Pool) -> Response<AnswerBody> {
    let (mut parts, incoming) = answer.response.into_parts();
    remove_fields(&mut parts.headers, is_hop_by_hop);
    // The version is the client's connection's business, not the upstream's.
    parts.version = Version::HTTP_11;
    Response::from_parts(parts, AnswerBody::upstream(incoming, answer.lease, permit, pool.answer_max()))
}

/// Asks the application to change the protocol; if it agrees, carries bytes both ways until either side ends.
async fn change_protocol(
    request: Request<RequestBody>,
    client_side: OnUpgrade,
    client: &Client,
    pools: &Pools,
    number: usize,
    clock: &dyn Clock,
) -> Result<Response<AnswerBody>, UpstreamError> {
    let (mut response, permit, stall_max) = upgraded(pools, number, request, clock).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let (mut parts, incoming) = response.into_parts();
        remove_fields(&mut parts.headers, is_hop_by_hop);
        parts.version = Version::HTTP_11;
        return Ok(Response::from_parts(parts, AnswerBody::upstream(incoming, None, permit, stall_max)));
    }
    let upstream_side = hyper::upgrade::on(&mut response);
    client.heads.release();
    tokio::task::spawn_local(async move {
        let _under_way = permit;
        let (Ok(client), Ok(upstream)) = (client_side.await, upstream_side.await) else { return };
        // However it ends, both sides are closed: there is no more to do about it than that.
        let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(upstream)).await;
    });
    let (parts, _) = response.into_parts();
    Ok(Response::from_parts(parts, AnswerBody::own("")))
}

fn refusal(error: UpstreamError, breach: &Cell<Option<Refusal>>, client: &Client, upstream: &Upstream) -> Refusal {
    // If the client's own body broke the exchange off, that is the cause, not the application.
    if let Some(refusal) = client.heads.take_body_fault().or_else(|| breach.take()) {
        return refusal;
    }
    let (at, error) = match error {
        UpstreamError::At(server, error) => (format!("{server}: "), *error),
        error => (String::new(), error),
    };
    match error {
        UpstreamError::Connect(error) => Refusal::UpstreamDown(error.to_string()),
        UpstreamError::At(..) => Refusal::UpstreamDown(error.to_string()),
        UpstreamError::Slow(_) => Refusal::UpstreamSlow(format!("{at}{error}")),
        UpstreamError::NoServer(retry_after) => {
            Refusal::NoServer { upstream: upstream.settings.name.clone(), retry_after }
        }
        UpstreamError::Exchange(error) if error.is_parse() => Refusal::UpstreamGarbled(at + &cause(&error)),
        UpstreamError::Exchange(error) => Refusal::UpstreamDown(at + &cause(&error)),
    }
}

/// The error with what lies under it, in one line.
fn cause(error: &hyper::Error) -> Cow<'static, str> {
    let below = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    Cow::Owned(format!("{error}{below}"))
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
