//! Certificates from an authority that is asked over ACME (RFC 8555): ordered, kept in the store, renewed in time.
//!
//! [`Keeper`] does it beside the workers: it looks once a second what is due, and whatever goes wrong leaves the old
//! certificate in its place. Several gateways with one store take turns by a lease: one asks, all show. `order` walks one
//! order from its beginning to a chain that was checked, `cabinet` keeps what must survive, `client` speaks to the
//! authority within bounds.

mod attempt;
mod cabinet;
mod client;
mod keeper;
mod order;
mod suggestion;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use reeve_base::Timestamp;

pub(crate) use client::retry_after;
pub use keeper::{Keeper, KeeperTools, RenewError, Standing};

/// Whom certificates are asked of, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeSettings {
    /// The URL of its directory, `https`. Whoever names it has agreed to its terms.
    pub directory: String,
    /// Whom it may write to: `mailto:` URLs.
    pub contacts: Vec<String>,
    /// Who vouches for the directory's own certificate, in PEM; without it those of the system.
    pub authorities: Option<PathBuf>,
    /// How it finds out that the names are ours.
    pub challenge: ChallengeKind,
    /// How long records in the DNS take to be seen everywhere. Only for [`ChallengeKind::Dns`].
    pub dns_wait: Duration,
    /// How long to wait after a first failure; doubled after each that follows, at most a day.
    pub retry: Duration,
}

/// How an authority finds out that a name is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "each is answered in its own way")]
pub enum ChallengeKind {
    /// It asks port 80 for a file (`http-01`, RFC 8555 section 8.3).
    Http,
    /// It makes a handshake on port 443 (`tls-alpn-01`, RFC 8737).
    TlsAlpn,
    /// It looks for a record in the DNS (`dns-01`, RFC 8555 section 8.4), which a [`DnsHook`] puts there.
    Dns,
}

/// Puts records into the DNS and takes them out.
pub trait DnsHook: Send + Sync {
    /// Makes the TXT record of `name` (`_acme-challenge.example.com`, without a dot at the end) hold `value`, or no longer.
    /// Blocks until it is done, within bounds of its own.
    ///
    /// # Errors
    /// Why not, for the operator.
    fn change(&self, what: DnsChange, name: &str, value: &str) -> Result<(), String>;
}

/// What is done with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a record is there or it is not")]
pub enum DnsChange {
    /// It is put there. Other values of the same name stay.
    Present,
    /// It is taken out.
    Cleanup,
}

/// Something that happened to a certificate, for the record.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum News<'n> {
    /// There is a new one. It is shown only after this was recorded.
    Issued {
        /// The names in it.
        names: &'n [String],
        /// Who issued it.
        issuer: &'n str,
        /// SHA-256 of it, in hexadecimal.
        fingerprint: &'n str,
        /// Its last instant.
        until: Timestamp,
    },
    /// There is none, and the old one goes on.
    Failed {
        /// The names that it was to hold.
        names: &'n [String],
        /// Why.
        cause: &'n str,
        /// When it is tried again.
        retry: Timestamp,
    },
}

/// Where news go: the ledger's security trail.
pub trait Press: Send + Sync {
    /// Records it, and returns when that will last.
    fn announce<'a>(&'a self, news: News<'a>) -> Announced<'a>;
}

/// A recording under way; its error says why there is none.
pub type Announced<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;
