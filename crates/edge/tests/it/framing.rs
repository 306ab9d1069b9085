//! Requests that could be read in two ways do not get past the gateway.

use crate::application::Application;
use crate::house::House;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[track_caller]
fn refused(request: &str, status: u16) {
    let application = Application::answering(OK);
    let house = House::before(application.address);
    let answer = house.exchange(&format!("{request}GET /second HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
    assert!(answer.contains("please quote the event"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "nothing after it is answered: {answer}");
    let events = house.close();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["outcome"], "refused", "{events:?}");
    assert!(answer.contains(events[0]["id"].as_str().unwrap()), "the page quotes the event");
    assert!(application.heads().iter().all(|head| !head.contains("/second")), "{:?}", application.heads());
}

#[test]
fn ambiguous_framing_is_refused_and_nothing_after_it_is_served() {
    for framing in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: +5",
    ] {
        refused(&format!("POST / HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n0\r\n\r\n"), 400);
    }
    refused("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n", 501);
    refused("GET / HTTP/3.0\r\nHost: localhost\r\n\r\n", 505);
}

#[test]
fn a_chunk_that_lies_ends_the_connection() {
    refused("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", 400);
    refused("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n", 400);
}

#[test]
fn requests_one_after_the_other_are_answered_in_order() {
    let application = Application::answering(OK);
    let house = House::before(application.address);
    let request = |path, last| {
        let connection = if last { "Connection: close\r\n" } else { "" };
        format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{connection}Content-Length: 3\r\n\r\nabc")
    };
    let answer = house.exchange(&format!("{}{}{}", request("/1", false), request("/2", false), request("/3", true)));
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3, "{answer}");
    let paths: Vec<_> =
        application.heads().iter().map(|head| head.split(' ').nth(1).unwrap_or_default().to_owned()).collect();
    assert_eq!(paths, ["/1", "/2", "/3"]);
}

#[test]
fn a_chunked_body_arrives_whole() {
    let application = Application::answering(OK);
    let house = House::before(application.address);
    let mut client = house.client();
    client.send("POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab");
    client.send("c\r\n2\r\nde\r\n0\r");
    client.send("\n\r\n");
    let answer = client.read_to_end();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}
