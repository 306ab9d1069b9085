//! Proxies in front: whom they speak for is believed of those that are trusted, and of nobody else.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::time::Duration;

use reeve_edge::{ForwardedHeader, ProxySettings, Settings, parse_network};
use reeve_policy::catalogue::{Control, EdgeIpAllow};

use crate::application::Application;
use crate::client::{Client, dial_from};
use crate::house::{House, demo_controls, upstream, with_control};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const PROXY: [u8; 4] = [127, 100, 8, 1];
const STRANGER: [u8; 4] = [127, 100, 8, 2];

fn house(application: &Application, preamble: bool, header: ForwardedHeader) -> House {
    let house = House::before(application.address);
    let listeners = if preamble { house.settings.https.clone() } else { Vec::new() };
    let trusted = vec![parse_network("127.100.8.1").unwrap()];
    let proxies = ProxySettings { trusted, preamble: listeners, header };
    house.gateway().reload(&Settings { proxies, ..house.settings.clone() }, &demo_controls()).unwrap();
    house
}

fn v2(client: [u8; 4]) -> Vec<u8> {
    let head = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c";
    [&head[..], &client, &[127, 0, 0, 1], &[0x30, 0x39, 1, 0xbb]].concat()
}

fn dial(house: &House, from: [u8; 4], preamble: &[u8]) -> TcpStream {
    let mut stream = dial_from(IpAddr::from(from), house.https());
    stream.write_all(preamble).unwrap();
    stream
}

fn get(house: &House, from: [u8; 4], preamble: &[u8], fields: &str) -> Option<String> {
    let mut client = Client::over(dial(house, from, preamble), &house.folder.path().join("ca.pem"));
    client.send(&format!("GET /admin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n"));
    client.try_read_to_end().filter(|answer| !answer.is_empty())
}

