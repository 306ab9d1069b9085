//! What the demo sends: ordinary visits, and attacks of the kinds that every site sees daily.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reeve_prove::Trust;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;

use crate::screen::{BAD, FAINT, GOOD, STRONG, Screen, paint};

use super::Demo;

/// One request and what it is meant to show.
struct Visit {
    what: &'static str,
    request: String,
}

fn visit(what: &'static str, request: impl Into<String>) -> Visit {
    Visit { what, request: request.into() }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

fn post(path: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

fn ordinary() -> Vec<Visit> {
    vec![
        visit("look at the orders", get("/")),
        visit("place one with the form", post("/orders", "application/x-www-form-urlencoded", "item=Rope&quantity=3")),
        visit("place one over the API", post("/api/orders", "application/json", r#"{"item":"Oilskin","quantity":1}"#)),
        visit("read them over the API", get("/api/orders")),
        visit("ask how to report a weakness", get("/.well-known/security.txt")),
    ]
}

fn hostile() -> Vec<Visit> {
    let smuggled =
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX";
    vec![
        visit("two framings in one request, to smuggle a second", smuggled),
        visit("line ends that two parsers read differently", "GET / HTTP/1.1\nHost: localhost\n\n"),
        visit("another site's name in the target", "GET http://internal/ HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        visit("the file with the passwords", get("/.env")),
        visit("the debugging route", get("/debug/vars")),
        visit("a method that echoes headers", "TRACE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        visit("a target of 10,000 bytes", get(&format!("/{}", "a".repeat(10_000)))),
        visit("a body of 70,000 bytes", post("/orders", "text/plain", &"a".repeat(70_000))),
        visit(
            "SQL in a form",
            post(
                "/orders",
                "application/x-www-form-urlencoded",
                "item=Rope%27%20UNION%20SELECT%20password%20FROM%20users--&quantity=3",
            ),
        ),
        visit(
            "script over the API",
            post(
                "/api/orders",
                "application/json",
                r#"{"item":"<script>alert(document.cookie)</script>","quantity":1}"#,
            ),
        ),
        visit("an input that makes the application fail", get("/boom")),
    ]
}

/// Sends everything and shows what became of it.
pub(super) async fn send(demo: &Demo, screen: &Screen) {
    let wire = Wire::new(demo);
    screen.talk(paint(STRONG, "Ordinary visits"));
    for visit in ordinary() {
        show(demo, screen, &visit, &wire.send(VISITOR, &visit.request).await).await;
    }
    screen.talk("");
    screen.talk(paint(STRONG, "Attacks"));
    for visit in hostile() {
        show(demo, screen, &visit, &wire.send(ATTACKER, &visit.request).await).await;
    }
    flood(demo, screen, &wire).await;
    screen.talk("");
}

/// Sends until the rate is used up, from an address of its own.
async fn flood(demo: &Demo, screen: &Screen, wire: &Wire) {
    for count in 1..=FLOOD_MAX {
        let answer = wire.send(FLOODER, &get("/")).await;
        if status(&answer) == Some(429) {
            let visit = visit("more requests than one address may send", String::new());
            show(demo, screen, &visit, &answer).await;
            screen.talk(paint(
                FAINT,
                format_args!("       after {} that passed; visitors from elsewhere never noticed", count - 1),
            ));
            return;
        }
    }
}

async fn show(demo: &Demo, screen: &Screen, visit: &Visit, answer: &str) {
    let Some(status) = status(answer) else {
        screen.talk(format_args!("  {}  {}", paint(BAD, "---"), visit.what));
        return;
    };
    let quoted = answer.split_once("<code>").and_then(|(_, rest)| rest.split_once("</code>")).map(|(id, _)| id);
    let Some(id) = quoted else {
        screen.talk(format_args!("  {}  {}", paint(GOOD, status), visit.what));
        return;
    };
    let event = demo.events.find(id).await.unwrap_or_default();
    let text = |key| event.get(key).and_then(serde_json::Value::as_str).unwrap_or("?");
    let by = if text("outcome") == "refused" { text("control") } else { text("part") };
    screen.talk(format_args!("  {}  {}", paint(BAD, status), visit.what));
    screen.talk(paint(FAINT, format_args!("       {by}: {}, event {id}", text("cause"))));
}

fn status(answer: &str) -> Option<u16> {
    answer.split(' ').nth(1)?.parse().ok()
}

/// Sends raw requests over TLS, each over a connection of its own.
struct Wire {
    to: SocketAddr,
    connector: TlsConnector,
}

impl Wire {
    fn new(demo: &Demo) -> Self {
        let mut roots = RootCertStore::empty();
        if let Trust::Authorities(authorities) = &demo.target.trust {
            roots.add_parsable_certificates(authorities.iter().cloned());
        }
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Self { to: demo.https, connector: TlsConnector::from(Arc::new(config)) }
    }

    /// The whole answer, or what came of it.
    async fn send(&self, from: Ipv4Addr, request: &str) -> String {
        let mut answer = Vec::new();
        // What cannot be sent or read shows as a missing status.
        let _ = tokio::time::timeout(PATIENCE, self.exchange(from, request, &mut answer)).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn exchange(&self, from: Ipv4Addr, request: &str, answer: &mut Vec<u8>) -> std::io::Result<()> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(IpAddr::V4(from), 0))?;
        let tcp = socket.connect(self.to).await?;
        let name = ServerName::IpAddress(self.to.ip().into());
        let mut tls = self.connector.connect(name, tcp).await?;
        // A large body may be refused before it is sent to its end; the answer is what counts.
        let _ = tls.write_all(request.as_bytes()).await;
        let _ = tls.flush().await;
        tls.read_to_end(answer).await?;
        Ok(())
    }
}

/// Loopback addresses that stand for clients elsewhere, so that nobody pays for another's rate.
const VISITOR: Ipv4Addr = Ipv4Addr::new(127, 10, 0, 1);
const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 66, 0, 1);
const FLOODER: Ipv4Addr = Ipv4Addr::new(127, 66, 0, 2);

const PATIENCE: Duration = Duration::from_secs(5);
const FLOOD_MAX: u32 = 500;
