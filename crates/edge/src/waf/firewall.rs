//! The rules of a running gateway: what they are, and the way to exchange them without a reload.

use std::sync::{Arc, Weak};

use crate::gateway::Shared;

use super::{RuleFacts, RuleSet};

/// The firewall of a gateway. It does not keep the gateway.
#[derive(Clone)]
pub struct Firewall {
    shared: Weak<Shared>,
}

impl Firewall {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::downgrade(shared) }
    }

    /// What there is to say of the rules that run; none if none do.
    #[must_use]
    pub fn facts(&self) -> Option<RuleFacts> {
        let live = self.shared.upgrade()?.live.load_full();
        live.waf.load().as_ref().map(|waf| waf.facts().clone())
    }

    /// Gives the next requests these rules; those under way end with the old ones. Whether it did: not where the gateway
    /// has stopped, or the policy was reloaded meanwhile and promises something else.
    #[must_use]
    pub fn exchange(&self, set: &Arc<RuleSet>) -> bool {
        let Some(shared) = self.shared.upgrade() else { return false };
        let live = shared.live.load_full();
        let Some(waf) = live.waf.load().as_ref().and_then(|waf| waf.with(set, shared.tools.clock.now())) else {
            return false;
        };
        live.waf.store(Some(waf));
        true
    }
}

impl std::fmt::Debug for Firewall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Firewall").finish_non_exhaustive()
    }
}
