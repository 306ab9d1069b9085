//! What the gateway counts of its own work: requests by outcome, how long they took, connections, handshakes.
//!
//! Each worker has a [`Meter`] of its own and is the only one that writes to it, so a count is a load and a store that no
//! other core waits for. Whoever wants to know adds the workers up ([`Meters::totals`]). There is nothing here whose
//! number a client could choose: no address, no path, no name.

mod routes;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reeve_base::Ticks;

use crate::connection_cap::ConnectionCap;
use crate::request::Transport;
use crate::traces::SpanCounts;
use routes::Routes;

/// A count that one thread writes and any may read. `Relaxed`: each stands for itself.
#[derive(Default)]
struct Count(AtomicU64);

impl Count {
    fn add(&self, more: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It was let through and answered.
    Allowed,
    /// This control refused it.
    Refused(&'static str),
    /// This part failed.
    Failed(&'static str),
}

/// The counts of one worker.
pub(crate) struct Meter {
    requests: [[[Count; CLASSES]; ENDINGS]; LISTENERS],
    by_control: [Count; CONTROLS.len() + 1],
    durations: [Count; BUCKETS],
    duration_us: Count,
    accepted: Count,
    turned_away: Count,
    capped: Count,
    handshakes: [Count; HANDSHAKES.len()],
    pub(crate) routes: Routes,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            requests: Default::default(),
            by_control: std::array::from_fn(|_| Count::default()),
            durations: std::array::from_fn(|_| Count::default()),
            duration_us: Count::default(),
            accepted: Count::default(),
            turned_away: Count::default(),
            capped: Count::default(),
            handshakes: Default::default(),
            routes: Routes::default(),
        }
    }
}

/// What became of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handshake {
    Tls13,
    Tls12,
    Failed,
}

impl Meter {
    /// A request was answered with this status after so many microseconds.
    pub(crate) fn request(&self, transport: Transport, ending: Ending, status: u16, took_us: u64) {
        let listener = match transport {
            Transport::Tls => 0,
            Transport::Plain => 1,
        };
        let (kind, control) = match ending {
            Ending::Allowed => (0, None),
            Ending::Refused(control) => (1, Some(control)),
            Ending::Failed(part) => (2, Some(part)),
        };
        let class = usize::from(status / 100).clamp(1, CLASSES) - 1;
        let place = self.requests.get(listener).and_then(|kinds| kinds.get(kind)).and_then(|all| all.get(class));
        place.iter().for_each(|count| count.add(1));
        if let Some(control) = control {
            let at = CONTROLS.iter().position(|name| *name == control).unwrap_or(CONTROLS.len());
            self.by_control.get(at).iter().for_each(|count| count.add(1));
        }
        self.durations.get(bucket(took_us)).iter().for_each(|count| count.add(1));
        self.duration_us.add(took_us);
    }

    /// A connection was accepted.
    pub(crate) fn accepted(&self) {
        self.accepted.add(1);
    }

    /// One was closed because its address is banned.
    pub(crate) fn turned_away(&self) {
        self.turned_away.add(1);
    }

    /// One was closed because there are too many.
    pub(crate) fn capped(&self) {
        self.capped.add(1);
    }

    /// A handshake came to its end.
    pub(crate) fn handshake(&self, how: Handshake) {
        let at = match how {
            Handshake::Tls13 => 0,
            Handshake::Tls12 => 1,
            Handshake::Failed => 2,
        };
        self.handshakes.get(at).iter().for_each(|count| count.add(1));
    }

    fn add_to(&self, totals: &mut Totals) {
        for (listener, kinds) in self.requests.iter().enumerate() {
            for (kind, classes) in kinds.iter().enumerate() {
                for (class, count) in classes.iter().enumerate() {
                    let names = (LISTENER_NAMES.get(listener), ENDING_NAMES.get(kind), CLASS_NAMES.get(class));
                    let (Some(listener), Some(outcome), Some(class)) = names else { continue };
                    let count = count.get();
                    if count > 0 {
                        totals.add_requests(Requests { listener, outcome, class, count });
                    }
                }
            }
        }
        let names = CONTROLS.iter().copied().chain(["other"]);
        for (name, count) in names.zip(&self.by_control) {
            let count = count.get();
            if count > 0 {
                match totals.by_control.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, total)) => *total += count,
                    None => totals.by_control.push((name, count)),
                }
            }
        }
        for (total, count) in totals.durations.0.iter_mut().zip(&self.durations) {
            *total += count.get();
        }
        totals.duration_us += self.duration_us.get();
        totals.accepted += self.accepted.get();
        totals.turned_away += self.turned_away.get();
        totals.capped += self.capped.get();
        for (total, count) in totals.handshakes.iter_mut().zip(&self.handshakes) {
            *total += count.get();
        }
    }
}

