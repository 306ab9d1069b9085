//! Well-formed HTTP: one request, one answer, over HTTP/1.1 or HTTP/2.

use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::tls::Protocol;
use super::{Site, WireError};

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    method: Method,
    path: String,
    accept: &'static str,
    protocol: Protocol,
    /// Another field, and its value.
    field: Option<(String, String)>,
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// The header fields, repeated ones as often as they came.
    pub(crate) headers: HeaderMap,
    /// The body, up to [`BODY_BYTES_MAX`].
    pub(crate) body: Bytes,
}

/// A connection that carries one request after another.
pub(crate) struct Lane {
    sender: Sender,
    protocol: Protocol,
    /// Drives the connection; ends with the lane.
    _driver: Driver,
}

enum Sender {
    H1(http1::SendRequest<Full<Bytes>>),
    H2(http2::SendRequest<Full<Bytes>>),
}

struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Ask {
    /// A GET of a path that is a valid one, over HTTP/1.1, as a browser would ask for a page.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            accept: "text/html,*/*;q=0.8",
            protocol: Protocol::H1,
            field: None,
        }
    }

    /// The same over another protocol.
    pub(crate) const fn over(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// The same with another `Accept`.
    pub(crate) const fn accepting(mut self, accept: &'static str) -> Self {
        self.accept = accept;
        self
    }

    /// The same with another field.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.field = Some((name.to_owned(), value.to_owned()));
        self
    }

    /// How an observation names it.
    pub(crate) fn label(&self) -> String {
        let over = if self.protocol == Protocol::H2 { " over HTTP/2" } else { "" };
        format!("{} {}{over}", self.method, self.path)
    }
}

impl Answer {
    /// The values of a field, as text; bytes that are none are shown as `\u{fffd}`.
    pub(crate) fn values(&self, name: &str) -> Vec<String> {
        let values = self.headers.get_all(name).iter();
        values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    }

    /// The first value of a field.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        self.values(name).into_iter().next()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether it is a page.
    pub(crate) fn is_html(&self) -> bool {
        let kind = self.value("content-type").unwrap_or_default().to_ascii_lowercase();
        kind.starts_with("text/html") || kind.starts_with("application/xhtml+xml")
    }
}

impl Site {
    /// Asks once over a connection of its own, and again if it is told to come back later, as long as its patience
    /// lasts.
    pub(crate) async fn ask(&self, ask: &Ask) -> Result<Answer, WireError> {
        loop {
            let answer = self.ask_once(ask).await?;
            if answer.status != 429 {
                return Ok(answer);
            }
            self.hold_back(answer.value(RETRY_AFTER.as_str())).await?;
        }
    }

    /// Asks once, whatever the answer.
    pub(crate) async fn ask_once(&self, ask: &Ask) -> Result<Answer, WireError> {
        self.lane(ask.protocol).await?.send(self, ask).await
    }

    /// Waits as long as a 429 asked for, if that is not too long.
    pub(crate) async fn hold_back(&self, retry_after: Option<String>) -> Result<(), WireError> {
        let stated = retry_after.unwrap_or_else(|| String::from("none"));
        // A date instead of seconds, or nothing at all, is worth one short wait.
        let seconds = stated.trim().parse::<u64>().unwrap_or(2).max(1);
        if self.wait_ms(seconds.saturating_mul(1000)) {
            sleep(Duration::from_secs(seconds)).await;
            Ok(())
        } else {
            Err(WireError::RateLimited(stated))
        }
    }

    /// Opens a connection; its handshake and its first request count as one.
    pub(crate) async fn lane(&self, protocol: Protocol) -> Result<Lane, WireError> {
        let stream = self.tls(protocol).await?;
        let negotiated = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        let io = TokioIo::new(stream);
        match protocol {
            Protocol::H1 => {
                let (sender, connection) = http1::handshake(io).await.map_err(|error| from_hyper(&error))?;
                let driver = Driver(tokio::spawn(async move { drop(connection.await) }));
                Ok(Lane { sender: Sender::H1(sender), protocol, _driver: driver })
            }
            Protocol::H2 if negotiated.as_deref() != Some(b"h2") => Err(WireError::NoHttp2),
            Protocol::H2 => {
                let shaken = http2::handshake(TokioExecutor::new(), io).await;
                let (sender, connection) = shaken.map_err(|error| from_hyper(&error))?;
                let driver = Driver(tokio::spawn(async move { drop(connection.await) }));
                Ok(Lane { sender: Sender::H2(sender), protocol, _driver: driver })
            }
        }
    }
}

impl Lane {
    /// Sends a request and reads its answer, which is not counted: whoever sends more than one counts them.
    pub(crate) async fn send(&mut self, site: &Site, ask: &Ask) -> Result<Answer, WireError> {
        let request = request(site, ask, self.protocol)?;
        let sent = async {
            match &mut self.sender {
                Sender::H1(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await
                }
                Sender::H2(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await
                }
            }
        };
        let response = timeout(site.deadline(), sent).await.map_err(|_| WireError::Silent(site.deadline()))?;
        let (head, body) = response.map_err(|error| from_hyper(&error))?.into_parts();
        let body =
            timeout(site.deadline(), read_body(body)).await.map_err(|_| WireError::Silent(site.deadline()))??;
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }

    /// Whether another request can be sent.
    pub(crate) fn is_open(&self) -> bool {
        match &self.sender {
            Sender::H1(sender) => !sender.is_closed(),
            Sender::H2(sender) => !sender.is_closed(),
        }
    }
}

fn request(site: &Site, ask: &Ask, protocol: Protocol) -> Result<Request<Full<Bytes>>, WireError> {
    let invalid = |error: http::Error| WireError::Malformed(format!("`{}` cannot be asked for: {error}", ask.path));
    let authority = site.target().authority();
    let uri = match protocol {
        Protocol::H1 => ask.path.parse::<Uri>().map_err(|error| invalid(error.into()))?,
        Protocol::H2 => Uri::builder()
            .scheme("https")
            .authority(authority.as_str())
            .path_and_query(ask.path.as_str())
            .build()
            .map_err(invalid)?,
    };
    let mut builder = Request::builder().method(ask.method.clone()).uri(uri);
    if protocol == Protocol::H1 {
        builder = builder.header(HOST, authority);
    }
    builder = builder.header(USER_AGENT, HeaderValue::from_str(site.user_agent()).map_err(|e| invalid(e.into()))?);
    if let Some((name, value)) = &ask.field {
        builder = builder.header(name, value);
    }
    builder.header(http::header::ACCEPT, ask.accept).body(Full::default()).map_err(invalid)
}

/// Reads at most [`BODY_BYTES_MAX`]; the rest is left where it is.
async fn read_body(mut body: Incoming) -> Result<Bytes, WireError> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| from_hyper(&error))?;
        if let Some(data) = frame.data_ref() {
            let room = BODY_BYTES_MAX.saturating_sub(bytes.len());
            bytes.extend(data.iter().take(room));
            if data.len() >= room {
                break;
            }
        }
    }
    Ok(bytes.into())
}

fn from_hyper(error: &hyper::Error) -> WireError {
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return WireError::Closed;
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    if error.is_parse() { WireError::Malformed(text) } else { WireError::Connection(text) }
}

/// The most of a body that is read. A page that hides a stack trace behind this much is not what the probes look for.
pub(crate) const BODY_BYTES_MAX: usize = 256 * 1024;
