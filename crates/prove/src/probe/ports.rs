//! net.open_ports: which ports answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reeve_base::Cause;
use reeve_policy::catalogue::NetOpenPorts;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Kept, Notes, Probe, Running, Sends, Turn};
use crate::Target;
use crate::wire::{Site, WireError};

impl Probe for NetOpenPorts {
    fn plan(&self, target: &Target) -> Sends {
        let connections = u32::from(self.scan.last - self.scan.first) + 1;
        let (first, last) = (self.scan.first, self.scan.last);
        let what = format!("a TCP connection to each port from {first} to {last} of {}", target.https.ip());
        Sends { what, requests: 1, connections }
    }

    /// A scan fills the table of connections of small machines.
    fn turn(&self) -> Turn {
        Turn::Alone
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let twin = site.serves(notes).await?;
            let tried = self.scan.first..=self.scan.last;
            let count = tried.len();
            let scan = scan(site, tried).await?;
            let own = site.target().https.port();
            let shown = |ports: &[u16]| ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
            notes.saw(format!("{count} ports tried, open: {}", shown(&scan.open)));
            notes.saw(format!("refused: {}, silent: {}", scan.refused, scan.silent));
            if (self.scan.first..=self.scan.last).contains(&own) && !scan.open.contains(&own) {
                let text = format!(
                    "the port of the site, {own}, does not answer the scan, so the others' silence says nothing"
                );
                return Err(Cause::Unexpected(text));
            }
            for port in scan.open.iter().filter(|port| !self.ports.contains(port)) {
                notes.fault(format!("port {port} is open"));
            }
            if scan.failed > 0 {
                return Err(Cause::Unexpected(format!("{} of {count} ports could not be tried", scan.failed)));
            }
            Ok(Kept::with(twin, format!("of {count} ports only {} answer", shown(&scan.open))))
        })
    }
}

/// What a scan found.
#[derive(Debug, Default)]
struct Scan {
    open: Vec<u16>,
    refused: usize,
    /// Nothing came back: a firewall drops what it does not allow, which is the other way to be closed.
    silent: usize,
    failed: usize,
}

enum Port {
    Open,
    Refused,
    Silent,
    Failed,
}

async fn scan(site: &Site, ports: impl Iterator<Item = u16>) -> Result<Scan, Cause> {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let wait = site.deadline().min(WAIT);
    let mut tries = JoinSet::new();
    let mut scan = Scan::default();
    for port in ports {
        // The room is never closed; if it were, nothing could be said.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { break };
        let site = site.clone();
        tries.spawn(async move {
            let _permit = permit;
            (port, knock(&site, port, wait).await)
        });
        while let Some(done) = tries.try_join_next() {
            scan.count(done);
        }
    }
    while let Some(done) = tries.join_next().await {
        scan.count(done);
    }
    scan.open.sort_unstable();
    Ok(scan)
}

impl Scan {
    fn count(&mut self, done: Result<(u16, Port), tokio::task::JoinError>) {
        match done {
            Ok((port, Port::Open)) => self.open.push(port),
            Ok((_, Port::Refused)) => self.refused += 1,
            Ok((_, Port::Silent)) => self.silent += 1,
            Ok((_, Port::Failed)) | Err(_) => self.failed += 1,
        }
    }
}

async fn knock(site: &Site, port: u16, wait: Duration) -> Port {
    let address = SocketAddr::new(site.target().https.ip(), port);
    match site.connect_within(address, wait).await {
        // A client that connects to its own source port is connected to itself: nobody listens there.
        Ok(stream) if stream.local_addr().ok() == Some(address) => Port::Refused,
        Ok(_) => Port::Open,
        Err(WireError::Refused(_)) => Port::Refused,
        // A firewall that does not drop says by ICMP that there is no way.
        Err(WireError::NoConnection(..) | WireError::NoRoute(..)) => Port::Silent,
        Err(_) => Port::Failed,
    }
}

/// How many connections are tried at once.
const AT_ONCE: usize = 256;

/// How long a port may take to answer: on the slowest of links a round trip is under half of it.
const WAIT: Duration = Duration::from_millis(1_500);
