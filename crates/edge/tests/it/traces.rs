//! Traces: what a collector is told of requests, what the application is told of traces, and that neither costs a request.

mod collector;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reeve_base::{Clock, SystemClock};
use reeve_edge::{ContractSettings, ProxySettings, Settings, TracingSettings, parse_network};
use reeve_policy::catalogue::{Control, InputMethods};

use crate::application::{After, Application};
use crate::client::Client;
use crate::house::{House, demo_controls, server, upstream, with_control};
use collector::{Answer, Collector, Told};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const PROXY: [u8; 4] = [127, 100, 9, 1];
const STRANGER: [u8; 4] = [127, 100, 9, 2];
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A gateway whose proxy is `PROXY`, told to trace this share of requests.
fn house(application: &Application, collector: &Collector, sample: f64) -> House {
    let house = House::before(application.address);
    reload(&house, collector.settings(sample));
    house
}

fn reload(house: &House, tracing: TracingSettings) {
    let trusted = vec![parse_network("127.100.9.1").unwrap()];
    let proxies = ProxySettings { trusted, ..ProxySettings::default() };
    let settings = Settings { proxies, tracing: Some(tracing), ..house.settings.clone() };
    house.gateway().reload(&settings, &demo_controls()).unwrap();
}

fn get(house: &House, from: [u8; 4], target: &str, fields: &str) -> String {
    let mut client = Client::connect_from(IpAddr::from(from), house.https(), &house.folder.path().join("ca.pem"));
    client.send(&format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n"));
    client.read_to_end()
}

fn context(trace: &str, flags: &str) -> String {
    format!("traceparent: 00-{trace}-{PARENT}-{flags}\r\n")
}

/// A field of the newest request that the application was sent.
fn arrived(application: &Application, name: &str) -> Option<String> {
    let head = application.heads().pop().unwrap().to_ascii_lowercase();
    head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned))
}

/// The two spans of a request: the gateway's and the one of its way to the application.
fn pair(told: &[Told]) -> (&Told, &Told) {
    let of = |kind| told.iter().find(|span| span.kind == kind).unwrap_or_else(|| panic!("no such span: {told:?}"));
    (of("server"), of("client"))
}

