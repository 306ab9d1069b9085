//! How probes reach the target: [`Site`] is one probe's view of it, with a source address of its own where the target is
//! on this machine, and everything it sends is counted against the run's budget.

pub(crate) mod desk;
pub(crate) mod exchange;
pub(crate) mod handshake;
pub(crate) mod hypertext;
pub(crate) mod tls;
pub(crate) mod transcript;

use std::fmt;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use reeve_base::{Cause, Ticks, Timestamp};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::{Options, Target};

/// One probe's way to the target.
#[derive(Clone)]
pub(crate) struct Site {
    run: Arc<Run>,
    /// The address that this probe comes from; none where the system may choose.
    source: Option<Ipv4Addr>,
    /// How many milliseconds this probe may still wait because it was told to come back later. `Relaxed` is enough:
    /// nothing else hangs on it.
    patience_ms: Arc<AtomicU64>,
}

/// What all probes of one run share.
struct Run {
    target: Target,
    options: Options,
    connectors: tls::Connectors,
    /// Requests and handshakes so far. `Relaxed` is enough: only the sum is asked of it.
    spent: AtomicU32,
    /// Whether this machine lets a socket take an address of 127.0.0.0/8 (Linux does, others only after set-up).
    own_sources: bool,
}

/// Why something could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// Nothing listens.
    #[error("{0} refuses connections")]
    Refused(SocketAddr),
    /// Something between drops what is sent.
    #[error("no connection to {0} within {1:?}")]
    NoConnection(SocketAddr, Duration),
    /// Something on the way says that there is no way.
    #[error("no way to {0}: {1}")]
    NoRoute(SocketAddr, String),
    /// No connection, for another cause.
    #[error("cannot connect to {0}: {1}")]
    Connect(SocketAddr, String),
    /// No common TLS, or no TLS at all.
    #[error("the TLS handshake fails: {0}")]
    Handshake(String),
    /// The connection ended before an answer.
    #[error("the connection is closed without an answer")]
    Closed,
    /// The connection broke.
    #[error("the connection breaks: {0}")]
    Connection(String),
    /// Nothing came.
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// The server does not speak HTTP/2.
    #[error("HTTP/2 is not offered")]
    NoHttp2,
    /// What came cannot be read.
    #[error("the answer cannot be read: {0}")]
    Malformed(String),
    /// The target told the probe to come back later, for longer than it waits.
    #[error("the target limits the rate of this probe (429, Retry-After: {0})")]
    RateLimited(String),
    /// The run has sent all it may.
    #[error("the run may send {0} requests and has sent them")]
    OverBudget(u32),
    /// The system gave no randomness.
    #[error("{0}")]
    Chance(String),
}

impl From<WireError> for Cause {
    fn from(error: WireError) -> Self {
        let text = error.to_string();
        match error {
            WireError::Refused(_)
            | WireError::NoConnection(..)
            | WireError::NoRoute(..)
            | WireError::Connect(..)
            | WireError::Handshake(_)
            | WireError::Closed
            | WireError::Connection(_)
            | WireError::Silent(_) => Self::Unreachable(text),
            WireError::RateLimited(_) => Self::Denied(text),
            WireError::OverBudget(_) => Self::OverBudget(text),
            WireError::NoHttp2 | WireError::Malformed(_) | WireError::Chance(_) => Self::Unexpected(text),
        }
    }
}

impl Site {
    /// The view of the run's first probe; others come [from elsewhere](Self::elsewhere).
    pub(crate) async fn new(target: &Target, options: &Options) -> Result<Self, WireError> {
        let connectors = tls::Connectors::new().map_err(|error| WireError::Handshake(error.to_string()))?;
        let own_sources = target.is_loopback() && target.https.is_ipv4() && may_choose_source(target.https).await;
        let run =
            Run { target: target.clone(), options: options.clone(), connectors, spent: AtomicU32::new(0), own_sources };
        let first = Self { run: Arc::new(run), source: None, patience_ms: Arc::default() };
        first.elsewhere()
    }

    /// The same target as another client sees it: from another address where that is possible, with new patience.
    ///
    /// The address is random, so that two runs within a minute do not meet each other's rate limits.
    pub(crate) fn elsewhere(&self) -> Result<Self, WireError> {
        let source = if self.run.own_sources { Some(loopback_source(self.random()?)) } else { None };
        let patience_ms = Arc::new(AtomicU64::new(PATIENCE_MS));
        Ok(Self { run: Arc::clone(&self.run), source, patience_ms })
    }

