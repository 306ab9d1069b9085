//! What shows an authority that a name is ours: answered by the listeners while an order waits for it.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::ClientHello;
use rustls::sign::CertifiedKey;

use super::identity::IdentityError;

/// The answers that are ready, of all orders under way. Read by every handshake and request, changed a few times a year.
#[derive(Debug, Default)]
pub(crate) struct Challenges(ArcSwap<Ready>);

#[derive(Debug, Default)]
struct Ready {
    /// By token: the key authorization (RFC 8555 section 8.3).
    http: HashMap<String, String>,
    /// By name: the certificate that proves it (RFC 8737).
    tls: HashMap<String, Arc<CertifiedKey>>,
}

/// What is answered to an authority that looks.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Answer {
    /// Over plain HTTP, at `/.well-known/acme-challenge/TOKEN`.
    Http { token: String, authorization: String },
    /// In a handshake that asks for nothing but `acme-tls/1`: SHA-256 of the key authorization in the certificate.
    Tls { name: String, digest: [u8; 32] },
}

impl Challenges {
    /// Whether anything is ready at all: what every request asks first.
    pub(crate) fn http(&self, token: &str) -> Option<String> {
        self.0.load().http.get(token).cloned()
    }

    /// The certificate for a handshake that wants to see the proof for a name.
    pub(super) fn tls(&self, hello: &ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?.to_ascii_lowercase();
        self.0.load().tls.get(&name).cloned()
    }

    /// Makes `answers` all that is answered.
    pub(crate) fn set(&self, answers: &[Answer]) -> Result<(), IdentityError> {
        let mut ready = Ready::default();
        for answer in answers {
            match answer {
                Answer::Http { token, authorization } => {
                    ready.http.insert(token.clone(), authorization.clone());
                }
                Answer::Tls { name, digest } => {
                    ready.tls.insert(name.clone(), proof(name, digest)?);
                }
            }
        }
        self.0.store(Arc::new(ready));
        Ok(())
    }
}

/// Whether a client offers `acme-tls/1` and nothing else, as only an authority that looks for a proof does.
pub(super) fn looks_for_proof(hello: &ClientHello<'_>) -> bool {
    hello.alpn().is_some_and(|mut offered| offered.next() == Some(ACME_TLS) && offered.next().is_none())
}

/// A certificate of its own key for this name, with the digest in it (RFC 8737 section 3).
fn proof(name: &str, digest: &[u8; 32]) -> Result<Arc<CertifiedKey>, IdentityError> {
    let cannot = |error: rcgen::Error| IdentityError::Unreadable(error.to_string());
    let key = KeyPair::generate().map_err(cannot)?;
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(cannot)?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key).map_err(cannot)?;
    let der =
        PrivateKeyDer::try_from(key.serialize_der()).map_err(|error| IdentityError::Unreadable(error.to_owned()))?;
    // Put together without a look at the certificate: its extension is critical, and no ordinary reader may know it.
    let signer = any_supported_type(&der).map_err(IdentityError::Key)?;
    Ok(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], signer)))
}

/// The protocol of a handshake that is a proof (RFC 8737 section 6.2).
pub(crate) const ACME_TLS: &[u8] = b"acme-tls/1";
