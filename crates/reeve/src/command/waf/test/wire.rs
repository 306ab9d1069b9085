//! Tests over TCP: each request goes byte for byte over a connection of its own to a gateway that runs, and what its rules
//! said is read from its events.
//!
//! A request may be anything, so nothing in it can say whose it is. Each comes from an address of its own on loopback
//! (127.0.0.0/8) instead, and events name addresses.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use reeve_waf::trial::{Carrier, Heard, answer_is_whole};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};
use url::Url;

use super::events::{Events, Said};
use crate::failure::Advise;

/// A gateway that runs, and where it writes events.
#[derive(Debug)]
pub(super) struct Gateway {
    at: SocketAddr,
    events: Events,
    /// The number of the next request, which is also the end of its address.
    next: AtomicU32,
}

impl Gateway {
    /// Looks up the address and opens the file of events at its end.
    pub(super) fn new(url: &Url, events: &Path) -> anyhow::Result<Self> {
        if url.scheme() != "http" {
            let hint = "name a listener under `http` in `[listen]`; without a clause about TLS it serves";
            return Err(anyhow!("`{url}` is not of the scheme http: tests are sent in plaintext")).hint(hint);
        }
        let addresses = url.socket_addrs(|| None).with_context(|| format!("`{url}` has no address"))?;
        let Some(at) = addresses.into_iter().find(|at| at.is_ipv4() && at.ip().is_loopback()) else {
            let hint = "run the gateway on this machine, listening on 127.0.0.1";
            return Err(anyhow!("`{url}` is not on loopback: each test comes from an address of its own there"))
                .hint(hint);
        };
        Ok(Self { at, events: Events::open(events)?, next: AtomicU32::new(1) })
    }

    /// Whether it answers, and tells what rules say, before anything else is tried.
    pub(super) fn verify(&self) -> anyhow::Result<()> {
        let mut line = self.line()?;
        line.carry(CANARY).map_err(|error| anyhow!("the gateway at {} cannot be tested: {error}", self.at))?;
        Ok(())
    }

    /// One worker's end of it.
    pub(super) fn line(&self) -> anyhow::Result<Line<'_>> {
        let runtime = Builder::new_current_thread().enable_all().build().context("the system gives no runtime")?;
        Ok(Line { gateway: self, runtime })
    }

    /// An address that no other request comes from.
    fn address(&self) -> anyhow::Result<Ipv4Addr> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number > REQUESTS_MAX {
            bail!("more than {REQUESTS_MAX} requests");
        }
        // From 127.1.0.1 on: 127.0.0.1 is the machine itself, of which rule sets know.
        Ok(Ipv4Addr::from(FIRST + number))
    }
}

/// Carries one request after the other.
#[derive(Debug)]
pub(super) struct Line<'g> {
    gateway: &'g Gateway,
    runtime: Runtime,
}

impl Carrier for Line<'_> {
    fn carry(&mut self, request: &[u8]) -> Result<Heard, String> {
        let from = self.gateway.address().map_err(|error| error.to_string())?;
        let gateway = self.gateway;
        self.runtime.block_on(async {
            let answer = timeout(ANSWER_MAX, exchange(gateway.at, from, request)).await;
            let answer = answer.map_err(|_| format!("no whole answer within {} s", ANSWER_MAX.as_secs()))??;
            let said = said(&gateway.events, from).await?;
            Ok(heard(said, answer))
        })
    }
}

/// Sends the bytes and reads the answer, or what there is of one when the connection ends.
async fn exchange(at: SocketAddr, from: Ipv4Addr, request: &[u8]) -> Result<Vec<u8>, String> {
    let mut stream = connect(at, from).await.map_err(|error| format!("cannot connect to {at} from {from}: {error}"))?;
    // A gateway may answer and close before it has read all: what it has said counts.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    while !answer_is_whole(request, &answer) && answer.len() < ANSWER_BYTES_MAX {
        match stream.read_buf(&mut answer).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    Ok(answer)
}

async fn connect(at: SocketAddr, from: Ipv4Addr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((from, 0)))?;
    socket.connect(at).await
}

/// Waits for the event of the request from this address.
async fn said(events: &Events, from: Ipv4Addr) -> Result<Said, String> {
    let look = async {
        loop {
            if let Some(said) = events.take(from)? {
                return Ok(said);
            }
            sleep(EVENTS_LOOK).await;
        }
    };
    timeout(EVENT_MAX, look).await.unwrap_or_else(|_| {
        Err(format!("no event of it within {} s: is this the file of that gateway's events?", EVENT_MAX.as_secs()))
    })
}

fn heard(said: Said, answer: Vec<u8>) -> Heard {
    let mut lines: Vec<_> = said.ids.iter().map(|id| format!("[id \"{id}\"]")).collect();
    lines.extend(said.findings);
    Heard { ids: said.ids, lines, refused: said.refused, answer }
}

const CANARY: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const FIRST: u32 = 0x7f01_0000;
const REQUESTS_MAX: u32 = 8_000_000;
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
const ANSWER_MAX: Duration = Duration::from_secs(15);
/// Events are written within a second or so.
const EVENT_MAX: Duration = Duration::from_secs(10);
const EVENTS_LOOK: Duration = Duration::from_millis(20);
