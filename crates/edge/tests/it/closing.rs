//! A site that is closed for a time.

use std::time::Duration;

use jiff::Timestamp;
use reeve_edge::Closure;

use crate::application::Application;
use crate::house::House;

#[test]
fn while_the_site_is_closed_visitors_are_told_so_and_the_application_gets_nobody() {
    let application = Application::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    let house = House::before(application.address);
    #[expect(clippy::disallowed_methods, reason = "the gateway under test has the system's clock too")]
    let now = Timestamp::now();
    let closure = |allow: &[&str]| Closure {
        from: now,
        to: Some(now + Duration::from_secs(3_600)),
        allow: allow.iter().map(|text| text.parse().unwrap()).collect(),
    };
    let shutter = house.gateway().shutter();
    shutter.set(vec![closure(&["192.0.2.0/24"])]);
    let answer = house.get("/");
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("<h1>Maintenance</h1>"), "{answer}");
    assert!(answer.contains("retry-after: 3600\r\n") || answer.contains("retry-after: 3599\r\n"), "{answer}");
    house.gateway().reload(&house.settings, &crate::house::demo_controls()).unwrap();
    assert!(house.get("/").starts_with("HTTP/1.1 503 "), "a reload opens nothing");
    assert!(application.heads().is_empty());
    shutter.set(vec![closure(&["127.0.0.0/8"])]);
    assert!(house.get("/").ends_with("hi"));
    shutter.set(Vec::new());
    assert!(house.get("/").ends_with("hi"));
    let events = house.close();
    let closed = events.iter().filter(|event| event["cause"] == "closed for maintenance").count();
    assert_eq!(closed, 2, "{events:?}");
}
