//! Clients that hold on to what they do not use lose it, and everybody else is served meanwhile.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use reeve_base::{Clock, Period, Size, SystemClock};
use reeve_policy::catalogue::{Control, EdgeSlowAndFlood};

use crate::application::{After, Application};
use crate::client::Client;
use crate::frames::{END_HEADERS, INITIAL_WINDOW_SIZE, PING, PREFACE, RST_STREAM, frame, get, settings};
use crate::house::{House, upstream, with_control};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// More than the buffers of a loopback connection take, so that an answer that nobody reads stays under way.
const LARGE_BYTES: usize = 64 << 20;

fn impatient(address: std::net::SocketAddr) -> House {
    let slow = EdgeSlowAndFlood {
        header_deadline: Period::seconds(1),
        least_rate: Size::from_bytes(1 << 10),
        grace: Period::seconds(1),
        connections: 64,
    };
    House::with(upstream(address), &with_control(&Control::EdgeSlowAndFlood(slow)))
}

fn large() -> Application {
    Application::behaving(Arc::new(|_, stream| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE_BYTES}\r\n\r\n");
        // The gateway goes away in the middle of it when its client does.
        let _ = stream.write_all(head.as_bytes());
        let piece = vec![b'x'; 1 << 16];
        for _ in 0..LARGE_BYTES / piece.len() {
            if stream.write_all(&piece).is_err() {
                return After::Close;
            }
        }
        After::KeepAlive
    }))
}

/// Of the events of a house, those that tell of this control and cause.
#[track_caller]
fn told(events: &[serde_json::Value], cause: &str) {
    let told = events.iter().any(|event| event["control"] == "edge.slow_and_flood" && event["cause"] == cause);
    assert!(told, "no event says {cause:?}: {events:?}");
}

#[test]
fn a_body_that_trickles_is_cut_off_although_it_never_pauses_for_long() {
    let application = Application::answering(OK);
    let house = impatient(application.address);
    let mut slow = house.client();
    slow.send("POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000\r\n\r\n");
    let answer = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            // Half a second between two bytes is well within the grace, but earns almost nothing.
            for _ in 0..40 {
                if let Some(answer) = slow.read_within(Duration::from_millis(250)) {
                    return answer;
                }
                slow.send("x");
            }
            String::from("never")
        });
        assert!(house.get("/").starts_with("HTTP/1.1 200 "), "others are served");
        reader.join().unwrap()
    });
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    told(&house.close(), "body too slow");
}

#[test]
fn a_body_at_the_least_rate_may_take_longer_than_the_application_may() {
    let application = Application::answering(OK);
    let house = impatient(application.address);
    let mut client = house.client();
    client.send("POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8192\r\n\r\n");
    for _ in 0..8 {
        // The application may take a second, all pieces together take two.
        assert_eq!(client.read_within(Duration::from_millis(250)), None);
        client.send(&"x".repeat(1024));
    }
    let answer = client.read_within(Duration::from_secs(5)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn an_answer_that_nobody_reads_is_cut_off() {
    let application = large();
    let house = impatient(application.address);
    let mut slow = house.client();
    slow.send("GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(house.closes_unread(&mut slow) < LARGE_BYTES);
    told(&house.close(), "answer taken too slowly");
}

#[test]
fn an_http2_stream_whose_window_stays_shut_is_cut_off() {
    let application = large();
    let house = impatient(application.address);
    let mut client = house.h2_client();
    client.send_bytes(&[PREFACE, &settings(&[(INITIAL_WINDOW_SIZE, 10)]), &get(1, "/large")].concat());
    client.read_all();
    told(&house.close(), "answer taken too slowly");
}

#[test]
fn an_http2_head_that_trickles_is_cut_off() {
    let application = Application::answering(OK);
    let house = impatient(application.address);
    let mut client = house.h2_client();
    // A field block that begins and does not end.
    let mut head = get(1, "/half");
    head[4] &= !END_HEADERS;
    client.send_bytes(&[PREFACE, &settings(&[]), &head].concat());
    client.read_all();
    assert!(house.get("/").starts_with("HTTP/1.1 200 "));
    told(&house.close(), "head not complete in time");
}

#[test]
fn requests_that_are_cancelled_at_once_end_the_connection_and_each_is_recorded() {
    let application = Application::behaving(Arc::new(|_, _| After::KeepAlive));
    let house = impatient(application.address);
    let mut client = house.h2_client();
    client.send_bytes(&[PREFACE, &settings(&[])].concat());
    // The first hundred one by one, so that they have begun before they are cancelled.
    for stream in (1..).step_by(2).take(2_000) {
        let reset = frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
        if client.try_send(&[get(stream, "/cancelled"), reset].concat()).is_err() {
            break;
        }
    }
    client.read_all();
    let events = house.close();
    let flood = |event: &&serde_json::Value| event["activity"] == "http.connection";
    // Ours or the library's own bound, whichever is met first, ends it; what was begun is told either way.
    let begun = events.iter().filter(|event| event["object"] == "/cancelled").count();
    assert!(begun < 500, "{begun} of 2,000 requests had begun");
    assert!(events.iter().filter(flood).all(|event| event["control"] == "edge.slow_and_flood"), "{events:?}");
    assert!(application.heads().len() <= begun, "nothing arrives unrecorded");
}

#[test]
fn an_http2_client_that_lets_its_requests_go_is_recorded_as_gone() {
    let application = Application::behaving(Arc::new(|_, stream| {
        let _ = stream.read(&mut [0; 1]);
        After::Close
    }));
    let house = impatient(application.address);
    let mut client = house.h2_client();
    client.send_bytes(&[PREFACE, &settings(&[]), &get(1, "/left")].concat());
    while application.heads().is_empty() {
        std::thread::yield_now();
    }
    client.send_bytes(&frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes()));
    house.logs("/left");
    drop(client);
    let events = house.close();
    let left: Vec<_> = events.iter().filter(|event| event["object"] == "/left").collect();
    assert_eq!(left.len(), 1, "{events:?}");
    assert_eq!((&left[0]["part"], &left[0]["cause"]), (&"client".into(), &"gone before the answer".into()));
}

#[test]
fn pings_without_end_end_the_connection() {
    let application = Application::answering(OK);
    let house = impatient(application.address);
    let mut client = house.h2_client();
    client.send_bytes(&[PREFACE, &settings(&[])].concat());
    let pings = frame(PING, 0, 0, &[0; 8]).repeat(100);
    while client.try_send(&pings).is_ok() {}
    told(&house.close(), "a flood of frames that ask for nothing");
}

impl House {
    /// Waits without reading until the gateway has given up, and returns how much was on its way.
    fn closes_unread(&self, client: &mut Client) -> usize {
        // The gateway is served by others meanwhile; their requests take the time that it has to notice.
        let clock = SystemClock::new();
        let started = clock.ticks();
        while clock.ticks().since(started) < Duration::from_secs(3) {
            assert!(self.get("/small").starts_with("HTTP/1.1 "));
        }
        client.read_all()
    }
}
