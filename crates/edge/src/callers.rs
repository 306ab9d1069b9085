//! Which callers are not answered: from where they come, what they name themselves, and what they show without saying.
//!
//! One stage, behind the strict reading of a request and before its rate is counted. What the policy does not ask for
//! is not there, and costs the test of an `Option`; user agents that the settings list are refused whatever the policy says.

mod agents;
mod claims;
mod routes;

use std::collections::HashSet;
use std::sync::Arc;

use http::header::USER_AGENT;
use http::request::Parts;
use reeve_policy::catalogue::{Controls, Signature};

use crate::fingerprint::is_handshake;
use crate::refusal::Refusal;
use crate::request::{Client, Transport};
use crate::settings::BotSettings;

use agents::Agents;
use claims::Claims;
use routes::Routes;

pub use agents::{AgentListError, SHIPPED_AGENTS, list_date};

/// Why the lists cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallerError {
    /// Too many or too long patterns.
    #[error("the lists of user agents cannot be used: {0}")]
    Patterns(#[from] aho_corasick::BuildError),
    /// The shipped list is damaged.
    #[error(transparent)]
    Shipped(#[from] AgentListError),
}

/// Everything that decides whether a caller is answered.
#[derive(Debug, Default)]
pub(crate) struct Callers {
    routes: Option<Routes>,
    agents: Option<Agents>,
    claims: Option<Claims>,
    listed: HashSet<Box<str>>,
}

impl Callers {
    pub(crate) fn new(settings: &BotSettings, controls: &Controls) -> Result<Self, CallerError> {
        let claims = controls.bot_signature.as_ref();
        let claims = claims.filter(|control| control.signatures.contains(&Signature::Headers));
        let judged = |print: &str| {
            let kind = if is_handshake(print) { Signature::Ja4 } else { Signature::HeaderOrder };
            controls.bot_signature.as_ref().is_some_and(|control| control.signatures.contains(&kind))
        };
        Ok(Self {
            routes: controls.edge_ip_allow.as_ref().map(Routes::new),
            agents: Agents::new(settings, controls.bot_ua.is_some())?,
            claims: claims.map(|_| Claims::new(&settings.allow)).transpose()?,
            listed: settings
                .fingerprints
                .iter()
                .filter(|print| judged(print))
                .map(|print| print.as_str().into())
                .collect(),
        })
    }

    /// Whether a fingerprint is on the settings' list.
    pub(crate) fn lists(&self, fingerprint: &str) -> bool {
        !self.listed.is_empty() && self.listed.contains(fingerprint)
    }

    /// Judges a request by its head.
    pub(crate) fn judge(&self, parts: &Parts, client: &Client, header_order: Option<&str>) -> Result<(), Refusal> {
        if let Some(routes) = &self.routes {
            routes.judge(parts.uri.path(), client.address)?;
        }
        if header_order.is_some_and(|order| self.lists(order)) {
            return Err(Refusal::Signature("the order of its header fields is listed"));
        }
        // The handshake was judged when it came; a reload may have listed it since.
        if client.ja4.as_deref().is_some_and(|ja4| self.lists(ja4)) {
            return Err(Refusal::Signature("its TLS handshake is listed"));
        }
        if self.agents.is_none() && self.claims.is_none() {
            return Ok(());
        }
        let mut agents = parts.headers.get_all(USER_AGENT).iter().map(http::HeaderValue::as_bytes);
        let (agent, another) = (agents.next(), agents.next().is_some());
        if let (Some(list), Some(agent)) = (&self.agents, agent)
            && let Some(pattern) = list.refuses(agent)
        {
            return Err(Refusal::Agent(Arc::clone(pattern)));
        }
        let Some(claims) = &self.claims else { return Ok(()) };
        if another {
            return Err(Refusal::Signature("more than one User-Agent"));
        }
        let direct = client.transport == Transport::Tls && !client.forwarded;
        claims.contradicts(parts, agent, direct).map_or(Ok(()), |cause| Err(Refusal::Signature(cause)))
    }
}

#[cfg(test)]
mod tests;
