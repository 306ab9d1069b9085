//! The way to a collector: OTLP over HTTP/1.1, in plaintext or TLS, over one connection that is kept.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use reeve_base::Timestamp;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::wire;
use crate::acme::retry_after;
use crate::settings::CollectorAddress;
use crate::upstream::{DialerError, Stream, Trust, connector};

/// Where spans go.
pub(super) struct Collector {
    host: String,
    port: u16,
    site: HeaderValue,
    target: Uri,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// Why spans did not arrive.
#[derive(Debug, thiserror::Error)]
pub(super) enum TellError {
    #[error("cannot connect to {to}: {source}")]
    Connect { to: String, source: std::io::Error },
    #[error("TLS with {to} failed: {source}")]
    Tls { to: String, source: std::io::Error },
    #[error("HTTP with {to} failed: {source}")]
    Http { to: String, source: hyper::Error },
    #[error("no answer from {to} within {ANSWER_MAX:?}")]
    Slow { to: String },
    #[error("{to} answers with {status}")]
    Answer {
        to: String,
        status: StatusCode,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
}

impl TellError {
    /// Whether the same may be told once more: what the specification names, and what never arrived.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Answer { status, .. } => matches!(status.as_u16(), 429 | 502..=504),
            Self::Connect { .. } | Self::Tls { .. } | Self::Http { .. } | Self::Slow { .. } => true,
        }
    }

    pub(super) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answer { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// A connection to a collector that may be used again.
#[derive(Default)]
pub(super) struct Line(Option<Sender>);

type Sender = SendRequest<Full<Bytes>>;

impl Collector {
    pub(super) fn new(address: &CollectorAddress, authorities: Option<&Path>) -> Result<Self, DialerError> {
        let CollectorAddress { tls, host, port, path } = address;
        let name = || {
            let name = ServerName::try_from(host.clone());
            name.map_err(|error| DialerError::Host(host.clone(), error))
        };
        let trust = Trust { authorities, ..Trust::default() };
        let tls = tls.then(|| Ok::<_, DialerError>((connector(trust, VERSIONS)?, name()?))).transpose()?;
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        // What was read as an address can be written as one.
        let site = HeaderValue::from_str(&format!("{bracketed}:{port}"));
        let target = PathAndQuery::try_from(format!("{}/v1/traces", path.trim_end_matches('/')));
        Ok(Self {
            host: host.clone(),
            port: *port,
            site: site.unwrap_or(HeaderValue::from_static("localhost")),
            target: target.unwrap_or(PathAndQuery::from_static("/v1/traces")).into(),
            tls,
        })
    }

    /// Tells a collector; the count is of spans that it did not want, with its reason.
    pub(super) async fn tell(
        &self,
        line: &mut Line,
        body: Bytes,
        now: Timestamp,
    ) -> Result<Option<(u64, String)>, TellError> {
        let told = tokio::time::timeout(ANSWER_MAX, self.exchange(line, body)).await;
        let (status, asked, answer) = told.map_err(|_| TellError::Slow { to: self.to() })??;
        if status.is_success() {
            return Ok(wire::rejected(&answer));
        }
        let retry_after = asked.and_then(|asked| retry_after(&asked, now));
        Err(TellError::Answer { to: self.to(), status, retry_after })
    }

    async fn exchange(
        &self,
        line: &mut Line,
        body: Bytes,
    ) -> Result<(StatusCode, Option<http::HeaderMap>, Bytes), TellError> {
        // Taken out: an exchange that is given up leaves no connection that is in the middle of an answer.
        let (sender, answer) = match self.over(line.0.take(), body.clone()).await {
            Some(answered) => answered,
            None => {
                let mut sender = self.connect().await?;
                let answer = sender.send_request(self.request(body)).await;
                (sender, answer.map_err(|source| TellError::Http { to: self.to(), source })?)
            }
        };
        let (parts, body) = answer.into_parts();
        let asked = parts.headers.contains_key(RETRY_AFTER).then_some(parts.headers);
        // What is too long to be read says nothing, and ends the connection.
        let Ok(body) = Limited::new(body, ANSWER_BYTES_MAX).collect().await else {
            return Ok((parts.status, asked, Bytes::new()));
        };
        line.0 = Some(sender);
        Ok((parts.status, asked, body.to_bytes()))
    }

    /// Over a connection that is there already. Nothing if it was closed meanwhile, which says nothing of the collector.
    async fn over(&self, line: Option<Sender>, body: Bytes) -> Option<(Sender, Response<Incoming>)> {
        let mut sender = line?;
        sender.ready().await.ok()?;
        let answer = sender.send_request(self.request(body)).await.ok()?;
        Some((sender, answer))
    }

    fn request(&self, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.clone();
        let headers = request.headers_mut();
        headers.insert(HOST, self.site.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        request
    }

    async fn connect(&self) -> Result<Sender, TellError> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await;
        let tcp = tcp.map_err(|source| TellError::Connect { to: self.to(), source })?;
        let _ = tcp.set_nodelay(true);
        let stream = match &self.tls {
            None => Stream::Plain(tcp),
            Some((connector, name)) => {
                let tls = connector.connect(name.clone(), tcp).await;
                Stream::Tls(Box::new(tls.map_err(|source| TellError::Tls { to: self.to(), source })?))
            }
        };
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|source| TellError::Http { to: self.to(), source })?;
        // Ends with its sender.
        tokio::spawn(connection);
        Ok(sender)
    }

    fn to(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

static VERSIONS: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

const AGENT: &str = concat!("reeve/", env!("CARGO_PKG_VERSION"));

/// For one request, connection included: what OpenTelemetry's own exporters have.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// An answer is empty, or holds a count and a sentence.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
