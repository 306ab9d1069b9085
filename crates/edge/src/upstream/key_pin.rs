//! Keys that are known beforehand: a server with another key is refused, whoever vouches for it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

/// SHA-256 of a server's public key with its algorithm (SubjectPublicKeyInfo, RFC 7469 section 2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyPin([u8; 32]);

/// A text that is no pin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is no pin: SHA-256 of a public key in base64, after `sha256/`")]
pub struct KeyPinError;

impl KeyPin {
    /// The pin of a certificate's key; none if it cannot be read.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let hash = digest(&SHA256, certificate.public_key().raw);
        hash.as_ref().try_into().ok().map(Self)
    }
}

impl FromStr for KeyPin {
    type Err = KeyPinError;

    /// `sha256/` and base64; `sha256//`, as curl writes it, too.
    fn from_str(text: &str) -> Result<Self, KeyPinError> {
        let encoded = text.strip_prefix("sha256//").or_else(|| text.strip_prefix("sha256/")).ok_or(KeyPinError)?;
        STANDARD.decode(encoded).ok().and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(KeyPinError)
    }
}

impl fmt::Display for KeyPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256/{}", STANDARD.encode(self.0))
    }
}

/// Verifies the key first and then everything else.
#[derive(Debug)]
pub(super) struct Pinned {
    pub(super) pins: Vec<KeyPin>,
    pub(super) chain: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // The server's own key only: to pin an issuer would let in whomever that issues for.
        if !KeyPin::of(end_entity).is_some_and(|pin| self.pins.contains(&pin)) {
            return Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure));
        }
        self.chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_written_as_it_is_read() {
        let text = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        let pin: KeyPin = text.parse().unwrap();
        assert_eq!(pin.to_string(), text);
        assert_eq!("sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".parse(), Ok(pin));
    }

    #[test]
    fn what_is_no_digest_is_no_pin() {
        for text in
            ["", "sha256/", "sha1/2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "sha256/2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "sha256/x"]
        {
            assert_eq!(text.parse::<KeyPin>(), Err(KeyPinError), "{text}");
        }
    }
}
