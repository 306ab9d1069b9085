//! A certificate authority of this machine's own, for trying things out.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use reeve_base::{Purpose, Sealer, Secret, Timestamp};
use rustls::pki_types::PrivateKeyDer;

use super::CertificateError;
use super::identity::Identity;

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

impl LocalAuthority {
    /// The file that clients need in order to trust this authority.
    #[must_use]
    pub fn certificate_path(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    pub(super) fn key_path(&self, sealer: Option<&dyn Sealer>) -> PathBuf {
        self.folder.join(if sealer.is_some() { "ca-key.sealed" } else { "ca-key.pem" })
    }

    fn refuse(&self, cause: impl std::fmt::Display) -> CertificateError {
        CertificateError::Authority { path: self.folder.clone(), cause: cause.to_string() }
    }

    pub(super) fn issue(&self, sealer: Option<&dyn Sealer>, now: Timestamp) -> Result<Identity, CertificateError> {
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
        Identity::new(vec![leaf.der().clone()], key_der).map_err(|error| self.refuse(error))
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

/// A certificate that nobody vouches for, to be shown until there is one.
pub(super) fn self_signed(names: &[String], now: Timestamp) -> Result<Identity, String> {
    let key = KeyPair::generate().map_err(|error| error.to_string())?;
    let mut params = CertificateParams::new(names).map_err(|error| error.to_string())?;
    params.distinguished_name.push(DnType::CommonName, "Reeve, until a certificate is issued");
    set_validity(&mut params, now, TEMPORARY_DAYS);
    let certificate = params.self_signed(&key).map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::try_from(key.serialize_der())?;
    let identity = Identity::new(vec![certificate.der().clone()], key).map_err(|error| error.to_string())?;
    Ok(identity.only_for_now())
}

/// From yesterday, so that a client whose clock is slow believes it, to the end of the day `days` ahead.
pub(super) fn set_validity(params: &mut CertificateParams, now: Timestamp, days: i64) {
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

/// Long enough for an authority that is out of order over a weekend; the next start makes another.
const TEMPORARY_DAYS: i64 = 7;
