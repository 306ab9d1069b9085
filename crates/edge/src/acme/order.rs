//! One order from its beginning to a chain that was checked.

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Error, Identifier, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use reeve_base::{Secret, Timestamp};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::ChallengeKind;
use crate::certificate::{Answer, Identity, IdentityError};

/// What came of an order: the chain as the authority sent it, its key, and both together.
pub(super) struct Fresh {
    pub(super) chain: String,
    pub(super) key: Secret<Vec<u8>>,
    pub(super) identity: Identity,
}

/// A record in the DNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DnsRecord {
    pub(super) name: String,
    pub(super) value: String,
}

/// What an authority will look for.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    pub(super) answers: Vec<Answer>,
    pub(super) records: Vec<DnsRecord>,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrderError {
    #[error("{}", said(.0))]
    Authority(#[from] Error),
    #[error("the authority offers no `{kind}` for `{name}`: choose another `challenge`")]
    NotOffered { name: String, kind: &'static str },
    #[error("the authority does not believe that `{name}` is ours: {cause}")]
    Disbelieved { name: String, cause: String },
    #[error("the authority holds the order to be {0:?}")]
    Stuck(OrderStatus),
    #[error("the authority's certificate is refused: {0}")]
    Unfit(#[from] IdentityError),
    #[error("no request for a certificate can be made: {0}")]
    Request(String),
}

/// The names as an order states them.
pub(super) fn identifiers(names: &[String]) -> Vec<Identifier> {
    names.iter().cloned().map(Identifier::Dns).collect()
}

/// Begins an order; if the authority knows of such, it is told which certificate it replaces (RFC 9773 section 5).
pub(super) async fn begin(account: &Account, names: &[String], old: Option<&Identity>) -> Result<Order, OrderError> {
    let identifiers = identifiers(names);
    let replaced = old.and_then(Identity::leaf).and_then(|leaf| leaf.try_into().ok());
    if let Some(replaced) = replaced {
        match account.new_order(&NewOrder::new(&identifiers).replaces(replaced)).await {
            // It knows nothing of it, or thinks that this one was replaced already.
            Err(Error::Unsupported(_) | Error::Other(_)) => {}
            Err(Error::Api(problem)) if problem.r#type.as_deref().is_some_and(|kind| kind.ends_with(REPLACED)) => {}
            outcome => return Ok(outcome?),
        }
    }
    Ok(account.new_order(&NewOrder::new(&identifiers)).await?)
}

/// What the authority will look for, for each name that it does not know to be ours already.
pub(super) async fn proofs(order: &mut Order, kind: ChallengeKind) -> Result<Proofs, OrderError> {
    let mut proofs = Proofs::default();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let name = bare(&authorization.identifier().to_string());
        let not_offered = || OrderError::NotOffered { name: name.clone(), kind: text(kind) };
        let challenge = authorization.challenge(wire(kind)).ok_or_else(not_offered)?;
        let proof = challenge.key_authorization();
        match kind {
            ChallengeKind::Http => {
                let (token, authorization) = (challenge.token.clone(), proof.as_str().to_owned());
                proofs.answers.push(Answer::Http { token, authorization });
            }
            ChallengeKind::TlsAlpn => {
                let digest = proof.digest();
                let digest = digest.as_ref().try_into().map_err(|_| Error::Crypto)?;
                proofs.answers.push(Answer::Tls { name: name.clone(), digest });
            }
            ChallengeKind::Dns => {
                let record = DnsRecord { name: format!("_acme-challenge.{name}"), value: proof.dns_value() };
                proofs.records.push(record);
            }
        }
    }
    Ok(proofs)
}

/// Tells the authority to look, and waits until it believes.
pub(super) async fn prove(order: &mut Order, kind: ChallengeKind) -> Result<(), OrderError> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        if let Some(mut challenge) = authorization.challenge(wire(kind)) {
            challenge.set_ready().await?;
        }
    }
    let failed = match order.poll_ready(&PATIENCE).await {
        Ok(OrderStatus::Ready | OrderStatus::Valid) => return Ok(()),
        Ok(other) => OrderError::Stuck(other),
        Err(error) => error.into(),
    };
    Err(disbelieved(order, kind).await.unwrap_or(failed))
}

