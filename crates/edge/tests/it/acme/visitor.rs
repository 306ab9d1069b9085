//! A visitor who looks at the certificate and believes any.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// Shakes hands, asking for this name and these protocols; without a name as those do who know only an address.
pub(crate) fn handshake(
    address: SocketAddr,
    name: Option<&str>,
    protocols: &[&[u8]],
) -> Result<(Stream, Vec<CertificateDer<'static>>), std::io::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Any(provider)))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config.resumption = rustls::client::Resumption::disabled();
    let name = name.map_or_else(
        || ServerName::IpAddress(address.ip().into()),
        |name| ServerName::try_from(name.to_owned()).unwrap(),
    );
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut tcp = TcpStream::connect(address)?;
    tcp.set_read_timeout(Some(Duration::from_secs(10)))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut tcp)?;
    }
    let chain = connection.peer_certificates().unwrap().iter().map(|one| one.clone().into_owned()).collect();
    Ok((StreamOwned::new(connection, tcp), chain))
}

/// One request over a new connection: the chain, and the answer.
pub(crate) fn visit(address: SocketAddr, name: Option<&str>) -> (Vec<CertificateDer<'static>>, String) {
    let (mut stream, chain) = handshake(address, name, &[b"http/1.1"]).unwrap();
    let host = name.unwrap_or("localhost");
    write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // Whether the end is announced is not what is asked here.
    let _ = stream.read_to_end(&mut answer);
    (chain, String::from_utf8_lossy(&answer).into_owned())
}

/// The names in the certificate that is shown.
pub(crate) fn names_shown(address: SocketAddr, name: Option<&str>) -> Vec<String> {
    let (_, chain) = handshake(address, name, &[]).unwrap();
    let (_, certificate) = X509Certificate::from_der(&chain[0]).unwrap();
    let extension = certificate.subject_alternative_name().unwrap().unwrap();
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    };
    extension.value.general_names.iter().filter_map(name).collect()
}

#[derive(Debug)]
struct Any(Arc<CryptoProvider>);

impl ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
