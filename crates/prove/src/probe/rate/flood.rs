//! Many requests at once, over a few connections, until somebody says that it is enough.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reeve_base::{Cause, Rate, Ticks};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::Target;
use crate::wire::hypertext::Ask;
use crate::wire::tls::Protocol;
use crate::wire::{Site, WireError};

/// What is promised of one limit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Promise {
    pub(super) rate: Rate,
    pub(super) burst: u32,
}

impl Promise {
    /// How many answers the promise allows in that time, with a tenth and five on top: limits are kept by several
    /// processes, and a token bucket may be read to hold one more.
    pub(super) fn allowed(self, elapsed: Duration) -> u32 {
        let interval = self.rate.interval().as_nanos().max(1);
        let refilled = u32::try_from(elapsed.as_nanos() / interval).unwrap_or(u32::MAX);
        let promised = self.burst.saturating_add(refilled);
        promised.saturating_add(promised / 10).saturating_add(5)
    }

    /// About how many requests it takes to outrun the limit; none where it refills as fast as a probe can send.
    pub(super) fn needed(self, target: &Target) -> Option<u32> {
        let speed = if target.is_loopback() { SPEED_MILLI } else { REMOTE_SPEED_MILLI };
        // A tenth above what is promised counts as promised, so that is what must be outrun.
        let refill = 1_100_000_000_000 / self.rate.interval().as_nanos().max(1);
        let gain = speed.checked_sub(refill).filter(|gain| *gain > speed / 10)?;
        u32::try_from(u128::from(self.allowed(Duration::ZERO)) * speed / gain).ok()
    }

    /// The same, if the run may still send so many.
    pub(super) fn affordable(self, site: &Site) -> Result<(), Cause> {
        let remaining = site.remaining();
        match self.needed(site.target()) {
            Some(needed) if needed <= remaining => Ok(()),
            Some(needed) => {
                let text = format!("would take about {needed} requests; the run may still send {remaining}");
                Err(Cause::OverBudget(text))
            }
            None => Err(Cause::OverBudget(format!("{} is more than a probe can send", self.rate))),
        }
    }
}

/// Where a flood comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// One address: what is refused there is refused.
    One,
    /// Another address after each refusal: only what is refused to somebody who never asked before is refused.
    Changing,
}

/// A flood under way.
pub(super) struct Flood {
    promise: Promise,
    ask: Ask,
    origin: Origin,
    started: Ticks,
    /// Answers that were none of the limit's. `Relaxed` is enough: only the sum is asked of it.
    answered: AtomicU32,
    /// Set once there is nothing more to learn.
    over: AtomicBool,
    /// What ended it. Held for one assignment, never across an await.
    stop: Mutex<Option<Stop>>,
}

/// What ended a flood.
#[derive(Debug, Clone)]
pub(super) enum Stop {
    /// Somebody said that it is enough.
    Limited { status: u16, retry_after: Option<String> },
    /// More passed than was promised.
    Unlimited,
}

/// What came of a flood.
pub(super) struct Flooded {
    pub(super) stop: Option<Stop>,
    /// Why it ended without either.
    pub(super) cause: Option<Cause>,
    /// How many answers, in how long, in words.
    pub(super) what: String,
}

/// What came of one connection.
enum Lane {
    /// It is over, or the server closed it.
    Closed,
    /// This address is refused, after so many answers here.
    Refused { answered_here: u32, status: u16, retry_after: Option<String> },
}

impl Flood {
    /// Asks until there is an end to it. One answer of the same kind has been seen already.
    pub(super) async fn run(promise: Promise, ask: Ask, origin: Origin, site: &Site) -> Flooded {
        let flood = Arc::new(Self {
            promise,
            ask,
            origin,
            started: site.ticks(),
            answered: AtomicU32::new(1),
            over: AtomicBool::new(false),
            stop: Mutex::new(None),
        });
        let cause = flood.lanes(site).await.err();
        let answered = flood.answered.load(Ordering::Relaxed);
        let took = site.ticks().since(flood.started);
        let most = promise.allowed(took);
        let what = format!("{answered} answers in {:.1} s, where {most} would be the most", took.as_secs_f64());
        Flooded { stop: flood.stopped(), cause, what }
    }

    fn end(&self, stop: Stop) {
        self.over.store(true, Ordering::Relaxed);
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(stop);
    }

    fn stopped(&self) -> Option<Stop> {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn lanes(self: &Arc<Self>, site: &Site) -> Result<(), Cause> {
        let mut lanes = JoinSet::new();
        for _ in 0..LANES {
            let (flood, site) = (Arc::clone(self), site.clone());
            lanes.spawn(async move { flood.lane(site).await });
        }
        let all = async {
            let mut outcome = Ok(());
            while let Some(done) = lanes.join_next().await {
                let done = done.unwrap_or_else(|error| Err(WireError::Connection(error.to_string())));
                outcome = outcome.and(done);
            }
            outcome
        };
        match timeout(WHOLE_WAIT, all).await {
            Ok(outcome) => outcome.map_err(Cause::from),
            Err(_) => Err(Cause::OverBudget(format!("the limit was not reached within {WHOLE_WAIT:?}"))),
        }
    }

    /// Asks again and again, over a new connection where the old one was closed.
    async fn lane(&self, mut site: Site) -> Result<(), WireError> {
        if self.origin == Origin::Changing {
            site = site.elsewhere()?;
        }
        while !self.over.load(Ordering::Relaxed) {
            let Lane::Refused { answered_here, status, retry_after } = self.connection(&site).await? else { continue };
            if self.origin == Origin::One || answered_here == 0 {
                self.end(Stop::Limited { status, retry_after });
            } else {
                // It may be this address that has used up its rate, and not whoever asks from it.
                site = site.elsewhere()?;
            }
        }
        Ok(())
    }

    async fn connection(&self, site: &Site) -> Result<Lane, WireError> {
        let mut lane = site.lane(Protocol::H1).await?;
        let mut answered_here = 0;
        while !self.over.load(Ordering::Relaxed) && lane.is_open() {
            // The handshake was counted; so is every request from the second on.
            if answered_here > 0 {
                site.spend()?;
            }
            let answer = match lane.send(site, &self.ask).await {
                Ok(answer) => answer,
                // A server may close a connection after so many requests, also while one is on its way.
                Err(WireError::Closed) => break,
                Err(error) => return Err(error),
            };
            if matches!(answer.status, 429 | 503) {
                let retry_after = answer.value("retry-after");
                return Ok(Lane::Refused { answered_here, status: answer.status, retry_after });
            }
            answered_here += 1;
            let answered = self.answered.fetch_add(1, Ordering::Relaxed) + 1;
            if answered > self.promise.allowed(site.ticks().since(self.started)) {
                self.end(Stop::Unlimited);
            }
        }
        Ok(Lane::Closed)
    }
}

/// Few enough for the strictest limit on connections (8).
const LANES: usize = 4;

/// The longest that a flood goes on.
const WHOLE_WAIT: Duration = Duration::from_secs(60);

/// Requests in a thousand seconds, cautiously: on this machine, and over the network.
const SPEED_MILLI: u128 = 400_000;
const REMOTE_SPEED_MILLI: u128 = 40_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allowance_grows_with_the_time_it_takes() {
        let promise = Promise { rate: Rate::per_minute(120), burst: 40 };
        assert_eq!(promise.allowed(Duration::ZERO), 40 + 4 + 5);
        assert_eq!(promise.allowed(Duration::from_secs(5)), 50 + 5 + 5);
    }
}
