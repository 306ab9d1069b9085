//! The same ledger in a bucket, and buckets that are away or lie.
//!
//! These need a server that speaks S3: its address in `REEVE_TEST_S3`, credentials in the usual variables.
//! `tests/acceptance/61-ledger-bucket.sh` starts one.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use reeve_ledger::{Bucket, Ledger, OpenError, Pace, Place, Reader, Settings, verify};

use crate::house::{Machine, ORIGIN, check_numbered, fill, numbered};

fn server() -> String {
    std::env::var("REEVE_TEST_S3").unwrap_or_else(|_| panic!("REEVE_TEST_S3 is not set"))
}

/// A new bucket of its own for each test, reached through `endpoint`.
fn bucket(name: &str, endpoint: &str) -> Place {
    let server = server();
    let address = server.strip_prefix("http://").unwrap();
    let name = format!("{name}-{}", std::process::id());
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "PUT /{name} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Place::Bucket(Bucket {
        name,
        prefix: "a/prefix".into(),
        endpoint: Some(endpoint.to_owned()),
        region: Some("us-east-1".into()),
        patience: Duration::from_secs(3),
    })
}

fn settings(machine: &Machine, place: &Place, wal: &str) -> Settings {
    let pace = Pace { seal_every: Duration::from_millis(50), ..machine.pace };
    Settings { pace, ..Settings::new(ORIGIN, place.clone(), machine.home.path().join(wal)) }
}

#[test]
#[ignore = "needs a server that speaks S3"]
fn a_bucket_holds_a_ledger_as_a_folder_does() {
    let machine = Machine::new();
    let place = bucket("plain", &server());
    for round in 0..3_u64 {
        let ledger = Ledger::open(settings(&machine, &place, "wal"), machine.tools()).unwrap();
        assert_eq!(ledger.health().durable, round * 301);
        fill(&ledger, 301);
        if round == 1 {
            ledger.close().unwrap();
        }
    }
    let reader = Reader::open(ORIGIN, &place, machine.sealer.clone()).unwrap();
    check_numbered(&reader, 903);
    assert!(verify::run(&reader, None, |_| ()).unwrap().holds());
    reader.proof(700).unwrap().verify(std::slice::from_ref(reader.verifier_key()), &[], 0).unwrap();

    let ledger = Ledger::open(settings(&machine, &place, "wal"), machine.tools()).unwrap();
    for _ in 0..32 {
        machine.clock.pass(Duration::from_secs(24 * 60 * 60));
        ledger.purge().unwrap();
    }
    let report = verify::run(&ledger.reader(), None, |_| ()).unwrap();
    assert!(report.holds(), "{:?}", report.faults);
    assert_eq!(report.purged, 602);
}

#[test]
#[ignore = "needs a server that speaks S3"]
fn a_second_writer_with_another_write_ahead_log_is_refused() {
    let machine = Machine::new();
    let place = bucket("two", &server());
    let ledger = Ledger::open(settings(&machine, &place, "wal"), machine.tools()).unwrap();
    fill(&ledger, 3);
    let refused = Ledger::open(settings(&machine, &place, "other"), machine.tools()).unwrap_err();
    assert!(matches!(refused, OpenError::OtherWriter { .. }), "{refused}");
    ledger.close().unwrap();
    let ledger = Ledger::open(settings(&machine, &place, "other"), machine.tools()).unwrap();
    check_numbered(&ledger.reader(), 3);
}

#[test]
#[ignore = "needs a server that speaks S3"]
fn a_bucket_that_is_away_for_a_while_costs_nothing_and_for_longer_is_told() {
    let machine = Machine::new();
    let proxy = Proxy::start();
    let place = bucket("away", &proxy.endpoint);
    let ledger = Ledger::open(settings(&machine, &place, "wal"), machine.tools()).unwrap();
    fill(&ledger, 10);
    proxy.refusals.store(4, Ordering::SeqCst);
    fill(&ledger, 10);
    assert_eq!(proxy.refusals.load(Ordering::SeqCst), 0, "some requests were answered 503 and tried again");
    proxy.refusals.store(u64::MAX, Ordering::SeqCst);
    for seq in 20..30 {
        assert_eq!(ledger.append(numbered(seq)).unwrap().wait_durable(), Ok(seq));
    }
    wait_until(|| ledger.health().unsealable.is_some());
    let told = ledger.health().unsealable.unwrap();
    assert!(told.contains("s3://away-") && told.contains("503"), "{told}");
    proxy.refusals.store(0, Ordering::SeqCst);
    wait_until(|| ledger.health().sealed == 30);
    check_numbered(&ledger.reader(), 30);
}

#[test]
#[ignore = "needs a server that speaks S3"]
fn a_bucket_that_ignores_conditions_is_refused() {
    let machine = Machine::new();
    let proxy = Proxy::start();
    proxy.unconditional.store(true, Ordering::SeqCst);
    let place = bucket("lax", &proxy.endpoint);
    let refused = Ledger::open(settings(&machine, &place, "wal"), machine.tools()).unwrap_err();
    assert!(matches!(refused, OpenError::Unconditional { condition: "If-None-Match", .. }), "{refused}");
}

