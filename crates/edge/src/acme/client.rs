//! The way to an authority: HTTP/1.1 over TLS, one connection for each request, with a deadline and a bound on what
//! comes back. What it says about coming back later is remembered, because the protocol's library does not pass it on.

use std::error::Error as StdError;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use jiff::fmt::rfc2822::DateTimeParser;
use reeve_base::{Clock, Timestamp};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::upstream::{DialerError, Trust, connector};

/// Speaks to one authority.
#[derive(Clone)]
pub(super) struct Client {
    connector: TlsConnector,
    clock: Arc<dyn Clock>,
    /// How long to stay away, as the last refusal said. Held for a look or a change.
    stay_away: Arc<Mutex<Option<Duration>>>,
}

/// What goes wrong on the way.
#[derive(Debug, thiserror::Error)]
enum ClientError {
    #[error("`{0}` is no address of an authority: it must begin with `https://`")]
    Address(Uri),
    #[error("cannot connect to {to}: {source}")]
    Connect { to: String, source: std::io::Error },
    #[error("TLS with {to} failed: {source}")]
    Tls { to: String, source: std::io::Error },
    #[error("HTTP with {to} failed: {source}")]
    Http { to: String, source: hyper::Error },
    #[error("the answer of {to} cannot be read: {source}")]
    Body { to: String, source: Box<dyn StdError + Send + Sync> },
    #[error("no answer from {to} within {ANSWER_MAX:?}")]
    Slow { to: String },
    #[error("{to} answers with {status} and no explanation")]
    Unexplained { to: String, status: http::StatusCode },
}

impl Client {
    pub(super) fn new(authorities: Option<&Path>, clock: Arc<dyn Clock>) -> Result<Self, DialerError> {
        let connector = connector(Trust { authorities, ..Trust::default() }, VERSIONS)?;
        Ok(Self { connector, clock, stay_away: Arc::default() })
    }

    /// How long to stay away, if a refusal said so since this was asked last.
    pub(super) fn stay_away(&self) -> Option<Duration> {
        self.stay_away.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn exchange(&self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, ClientError> {
        let uri = request.uri().clone();
        let (Some("https"), Some(host)) = (uri.scheme_str(), uri.host().map(str::to_owned)) else {
            return Err(ClientError::Address(uri));
        };
        let port = uri.port_u16().unwrap_or(443);
        let to = format!("{host}:{port}");
        match tokio::time::timeout(ANSWER_MAX, self.ask(&host, port, &to, request)).await {
            Ok(answer) => self.read(&to, answer?),
            Err(_) => Err(ClientError::Slow { to }),
        }
    }

    async fn ask(
        &self,
        host: &str,
        port: u16,
        to: &str,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Result<Response<Bytes>, ClientError> {
        let bare = host.trim_matches(['[', ']']);
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| ClientError::Address(request.uri().clone()))?;
        let connect = |source| ClientError::Connect { to: to.to_owned(), source };
        let tcp = TcpStream::connect((bare, port)).await.map_err(connect)?;
        let tls = self.connector.connect(name, tcp).await;
        let tls = tls.map_err(|source| ClientError::Tls { to: to.to_owned(), source })?;
        let wrong = |source| ClientError::Http { to: to.to_owned(), source };
        let (mut sender, connection) = http1::handshake(TokioIo::new(tls)).await.map_err(wrong)?;
        // Ends with the answer: the sender goes when this function does.
        tokio::spawn(connection);
        let answer = sender.send_request(origin_form(request)?).await.map_err(wrong)?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|source| ClientError::Body { to: to.to_owned(), source })?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }

    fn read(&self, to: &str, answer: Response<Bytes>) -> Result<BytesResponse, ClientError> {
        let status = answer.status();
        if status.is_client_error() || status.is_server_error() {
            if let Some(asked) = retry_after(answer.headers(), self.clock.now()) {
                *self.stay_away.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked);
            }
            let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
            if !kind.starts_with("application/problem+json") {
                return Err(ClientError::Unexplained { to: to.to_owned(), status });
            }
        }
        Ok(BytesResponse::from(answer.map(Full::new)))
    }
}

impl HttpClient for Client {
    fn request(&self, request: Request<BodyWrapper<Bytes>>) -> Pin<Box<dyn Future<Output = Outcome> + Send>> {
        let client = self.clone();
        Box::pin(async move { client.exchange(request).await.map_err(|error| Error::Other(Box::new(error))) })
    }
}

type Outcome = Result<BytesResponse, Error>;

/// A target without the site, which Host names (RFC 9112 section 3.2.1).
fn origin_form(mut request: Request<BodyWrapper<Bytes>>) -> Result<Request<BodyWrapper<Bytes>>, ClientError> {
    let uri = request.uri().clone();
    let host = uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    let target = uri.path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from);
    *request.uri_mut() = target;
    request.headers_mut().insert(HOST, host.ok_or(ClientError::Address(uri))?);
    Ok(request)
}

/// The time to wait: seconds, or a date (RFC 9110 section 10.2.3).
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTimeParser::new().parse_timestamp(text).ok()?;
    Duration::try_from(date.duration_since(now)).ok()
}

static VERSIONS: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// For one request, connection included.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// A chain of a hundred names is some kilobytes.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &'static str, expected: Option<u64>) {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static(value));
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{value}");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        check("120", Some(120));
        check("Sat, 21 Nov 2026 12:01:30 GMT", Some(90));
        check("Sat, 21 Nov 2026 11:00:00 GMT", None);
        check("soon", None);
        check("-1", None);
    }
}
