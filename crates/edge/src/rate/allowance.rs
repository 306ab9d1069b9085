//! What a subject has left under the limits that counted it, and how that is told: the RateLimit and RateLimit-Policy
//! fields of draft-ietf-httpapi-ratelimit-headers-11.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::rules::{RateRules, Which, quoted};
use super::table::{Pace, Quota};

/// The limits that counted a request, and the one that has the least room left.
#[derive(Debug, Clone, Copy, Default)]
pub struct Allowance {
    counted: [Option<Which>; LIMITS_MAX],
    tightest: Option<Tight>,
}

#[derive(Debug, Clone, Copy)]
struct Tight {
    which: Which,
    left: u64,
    /// Seconds until all of it is there again.
    reset: u64,
}

impl Allowance {
    /// Takes note of one count.
    pub(super) fn note(&mut self, which: Which, quota: Quota, pace: Pace) {
        if !self.counted.contains(&Some(which))
            && let Some(free) = self.counted.iter_mut().find(|place| place.is_none())
        {
            *free = Some(which);
        }
        let left = match pace {
            Pace::Passes(ahead) => quota.left(ahead),
            Pace::Refused(_) => 0,
        };
        if self.tightest.is_none_or(|tightest| left <= tightest.left) {
            let reset = whole_seconds(Duration::from_nanos(pace.ahead()));
            self.tightest = Some(Tight { which, left, reset });
        }
    }

    /// Tells the client. An application's own fields stay: each names its policy, and a client keeps to all of them.
    pub fn announce(&self, rules: &RateRules, headers: &mut HeaderMap) {
        let Some(tightest) = self.tightest else { return };
        for limit in self.counted.iter().flatten().filter_map(|which| rules.limit(*which)) {
            headers.append(POLICY, limit.policy.clone());
        }
        let Some(limit) = rules.limit(tightest.which) else { return };
        let Tight { left, reset, .. } = tightest;
        let text = format!("{};r={left};t={reset}", quoted(&limit.name));
        // A name of a limit can stand in a header, or there would be no limit.
        if let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(text)) {
            headers.append(LIMIT, value);
        }
    }
}

/// Rounded up: a client that waits exactly so long passes.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Three kinds, each for the whole site and for a route.
const LIMITS_MAX: usize = 6;
