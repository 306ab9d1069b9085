//! How slow the other side may be: it has credit, which waiting for it uses up and bytes earn back.
//!
//! A limit on the time between two pieces alone is no limit: one byte just before each deadline holds a connection for
//! ever. Over any long time whoever is held to a pace moves at least its least rate.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// The slowest that is put up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PaceLimits {
    /// The longest wait, and the most credit that can be earned.
    pub(crate) grace: Duration,
    /// Bytes that earn a second. 0: any byte earns the whole grace.
    pub(crate) bytes_a_second: u64,
}

/// Waits that are added up. The timer exists only while there is a wait.
#[derive(Debug)]
pub(crate) struct Pace {
    limits: PaceLimits,
    credit: Duration,
    since: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// With the whole grace as credit.
    pub(crate) const fn new(limits: PaceLimits) -> Self {
        Self { limits, credit: limits.grace, since: None, alarm: None }
    }

    /// Ends a wait, if there is one, and earns what so many bytes are worth.
    pub(crate) fn moved(&mut self, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.alarm = None;
            self.credit = self.credit.saturating_sub(since.elapsed());
        }
        if self.credit < self.limits.grace {
            self.credit = self.credit.saturating_add(self.earned(bytes)).min(self.limits.grace);
        }
    }

    fn earned(&self, bytes: usize) -> Duration {
        match (bytes as u64).saturating_mul(1_000).checked_div(self.limits.bytes_a_second) {
            Some(milliseconds) => Duration::from_millis(milliseconds),
            None => self.limits.grace,
        }
    }

    /// Ready when the credit is used up by the present wait.
    pub(crate) fn poll_lost(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(since + self.credit)));
        alarm.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const LIMITS: PaceLimits = PaceLimits { grace: Duration::from_secs(30), bytes_a_second: 500 };

    /// How long a client lasts that moves `bytes` every `pause`.
    async fn lasts(limits: PaceLimits, bytes: usize, pause: Duration) -> Option<Duration> {
        let (mut pace, started) = (Pace::new(limits), Instant::now());
        while started.elapsed() < Duration::from_secs(3_600) {
            if tokio::time::timeout(pause, poll_fn(|cx| pace.poll_lost(cx))).await.is_ok() {
                return Some(started.elapsed());
            }
            pace.moved(bytes);
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_ends_when_the_grace_is_used_up() {
        let trickle = lasts(LIMITS, 1, Duration::from_secs(10)).await.unwrap();
        assert!((30..=31).contains(&trickle.as_secs()), "{trickle:?}");
        let silence = lasts(LIMITS, 1, Duration::from_secs(60)).await.unwrap();
        assert!((30..=31).contains(&silence.as_secs()), "{silence:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_keeps_the_least_rate_goes_on_for_ever() {
        assert_eq!(lasts(LIMITS, 5_000, Duration::from_secs(10)).await, None);
        let under = lasts(LIMITS, 4_000, Duration::from_secs(10)).await.unwrap();
        assert!(under > Duration::from_secs(100), "just under the rate it takes long to use up the grace: {under:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_least_rate_only_silence_ends_it() {
        let lenient = PaceLimits { bytes_a_second: 0, ..LIMITS };
        assert_eq!(lasts(lenient, 1, Duration::from_secs(29)).await, None);
        assert!(lasts(lenient, 1, Duration::from_secs(31)).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn credit_is_not_saved_up() {
        let mut pace = Pace::new(LIMITS);
        for _ in 0..100 {
            let _ = tokio::time::timeout(Duration::from_millis(1), poll_fn(|cx| pace.poll_lost(cx))).await;
            pace.moved(1 << 30);
        }
        let started = Instant::now();
        poll_fn(|cx| pace.poll_lost(cx)).await;
        assert!(started.elapsed() <= Duration::from_secs(31));
    }
}
