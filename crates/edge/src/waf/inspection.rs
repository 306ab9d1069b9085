//! One request and its answer on their way through the rules.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, COOKIE, HOST};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, Request, Response, StatusCode, Version};
use reeve_base::{Event, Outcome, Size};
use reeve_waf::{Action, Facts, Paused, RequestHead, ResponseHead, Scratch, Transaction};

use crate::answers::coding::{Coding, Decoder, ask_for_readable};
use crate::body::{AnswerBody, RequestBody, Rooms, joined};
use crate::gateway::Live;
use crate::refusal::{Blocked, Refusal};
use crate::request::{Allowed, Client};
use crate::serve::Record;
use crate::worker::Worker;

use super::told::told_whole;
use super::{Desk, Told, Waf};

/// A transaction with what it needs. Between its parts it is put aside, so that it can wait for the application.
pub(crate) struct Inspection {
    waf: Arc<Waf>,
    desk: Rc<Desk>,
    /// Absent: a part of it broke off.
    paused: Option<Paused>,
    only_detects: bool,
    /// The body of the request has still to be looked into.
    awaits_body: bool,
    /// Its buffers have grown to a size that others need not keep.
    outgrown: bool,
    last: Last,
}

/// Looks into a request, has `forward` bring its answer, and looks into that.
///
/// # Errors
/// What the rules refuse, and what `forward` does.
pub(crate) async fn carry(
    worker: &Worker,
    live: &Live,
    waf: &Arc<Waf>,
    client: &Client,
    record: &Record,
    allowed: Allowed,
    forward: impl AsyncFnOnce(Allowed, &mut Inspection) -> Result<Response<AnswerBody>, Refusal>,
) -> Result<Response<AnswerBody>, Refusal> {
    let mut inspection = Inspection::begin(waf, &worker.desk, client, record, &allowed);
    let outcome = inspection.all(live, allowed, forward).await;
    let last = inspection.end();
    if let Some(all) = last.all {
        let said = Outcome::Detected { control: CONTROL, cause: Cow::Owned(all) };
        worker.log.record(&Event { activity: "waf.findings", ..record.event(worker, client, said, None) });
    }
    record.detected.set(last.detected.map(Box::new));
    outcome
}

impl Inspection {
    fn begin(waf: &Arc<Waf>, desk: &Rc<Desk>, client: &Client, record: &Record, allowed: &Allowed) -> Self {
        let id = record.id.to_string();
        let facts = Facts {
            remote_address: client.address,
            // Which port it was, behind which address, no rule could tell anything from: proxies stand between.
            remote_port: 0,
            server_address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            server_port: allowed.authority().port_u16().unwrap_or(client.transport.port()),
            unique_id: &id,
            seconds: record.time.as_second(),
        };
        let only_detects = waf.only_detects(allowed.parts().uri.path(), record.time);
        let mut transaction = waf.engine().begin(&facts, desk.take());
        waf.exclusions.apply(&mut transaction, allowed.parts(), record.time);
        if only_detects {
            // To the end of each phase: what a refusal would have ended is found as well.
            transaction.only_find();
        }
        let paused = transaction.pause();
        let (waf, desk, awaits_body) = (Arc::clone(waf), Rc::clone(desk), allowed.has_body());
        Self { waf, desk, paused: Some(paused), only_detects, awaits_body, outgrown: false, last: Last::default() }
    }

    async fn all(
        &mut self,
        live: &Live,
        mut allowed: Allowed,
        forward: impl AsyncFnOnce(Allowed, &mut Self) -> Result<Response<AnswerBody>, Refusal>,
    ) -> Result<Response<AnswerBody>, Refusal> {
        self.request_head(allowed.parts(), allowed.authority())?;
        if !self.awaits_body {
            self.part(Side::Request, |transaction| transaction.request_body(b""))?;
            self.request_seen();
        }
        if self.waf.responses || live.rules.traces.is_some() {
            ask_for_readable(&mut allowed.seen().0.headers);
        }
        // Rules cannot tell a page about an error from one that shows it.
        let explains = live.rules.traces.as_ref().is_some_and(|traces| traces.explains(allowed.parts().uri.path()));
        let response = forward(allowed, self).await?;
        // An error that is replaced is not seen, and after a change of protocol there is no answer any more.
        let status = response.status();
        let seen = status != StatusCode::SWITCHING_PROTOCOLS && !live.rules.answers.replaces(status);
        if self.waf.responses && seen { self.answer(response, explains).await } else { Ok(response) }
    }

