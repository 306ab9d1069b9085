//! What is done to the application's answers: traces, cookies, caches, payment pages, reports, pages of one's own.

use std::fs;
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use reeve_edge::{ScriptEvent, Settings};
use reeve_policy::catalogue::{
    CacheCipher, Control, Controls, ErrorNoDebug, HdrCookies, HdrCsp, PayFormTarget, PayScripts,
};

use crate::application::{After, Application};
use crate::house::{House, demo_controls, upstream};

const TRACE: &str = "Traceback (most recent call last):\n  File \"/srv/a.py\", line 3, in f\n    g()\nKeyError: 'x'\n";

fn answering(head: &'static str, body: &'static [u8]) -> Application {
    Application::behaving(Arc::new(move |_, stream| {
        write!(stream, "{head}Content-Length: {}\r\n\r\n", body.len()).unwrap();
        stream.write_all(body).unwrap();
        After::KeepAlive
    }))
}

fn asking(controls: &[Control]) -> Controls {
    let mut all = demo_controls();
    for control in controls {
        all.release(control);
        all.demand(control);
    }
    all
}

#[track_caller]
fn replaced(head: &'static str, body: &'static [u8], status: &str) {
    let application = answering(head, body);
    let house = House::before(application.address);
    let answer = house.get("/");
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(!answer.contains("Traceback") && !answer.contains("/srv/a.py"), "{answer}");
    let events = house.close();
    assert_eq!(events[0]["control"], "error.no_debug", "{events:?}");
    assert!(answer.contains(events[0]["id"].as_str().unwrap()), "{answer}");
}

fn gzipped(text: &str) -> &'static [u8] {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap().leak()
}

#[test]
fn a_trace_is_replaced_whatever_the_answer_calls_itself() {
    replaced("HTTP/1.1 400 Bad\r\nContent-Type: text/plain\r\n", TRACE.as_bytes(), "400");
    replaced("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n", TRACE.as_bytes(), "500");
    replaced("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\n", gzipped(TRACE), "500");
    let json = br#"{"t":"Traceback (most recent call last):\n  File \"/srv/a.py\", line 3, in f\n"}"#;
    replaced("HTTP/1.1 404 No\r\nContent-Type: application/json\r\n", json, "404");
    // What nobody asked for cannot be looked into.
    replaced("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: zstd\r\n", b"(\xb5/\xfd", "502");
}

#[test]
fn what_is_no_trace_goes_on_as_it_came() {
    let body: &'static [u8] =
        "<p>A traceback begins with Traceback (most recent call last)</p>".repeat(3_000).leak().as_bytes();
    let application = answering("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX-Kept: yes\r\n", body);
    let house = House::before(application.address);
    let answer = house.get("/");
    let (head, seen) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("x-kept: yes"), "{head}");
    assert!(seen.as_bytes() == body);
    assert!(house.get("/image").starts_with("HTTP/1.1 200 "));
}

#[test]
fn pages_that_explain_traces_and_policies_without_the_promise_are_left_alone() {
    let application = answering("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n", TRACE.as_bytes());
    let control = ErrorNoDebug { documentation: vec!["/docs".into()], ..ErrorNoDebug::default() };
    let house = House::with(upstream(application.address), &asking(&[Control::ErrorNoDebug(control)]));
    assert!(house.get("/docs/errors").contains("KeyError"));
    assert!(!house.get("/documents").contains("KeyError"));
    let control = ErrorNoDebug { traces: false, ..ErrorNoDebug::default() };
    let house = House::with(upstream(application.address), &asking(&[Control::ErrorNoDebug(control)]));
    assert!(house.get("/").contains("KeyError"));
}

#[test]
fn a_stream_is_held_up_only_for_a_moment() {
    let application = Application::behaving(Arc::new(|_, stream| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(format!("{head}5\r\nfirst\r\n").as_bytes()).unwrap();
        // Nobody sends: the channel is a clock.
        let (_sender, never) = channel::<()>();
        let _ = never.recv_timeout(Duration::from_millis(400));
        stream.write_all(b"6\r\nsecond\r\n0\r\n\r\n").unwrap();
        After::KeepAlive
    }));
    let house = House::before(application.address);
    let answer = house.get("/");
    assert!(answer.contains("first") && answer.contains("second"), "{answer}");
}

#[test]
fn only_codings_that_can_be_read_are_asked_for() {
    let application = answering("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n", b"ok");
    let house = House::before(application.address);
    house.exchange("GET / HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip, br, zstd\r\nConnection: close\r\n\r\n");
    assert!(application.heads()[0].to_ascii_lowercase().contains("accept-encoding: gzip, br\r\n"));
}

#[test]
fn cookies_and_caches_are_held_to_the_policy() {
    let application = answering("HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nCache-Control: public, max-age=9\r\n", b"ok");
    let controls = asking(&[Control::HdrCookies(HdrCookies::default()), Control::CacheCipher(CacheCipher::default())]);
    let house = House::with(upstream(application.address), &controls);
    let answer = house.get("/");
    assert!(answer.contains("set-cookie: a=b; Secure; HttpOnly; SameSite=Lax\r\n"), "{answer}");
    assert!(answer.contains("cache-control: no-store\r\n") && !answer.contains("max-age=9"), "{answer}");
    let plain = answering("HTTP/1.1 200 OK\r\n", b"ok");
    let house = House::with(upstream(plain.address), &controls);
    assert!(!house.get("/").contains("cache-control"));
    let answer = house.exchange("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: s=1\r\nConnection: close\r\n\r\n");
    assert!(answer.contains("cache-control: no-store\r\n"), "{answer}");
}

