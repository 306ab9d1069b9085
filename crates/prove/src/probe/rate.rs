//! rate.ip: more at once than is allowed, until somebody says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reeve_base::{Cause, Ticks};
use reeve_policy::catalogue::RateIp;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Kept, Notes, Probe, Running, Sends, Turn, Twin};
use crate::Target;
use crate::wire::hypertext::Ask;
use crate::wire::tls::Protocol;
use crate::wire::{Site, WireError};

impl Probe for RateIp {
    fn plan(&self, target: &Target) -> Sends {
        let what = format!(
            "GETs of / at full speed from one address until it is refused, promised {} + {}",
            self.rate, self.burst
        );
        Sends::requests(self.needed(target).unwrap_or(u32::MAX), what)
    }

    /// It leaves its address refused; where that is also everybody else's, nothing can follow.
    fn turn(&self) -> Turn {
        Turn::Last
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let (needed, remaining) = (self.needed(site.target()), site.remaining());
            match needed {
                Some(needed) if needed <= remaining => {}
                Some(needed) => {
                    let text = format!("would take about {needed} requests; the run may still send {remaining}");
                    return Err(Cause::OverBudget(text));
                }
                None => {
                    return Err(Cause::OverBudget(format!("{} is more than a probe can send", self.rate)));
                }
            }
            // Other probes may have used up the allowance of a shared address: wait for it, as long as patience lasts.
            let first = site.ask(&Ask::get("/")).await?;
            if first.status == 503 {
                return Err(Cause::Denied(String::from("the very first request is answered with 503")));
            }
            let twin = Twin::seen(notes, format!("the first request is answered with {}", first.status));
            let flood = Arc::new(Flood::new(self.clone(), site));
            let outcome = flood.run(site).await;
            let stop = flood.stopped();
            let answered = flood.answered.load(Ordering::Relaxed);
            let took = site.ticks().since(flood.started);
            let most = self.allowed(took);
            let what = format!("{answered} answers in {:.1} s, where {most} would be the most", took.as_secs_f64());
            notes.saw(what.clone());
            match stop {
                Some(Stop::Limited { status: 429, retry_after }) => {
                    judge_refusal(site, notes, retry_after.as_deref()).await?;
                }
                Some(Stop::Limited { status, .. }) => {
                    notes.fault(format!(
                        "past the limit it answers {status}, which does not say that it is a limit (429)"
                    ));
                }
                Some(Stop::Unlimited) => notes.fault(format!("there is no limit: {what}")),
                None => {
                    outcome?;
                    return Err(Cause::OverBudget(format!("the limit was not reached: {what}")));
                }
            }
            Ok(Kept::with(twin, format!("429 with Retry-After after {what}")))
        })
    }
}

/// The refusal says when to come back, and concerns nobody else.
async fn judge_refusal(site: &Site, notes: &mut Notes, retry_after: Option<&str>) -> Result<(), Cause> {
    notes.either(match retry_after {
        Some(value) if says_when(value) => Ok(format!("429 with Retry-After: {value}")),
        Some(value) => Err(format!("429 with a Retry-After that is neither seconds nor a date: `{value}`")),
        None => Err(String::from("429 without Retry-After")),
    });
    if site.has_own_sources() {
        let other = site.elsewhere()?.ask_once(&Ask::get("/")).await?;
        notes.either(match other.status {
            429 | 503 => Err(format!("another address is refused too ({})", other.status)),
            status => Ok(format!("another address is answered with {status} meanwhile")),
        });
    } else {
        notes.saw("whether another address is served meanwhile cannot be seen from one address");
    }
    Ok(())
}

/// RFC 9110 section 10.2.3: seconds or a date.
fn says_when(value: &str) -> bool {
    let value = value.trim();
    let seconds = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    seconds || jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).is_ok()
}

/// Sums that both sides of the probe need.
trait Allowance {
    fn allowed(&self, elapsed: Duration) -> u32;
    fn needed(&self, target: &Target) -> Option<u32>;
}

impl Allowance for RateIp {
    /// How many answers the promise allows in that time, with a tenth and five on top: limits are kept by several
    /// processes, and a token bucket may be read to hold one more.
    fn allowed(&self, elapsed: Duration) -> u32 {
        let interval = self.rate.interval().as_nanos().max(1);
        let refilled = u32::try_from(elapsed.as_nanos() / interval).unwrap_or(u32::MAX);
        let promised = self.burst.saturating_add(refilled);
        promised.saturating_add(promised / 10).saturating_add(5)
    }