    /// Shows the head as HTTP/1.1 would write it: that is what rules are written for.
    fn request_head(&mut self, parts: &Parts, authority: &Authority) -> Result<(), Refusal> {
        let h2 = parts.version == Version::HTTP_2;
        let target: Cow<'_, str> = match parts.uri.path_and_query() {
            Some(target) if h2 || parts.uri.authority().is_none() => Cow::Borrowed(target.as_str()),
            _ => Cow::Owned(parts.uri.to_string()),
        };
        let (method, protocol) = (parts.method.as_str(), protocol(parts.version));
        let line = [method, " ", &target, " ", protocol].concat();
        let cookies = if h2 { joined_cookies(&parts.headers) } else { None };
        let mut headers = Vec::with_capacity(parts.headers.len() + 2);
        if h2 && !parts.headers.contains_key(HOST) {
            headers.push((HOST.as_str().as_bytes(), authority.as_str().as_bytes()));
        }
        let fields = parts.headers.iter().filter(|(name, _)| cookies.is_none() || **name != COOKIE);
        headers.extend(fields.map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes())));
        headers.extend(cookies.as_ref().map(|cookies| (COOKIE.as_str().as_bytes(), cookies.as_slice())));
        let head = RequestHead {
            line: line.as_bytes(),
            method: method.as_bytes(),
            target: target.as_bytes(),
            protocol: protocol.as_bytes(),
            headers: &headers,
        };
        self.part(Side::Request, |transaction| transaction.request_head(&head))
    }

    /// Whether [`request_body`](Self::request_body) is still to come, however long the body turns out.
    pub(crate) const fn awaits_body(&self) -> bool {
        self.awaits_body
    }

    /// Reads a body to its end and looks into it. The request goes on as it came, or not at all.
    ///
    /// # Errors
    /// What the rules refuse, what is too large to be looked into, and what cannot be.
    pub(crate) async fn request_body(
        &mut self,
        request: Request<RequestBody>,
        rooms: &Rooms,
    ) -> Result<Request<RequestBody>, Refusal> {
        if request.headers().contains_key(CONTENT_ENCODING) {
            let cause = "a body in a content coding cannot be looked into";
            return Err(Blocked::request(StatusCode::UNSUPPORTED_MEDIA_TYPE, String::from(cause)));
        }
        self.awaits_body = false;
        let (parts, body) = request.into_parts();
        let (body, pieces) = body.gather(rooms, self.waf.body_bytes_max).await?;
        let Some(pieces) = pieces else {
            let cause = format!("a body of more than {} bytes is not looked into", self.waf.body_bytes_max);
            return Err(Blocked::request(StatusCode::PAYLOAD_TOO_LARGE, cause));
        };
        self.text(Side::Request, joined(pieces)).await?;
        self.request_seen();
        Ok(Request::from_parts(parts, body))
    }

    /// Where the answer is not looked into, all is said before the application is asked, and the next request finds the
    /// buffers free and still in the processor's caches.
    fn request_seen(&mut self) {
        if !self.waf.responses {
            self.close();
        }
    }

    /// Looks into an answer; into its text only if it explains nothing.
    async fn answer(
        &mut self,
        mut response: Response<AnswerBody>,
        explains: bool,
    ) -> Result<Response<AnswerBody>, Refusal> {
        let judged = self.answer_judged(&mut response, explains).await;
        if judged.is_err() {
            tokio::task::spawn_local(response.into_body().read_out());
            return judged.map(|()| Response::new(AnswerBody::own("")));
        }
        Ok(response)
    }

    async fn answer_judged(&mut self, response: &mut Response<AnswerBody>, explains: bool) -> Result<(), Refusal> {
        let headers: Vec<_> =
            response.headers().iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes())).collect();
        let head = ResponseHead { protocol: b"HTTP/1.1", status: response.status().as_u16(), headers: &headers };
        let mut wanted = None;
        self.part(Side::Answer, |transaction| {
            let refusal = transaction.response_head(&head);
            wanted = transaction.wants_response_body();
            refusal
        })?;
        drop(headers);
        // Rules of this part also sum up, so it runs with or without a text.
        let text = match wanted.filter(|_| !explains) {
            Some(bytes) => self.beginning(response, usize::try_from(bytes).unwrap_or(usize::MAX)).await?,
            None => Bytes::new(),
        };
        self.text(Side::Answer, text).await
    }

    /// As much of an answer as is looked into, in clear.
    async fn beginning(&self, response: &mut Response<AnswerBody>, wanted: usize) -> Result<Bytes, Refusal> {
        let Some(coding) = Coding::of(response.headers()) else {
            if self.only_detects {
                return Ok(Bytes::new());
            }
            // What it can be asked for was made known to the application.
            let cause = "the answer is in a content coding that was not asked for";
            return Err(Blocked::answer(StatusCode::BAD_GATEWAY, String::from(cause)));
        };
        let bytes_max = wanted.min(ANSWER_BYTES_MAX);
        let mut pieces = response.body_mut().look_ahead(bytes_max, PAUSE).await;
        if coding == Coding::Identity {
            let mut text = joined(pieces);
            text.truncate(bytes_max);
            return Ok(text);
        }
        let (mut decoder, mut text) = (Decoder::new(coding), BytesMut::new());
        for piece in pieces.drain(..) {
            // What is no such coding can be read by nobody; what was read until then is looked at.
            let Ok(decoded) = decoder.decode(&piece) else { break };
            text.extend_from_slice(&decoded);
            if text.len() >= bytes_max {
                break;
            }
        }
        text.truncate(bytes_max);
        Ok(text.freeze())
    }

    /// Looks into a body, beside the worker if it takes long: others wait for the worker.
    async fn text(&mut self, side: Side, text: Bytes) -> Result<(), Refusal> {
        if text.len() <= HEAVY_BYTES {
            return self.part(side, |transaction| side.body(transaction, &text));
        }
        self.outgrown |= text.len() > OUTGROWN_BYTES;
        let broken = || Refusal::Fault(String::from("looking into a body broke off"));
        let room = Arc::clone(&self.desk.heavy).acquire_owned().await.map_err(|_| broken())?;
        let (waf, paused) = (Arc::clone(&self.waf), self.paused.take().ok_or_else(broken)?);
        let refuses = !self.only_detects;
        let looked = tokio::task::spawn_blocking(move || {
            let _room = room;
            let mut transaction = waf.engine().resume(paused);
            let refusal = side.body(&mut transaction, &text);
            let refusal = refusal.filter(|_| refuses).map(|refusal| (Told::of(&transaction, waf.mark()), refusal));
            (transaction.pause(), refusal)
        });
        let (paused, refusal) = looked.await.map_err(|_| broken())?;
        self.judged(side, paused, refusal)
    }

    /// One part of it, on this thread.
    fn part(
        &mut self,
        side: Side,
        run: impl FnOnce(&mut Transaction<'_>) -> Option<reeve_waf::Refusal>,
    ) -> Result<(), Refusal> {
        let paused =
            self.paused.take().ok_or_else(|| Refusal::Fault(String::from("an inspection broke off before")))?;
        let mut transaction = self.waf.engine().resume(paused);
        let refusal = run(&mut transaction).filter(|_| !self.only_detects);
        let refusal = refusal.map(|refusal| (Told::of(&transaction, self.waf.mark()), refusal));
        let paused = transaction.pause();
        self.judged(side, paused, refusal)
    }

    fn judged(
        &mut self,
        side: Side,
        paused: Paused,
        refusal: Option<(Told, reeve_waf::Refusal)>,
    ) -> Result<(), Refusal> {
        let budget = paused.report().exhausted;
        self.paused = Some(paused);
        // What has not been looked into is not let through, not even where rules only find.
        if let Some(budget) = budget {
            return Err(exhausted(side, Size::from_bytes(budget)));
        }
        refusal.map_or(Ok(()), |(told, refusal)| Err(blocked(side, &refusal, told)))
    }

    /// All that is left to say.
    fn end(mut self) -> Last {
        self.close();
        std::mem::take(&mut self.last)
    }

    /// The last part.
    fn close(&mut self) {
        let Some(paused) = self.paused.take() else { return };
        let transaction = self.waf.engine().resume(paused);
        let report = transaction.report();
        let would = self.only_detects && report.refusal.is_some() && report.exhausted.is_none();
        let detected = would.then(|| Told::of(&transaction, self.waf.mark()));
        let (report, scratch) = transaction.end();
        self.leave(scratch);
        let all = (self.waf.settings.tell_all && !report.matches.is_empty()).then(|| told_whole(&report));
        self.last = Last { detected, all };
    }
}

