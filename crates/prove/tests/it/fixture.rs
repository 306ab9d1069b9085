//! What the tests share: certificates, a target, a policy, and the words of a report.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use reeve_base::{Clock, SystemClock, SystemEntropy, Verdict};
use reeve_policy::Policy;
use reeve_prove::{Options, Progress, Report, Target, Trust, judge};
use rustls::pki_types::CertificateDer;

/// A certificate of 127.0.0.1 by an authority of its own.
pub(crate) struct Certificate {
    pub(crate) chain_pem: String,
    pub(crate) key_pem: String,
    pub(crate) authority: CertificateDer<'static>,
}

/// Makes one that lasts so many days. The key is RSA, so that static key exchange is possible at all.
pub(crate) fn certificate(days: i64) -> Certificate {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);

    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let mut params = CertificateParams::new(vec![String::from("127.0.0.1"), String::from("localhost")]).unwrap();
    let end = today().saturating_add(jiff::Span::new().days(days));
    let month = u8::try_from(end.month()).unwrap();
    params.not_after = rcgen::date_time_ymd(end.year().into(), month, u8::try_from(end.day()).unwrap());
    let leaf = params.signed_by(&key, &issuer).unwrap();
    let chain_pem = format!("{}{}", leaf.pem(), authority.pem());
    Certificate { chain_pem, key_pem: key.serialize_pem(), authority: authority.der().clone() }
}

pub(crate) fn today() -> jiff::civil::Date {
    SystemClock::new().now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

pub(crate) fn policy(text: &str) -> Policy {
    let checked = reeve_policy::check("policy.toml", text.as_bytes(), today());
    assert!(checked.faults.is_empty(), "{:#?}", checked.faults);
    checked.policy.unwrap()
}

pub(crate) async fn target(https: u16, http: Option<u16>, authority: Option<CertificateDer<'static>>) -> Target {
    let mut target = Target::resolve(&format!("https://127.0.0.1:{https}"), http).await.unwrap();
    target.trust = Trust::Authorities(authority.into_iter().collect());
    target
}

pub(crate) fn options(target: &Target) -> Options {
    Options::new(target, Arc::new(SystemClock::new()), Arc::new(SystemEntropy))
}

pub(crate) async fn run(policy: &Policy, target: &Target) -> Report {
    run_with(policy, target, &options(target)).await
}

pub(crate) async fn run_with(policy: &Policy, target: &Target, options: &Options) -> Report {
    judge(policy, target, options, &|progress| {
        if let Progress::Finished { control, verdict, seen, .. } = progress {
            println!("{control:24} {:8} {seen}", verdict.word());
        }
    })
    .await
}

/// Options that wait for nothing longer than this.
pub(crate) fn hasty(target: &Target) -> Options {
    Options { deadline: Duration::from_millis(300), ..options(target) }
}

/// The clauses with this verdict, in the order of the policy.
pub(crate) fn with_verdict<'r>(report: &'r Report, word: &str) -> Vec<&'r str> {
    let rows = report.rows.iter().filter(|row| row.evidence.verdict.word() == word);
    rows.map(|row| row.evidence.clause.as_str()).collect()
}

/// Everything that was observed for a clause, one to a line.
pub(crate) fn observations(report: &Report, clause: &str) -> String {
    let row = report.rows.iter().find(|row| row.evidence.clause.as_str() == clause).unwrap();
    row.evidence.observations.join("\n")
}

#[track_caller]
pub(crate) fn assert_observed(report: &Report, clause: &str, parts: &[&str]) {
    let observed = observations(report, clause);
    for part in parts {
        assert!(observed.contains(part), "`{part}` is not among what was seen of `{clause}`:\n{observed}");
    }
}

pub(crate) fn verdict(report: &Report, clause: &str) -> Verdict {
    let row = report.rows.iter().find(|row| row.evidence.clause.as_str() == clause).unwrap();
    row.evidence.verdict.clone()
}
