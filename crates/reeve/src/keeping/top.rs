//! What `reeve top` is told: the gateway's counts since its start. Whoever asks twice knows what happened in between.

use anyhow::Context;
use reeve_edge::Durations;
use serde_json::{Value, json};

use super::Keeping;
use crate::deployment::Reply;

impl Keeping {
    /// Answers `top`. Routes are told of the requests since somebody asked first; nobody has asked for ten seconds, and
    /// they are forgotten.
    pub(super) fn top(&self) -> anyhow::Result<Reply> {
        let totals = self.totals().context("no gateway runs here")?;
        let vitals = self.vitals();
        let sum = |outcome| totals.count(outcome);
        let handshakes: Vec<_> = reeve_edge::HANDSHAKES.iter().zip(totals.handshakes).collect();
        let mut bans = self.bans.list();
        bans.sort_unstable_by_key(|ban| std::cmp::Reverse(ban.since));
        bans.truncate(BANS_TOLD);
        let routes: Vec<_> = self.routes().iter().map(|(route, durations)| told(route, durations)).collect();
        let data = json!({
            "time": self.clock.now(),
            "pid": std::process::id(),
            "version": env!("CARGO_PKG_VERSION"),
            "requests": { "all": sum(None), "refused": sum(Some("refused")), "failed": sum(Some("failed")) },
            "stopped": totals.by_control,
            "durations": totals.durations.buckets(),
            "connections": { "open": totals.open, "accepted": totals.accepted, "capped": totals.capped },
            "handshakes": handshakes,
            "bans": { "count": vitals.bans, "refused": vitals.bans_refused, "newest": bans },
            "ledger": {
                "durable": vitals.ledger.durable, "sealed": vitals.ledger.sealed, "queued": vitals.ledger.queued,
                "failing": vitals.ledger.failing,
            },
            "upstreams": self.outlook(),
            "workers": totals.workers,
            "cpu_ms": u64::try_from(vitals.cpu.as_millis()).unwrap_or(u64::MAX),
            "memory_bytes": vitals.memory_bytes,
            "routes": routes,
        });
        Ok(Reply::done(format!("{} requests since the start", sum(None)), data))
    }
}

fn told(route: &str, durations: &Durations) -> Value {
    json!({ "route": route, "durations": durations.buckets() })
}

/// Bans of one answer.
const BANS_TOLD: usize = 10;