/// Waits until it is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let clock = SystemClock::new();
    let started = clock.ticks();
    while !is_so() {
        assert!(clock.ticks().since(started) < Duration::from_secs(15), "it never comes to be that {what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_request_has_a_span_with_one_below_it_for_the_application() {
    let (application, collector) = (Application::answering(OK), Collector::start());
    let house = house(&application, &collector, 1.0);
    assert!(get(&house, STRANGER, "/orders/17?page=2", "").starts_with("HTTP/1.1 200"));
    let sent = arrived(&application, "traceparent").unwrap();
    let events = house.close();
    let told = collector.told();
    let (server, client) = pair(&told);
    assert_eq!(told.len(), 2);
    assert_eq!((&client.trace, &client.parent), (&server.trace, &server.id));
    assert_eq!((server.parent.as_str(), server.links.len()), ("", 0));
    // The application is to hang its own spans below the way to it.
    assert_eq!(sent, format!("00-{}-{}-03", client.trace, client.id));
    assert!(server.start <= client.start && client.start <= client.end && client.end <= server.end, "{told:?}");
    server.has(&[
        ("http.request.method", "GET"),
        ("url.scheme", "https"),
        ("url.path", "/orders/17"),
        ("url.query", "page"),
        ("http.response.status_code", "200"),
        ("server.address", "localhost"),
        ("network.protocol.version", "1.1"),
        ("client.address", "127.100.9.2"),
        ("reeve.outcome", "allowed"),
        ("reeve.event_id", events[0]["id"].as_str().unwrap()),
    ]);
    let to = application.address;
    client.has(&[
        ("http.request.method", "GET"),
        ("server.address", "127.0.0.1"),
        ("server.port", &to.port().to_string()),
        ("url.full", &format!("http://{to}/orders/17?page")),
        ("http.response.status_code", "200"),
        ("reeve.upstream", "default"),
    ]);
    assert!(client.attribute("reeve.upstream.connect_us").is_some(), "{client:?}");
    assert_eq!((server.name.as_str(), client.name.as_str(), server.status, client.status), ("GET", "GET", 0, 0));
    let resource = collector.resource();
    assert_eq!(resource[0], (String::from("service.name"), String::from("the gateway")));
}

#[test]
fn a_trace_of_a_trusted_proxy_goes_on() {
    let (application, collector) = (Application::answering(OK), Collector::start());
    // Nothing is recorded of those that begin here: the proxy's word counts.
    let house = house(&application, &collector, 0.0);
    get(&house, PROXY, "/", &format!("{}tracestate: vendor=opaque\r\n", context(TRACE, "01")));
    let sent = arrived(&application, "traceparent").unwrap();
    assert_eq!(arrived(&application, "tracestate").as_deref(), Some("vendor=opaque"));
    get(&house, PROXY, "/", &context(TRACE, "00"));
    let unrecorded = arrived(&application, "traceparent").unwrap();
    assert!(unrecorded.starts_with(&format!("00-{TRACE}-")) && unrecorded.ends_with("-00"), "{unrecorded}");
    assert!(!unrecorded.contains(PARENT), "{unrecorded}");
    house.close();
    let told = collector.told();
    let (server, client) = pair(&told);
    assert_eq!(told.len(), 2, "the one that the proxy does not record is not recorded here");
    assert_eq!((server.trace.as_str(), server.parent.as_str()), (TRACE, PARENT));
    assert_eq!((server.state.as_str(), server.remote, client.remote), ("vendor=opaque", true, false));
    assert_eq!(sent, format!("00-{TRACE}-{}-01", client.id));
}

#[test]
fn a_trace_of_anybody_else_is_linked_and_does_not_go_on() {
    let (application, collector) = (Application::answering(OK), Collector::start());
    let house = house(&application, &collector, 1.0);
    get(&house, STRANGER, "/", &format!("{}tracestate: vendor=opaque\r\n", context(TRACE, "01")));
    let sent = arrived(&application, "traceparent").unwrap();
    assert!(!sent.contains(TRACE) && !sent.contains(PARENT), "{sent}");
    assert_eq!(arrived(&application, "tracestate"), None);
    house.close();
    let told = collector.told();
    let (server, _) = pair(&told);
    assert!(server.trace != TRACE && server.parent.is_empty() && server.state.is_empty(), "{server:?}");
    assert_eq!(server.links, [(TRACE.to_owned(), PARENT.to_owned())]);
}

#[test]
fn a_stranger_cannot_have_itself_recorded() {
    let (application, collector) = (Application::answering(OK), Collector::start());
    let house = house(&application, &collector, 0.0);
    for flags in ["01", "00"] {
        get(&house, STRANGER, "/", &context(TRACE, flags));
        let sent = arrived(&application, "traceparent").unwrap();
        assert!(sent.ends_with("-02") && !sent.contains(TRACE), "{sent}");
    }
    house.close();
    assert!(collector.told().is_empty());
}

#[test]
fn a_context_that_is_none_is_ignored() {
    let (application, collector) = (Application::answering(OK), Collector::start());
    let house = house(&application, &collector, 1.0);
    let twice = context(TRACE, "01") + &context(TRACE, "01");
    let zeroes = format!("traceparent: 00-{}-{PARENT}-01\r\n", "0".repeat(32));
    for fields in ["traceparent: nonsense\r\n", &zeroes, &twice, "traceparent: \r\n"] {
        assert!(get(&house, PROXY, "/", fields).starts_with("HTTP/1.1 200"));
        let heads = application.heads().pop().unwrap();
        assert_eq!(heads.matches("traceparent").count(), 1, "{heads}");
        assert!(!heads.contains(TRACE), "{heads}");
    }
    house.close();
    let told = collector.told();
    assert_eq!(told.len(), 8);
    assert!(told.iter().all(|span| span.links.is_empty() && span.trace != TRACE), "{told:?}");
}

#[test]
fn without_settings_nothing_is_traced_and_nothing_changed() {
    let application = Application::answering(OK);
    let house = House::before(application.address);
    get(&house, STRANGER, "/", &context(TRACE, "01"));
    assert_eq!(arrived(&application, "traceparent"), Some(format!("00-{TRACE}-{PARENT}-01")));
    get(&house, STRANGER, "/", "");
    assert_eq!(arrived(&application, "traceparent"), None);
}

#[test]
fn about_the_share_that_is_asked_for_is_recorded() {
    let (application, collector) = (Application::answering(OK), Collector::start());
    let house = house(&application, &collector, 0.5);
    let mut client = house.client();
    for _ in 0..400 {
        client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        client.read_until("\r\n\r\nok");
    }
    house.close();
    // Past six standard deviations once in 500 million runs.
    let recorded = collector.told().len() / 2;
    assert!((140..=260).contains(&recorded), "{recorded} of 400");
    let flagged = application.heads().iter().filter(|head| head.contains("-03\r\n")).count();
    assert_eq!(flagged, recorded, "the application is told which");
}

#[test]
fn a_refusal_names_its_control_and_goes_nowhere() {
    let (application, collector) = (Application::answering(OK), Collector::start());
    let house = house(&application, &collector, 1.0);
    assert!(get(&house, STRANGER, "/.env", "").starts_with("HTTP/1.1 404"));
    assert!(house.exchange("GET / HTTP/1.1\r\nHost: localhost\r\nHost: secret.example\r\n\r\n").contains(" 400 "));
    house.close();
    let told = collector.told();
    assert_eq!(told.len(), 2, "{told:?}");
    let by = |control: &str| told.iter().find(|span| span.attribute("reeve.control") == Some(control)).unwrap();
    let hidden = by("error.no_debug");
    hidden.has(&[("reeve.outcome", "refused"), ("http.response.status_code", "404"), ("url.path", "/.env")]);
    assert_eq!((hidden.kind, hidden.status), ("server", 0), "a refusal is no error of the gateway");
    let malformed = by("edge.smuggling");
    malformed.has(&[("http.request.method", "_OTHER"), ("http.response.status_code", "400")]);
    assert_eq!((malformed.attribute("url.path"), malformed.name.as_str()), (None, "HTTP"));
}

#[test]
fn an_application_that_is_down_is_an_error_of_both_spans() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let collector = Collector::start();
    let house = House::before(gone);
    reload(&house, collector.settings(1.0));
    assert!(get(&house, STRANGER, "/", "").starts_with("HTTP/1.1 502"));
    house.close();
    let told = collector.told();
    let (server, client) = pair(&told);
    server.has(&[("error.type", "upstream"), ("reeve.part", "upstream"), ("http.response.status_code", "502")]);
    client.has(&[("error.type", "connect")]);
    assert_eq!((server.status, client.status), (2, 2));
}

