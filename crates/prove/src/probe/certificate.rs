//! tls.cert_expiry: who vouches for the certificate, whom it names, and how long it lasts.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reeve_base::Cause;
use reeve_policy::catalogue::TlsCertExpiry;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{CertificateError, RootCertStore};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Kept, Notes, Probe, Running, Sends};
use crate::wire::Site;
use crate::wire::tls::Protocol;
use crate::{Target, Trust};

impl Probe for TlsCertExpiry {
    fn plan(&self, _target: &Target) -> Sends {
        Sends::requests(2, "a handshake that takes any certificate and keeps it, then an ordinary request")
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let chain = chain(site).await?;
            let Some((leaf, intermediates)) = chain.split_first() else {
                return Err(Cause::Unexpected(String::from("the handshake shows no certificate")));
            };
            let life = read_life(leaf)?;
            notes.saw(format!(
                "certificate of {}, issued by {}, valid from {} to {}, {} more in the chain",
                life.subject,
                life.issuer,
                life.from,
                life.to,
                intermediates.len()
            ));
            let now = site.now();
            let left = life.to.duration_since(now);
            if left < SignedDuration::ZERO {
                notes.fault(format!("the certificate expired on {}", life.to));
            } else if left.unsigned_abs() < self.left.duration() {
                let days = left.as_hours() / 24;
                notes.fault(format!("the certificate ends on {}: {days} days left, promised {}", life.to, self.left));
            }
            verify(site.target(), leaf, intermediates, now, notes)?;
            let twin = site.serves(notes).await?;
            let days = left.as_hours() / 24;
            Ok(Kept::with(twin, format!("trusted, names {}, {days} days left", site.target().host())))
        })
    }
}

/// What a handshake shows, the server's own certificate first.
pub(super) async fn chain(site: &Site) -> Result<Vec<CertificateDer<'static>>, Cause> {
    let stream = site.tls(Protocol::H1).await?;
    let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
    Ok(shown.iter().map(|one| one.clone().into_owned()).collect())
}

/// What a certificate says of itself.
pub(super) struct Life {
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

pub(super) fn read_life(leaf: &CertificateDer<'_>) -> Result<Life, Cause> {
    let (_, certificate) = X509Certificate::from_der(leaf)
        .map_err(|error| Cause::Unexpected(format!("the certificate cannot be read: {error}")))?;
    let time = |seconds: i64| {
        let outside = |_| Cause::Unexpected(format!("the certificate states a time that is none: {seconds}"));
        Timestamp::from_second(seconds).map_err(outside)
    };
    let validity = certificate.validity();
    Ok(Life {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        from: time(validity.not_before.timestamp())?,
        to: time(validity.not_after.timestamp())?,
    })
}

/// Verifies chain and name as a browser would. That time has run out is told by the caller, in more detail.
fn verify(
    target: &Target,
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: Timestamp,
    notes: &mut Notes,
) -> Result<(), Cause> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(&target.trust)?), provider)
        .build()
        .map_err(|error| Cause::Unexpected(format!("no verifier: {error}")))?;
    let name = target.server_name();
    let name = name.ok_or_else(|| Cause::Unexpected(format!("`{}` is no host", target.host())))?;
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    match verifier.verify_server_cert(leaf, intermediates, &name, &[], now) {
        Ok(_) => notes.saw(format!("the chain is trusted and names {}", target.host())),
        Err(rustls::Error::InvalidCertificate(error)) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                // Of an intermediate: the leaf's own end is told above.
                if notes.faults() == 0 {
                    notes.fault("a certificate of the chain has expired");
                }
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                notes.fault("the certificate is not valid yet");
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                notes.fault(format!("the certificate does not name {}", target.host()));
            }
            CertificateError::UnknownIssuer => notes.fault("the certificate's issuer is not trusted"),
            other => notes.fault(format!("the certificate is not valid: {other}")),
        },
        Err(error) => return Err(Cause::Unexpected(format!("the chain cannot be verified: {error}"))),
    }
    Ok(())
}

fn roots(trust: &Trust) -> Result<RootCertStore, Cause> {
    let mut store = RootCertStore::empty();
    let (added, _) = match trust {
        Trust::System => store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
        Trust::Authorities(authorities) => store.add_parsable_certificates(authorities.iter().cloned()),
    };
    if added == 0 {
        return Err(Cause::Unexpected(String::from("there is no authority to verify the chain by")));
    }
    Ok(store)
}
