//! The way to the application, to be looked at and tried.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use super::connect::ConnectError;
use crate::gateway::Shared;
use crate::settings::{UpstreamScheme, UpstreamSettings};

/// How a gateway that runs reaches its application.
#[derive(Clone)]
pub struct Outward {
    /// Weak: whoever looks must not keep a gateway that stops from ending.
    shared: Weak<Shared>,
}

/// Where the application is, and by what it is known.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Outlook {
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

    /// Where the application is; none if the gateway has stopped.
    #[must_use]
    pub fn outlook(&self) -> Option<Outlook> {
        let live = self.shared.upgrade()?.live.load_full();
        let UpstreamSettings { host, port, scheme, pins, client, .. } = &*live.upstream;
        Some(Outlook {
            host: host.clone(),
            port: *port,
            tls: *scheme == UpstreamScheme::Https,
            pins: pins.iter().map(ToString::to_string).collect(),
            shows_certificate: client.is_some(),
            document: live.scrutiny.document().map(|(path, _)| path.to_owned()),
            base: live.scrutiny.document().map(|(_, base)| base.to_owned()),
        })
    }

    /// Shakes hands with a server on this machine as if it were the application, and ends the connection: what a probe
    /// needs to see whom the gateway would believe. Nothing is sent over it.
    ///
    /// # Errors
    /// See [`TrialError`].
    pub async fn attempt(&self, address: SocketAddr) -> Result<(), TrialError> {
        if !address.ip().to_canonical().is_loopback() {
            return Err(TrialError::Elsewhere(address));
        }
        let live = self.shared.upgrade().ok_or(TrialError::Stopped)?.live.load_full();
        let dialer = live.dialer.clone();
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
