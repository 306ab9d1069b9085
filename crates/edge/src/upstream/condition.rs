//! How one server does, as all workers see it: requests under way, what its checks said, and its circuit.
//!
//! The circuit is closed while a server answers. After too many failures within a time it opens: the server is left
//! alone. When that time is over, one request at a time may try it; an answer closes the circuit, a failure opens it for
//! twice as long.
//!
//! Two kinds of failure are told apart. That a server cannot be reached is its own failure, and no request can bring it
//! about. That it answers badly or late may be the request's doing; such failures never open the circuit of the last
//! server that is left, or one request, sent again and again, would shut the whole application.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reeve_base::Ticks;

use crate::settings::{CIRCUIT_OPEN_MAX, CircuitRule, HealthCheck};

/// What is known of a server. It outlives a reload that keeps the server.
#[derive(Debug, Default)]
pub(crate) struct Condition {
    /// Requests under way.
    open: AtomicU32,
    /// Its checks failed.
    sick: AtomicBool,
    /// One of [`CLOSED`], [`OPEN`] and [`TRIED`]. Changed under the lock of `history`, but for the step from open to
    /// tried, which only one caller wins.
    circuit: AtomicU8,
    /// When it may be tried, in ticks.
    trial_at: AtomicU64,
    /// Answers within the window, and errors among them; counted only where the rule looks at them.
    answers: AtomicU32,
    errors: AtomicU32,
    /// Taken only when something fails or changes.
    history: Mutex<History>,
    /// A check is under way.
    checking: AtomicBool,
    /// When the last check began, in ticks; 0 for never.
    checked_at: AtomicU64,
}

#[derive(Debug, Default)]
struct History {
    /// When it failed, the newest last; never more than the rule counts.
    failures: VecDeque<Ticks>,
    /// How often its circuit was opened without an answer between.
    opened: u32,
    /// When the count of answers began.
    counted_from: Ticks,
    /// Checks in a row that said the contrary of what holds.
    contrary: u32,
}

const CLOSED: u8 = 0;
const OPEN: u8 = 1;
const TRIED: u8 = 2;

/// Whether a server takes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// It does, and has so many under way.
    Ready(u32),
    /// One may try it.
    Due,
    /// Not before this time is over.
    Shut(Duration),
    /// Its checks fail.
    Sick,
}

/// How a server is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ServerState {
    /// It gets requests.
    Up,
    /// Its checks fail: it gets none.
    Sick,
    /// It failed too often: it is tried now and then.
    Shut,
}

/// Why a request failed at a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There was no connection.
    Unreachable,
    /// It answered late, or not well, or with an error.
    Bad,
}

impl Condition {
    pub(crate) fn readiness(&self, now: Ticks) -> Readiness {
        if self.sick.load(Ordering::Relaxed) {
            return Readiness::Sick;
        }
        match self.circuit.load(Ordering::Acquire) {
            CLOSED => Readiness::Ready(self.open.load(Ordering::Relaxed)),
            OPEN => match Ticks(self.trial_at.load(Ordering::Relaxed)).since(now) {
                Duration::ZERO => Readiness::Due,
                wait => Readiness::Shut(wait),
            },
            // Whoever tries it will know soon.
            _ => Readiness::Shut(TRIAL_WAIT),
        }
    }

    pub(crate) fn state(&self) -> ServerState {
        if self.sick.load(Ordering::Relaxed) {
            ServerState::Sick
        } else if self.circuit.load(Ordering::Relaxed) == CLOSED {
            ServerState::Up
        } else {
            ServerState::Shut
        }
    }

    /// Requests under way.
    pub(crate) fn open(&self) -> u32 {
        self.open.load(Ordering::Relaxed)
    }

    /// Counts a request in.
    pub(crate) fn enter(self: &Arc<Self>) -> Permit {
        self.open.fetch_add(1, Ordering::Relaxed);
        Permit { condition: Arc::clone(self), trial: false }
    }

