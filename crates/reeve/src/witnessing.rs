//! The way to a witness: HTTP/1.1 to its `add-checkpoint`, over TLS where its address says so.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{CONTENT_TYPE, HOST};
use http::{Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use reeve_ledger::proof::VerifierKey;
use reeve_ledger::witness::{Cosigner, REPLY_BYTES_MAX, Reply, Unanswered};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::Url;

/// A witness at an address.
pub(crate) struct HttpWitness {
    key: VerifierKey,
    address: Address,
    /// One request at a time, which is all that the protocol allows for one log anyway.
    link: Mutex<Link>,
}

struct Address {
    host: String,
    port: u16,
    /// Name and port as they are sent.
    authority: String,
    path: Uri,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// A runtime of its own, because whoever asks is a plain thread, and the connection that was left open.
struct Link {
    /// There until it is dropped.
    runtime: Option<Runtime>,
    open: Option<SendRequest<Full<Bytes>>>,
}

/// Why a witness's address cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WitnessingError {
    /// Not an address of a witness.
    #[error("`{url}` is not the address of a witness: {cause}")]
    Address {
        /// What was given.
        url: Url,
        /// What is wrong with it.
        cause: &'static str,
    },
    /// The authorities that its certificate is to be of cannot be read.
    #[error("`{}` holds no certificates that can be used: {cause}", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// The system gives no runtime.
    #[error("cannot prepare the way to a witness: {0}")]
    Runtime(#[from] std::io::Error),
}

impl HttpWitness {
    /// The witness with this key at `url`, the part of its address before `/add-checkpoint`. Over TLS, its certificate
    /// must be of one of the authorities in the PEM file, or of the system's.
    ///
    /// # Errors
    /// See [`WitnessingError`]. Nothing is sent yet.
    pub(crate) fn new(key: VerifierKey, url: &Url, authorities: Option<&Path>) -> Result<Self, WitnessingError> {
        let address = Address::new(url, authorities)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { key, address, link: Mutex::new(Link { runtime: Some(runtime), open: None }) })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // A task of another runtime may be the one that drops it, and must not wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Cosigner for HttpWitness {
    fn key(&self) -> &VerifierKey {
        &self.key
    }

    fn add_checkpoint(&self, body: &str, patience: Duration) -> Result<Reply, Unanswered> {
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        let Link { runtime, open } = &mut *link;
        let kept = open.take();
        let runtime = runtime.as_ref().ok_or_else(|| Unanswered(String::from("the witness is no longer asked")))?;
        let answered = runtime.block_on(async { timeout(patience, self.address.post(kept, body)).await });
        let (reply, sender) = answered.map_err(|_| Unanswered(format!("no answer within {patience:?}")))??;
        *open = Some(sender);
        Ok(reply)
    }
}

impl Address {
    fn new(url: &Url, authorities: Option<&Path>) -> Result<Self, WitnessingError> {
        let refuse = |cause| WitnessingError::Address { url: url.clone(), cause };
        let host = url.host_str().ok_or_else(|| refuse("it names no host"))?;
        let port = url.port_or_known_default().ok_or_else(|| refuse("it names no port"))?;
        let tls = match url.scheme() {
            "http" => None,
            "https" => {
                // An IPv6 address stands in brackets in a URL, and nowhere else.
                let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
                Some((connector(authorities)?, name.map_err(|_| refuse("its host is no name"))?))
            }
            _ => return Err(refuse("it begins neither with `https://` nor with `http://`")),
        };
        let path = format!("{}/add-checkpoint", url.path().trim_end_matches('/'));
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            authority: format!("{host}:{port}"),
            path: path.parse().map_err(|_| refuse("its path cannot be sent"))?,
            tls,
        })
    }

    /// Over the connection that was kept, if it is still good; over a new one otherwise. Sending twice does no harm:
    /// a witness cosigns the same checkpoint as often as it is asked.
    async fn post(
        &self,
        kept: Option<SendRequest<Full<Bytes>>>,
        body: &str,
    ) -> Result<(Reply, SendRequest<Full<Bytes>>), Unanswered> {
        if let Some(sender) = kept
            && let Ok(answered) = self.send(sender, body).await
        {
            return Ok(answered);
        }
        let sender = self.dial().await?;
        self.send(sender, body).await
    }

    async fn dial(&self) -> Result<SendRequest<Full<Bytes>>, Unanswered> {
        let to = |error: &dyn std::fmt::Display| Unanswered(format!("cannot connect to {}: {error}", self.authority));
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|error| to(&error))?;
        // A small request should not wait for more.
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => shake_hands(stream).await.map_err(|error| to(&error)),
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await.map_err(|error| to(&error))?;
                shake_hands(stream).await.map_err(|error| to(&error))
            }
        }
    }

    async fn send(
        &self,
        mut sender: SendRequest<Full<Bytes>>,
        body: &str,
    ) -> Result<(Reply, SendRequest<Full<Bytes>>), Unanswered> {
        let broken = |error: &dyn std::fmt::Display| Unanswered(format!("{} broke off: {error}", self.authority));
        let request = Request::post(self.path.clone())
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .body(Full::from(body.to_owned()))
            .map_err(|error| broken(&error))?;
        sender.ready().await.map_err(|error| broken(&error))?;
        let (head, body) = sender.send_request(request).await.map_err(|error| broken(&error))?.into_parts();
        let body = Limited::new(body, REPLY_BYTES_MAX).collect().await.map_err(|error| broken(&error))?;
        let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let reply = Reply {
            status: head.status.as_u16(),
            content_type: content_type.unwrap_or_default().to_owned(),
            body: body.to_bytes().to_vec(),
        };
        Ok((reply, sender))
    }
}

async fn shake_hands<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, hyper::Error>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It goes on whenever the runtime is asked to; how it ends, the next request finds out.
    tokio::spawn(connection);
    Ok(sender)
}

pub(crate) fn connector(authorities: Option<&Path>) -> Result<TlsConnector, WitnessingError> {
    let mut roots = RootCertStore::empty();
    match authorities {
        // A certificate of the system that cannot be read is one authority less, never one more.
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
        Some(path) => {
            let refuse = |cause: String| WitnessingError::Authorities { path: path.to_owned(), cause };
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| refuse(error.to_string()))? {
                let certificate = certificate.map_err(|error| refuse(error.to_string()))?;
                roots.add(certificate).map_err(|error| refuse(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(refuse(String::from("it is empty")));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests;
