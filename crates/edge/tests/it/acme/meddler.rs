//! Stands between a keeper and pebble, and does to its answers what a bad day does.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{CertificateParams, KeyPair};
use reeve_base::{Clock, SystemClock};
use reeve_testkit::Pebble;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::visitor::handshake;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mischief {
    /// Nothing.
    None,
    /// New orders are refused for two hours.
    RateLimit,
    /// The leaf stands where its issuer should.
    WrongChain,
    /// The chain is cut after the leaf.
    LeafAlone,
    /// The certificate is another's.
    ForeignCertificate,
    /// A proxy says that it is out of order.
    Garbage,
    /// The directory is no JSON.
    NoJson,
    /// The connection ends without an answer.
    Hangup,
    /// The answer does not end.
    Endless,
    /// The directory knows of renewal information, and every certificate should have been renewed an hour ago.
    Suggest,
}

#[derive(Clone)]
pub(crate) struct Meddler {
    mischief: Arc<Mutex<Mischief>>,
    asked: Arc<AtomicUsize>,
}

type Stream = StreamOwned<ServerConnection, TcpStream>;

impl Meddler {
    pub(crate) fn new(mischief: Mischief) -> Self {
        Self { mischief: Arc::new(Mutex::new(mischief)), asked: Arc::default() }
    }

    pub(crate) fn set(&self, mischief: Mischief) {
        *self.mischief.lock().unwrap() = mischief;
    }

    /// How many requests came.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Listens in the place of a pebble, with its own certificate, and returns the port.
    pub(crate) fn stand_before(&self, pebble: &Pebble) -> u16 {
        let (chain, key) = pebble.certificate();
        let chain = vec![CertificateDer::from_pem_file(chain).unwrap()];
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap())
            .unwrap();
        let (config, address) = (Arc::new(config), pebble.address());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let meddler = self.clone();
        // The thread ends with the test's process: it only waits for connections.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (meddler, config) = (meddler.clone(), Arc::clone(&config));
                std::thread::spawn(move || {
                    let connection = ServerConnection::new(config).unwrap();
                    meddler.serve(StreamOwned::new(connection, stream), address);
                });
            }
        });
        port
    }

    fn serve(&self, mut client: Stream, pebble: std::net::SocketAddr) {
        let Some((head, body)) = read(&mut client) else { return };
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mischief = *self.mischief.lock().unwrap();
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let own = match (mischief, path.as_str()) {
            (Mischief::RateLimit, "/order-plz") => Some(RATE_LIMITED.to_owned()),
            (Mischief::Garbage, "/order-plz") => Some(OUT_OF_ORDER.to_owned()),
            (Mischief::NoJson, "/dir") => Some(String::from("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")),
            (Mischief::Hangup, "/order-plz") => return,
            (Mischief::Suggest, path) if path.starts_with("/suggest/") => Some(suggestion()),
            (Mischief::Endless, "/dir") => {
                let _ = client.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n");
                while client.write_all(&[b' '; 65_536]).is_ok() {}
                return;
            }
            _ => None,
        };
        let answer = own.unwrap_or_else(|| {
            let answer = pass_on(&head, &body, pebble);
            self.twist(mischief, &path, &host(&head), answer)
        });
        let _ = client.write_all(answer.as_bytes()).and_then(|()| client.flush());
        client.conn.send_close_notify();
        let _ = client.flush();
    }

    fn twist(&self, mischief: Mischief, path: &str, host: &str, answer: String) -> String {
        let Some((head, body)) = answer.split_once("\r\n\r\n") else { return answer };
        let body = match mischief {
            Mischief::Suggest if path == "/dir" => {
                body.replacen('{', &format!("{{\"renewalInfo\": \"https://{host}/suggest\","), 1)
            }
            _ if !path.starts_with("/certZ/") => return answer,
            Mischief::WrongChain => format!("{}{}", leaf(body), leaf(body)),
            Mischief::LeafAlone => leaf(body),
            Mischief::ForeignCertificate => {
                let key = KeyPair::generate().unwrap();
                let names = vec![String::from("www.site.test"), String::from("site.test")];
                CertificateParams::new(names).unwrap().self_signed(&key).unwrap().pem()
            }
            _ => return answer,
        };
        let kept = head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("content-length"));
        let head: Vec<_> = kept.collect();
        format!("{}\r\nContent-Length: {}\r\n\r\n{body}", head.join("\r\n"), body.len())
    }
}

fn host(head: &str) -> String {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("host:")).unwrap_or_default();
    line.split_once(':').map_or_else(String::new, |(_, host)| host.trim().to_owned())
}

fn leaf(chain: &str) -> String {
    let (first, _) = chain.split_once("-----END CERTIFICATE-----").unwrap();
    format!("{first}-----END CERTIFICATE-----\n")
}

fn suggestion() -> String {
    let ago = |minutes| SystemClock::new().now() - jiff::SignedDuration::from_mins(minutes);
    let body = format!(r#"{{"suggestedWindow": {{"start": "{:.0}", "end": "{:.0}"}}}}"#, ago(90), ago(60));
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nRetry-After: 21600\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// A head and a body of stated length.
fn read(stream: &mut impl Read) -> Option<(String, Vec<u8>)> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4_096]);
    loop {
        let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&piece[..count]);
        let Some(end) = memchr::memmem::find(&bytes, b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let stated = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        if bytes.len() >= end + 4 + stated.unwrap_or(0) {
            return Some((head, bytes[end + 4..].to_vec()));
        }
    }
}

fn pass_on(head: &str, body: &[u8], pebble: std::net::SocketAddr) -> String {
    let (mut stream, _) = handshake(pebble, Some("localhost"), &[b"http/1.1"]).unwrap();
    // HTTP/1.0 knows no chunks, which would stand in the way of whoever changes the body.
    let head = head.replacen(" HTTP/1.1", " HTTP/1.0", 1);
    stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

const RATE_LIMITED: &str = "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/problem+json\r\nRetry-After: 7200\r\n\
    Content-Length: 82\r\n\r\n{\"type\":\"urn:ietf:params:acme:error:rateLimited\",\"detail\":\"too many orders today\"}";

const OUT_OF_ORDER: &str =
    "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\n<h1>502</h1>";