/// What the application was told of the client in its newest request.
fn told(application: &Application) -> Vec<String> {
    let head = application.heads().pop().unwrap().to_ascii_lowercase();
    head.lines()
        .filter(|line| line.contains("forwarded-for") || line.starts_with("forwarded"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_preamble_of_a_trusted_proxy_names_the_client() {
    let application = Application::answering(OK);
    let house = house(&application, true, ForwardedHeader::XForwardedFor);
    for preamble in [v2([203, 0, 113, 9]), b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 443\r\n".to_vec()] {
        let answer = get(&house, PROXY, &preamble, "X-Forwarded-For: 198.51.100.1\r\n").unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(told(&application), ["x-forwarded-for: 203.0.113.9"]);
    }
    let events = house.close();
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|event| event["actor"] == "203.0.113.9" && event["ja4"].is_string()), "{events:?}");
}

#[test]
fn without_a_preamble_that_can_be_believed_the_connection_is_closed_and_recorded() {
    let application = Application::answering(OK);
    let house = house(&application, true, ForwardedHeader::XForwardedFor);
    assert!(get(&house, STRANGER, &v2([203, 0, 113, 9]), "").is_none(), "a stranger's word");
    assert!(get(&house, PROXY, b"", "").is_none(), "no preamble");
    let mut cut = dial(&house, PROXY, &v2([203, 0, 113, 9])[..20]);
    cut.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(matches!(cut.read(&mut [0]), Ok(0) | Err(_)));
    let events = house.close();
    let mut causes: Vec<_> =
        events.iter().map(|event| (event["activity"].as_str().unwrap(), event["cause"].as_str().unwrap())).collect();
    causes.sort_unstable();
    assert_eq!(
        causes,
        [
            ("proxy.preamble", "the PROXY preamble breaks off: early eof"),
            ("proxy.preamble", "the connection does not begin with a PROXY preamble"),
            ("proxy.preamble", "the listener takes connections of trusted proxies only"),
        ]
    );
    assert!(application.heads().is_empty());
}

#[test]
fn a_ban_holds_for_the_address_behind_the_proxy() {
    let application = Application::answering(OK);
    let house = house(&application, true, ForwardedHeader::XForwardedFor);
    house.bans.add(parse_network("203.0.113.9").unwrap(), None, "test", "test").unwrap();
    assert!(get(&house, PROXY, &v2([203, 0, 113, 9]), "").is_none());
    assert!(get(&house, PROXY, &v2([203, 0, 113, 10]), "").is_some());
}

#[test]
fn a_forwarded_address_is_believed_of_a_trusted_proxy_only() {
    let application = Application::answering(OK);
    let house = house(&application, false, ForwardedHeader::XForwardedFor);
    let forwarded = "X-Forwarded-For: 198.51.100.1, 203.0.113.9\r\nForwarded: for=192.0.2.66\r\n";
    get(&house, PROXY, b"", forwarded).unwrap();
    assert_eq!(told(&application), ["x-forwarded-for: 203.0.113.9"]);
    get(&house, STRANGER, b"", forwarded).unwrap();
    assert_eq!(told(&application), ["x-forwarded-for: 127.100.8.2"]);
    get(&house, PROXY, b"", "").unwrap();
    assert_eq!(told(&application), ["x-forwarded-for: 127.100.8.1"]);
    assert!(get(&house, PROXY, b"", "X-Forwarded-For: unknown\r\n").unwrap().starts_with("HTTP/1.1 400"));
    house.bans.add(parse_network("203.0.113.9").unwrap(), None, "test", "test").unwrap();
    assert!(get(&house, PROXY, b"", forwarded).unwrap().starts_with("HTTP/1.1 403"));
    let events = house.close();
    // Two workers write, each when it comes to it.
    let mut actors: Vec<_> = events.iter().map(|event| event["actor"].as_str().unwrap()).collect();
    actors.sort_unstable();
    assert_eq!(actors, ["127.100.8.1", "127.100.8.1", "127.100.8.2", "203.0.113.9", "203.0.113.9"]);
    let own = |event: &serde_json::Value| event["actor"] != "203.0.113.9";
    assert!(
        events.iter().all(|event| event["ja4"].is_string() == own(event)),
        "a proxy's handshake is not its client's"
    );
}

#[test]
fn the_other_field_is_believed_where_the_settings_say_so() {
    let application = Application::answering(OK);
    let house = house(&application, false, ForwardedHeader::Forwarded);
    get(&house, PROXY, b"", "X-Forwarded-For: 198.51.100.1\r\nForwarded: for=\"203.0.113.9:4711\"\r\n").unwrap();
    assert_eq!(told(&application), ["x-forwarded-for: 203.0.113.9"]);
}

#[test]
fn allow_lists_judge_the_client_and_not_the_proxy() {
    let application = Application::answering(OK);
    let control = Control::EdgeIpAllow(EdgeIpAllow::default());
    let house = House::with(upstream(application.address), &with_control(&control));
    let trusted = vec![parse_network("127.0.0.1").unwrap()];
    let proxies = ProxySettings { trusted, ..ProxySettings::default() };
    house.gateway().reload(&Settings { proxies, ..house.settings.clone() }, &with_control(&control)).unwrap();
    // The proxy's own address is on the list; that of the client behind it decides.
    for (client, status) in [("10.1.2.3", "200"), ("203.0.113.9", "403"), ("10.1.2.3, 203.0.113.9", "403")] {
        let answer = get(&house, [127, 0, 0, 1], b"", &format!("X-Forwarded-For: {client}\r\n")).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{client}: {answer}");
    }
    assert!(get(&house, STRANGER, b"", "X-Forwarded-For: 10.1.2.3\r\n").unwrap().starts_with("HTTP/1.1 403"));
}

#[test]
fn a_proxy_that_sends_nothing_is_not_waited_for_long() {
    let application = Application::answering(OK);
    let house = house(&application, true, ForwardedHeader::XForwardedFor);
    let mut silent = dial(&house, PROXY, b"");
    silent.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    assert!(matches!(silent.read(&mut [0]), Ok(0)));
    assert_eq!(house.close()[0]["cause"], "the PROXY preamble is not complete in time");
}