/// The counts of all workers of a gateway, to be read by anyone.
#[derive(Clone)]
pub struct Meters {
    workers: Arc<Mutex<Vec<Arc<Meter>>>>,
    connections: Arc<ConnectionCap>,
    spans: Arc<SpanCounts>,
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meters").finish_non_exhaustive()
    }
}

impl Meters {
    pub(crate) fn new(connections: Arc<ConnectionCap>) -> Self {
        Self { workers: Arc::default(), connections, spans: Arc::default() }
    }

    /// Where spans are counted.
    pub(crate) fn spans(&self) -> Arc<SpanCounts> {
        Arc::clone(&self.spans)
    }

    /// One more worker's.
    pub(crate) fn worker(&self) -> Arc<Meter> {
        let meter = Arc::new(Meter::default());
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&meter));
        meter
    }

    /// Everything since the start, added up.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let spans = [self.spans.told(), self.spans.dropped()];
        let mut totals = Totals { workers: workers.len(), open: self.connections.total(), spans, ..Totals::default() };
        workers.iter().for_each(|meter| meter.add_to(&mut totals));
        totals
    }
}

impl Meters {
    /// How long requests took by route, of those since somebody looked first. Notes them for some seconds more.
    #[must_use]
    pub fn routes(&self, now: Ticks) -> Vec<(Box<str>, Durations)> {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = HashMap::new();
        workers.iter().for_each(|meter| meter.routes.look(now, &mut all));
        all.into_iter().collect()
    }
}

/// Requests of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Requests {
    /// `https` or `http`.
    pub listener: &'static str,
    /// `allowed`, `refused` or `failed`.
    pub outcome: &'static str,
    /// `1xx` to `5xx`.
    pub class: &'static str,
    /// How many.
    pub count: u64,
}

/// What a gateway has counted.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Totals {
    /// Requests by kind; those there are none of are left out.
    pub requests: Vec<Requests>,
    /// Refusals by control and failures by part.
    pub by_control: Vec<(&'static str, u64)>,
    /// How long requests took.
    pub durations: Durations,
    /// All of that together, in microseconds.
    pub duration_us: u64,
    /// Connections that were accepted.
    pub accepted: u64,
    /// Connections that were closed because their address is banned.
    pub turned_away: u64,
    /// Connections that were closed because there were too many.
    pub capped: u64,
    /// Connections that are open.
    pub open: usize,
    /// Handshakes: TLS 1.3, TLS 1.2, failed.
    pub handshakes: [u64; 3],
    /// Threads that serve.
    pub workers: usize,
    /// Spans of traces: those that a collector has taken, those that were dropped.
    pub spans: [u64; 2],
}

impl Totals {
    fn add_requests(&mut self, more: Requests) {
        let same =
            |one: &&mut Requests| (one.listener, one.outcome, one.class) == (more.listener, more.outcome, more.class);
        match self.requests.iter_mut().find(same) {
            Some(one) => one.count += more.count,
            None => self.requests.push(more),
        }
    }

    /// How many requests, of all kinds or with one outcome.
    #[must_use]
    pub fn count(&self, outcome: Option<&str>) -> u64 {
        let wanted = self.requests.iter().filter(|one| outcome.is_none_or(|outcome| one.outcome == outcome));
        wanted.map(|one| one.count).sum()
    }
}

/// How long requests took, to within an eighth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durations([u64; BUCKETS]);

impl Default for Durations {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl Durations {
    /// Notes one.
    pub fn note(&mut self, took_us: u64) {
        self.0.get_mut(bucket(took_us)).into_iter().for_each(|count| *count += 1);
    }

    fn add(&mut self, more: &Self) {
        self.0.iter_mut().zip(&more.0).for_each(|(count, more)| *count += more);
    }

    /// How many ended within which time, in microseconds; those there are none of are left out.
    #[must_use]
    pub fn buckets(&self) -> Vec<(u64, u64)> {
        let all = self.0.iter().enumerate().filter(|(_, count)| **count > 0);
        all.map(|(at, count)| (upper_us(at), *count)).collect()
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// What came since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut rest = self.clone();
        rest.0.iter_mut().zip(&earlier.0).for_each(|(count, before)| *count = count.saturating_sub(*before));
        rest
    }

