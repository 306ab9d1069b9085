//! The way to the application, to be looked at and tried.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use super::condition::ServerState;
use super::connect::ConnectError;
use super::group::{Server, Upstream};
use crate::gateway::Shared;
use crate::rate::Session;
use crate::scrutiny::Scrutiny;
use crate::settings::{ServerAddress, UpstreamScheme, UpstreamSettings};
use crate::waf::Exclude;

/// How a gateway that runs reaches its application.
#[derive(Clone)]
pub struct Outward {
    /// Weak: whoever looks must not keep a gateway that stops from ending.
    shared: Weak<Shared>,
}

/// Where one server of an application is, by what it is known, and how it does.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Outlook {
    /// What routes call the application.
    pub name: String,
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it is spoken to over TLS.
    pub tls: bool,
    /// The pins that its key must be one of; none for any key that an authority vouches for.
    pub pins: Vec<String>,
    /// Whether the gateway shows a certificate of its own.
    pub shows_certificate: bool,
    /// Whether it gets requests.
    pub state: ServerState,
    /// Requests under way at it; not counted, and 0, where there is nothing to choose between.
    pub open: u32,
    /// The OpenAPI document that requests are held to.
    pub document: Option<std::path::PathBuf>,
    /// The path under which its operations are.
    pub base: Option<String>,
}

/// Why a trial did not end in a handshake.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrialError {
    /// The gateway has stopped.
    #[error("the gateway has stopped")]
    Stopped,
    /// The address is another machine's.
    #[error("{0} is not on this machine, and nothing else is tried")]
    Elsewhere(SocketAddr),
    /// There is no upstream of this name.
    #[error("there is no upstream `{0}`")]
    Unknown(String),
    /// The application is spoken to in plaintext.
    #[error("the application is not spoken to over TLS")]
    Plaintext,
    /// It was refused, or refused us.
    #[error("{0}")]
    Refused(String),
}

impl Outward {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::downgrade(shared) }
    }

    /// Every server of every application, those of the first one first; none if the gateway has stopped.
    #[must_use]
    pub fn outlook(&self) -> Vec<Outlook> {
        let Some(shared) = self.shared.upgrade() else { return Vec::new() };
        let live = shared.live.load_full();
        let of = |(upstream, scrutiny): (&Upstream, &Arc<Scrutiny>)| {
            let UpstreamSettings { name, scheme, servers, pins, client, .. } = &upstream.settings;
            let pins: Vec<_> = pins.iter().map(ToString::to_string).collect();
            let one = |(address, server): (&ServerAddress, &Server)| Outlook {
                name: name.clone(),
                host: address.host.clone(),
                port: address.port,
                tls: *scheme == UpstreamScheme::Https,
                pins: pins.clone(),
                shows_certificate: client.is_some(),
                state: server.condition.state(),
                open: server.condition.open(),
                document: scrutiny.document().map(|(path, _)| path.to_owned()),
                base: scrutiny.document().map(|(_, base)| base.to_owned()),
            };
            servers.iter().zip(&upstream.servers).map(one).collect::<Vec<_>>()
        };
        live.upstreams.all.iter().zip(&live.scrutiny).flat_map(of).collect()
    }

    /// What the application knows a user by; none if the gateway has stopped.
    #[must_use]
    pub fn session(&self) -> Option<Session> {
        Some(self.shared.upgrade()?.live.load().rates.session.clone())
    }

    /// The parts of the site on which the firewall's rules only find at present.
    #[must_use]
    pub fn only_detects(&self) -> Vec<String> {
        let Some(shared) = self.shared.upgrade() else { return Vec::new() };
        let (live, now) = (shared.live.load(), shared.tools.clock.now());
        live.waf.load().iter().flat_map(|waf| waf.only_detecting(now)).collect()
    }

    /// What is left out of the firewall's rules at present.
    #[must_use]
    pub fn excludes(&self) -> Vec<Exclude> {
        let Some(shared) = self.shared.upgrade() else { return Vec::new() };
        let (live, now) = (shared.live.load(), shared.tools.clock.now());
        live.waf.load().iter().flat_map(|waf| waf.excluding(now)).cloned().collect()
    }

    /// Shakes hands with a server on this machine as if it were the application `name`, or the first one, and ends the
    /// connection: what a probe needs to see whom the gateway would believe. Nothing is sent over it.
    ///
    /// # Errors
    /// See [`TrialError`].
    pub async fn attempt(&self, name: Option<&str>, address: SocketAddr) -> Result<(), TrialError> {
        if !address.ip().to_canonical().is_loopback() {
            return Err(TrialError::Elsewhere(address));
        }
        let live = self.shared.upgrade().ok_or(TrialError::Stopped)?.live.load_full();
        let named = |upstream: &&Upstream| name.is_none_or(|name| upstream.settings.name == name);
        let server = live.upstreams.all.iter().find(named).and_then(|upstream| upstream.servers.first());
        let unknown = || TrialError::Unknown(name.unwrap_or_default().to_owned());
        let dialer = server.ok_or_else(unknown)?.dialer.clone();
        drop(live);
        match dialer.handshake_at(address).await {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(TrialError::Refused(ConnectError::to_string(&error))),
            None => Err(TrialError::Plaintext),
        }
    }
}

impl std::fmt::Debug for Outward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outward").finish_non_exhaustive()
    }
}
