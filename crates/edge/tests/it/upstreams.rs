//! Several servers behind one name, and several names behind one gateway.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use reeve_edge::{CircuitRule, HealthCheck, RouteSettings, Routing, ServerState, UpstreamSettings};

use crate::application::{After, Application};
use crate::house::{House, demo_controls, server, upstream};

/// Answers every request with its name.
fn named(name: &'static str) -> Application {
    Application::behaving(Arc::new(move |_, stream| {
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
        After::KeepAlive
    }))
}

fn several(addresses: &[SocketAddr]) -> UpstreamSettings {
    UpstreamSettings { servers: addresses.iter().map(|address| server(*address)).collect(), ..upstream(addresses[0]) }
}

fn circuit(failures: u32) -> CircuitRule {
    CircuitRule { failures, window: Duration::from_secs(10), open: Duration::from_millis(300), errors_percent: None }
}

fn health() -> HealthCheck {
    HealthCheck {
        path: String::from("/healthz"),
        host: None,
        every: Duration::from_millis(100),
        timeout: Duration::from_millis(500),
        healthy: 2,
        unhealthy: 2,
    }
}

/// A port on which nobody listens.
fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// For an application that takes its time, and for looking again.
#[expect(clippy::disallowed_methods, reason = "what is waited for is in another thread, which tells nobody")]
fn pause(length: Duration) {
    std::thread::sleep(length);
}

/// Waits until it is so, for ten seconds at most.
#[track_caller]
fn until(what: &str, so: impl Fn() -> bool) {
    for _ in 0..500 {
        if so() {
            return;
        }
        pause(Duration::from_millis(20));
    }
    panic!("it took too long until {what}");
}

fn states(house: &House) -> Vec<ServerState> {
    house.gateway().outward().outlook().iter().map(|server| server.state).collect()
}

