//! Traces for OpenTelemetry: what each request meets on its way, for a share of them.
//!
//! A request's trace begins with its head ([`Tracer::begin`]) and is told at its end ([`Trace::end`]). In between it
//! costs a request that is not recorded the `traceparent` for the application, and one that is recorded a handful of
//! notes. The spans of each worker gather and are handed to a thread of its own ([`export`]), over a bounded queue: what
//! finds no room is counted and dropped, and nothing waits for a collector.
//!
//! From a trusted proxy a trace goes on, with the proxy's word on whether it is recorded. From anybody else a new one
//! begins, because whoever sends a `traceparent` could otherwise fill the records or write into somebody's trace (W3C
//! Trace Context, "Security Considerations"); theirs is kept as a link.

mod collector;
mod context;
mod exchange;
mod export;
mod span;
mod wire;

use std::cell::{OnceCell, RefCell};
use std::sync::Arc;

use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderName, HeaderValue, Request, Version};
use reeve_base::{Event, Ticks};

use crate::gateway::Shared;
use crate::redact;
use crate::request::Transport;
use crate::settings::TracingSettings;
use crate::upstream::DialerError;
use collector::Collector;
use context::{Chance, Context, RANDOM, SAMPLED, SpanId};
pub(crate) use exchange::Exchange;
pub(crate) use export::{Exporter, SpanCounts};
use span::{Ended, Span};

/// What the settings say about traces. Exchanged by a reload.
pub(crate) struct Tracer {
    collector: Collector,
    service: String,
    /// A new trace is recorded if the right 56 bits of its number are at least this. Other programs that choose in the
    /// same way, as OpenTelemetry has it, choose the same traces.
    threshold: u64,
}

/// The trace of one request.
pub(crate) struct Trace {
    /// What the application is told.
    outward: Context,
    /// It goes on from a proxy, with whatever else that one says of it.
    continued: bool,
    sampled: Option<Box<Sampled>>,
}

/// What is kept of a request that is recorded.
struct Sampled {
    tracer: Arc<Tracer>,
    started: Ticks,
    server: Context,
    client: Context,
    parent: Option<SpanId>,
    link: Option<Context>,
    state: Option<Box<str>>,
    /// The host and port that were asked for.
    site: Option<(String, Option<u16>)>,
    version: Version,
    /// The path as the application's document writes it.
    route: OnceCell<String>,
    exchange: Arc<Exchange>,
}

/// What goes to the application with a request.
pub(crate) struct Carried {
    context: Context,
    continued: bool,
    exchange: Option<Arc<Exchange>>,
}

impl Tracer {
    /// # Errors
    /// When the authorities for the collector cannot be read, or its host is no name.
    pub(crate) fn new(settings: &TracingSettings) -> Result<Arc<Self>, DialerError> {
        let collector = Collector::new(&settings.collector, settings.authorities.as_deref())?;
        Ok(Arc::new(Self { collector, service: settings.service.clone(), threshold: threshold(settings.sample) }))
    }

    /// Begins the trace of a request that came over a connection of a proxy that is trusted, or of anybody. Nothing if
    /// the system gives no chance: a request is not refused for that.
    pub(crate) fn begin<B>(
        self: &Arc<Self>,
        local: &LocalTraces,
        request: &Request<B>,
        trusted: bool,
        started: Ticks,
    ) -> Option<Trace> {
        let fresh = local.chance.borrow_mut().fresh(&*local.shared.tools.entropy)?;
        let told = told(request);
        let (parent, link) = if trusted { (told, None) } else { (None, told) };
        let (trace, flags) = match parent {
            Some(parent) => (parent.trace, parent.flags),
            None => (fresh.trace, RANDOM | self.decide(fresh.trace.0)),
        };
        let client = Context { trace, span: fresh.client, flags };
        let sampled = client.is_sampled().then(|| {
            Box::new(Sampled {
                tracer: Arc::clone(self),
                started,
                server: Context { trace, span: fresh.server, flags },
                client,
                parent: parent.map(|parent| parent.span),
                link,
                state: parent.and_then(|_| state(request)),
                site: site(request),
                version: request.version(),
                route: OnceCell::new(),
                exchange: Arc::default(),
            })
        });
        Some(Trace { outward: client, continued: parent.is_some(), sampled })
    }

    fn decide(&self, trace: [u8; 16]) -> u8 {
        let [.., a, b, c, d, e, f, g] = trace;
        let chance = u64::from_be_bytes([0, a, b, c, d, e, f, g]);
        if chance >= self.threshold { SAMPLED } else { 0 }
    }
}

