//! Who is really at the other end where proxies stand in between.
//!
//! A proxy tells whom it speaks for: before everything else in a preamble (the PROXY protocol), or in each request's
//! head. Anybody can write such a thing, so it is believed only of proxies that the settings name; of them a preamble
//! is also required where a listener is set to it, because a connection without one has come past the proxy.

mod forwarded;
mod preamble;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;
use reeve_base::{Event, Outcome, Ticks};
use tokio::net::TcpStream;

use crate::connection_cap::Admission;
use crate::gateway::Live;
use crate::refusal::Refusal;
use crate::settings::{ForwardedHeader, ProxySettings};
use crate::worker::Worker;

/// Which proxies are believed, and how they speak.
#[derive(Debug)]
pub(crate) struct Entrance {
    proxies: Vec<IpNet>,
    preamble: Vec<SocketAddr>,
    header: ForwardedHeader,
}

impl Entrance {
    pub(crate) fn new(settings: &ProxySettings) -> Self {
        Self { proxies: settings.trusted.clone(), preamble: settings.preamble.clone(), header: settings.header }
    }

    /// Whether what this address says of others is believed.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        // Most deployments have none, and nobody has many.
        !self.proxies.is_empty() && {
            let address = address.to_canonical();
            self.proxies.iter().any(|network| network.contains(&address))
        }
    }

    /// Whether connections to this listener begin with a preamble.
    pub(crate) fn demands_preamble(&self, listener: SocketAddr) -> bool {
        self.preamble.contains(&listener)
    }

    /// For whom a trusted proxy says that it speaks; `None` if it says nothing.
    ///
    /// # Errors
    /// When what it says is no address: then nobody knows whose request this is.
    pub(crate) fn forwarded(&self, headers: &HeaderMap) -> Result<Option<IpAddr>, Refusal> {
        forwarded::client(headers, self.header, |address| self.trusts(address))
    }
}

/// Finds out who is at the other end of a connection, and holds that address to bans and to the cap. `None`: the
/// connection is to be closed without a word.
pub(crate) async fn client_of(
    worker: &Worker,
    live: &Live,
    stream: &mut TcpStream,
    peer: SocketAddr,
    listener: SocketAddr,
    admission: &mut Admission,
) -> Option<IpAddr> {
    let peer = peer.ip().to_canonical();
    if !live.entrance.demands_preamble(listener) {
        return Some(peer);
    }
    let started = worker.ticks();
    let told = if live.entrance.trusts(peer) {
        let wait = preamble::WAIT_MAX.min(live.rules.guard.head_deadline);
        let read = tokio::time::timeout(wait, preamble::read(stream)).await;
        read.unwrap_or(Err(preamble::PreambleError::Slow))
    } else {
        Err(preamble::PreambleError::Stranger)
    };
    match told {
        // A health check of the proxy's own.
        Ok(None) => Some(peer),
        Ok(Some(client)) => {
            if worker.shared.tools.bans.turns_away(client) {
                return None;
            }
            let each = if live.entrance.trusts(client) { None } else { live.rules.connections_each };
            admission.pass_to(client, each).is_ok().then_some(client)
        }
        Err(error) => {
            record(worker, peer, started, &error.to_string());
            None
        }
    }
}

fn record(worker: &Worker, peer: IpAddr, started: Ticks, cause: &str) {
    let time = worker.shared.tools.clock.now();
    worker.log.record(&Event {
        time,
        id: worker.shared.events.next(time),
        activity: "proxy.preamble",
        actor: Cow::Owned(peer.to_string()),
        action: Cow::Borrowed("connect"),
        object: Cow::Borrowed("listener"),
        outcome: Outcome::Refused { control: "proxies", cause: Cow::Borrowed(cause) },
        status: None,
        duration_us: u64::try_from(worker.ticks().since(started).as_micros()).ok(),
        ja4: None,
        header_order: None,
        findings: None,
    });
}
