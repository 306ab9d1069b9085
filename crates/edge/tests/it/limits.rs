//! Limits hold at their edge and one past it, and cost the others nothing.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use reeve_base::{Clock, Period, Rate, SystemClock};
use reeve_policy::catalogue::{Control, EdgeSlowAndFlood, RateIp, RateUser, RouteRate, UrlPath};

use crate::application::{After, Application};
use crate::client::Client;
use crate::house::{House, upstream, with_control};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[track_caller]
fn status(house: &House, request: &str, expected: u16) {
    let answer = house.exchange(request);
    assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{answer}");
}

fn post(length: usize) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{}",
        "x".repeat(length)
    )
}

#[test]
fn a_body_passes_at_the_limit_and_not_one_byte_past_it() {
    let application = Application::answering(OK);
    let house = House::before(application.address);
    status(&house, &post(64 * 1024), 200);
    status(&house, &post(64 * 1024 + 1), 413);
    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    let chunked = |chunks: usize, more: &str| {
        let head = "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
        format!("{head}{}{more}0\r\n\r\n", chunk.repeat(chunks))
    };
    status(&house, &chunked(2, ""), 200);
    status(&house, &chunked(2, "1\r\nx\r\n"), 413);
}

#[test]
fn a_body_past_the_limit_never_reaches_an_application_that_answers_early() {
    let application = Application::behaving(Arc::new(|_, stream| {
        stream.write_all(OK.as_bytes()).unwrap();
        After::Close
    }));
    let house = House::before(application.address);
    for _ in 0..20 {
        let chunk = format!("10001\r\n{}\r\n0\r\n\r\n", "x".repeat(0x10001));
        status(
            &house,
            &format!("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"),
            413,
        );
    }
    assert_eq!(application.heads(), Vec::<String>::new());
}

#[test]
fn a_target_and_a_head_past_the_limit_are_refused_each_in_its_words() {
    let application = Application::answering(OK);
    let house = House::before(application.address);
    let target = |bytes: usize| {
        format!("GET /{} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "x".repeat(bytes - 1))
    };
    status(&house, &target(4 * 1024), 200);
    status(&house, &target(4 * 1024 + 1), 414);
    status(&house, &target(100_000), 414);
    let padded = |bytes: usize| {
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: {}\r\n\r\n", "y".repeat(bytes))
    };
    status(&house, &padded(15 * 1024), 200);
    status(&house, &padded(17 * 1024), 431);
    let fields = |count: usize| {
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{}\r\n", "X: y\r\n".repeat(count - 2))
    };
    status(&house, &fields(64), 200);
    status(&house, &fields(65), 431);
}

#[test]
fn methods_that_are_not_served_are_named_with_those_that_are() {
    let application = Application::answering(OK);
    let house = House::before(application.address);
    let answer = house.exchange("TRACE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert!(answer.contains("allow: GET, HEAD"), "{answer}");
}

#[test]
fn past_its_rate_an_address_is_told_when_to_come_back() {
    let application = Application::answering(OK);
    let rate = Control::RateIp(RateIp { rate: Rate::per_minute(60), burst: 4, ..RateIp::default() });
    let house = House::with(upstream(application.address), &with_control(&rate));
    let answers: Vec<_> = (0..6).map(|_| house.get("/")).collect();
    assert!(answers[..5].iter().all(|answer| answer.starts_with("HTTP/1.1 200 ")), "{answers:?}");
    assert!(answers[5].starts_with("HTTP/1.1 429 "), "{answers:?}");
    assert!(answers[5].contains("retry-after: 1\r\n"), "{answers:?}");
}

#[test]
fn a_head_that_trickles_is_cut_off_and_the_others_are_served_meanwhile() {
    let application = Application::answering(OK);
    let slow = Control::EdgeSlowAndFlood(EdgeSlowAndFlood {
        header_deadline: Period::seconds(1),
        ..EdgeSlowAndFlood::default()
    });
    let house = House::with(upstream(application.address), &with_control(&slow));
    let mut trickler = house.client();
    trickler.send("GET / HTTP/1.1\r\nHost: loc");
    let clock = SystemClock::new();
    let started = clock.ticks();
    assert!(house.get("/").starts_with("HTTP/1.1 200 "));
    let answer = trickler.read_to_end();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(clock.ticks().since(started) >= Duration::from_millis(500), "not before the deadline");
}

#[test]
fn one_address_holds_no_more_connections_than_it_may() {
    let application = Application::answering(OK);
    let cap = Control::EdgeSlowAndFlood(EdgeSlowAndFlood { connections: 8, ..EdgeSlowAndFlood::default() });
    let house = House::with(upstream(application.address), &with_control(&cap));
    let mut held: Vec<_> = (0..8).map(|_| house.client()).collect();
    for client in &mut held {
        client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        client.read_until("ok");
    }
    assert_eq!(house.exchange("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), "", "closed without a word");
    held[0].send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    held[0].read_until("ok");
}

#[test]
fn a_user_is_limited_from_several_addresses_and_told_how_much_is_left() {
    let application = Application::answering(OK);
    let route = RouteRate { path: UrlPath::from("/login"), rate: Rate::per_minute(1), burst: 1 };
    let user = Control::RateUser(RateUser { rate: Rate::per_minute(60), burst: 3, routes: vec![route] });
    let house = House::with(upstream(application.address), &with_control(&user));
    let authority = house.folder.path().join("ca.pem");
    let ask = |from: [u8; 4], session: &str, path: &str| {
        let mut client = Client::connect_from(from.into(), house.https(), &authority);
        client.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: a=b; session={session}\r\nConnection: close\r\n\r\n"
        ));
        client.read_to_end()
    };
    let answers: Vec<_> = (1..=5).map(|last| ask([127, 0, 0, last], "ada", "/")).collect();
    assert!(answers[..4].iter().all(|answer| answer.starts_with("HTTP/1.1 200 ")), "{answers:?}");
    assert!(answers[0].contains("ratelimit-policy: \"user\";q=4;w=4\r\n"), "{}", answers[0]);
    assert!(answers[0].contains("ratelimit: \"user\";r=3;t=1\r\n"), "{}", answers[0]);
    assert!(answers[4].starts_with("HTTP/1.1 429 "), "{answers:?}");
    assert!(answers[4].contains("ratelimit: \"user\";r=0;t=4\r\n"), "{}", answers[4]);
    assert!(answers[4].contains("retry-after: 1\r\n"), "{}", answers[4]);
    assert!(ask([127, 0, 0, 5], "bob", "/").starts_with("HTTP/1.1 200 "));
    for expected in ["200", "200", "429"] {
        assert!(ask([127, 0, 0, 6], "eve", "/x/../login/").starts_with(&format!("HTTP/1.1 {expected} ")));
    }
    let events = house.close();
    let refused = events.iter().filter(|event| event["control"] == "rate.user").count();
    assert_eq!(refused, 2, "{events:?}");
    assert!(!format!("{events:?}").contains("ada"), "a session stands in no log");
}
