//! What is told of a request: a span for what its client saw of the gateway, and one for what the gateway saw of the
//! application. Names are those of OpenTelemetry's conventions for HTTP, which are stable; what they have no name for
//! begins with `reeve.`.
//!
//! A span holds nothing that the event does not hold: its path is the event's, where what looks like a secret is `…` and
//! queries have no values, and what the settings leave out of the access log is left out here.

use std::borrow::Cow;
use std::time::Duration;

use http::Version;
use reeve_base::{Event, Outcome, Ticks};

use super::Sampled;
use super::context::{Context, SpanId};
use super::exchange::Notes;
use crate::access_log::AccessLog;

/// One span, ready to be told.
#[derive(Debug)]
pub(super) struct Span {
    /// Its trace and itself.
    pub(super) context: Context,
    pub(super) parent: Option<SpanId>,
    /// Whether the parent is another program's.
    pub(super) remote: bool,
    pub(super) state: Option<Box<str>>,
    /// A trace of somebody who is not believed.
    pub(super) link: Option<Context>,
    pub(super) kind: Kind,
    pub(super) name: Cow<'static, str>,
    /// Nanoseconds since 1970.
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    pub(super) attributes: Vec<(&'static str, Value)>,
    /// Whether it counts as an error.
    pub(super) failed: bool,
    /// Why.
    pub(super) cause: Option<String>,
}

/// Which side of an exchange it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Server,
    Client,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(Cow<'static, str>),
    Number(i64),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(clipped(text)))
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

/// A request at its end, as its event tells of it.
pub(super) struct Ended<'e> {
    pub(super) event: &'e Event<'e>,
    pub(super) scheme: &'static str,
    /// Which of the event's members may be written down.
    pub(super) log: &'e AccessLog,
    pub(super) now: Ticks,
}

impl Ended<'_> {
    fn shows(&self, member: &str) -> bool {
        self.log.writes(member)
    }

    /// The method, if it is one that is known: any other is the client's own text.
    fn method(&self) -> &'static str {
        KNOWN_METHODS.iter().find(|known| **known == self.event.action).copied().unwrap_or("_OTHER")
    }

    /// Path and query as the event has them; nothing of a head that could not be read.
    fn target(&self) -> Option<(&str, Option<&str>)> {
        let readable = self.event.action != "-" && self.shows("object");
        let object: &str = &self.event.object;
        readable.then(|| object.split_once('?').map_or((object, None), |(path, query)| (path, Some(query))))
    }

    fn start_ns(&self) -> u64 {
        u64::try_from(self.event.time.as_nanosecond()).unwrap_or_default()
    }
}

/// The gateway's part: from the head of the request to the head of the answer.
pub(super) fn server(sampled: &Sampled, ended: &Ended<'_>) -> Span {
    let event = ended.event;
    let mut attributes = Vec::with_capacity(SERVER_ATTRIBUTES);
    let mut add = |name, value: Value| attributes.push((name, value));
    add("url.scheme", ended.scheme.into());
    add("network.protocol.name", "http".into());
    add("network.protocol.version", version(sampled.version).into());
    let method = ended.shows("action").then(|| ended.method());
    method.into_iter().for_each(|method| add("http.request.method", method.into()));
    if let Some((path, query)) = ended.target() {
        add("url.path", path.to_owned().into());
        query.into_iter().for_each(|query| add("url.query", query.to_owned().into()));
    }
    let route = sampled.route.get().filter(|_| ended.shows("object"));
    route.into_iter().for_each(|route| add("http.route", route.clone().into()));
    if let Some((host, port)) = &sampled.site {
        add("server.address", host.clone().into());
        port.iter().for_each(|port| add("server.port", (*port).into()));
    }
    if ended.shows("actor") {
        add("client.address", event.actor.clone().into_owned().into());
    }
    if let Some(status) = event.status.filter(|_| ended.shows("status")) {
        add("http.response.status_code", status.into());
    }
    add("reeve.event_id", event.id.to_string().into());
    let (outcome, stopped) = match &event.outcome {
        Outcome::Allowed => ("allowed", None),
        Outcome::Refused { control, cause } => ("refused", Some(("reeve.control", "control", *control, cause))),
        Outcome::Detected { control, cause } => ("detected", Some(("reeve.control", "control", *control, cause))),
        Outcome::Failed { part, cause } => ("failed", Some(("reeve.part", "part", *part, cause))),
    };
    if ended.shows("outcome") {
        add("reeve.outcome", outcome.into());
    }
    let mut cause = None;
    if let Some((name, member, by, why)) = stopped {
        if ended.shows(member) {
            add(name, by.into());
        }
        cause = ended.shows("cause").then(|| clipped(why.clone().into_owned()));
    }
    // A refusal is the gateway at work; an error is an answer from 500 on, or none at all.
    let failed = event.status.is_none_or(|status| status >= 500);
    if failed {
        add("error.type", error_type(event));
    }
    let start_ns = ended.start_ns();
    Span {
        context: sampled.server,
        parent: sampled.parent,
        remote: sampled.parent.is_some(),
        state: sampled.state.clone(),
        link: sampled.link,
        kind: Kind::Server,
        name: name(method, route),
        start_ns,
        end_ns: start_ns.saturating_add(nanoseconds(ended.now.since(sampled.started))),
        attributes,
        failed,
        cause,
    }
}

