//! Bans: made by what is asked, in force before TLS, and over on time.

use std::io::Read;
use std::net::IpAddr;
use std::time::Duration;

use reeve_base::{Clock, Period, SystemClock};
use reeve_edge::{Change, Ending, parse_network};
use reeve_policy::catalogue::{BanAuto, BanHttp, Control};

use crate::application::Application;
use crate::client::{Client, dial_from};
use crate::house::{House, upstream, with_control};

const MISSING: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn http(hits: u16, ban: Period) -> Control {
    Control::BanHttp(BanHttp { hits, ban, ..BanHttp::default() })
}

fn house(control: &Control, answer: &'static str) -> House {
    House::with(upstream(Application::answering(answer).address), &with_control(control))
}

/// An address that may be banned, as no other of this machine.
fn canary(house: &House, last: u8) -> IpAddr {
    let address = IpAddr::from([127, 100, 7, last]);
    house.bans.canaries().add(address, SystemClock::new().ticks()).unwrap();
    address
}

/// One GET over a connection of its own; nothing if the gateway closes without an answer.
fn get(house: &House, from: IpAddr, path: &str) -> Option<String> {
    let mut client = Client::connect_from(from, house.https(), &house.folder.path().join("ca.pem"));
    client.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
    client.try_read_to_end().filter(|answer| !answer.is_empty())
}

/// Whether a TCP connection is closed at once, before the client says anything.
fn closed_at_once(house: &House, from: IpAddr) -> bool {
    let mut stream = dial_from(from, house.https());
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    matches!(stream.read(&mut [0]), Ok(0) | Err(_)) && stream.read(&mut [0]).is_ok_and(|read| read == 0)
}

#[test]
fn a_scanner_is_refused_before_tls_until_its_ban_is_over() {
    let house = house(&http(3, Period::seconds(1)), MISSING);
    let scanner = canary(&house, 1);
    for path in ["/.env", "/wp-login.php?x=1"] {
        assert!(get(&house, scanner, path).unwrap().contains(" 404 "));
    }
    assert!(!closed_at_once(&house, scanner), "two are not enough");
    assert!(get(&house, scanner, "//.git/../.git/config").is_some());
    let clock = SystemClock::new();
    let banned = clock.ticks();
    assert!(closed_at_once(&house, scanner) && get(&house, scanner, "/").is_none());
    assert!(get(&house, canary(&house, 2), "/").is_some(), "others are served");
    let ban = house.bans.list().pop().unwrap();
    assert_eq!((ban.network.to_string(), ban.by.as_str()), (String::from("127.100.7.1/32"), "ban.http"));
    while get(&house, scanner, "/").is_none() {
        assert!(clock.ticks().since(banned) < Duration::from_secs(10));
    }
    assert!(clock.ticks().since(banned) > Duration::from_millis(900));
    house.bans.sweep();
    assert!(matches!(house.bans.take_changes().0.last(), Some(Change::Ended(_, Ending::Expired))));
    assert!(house.bans.refused() >= 2);
}

#[test]
fn what_the_application_serves_is_no_scan() {
    let house = house(&http(1, Period::minutes(10)), OK);
    let user = canary(&house, 3);
    for _ in 0..5 {
        assert!(get(&house, user, "/wp-login.php").is_some());
    }
}

#[test]
fn an_open_connection_is_no_way_around_a_ban() {
    let house = house(&http(5, Period::minutes(10)), OK);
    let user = canary(&house, 4);
    let mut client = Client::connect_from(user, house.https(), &house.folder.path().join("ca.pem"));
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.read_until("\r\n\r\nok");
    house.bans.add(parse_network("127.100.7.4").unwrap(), None, "by hand", "uid:0").unwrap();
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let rest = client.read_to_end();
    assert!(rest.starts_with("HTTP/1.1 403 ") && rest.matches("HTTP/1.1 ").count() == 1, "{rest}");
    assert!(rest.contains("connection: close"), "{rest}");
    let events = house.close();
    assert_eq!(events.last().unwrap()["control"], "ban");
}

#[test]
fn points_for_refusals_add_up_to_a_ban() {
    let control = Control::BanAuto(BanAuto { score: 30, refusal: 10, ..BanAuto::default() });
    let house = house(&control, OK);
    let attacker = canary(&house, 5);
    let ca = house.folder.path().join("ca.pem");
    for _ in 0..3 {
        assert!(!closed_at_once(&house, attacker));
        let mut client = Client::connect_from(attacker, house.https(), &ca);
        client.send("GET / HTTP/1.1\r\n\r\n");
        assert!(client.read_to_end().starts_with("HTTP/1.1 400 "));
    }
    assert!(closed_at_once(&house, attacker));
}

#[test]
fn this_machine_is_never_banned() {
    let house = house(&http(1, Period::minutes(10)), MISSING);
    for _ in 0..5 {
        assert!(house.get("/.env").contains(" 404 "));
    }
    assert_eq!(house.bans.count(), 0);
}