fn post(house: &House) -> String {
    house.exchange("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
}

#[test]
fn requests_are_shared_out_and_an_address_that_refuses_costs_nobody_a_request() {
    let (one, other) = (named("one"), named("other"));
    let addresses = [one.address, closed(), other.address];
    let house = House::with(several(&addresses), &demo_controls());
    for turn in 0..40 {
        let answer = if turn % 2 == 0 { house.get("/") } else { post(&house) };
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    let (first, second) = (one.heads().len(), other.heads().len());
    assert_eq!(first + second, 40);
    assert!(first >= 10 && second >= 10, "{first} and {second}");
}

#[test]
fn the_server_with_less_to_do_gets_the_next_request() {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let slow = Application::behaving(Arc::new(move |_, stream| {
        let _ = released.lock().unwrap().recv();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow").unwrap();
        After::KeepAlive
    }));
    let fast = named("fast");
    let patient = UpstreamSettings { answer: Duration::from_secs(60), ..several(&[slow.address, fast.address]) };
    let house = House::with(patient, &demo_controls());
    std::thread::scope(|scope| {
        // Of two that have nothing to do either may be chosen.
        let asks = scope.spawn(|| while !house.get("/").ends_with("slow") {});
        until("one is under way", || slow.heads().len() == 1);
        for _ in 0..8 {
            assert!(house.get("/").ends_with("fast"));
        }
        release.send(()).unwrap();
        asks.join().unwrap();
    });
    assert_eq!(slow.heads().len(), 1);
}

#[test]
fn what_may_be_repeated_goes_to_another_server_and_nothing_else_is_sent_twice() {
    let torn = Application::behaving(Arc::new(|_, _| After::Close));
    let good = named("good");
    let house = House::with(several(&[torn.address, good.address]), &demo_controls());
    for _ in 0..10 {
        assert!(house.get("/").ends_with("good"));
    }
    let (before, mut failed) = (torn.heads().len() + good.heads().len(), 0);
    for _ in 0..10 {
        failed += usize::from(post(&house).starts_with("HTTP/1.1 502 "));
    }
    assert!(failed > 0, "some went to the one that tears");
    assert_eq!(torn.heads().len() + good.heads().len(), before + 10);
}

#[test]
fn an_answer_that_does_not_come_is_not_asked_for_again_and_the_event_names_server_and_time() {
    let (silent, good) = (Application::answering(""), named("good"));
    let house = House::with(several(&[silent.address, good.address]), &demo_controls());
    let answers: Vec<_> = (0..2).map(|_| house.get("/")).collect();
    assert!(answers.iter().any(|answer| answer.starts_with("HTTP/1.1 504 ")), "{answers:?}");
    assert_eq!(silent.heads().len() + good.heads().len(), 2);
    let events = house.close();
    let named = format!("{}: no answer within 1s (`answer`)", silent.address);
    assert!(
        events.iter().any(|event| event["cause"].as_str().is_some_and(|cause| cause.contains(&named))),
        "{events:?}"
    );
}

#[test]
fn retries_end_at_their_limit_and_with_the_last_cause() {
    let settings = several(&[closed(), closed(), closed()]);
    let house = House::with(UpstreamSettings { retries: 1, ..settings }, &demo_controls());
    assert!(house.get("/").starts_with("HTTP/1.1 502 "));
    let events = house.close();
    assert!(events[0]["cause"].as_str().unwrap().contains("cannot connect to 127.0.0.1:"), "{events:?}");
}

#[test]
fn a_server_that_fails_is_left_alone_and_tried_again_by_one_request() {
    let address = closed();
    let settings = UpstreamSettings { circuit: Some(circuit(3)), ..several(&[address]) };
    let house = House::with(settings, &demo_controls());
    for _ in 0..3 {
        assert!(house.get("/").starts_with("HTTP/1.1 502 "));
    }
    let answer = house.get("/");
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 1\r\n"), "{answer}");
    assert_eq!(states(&house), [ServerState::Shut]);
    // It comes back where it was.
    let listener = TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nback");
        }
    });
    until("it is tried again", || house.get("/").ends_with("back"));
    assert_eq!(states(&house), [ServerState::Up]);
    let events = house.close();
    let causes: Vec<_> = events.iter().filter_map(|event| event["cause"].as_str()).collect();
    assert!(
        causes.iter().any(|cause| cause.starts_with("no server of upstream `default` takes requests")),
        "{causes:?}"
    );
    let told = |event: &&serde_json::Value| event["activity"] == "upstream.server" && event["action"] == "down";
    assert_eq!(events.iter().filter(told).count(), 1, "{events:?}");
}

#[test]
fn a_server_whose_checks_fail_gets_nothing_until_they_succeed_again() {
    let well = Arc::new(AtomicBool::new(true));
    let asked = Arc::new(AtomicUsize::new(0));
    let (says, counted) = (Arc::clone(&well), Arc::clone(&asked));
    let checked = Application::behaving(Arc::new(move |head, stream| {
        let status = if head.starts_with("GET /healthz ") {
            if says.load(Ordering::Relaxed) { "200 OK" } else { "503 Unavailable" }
        } else {
            counted.fetch_add(1, Ordering::Relaxed);
            "200 OK"
        };
        let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        After::KeepAlive
    }));
    let other = named("other");
    let settings = UpstreamSettings { health: Some(health()), ..several(&[checked.address, other.address]) };
    let house = House::with(settings, &demo_controls());
    until("both are asked", || {
        house.get("/");
        asked.load(Ordering::Relaxed) > 0
    });
    well.store(false, Ordering::Relaxed);
    until("it is taken out", || states(&house) == [ServerState::Sick, ServerState::Up]);
    let before = asked.load(Ordering::Relaxed);
    for _ in 0..20 {
        assert!(house.get("/").ends_with("other"));
    }
    assert_eq!(asked.load(Ordering::Relaxed), before);
    well.store(true, Ordering::Relaxed);
    until("it is brought back", || states(&house) == [ServerState::Up, ServerState::Up]);
}