    /// The time within which `share` of them (0 to 1) ended; nothing if there are none. Up to an eighth too long, and
    /// never too short.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        #[expect(clippy::cast_precision_loss, reason = "a rank that is off by one in 2^53 is the same rank")]
        let wanted = count as f64 * share.clamp(0.0, 1.0);
        let mut seen = 0;
        for (at, more) in self.0.iter().enumerate() {
            seen += more;
            #[expect(clippy::cast_precision_loss, reason = "as above")]
            if *more > 0 && seen as f64 >= wanted {
                return Some(Duration::from_micros(upper_us(at)));
            }
        }
        None
    }

    /// How many ended within this time, to within an eighth of it.
    #[must_use]
    pub fn within(&self, bound: Duration) -> u64 {
        let bound = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX);
        self.0.iter().enumerate().take_while(|(at, _)| upper_us(*at) <= bound).map(|(_, count)| count).sum()
    }
}

/// Eight to each doubling: exact below 8 µs, an eighth apart above, everything past 71 minutes in the last.
fn bucket(took_us: u64) -> usize {
    let doubling = took_us.max(1).ilog2();
    let index = match doubling.checked_sub(STEPS_LOG2) {
        None => took_us,
        Some(shift) => u64::from(shift + 1) * STEPS + ((took_us >> shift) - STEPS),
    };
    usize::try_from(index).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// The longest time that falls into a bucket.
fn upper_us(at: usize) -> u64 {
    let at = at as u64;
    match at / STEPS {
        0 => at,
        doubling => ((at % STEPS + STEPS + 1) << (doubling - 1)) - 1,
    }
}

const STEPS_LOG2: u32 = 3;
const STEPS: u64 = 1 << STEPS_LOG2;
const BUCKETS: usize = 240;

const LISTENERS: usize = 2;
const ENDINGS: usize = 3;
const CLASSES: usize = 5;
const LISTENER_NAMES: [&str; LISTENERS] = ["https", "http"];
const ENDING_NAMES: [&str; ENDINGS] = ["allowed", "refused", "failed"];
const CLASS_NAMES: [&str; CLASSES] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// What handshakes are counted by, in the order of [`Totals::handshakes`].
pub const HANDSHAKES: [&str; 3] = ["tls1.3", "tls1.2", "failed"];

/// Controls and parts that requests end at; one that is missing here is counted as `other`.
const CONTROLS: [&str; 25] = [
    "edge.smuggling",
    "input.size",
    "edge.slow_and_flood",
    "input.methods",
    "input.schema",
    "input.type",
    "input.format",
    "input.charset",
    "waf.attack_set",
    "error.no_debug",
    "error.page",
    "hdr.csp",
    "rate.ip",
    "rate.user",
    "rate.header",
    "edge.ip_allow",
    "bot.ua",
    "bot.signature",
    "upstream",
    "route",
    "maintenance",
    "client",
    "ban",
    "log.access",
    "gateway",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_a_bucket_that_ends_at_most_an_eighth_later() {
        for took in (0..5_000).chain([123_456, 1_000_000, 60_000_000, 3_000_000_000]) {
            let upper = upper_us(bucket(took));
            assert!(upper >= took && upper <= took + took / 8, "{took} falls into a bucket that ends at {upper}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for at in 0..BUCKETS - 1 {
            assert_eq!(bucket(upper_us(at)), at);
            assert_eq!(bucket(upper_us(at) + 1), at + 1);
        }
    }

    #[test]
    fn quantiles_are_of_what_was_noted() {
        let mut durations = Durations::default();
        assert_eq!(durations.quantile(0.5), None);
        for took in 1..=100 {
            durations.note(took * 1_000);
        }
        for (share, at) in [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100)] {
            let found = durations.quantile(share).unwrap();
            let exact = Duration::from_millis(at);
            assert!(found >= exact && found <= exact + exact / 8, "{share}: {found:?} instead of {exact:?}");
        }
    }

    #[test]
    fn workers_are_added_up() {
        let meters = Meters::new(Arc::default());
        let (one, other) = (meters.worker(), meters.worker());
        one.request(Transport::Tls, Ending::Allowed, 200, 10);
        other.request(Transport::Tls, Ending::Allowed, 204, 10);
        other.request(Transport::Plain, Ending::Refused("rate.ip"), 429, 10);
        other.request(Transport::Tls, Ending::Refused("something new"), 999, 10);
        one.handshake(Handshake::Failed);
        let totals = meters.totals();
        assert_eq!((totals.count(None), totals.count(Some("allowed")), totals.count(Some("refused"))), (4, 2, 2));
        assert_eq!(totals.by_control, [("rate.ip", 1), ("other", 1)]);
        assert_eq!((totals.workers, totals.handshakes, totals.duration_us), (2, [0, 0, 1], 40));
    }
}