#[test]
#[ignore = "needs a server that speaks S3"]
fn a_bucket_that_says_written_and_has_not_is_found_out() {
    let machine = Machine::new();
    let proxy = Proxy::start();
    let place = bucket("liar", &proxy.endpoint);
    let ledger = Ledger::open(settings(&machine, &place, "wal"), machine.tools()).unwrap();
    fill(&ledger, 10);
    let before = ledger.reader().checkpoint().unwrap().head();
    proxy.lies.store(true, Ordering::SeqCst);
    assert_eq!(ledger.append(numbered(10)).unwrap().wait_durable(), Ok(10));
    wait_until(|| ledger.health().unsealable.is_some());
    let told = ledger.health().unsealable.unwrap();
    assert!(told.contains("said that `checkpoint` was written, but other bytes are there"), "{told}");
    assert_eq!(ledger.reader().checkpoint().unwrap().head(), before);
    proxy.lies.store(false, Ordering::SeqCst);
    wait_until(|| ledger.health().sealed == 11);
    check_numbered(&ledger.reader(), 11);
}

#[test]
#[ignore = "needs a server that speaks S3"]
fn a_bucket_of_nobody_is_told() {
    let machine = Machine::new();
    let place = Place::Bucket(Bucket {
        name: "nobody".into(),
        prefix: String::new(),
        endpoint: Some("http://127.0.0.1:1".into()),
        region: None,
        patience: Duration::from_secs(1),
    });
    let refused = Ledger::open(settings(&machine, &place, "wal"), machine.tools()).unwrap_err().to_string();
    assert!(refused.contains("cannot read `conditions` in `s3://nobody`"), "{refused}");
}

/// Stands between a ledger and its bucket.
struct Proxy {
    endpoint: String,
    /// So many requests are answered with 503.
    refusals: Arc<AtomicU64>,
    /// Conditions are taken out of requests.
    unconditional: Arc<AtomicBool>,
    /// A conditional write of the checkpoint is answered and not passed on.
    lies: Arc<AtomicBool>,
}

impl Proxy {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self {
            endpoint: format!("http://{}", listener.local_addr().unwrap()),
            refusals: Arc::default(),
            unconditional: Arc::default(),
            lies: Arc::default(),
        };
        let (refusals, unconditional, lies) =
            (Arc::clone(&proxy.refusals), Arc::clone(&proxy.unconditional), Arc::clone(&proxy.lies));
        // It ends with the process: it holds nothing but sockets.
        thread::spawn(move || {
            for client in listener.incoming() {
                let (refusals, unconditional, lies) = (refusals.clone(), unconditional.clone(), lies.clone());
                thread::spawn(move || pass(client.unwrap(), &refusals, &unconditional, &lies));
            }
        });
        proxy
    }
}

fn pass(mut client: TcpStream, refusals: &AtomicU64, unconditional: &AtomicBool, lies: &AtomicBool) -> Option<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 65_536];
    let head = loop {
        let read = client.read(&mut buffer).ok().filter(|read| *read > 0)?;
        request.extend_from_slice(&buffer[..read]);
        if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = String::from_utf8_lossy(&request[..head]).into_owned();
    let value = |name: &str| {
        let line = text.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}:")));
        line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()))
    };
    let length: usize = value("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while request.len() < head + length {
        let read = client.read(&mut buffer).ok().filter(|read| *read > 0)?;
        request.extend_from_slice(&buffer[..read]);
    }
    let left = refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    if left.is_ok() {
        return answer(&mut client, "503 Service Unavailable", "");
    }
    let conditional = value("if-match").is_some() || value("if-none-match").is_some();
    if lies.load(Ordering::SeqCst) && conditional && text.contains("/checkpoint ") {
        return answer(&mut client, "200 OK", "etag: \"0123\"\r\n");
    }
    let dropped = |line: &str| {
        let line = line.to_lowercase();
        let condition = line.starts_with("if-match:") || line.starts_with("if-none-match:");
        line.starts_with("connection:") || condition && unconditional.load(Ordering::SeqCst)
    };
    let lines: Vec<&str> = text.trim_end().split("\r\n").filter(|line| !dropped(line)).collect();
    let server = server();
    let mut upstream = TcpStream::connect(server.strip_prefix("http://").unwrap()).ok()?;
    write!(upstream, "{}\r\nconnection: close\r\n\r\n", lines.join("\r\n")).ok()?;
    upstream.write_all(&request[head..]).ok()?;
    std::io::copy(&mut upstream, &mut client).ok()?;
    Some(())
}

fn answer(client: &mut TcpStream, status: &str, fields: &str) -> Option<()> {
    write!(client, "HTTP/1.1 {status}\r\n{fields}content-length: 0\r\nconnection: close\r\n\r\n").ok()
}

fn wait_until(mut done: impl FnMut() -> bool) {
    for _ in 0..20_000 {
        if done() {
            return;
        }
        thread::park_timeout(Duration::from_millis(1));
    }
    panic!("it never came true");
}
