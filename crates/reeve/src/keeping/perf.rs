//! How the gateway performs, recorded once in each period that the policy names (`log.perf`).

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use reeve_base::Timestamp;
use reeve_edge::{Durations, Meters, Totals};
use reeve_ledger::{Class, Entry, Health};
use reeve_policy::catalogue::Controls;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use super::Keeping;

/// What is counted, and how often it is told.
#[derive(Debug, Default)]
pub(super) struct Perf {
    /// Milliseconds; 0 for never. `Relaxed`: it stands for itself.
    every_ms: AtomicU64,
    meters: OnceLock<Meters>,
    /// Where the last record ended. Held only for a moment.
    last: Mutex<Option<Mark>>,
}

/// The counts at a moment.
#[derive(Debug, Clone)]
struct Mark {
    at: Timestamp,
    totals: Totals,
    cpu: Duration,
}

/// How a process does, beside what its workers count.
#[derive(Debug)]
pub(crate) struct Vitals {
    /// Networks that are banned.
    pub(crate) bans: u64,
    /// Connections and requests that a ban refused.
    pub(crate) bans_refused: u64,
    /// The ledger.
    pub(crate) ledger: Health,
    /// Processor time since the start.
    pub(crate) cpu: Duration,
    /// Memory that is held.
    pub(crate) memory_bytes: u64,
    /// Open file descriptors.
    pub(crate) descriptors: u64,
}

impl Keeping {
    /// Follows a policy from now on.
    pub(crate) fn roll_up(&self, controls: &Controls) {
        let every = controls.log_perf.as_ref().map(|control| control.every.duration());
        let every = every.map_or(0, |every| u64::try_from(every.as_millis()).unwrap_or(u64::MAX));
        self.perf.every_ms.store(every, Ordering::Relaxed);
    }

    pub(super) fn meter(&self, meters: Meters) {
        // One gateway in the life of a keeping.
        if self.perf.meters.set(meters).is_ok() {
            self.mark();
        }
    }

    /// What the gateway has counted; nothing before it serves.
    pub(crate) fn totals(&self) -> Option<Totals> {
        self.perf.meters.get().map(Meters::totals)
    }

    /// How long requests took by route, while somebody looks.
    pub(super) fn routes(&self) -> Vec<(Box<str>, Durations)> {
        self.perf.meters.get().map(|meters| meters.routes(self.clock.ticks())).unwrap_or_default()
    }

    /// How the rest of the process does.
    pub(crate) fn vitals(&self) -> Vitals {
        Vitals {
            bans: self.bans.count() as u64,
            bans_refused: self.bans.refused(),
            ledger: self.ledger.health(),
            cpu: processor_time(),
            memory_bytes: resident_bytes(),
            descriptors: fs::read_dir("/proc/self/fd").map_or(0, |all| all.count() as u64),
        }
    }

    /// Records at the end of each period, for as long as this is polled.
    pub(super) async fn tell_performance(&self) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut waited = Duration::ZERO;
        loop {
            look.tick().await;
            let every = Duration::from_millis(self.perf.every_ms.load(Ordering::Relaxed));
            waited += LOOK_EVERY;
            if every.is_zero() {
                // What was before the control was asked for is in no record of it.
                waited = Duration::ZERO;
                self.mark();
            } else if waited >= every {
                waited = Duration::ZERO;
                self.record_performance();
            }
        }
    }

    /// Records what came since the last record. While the ledger takes nothing, the period goes on, so that nothing is
    /// missing from the sum.
    pub(super) fn record_performance(&self) {
        if self.perf.every_ms.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut last = self.perf.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(now), Some(before)) = (self.now_marked(), last.as_ref()) else { return };
        let body = self.summary(before, &now);
        let entry = Entry {
            class: Class::Security,
            activity: String::from(ACTIVITY),
            clause: None,
            actor: Some(String::from("reeve")),
            body: body.to_string().into_bytes(),
        };
        match self.ledger.append(entry) {
            Ok(_receipt) => *last = Some(now),
            Err(error) => tracing::warn!(%error, "the gateway's figures cannot be recorded; tried again"),
        }
    }

    fn mark(&self) {
        *self.perf.last.lock().unwrap_or_else(PoisonError::into_inner) = self.now_marked();
    }

    fn now_marked(&self) -> Option<Mark> {
        let totals = self.perf.meters.get()?.totals();
        Some(Mark { at: self.clock.now(), totals, cpu: processor_time() })
    }

    fn summary(&self, before: &Mark, now: &Mark) -> Value {
        let durations = now.totals.durations.since(&before.totals.durations);
        let micros = |share| durations.quantile(share).map(|time| time.as_micros());
        let since = |outcome| now.totals.count(outcome).saturating_sub(before.totals.count(outcome));
        let health = self.ledger.health();
        json!({
            "time": now.at, "id": self.ids.next(now.at).to_string(), "activity": ACTIVITY, "actor": "reeve",
            "action": "measure", "object": "gateway", "outcome": "allowed",
            "process": std::process::id(), "from": before.at, "to": now.at,
            "requests": since(None), "refused": since(Some("refused")), "failed": since(Some("failed")),
            "p50_us": micros(0.5), "p95_us": micros(0.95), "p99_us": micros(0.99),
            "connections": now.totals.open,
            "cpu_ms": now.cpu.saturating_sub(before.cpu).as_millis(), "memory_bytes": resident_bytes(),
            "ledger_queued": health.queued, "ledger_unsealed": health.durable.saturating_sub(health.sealed),
            "ledger_failing": health.failing,
        })
    }
}

/// What this process has used of the processors since it began.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// What this process holds of memory, as proc(5) tells in `statm`; 0 if it does not.
fn resident_bytes() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok()).unwrap_or_default();
    pages * rustix::param::page_size() as u64
}

const ACTIVITY: &str = "perf.summary";

/// The shortest period of a policy is a second.
const LOOK_EVERY: Duration = Duration::from_millis(250);
