//! What is kept of a request while it is served, and the event that is made of it.

use std::borrow::Cow;
use std::cell::Cell;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use reeve_base::{Event, EventId, Outcome, Ticks};

use crate::answers::payment::Visit;
use crate::fingerprint::HeaderOrder;
use crate::gateway::Live;
use crate::meter::Ending;
use crate::rate::Allowance;
use crate::redact;
use crate::refusal::Refusal;
use crate::request::Client;
use crate::response::Personal;
use crate::traces::{Carried, Trace};
use crate::waf::Told;
use crate::worker::{Phase, Worker};

/// What is kept of a request for its event, after the request itself has gone on.
pub(crate) struct Record {
    pub(super) started: Ticks,
    pub(crate) time: reeve_base::Timestamp,
    pub(crate) id: EventId,
    pub(super) method: Method,
    pub(super) target: Option<PathAndQuery>,
    /// Whether the connection has one request after the other.
    pub(super) h1: bool,
    /// Whether the answer may be one person's own.
    pub(super) personal: Personal,
    /// That a payment page, or a script on one, is asked for.
    pub(super) visit: Option<Visit>,
    pub(super) order: Option<HeaderOrder>,
    /// How it stands with the limits on rates, once they have counted it.
    pub(super) allowance: Cell<Allowance>,
    /// What rules would have refused, where they only find.
    pub(crate) detected: Cell<Option<Box<Told>>>,
    /// Its trace, where requests are traced.
    pub(super) trace: Option<Trace>,
}

impl Record {
    pub(crate) fn event<'r>(
        &'r self,
        worker: &Worker,
        client: &'r Client,
        outcome: Outcome<'r>,
        status: Option<StatusCode>,
    ) -> Event<'r> {
        Event {
            time: self.time,
            id: self.id,
            activity: "http.request",
            actor: Cow::Borrowed(&client.text),
            action: Cow::Borrowed(self.method.as_str()),
            object: redact::target(self.target.as_ref()),
            outcome,
            status: status.map(|status| status.as_u16()),
            duration_us: Some(microseconds(worker.ticks().since(self.started))),
            ja4: client.ja4.as_deref(),
            header_order: self.order.as_ref().map(HeaderOrder::as_str),
            findings: None,
        }
    }

    /// What its trace tells the application with this number.
    pub(super) fn carried(&self, live: &Live, upstream: usize) -> Option<Carried> {
        let path = self.target.as_ref().map_or("/", PathAndQuery::path);
        let trace = self.trace.as_ref()?;
        Some(trace.carried(|| live.scrutiny.get(upstream)?.template(path)))
    }

    /// Tells its trace what became of it.
    pub(super) fn tell(&self, worker: &Worker, client: &Client, event: &Event<'_>) {
        if let Some(trace) = &self.trace {
            trace.end(&worker.traces, event, client.transport, worker.ticks());
        }
    }
}

/// Records a request that is given up before it is answered: its client has cancelled it or gone, or the time for the
/// end of the gateway is over.
pub(super) struct Unanswered<'r> {
    pub(super) worker: &'r Worker,
    pub(super) client: &'r Client,
    pub(super) record: &'r Record,
    pub(super) answered: bool,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let draining = *self.worker.phase.borrow() != Phase::Serving;
        let (part, cause) = if draining {
            ("gateway", "cut off at the end of the gateway")
        } else {
            ("client", "gone before the answer")
        };
        let outcome = Outcome::Failed { part, cause: Cow::Borrowed(cause) };
        let event = self.record.event(self.worker, self.client, outcome, None);
        let took_us = event.duration_us.unwrap_or_default();
        self.worker.meter.request(self.client.transport, Ending::Failed(part), NO_ANSWER, took_us);
        self.worker.log.record(&event);
        self.record.tell(self.worker, self.client, &event);
    }
}

pub(super) fn outcome(refusal: &Refusal) -> Outcome<'static> {
    let cause = Cow::Owned(refusal.to_string());
    match refusal {
        Refusal::UpstreamDown(_)
        | Refusal::UpstreamSlow(_)
        | Refusal::NoServer { .. }
        | Refusal::UpstreamGarbled(_)
        | Refusal::UpstreamError(_)
        | Refusal::ClientGone(_)
        | Refusal::Fault(_) => Outcome::Failed { part: refusal.control(), cause },
        _ => Outcome::Refused { control: refusal.control(), cause },
    }
}

pub(super) fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// How a request that nobody waited for is counted: not as a success, and not as a fault of ours.
const NO_ANSWER: u16 = 499;
