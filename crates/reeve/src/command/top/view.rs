//! What happened between two looks; pure.

use std::collections::BTreeMap;

use reeve_base::Timestamp;
use serde::{Deserialize, Serialize};

/// The gateway's answer to `top`: counts since its start.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Told {
    time: Timestamp,
    pid: u32,
    version: String,
    requests: Requests,
    stopped: Vec<(String, u64)>,
    durations: Buckets,
    connections: Connections,
    handshakes: Vec<(String, u64)>,
    bans: Bans,
    ledger: Ledger,
    upstreams: Vec<Upstream>,
    workers: usize,
    cpu_ms: u64,
    memory_bytes: u64,
    routes: Vec<RouteTold>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Requests {
    all: u64,
    refused: u64,
    failed: u64,
}

/// How many ended within how many microseconds.
type Buckets = Vec<(u64, u64)>;

#[derive(Debug, Clone, Copy, Deserialize)]
struct Connections {
    open: usize,
    accepted: u64,
    capped: u64,
}

#[derive(Debug, Clone, Deserialize)]
struct Bans {
    count: u64,
    refused: u64,
    newest: Vec<Ban>,
}

/// Who is banned.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Ban {
    pub(super) network: String,
    pub(super) until: Option<Timestamp>,
    pub(super) reason: String,
}

/// How the ledger is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Ledger {
    pub(super) durable: u64,
    pub(super) sealed: u64,
    pub(super) queued: usize,
    pub(super) failing: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Upstream {
    host: String,
    port: u16,
}

#[derive(Debug, Clone, Deserialize)]
struct RouteTold {
    route: String,
    durations: Buckets,
}

/// What happened in an interval.
#[derive(Debug, Clone, Serialize)]
pub(super) struct View {
    pub(super) pid: u32,
    pub(super) version: String,
    pub(super) seconds: f64,
    pub(super) workers: usize,
    pub(super) requests: u64,
    pub(super) requests_per_second: f64,
    pub(super) refused_per_second: f64,
    pub(super) failed_per_second: f64,
    pub(super) p50_us: Option<u64>,
    pub(super) p99_us: Option<u64>,
    pub(super) connections_open: usize,
    pub(super) connections_per_second: f64,
    pub(super) connections_capped: u64,
    pub(super) handshakes: BTreeMap<String, u64>,
    /// Refusals by control and failures by part, the most first.
    pub(super) stopped: Vec<(String, u64)>,
    pub(super) banned: u64,
    pub(super) ban_refusals: u64,
    pub(super) bans: Vec<Ban>,
    pub(super) ledger: Ledger,
    pub(super) upstreams: Vec<String>,
    /// Of one core.
    pub(super) cpu_percent: f64,
    pub(super) memory_bytes: u64,
    /// The slowest first.
    pub(super) routes: Vec<Route>,
}

/// A route within an interval.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Route {
    pub(super) route: String,
    pub(super) requests: u64,
    pub(super) p50_us: Option<u64>,
    pub(super) p99_us: Option<u64>,
}

impl View {
    /// What happened from one look to the other. If another process has taken over in between, it is everything that
    /// this one has seen.
    pub(super) fn between(before: &Told, now: &Told) -> Self {
        let same = before.pid == now.pid;
        let seconds = now.time.duration_since(before.time).as_secs_f64().max(0.001);
        let since = |now: u64, before: u64| if same { now.saturating_sub(before) } else { now };
        #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
        let rate = |now, before| since(now, before) as f64 / seconds;
        let nothing = Buckets::new();
        let durations = rest(&now.durations, if same { &before.durations } else { &nothing });
        let mut stopped = counted(&now.stopped, if same { &before.stopped } else { &[] });
        stopped.sort_unstable_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        let earlier = |route: &str| {
            let known = before.routes.iter().find(|known| same && known.route == route);
            known.map_or(&nothing, |known| &known.durations)
        };
        let routes = now.routes.iter().map(|told| {
            let durations = rest(&told.durations, earlier(&told.route));
            Route {
                route: told.route.clone(),
                requests: durations.iter().map(|(_, count)| count).sum(),
                p50_us: quantile(&durations, 50),
                p99_us: quantile(&durations, 99),
            }
        });
        let mut routes: Vec<_> = routes.filter(|route| route.requests > 0).collect();
        routes.sort_unstable_by(|one, other| other.p99_us.cmp(&one.p99_us).then_with(|| one.route.cmp(&other.route)));
        Self {
            pid: now.pid,
            version: now.version.clone(),
            seconds,
            workers: now.workers,
            requests: since(now.requests.all, before.requests.all),
            requests_per_second: rate(now.requests.all, before.requests.all),
            refused_per_second: rate(now.requests.refused, before.requests.refused),
            failed_per_second: rate(now.requests.failed, before.requests.failed),
            p50_us: quantile(&durations, 50),
            p99_us: quantile(&durations, 99),
            connections_open: now.connections.open,
            connections_per_second: rate(now.connections.accepted, before.connections.accepted),
            connections_capped: since(now.connections.capped, before.connections.capped),
            handshakes: counted(&now.handshakes, if same { &before.handshakes } else { &[] }).into_iter().collect(),
            stopped,
            banned: now.bans.count,
            ban_refusals: since(now.bans.refused, before.bans.refused),
            bans: now.bans.newest.clone(),
            ledger: now.ledger.clone(),
            upstreams: now.upstreams.iter().map(|upstream| format!("{}:{}", upstream.host, upstream.port)).collect(),
            cpu_percent: rate(now.cpu_ms, before.cpu_ms) / 10.0,
            memory_bytes: now.memory_bytes,
            routes,
        }
    }
}

