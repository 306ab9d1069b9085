//! When a certificate is replaced, and when an attempt that failed is made again. Pure: the time is an argument.

use std::time::Duration;

use reeve_base::Timestamp;

/// A share of a certificate's life, in percent of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Share(u16);

impl Share {
    /// What authorities recommend, and what leaves a third of the life to try again in.
    pub(crate) const TWO_THIRDS: Self = Self(67);

    /// From a percentage, which is taken as 100 if it is more.
    pub(crate) const fn percent(percent: u16) -> Self {
        Self(if percent > 100 { 100 } else { percent })
    }
}

/// The moment by which a certificate of this life is replaced.
pub(crate) fn latest(from: Timestamp, to: Timestamp, share: Share) -> Timestamp {
    let life = u64::try_from(to.as_millisecond().saturating_sub(from.as_millisecond())).unwrap_or(0);
    later(from, Duration::from_millis(life / 100 * u64::from(share.0)))
}

/// The moment at which it is: up to a twentieth of the life before the latest, by chance (`jitter` of 65,535), so that
/// certificates that were issued together are not all asked for again together.
pub(crate) fn due(from: Timestamp, to: Timestamp, share: Share, jitter: u16) -> Timestamp {
    let latest = latest(from, to, share);
    let life = u64::try_from(to.as_millisecond().saturating_sub(from.as_millisecond())).unwrap_or(0);
    let ahead = life / JITTER_PART / u64::from(u16::MAX) * u64::from(jitter);
    earlier(latest, Duration::from_millis(ahead))
}

/// How long to wait after so many failures: twice as long each time, with up to a quarter more by chance, at least what
/// the authority asked for, at most a day.
pub(crate) fn pause(failures: u32, first: Duration, jitter: u16, asked: Option<Duration>) -> Duration {
    let doubled = first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(DOUBLINGS_MAX)));
    let base = doubled.min(PAUSE_MAX);
    let more = base / 4 / u32::from(u16::MAX) * u32::from(jitter);
    base.saturating_add(more).max(asked.unwrap_or_default()).min(PAUSE_MAX)
}

/// `base` after `time`; the far end of time if there is no such moment.
pub(crate) fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}

fn earlier(time: Timestamp, by: Duration) -> Timestamp {
    time.saturating_sub(by).unwrap_or(Timestamp::MIN)
}

const JITTER_PART: u64 = 20;
const DOUBLINGS_MAX: u32 = 16;

/// Even an authority that asks for a week is looked at again after a day.
const PAUSE_MAX: Duration = Duration::from_hours(24);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_certificate_is_replaced_at_two_thirds_of_its_life_and_never_later() {
        let (from, to) = (at("2026-01-01T00:00:00Z"), at("2026-04-11T00:00:00Z"));
        assert_eq!(latest(from, to, Share::TWO_THIRDS), at("2026-03-09T00:00:00Z"));
        assert_eq!(due(from, to, Share::TWO_THIRDS, 0), at("2026-03-09T00:00:00Z"));
        let earliest = due(from, to, Share::TWO_THIRDS, u16::MAX);
        assert!(earliest >= at("2026-03-04T00:00:00Z") && earliest < at("2026-03-04T00:05:00Z"), "{earliest}");
    }

    #[test]
    fn a_life_that_is_none_is_over_at_once() {
        let (from, to) = (at("2026-01-02T00:00:00Z"), at("2026-01-01T00:00:00Z"));
        assert_eq!(due(from, to, Share::TWO_THIRDS, 7), from);
    }

    #[track_caller]
    fn pauses(failures: u32, jitter: u16, asked: Option<u64>, expected: std::ops::RangeInclusive<u64>) {
        let pause = pause(failures, Duration::from_mins(5), jitter, asked.map(Duration::from_secs)).as_secs();
        assert!(expected.contains(&pause), "{pause}");
    }

    #[test]
    fn pauses_double_up_to_a_day_and_honour_what_is_asked() {
        pauses(1, 0, None, 300..=300);
        pauses(2, 0, None, 600..=600);
        pauses(2, u16::MAX, None, 740..=750);
        pauses(1, 0, Some(3_600), 3_600..=3_600);
        pauses(1, 0, Some(10), 300..=300);
        pauses(40, 9, None, 86_400..=86_400);
        pauses(1, 0, Some(604_800), 86_400..=86_400);
    }
}
