//! The way to a feed: HTTP/1.1 over TLS, or a folder of this machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::header::HOST;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use crate::settings::FeedSource;
use crate::witnessing::connector;

use super::FeedError;
use super::manifest::MANIFEST_BYTES_MAX;

/// Where a feed is, and whose certificates are believed.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    source: FeedSource,
    authorities: Option<PathBuf>,
}

impl Way {
    pub(crate) fn new(source: FeedSource, authorities: Option<PathBuf>) -> Self {
        Self { source, authorities }
    }

    /// The signed manifest, as it came.
    ///
    /// # Errors
    /// When it cannot be reached or is too large.
    pub(crate) async fn manifest(&self) -> Result<Vec<u8>, FeedError> {
        match &self.source {
            FeedSource::Web(url) => self.get(url, MANIFEST_BYTES_MAX).await,
            FeedSource::File(path) => read(path, MANIFEST_BYTES_MAX).await,
        }
    }

    /// The file under this digest beside the manifest; at most `bytes` of it. What it holds is for the caller to check.
    ///
    /// # Errors
    /// As [`manifest`](Self::manifest).
    pub(crate) async fn file(&self, sha256: &str, bytes: u64) -> Result<Vec<u8>, FeedError> {
        let most = usize::try_from(bytes).unwrap_or(usize::MAX);
        let name = format!("{}/{sha256}", super::FILES_FOLDER);
        match &self.source {
            FeedSource::Web(url) => {
                let url = url.join(&name).map_err(|error| unreachable(url, &error))?;
                self.get(&url, most).await
            }
            FeedSource::File(path) => read(&path.with_file_name(FILES).join(sha256), most).await,
        }
    }

    async fn get(&self, url: &Url, most: usize) -> Result<Vec<u8>, FeedError> {
        let answered = timeout(ANSWER_MAX, self.exchange(url, most)).await;
        answered.unwrap_or_else(|_| Err(unreachable(url, &format!("no answer within {} s", ANSWER_MAX.as_secs()))))
    }

    /// A connection for each file: most of them come once in the life of a rule set.
    async fn exchange(&self, url: &Url, most: usize) -> Result<Vec<u8>, FeedError> {
        let host = url.host_str().unwrap_or_default();
        let bare = host.trim_matches(['[', ']']);
        let port = url.port_or_known_default().unwrap_or(443);
        let name = ServerName::try_from(bare.to_owned()).map_err(|error| unreachable(url, &error))?;
        let connector = connector(self.authorities.as_deref()).map_err(|error| unreachable(url, &error))?;
        let stream = TcpStream::connect((bare, port)).await.map_err(|error| unreachable(url, &error))?;
        let stream = connector.connect(name, stream).await.map_err(|error| unreachable(url, &error))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(url, &error))?;
        let talk = async {
            let request = Request::get(url.path())
                .header(HOST, format!("{host}:{port}"))
                .body(Empty::<Bytes>::new())
                .map_err(|error| unreachable(url, &error))?;
            let answer = sender.send_request(request).await.map_err(|error| unreachable(url, &error))?;
            // Nothing is followed elsewhere: who signs is known, and where it lies is in the settings.
            if answer.status() != StatusCode::OK {
                return Err(unreachable(url, &format!("answered with {}", answer.status())));
            }
            let body = Limited::new(answer.into_body(), most).collect().await;
            let body = body.map_err(|error| match error.downcast_ref::<http_body_util::LengthLimitError>() {
                Some(_) => FeedError::TooLarge(format!("`{url}` has more than {most} bytes")),
                None => unreachable(url, &error),
            })?;
            Ok(body.to_bytes().to_vec())
        };
        let driven = async {
            // How it ends, the talk finds out.
            let _ = connection.await;
            std::future::pending().await
        };
        tokio::select! {
            outcome = talk => outcome,
            never = driven => never,
        }
    }
}

async fn read(path: &Path, most: usize) -> Result<Vec<u8>, FeedError> {
    let (path, shown) = (path.to_owned(), path.display().to_string());
    let read = tokio::task::spawn_blocking(move || read_at_most(&path, most)).await;
    let refuse = |cause: String| FeedError::Unreachable { what: shown.clone(), cause };
    match read.map_err(|error| refuse(error.to_string()))?.map_err(|error| refuse(error.to_string()))? {
        Some(bytes) => Ok(bytes),
        None => Err(FeedError::TooLarge(format!("`{shown}` has more than {most} bytes"))),
    }
}

/// None if there is more.
fn read_at_most(path: &Path, most: usize) -> std::io::Result<Option<Vec<u8>>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= most).then_some(bytes))
}

fn unreachable(url: &Url, cause: &dyn std::fmt::Display) -> FeedError {
    FeedError::Unreachable { what: url.to_string(), cause: cause.to_string() }
}

const FILES: &str = super::FILES_FOLDER;
/// For one file.
const ANSWER_MAX: Duration = Duration::from_secs(30);