/// What came since; what did not is left out.
fn counted(now: &[(String, u64)], before: &[(String, u64)]) -> Vec<(String, u64)> {
    let earlier = |name: &str| before.iter().find(|(known, _)| known == name).map_or(0, |(_, count)| *count);
    let all = now.iter().map(|(name, count)| (name.clone(), count.saturating_sub(earlier(name))));
    all.filter(|(_, count)| *count > 0).collect()
}

fn rest(now: &Buckets, before: &Buckets) -> Buckets {
    let before: BTreeMap<u64, u64> = before.iter().copied().collect();
    let all =
        now.iter().map(|(upper, count)| (*upper, count.saturating_sub(before.get(upper).copied().unwrap_or_default())));
    all.filter(|(_, count)| *count > 0).collect()
}

fn quantile(durations: &Buckets, percent: u64) -> Option<u64> {
    let count: u64 = durations.iter().map(|(_, count)| count).sum();
    let wanted = (count * percent).div_ceil(100).max(1);
    let mut seen = 0;
    durations.iter().find_map(|(upper, count)| {
        seen += count;
        (seen >= wanted).then_some(*upper)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(pid: u32, second: u8, requests: u64, durations: Value) -> Told {
        serde_json::from_value(json!({
            "time": format!("2026-11-22T05:00:0{second}Z"), "pid": pid, "version": "1",
            "requests": { "all": requests, "refused": requests / 10, "failed": 0 },
            "stopped": [["rate.ip", requests / 10]], "durations": durations,
            "connections": { "open": 3, "accepted": requests, "capped": 0 },
            "handshakes": [["tls1.3", requests], ["failed", 0]],
            "bans": { "count": 0, "refused": 0, "newest": [] },
            "ledger": { "durable": 5, "sealed": 4, "queued": 0, "failing": null },
            "upstreams": [{ "host": "127.0.0.1", "port": 3000, "tls": false }],
            "workers": 2, "cpu_ms": requests, "memory_bytes": 1_000_000,
            "routes": [{ "route": "GET /", "durations": durations }],
        }))
        .unwrap()
    }

    #[test]
    fn rates_are_of_the_interval() {
        let before = told(1, 0, 1_000, json!([[100, 1_000]]));
        let view = View::between(&before, &told(1, 2, 3_000, json!([[100, 1_000], [900, 1_990], [5_000, 10]])));
        assert_eq!((view.requests, view.requests_per_second, view.refused_per_second), (2_000, 1_000.0, 100.0));
        assert_eq!((view.p50_us, view.p99_us), (Some(900), Some(900)));
        assert_eq!(view.stopped, [(String::from("rate.ip"), 200)]);
        assert_eq!(view.routes.first().map(|route| (route.requests, route.p99_us)), Some((2_000, Some(900))));
        assert_eq!(view.cpu_percent, 100.0);
    }

    #[test]
    fn another_process_has_counts_of_its_own() {
        let before = told(1, 0, 1_000, json!([[100, 1_000]]));
        let view = View::between(&before, &told(2, 1, 10, json!([[200, 10]])));
        assert_eq!((view.requests, view.p50_us), (10, Some(200)));
    }
}
