//! Making a connection to the application.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::body::RequestBody;
use crate::settings::{ClientCertificate, ServerAddress, UpstreamScheme, UpstreamSettings};
use crate::worker::LocalExecutor;

use super::H1Connection;
use super::key_pin::{KeyPin, Pinned};

/// Why there is no connection to the application.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("cannot connect to {to}: {source}")]
    Tcp { to: String, source: io::Error },
    #[error("no connection to {to} within {within:?} (`connect`)")]
    Timeout { to: String, within: Duration },
    #[error("TLS with {to} failed: {source}")]
    Tls { to: String, source: io::Error },
    #[error("HTTP with {to} failed: {source}")]
    Http { to: String, source: hyper::Error },
}

/// Why the settings of an upstream cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DialerError {
    /// The file of certificate authorities cannot be read, or holds none.
    #[error("cannot read certificate authorities from `{path}`: {cause}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The gateway's own certificate for it, or its key, cannot be used.
    #[error("cannot use `{path}` to show the upstream who we are: {cause}")]
    Client {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The policy promises pins, and there are too few of them.
    #[error(
        "the policy promises {needed} pins of the upstream's keys, spare ones among them, and the settings of `{upstream}` name {found}"
    )]
    TooFewPins {
        /// The upstream's name.
        upstream: String,
        /// How many different ones there are.
        found: usize,
        /// How many there must be.
        needed: usize,
    },
    /// A route leads nowhere.
    #[error("the route `{route}` leads to `{name}`, and there is no such upstream")]
    UnknownUpstream {
        /// The route's path.
        route: String,
        /// The name.
        name: String,
    },
    /// TLS cannot be set up.
    #[error("TLS to the upstream cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The host is no name that a certificate could hold.
    #[error("`{0}` is no host name")]
    Host(String, #[source] InvalidDnsNameError),
}

/// Knows how to reach the application.
#[derive(Clone)]
pub(crate) struct Dialer {
    scheme: UpstreamScheme,
    host: Arc<str>,
    port: u16,
    connect_max: Duration,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// A connection that is ready for requests.
pub(crate) enum Dialled {
    H1(http1::SendRequest<RequestBody>, Pin<Box<H1Connection>>),
    H2(http2::SendRequest<RequestBody>),
}

impl Dialer {
    /// One for each server, in their order.
    pub(super) fn all(
        settings: &UpstreamSettings,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Result<Vec<Self>, DialerError> {
        let trust = Trust {
            authorities: settings.authorities.as_deref(),
            pins: &settings.pins,
            client: settings.client.as_ref(),
        };
        let connector = match settings.scheme {
            UpstreamScheme::Http | UpstreamScheme::H2c => None,
            UpstreamScheme::Https => Some(connector(trust, versions)?),
        };
        let one = |server: &ServerAddress| {
            let name = || {
                let name = ServerName::try_from(server.host.clone());
                name.map_err(|error| DialerError::Host(server.host.clone(), error))
            };
            let tls = connector.clone().map(|connector| Ok::<_, DialerError>((connector, name()?))).transpose()?;
            Ok(Self {
                scheme: settings.scheme,
                host: server.host.as_str().into(),
                port: server.port,
                connect_max: settings.connect,
                tls,
            })
        };
        settings.servers.iter().map(one).collect()
    }

    /// The same, apart.
    pub(super) const fn place(&self) -> (&Arc<str>, u16) {
        (&self.host, self.port)
    }

    /// Its host and port.
    pub(crate) fn to(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Connects, in whichever version of HTTP the application speaks.
    pub(super) async fn dial(&self) -> Result<Dialled, ConnectError> {
        let (stream, h2) = self.stream(&[b"h2", b"http/1.1"]).await?;
        if h2 {
            self.handshake_h2(stream).await.map(Dialled::H2)
        } else {
            let (sender, connection) = self.handshake_h1(stream).await?;
            Ok(Dialled::H1(sender, Box::pin(connection)))
        }
    }

    /// Connects with HTTP/1.1, for a change of protocol.
    pub(super) async fn dial_h1(&self) -> Result<(http1::SendRequest<RequestBody>, H1Connection), ConnectError> {
        let (stream, _) = self.stream(&[b"http/1.1"]).await?;
        self.handshake_h1(stream).await
    }

    async fn stream(&self, protocols: &[&[u8]]) -> Result<(Stream, bool), ConnectError> {
        let connect = self.connect(protocols);
        match tokio::time::timeout(self.connect_max, connect).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ConnectError::Timeout { to: self.to(), within: self.connect_max }),
        }
    }

    async fn connect(&self, protocols: &[&[u8]]) -> Result<(Stream, bool), ConnectError> {
        let tcp = TcpStream::connect((&*self.host, self.port))
            .await
            .map_err(|source| ConnectError::Tcp { to: self.to(), source })?;
        // Answers must not wait for Nagle; failing to say so costs only speed.
        let _ = tcp.set_nodelay(true);
        let Some((connector, name)) = &self.tls else {
            return Ok((Stream::Plain(tcp), self.scheme == UpstreamScheme::H2c));
        };
        let protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let tls = connector
            .with_alpn(protocols)
            .connect(name.clone(), tcp)
            .await
            .map_err(|source| ConnectError::Tls { to: self.to(), source })?;
        let h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((Stream::Tls(Box::new(tls)), h2))
    }

