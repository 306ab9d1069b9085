//! Clients and applications that misbehave: a clean refusal, nothing leaked, nobody else hurt.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;

use crate::application::{After, Application};
use crate::house::{House, demo_controls, upstream};

#[track_caller]
fn behind(application: &Application, status: u16, cause: &str) {
    let house = House::before(application.address);
    let answer = house.get("/");
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains("please quote the event"), "{answer}");
    let events = house.close();
    assert!(events[0]["cause"].as_str().unwrap().contains(cause), "{events:?}");
}

#[test]
fn an_application_that_is_down_slow_or_garbled_is_a_clean_refusal() {
    let mut address = Application::answering("").address;
    address.set_port(1);
    let house = House::with(upstream(address), &demo_controls());
    assert!(house.get("/").starts_with("HTTP/1.1 502 "));

    behind(&Application::answering(""), 504, "did not answer in time");
    behind(&Application::answering("SSH-2.0-OpenSSH_9.2\r\n\r\n"), 502, "unreadable");
    let closes = Application::behaving(Arc::new(|_, _| After::Close));
    behind(&closes, 502, "upstream unreachable");
}

#[test]
fn an_answer_longer_than_promised_does_not_reach_the_next_client() {
    let application = Application::answering(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nX-Evil: 1\r\nContent-Length: 4\r\n\r\nevil",
    );
    let house = House::before(application.address);
    for _ in 0..4 {
        let answer = house.get("/");
        assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
        assert!(!answer.contains("evil"), "{answer}");
    }
}

#[test]
fn an_answer_that_breaks_off_is_not_made_to_look_whole() {
    let application = Application::behaving(Arc::new(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this").unwrap();
        After::Close
    }));
    let house = House::before(application.address);
    let answer = house.get("/");
    // The client gets less than the length that the head states, or nothing at all: either way it knows.
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    assert!(answer.is_empty() || (answer.contains("content-length: 100\r\n") && body.len() < 100), "{answer}");
}

#[test]
fn broken_tls_half_requests_and_silence_disturb_nobody() {
    let application = Application::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let house = House::before(application.address);
    let mut strangers = Vec::new();
    for bytes in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x00\xff\x00\xff", b""]
    {
        let mut stream = TcpStream::connect(house.https()).unwrap();
        stream.write_all(bytes).unwrap();
        strangers.push(stream);
    }
    let mut half = house.client();
    half.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf");
    drop(half);
    assert!(house.get("/").starts_with("HTTP/1.1 200 "));
    drop(strangers);
    assert!(house.get("/").starts_with("HTTP/1.1 200 "));
    let events = house.close();
    assert!(events.iter().any(|event| event["activity"] == "tls.handshake"), "{events:?}");
}
