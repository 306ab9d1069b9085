//! HTTP/2 on both sides, WebSocket, and plaintext.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, StatusCode, Version};
use hyper::body::{Body, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use reeve_edge::UpstreamScheme;
use rustls::pki_types::ServerName;

use crate::application::{After, Application};
use crate::client::config;
use crate::house::{House, demo_controls, upstream};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Speaks HTTP/2 with the gateway and runs `requests` over one connection.
fn over_h2<T>(house: &House, requests: impl AsyncFnOnce(hyper::client::conn::http2::SendRequest<String>) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut config = config(&house.folder.path().join("ca.pem"));
        config.alpn_protocols = vec![b"h2".to_vec()];
        let tcp = tokio::net::TcpStream::connect(house.https()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let tls = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await.unwrap();
        tokio::spawn(connection);
        tokio::time::timeout(Duration::from_secs(10), requests(sender)).await.unwrap()
    })
}

async fn length(mut body: Incoming) -> usize {
    let mut length = 0;
    while let Some(frame) = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await {
        length += frame.unwrap().data_ref().map_or(0, bytes::Bytes::len);
    }
    length
}

#[test]
fn http2_requests_share_a_connection_and_are_held_to_the_same_limits() {
    let application = Application::answering(OK);
    let house = House::before(application.address);
    over_h2(&house, async |mut sender| {
        let request = |path: &str| Request::get(format!("https://localhost{path}")).body(String::new()).unwrap();
        let (one, two) = tokio::join!(sender.send_request(request("/1")), sender.clone().send_request(request("/2")));
        for response in [one.unwrap(), two.unwrap()] {
            assert_eq!((response.status(), response.version()), (StatusCode::OK, Version::HTTP_2));
            assert!(response.headers().contains_key("strict-transport-security"));
            assert_eq!(length(response.into_body()).await, 2);
        }
        let long = sender.send_request(request(&format!("/{}", "x".repeat(5_000)))).await.unwrap();
        assert_eq!(long.status(), StatusCode::URI_TOO_LONG);
        let big = Request::post("https://localhost/").body("x".repeat(64 * 1024 + 1)).unwrap();
        assert_eq!(sender.send_request(big).await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
        let mut other = request("/");
        other.headers_mut().insert("host", "elsewhere".parse().unwrap());
        assert_eq!(sender.send_request(other).await.unwrap().status(), StatusCode::BAD_REQUEST);
        let user = Request::get("https://localhost@evil.example/").body(String::new()).unwrap();
        assert_eq!(sender.send_request(user).await.unwrap().status(), StatusCode::BAD_REQUEST);
    });
}

#[test]
fn an_application_that_speaks_http2_gets_it() {
    // The second gateway is the application: its plaintext listener does not speak HTTP/2, so TLS decides by ALPN.
    let application = Application::answering(OK);
    let inner = House::before(application.address);
    let mut settings = upstream(inner.https());
    settings.scheme = UpstreamScheme::Https;
    settings.servers[0].host = String::from("localhost");
    settings.authorities = Some(inner.folder.path().join("ca.pem"));
    let outer = House::with(settings, &demo_controls());
    for _ in 0..3 {
        assert!(outer.get("/").starts_with("HTTP/1.1 200 OK"));
    }
    assert_eq!(application.heads().len(), 3);
}

#[test]
fn an_upstream_whose_certificate_is_not_vouched_for_is_refused() {
    let inner = House::before(Application::answering(OK).address);
    let stranger = House::before(Application::answering(OK).address);
    let mut settings = upstream(inner.https());
    settings.scheme = UpstreamScheme::Https;
    settings.servers[0].host = String::from("localhost");
    settings.authorities = Some(stranger.folder.path().join("ca.pem"));
    let outer = House::with(settings, &demo_controls());
    assert!(outer.get("/").starts_with("HTTP/1.1 502 "));
}

#[test]
fn a_websocket_carries_bytes_both_ways_and_nothing_is_inspected_any_more() {
    let application = Application::behaving(Arc::new(|head: &str, stream: &mut TcpStream| {
        if !head.to_ascii_lowercase().contains("upgrade: websocket") {
            stream.write_all(OK.as_bytes()).unwrap();
            return After::KeepAlive;
        }
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            .unwrap();
        let mut bytes = [0; 64];
        while let Ok(read) = stream.read(&mut bytes)
            && read > 0
        {
            stream.write_all(&bytes[..read]).unwrap();
        }
        After::Close
    }));
    let house = House::before(application.address);
    let mut client = house.client();
    client.send("GET /chat HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    let head = client.read_until("\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    for text in ["no HTTP\n at all \0", "and more"] {
        client.send(text);
        client.read_until(text);
    }
}

#[test]
fn a_refused_upgrade_leaves_an_ordinary_connection() {
    let application = Application::answering(OK);
    let house = House::before(application.address);
    let mut client = house.client();
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    client.read_until("\r\n\r\nok");
    client.send("GET /next HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(client.read_to_end().starts_with("HTTP/1.1 200 OK"));
}

#[test]
fn h2c_is_not_a_way_around_the_stages() {
    let application = Application::answering(OK);
    let house = House::before(application.address);
    house.exchange("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n");
    let head = application.heads()[0].to_ascii_lowercase();
    assert!(!head.contains("upgrade") && !head.contains("http2-settings"), "{head}");
}

#[test]
fn plaintext_is_redirected_to_the_tls_port_and_never_forwarded() {
    let application = Application::answering(OK);
    let house = House::before(application.address);
    let mut stream = TcpStream::connect(house.http()).unwrap();
    stream.write_all(b"POST /form?a=b HTTP/1.1\r\nHost: localhost:1\r\nContent-Length: 0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
    let port = house.https().port();
    assert!(answer.contains(&format!("location: https://localhost:{port}/form?a=b\r\n")), "{answer}");
    assert!(!answer.contains("strict-transport-security"), "RFC 6797 forbids it over plaintext: {answer}");
    assert_eq!(application.heads(), Vec::<String>::new());
}