    /// Shakes hands with another address as if the application were there; nothing if TLS is not spoken.
    pub(super) async fn handshake_at(&self, address: SocketAddr) -> Option<Result<(), ConnectError>> {
        let (connector, name) = self.tls.as_ref()?;
        let shake = async {
            let tcp = TcpStream::connect(address).await;
            let tcp = tcp.map_err(|source| ConnectError::Tcp { to: address.to_string(), source })?;
            let tls = connector.connect(name.clone(), tcp).await;
            tls.map(drop).map_err(|source| ConnectError::Tls { to: address.to_string(), source })
        };
        let slow = || ConnectError::Timeout { to: address.to_string(), within: self.connect_max };
        Some(tokio::time::timeout(self.connect_max, shake).await.unwrap_or_else(|_| Err(slow())))
    }

    async fn handshake_h1(
        &self,
        stream: Stream,
    ) -> Result<(http1::SendRequest<RequestBody>, H1Connection), ConnectError> {
        let mut builder = http1::Builder::new();
        // The library's limit of 100 fields is kept: more would have it allocate twice for each answer, and an
        // application that sends more is broken, or is being used to exhaust the gateway.
        builder.max_buf_size(ANSWER_BUFFER_BYTES_MAX);
        builder.handshake(TokioIo::new(stream)).await.map_err(|source| ConnectError::Http { to: self.to(), source })
    }

    async fn handshake_h2(&self, stream: Stream) -> Result<http2::SendRequest<RequestBody>, ConnectError> {
        let (sender, connection) = http2::Builder::new(LocalExecutor)
            .timer(hyper_util::rt::TokioTimer::new())
            .initial_stream_window_size(H2_WINDOW_BYTES)
            .initial_connection_window_size(4 * H2_WINDOW_BYTES)
            .keep_alive_interval(Duration::from_secs(30))
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|source| ConnectError::Http { to: self.to(), source })?;
        tokio::task::spawn_local(connection);
        Ok(sender)
    }
}

/// Whom a connector believes, and what it shows.
#[derive(Clone, Copy, Default)]
pub(crate) struct Trust<'t> {
    /// Certificate authorities in PEM; those of the system without it.
    pub(crate) authorities: Option<&'t Path>,
    /// The keys that a server may have; none for any.
    pub(crate) pins: &'t [KeyPin],
    /// The certificate to show to a server that asks for one.
    pub(crate) client: Option<&'t ClientCertificate>,
}

pub(crate) fn connector(
    trust: Trust<'_>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Result<TlsConnector, DialerError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let roots = roots(trust.authorities)?;
    let builder =
        rustls::ClientConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions)?;
    let builder = if trust.pins.is_empty() {
        builder.with_root_certificates(roots)
    } else {
        let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let chain = chain.map_err(|error| rustls::Error::General(error.to_string()))?;
        let pinned = Pinned { pins: trust.pins.to_vec(), chain };
        builder.dangerous().with_custom_certificate_verifier(Arc::new(pinned))
    };
    let config = match trust.client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let (chain, key) = client_identity(client)?;
            let refuse = |error: rustls::Error| refuse_client(&client.key, &error);
            builder.with_client_auth_cert(chain, key).map_err(refuse)?
        }
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn roots(authorities: Option<&Path>) -> Result<RootCertStore, DialerError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = authorities else {
        // A certificate of the system that cannot be read is one authority less, never one more.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    let refuse = |cause: String| DialerError::Authorities { path: path.to_owned(), cause };
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| refuse(error.to_string()))? {
        let certificate = certificate.map_err(|error| refuse(error.to_string()))?;
        roots.add(certificate).map_err(|error| refuse(error.to_string()))?;
    }
    if roots.is_empty() { Err(refuse(String::from("it holds no certificate"))) } else { Ok(roots) }
}

fn client_identity(
    client: &ClientCertificate,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), DialerError> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(&client.chain)
        .and_then(Iterator::collect)
        .map_err(|error| refuse_client(&client.chain, &error))?;
    if chain.is_empty() {
        return Err(refuse_client(&client.chain, &"it holds no certificate"));
    }
    let key = PrivateKeyDer::from_pem_file(&client.key).map_err(|error| refuse_client(&client.key, &error))?;
    Ok((chain, key))
}

fn refuse_client(path: &Path, cause: &dyn std::fmt::Display) -> DialerError {
    DialerError::Client { path: path.to_owned(), cause: cause.to_string() }
}

/// The stream under a connection to the application.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, target: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, target),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, target),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }
}

/// Room for the head of an answer and a piece of its body.
const ANSWER_BUFFER_BYTES_MAX: usize = 256 * 1024;

/// What the application may send ahead on one HTTP/2 stream.
const H2_WINDOW_BYTES: u32 = 1 << 20;
