//! The witness's HTTP: two paths, few connections, short patience. What is answered is decided by [`Witness`].

use std::convert::Infallible;
use std::fmt::Write as _;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use reeve_base::{Clock, SystemClock};
use reeve_ledger::witness::{Answer, REQUEST_BYTES_MAX, Witness};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// A witness behind HTTP.
#[derive(Clone)]
pub(crate) struct Server {
    witness: Arc<Witness>,
    clock: Arc<SystemClock>,
    tls: Option<TlsAcceptor>,
    places: Arc<Semaphore>,
    diary: Diary,
}

/// Where it tells what it cosigned and refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Diary {
    /// On standard output, one JSON object a line.
    Stdout,
    /// Nowhere: its ledger lasts no longer than a command.
    Silent,
}

impl Server {
    pub(crate) fn new(witness: Arc<Witness>, clock: Arc<SystemClock>, tls: Option<TlsAcceptor>, diary: Diary) -> Self {
        Self { witness, clock, tls, places: Arc::new(Semaphore::new(CONNECTIONS_MAX)), diary }
    }

    /// Serves until `stop` is ready; then nothing new is accepted, and what was begun may end.
    pub(crate) async fn until(&self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let (stopping, _) = watch::channel(());
        let mut connections = JoinSet::new();
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, peer)) = accepted else {
                // Out of descriptors; the next turn of the loop must not spin.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            // One too many is closed at once: waiting for a place would let strangers make the ledgers wait.
            let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { continue };
            let (server, stopped) = (self.clone(), stopping.subscribe());
            connections.spawn(async move {
                server.connection(stream, peer, stopped).await;
                drop(place);
            });
        }
        drop(listener);
        drop(stopping);
        // Whoever is not done by then is cut off: a cosignature that nobody received can be asked for again.
        let _ = timeout(STOP_MAX, connections.join_all()).await;
    }

    async fn connection(&self, stream: TcpStream, peer: SocketAddr, stopped: watch::Receiver<()>) {
        // Small answers should not wait for more; that they might is no reason to refuse the connection.
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => self.exchange(stream, peer, stopped).await,
            Some(acceptor) => {
                if let Ok(Ok(stream)) = timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await {
                    self.exchange(stream, peer, stopped).await;
                }
            }
        }
    }

    async fn exchange<S>(&self, stream: S, peer: SocketAddr, mut stopped: watch::Receiver<()>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let service = service_fn(|request| async move { Ok::<_, Infallible>(self.answer(request, peer).await) });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE_MAX)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        tokio::select! {
            // A connection that breaks off has done all that it could.
            _ = connection.as_mut() => {}
            _ = stopped.changed() => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }

    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Full<Bytes>> {
        match (request.method(), request.uri().path()) {
            (&Method::POST, "/add-checkpoint") => self.add_checkpoint(request.into_body(), peer).await,
            (&Method::GET | &Method::HEAD, "/") => plain(StatusCode::OK, self.introduction()),
            (_, "/add-checkpoint") => not_allowed("POST"),
            (_, "/") => not_allowed("GET, HEAD"),
            _ => plain(StatusCode::NOT_FOUND, String::from("there are / and /add-checkpoint here\n")),
        }
    }

    async fn add_checkpoint(&self, body: Incoming, peer: SocketAddr) -> Response<Full<Bytes>> {
        let body = match timeout(BODY_MAX, Limited::new(body, REQUEST_BYTES_MAX).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                return plain(StatusCode::PAYLOAD_TOO_LARGE, format!("at most {REQUEST_BYTES_MAX} bytes are read\n"));
            }
            Ok(Err(_)) => return plain(StatusCode::BAD_REQUEST, String::from("the request broke off\n")),
            Err(_) => return plain(StatusCode::REQUEST_TIMEOUT, String::from("the request took too long\n")),
        };
        let (witness, clock, diary) = (Arc::clone(&self.witness), Arc::clone(&self.clock), self.diary);
        // Until its memory is on the disk a witness says nothing; the other connections need not wait for that.
        let answered = tokio::task::spawn_blocking(move || {
            let now = clock.now();
            let answer = witness.answer(&body, now);
            if diary == Diary::Stdout {
                report(&answer, peer, now);
            }
            answer
        });
        let Ok(answer) = answered.await else {
            return plain(StatusCode::INTERNAL_SERVER_ERROR, String::from("something went wrong here\n"));
        };
        let status = StatusCode::from_u16(answer.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = plain(status, answer.body());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type()));
        response
    }

    fn introduction(&self) -> String {
        let mut text = String::from(
            "A witness of transparency logs, by Reeve.\n\
             \n\
             It cosigns a log's checkpoint if that continues what it cosigned before:\n\
             POST /add-checkpoint, as https://c2sp.org/tlog-witness describes it.\n\n",
        );
        // Writing to a string cannot fail.
        let _ = writeln!(text, "Its key: {}", self.witness.verifier_key());
        text
    }
}

/// One line for each request that was understood as one, whatever came of it.
fn report(answer: &Answer, peer: SocketAddr, now: reeve_base::Timestamp) {
    let outcome = if answer.status() == 200 { "cosigned" } else { "refused" };
    // A stranger's origin may be as long as a request.
    let origin = answer.origin().map(|origin| origin.chars().take(ORIGIN_CHARS_MAX).collect::<String>());
    let line = serde_json::json!({
        "time": now.to_string(),
        "outcome": outcome,
        "status": answer.status(),
        "log": origin,
        "peer": peer.to_string(),
        "what": answer.to_string().chars().take(ORIGIN_CHARS_MAX).collect::<String>(),
    });
    // With nobody left to read the lines, the witness's own memory still tells what it cosigned.
    let _ = std::io::Write::write_all(&mut std::io::stdout().lock(), format!("{line}\n").as_bytes());
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn not_allowed(methods: &'static str) -> Response<Full<Bytes>> {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, format!("{methods} only\n"));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}

/// A log needs one connection; the rest is for a few logs more, and for strangers.
const CONNECTIONS_MAX: usize = 128;

/// How long a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// How long a connection may be silent between requests, and how long a head may take.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// How long a body may take.
const BODY_MAX: Duration = Duration::from_secs(10);

/// How long open requests have to end once the witness is told to stop.
const STOP_MAX: Duration = Duration::from_secs(5);

/// Enough for the head of a request, and the least that the HTTP library takes.
const HEAD_BYTES_MAX: usize = 8192;

/// How much of a text that a stranger chose goes into a line.
const ORIGIN_CHARS_MAX: usize = 200;
