//! What the gateway shows as its identity: certificates from files, from a local authority for trying things out, or
//! from an authority that is asked over ACME and whose certificates are kept in the store.

mod challenge;
mod identity;
mod local;
mod shelf;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use reeve_base::{SealError, Sealer, Timestamp};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::acme::AcmeSettings;

pub(crate) use challenge::{ACME_TLS, Answer, Challenges};
pub(crate) use identity::hexadecimal;
pub use identity::{Identity, IdentityError};
pub use local::LocalAuthority;
pub use shelf::{Certificates, Shown};
pub(crate) use shelf::{Shelf, Slot};

/// Where an identity comes from.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_enums, reason = "each source is loaded in its own way")]
pub enum Certificate {
    /// A chain and its key, both in PEM.
    Files {
        /// The chain, the server's own certificate first.
        chain: PathBuf,
        /// The private key.
        key: PathBuf,
    },
    /// Issued at every start by an authority of this installation.
    Local(LocalAuthority),
    /// Obtained from an authority over ACME, kept in the store.
    Acme(AcmeCertificate),
}

/// A certificate that is asked for over ACME (RFC 8555).
#[derive(Debug, Clone)]
pub struct AcmeCertificate {
    /// The names that it holds, in lower case: at least one, at most 100. A wildcard needs [`crate::ChallengeKind::Dns`].
    pub names: Vec<String>,
    /// Whom it is asked of, and how the names are shown to be ours.
    pub settings: Arc<AcmeSettings>,
    /// What the store holds of it; without it, a temporary certificate is shown until one was issued.
    pub kept: Option<Arc<Identity>>,
}

/// What is shown beside the first certificate.
#[derive(Debug, Clone, Default)]
pub struct Sites {
    /// The others, each for the names that it holds.
    pub certificates: Vec<Certificate>,
    /// What a client gets that asks for a name of none.
    pub unknown: UnknownName,
}

/// What a client gets that asks for a name that no certificate holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "it is the first one or nothing")]
pub enum UnknownName {
    /// The first certificate, and its own judgement of it.
    #[default]
    First,
    /// No handshake.
    Refuse,
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// A file cannot be read or written.
    #[error("`{path}`: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is not the PEM it should be.
    #[error("`{path}` holds no {what} in PEM: {cause}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// What the parser says.
        cause: String,
    },
    /// The key belongs to another certificate.
    #[error("the key `{key}` does not belong to the certificate `{chain}`")]
    Mismatch {
        /// The certificate.
        chain: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// The certificate's time is over, or has not come.
    #[error("the certificate `{path}` is valid from {from} to {to}, and now it is {now}")]
    Validity {
        /// The certificate.
        path: PathBuf,
        /// Its first instant.
        from: Timestamp,
        /// Its last instant.
        to: Timestamp,
        /// The present.
        now: Timestamp,
    },
    /// The key is of a kind that TLS cannot use.
    #[error("the key `{key}` cannot be used: {source}")]
    Key {
        /// The key.
        key: PathBuf,
        /// What the library says.
        source: rustls::Error,
    },
    /// The local authority's key does not open, or cannot be sealed.
    #[error("the local authority's key in `{path}`: {source}")]
    Seal {
        /// Its folder.
        path: PathBuf,
        /// What the vault says.
        source: SealError,
    },
    /// The local authority cannot issue.
    #[error("the local authority in `{path}` cannot issue a certificate: {cause}")]
    Authority {
        /// Its folder.
        path: PathBuf,
        /// What the library says.
        cause: String,
    },
    /// The temporary certificate cannot be made.
    #[error("no temporary certificate can be made for `{names}`: {cause}")]
    Temporary {
        /// Whom it would be for.
        names: String,
        /// What the library says.
        cause: String,
    },
}

impl Certificate {
    /// Loads or issues the identity, checked: the key fits, and `now` lies in its time. With a `sealer`, private keys of
    /// our own making are kept sealed.
    ///
    /// # Errors
    /// Every variant of [`CertificateError`]; nothing is half loaded.
    pub fn load(&self, sealer: Option<&dyn Sealer>, now: Timestamp) -> Result<Arc<Identity>, CertificateError> {
        match self {
            Self::Files { chain, key } => from_files(chain, key, now).map(Arc::new),
            Self::Local(authority) => authority.issue(sealer, now).map(Arc::new),
            Self::Acme(AcmeCertificate { kept: Some(kept), .. }) if kept.lasts_at(now) => Ok(Arc::clone(kept)),
            Self::Acme(AcmeCertificate { names, .. }) => temporary(names, now).map(Arc::new),
        }
    }
}

fn temporary(names: &[String], now: Timestamp) -> Result<Identity, CertificateError> {
    local::self_signed(names, now).map_err(|cause| CertificateError::Temporary { names: names.join(", "), cause })
}

fn from_files(chain_path: &Path, key_path: &Path, now: Timestamp) -> Result<Identity, CertificateError> {
    let pem = |path: &Path, what| {
        let path = path.to_owned();
        move |error: rustls::pki_types::pem::Error| match error {
            rustls::pki_types::pem::Error::Io(source) => CertificateError::File { path: path.clone(), source },
            other => CertificateError::Pem { path: path.clone(), what, cause: other.to_string() },
        }
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(chain_path)
        .map_err(pem(chain_path, "certificate"))?
        .collect::<Result<_, _>>()
        .map_err(pem(chain_path, "certificate"))?;
    let unreadable = |cause: String| CertificateError::Pem { path: chain_path.to_owned(), what: "certificate", cause };
    let leaf = chain.first().ok_or_else(|| unreadable(IdentityError::Empty.to_string()))?;
    // First of all, so that of an old certificate it is said that it is old, whatever else is wrong with it.
    let (from, to) = identity::life(leaf).map_err(|error| unreadable(error.to_string()))?;
    if !(from.as_second()..=to.as_second()).contains(&now.as_second()) {
        return Err(CertificateError::Validity { path: chain_path.to_owned(), from, to, now });
    }
    let key = PrivateKeyDer::from_pem_file(key_path).map_err(pem(key_path, "private key"))?;
    Identity::new(chain, key).map_err(|error| match error {
        IdentityError::Foreign => CertificateError::Mismatch { chain: chain_path.to_owned(), key: key_path.to_owned() },
        IdentityError::Key(source) => CertificateError::Key { key: key_path.to_owned(), source },
        other => unreadable(other.to_string()),
    })
}

#[cfg(test)]
mod tests;