#[test]
fn an_error_of_the_application_is_seen_behind_the_page() {
    let application = Application::answering("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
    let collector = Collector::start();
    let house = house(&application, &collector, 1.0);
    get(&house, STRANGER, "/", "");
    house.close();
    let told = collector.told();
    let (server, client) = pair(&told);
    server.has(&[("error.type", "error.page"), ("http.response.status_code", "503")]);
    client.has(&[("error.type", "503"), ("http.response.status_code", "503")]);
}

#[test]
fn secrets_are_in_no_span() {
    const PLANTED: &str = "Qx7SECRETb4kP9zR2vN8wT5yL3mJ6hG1";
    let (application, collector) = (Application::answering(OK), Collector::start());
    let house = house(&application, &collector, 1.0);
    let fields = format!(
        "Cookie: session={PLANTED}\r\nAuthorization: Bearer {PLANTED}\r\nX-Api-Key: {PLANTED}\r\nReferer: https://a.example/?k={PLANTED}\r\nUser-Agent: {PLANTED}\r\nbaggage: k={PLANTED}\r\ntracestate: k={PLANTED}\r\n"
    );
    for target in [
        format!("/search?token={PLANTED}&q={PLANTED}"),
        format!("/reset/{PLANTED}"),
        format!("/a?{PLANTED}"),
        format!("/{PLANTED}/x?{PLANTED}=1"),
        format!("/.env?k={PLANTED}"),
    ] {
        get(&house, STRANGER, &target, &fields);
    }
    for broken in [
        format!("GET /a b/{PLANTED} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        format!("{PLANTED} / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {PLANTED}.example.com\r\nConnection: close\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {PLANTED}\r\n\r\n\0{PLANTED}"),
    ] {
        house.exchange(&broken);
    }
    house.close();
    let bytes = collector.bytes().to_ascii_lowercase();
    let planted = PLANTED.to_ascii_lowercase();
    assert!(bytes.len() > 1_000 && collector.told().len() > 10);
    assert!(!bytes.windows(planted.len()).any(|window| window == planted.as_bytes()), "a secret is told");
    assert!(!bytes.windows(9).any(|window| window == b"qx7secret"), "a part of it is told");
}

#[test]
fn what_the_log_leaves_out_is_left_out_here() {
    let (application, collector) = (Application::answering(OK), Collector::start());
    let house = House::writing(upstream(application.address), &demo_controls(), &["time", "id", "status"]);
    reload(&house, collector.settings(1.0));
    get(&house, STRANGER, "/orders/17?page=2", "");
    get(&house, STRANGER, "/.env", "");
    house.close();
    for span in collector.told() {
        assert_eq!(span.name, "HTTP");
        for name in ["client.address", "url.path", "url.query", "url.full", "http.request.method", "reeve.control"] {
            assert_eq!(span.attribute(name), None, "{span:?}");
        }
        assert!(span.attribute("http.response.status_code").is_some(), "{span:?}");
    }
}

#[test]
fn methods_that_nobody_knows_are_not_told() {
    let (application, collector) = (Application::answering(OK), Collector::start());
    let mut house = house(&application, &collector, 1.0);
    let mut controls = with_control(&Control::InputMethods(InputMethods::default()));
    controls.input_methods = None;
    house.settings.tracing = Some(collector.settings(1.0));
    house.gateway().reload(&house.settings, &controls).unwrap();
    house.exchange("BREW /pot HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    house.close();
    assert!(collector.told().iter().all(|span| span.attribute("http.request.method") == Some("_OTHER")));
}

#[test]
fn a_path_of_the_document_is_told_as_the_document_writes_it() {
    let (application, collector) = (Application::answering(OK), Collector::start());
    let mut house = House::before(application.address);
    let document = house.folder.path().join("api.yaml");
    let parameter = "{name: id, in: path, required: true, schema: {type: string}}";
    let text = format!(
        "openapi: 3.1.0\npaths: {{\"/orders/{{id}}\": {{get: {{parameters: [{parameter}], responses: {{}}}}}}}}\n"
    );
    std::fs::write(&document, text).unwrap();
    house.settings.upstream.contract = Some(ContractSettings { document, base: Some(String::from("/api")) });
    reload(&house, collector.settings(1.0));
    get(&house, STRANGER, "/api/orders/17", "");
    house.close();
    let told = collector.told();
    let (server, client) = pair(&told);
    server.has(&[("http.route", "/api/orders/{id}"), ("url.path", "/api/orders/17")]);
    assert_eq!((server.name.as_str(), client.name.as_str()), ("GET /api/orders/{id}", "GET"));
}

#[test]
fn a_request_that_is_tried_elsewhere_tells_how_often_and_where_in_the_end() {
    let (collector, two) = (Collector::start(), Application::answering(OK));
    let one = Application::behaving(Arc::new(|_, _| After::Close));
    let mut house = House::before(two.address);
    house.settings.upstream.servers = vec![server(one.address), server(two.address)];
    reload(&house, collector.settings(1.0));
    for _ in 0..8 {
        assert!(get(&house, STRANGER, "/", "").starts_with("HTTP/1.1 200"));
    }
    house.close();
    let told = collector.told();
    let again: Vec<_> = told.iter().filter(|span| span.attribute("http.request.resend_count").is_some()).collect();
    assert!(!again.is_empty(), "{told:?}");
    for span in again {
        span.has(&[("http.request.resend_count", "1"), ("server.port", &two.address.port().to_string())]);
    }
    // Both tries carry the same context, so that whatever the first did is found as well.
    let contexts = |application: &Application| -> Vec<String> {
        let heads = application.heads();
        let lines = heads.iter().flat_map(|head| head.lines().find(|line| line.starts_with("traceparent")));
        lines.map(str::to_owned).collect()
    };
    assert!(contexts(&one).iter().all(|context| contexts(&two).contains(context)));
}

#[test]
fn a_client_that_does_not_wait_is_told_of() {
    let (application, collector) = (Application::behaving(Arc::new(|_, _| After::KeepAlive)), Collector::start());
    let house = house(&application, &collector, 1.0);
    let mut client = house.client();
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    until("it arrives", || !application.heads().is_empty());
    drop(client);
    house.logs("gone before the answer");
    house.close();
    let told = collector.told();
    let (server, client) = pair(&told);
    server.has(&[("reeve.part", "client"), ("error.type", "client")]);
    client.has(&[("error.type", "cancelled")]);
    assert_eq!(server.attribute("http.response.status_code"), None);
}

#[test]
fn nobody_takes_the_context_away_from_the_application() {
    let (application, collector) = (Application::answering(OK), Collector::start());
    let house = house(&application, &collector, 1.0);
    house.exchange("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close, traceparent\r\n\r\n");
    assert!(arrived(&application, "traceparent").is_some());
}

#[test]
fn a_collector_that_is_gone_costs_no_request() {
    let application = Application::answering(OK);
    let gone = Collector::gone();
    let house = house(&application, &gone, 1.0);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let mut client = house.client();
            std::thread::spawn(move || {
                for _ in 0..1_500 {
                    client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
                    assert!(client.read_until("\r\n\r\nok").starts_with("HTTP/1.1 200"));
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let meters = house.gateway().meters();
    let clock = SystemClock::new();
    let stopping = clock.ticks();
    let events = house.close();
    assert!(clock.ticks().since(stopping) < Duration::from_secs(3), "a stop waits for nobody who is not there");
    assert_eq!(events.iter().filter(|event| event["outcome"] == "allowed").count(), 6_000);
    // Of 12,000 spans some 8,000 found room in the queue, and were told to nobody in the end.
    assert_eq!(meters.totals().spans, [0, 12_000]);
}

#[test]
fn a_collector_that_never_answers_costs_no_request_and_no_stop() {
    let (application, collector) = (Application::answering(OK), Collector::answering(Answer::Never));
    let house = house(&application, &collector, 1.0);
    for _ in 0..50 {
        assert!(get(&house, STRANGER, "/", "").starts_with("HTTP/1.1 200"));
    }
    let (meters, clock) = (house.gateway().meters(), SystemClock::new());
    until("the collector is asked", || collector.requests() > 0);
    let stopping = clock.ticks();
    house.close();
    assert!(clock.ticks().since(stopping) < Duration::from_secs(8), "a stop is over with the drain");
    assert_eq!(meters.totals().spans, [0, 100]);
}

#[test]
fn a_collector_that_is_busy_is_asked_again_when_it_says() {
    let (application, collector) = (Application::answering(OK), Collector::answering(Answer::Busy));
    let house = house(&application, &collector, 1.0);
    get(&house, STRANGER, "/", "");
    until("the collector is asked", || collector.requests() == 1);
    collector.answer(Answer::Take);
    until("the spans arrive", || collector.told().len() == 2);
    let meters = house.gateway().meters();
    until("they are counted", || meters.totals().spans == [2, 0]);
    assert_eq!(collector.requests(), 2);
}

#[test]
fn spans_that_a_collector_does_not_take_are_dropped_and_counted() {
    let (application, collector) = (Application::answering(OK), Collector::answering(Answer::Refuse));
    let house = house(&application, &collector, 1.0);
    let meters = house.gateway().meters();
    get(&house, STRANGER, "/", "");
    until("they are dropped", || meters.totals().spans == [0, 2]);
    assert_eq!(collector.requests(), 1, "what is refused for good is not tried again");
    collector.answer(Answer::TakeAllBut(1));
    get(&house, STRANGER, "/", "");
    until("one is dropped", || meters.totals().spans == [1, 3]);
    collector.answer(Answer::Take);
    get(&house, STRANGER, "/", "");
    until("the rest arrives", || meters.totals().spans == [3, 3]);
}

#[test]
fn a_collector_over_tls_is_held_to_its_authority() {
    let application = Application::answering(OK);
    let house = House::before(application.address);
    let (trusted, other) = (Collector::over_tls(), Collector::over_tls());
    reload(&house, trusted.settings(1.0));
    get(&house, STRANGER, "/", "");
    until("the spans arrive", || trusted.told().len() == 2);
    let mistaken = TracingSettings { authorities: other.settings(1.0).authorities, ..trusted.settings(1.0) };
    reload(&house, mistaken);
    get(&house, STRANGER, "/", "");
    let meters = house.gateway().meters();
    house.close();
    assert_eq!(meters.totals().spans, [2, 2]);
    assert_eq!(trusted.told().len(), 2);
}

#[test]
fn a_reload_sends_what_follows_elsewhere() {
    let application = Application::answering(OK);
    let (first, second) = (Collector::start(), Collector::start());
    let house = house(&application, &first, 1.0);
    get(&house, STRANGER, "/first", "");
    reload(&house, second.settings(1.0));
    get(&house, STRANGER, "/second", "");
    house.gateway().reload(&house.settings, &demo_controls()).unwrap();
    get(&house, STRANGER, "/third", "");
    assert_eq!(arrived(&application, "traceparent"), None);
    house.close();
    for (collector, path) in [(&first, "/first"), (&second, "/second")] {
        let told = collector.told();
        assert_eq!((told.len(), pair(&told).0.attribute("url.path")), (2, Some(path)), "{told:?}");
    }
}
