//! Times in which visitors get a page of the gateway's own and the application gets nobody.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use ipnet::IpNet;
use reeve_base::{Clock, EventId, Timestamp};

use crate::body::AnswerBody;
use crate::gateway::Shared;

/// A time in which the site is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever keeps these makes them")]
pub struct Closure {
    /// From when.
    pub from: Timestamp,
    /// Until when; until it is taken away if nothing is said.
    pub to: Option<Timestamp>,
    /// Who is served all the same.
    pub allow: Vec<IpNet>,
}

impl Closure {
    fn holds(&self, now: Timestamp) -> bool {
        self.from <= now && self.to.is_none_or(|to| now < to)
    }
}

/// When the site is closed. What a request costs while it is not: one load.
#[derive(Debug, Default)]
pub(crate) struct Maintenance {
    any: AtomicBool,
    closures: ArcSwap<Vec<Closure>>,
}

/// A visitor who came while the site is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed {
    /// When it is open again, if that is known.
    pub(crate) until: Option<Timestamp>,
    pub(crate) retry_after: Duration,
}

impl Maintenance {
    fn set(&self, closures: Vec<Closure>) {
        let any = !closures.is_empty();
        // In this order: whoever sees that there is one finds it.
        self.closures.store(Arc::new(closures));
        self.any.store(any, Ordering::Release);
    }

    /// Whether a visitor is turned away now.
    pub(crate) fn turns_away(&self, address: IpAddr, clock: &dyn Clock) -> Option<Closed> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let now = clock.now();
        let closures = self.closures.load();
        let holding: Vec<_> = closures.iter().filter(|closure| closure.holds(now)).collect();
        let address = address.to_canonical();
        let allowed = |closure: &&Closure| closure.allow.iter().any(|network| network.contains(&address));
        if holding.is_empty() || holding.iter().all(allowed) {
            return None;
        }
        let until = holding.iter().map(|closure| closure.to).collect::<Option<Vec<_>>>();
        let until = until.and_then(|ends| ends.into_iter().max());
        let left = until.and_then(|until| Duration::try_from(until.duration_since(now)).ok());
        Some(Closed { until, retry_after: left.unwrap_or(UNKNOWN_END) })
    }
}

/// The way to close and to open a gateway that runs.
#[derive(Clone)]
pub struct Shutter(Weak<Shared>);

impl Shutter {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self(Arc::downgrade(shared))
    }

    /// Says when the site is closed, from now on. At most [`CLOSURES_MAX`] times count. A gateway that has stopped takes
    /// no notice.
    pub fn set(&self, mut closures: Vec<Closure>) {
        closures.truncate(CLOSURES_MAX);
        if let Some(shared) = self.0.upgrade() {
            shared.maintenance.set(closures);
        }
    }
}

impl std::fmt::Debug for Shutter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shutter").finish_non_exhaustive()
    }
}

/// What a visitor sees meanwhile: that it is meant so, and when to come back.
pub(crate) fn page(until: Option<Timestamp>, event: EventId, prefers_json: bool) -> Response<AnswerBody> {
    let until = until.map(|until| until.strftime("%Y-%m-%d %H:%M UTC").to_string());
    let (kind, text) = if prefers_json {
        let detail = until.map_or_else(|| String::from(SOON), |until| format!("until about {until}"));
        let problem = serde_json::json!({
            "title": "Maintenance", "status": 503, "detail": detail, "instance": format!("urn:ulid:{event}"),
        });
        ("application/problem+json", problem.to_string())
    } else {
        let text = until.map_or_else(
            || format!("This site is being worked on, and is {SOON}."),
            |until| format!("This site is being worked on, until about {until}."),
        );
        ("text/html; charset=utf-8", html(&text, event))
    };
    let mut response = Response::new(AnswerBody::own(text));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn html(text: &str, event: EventId) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Maintenance</title></head>\n<body>\n<main>\n<h1>Maintenance</h1>\n<p>{text}</p>\n\
         <p>If you ask us about this, please quote the event <code>{event}</code>.</p>\n</main>\n</body>\n</html>\n"
    )
}

const SOON: &str = "back as soon as possible";

/// Times that a gateway knows of.
pub const CLOSURES_MAX: usize = 1_000;

/// When to come back if nobody knows.
const UNKNOWN_END: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    struct At(Timestamp);

    impl Clock for At {
        fn now(&self) -> Timestamp {
            self.0
        }

        fn ticks(&self) -> reeve_base::Ticks {
            reeve_base::Ticks::default()
        }
    }

    fn closed(closures: &[Closure], address: &str, second: i64) -> Option<u64> {
        let maintenance = Maintenance::default();
        maintenance.set(closures.to_vec());
        let clock = At(Timestamp::from_second(second).unwrap());
        maintenance.turns_away(address.parse().unwrap(), &clock).map(|closed| closed.retry_after.as_secs())
    }

    fn closure(from: i64, to: Option<i64>, allow: &[&str]) -> Closure {
        let at = |second| Timestamp::from_second(second).unwrap();
        Closure { from: at(from), to: to.map(at), allow: allow.iter().map(|text| text.parse().unwrap()).collect() }
    }

    #[test]
    fn it_is_closed_from_the_first_second_to_the_last() {
        let window = [closure(100, Some(200), &[])];
        assert_eq!(closed(&window, "192.0.2.1", 99), None);
        assert_eq!(closed(&window, "192.0.2.1", 100), Some(100));
        assert_eq!(closed(&window, "192.0.2.1", 199), Some(1));
        assert_eq!(closed(&window, "192.0.2.1", 200), None);
        assert_eq!(closed(&[], "192.0.2.1", 100), None);
    }

    #[test]
    fn the_longest_closure_counts_and_one_without_an_end_is_the_longest() {
        let windows = [closure(100, Some(200), &[]), closure(150, Some(300), &[])];
        assert_eq!(closed(&windows, "192.0.2.1", 150), Some(150));
        let windows = [closure(100, Some(200), &[]), closure(150, None, &[])];
        assert_eq!(closed(&windows, "192.0.2.1", 150), Some(UNKNOWN_END.as_secs()));
    }

    #[test]
    fn whoever_is_allowed_in_all_of_them_passes() {
        let windows = [closure(100, None, &["192.0.2.0/24"]), closure(100, Some(200), &["192.0.2.1/32"])];
        assert_eq!(closed(&windows, "192.0.2.1", 150), None);
        assert_eq!(closed(&windows, "::ffff:192.0.2.1", 150), None);
        assert!(closed(&windows, "192.0.2.2", 150).is_some());
        assert_eq!(closed(&windows, "192.0.2.2", 200), None);
    }
}
