//! The gateway's identity: a certificate from files, or one from a local authority for trying things out.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use reeve_base::{Purpose, SealError, Sealer, Secret, Timestamp};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Where the identity comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
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
}

/// A certificate authority that exists on this machine only, made on first use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalAuthority {
    /// Where its certificate (`ca.pem`, to be trusted by clients) and key are kept: the key in `ca-key.sealed` where
    /// there is a sealer, else in `ca-key.pem`, mode 0600.
    pub folder: PathBuf,
    /// The names and addresses that the server's certificate holds.
    pub names: Vec<String>,
    /// For how many days the server's certificate is valid.
    pub valid_days: i64,
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
        from: String,
        /// Its last instant.
        to: String,
        /// The present.
        now: Timestamp,
    },
    /// The key is of a kind that TLS cannot use.
    #[error("the key cannot be used: {0}")]
    Key(rustls::Error),
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
}

impl Certificate {
    /// Loads or issues the identity, checked: the key fits, and `now` lies in its time. With a `sealer`, private keys of
    /// our own making are kept sealed.
    ///
    /// # Errors
    /// Every variant of [`CertificateError`]; nothing is half loaded.
    pub fn load(&self, sealer: Option<&dyn Sealer>, now: Timestamp) -> Result<CertifiedKey, CertificateError> {
        match self {
            Self::Files { chain, key } => from_files(chain, key, now),
            Self::Local(authority) => authority.issue(sealer, now),
        }
    }
}

fn from_files(chain_path: &Path, key_path: &Path, now: Timestamp) -> Result<CertifiedKey, CertificateError> {
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
    let Some(leaf) = chain.first() else {
        let cause = String::from("no such section");
        return Err(CertificateError::Pem { path: chain_path.to_owned(), what: "certificate", cause });
    };
    check_validity(leaf, chain_path, now)?;
    let key = PrivateKeyDer::from_pem_file(key_path).map_err(pem(key_path, "private key"))?;
    identity(chain, key).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            CertificateError::Mismatch { chain: chain_path.to_owned(), key: key_path.to_owned() }
        }
        other => CertificateError::Key(other),
    })
}

