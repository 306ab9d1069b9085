//! What a run would send, for `--dry-run`: nothing is connected to.

use reeve_base::{ClauseId, ControlName};
use reeve_policy::Policy;

use crate::probe::{self, Way};
use crate::runner::{day, schedule};
use crate::{Options, Target};

/// What one probe would send.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PlannedStep {
    /// The control that is judged.
    pub control: ControlName,
    /// The clauses that share this run.
    pub clauses: Vec<ClauseId>,
    /// What is sent, in a sentence.
    pub sends: String,
    /// About how many requests and handshakes; of those that look until they find an end, the usual number.
    pub requests: u32,
    /// About how many plain connections beside them, as a port scan makes.
    pub connections: u32,
}

/// Lists what [`crate::judge`] would do today, in its order. Clauses that nothing is sent for are not listed.
#[must_use]
pub fn plan(policy: &Policy, target: &Target, options: &Options) -> Vec<PlannedStep> {
    let runs = schedule(policy, day(options.clock.now()));
    let steps = runs.into_iter().filter_map(|run| {
        let Way::Probe(probe) = probe::way(&run.control) else { return None };
        let sends = probe.plan(target);
        Some(PlannedStep {
            control: run.control.name(),
            sends: sends.what,
            requests: sends.requests.min(options.requests_max),
            connections: sends.connections,
            clauses: run.clauses,
        })
    });
    steps.collect()
}
