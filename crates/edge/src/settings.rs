//! What this deployment tells the gateway: addresses, certificate, application, sizes. No promise is in it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::certificate::{Certificate, Sites};
use crate::rate::Session;
use crate::upstream::KeyPin;
use crate::waf::WafSettings;

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
    /// The application behind it, for whatever no route sends elsewhere.
    pub upstream: UpstreamSettings,
    /// What identifies a signed-in user, for the limit on their rate.
    pub session: Session,
    /// Other applications behind it, and what goes to them.
    pub routing: Routing,
    /// The proxies in front of it.
    pub proxies: ProxySettings,
    /// Which programs are refused, and which are not.
    pub bots: BotSettings,
    /// The rules of the firewall, where the policy asks for one.
    pub waf: WafSettings,
    /// A folder of error pages of the deployment's own.
    pub pages: Option<PathBuf>,
    /// Where traces go; nowhere without it, and then they cost nothing.
    pub tracing: Option<TracingSettings>,
    /// Threads that serve, each with a runtime of its own.
    pub workers: usize,
    /// Connections of all clients together, at most.
    pub connections_max: usize,
    /// How long open requests may go on when the gateway stops.
    pub drain: Duration,
}

/// The proxies in front of the gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxySettings {
    /// What these say of others is believed.
    pub trusted: Vec<IpNet>,
    /// The listeners, as they are set, on which connections begin with a preamble (PROXY protocol, version 1 or 2).
    pub preamble: Vec<SocketAddr>,
    /// The field in which they tell for whom they speak.
    pub header: ForwardedHeader,
}

/// The field in which a proxy tells for whom it speaks. One only: what a proxy does not set, its clients may.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "each field is read in its own way")]
pub enum ForwardedHeader {
    /// X-Forwarded-For.
    #[default]
    XForwardedFor,
    /// Forwarded (RFC 7239).
    Forwarded,
}

/// Which programs are refused, and which are not, beside what the policy says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BotSettings {
    /// Patterns of User-Agent that are refused: each matches wherever it stands, in capitals or not.
    pub deny: Vec<String>,
    /// Patterns that are never refused for what they name themselves.
    pub allow: Vec<String>,
    /// Fingerprints that are refused, of handshakes (JA4) and of header orders.
    pub fingerprints: Vec<String>,
}

/// Where traces go, and of which share of requests.
#[derive(Debug, Clone, PartialEq)]
pub struct TracingSettings {
    /// Who takes them.
    pub collector: CollectorAddress,
    /// Certificate authorities for a collector that speaks TLS, in PEM; without it those of the system count.
    pub authorities: Option<PathBuf>,
    /// The share of new traces that is recorded, from 0 for none to 1 for all. A trace that goes on from a trusted proxy
    /// is recorded if the proxy says so.
    pub sample: f64,
    /// What the gateway is called in them (`service.name`).
    pub service: String,
}

/// Where a collector takes OTLP over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorAddress {
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The path above `/v1/traces`; mostly empty.
    pub path: String,
}

/// An application behind the gateway: one server, or several that do the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// What routes and events call it.
    pub name: String,
    /// How it is spoken to.
    pub scheme: UpstreamScheme,
    /// Where its servers are: 1 to [`SERVERS_MAX`].
    pub servers: Vec<ServerAddress>,
    /// What it says that it takes.
    pub contract: Option<ContractSettings>,
    /// Whether a document is learned from the requests to it.
    pub learn: bool,
    /// Certificate authorities for `https`, in PEM; without it those of the system count.
    pub authorities: Option<PathBuf>,
    /// The keys that its servers may have, with `https`; none for any that an authority vouches for.
    pub pins: Vec<KeyPin>,
    /// What it is shown, with `https`, if it asks who we are.
    pub client: Option<ClientCertificate>,
    /// How long a connection to it may take.
    pub connect: Duration,
    /// How long it may take from the last piece of the request that it was given to the head of its answer, and between
    /// two pieces of its body.
    pub answer: Duration,
    /// How long an unused connection to it is kept.
    pub idle: Duration,
    /// Unused connections kept by each worker, for each server.
    pub idle_connections_max: usize,
    /// How often a request that failed may be tried at another server, where that is safe.
    pub retries: u32,
    /// How its servers are looked after; none for not at all.
    pub health: Option<HealthCheck>,
    /// When a server that fails is left alone; none for never.
    pub circuit: Option<CircuitRule>,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerAddress {
    /// Its name or address. A name is looked up for each connection.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// A question that is put to each server of an upstream again and again. One that fails it gets no requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked for with GET. An answer from 200 to 399 is a good one.
    pub path: String,
    /// The name that is asked for; without it the server's own.
    pub host: Option<String>,
    /// The time between two questions.
    pub every: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// So many good answers in a row bring a server back.
    pub healthy: u32,
    /// So many bad ones in a row take it out.
    pub unhealthy: u32,
}

/// When a server that fails is left alone for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircuitRule {
    /// So many failures.
    pub failures: u32,
    /// Within so much time.
    pub window: Duration,
    /// How long it is left alone the first time. Each time that a trial fails it is twice as long, up to
    /// [`CIRCUIT_OPEN_MAX`].
    pub open: Duration,
    /// The share of answers from 500 on within the window, in percent, from which it is left alone as well. None: such
    /// an answer is an answer.
    pub errors_percent: Option<u8>,
}

/// Which requests go to which application.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routing {
    /// The applications beside the first, by name. No name twice.
    pub upstreams: Vec<UpstreamSettings>,
    /// What goes to which. No host and path twice.
    pub routes: Vec<RouteSettings>,
}

/// Requests that go to one application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSettings {
    /// The host that is asked for, in lower case; none for any.
    pub host: Option<String>,
    /// The path with everything below it: absolute, spelled plainly. A slash at its end says nothing.
    pub path: String,
    /// The application's name.
    pub upstream: String,
}

/// Servers of one upstream, at most.
pub const SERVERS_MAX: usize = 64;

/// Upstreams beside the first, and routes, at most.
pub const ROUTES_MAX: usize = 256;

/// A server that keeps failing is tried again after this time at the latest, unless its rule says longer.
pub const CIRCUIT_OPEN_MAX: Duration = Duration::from_secs(60);

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
