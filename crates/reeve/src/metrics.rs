//! The gateway's figures for Prometheus, on a listener of their own (OpenMetrics 1.0).
//!
//! They are added up when somebody asks and not before. No label has a value that a client chooses.

mod text;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::keeping::Keeping;

/// Where Prometheus asks.
pub(crate) struct Listener(TcpListener);

impl Listener {
    /// Listens. Inside a runtime.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener).map(Self)
    }

    /// Answers, for as long as this is polled.
    pub(crate) async fn serve(self, keeping: &Arc<Keeping>) {
        let mut open = JoinSet::new();
        loop {
            tokio::select! {
                Some(_) = open.join_next(), if !open.is_empty() => {}
                accepted = self.0.accept(), if open.len() < CONNECTIONS_MAX => match accepted {
                    Ok((stream, _)) => {
                        let keeping = Arc::clone(keeping);
                        open.spawn(async move { connection(stream, keeping).await });
                    }
                    // Out of descriptors, most likely: those that are open must end first.
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
            }
        }
    }
}

async fn connection(stream: TcpStream, keeping: Arc<Keeping>) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX).max_buf_size(HEAD_BYTES_MAX);
    let service = service_fn(|request| {
        let answer = answer(&request, &keeping);
        async move { Ok::<_, Infallible>(answer) }
    });
    // Whatever goes wrong with one conversation is the asker's affair.
    let _ = tokio::time::timeout(CONNECTION_MAX, builder.serve_connection(TokioIo::new(stream), service)).await;
}

fn answer(request: &Request<Incoming>, keeping: &Keeping) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    let headers = response.headers_mut();
    if request.uri().path() != "/metrics" {
        *response.status_mut() = StatusCode::NOT_FOUND;
    } else if !matches!(*request.method(), Method::GET | Method::HEAD) {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    } else if let Some(text) = text::of(keeping) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
        *response.body_mut() = Full::from(text);
    } else {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Askers at one time: a pair of Prometheus servers, and somebody who looks.
const CONNECTIONS_MAX: usize = 16;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const HEAD_MAX: Duration = Duration::from_secs(5);
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Prometheus comes again; whoever keeps a connection for nothing gives it up.
const CONNECTION_MAX: Duration = Duration::from_mins(5);