    /// About how many requests it takes to outrun the limit; none where it refills as fast as a probe can send.
    fn needed(&self, target: &Target) -> Option<u32> {
        let speed = if target.is_loopback() { SPEED_MILLI } else { REMOTE_SPEED_MILLI };
        // A tenth above what is promised counts as promised, so that is what must be outrun.
        let refill = 1_100_000_000_000 / self.rate.interval().as_nanos().max(1);
        let gain = speed.checked_sub(refill).filter(|gain| *gain > speed / 10)?;
        u32::try_from(u128::from(self.allowed(Duration::ZERO)) * speed / gain).ok()
    }
}

/// Requests in a thousand seconds, cautiously: on this machine, and over the network.
const SPEED_MILLI: u128 = 400_000;
const REMOTE_SPEED_MILLI: u128 = 40_000;

/// Many requests at once from one address, over a few connections.
struct Flood {
    control: RateIp,
    started: Ticks,
    /// Answers that were none of the limit's. `Relaxed` is enough: only the sum is asked of it.
    answered: AtomicU32,
    /// Set once there is nothing more to learn.
    over: AtomicBool,
    /// What ended it. Held for one assignment, never across an await.
    stop: Mutex<Option<Stop>>,
}

#[derive(Debug, Clone)]
enum Stop {
    Limited { status: u16, retry_after: Option<String> },
    Unlimited,
}

impl Flood {
    fn new(control: RateIp, site: &Site) -> Self {
        Self {
            control,
            started: site.ticks(),
            answered: AtomicU32::new(1),
            over: AtomicBool::new(false),
            stop: Mutex::new(None),
        }
    }

    fn end(&self, stop: Stop) {
        self.over.store(true, Ordering::Relaxed);
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(stop);
    }

    fn stopped(&self) -> Option<Stop> {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn run(self: &Arc<Self>, site: &Site) -> Result<(), Cause> {
        let mut lanes = JoinSet::new();
        for _ in 0..LANES {
            let (flood, site) = (Arc::clone(self), site.clone());
            lanes.spawn(async move { flood.lane(&site).await });
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
    async fn lane(&self, site: &Site) -> Result<(), WireError> {
        let ask = Ask::get("/");
        while !self.over.load(Ordering::Relaxed) {
            let mut lane = site.lane(Protocol::H1).await?;
            // The handshake was counted; so is every request from the second on.
            let mut first = true;
            while !self.over.load(Ordering::Relaxed) && lane.is_open() {
                if !std::mem::take(&mut first) {
                    site.spend()?;
                }
                let answer = match lane.send(site, &ask).await {
                    Ok(answer) => answer,
                    // A server may close a connection after so many requests, also while one is on its way.
                    Err(WireError::Closed) => break,
                    Err(error) => return Err(error),
                };
                if matches!(answer.status, 429 | 503) {
                    let retry_after = answer.value("retry-after");
                    self.end(Stop::Limited { status: answer.status, retry_after });
                    return Ok(());
                }
                let answered = self.answered.fetch_add(1, Ordering::Relaxed) + 1;
                if answered > self.control.allowed(site.ticks().since(self.started)) {
                    self.end(Stop::Unlimited);
                }
            }
        }
        Ok(())
    }
}

/// Few enough for the strictest limit on connections (8).
const LANES: usize = 4;

/// The longest that the flood goes on.
const WHOLE_WAIT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use reeve_base::Rate;

    use super::*;

    #[test]
    fn the_allowance_grows_with_the_time_it_takes() {
        let control = RateIp { rate: Rate::per_minute(120), burst: 40, ..RateIp::default() };
        assert_eq!(control.allowed(Duration::ZERO), 40 + 4 + 5);
        assert_eq!(control.allowed(Duration::from_secs(5)), 50 + 5 + 5);
    }

    #[test]
    fn a_refusal_says_when_in_seconds_or_as_a_date() {
        assert!(says_when("30") && says_when(" 0 ") && says_when("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert!(!says_when("") && !says_when("-1") && !says_when("soon") && !says_when("1.5"));
    }
}
