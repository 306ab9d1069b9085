//! Limits on rates that several nodes count together: the way there, and how it stands.

use std::sync::Arc;

use reeve_base::{Nodes, SharedRates};
use reeve_store::{CommonHealth, CommonRates};
use serde_json::{Value, json};

use super::Keeping;

impl Keeping {
    /// Where a gateway counts rates together with other nodes; none where the settings name no such place.
    pub(crate) fn shared_rates(&self) -> Option<Arc<dyn SharedRates>> {
        self.rates.as_ref().map(CommonRates::seam)
    }

    /// What the limits on rates stand on; nothing while no gateway runs.
    pub(super) fn rates_status(&self) -> Value {
        let Some(session) = self.session() else { return Value::Null };
        json!({
            "session": { "cookie": session.cookie, "bearer": session.bearer },
            "shared": self.rates.as_ref().map(|rates| shown(&rates.health())),
        })
    }
}

fn shown(health: &CommonHealth) -> Value {
    let state = match health.nodes {
        Nodes::Together => "together",
        Nodes::Apart { .. } => "apart",
    };
    json!({ "place": health.place, "state": state, "nodes": health.known, "cause": health.cause })
}
