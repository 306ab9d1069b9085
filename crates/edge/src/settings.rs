//! What this deployment tells the gateway: addresses, certificate, application, sizes. No promise is in it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::certificate::{Certificate, Sites};
use crate::upstream::KeyPin;

/// The settings of a gateway, checked by whoever read them.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens for TLS. Port 0 asks for any free one.
    pub https: Vec<SocketAddr>,
    /// Where it listens for plaintext, which the policy redirects.
    pub http: Vec<SocketAddr>,
    /// The port that a redirect names; `None` for that of the first TLS listener.
    pub public_port: Option<u16>,
    /// What it shows as its identity: to whoever asks for no name, and for the names in it.
    pub certificate: Certificate,
    /// What it shows for other names.
    pub sites: Sites,
    /// The application behind it.
    pub upstream: UpstreamSettings,
    /// What the application says that it takes.
    pub contract: Option<ContractSettings>,
    /// Threads that serve, each with a runtime of its own.
    pub workers: usize,
    /// Connections of all clients together, at most.
    pub connections_max: usize,
    /// How long open requests may go on when the gateway stops.
    pub drain: Duration,
}

/// The application behind the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// How it is spoken to.
    pub scheme: UpstreamScheme,
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Certificate authorities for `https`, in PEM; without it those of the system count.
    pub authorities: Option<PathBuf>,
    /// The keys that it may have, with `https`; none for any that an authority vouches for.
    pub pins: Vec<KeyPin>,
    /// What it is shown, with `https`, if it asks who we are.
    pub client: Option<ClientCertificate>,
    /// How long a connection to it may take.
    pub connect: Duration,
    /// How long it may take from the request to the head of its answer, and between two pieces of its body.
    pub answer: Duration,
    /// How long an unused connection to it is kept.
    pub idle: Duration,
    /// Unused connections kept by each worker.
    pub idle_connections_max: usize,
}

/// An OpenAPI document of the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractSettings {
    /// The file, in YAML or JSON. Read at start and at every reload.
    pub document: PathBuf,
    /// The path under which its operations are; without it that of the document's first server.
    pub base: Option<String>,
}

/// A certificate of the gateway's own, as a client, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The chain, its own first.
    pub chain: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// How the application is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "each scheme needs its own way to connect")]
pub enum UpstreamScheme {
    /// HTTP/1.1 in plaintext.
    Http,
    /// HTTP/2 in plaintext, known beforehand (RFC 9113 section 3.3).
    H2c,
    /// HTTP/1.1 or HTTP/2 over TLS, as the application chooses.
    Https,
}