/// What is said once all is over.
#[derive(Debug, Default)]
struct Last {
    /// What would have been refused, where rules only find.
    detected: Option<Told>,
    /// Everything that rules said, where a deployment wants it told.
    all: Option<String>,
}

impl Inspection {
    fn leave(&self, scratch: Scratch) {
        if !self.outgrown {
            self.desk.give_back(scratch);
        }
    }
}

impl Drop for Inspection {
    /// A request that is given up leaves its buffers behind as well.
    fn drop(&mut self) {
        if let Some(paused) = self.paused.take() {
            self.leave(paused.into_scratch());
        }
    }
}

/// Whose bytes a part looks into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Request,
    Answer,
}

impl Side {
    fn body(self, transaction: &mut Transaction<'_>, text: &[u8]) -> Option<reeve_waf::Refusal> {
        match self {
            Self::Request => transaction.request_body(text),
            Self::Answer => transaction.response_body(text),
        }
    }
}

/// Judging it would take too long.
fn exhausted(side: Side, budget: Size) -> Refusal {
    let cause = format!("looking into it takes more than the budget of {budget} (`[waf] budget`)");
    match side {
        Side::Request => Blocked::request(StatusCode::PAYLOAD_TOO_LARGE, cause),
        Side::Answer => Blocked::answer(StatusCode::BAD_GATEWAY, cause),
    }
}

