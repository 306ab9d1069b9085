//! Time, injected: services hold a [`Clock`], pure functions take `now` as an argument.

use std::time::{Duration, Instant};

pub use jiff::Timestamp;

/// Where a service reads the time.
pub trait Clock: Send + Sync {
    /// The wall clock, for what people read and for what must survive a restart. It may jump both ways.
    fn now(&self) -> Timestamp;

    /// The steady clock, for limits and deadlines. It never goes back and means nothing outside this process.
    fn ticks(&self) -> Ticks;
}

/// Nanoseconds of the steady clock since this process began to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ticks(pub u64);

impl Ticks {
    /// The time from `earlier` to this instant; zero if `earlier` is in fact later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The machine's own clocks.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// Starts to count steady time here.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clocks")]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clocks")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn ticks(&self) -> Ticks {
        Ticks(u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}