/// What the authority did not find, and under which name.
async fn disbelieved(order: &mut Order, kind: ChallengeKind) -> Option<OrderError> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.ok()?;
        if authorization.refresh().await.ok()?.status != AuthorizationStatus::Invalid {
            continue;
        }
        let name = bare(&authorization.identifier().to_string());
        let problem = authorization.challenge(wire(kind)).and_then(|challenge| challenge.error.clone());
        let cause = problem.map_or_else(|| String::from("it does not say why"), |problem| explained(&problem));
        return Some(OrderError::Disbelieved { name, cause });
    }
    None
}

/// Asks for the certificate under a new key, and checks what comes: the key, the names, the times, the chain.
pub(super) async fn finish(order: &mut Order, names: &[String], now: Timestamp) -> Result<Fresh, OrderError> {
    let request = |error: rcgen::Error| OrderError::Request(error.to_string());
    let key = KeyPair::generate().map_err(request)?;
    let mut params = CertificateParams::new(names).map_err(request)?;
    params.distinguished_name = DistinguishedName::new();
    let csr = params.serialize_request(&key).map_err(request)?;
    order.finalize_csr(csr.der()).await?;
    let chain = order.poll_certificate(&PATIENCE).await?;
    let key = Secret::new(key.serialize_der());
    let identity = identity(&chain, &key)?;
    // An authority's clock may be a little ahead of ours, and its certificate then begins in our future.
    let (begins, _) = identity.life();
    let near = begins.duration_since(now) <= SKEW_MAX;
    identity.verify(names, if near { now.max(begins) } else { now })?;
    Ok(Fresh { chain, key, identity })
}

/// A chain in PEM and a key in DER.
pub(super) fn identity(chain: &str, key: &Secret<Vec<u8>>) -> Result<Identity, IdentityError> {
    let certificates = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|error| IdentityError::Unreadable(error.to_string()))?;
    let key = PrivateKeyDer::try_from(key.expose().clone());
    Identity::new(certificates, key.map_err(|error| IdentityError::Unreadable(error.to_owned()))?)
}

/// Whether the authority has forgotten who we are.
pub(super) fn is_stranger(error: &OrderError) -> bool {
    is_problem(error, ":accountDoesNotExist")
}

/// Whether a request came with a nonce that the authority does not take any more (RFC 8555 section 6.5).
pub(super) fn is_stale(error: &OrderError) -> bool {
    is_problem(error, ":badNonce")
}

fn is_problem(error: &OrderError, end: &str) -> bool {
    let OrderError::Authority(Error::Api(problem)) = error else { return false };
    problem.r#type.as_deref().is_some_and(|kind| kind.ends_with(end))
}

/// A wildcard is proved by the name behind it (RFC 8555 section 7.1.3).
fn bare(name: &str) -> String {
    name.strip_prefix("*.").unwrap_or(name).to_ascii_lowercase()
}

const fn wire(kind: ChallengeKind) -> ChallengeType {
    match kind {
        ChallengeKind::Http => ChallengeType::Http01,
        ChallengeKind::TlsAlpn => ChallengeType::TlsAlpn01,
        ChallengeKind::Dns => ChallengeType::Dns01,
    }
}

const fn text(kind: ChallengeKind) -> &'static str {
    match kind {
        ChallengeKind::Http => "http-01",
        ChallengeKind::TlsAlpn => "tls-alpn-01",
        ChallengeKind::Dns => "dns-01",
    }
}

fn said(error: &Error) -> String {
    match error {
        Error::Api(problem) => format!("the authority refuses: {}", explained(problem)),
        Error::Json(error) => format!("the authority's answer makes no sense: {error}"),
        other => other.to_string(),
    }
}

/// A problem in one line of bounded length: it is foreign text, and it goes into the ledger.
fn explained(problem: &instant_acme::Problem) -> String {
    let text = problem.to_string();
    let text = text.strip_prefix("API error: ").unwrap_or(&text);
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(EXPLANATION_CHARS_MAX).collect()
}

/// An authority that needs longer is asked again with a new order.
const PATIENCE: RetryPolicy =
    RetryPolicy::new().initial_delay(Duration::from_millis(250)).timeout(Duration::from_mins(1));

/// How far two clocks may be apart without anybody thinking that one of them is wrong.
const SKEW_MAX: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);

/// The end of the problem's type (RFC 9773 section 7.4).
const REPLACED: &str = ":alreadyReplaced";
const EXPLANATION_CHARS_MAX: usize = 500;
