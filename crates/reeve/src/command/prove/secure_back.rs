//! The sample application over TLS, under a key that a scratch instance can know beforehand.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use reeve_edge::{KeyPin, UpstreamScheme, UpstreamSettings};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::scratch::sample_upstream;

/// A server that speaks TLS and passes on what it hears, for as long as this lives.
pub(crate) struct SecureBack {
    address: SocketAddr,
    folder: tempfile::TempDir,
    own: KeyPin,
    spare: KeyPin,
    serving: JoinHandle<()>,
}

/// Which of its keys the gateway is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pins {
    /// None: any key that its authority vouches for.
    None,
    /// The one in use and the next one.
    OwnAndSpare,
}

impl SecureBack {
    /// Starts one before `application`. Must be called inside a runtime.
    pub(crate) fn start(application: SocketAddr) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder")?;
        let authority_key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        std::fs::write(folder.path().join("ca.pem"), params.self_signed(&authority_key)?.pem())?;
        let issuer = Issuer::new(params, authority_key);
        let (certificate, key) = issue(&issuer)?;
        let (next, _) = issue(&issuer)?;
        let pin = |certificate| KeyPin::of(certificate).ok_or_else(|| anyhow!("a certificate cannot be read"));
        let (own, spare) = (pin(&certificate)?, pin(&next)?);
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let serving = tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), application));
        Ok(Self { address, folder, own, spare, serving })
    }

    /// How a gateway reaches it.
    pub(crate) fn upstream(&self, pins: Pins) -> UpstreamSettings {
        UpstreamSettings {
            scheme: UpstreamScheme::Https,
            authorities: Some(self.folder.path().join("ca.pem")),
            pins: match pins {
                Pins::None => Vec::new(),
                Pins::OwnAndSpare => vec![self.own, self.spare],
            },
            ..sample_upstream(self.address)
        }
    }
}

impl Drop for SecureBack {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn issue(issuer: &Issuer<'_, KeyPair>) -> anyhow::Result<(CertificateDer<'static>, PrivateKeyDer<'static>)> {
    let key = KeyPair::generate()?;
    let params = CertificateParams::new(vec![Ipv4Addr::LOCALHOST.to_string()])?;
    let certificate = params.signed_by(&key, issuer)?.der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|error| anyhow!(error))?;
    Ok((certificate, key))
}

async fn serve(listener: tokio::net::TcpListener, acceptor: TlsAcceptor, application: SocketAddr) {
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let (Ok(mut client), Ok(mut back)) = (acceptor.accept(stream).await, TcpStream::connect(application).await)
            else {
                return;
            };
            // However it ends, both sides are closed.
            let _ = tokio::io::copy_bidirectional(&mut client, &mut back).await;
        });
    }
}