#[test]
fn when_all_are_sick_visitors_are_told_when_to_come_back() {
    let sick = Application::answering("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
    let settings = UpstreamSettings { health: Some(health()), ..several(&[sick.address]) };
    let house = House::with(settings, &demo_controls());
    until("it is taken out", || states(&house) == [ServerState::Sick]);
    let answer = house.get("/");
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 1\r\n"), "{answer}");
}

#[test]
fn a_reload_exchanges_servers_and_drops_no_request() {
    let slow = Application::behaving(Arc::new(|_, stream| {
        pause(Duration::from_millis(500));
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold").unwrap();
        After::KeepAlive
    }));
    let new = named("new");
    let house = House::with(several(&[slow.address]), &demo_controls());
    std::thread::scope(|scope| {
        let under_way = scope.spawn(|| house.get("/"));
        until("it is under way", || slow.heads().len() == 1);
        let mut settings = house.settings.clone();
        settings.upstream = several(&[new.address]);
        house.gateway().reload(&settings, &demo_controls()).unwrap();
        assert!(house.get("/").ends_with("new"));
        assert!(under_way.join().unwrap().ends_with("old"));
    });
    assert_eq!(slow.heads().len(), 1);
}

#[test]
fn what_is_known_of_a_server_outlives_a_reload() {
    let settings = UpstreamSettings { circuit: Some(circuit(1)), ..several(&[closed()]) };
    let house = House::with(settings, &demo_controls());
    house.get("/");
    assert_eq!(states(&house), [ServerState::Shut]);
    let mut settings = house.settings.clone();
    let other = named("other");
    settings.upstream.circuit = Some(circuit(1));
    settings.upstream.servers.push(server(other.address));
    house.gateway().reload(&settings, &demo_controls()).unwrap();
    assert_eq!(states(&house), [ServerState::Shut, ServerState::Up]);
    settings.upstream.circuit = None;
    house.gateway().reload(&settings, &demo_controls()).unwrap();
    assert_eq!(states(&house), [ServerState::Up, ServerState::Up]);
}

#[test]
fn routes_lead_to_their_upstreams_and_doubtful_paths_to_none() {
    let (site, api) = (named("site"), named("api"));
    let house = House::with(upstream(site.address), &demo_controls());
    let mut settings = house.settings.clone();
    settings.routing = Routing {
        upstreams: vec![UpstreamSettings { name: String::from("api"), ..upstream(api.address) }],
        routes: vec![RouteSettings { host: None, path: String::from("/api/"), upstream: String::from("api") }],
    };
    house.gateway().reload(&settings, &demo_controls()).unwrap();
    assert!(house.get("/").ends_with("site"));
    assert!(house.get("/apix").ends_with("site"));
    assert!(house.get("/api/users?a=b").ends_with("api"));
    for path in ["/api/..%2fx", "/x/..;/api/", "/x/%2e%2e/api/y", "//api/"] {
        let answer = house.get(path);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
    }
    assert_eq!((site.heads().len(), api.heads().len()), (2, 1));
    settings.routing.routes[0].upstream = String::from("nowhere");
    assert!(house.gateway().reload(&settings, &demo_controls()).is_err());
}

#[test]
fn a_promise_of_pins_holds_for_every_upstream() {
    let site = named("site");
    let promise = reeve_policy::catalogue::Control::TlsPin(reeve_policy::catalogue::TlsPin::default());
    let controls = crate::house::with_control(&promise);
    let house = House::with(upstream(site.address), &controls);
    let mut settings = house.settings.clone();
    let secured = UpstreamSettings {
        name: String::from("api"),
        scheme: reeve_edge::UpstreamScheme::Https,
        ..upstream(site.address)
    };
    settings.routing.upstreams.push(secured);
    let error = house.gateway().reload(&settings, &controls).unwrap_err().to_string();
    assert!(error.contains("the settings of `api` name 0"), "{error}");
    assert!(house.get("/").ends_with("site"), "it goes on as before");
}