    /// Counts the one request in that may try the server; nothing if another was faster.
    pub(crate) fn enter_trial(self: &Arc<Self>) -> Option<Permit> {
        self.circuit.compare_exchange(OPEN, TRIED, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        let mut permit = self.enter();
        permit.trial = true;
        Some(permit)
    }

    /// Begins a check, if one is due and none is under way.
    pub(crate) fn begin_check(&self, every: Duration, now: Ticks) -> bool {
        let last = self.checked_at.load(Ordering::Relaxed);
        let due = last == 0 || now.since(Ticks(last)) >= every;
        if !due || self.checking.swap(true, Ordering::AcqRel) {
            return false;
        }
        self.checked_at.store(now.0.max(1), Ordering::Relaxed);
        true
    }

    /// Ends it.
    pub(crate) fn end_check(&self, good: bool, rule: &HealthCheck) {
        self.checking.store(false, Ordering::Release);
        let mut history = self.history();
        let sick = self.sick.load(Ordering::Relaxed);
        if good != sick {
            history.contrary = 0;
            return;
        }
        history.contrary += 1;
        let needed = if sick { rule.healthy } else { rule.unhealthy };
        if history.contrary >= needed {
            history.contrary = 0;
            self.sick.store(!sick, Ordering::Relaxed);
        }
    }

    /// The upstream is no longer checked: what its last checks said means nothing.
    pub(crate) fn forget_checks(&self) {
        self.sick.store(false, Ordering::Relaxed);
    }

    /// It is no longer left alone, whatever was before.
    pub(crate) fn forget_failures(&self) {
        let mut history = self.history();
        history.failures.clear();
        history.opened = 0;
        self.circuit.store(CLOSED, Ordering::Release);
    }

    fn open_circuit(&self, history: &mut History, rule: &CircuitRule, now: Ticks) {
        let longest = CIRCUIT_OPEN_MAX.max(rule.open);
        let wait = rule.open.saturating_mul(2_u32.saturating_pow(history.opened)).min(longest);
        history.opened = history.opened.saturating_add(1);
        history.failures.clear();
        let wait = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        self.trial_at.store(now.0.saturating_add(wait), Ordering::Relaxed);
        self.circuit.store(OPEN, Ordering::Release);
    }

    /// Counts an answer, where the rule looks at errors. Says whether there are too many.
    fn count_answer(&self, rule: &CircuitRule, error: bool, now: Ticks) -> bool {
        let Some(percent) = rule.errors_percent else { return false };
        let answers = self.answers.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if !error {
            return false;
        }
        let errors = self.errors.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let mut history = self.history();
        if now.since(history.counted_from) > rule.window {
            // Between these two a request of another worker may be counted wrongly; the next window has it right.
            history.counted_from = now;
            self.answers.store(1, Ordering::Relaxed);
            self.errors.store(1, Ordering::Relaxed);
            return false;
        }
        answers >= ANSWERS_MIN && u64::from(errors) * 100 >= u64::from(answers) * u64::from(percent)
    }

    fn history(&self) -> std::sync::MutexGuard<'_, History> {
        // No caller can leave it half changed.
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is counted as under way until this is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    condition: Arc<Condition>,
    /// The circuit's fate hangs on it.
    trial: bool,
}

impl Permit {
    /// The server answered. `others` says whether another server could take requests.
    pub(crate) fn answered(&mut self, error: bool, rule: Option<&CircuitRule>, now: Ticks, others: impl Fn() -> bool) {
        let Some(rule) = rule else { return };
        let counts = error && rule.errors_percent.is_some();
        if self.trial && !counts {
            self.trial = false;
            self.condition.forget_failures();
            return;
        }
        if self.trial {
            return self.failed(Failure::Bad, Some(rule), now, || true);
        }
        if self.condition.count_answer(rule, error, now) && others() {
            let mut history = self.condition.history();
            self.condition.open_circuit(&mut history, rule, now);
        }
    }

    /// The request failed there.
    pub(crate) fn failed(
        &mut self,
        failure: Failure,
        rule: Option<&CircuitRule>,
        now: Ticks,
        others: impl Fn() -> bool,
    ) {
        let Some(rule) = rule else { return };
        let condition = &*self.condition;
        let mut history = condition.history();
        if std::mem::take(&mut self.trial) {
            return condition.open_circuit(&mut history, rule, now);
        }
        if condition.circuit.load(Ordering::Relaxed) != CLOSED {
            // It was sent before the circuit opened, and tells nothing new.
            return;
        }
        while history.failures.front().is_some_and(|first| now.since(*first) > rule.window) {
            history.failures.pop_front();
        }
        history.failures.push_back(now);
        let enough = history.failures.len() >= usize::try_from(rule.failures).unwrap_or(usize::MAX);
        if enough && (failure == Failure::Unreachable || others()) {
            condition.open_circuit(&mut history, rule, now);
        } else if enough {
            history.failures.pop_front();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.condition.open.fetch_sub(1, Ordering::Relaxed);
        if self.trial {
            // Whoever tried it left before there was an answer: the next one may.
            self.condition.circuit.store(OPEN, Ordering::Release);
        }
    }
}

/// Below so many answers a share of errors says nothing.
const ANSWERS_MIN: u32 = 20;

/// What a client is told to wait while somebody tries the server.
const TRIAL_WAIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
