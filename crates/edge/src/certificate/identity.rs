//! A certificate chain with its key, and what the certificate says of itself.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use reeve_base::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::aws_lc_rs as provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, RootCertStore};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What a listener shows: a chain, the key of its first certificate, and what that certificate says.
#[derive(Debug)]
pub struct Identity {
    key: Arc<CertifiedKey>,
    names: Vec<String>,
    issuer: String,
    fingerprint: String,
    from: Timestamp,
    to: Timestamp,
    temporary: bool,
}

/// Why a chain and a key are no identity, or not the one that was wanted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// There is no certificate at all.
    #[error("no such section")]
    Empty,
    /// The first certificate cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// The key is another's.
    #[error("the key does not belong to the certificate")]
    Foreign,
    /// The key cannot be used.
    #[error("{0}")]
    Key(rustls::Error),
    /// The chain ends with the server's own certificate, and clients could not verify it.
    #[error("the chain holds no issuer")]
    NoIssuer,
    /// The chain does not lead from its first certificate to its last, or is not for this name and time.
    #[error("the chain is not valid for `{name}`: {cause}")]
    Chain {
        /// The name that was looked for.
        name: String,
        /// What the verifier says.
        cause: String,
    },
}

impl Identity {
    /// Puts a chain and its key together.
    ///
    /// # Errors
    /// When there is no certificate, it cannot be read, or the key is not its own.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, IdentityError> {
        let leaf = chain.first().ok_or(IdentityError::Empty)?;
        let certificate = read(leaf)?;
        let (from, to) = validity(&certificate)?;
        let (names, issuer) = (names(&certificate), certificate.issuer().to_string());
        let fingerprint = hexadecimal(digest(&SHA256, leaf).as_ref());
        let key = CertifiedKey::from_der(chain, key, &provider::default_provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => IdentityError::Foreign,
            other => IdentityError::Key(other),
        })?;
        Ok(Self { key: Arc::new(key), names, issuer, fingerprint, from, to, temporary: false })
    }

    /// The same, marked as one that only stands in until there is a better one.
    pub(super) const fn only_for_now(mut self) -> Self {
        self.temporary = true;
        self
    }

    /// What rustls signs with.
    pub(crate) const fn key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }

    /// The names and addresses in it, in lower case.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Who issued it, as the certificate says.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// SHA-256 of the certificate, in lower-case hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Its first and its last instant.
    #[must_use]
    pub const fn life(&self) -> (Timestamp, Timestamp) {
        (self.from, self.to)
    }

    /// Whether it only stands in for one that is not issued yet.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        self.temporary
    }

    /// Whether `now` lies in its time, bounds included (RFC 5280 section 4.1.2.5).
    #[must_use]
    pub fn lasts_at(&self, now: Timestamp) -> bool {
        (self.from.as_second()..=self.to.as_second()).contains(&now.as_second())
    }

    /// How long it is still valid.
    pub(crate) fn time_left(&self, now: Timestamp) -> Duration {
        Duration::try_from(self.to.duration_since(now)).unwrap_or_default()
    }

    /// Chance of its own, the same wherever the certificate is looked at: all gateways come to the same moment.
    pub(crate) fn jitter(&self) -> u16 {
        let digits = self.fingerprint.get(..4).unwrap_or_default();
        u16::from_str_radix(digits, 16).unwrap_or_default()
    }

    /// The server's own certificate.
    pub(crate) fn leaf(&self) -> Option<&CertificateDer<'static>> {
        self.key.cert.first()
    }

    /// Finds out whether a client that trusts the last certificate of the chain would accept it for each of `names` at
    /// `now`: signatures, names, purposes and times.
    ///
    /// # Errors
    /// [`IdentityError::NoIssuer`] or [`IdentityError::Chain`].
    pub fn verify(&self, names: &[String], now: Timestamp) -> Result<(), IdentityError> {
        let Some((leaf, issuers)) = self.key.cert.split_first() else { return Err(IdentityError::Empty) };
        let Some((last, between)) = issuers.split_last() else { return Err(IdentityError::NoIssuer) };
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        for name in names {
            let wrong = |cause: String| IdentityError::Chain { name: name.clone(), cause };
            let verifier = verifier(last).map_err(|error| wrong(error.to_string()))?;
            let asked = asked_for(name).ok_or_else(|| wrong(String::from("it is no name")))?;
            verifier.verify_server_cert(leaf, between, &asked, &[], now).map_err(|error| {
                wrong(match error {
                    rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                        String::from("its certificates do not sign each other")
                    }
                    other => other.to_string(),
                })
            })?;
        }
        Ok(())
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for Identity {}

fn verifier(anchor: &CertificateDer<'static>) -> Result<Arc<WebPkiServerVerifier>, String> {
    let mut roots = RootCertStore::empty();
    roots.add(anchor.clone()).map_err(|error| error.to_string())?;
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider::default_provider()))
        .build()
        .map_err(|error| error.to_string())
}

/// What a client would ask for that is covered by `name`: of a wildcard, some host below it.
fn asked_for(name: &str) -> Option<ServerName<'static>> {
    let host = name.strip_prefix("*.").map_or_else(|| name.to_owned(), |parent| format!("any.{parent}"));
    ServerName::try_from(host).ok()
}

/// The first and the last instant of a certificate, whatever else is wrong with it.
pub(super) fn life(certificate: &CertificateDer<'_>) -> Result<(Timestamp, Timestamp), IdentityError> {
    validity(&read(certificate)?)
}

fn read<'c>(certificate: &'c CertificateDer<'_>) -> Result<X509Certificate<'c>, IdentityError> {
    let read = X509Certificate::from_der(certificate).map_err(|error| IdentityError::Unreadable(error.to_string()))?;
    Ok(read.1)
}

fn validity(certificate: &X509Certificate<'_>) -> Result<(Timestamp, Timestamp), IdentityError> {
    let time = |seconds| Timestamp::from_second(seconds).map_err(|error| IdentityError::Unreadable(error.to_string()));
    let (from, to) = (certificate.validity().not_before, certificate.validity().not_after);
    Ok((time(from.timestamp())?, time(to.timestamp())?))
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    };
    extension.value.general_names.iter().filter_map(name).collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
