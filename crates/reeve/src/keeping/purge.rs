//! What is due to be destroyed, or was, as programs read it.

use reeve_ledger::{DuePurge, PurgePlan, PurgeReport};
use serde_json::{Value, json};

/// What is due.
pub(super) fn plan(plan: &PurgePlan) -> Value {
    let held = plan.held.iter().map(|(of, label)| json!({ "day": of.to_string(), "hold": label }));
    json!({
        "due": plan.due.iter().map(day).collect::<Vec<_>>(),
        "held": held.collect::<Vec<_>>(),
        "doubt": plan.doubt,
    })
}

/// What was destroyed, and what was not.
pub(super) fn report(report: &PurgeReport) -> Value {
    let purged = report.purged.iter().map(|(due, seq)| json!({ "day": day(due), "entry": seq }));
    json!({ "purged": purged.collect::<Vec<_>>(), "plan": plan(&report.plan) })
}

fn day(due: &DuePurge) -> Value {
    json!({ "day": due.of.to_string(), "first": due.entries.map(|ends| ends.0), "last": due.entries.map(|ends| ends.1) })
}
