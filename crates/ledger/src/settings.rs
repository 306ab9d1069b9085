//! Where a ledger lies and how it is run. Plain data: whoever reads `reeve.toml` makes it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reeve_base::{Clock, Entropy, Sealer};

use crate::witness::Cosigner;

/// What one ledger needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name of the log for life, the first line of every checkpoint: `reeve.example.com/ledger`. Like a URL without
    /// scheme, without spaces and plus signs (c2sp.org/tlog-checkpoint).
    pub origin: String,
    /// Where checkpoint, tiles, bundles, segments and wrapped keys are kept.
    pub place: Place,
    /// The folder of the write-ahead log. Always on a local disk, never inside of a [`Place::Folder`]; what is
    /// acknowledged as durable and not yet sealed exists here alone.
    pub wal: PathBuf,
    /// How long contents are kept.
    pub retention: Retention,
    /// The pace of the two acknowledgements, and what may wait in memory.
    pub pace: Pace,
    /// Of how many witnesses' cosignatures a checkpoint needs to count as cosigned; 0 without witnesses.
    pub witness_quorum: usize,
}

impl Settings {
    /// Settings with the defaults for everything but name and places.
    pub fn new(origin: impl Into<String>, place: Place, wal: impl Into<PathBuf>) -> Self {
        Self {
            origin: origin.into(),
            place,
            wal: wal.into(),
            retention: Retention::default(),
            pace: Pace::default(),
            witness_quorum: 0,
        }
    }
}

/// Where the sealed ledger lies.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a third kind of storage should break every place that shows one")]
pub enum Place {
    /// A folder; it is made if it is missing.
    Folder(PathBuf),
    /// A bucket of S3 or of something that speaks its protocol and honours conditional puts.
    Bucket(Bucket),
}

/// A bucket. Credentials come from the standard variables (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
/// `AWS_SESSION_TOKEN`, `AWS_REGION`, …) and never from settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// The bucket's name.
    pub name: String,
    /// A prefix of every key, without slashes at its ends; empty for none.
    pub prefix: String,
    /// Another endpoint than Amazon's: `https://minio.example.com:9000`. Plain `http://` is taken for loopback only.
    pub endpoint: Option<String>,
    /// The region; without it `AWS_REGION` decides.
    pub region: Option<String>,
    /// For how long a request is tried again while the bucket answers 5xx or not at all.
    pub patience: Duration,
}

/// For how many whole days after its own day a class's contents are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Of requests.
    pub requests_days: u16,
    /// Of the security trail.
    pub security_days: u16,
}

impl Default for Retention {
    fn default() -> Self {
        Self { requests_days: 30, security_days: 365 }
    }
}

/// How fast things go and how much may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The most entries of one group commit; no more than 4,096 and 8 MiB of contents, whatever is set.
    pub batch_entries_max: usize,
    /// How often what is durable is sealed into the tree, at most.
    pub seal_every: Duration,
    /// As many unsealed entries are sealed at once, without waiting for `seal_every`.
    pub seal_entries: usize,
    /// The most entries that may wait for the write-ahead log; past it [`AppendError::Full`](crate::AppendError).
    pub queue_entries_max: usize,
    /// The most bytes of contents that may wait for the write-ahead log.
    pub queue_bytes_max: usize,
    /// The most bytes that may be durable and not yet sealed. Past it nothing more is accepted until sealing goes on:
    /// they are in memory too.
    pub unsealed_bytes_max: usize,
    /// How often the witnesses are asked, at most.
    pub cosign_every: Duration,
    /// How long one request to a witness may take.
    pub witness_patience: Duration,
    /// How long sealing or writing waits after a failure until it is tried again.
    pub retry_every: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            batch_entries_max: 4096,
            seal_every: Duration::from_millis(250),
            seal_entries: 32 * 1024,
            queue_entries_max: 64 * 1024,
            queue_bytes_max: 64 * 1024 * 1024,
            unsealed_bytes_max: 64 * 1024 * 1024,
            cosign_every: Duration::from_secs(1),
            witness_patience: Duration::from_secs(5),
            retry_every: Duration::from_secs(1),
        }
    }
}

/// What a ledger works with and does not make itself.
#[derive(Clone)]
pub struct Tools {
    /// Time, for the entries' timestamps and for retention.
    pub clock: Arc<dyn Clock>,
    /// Chance, for keys and salts.
    pub entropy: Arc<dyn Entropy>,
    /// Keeps the signing key and the day keys.
    pub sealer: Arc<dyn Sealer>,
    /// The witnesses that cosign checkpoints; may be none.
    pub cosigners: Vec<Arc<dyn Cosigner>>,
}
