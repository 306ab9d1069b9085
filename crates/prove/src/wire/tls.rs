//! TLS connections for everything that is not about TLS itself.
//!
//! They accept any certificate, because a probe wants to see the headers of a site whose certificate ran out
//! yesterday too; `tls.cert_expiry` judges the certificate, and nothing secret is ever sent.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Site, WireError};

/// An established connection.
pub(crate) type Stream = TlsStream<TcpStream>;

/// Which protocol is asked for inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1.
    H1,
    /// HTTP/2.
    H2,
}

/// The two ways of connecting.
pub(super) struct Connectors {
    h1: TlsConnector,
    h2: TlsConnector,
}

impl Connectors {
    pub(super) fn new() -> Result<Self, rustls::Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let h1 = connector(Arc::clone(&provider), b"http/1.1")?;
        let h2 = connector(provider, b"h2")?;
        Ok(Self { h1, h2 })
    }

    const fn of(&self, protocol: Protocol) -> &TlsConnector {
        match protocol {
            Protocol::H1 => &self.h1,
            Protocol::H2 => &self.h2,
        }
    }
}

fn connector(provider: Arc<CryptoProvider>, protocol: &[u8]) -> Result<TlsConnector, rustls::Error> {
    let verifier = Arc::new(AnyCertificate(Arc::clone(&provider)));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    // Each connection is a new client: a resumed session would hide what a full handshake shows.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

impl Site {
    /// The way to shake hands with another server than the target, whatever certificate it has.
    pub(crate) fn any_certificate(&self) -> &TlsConnector {
        self.run.connectors.of(Protocol::H1)
    }

    /// Connects and shakes hands; one out of the budget.
    pub(crate) async fn tls(&self, protocol: Protocol) -> Result<Stream, WireError> {
        self.spend()?;
        let stream = self.connect(self.target().https).await?;
        self.tls_over(stream, protocol).await
    }

    /// Shakes hands over a connection that is open already.
    pub(crate) async fn tls_over(&self, stream: TcpStream, protocol: Protocol) -> Result<Stream, WireError> {
        let name = self.target().server_name();
        let name = name.ok_or_else(|| WireError::Handshake(format!("`{}` is no host", self.target().host())))?;
        let handshake = self.run.connectors.of(protocol).connect(name, stream);
        match timeout(self.deadline(), handshake).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(WireError::Handshake(error.to_string())),
            Err(_) => Err(WireError::Silent(self.deadline())),
        }
    }
}

/// Takes whatever certificate there is. The handshake's signature is still checked: whoever answers holds its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
