//! How long requests take by route, while somebody looks. It costs a look at a clock otherwise.
//!
//! A route is a path with whatever varies taken out, so that there are few; where there are many all the same, the rest
//! goes together. Each worker has a table of its own, whose lock only a reader ever shares with it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reeve_base::Ticks;

use super::Durations;
use crate::redact;

/// One worker's routes.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    /// Until when somebody looks, in nanoseconds of the clock's ticks. `Relaxed`: it stands for itself.
    wanted_until: AtomicU64,
    table: Mutex<HashMap<Box<str>, Durations>>,
}

impl Routes {
    /// Notes a request, if somebody looks.
    pub(crate) fn note(&self, now: Ticks, method: &str, path: &str, took_us: u64) {
        if self.wanted_until.load(Ordering::Relaxed) <= now.0 {
            return;
        }
        let route = pattern(method, path);
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(durations) = table.get_mut(route.as_str()) {
            return durations.note(took_us);
        }
        let name = if table.len() < ROUTES_MAX { route.into_boxed_str() } else { OTHER.into() };
        table.entry(name).or_default().note(took_us);
    }

    /// Adds what was noted to `all`, and goes on noting for a while. What was noted for somebody who stopped looking is
    /// forgotten.
    pub(super) fn look(&self, now: Ticks, all: &mut HashMap<Box<str>, Durations>) {
        let until = now.0.saturating_add(u64::try_from(LOOK.as_nanos()).unwrap_or(u64::MAX));
        let before = self.wanted_until.swap(until, Ordering::Relaxed);
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if before <= now.0 {
            table.clear();
        }
        for (route, durations) in &*table {
            all.entry(route.clone()).or_default().add(durations);
        }
    }
}

/// A path without what varies: numbers, identifiers, secrets; four segments of it.
fn pattern(method: &str, path: &str) -> String {
    let path = redact::path(path);
    let mut route = String::from(method);
    route.push(' ');
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    for segment in segments.by_ref().take(SEGMENTS_MAX) {
        let varies = segment.len() > SEGMENT_BYTES_MAX
            || segment.contains('…')
            || segment.bytes().filter(u8::is_ascii_digit).count() * 2 >= segment.len()
            || segment.bytes().filter(u8::is_ascii_digit).count() > DIGITS_MAX;
        route.push('/');
        route.push_str(if varies { ":id" } else { segment });
    }
    if segments.next().is_some() {
        route.push_str("/…");
    } else if route.ends_with(' ') {
        route.push('/');
    }
    route
}

/// Routes of one worker; 2 KiB each.
const ROUTES_MAX: usize = 200;
const OTHER: &str = "(others)";
const SEGMENTS_MAX: usize = 4;
const SEGMENT_BYTES_MAX: usize = 32;
const DIGITS_MAX: usize = 6;

/// Who looks, looks again within this time.
const LOOK: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_is_taken_out() {
        for (path, expected) in [
            ("/", "GET /"),
            ("/users/42", "GET /users/:id"),
            ("/users/42/orders/0b6f5a0e-9a3e-4b0e-8b1e-2f3d4c5b6a79", "GET /users/:id/orders/:id"),
            ("/reset/4f1c9b0e7d2a4c6b8f0e1d3c5b7a9f8e", "GET /reset/:id"),
            ("/api/v2/items", "GET /api/:id/items"),
            ("/a/b/c/d/e", "GET /a/b/c/d/…"),
        ] {
            assert_eq!(pattern("GET", path), expected);
        }
    }

    #[test]
    fn nothing_is_noted_unless_somebody_looks() {
        let (routes, mut all) = (Routes::default(), HashMap::new());
        routes.note(Ticks(1), "GET", "/a", 5);
        routes.look(Ticks(2), &mut all);
        assert!(all.is_empty());
        routes.note(Ticks(3), "GET", "/a", 5);
        routes.look(Ticks(4), &mut all);
        assert_eq!(all.get("GET /a").map(Durations::count), Some(1));
    }

    #[test]
    fn there_are_never_more_routes_than_the_limit() {
        let (routes, mut all) = (Routes::default(), HashMap::new());
        routes.look(Ticks(1), &mut all);
        for number in 0..ROUTES_MAX * 2 {
            let letters: String = number.to_string().bytes().map(|digit| char::from(digit + 49)).collect();
            routes.note(Ticks(2), "GET", &format!("/{letters}"), 5);
        }
        routes.look(Ticks(3), &mut all);
        assert_eq!(all.len(), ROUTES_MAX + 1);
        assert_eq!(all.get(OTHER).map(Durations::count), Some(ROUTES_MAX as u64));
    }
}