impl Trace {
    /// What goes to the application. Its document's template of the path is asked for only if the request is recorded.
    pub(crate) fn carried(&self, route: impl FnOnce() -> Option<String>) -> Carried {
        if let Some(sampled) = &self.sampled
            && let Some(route) = route()
        {
            // Set once: a request goes to the application once.
            let _ = sampled.route.set(route);
        }
        let exchange = self.sampled.as_ref().map(|sampled| Arc::clone(&sampled.exchange));
        Carried { context: self.outward, continued: self.continued, exchange }
    }

    /// Tells of the request what its event says, if it is recorded.
    pub(crate) fn end(&self, local: &LocalTraces, event: &Event<'_>, transport: Transport, now: Ticks) {
        let Some(sampled) = &self.sampled else { return };
        let ended = Ended { event, scheme: transport.scheme(), log: &local.shared.tools.log, now };
        let client = span::client(sampled, sampled.exchange.take(), &ended);
        let server = span::server(sampled, &ended);
        local.keep(&sampled.tracer, std::iter::once(server).chain(client));
    }
}

impl Carried {
    /// Puts it into the head for the application, after what the client may not say is gone.
    pub(crate) fn put(self, parts: &mut Parts) {
        // Digits and dashes are a value.
        if let Ok(value) = HeaderValue::from_bytes(&self.context.write()) {
            parts.headers.insert(TRACEPARENT, value);
        }
        if !self.continued {
            parts.headers.remove(TRACESTATE);
        }
        if let Some(exchange) = self.exchange {
            parts.extensions.insert(exchange);
        }
    }
}

/// What one worker has for traces: chance, and spans that wait to be handed over.
pub(crate) struct LocalTraces {
    shared: Arc<Shared>,
    chance: RefCell<Chance>,
    waiting: RefCell<Option<(Arc<Tracer>, Vec<Span>)>>,
}

impl LocalTraces {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, chance: RefCell::new(Chance::new()), waiting: RefCell::default() }
    }

    fn keep(&self, tracer: &Arc<Tracer>, spans: impl Iterator<Item = Span>) {
        let mut waiting = self.waiting.borrow_mut();
        // A reload sends what follows elsewhere.
        if let Some((other, gathered)) = waiting.take_if(|(other, _)| !Arc::ptr_eq(other, tracer)) {
            self.shared.spans.hand_over(other, gathered);
        }
        let (_, gathered) =
            waiting.get_or_insert_with(|| (Arc::clone(tracer), Vec::with_capacity(export::BATCH_SPANS + 1)));
        gathered.extend(spans);
        if gathered.len() >= export::BATCH_SPANS {
            drop(waiting);
            self.flush();
        }
    }

    /// Hands over what there is.
    pub(crate) fn flush(&self) {
        if let Some((tracer, spans)) = self.waiting.borrow_mut().take() {
            self.shared.spans.hand_over(tracer, spans);
        }
    }
}

impl Drop for LocalTraces {
    fn drop(&mut self) {
        self.flush();
    }
}

/// The one context that a request brings. Where there are several, nobody knows which is meant.
fn told<B>(request: &Request<B>) -> Option<Context> {
    let mut values = request.headers().get_all(TRACEPARENT).iter();
    let (first, None) = (values.next()?, values.next()) else { return None };
    Context::read(first.as_bytes())
}

/// What other programs have to say of the trace, as it came (W3C Trace Context section 3.3).
fn state<B>(request: &Request<B>) -> Option<Box<str>> {
    let values = request.headers().get_all(TRACESTATE).iter().filter_map(|value| value.to_str().ok());
    let state = values.collect::<Vec<_>>().join(",");
    (!state.is_empty() && state.len() <= STATE_BYTES_MAX).then(|| state.into())
}

/// The site that is asked for. Anybody may write anything there, so that what looks like a secret is not kept.
fn site<B>(request: &Request<B>) -> Option<(String, Option<u16>)> {
    let host = request.headers().get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let authority = host.or_else(|| request.uri().authority().cloned())?;
    let host = authority.host();
    let shown = if redact::is_secret(host) { "…" } else { host };
    Some((shown.to_ascii_lowercase(), authority.port_u16()))
}

/// From a share between 0 and 1 to what the 56 random bits are compared with.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "within 0 and 2^56, and a share has no 56 digits"
)]
fn threshold(share: f64) -> u64 {
    let refused = 1.0 - share.clamp(0.0, 1.0);
    (refused * RANDOM_VALUES as f64) as u64
}

/// Of 56 bits. One that is not below this is never reached.
const RANDOM_VALUES: u64 = 1 << 56;

/// What is passed on of it: the specification asks for 512.
const STATE_BYTES_MAX: usize = 512;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