    /// The same target as a client at this loopback address sees it; `None` where addresses cannot be chosen.
    pub(crate) fn at(&self, address: Ipv4Addr) -> Option<Self> {
        let patience_ms = Arc::new(AtomicU64::new(PATIENCE_MS));
        let own = self.run.own_sources && address.is_loopback();
        own.then(|| Self { run: Arc::clone(&self.run), source: Some(address), patience_ms })
    }

    /// Whether each probe has a source address of its own.
    pub(crate) fn has_own_sources(&self) -> bool {
        self.run.own_sources
    }

    /// The address that this probe comes from, where it has one of its own.
    pub(crate) const fn source(&self) -> Option<Ipv4Addr> {
        self.source
    }

    /// What is judged.
    pub(crate) fn target(&self) -> &Target {
        &self.run.target
    }

    /// The longest wait for one step.
    pub(crate) fn deadline(&self) -> Duration {
        self.run.options.deadline
    }

    /// What the probes call themselves.
    pub(crate) fn user_agent(&self) -> &str {
        &self.run.options.user_agent
    }

    /// The wall clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.run.options.clock.now()
    }

    /// The steady clock.
    pub(crate) fn ticks(&self) -> Ticks {
        self.run.options.clock.ticks()
    }

    /// Fresh random bytes.
    pub(crate) fn random<const N: usize>(&self) -> Result<[u8; N], WireError> {
        let mut bytes = [0; N];
        self.run.options.entropy.fill(&mut bytes).map_err(|error| WireError::Chance(error.to_string()))?;
        Ok(bytes)
    }

    /// A path that no site has: what it answers there is its answer for "no such page".
    pub(crate) fn invented_path(&self) -> Result<String, WireError> {
        let bytes: [u8; 8] = self.random()?;
        let word: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(format!("/reeve-probe-{word}"))
    }

    /// Requests and handshakes of the run so far.
    pub(crate) fn spent(&self) -> u32 {
        self.run.spent.load(Ordering::Relaxed)
    }

    /// How many more the run may send.
    pub(crate) fn remaining(&self) -> u32 {
        self.run.options.requests_max.saturating_sub(self.spent())
    }

    /// Takes one request or handshake out of the budget.
    pub(crate) fn spend(&self) -> Result<(), WireError> {
        let max = self.run.options.requests_max;
        let take = |spent: u32| (spent < max).then_some(spent + 1);
        let taken = self.run.spent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.map(drop).map_err(|_| WireError::OverBudget(max))
    }

    /// Takes `wanted` milliseconds of waiting out of the probe's patience, if so much is left.
    fn wait_ms(&self, wanted: u64) -> bool {
        let take = |left: u64| left.checked_sub(wanted);
        self.patience_ms.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// Opens a connection. It is not counted: who sends something over it is.
    pub(crate) async fn connect(&self, address: SocketAddr) -> Result<TcpStream, WireError> {
        self.connect_within(address, self.deadline()).await
    }

    /// Opens a connection within another time than the usual.
    pub(crate) async fn connect_within(&self, address: SocketAddr, wait: Duration) -> Result<TcpStream, WireError> {
        let source = self.source.filter(|_| is_loopback_v4(address));
        match timeout(wait, open(source, address)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(match error.kind() {
                ErrorKind::ConnectionRefused => WireError::Refused(address),
                ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                    WireError::NoRoute(address, error.to_string())
                }
                _ => WireError::Connect(address, error.to_string()),
            }),
            Err(_) => Err(WireError::NoConnection(address, wait)),
        }
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("target", &self.run.target.url.as_str()).field("source", &self.source).finish()
    }
}

async fn open(source: Option<Ipv4Addr>, address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(source) = source {
        socket.bind(SocketAddr::new(IpAddr::V4(source), 0))?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Tries it once: what the system allows is better asked than guessed from its name.
async fn may_choose_source(address: SocketAddr) -> bool {
    let Ok(socket) = TcpSocket::new_v4() else { return false };
    is_loopback_v4(address) && socket.bind(SocketAddr::new(IpAddr::V4(loopback_source([0, 1, 1])), 0)).is_ok()
}

fn is_loopback_v4(address: SocketAddr) -> bool {
    matches!(address.ip(), IpAddr::V4(ip) if ip.is_loopback())
}

/// An address of 127.100.0.0 to 127.199.255.255: 6.5 million of them, away from those that people configure.
const fn loopback_source(random: [u8; 3]) -> Ipv4Addr {
    let [first, second, third] = random;
    Ipv4Addr::new(127, 100 + first % 100, second, third)
}

/// The longest that one probe waits, all told, because a limit asked it to.
const PATIENCE_MS: u64 = 30_000;