#[test]
fn scripts_of_a_payment_page_are_read_as_they_pass() {
    let application = Application::behaving(Arc::new(|head, stream| {
        let (kind, body) = if head.starts_with("GET /pay.js") {
            ("text/javascript", "total()")
        } else {
            ("text/html", "<script src=/pay.js></script><script>evil()</script>")
        };
        let length = body.len();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        After::KeepAlive
    }));
    let controls =
        asking(&[Control::PayScripts(PayScripts::default()), Control::PayFormTarget(PayFormTarget::default())]);
    let house = House::with(upstream(application.address), &controls);
    let answer = house.get("/checkout?cart=1");
    let lines: Vec<_> = answer.lines().filter(|line| line.starts_with("content-security-policy: ")).collect();
    let [policy] = lines[..] else { panic!("{answer}") };
    assert!(policy.contains("; script-src https://localhost/pay.js; frame-src https://pay.example.com;"), "{policy}");
    assert!(answer.contains("reporting-endpoints: reeve="), "{answer}");
    house.get("/pay.js?v=2");
    assert!(!house.get("/").contains("script-src https://localhost/pay.js"));
    let scripts = house.gateway().scripts();
    let list = scripts.inventory().list();
    let own = list.iter().find(|script| script.source == "/pay.js").unwrap();
    // echo -n 'total()' | openssl dgst -sha256 -binary | base64
    assert_eq!(own.digest.as_deref(), Some("sha256-A5vRFD4OPyk0VN603PANZN62FqGYqZaXWSokM4PleMg="));
    assert!(own.authorised && !list.iter().find(|script| script.inline).unwrap().authorised);
    let changes = scripts.inventory().take_changes();
    assert_eq!(changes.iter().filter(|change| change.event == ScriptEvent::Appeared).count(), 2, "{changes:?}");
    assert!(application.heads()[0].to_ascii_lowercase().contains("accept-encoding: identity"));
}

#[test]
fn reports_of_browsers_are_recorded_and_nothing_else_is_taken() {
    let application = answering("HTTP/1.1 200 OK\r\n", b"ok");
    let csp = HdrCsp { report: true, ..HdrCsp::default() };
    let house = House::with(upstream(application.address), &asking(&[Control::HdrCsp(csp)]));
    assert!(house.get("/").contains("; report-uri /.well-known/reeve/csp; report-to reeve\r\n"));
    let send = |method: &str, kind: &str, body: &str| {
        let length = body.len();
        let head = format!("{method} /.well-known/reeve/csp HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n");
        let answer = house.exchange(&format!("{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"));
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    let report = r#"{"csp-report":{"document-uri":"https://localhost/p?secret=1","blocked-uri":"inline","effective-directive":"script-src"}}"#;
    assert_eq!(send("POST", "application/csp-report", report), "204");
    assert_eq!(send("POST", "application/csp-report", "{}"), "400");
    assert_eq!(send("POST", "text/plain", report), "400");
    assert_eq!(send("GET", "application/csp-report", ""), "405");
    assert_eq!(send("POST", "application/csp-report", &"a".repeat(20_000)), "413");
    let codes: Vec<_> = (0..40).map(|_| send("POST", "application/csp-report", report)).collect();
    assert!(codes.iter().any(|code| code == "429"), "{codes:?}");
    assert_eq!(application.heads().len(), 1, "only the page is the application's");
    let events = house.close();
    let violation = events.iter().find(|event| event["activity"] == "csp.violation").unwrap();
    assert_eq!((&violation["object"], &violation["action"]), (&"/p".into(), &"script-src".into()));
    assert!(!format!("{events:?}").contains("secret=1"));
}

#[test]
fn error_pages_of_ones_own_carry_our_headers() {
    let application = answering("HTTP/1.1 500 Oops\r\n", b"insides");
    let house = House::before(application.address);
    let pages = house.folder.path().join("pages");
    fs::create_dir(&pages).unwrap();
    fs::write(pages.join("5xx.html"), "<h1>Sorry: {status}</h1> {event}").unwrap();
    let settings = Settings { pages: Some(pages.clone()), ..house.settings.clone() };
    house.gateway().reload(&settings, &demo_controls()).unwrap();
    let answer = house.get("/");
    assert!(answer.contains("<h1>Sorry: 500</h1> 01") && answer.contains("content-security-policy: "), "{answer}");
    // What cannot be used is refused, and what was there stays.
    fs::write(pages.join("404.html"), b"\xff").unwrap();
    let error = house.gateway().reload(&settings, &demo_controls()).unwrap_err().to_string();
    assert!(error.contains("404.html` is not UTF-8"), "{error}");
    assert!(house.get("/").contains("Sorry"));
}