fn identity(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<CertifiedKey, rustls::Error> {
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
}

fn check_validity(leaf: &CertificateDer<'_>, path: &Path, now: Timestamp) -> Result<(), CertificateError> {
    let (_, certificate) = X509Certificate::from_der(leaf).map_err(|error| CertificateError::Pem {
        path: path.to_owned(),
        what: "certificate",
        cause: error.to_string(),
    })?;
    let validity = certificate.validity();
    let (from, to) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    if (from..=to).contains(&now.as_second()) {
        return Ok(());
    }
    let text = |seconds| Timestamp::from_second(seconds).map_or_else(|_| String::from("?"), |time| time.to_string());
    Err(CertificateError::Validity { path: path.to_owned(), from: text(from), to: text(to), now })
}

/// How long the certificate is still valid; `None` if that cannot be read from it.
pub(crate) fn time_left(identity: &CertifiedKey, now: Timestamp) -> Option<Duration> {
    let (_, certificate) = X509Certificate::from_der(identity.cert.first()?).ok()?;
    let seconds = certificate.validity().not_after.timestamp().saturating_sub(now.as_second());
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

impl LocalAuthority {
    /// The file that clients need in order to trust this authority.
    #[must_use]
    pub fn certificate_path(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    fn key_path(&self, sealer: Option<&dyn Sealer>) -> PathBuf {
        self.folder.join(if sealer.is_some() { "ca-key.sealed" } else { "ca-key.pem" })
    }

    fn refuse(&self, cause: impl std::fmt::Display) -> CertificateError {
        CertificateError::Authority { path: self.folder.clone(), cause: cause.to_string() }
    }

    fn issue(&self, sealer: Option<&dyn Sealer>, now: Timestamp) -> Result<CertifiedKey, CertificateError> {
        let issuer = if self.certificate_path().exists() { self.open(sealer)? } else { self.create(sealer, now)? };
        let key = KeyPair::generate().map_err(|error| self.refuse(error))?;
        let mut params = CertificateParams::new(self.names.clone()).map_err(|error| self.refuse(error))?;
        params.distinguished_name.push(DnType::CommonName, self.names.first().map_or("localhost", String::as_str));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, now, self.valid_days);
        let leaf = params.signed_by(&key, &issuer).map_err(|error| self.refuse(error))?;
        let key_der = PrivateKeyDer::try_from(key.serialize_der()).map_err(|error| self.refuse(error))?;
        identity(vec![leaf.der().clone()], key_der).map_err(CertificateError::Key)
    }

    fn open(&self, sealer: Option<&dyn Sealer>) -> Result<Issuer<'static, KeyPair>, CertificateError> {
        let read = |path: PathBuf| fs::read(&path).map_err(|source| CertificateError::File { path, source });
        let certificate = read(self.certificate_path())?;
        let kept = Secret::new(read(self.key_path(sealer))?);
        let key = match sealer {
            None => kept,
            Some(sealer) => sealer
                .open(Purpose::Certificate, KEY_CONTEXT, kept.expose())
                .map_err(|source| CertificateError::Seal { path: self.folder.clone(), source })?,
        };
        let pem = std::str::from_utf8(key.expose()).map_err(|error| self.refuse(error))?;
        let key = KeyPair::from_pem(pem).map_err(|error| self.refuse(error))?;
        let certificate = String::from_utf8(certificate).map_err(|error| self.refuse(error))?;
        Issuer::from_ca_cert_pem(&certificate, key).map_err(|error| self.refuse(error))
    }

    fn create(
        &self,
        sealer: Option<&dyn Sealer>,
        now: Timestamp,
    ) -> Result<Issuer<'static, KeyPair>, CertificateError> {
        let write = |path: PathBuf, bytes: &[u8], mode| {
            let file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
            let written = file.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
            written.map_err(|source| CertificateError::File { path, source })
        };
        fs::create_dir_all(&self.folder)
            .map_err(|source| CertificateError::File { path: self.folder.clone(), source })?;
        let key = KeyPair::generate().map_err(|error| self.refuse(error))?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Reeve local authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params, now, AUTHORITY_DAYS);
        let certificate = params.self_signed(&key).map_err(|error| self.refuse(error))?;
        // The key first: if the second write fails, the next start finds no certificate and says what stands in its way.
        let secret = Secret::new(key.serialize_pem().into_bytes());
        match sealer {
            None => write(self.key_path(sealer), secret.expose(), 0o600)?,
            Some(vault) => {
                let sealed = vault
                    .seal(Purpose::Certificate, KEY_CONTEXT, secret.expose())
                    .map_err(|source| CertificateError::Seal { path: self.folder.clone(), source })?;
                write(self.key_path(sealer), &sealed, 0o600)?;
            }
        }
        write(self.certificate_path(), certificate.pem().as_bytes(), 0o644)?;
        Ok(Issuer::new(params, key))
    }
}

/// From yesterday, so that a client whose clock is slow believes it, to the end of the day `days` ahead.
fn set_validity(params: &mut CertificateParams, now: Timestamp, days: i64) {
    let date = |timestamp: Timestamp| {
        let date = timestamp.to_zoned(jiff::tz::TimeZone::UTC).date();
        rcgen::date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    let hours = |hours| jiff::SignedDuration::from_hours(hours);
    params.not_before = date(now.saturating_sub(hours(24)).unwrap_or(now));
    params.not_after = date(now.saturating_add(hours(24 * (days + 1))).unwrap_or(now));
}

/// Where the sealed key belongs.
const KEY_CONTEXT: &[u8] = b"local authority";

/// Clients that trusted the authority once should not have to do so again soon.
const AUTHORITY_DAYS: i64 = 3_650;

#[cfg(test)]
mod tests;