fn blocked(side: Side, refusal: &reeve_waf::Refusal, told: Told) -> Refusal {
    let (status, location, closes) = match &refusal.action {
        Action::Deny(status) => (*status, None, false),
        Action::Drop => (403, None, true),
        Action::Redirect(status, to) => (*status, to.parse().ok(), false),
    };
    // A refusal that looked like a success would be none.
    let status = StatusCode::from_u16(status).ok().filter(|status| status.as_u16() >= 300);
    let status = status.unwrap_or(StatusCode::FORBIDDEN);
    let (cause, findings) = (told.cause, Some(Box::new(told.findings)));
    Refusal::Waf(Box::new(Blocked { status, cause, of_client: side == Side::Request, closes, location, findings }))
}

/// In HTTP/2 a client may send each on its own (RFC 9113 section 8.2.3).
fn joined_cookies(headers: &HeaderMap) -> Option<Vec<u8>> {
    let cookies = headers.get_all(COOKIE);
    cookies.iter().nth(1)?;
    let texts: Vec<&[u8]> = cookies.iter().map(http::HeaderValue::as_bytes).collect();
    Some(texts.join(&b"; "[..]))
}

const fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_09 => "HTTP/0.9",
        _ => "HTTP/1.1",
    }
}

const CONTROL: &str = "waf.attack_set";

/// Texts above this take milliseconds, and others wait for the worker.
const HEAVY_BYTES: usize = 16 * 1024;
/// Texts above this have buffers grow that the next transaction would only let go of.
const OUTGROWN_BYTES: usize = 64 * 1024;

/// Of an answer this much is looked into at most, whatever rules want: it is held in memory until then.
const ANSWER_BYTES_MAX: usize = 512 * 1024;

/// An application that pauses is not held up for longer than this, and what it sends after is not looked into.
const PAUSE: Duration = Duration::from_millis(100);
