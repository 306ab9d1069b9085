//! Who is answered: allow-lists, user agents, signatures, fingerprints in events and in bans.

use std::time::Duration;

use reeve_edge::{BotSettings, Settings};
use reeve_policy::catalogue::{BotSignature, BotUa, Control};

use crate::application::Application;
use crate::house::{House, upstream, with_control};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn house(control: &Control) -> House {
    House::with(upstream(Application::answering(OK).address), &with_control(control))
}

fn status(house: &House, fields: &str) -> Option<String> {
    let mut client = house.client();
    client.send(&format!("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n"));
    let answer = client.try_read_to_end().filter(|answer| !answer.is_empty())?;
    Some(answer.split(' ').nth(1).unwrap().to_owned())
}

/// The event that was written as the `count`th.
fn newest(house: &House, count: usize) -> serde_json::Value {
    loop {
        let text = String::from_utf8(house.log.0.lock().unwrap().clone()).unwrap();
        if let Some(line) = text.lines().nth(count - 1) {
            return serde_json::from_str(line).unwrap();
        }
        std::thread::yield_now();
    }
}

#[test]
fn listed_agents_are_refused_and_others_served() {
    let house = house(&Control::BotUa(BotUa::default()));
    assert_eq!(status(&house, "User-Agent: curl/8.14.1\r\n").unwrap(), "200");
    assert_eq!(status(&house, "User-Agent: SQLMap/1.9\r\n").unwrap(), "403");
    let events = house.close();
    let refused = events.iter().find(|event| event["outcome"] == "refused").unwrap();
    assert_eq!(refused["control"], "bot.ua");
    assert_eq!(refused["cause"], "user agent is listed: sqlmap");
}

#[test]
fn every_event_has_both_fingerprints_and_either_can_be_banned() {
    let control = Control::BotSignature(BotSignature::default());
    let house = house(&control);
    assert_eq!(status(&house, "").unwrap(), "200");
    // Each alone: two workers write, each when it comes to it.
    let plain = newest(&house, 1);
    assert_eq!(status(&house, "X-Odd: 1\r\n").unwrap(), "200");
    let odd = newest(&house, 2);
    let text = |event: &serde_json::Value, key: &str| event[key].as_str().unwrap().to_owned();
    assert_eq!(plain["ja4"], odd["ja4"]);
    assert!(text(&plain, "ja4").starts_with("t13d"), "{plain}");
    // FNV-1a of "Host,Connection," and of "Host,Connection,X-Odd,".
    assert_ne!(plain["header_order"], odd["header_order"]);
    assert!(text(&plain, "header_order").starts_with("11ge02_"), "{plain}");
    let bans = &house.bans;
    bans.add_print(&text(&odd, "header_order"), None, "test", "test").unwrap();
    assert_eq!(status(&house, "X-Odd: 1\r\n").unwrap(), "403");
    assert_eq!(status(&house, "").unwrap(), "200");
    bans.lift_print(&text(&odd, "header_order")).unwrap();
    assert_eq!(status(&house, "X-Odd: 1\r\n").unwrap(), "200");
    bans.add_print(&text(&plain, "ja4"), Some(Duration::from_millis(600)), "test", "test").unwrap();
    assert_eq!(status(&house, ""), None, "closed before the handshake");
    // Over by itself.
    while status(&house, "").is_none() {}
    let listed = BotSettings { fingerprints: vec![text(&plain, "ja4")], ..BotSettings::default() };
    let settings = Settings { bots: listed, ..house.settings.clone() };
    house.gateway().reload(&settings, &with_control(&control)).unwrap();
    assert_eq!(status(&house, ""), None);
    let events = house.close();
    let refused =
        |event: &&serde_json::Value| event["activity"] == "tls.handshake" && event["control"] == "bot.signature";
    assert_eq!(events.iter().filter(refused).count(), 1);
}