/// The application's part, if the request went so far.
pub(super) fn client(sampled: &Sampled, notes: Notes, ended: &Ended<'_>) -> Option<Span> {
    let begun = notes.begun?;
    let mut attributes = Vec::with_capacity(CLIENT_ATTRIBUTES);
    let mut add = |name, value: Value| attributes.push((name, value));
    let method = ended.shows("action").then(|| ended.method());
    method.into_iter().for_each(|method| add("http.request.method", method.into()));
    let scheme = if notes.tls { "https" } else { "http" };
    if let Some((host, port)) = &notes.server {
        add("server.address", host.to_string().into());
        add("server.port", (*port).into());
        if ended.target().is_some() {
            let host = if host.contains(':') { format!("[{host}]") } else { host.to_string() };
            add("url.full", format!("{scheme}://{host}:{port}{}", ended.event.object).into());
        }
    }
    if let Some((status, answered)) = notes.answer {
        add("http.response.status_code", status.into());
        add("network.protocol.version", version(answered).into());
    }
    if notes.sends > 1 {
        add("http.request.resend_count", Value::Number(i64::from(notes.sends) - 1));
    }
    if let Some(connecting) = notes.connecting {
        let microseconds = i64::try_from(connecting.as_micros()).unwrap_or(i64::MAX);
        add("reeve.upstream.connect_us", Value::Number(microseconds));
    }
    add("reeve.upstream", notes.upstream.into());
    let error = match (notes.error, notes.answer) {
        (Some(error), _) => Some(Value::from(error)),
        (None, Some((status, _))) => (status >= 400).then(|| Value::from(status.to_string())),
        // Nobody waited for its end.
        (None, None) => Some(Value::from("cancelled")),
    };
    let failed = error.is_some();
    error.into_iter().for_each(|error| add("error.type", error));
    let since_start = |tick: Ticks| ended.start_ns().saturating_add(nanoseconds(tick.since(sampled.started)));
    Some(Span {
        context: sampled.client,
        parent: Some(sampled.server.span),
        remote: false,
        state: sampled.state.clone(),
        link: None,
        kind: Kind::Client,
        name: name(method, None),
        start_ns: since_start(begun),
        end_ns: since_start(notes.ended.unwrap_or(ended.now)),
        attributes,
        failed,
        cause: None,
    })
}

/// The conventions' name of a span: of few different ones, so never a path.
fn name(method: Option<&'static str>, route: Option<&String>) -> Cow<'static, str> {
    let method = method.filter(|method| *method != "_OTHER").unwrap_or("HTTP");
    route.map_or(Cow::Borrowed(method), |route| Cow::Owned(format!("{method} {route}")))
}

fn error_type(event: &Event<'_>) -> Value {
    match (&event.outcome, event.status) {
        (Outcome::Failed { part, .. }, _) => Value::from(*part),
        (_, Some(status)) => status.to_string().into(),
        (_, None) => "cancelled".into(),
    }
}

const fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Not longer than [`TEXT_BYTES_MAX`], cut between two characters.
fn clipped(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    text
}

/// A text in a span has at most so many bytes: so a span has at most some kilobytes.
pub(super) const TEXT_BYTES_MAX: usize = 1_024;

const SERVER_ATTRIBUTES: usize = 16;
const CLIENT_ATTRIBUTES: usize = 10;

/// RFC 9110 section 9.1, and PATCH (RFC 5789).
const KNOWN_METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
