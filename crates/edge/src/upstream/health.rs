//! Looks after the servers: puts a question to each that is to be checked, and says when one goes or comes back.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::header::{HOST, USER_AGENT};
use http::{HeaderValue, Request, StatusCode};
use reeve_base::{Event, Outcome};
use tokio::task::JoinSet;

use super::condition::{Condition, ServerState};
use super::group::{Server, Upstream};
use super::{Dialer, Pool};
use crate::body::RequestBody;
use crate::settings::{HealthCheck, UpstreamSettings};
use crate::worker::Worker;

/// Checks for as long as it is polled. One worker does it for all; for the others this ends at once.
pub(crate) async fn attend(worker: Rc<Worker>) {
    if worker.shared.checks_taken.swap(true, Ordering::AcqRel) {
        return;
    }
    let mut checks = JoinSet::new();
    let mut told = HashMap::new();
    let mut tick = tokio::time::interval(TICK);
    loop {
        tick.tick().await;
        while checks.try_join_next().is_some() {}
        let live = worker.shared.live.load_full();
        for upstream in &live.upstreams.all {
            for server in &upstream.servers {
                begin(upstream, server, &worker, &mut checks);
            }
        }
        let states = live.upstreams.all.iter().filter(|upstream| !upstream.is_plain).flat_map(states);
        told = tell(states.collect(), &told, &worker);
    }
}

fn begin(upstream: &Upstream, server: &Server, worker: &Worker, checks: &mut JoinSet<()>) {
    let Some(rule) = &upstream.settings.health else { return };
    if server.condition.begin_check(rule.every, worker.ticks()) {
        let (condition, rule) = (Arc::clone(&server.condition), rule.clone());
        checks.spawn_local(check(condition, upstream.settings.clone(), server.dialer.clone(), rule));
    }
}

async fn check(condition: Arc<Condition>, settings: UpstreamSettings, dialer: Dialer, rule: HealthCheck) {
    // A pool of its own that keeps nothing: a check that went over an old connection would not see a closed port.
    let settings = UpstreamSettings { idle_connections_max: 0, answer: rule.timeout, ..settings };
    let good = match question(&rule, &dialer) {
        Some(question) => {
            let pool = Pool::new(&settings, dialer);
            let answer = tokio::time::timeout(rule.timeout, pool.send(question)).await;
            matches!(answer, Ok(Ok(answer)) if is_good(answer.response.status()))
        }
        None => false,
    };
    condition.end_check(good, &rule);
}

fn is_good(status: StatusCode) -> bool {
    status.is_success() || status.is_redirection()
}

fn question(rule: &HealthCheck, dialer: &Dialer) -> Option<Request<RequestBody>> {
    let host = rule.host.clone().unwrap_or_else(|| dialer.to());
    let request = Request::get(rule.path.as_str()).header(HOST, HeaderValue::from_str(&host).ok()?);
    request.header(USER_AGENT, "reeve-health").body(RequestBody::empty()).ok()
}

type Key = (String, String);

fn states(upstream: &Upstream) -> impl Iterator<Item = (Key, ServerState)> {
    let name = &upstream.settings.name;
    upstream.servers.iter().map(move |server| ((name.clone(), server.dialer.to()), server.condition.state()))
}

/// Records each server that is no longer as it was. One that is new is expected to be up.
fn tell(
    states: Vec<(Key, ServerState)>,
    told: &HashMap<Key, ServerState>,
    worker: &Worker,
) -> HashMap<Key, ServerState> {
    for (key, state) in &states {
        if told.get(key).copied().unwrap_or(ServerState::Up) != *state {
            record(key, *state, worker);
        }
    }
    states.into_iter().collect()
}

fn record((upstream, server): &Key, state: ServerState, worker: &Worker) {
    let failed = |cause: &'static str| Outcome::Failed { part: "upstream", cause: Cow::Borrowed(cause) };
    let (action, outcome) = match state {
        ServerState::Up => ("up", Outcome::Allowed),
        ServerState::Sick => ("down", failed("its checks fail")),
        ServerState::Shut => ("down", failed("it failed too often")),
    };
    if state == ServerState::Up {
        tracing::info!(upstream, server, "the server takes requests again");
    } else {
        tracing::warn!(upstream, server, ?state, "the server gets no requests");
    }
    let time = worker.shared.tools.clock.now();
    worker.log.record(&Event {
        time,
        id: worker.shared.events.next(time),
        activity: "upstream.server",
        actor: Cow::Borrowed("reeve"),
        action: Cow::Borrowed(action),
        object: Cow::Owned(format!("{upstream} {server}")),
        outcome,
        status: None,
        duration_us: None,
        ja4: None,
        header_order: None,
        findings: None,
    });
}

/// How often it is looked what is due.
const TICK: Duration = Duration::from_millis(100);
