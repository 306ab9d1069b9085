//! tls.acme: whether the certificate that is shown is one that is replaced by itself, and in time.
//!
//! How much of its life has passed is seen from outside, and is a fault wherever it is too much. That it is replaced by
//! itself is seen from inside only: there the gateway says which certificates it cares for, and the ledger whether this
//! one was issued by that care.

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use reeve_base::Cause;
use reeve_policy::catalogue::TlsAcme;

use super::certificate::{Life, chain, read_life};
use super::{Kept, Notes, Probe, Running, Sends, trail};
use crate::Target;
use crate::wire::Site;
use crate::wire::desk::{CertificateStatus, Status};

impl Probe for TlsAcme {
    fn plan(&self, _: &Target) -> Sends {
        Sends::requests(6, "a handshake that keeps the certificate, a request, and questions to the control socket")
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let (mut life, mut fingerprint) = shown(site).await?;
            let passed = passed(&life, site.now());
            let percent = passed / PART_OF_PERCENT;
            notes.saw(format!("certificate {fingerprint}, valid from {} to {}", life.from, life.to));
            if passed > u64::from(self.life) * PART_OF_PERCENT {
                let promised = self.life;
                notes.fault(format!(
                    "{percent}% of the certificate's validity have passed, promised at most {promised}%"
                ));
            }
            let twin = site.serves(notes).await?;
            let mut status = site.status().await?;
            if cared_for(&status, &fingerprint).is_none() {
                // It may have been replaced in between, and then the next handshake shows the new one.
                (life, fingerprint) = shown(site).await?;
                status = site.status().await?;
            }
            let Some(certificate) = cared_for(&status, &fingerprint) else {
                notes.fault("the certificate that visitors see is none of those that the gateway shows");
                return Ok(Kept::with(twin, ""));
            };
            care(self, certificate, &life, notes);
            recorded(site, certificate, &status, notes).await?;
            let from = &certificate.source;
            Ok(Kept::with(twin, format!("{percent}% of its validity have passed; replaced by itself, from {from}")))
        })
    }
}

/// What the gateway says that it will do with a certificate.
fn care(promise: &TlsAcme, certificate: &CertificateStatus, life: &Life, notes: &mut Notes) {
    if certificate.temporary {
        notes.fault("only a temporary certificate is shown: none has been issued");
        return;
    }
    let Some(renews) = certificate.renews else {
        notes.fault(format!("nobody replaces the certificate by itself: it comes from {}", certificate.source));
        return;
    };
    let planned = passed(life, renews);
    notes.either(if planned > u64::from(promise.life) * PART_OF_PERCENT {
        Err(format!("it would be replaced only at {renews}, after {}% of its validity", planned / PART_OF_PERCENT))
    } else {
        Ok(format!("it is replaced at {renews} at the latest"))
    });
}

/// A certificate from an authority is in the ledger since before it was shown. One of the gateway's own is issued at each
/// start as well, and only what was replaced while it ran is recorded.
async fn recorded(
    site: &Site,
    certificate: &CertificateStatus,
    status: &Status,
    notes: &mut Notes,
) -> Result<(), Cause> {
    if certificate.temporary {
        return Ok(());
    }
    let object = format!("sha256:{}", certificate.fingerprint);
    let asked_for = certificate.source == "acme";
    let found = match asked_for {
        true => site.find("object", &object).await?,
        false => site.find_at_once("object", &object).await?,
    };
    if found.is_empty() && !asked_for {
        notes.saw("the ledger has no record of its issue: it was made when the gateway started");
        return Ok(());
    }
    let issue = |event: &serde_json::Value| event.get("activity").is_some_and(|it| it == "certificate.issued");
    notes.either(trail::recorded("the issue of the certificate", &found, status, issue));
    Ok(())
}

fn cared_for<'s>(status: &'s Status, fingerprint: &str) -> Option<&'s CertificateStatus> {
    status.certificates.iter().find(|certificate| certificate.fingerprint == fingerprint)
}

async fn shown(site: &Site) -> Result<(Life, String), Cause> {
    let chain = chain(site).await?;
    let leaf = chain.first();
    let leaf = leaf.ok_or_else(|| Cause::Unexpected(String::from("the handshake shows no certificate")))?;
    let fingerprint = digest(&SHA256, leaf).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((read_life(leaf)?, fingerprint))
}

/// How much of a life has passed, in thousandths of a percent; all of it, if it is no life.
fn passed(life: &Life, now: Timestamp) -> u64 {
    let span = |from: Timestamp, to: Timestamp| {
        u64::try_from(to.as_millisecond().saturating_sub(from.as_millisecond())).unwrap_or(0)
    };
    let (age, whole) = (span(life.from, now), span(life.from, life.to));
    age.saturating_mul(100 * PART_OF_PERCENT).checked_div(whole).unwrap_or(100 * PART_OF_PERCENT)
}

const PART_OF_PERCENT: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(now: &str, expected: u64) {
        let time = |text: &str| text.parse().unwrap();
        let (from, to) = (time("2026-01-01T00:00:00Z"), time("2026-04-11T00:00:00Z"));
        let life = Life { subject: String::new(), issuer: String::new(), from, to };
        assert_eq!(passed(&life, time(now)), expected, "{now}");
    }

    #[test]
    fn the_share_of_a_life_is_exact_at_its_ends() {
        check("2025-12-31T00:00:00Z", 0);
        check("2026-01-01T00:00:00Z", 0);
        check("2026-03-09T00:00:00Z", 67_000);
        check("2026-03-09T00:01:27Z", 67_001);
        check("2026-04-11T00:00:00Z", 100_000);
        check("2026-05-01T00:00:00Z", 120_000);
    }
}
