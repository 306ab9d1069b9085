//! Witnesses: hosts beyond the reach of whoever runs a log, which remember how far it had come
//! (c2sp.org/tlog-witness).
//!
//! Whoever holds a log's folder and key can write any history and sign it. What they cannot do is make a witness forget:
//! it cosigns a checkpoint only if that continues the one it cosigned before. [`Witness`] is that host's half,
//! [`Witnesses`] the log's half, which knows a host that is merely missing from one that disagrees. HTTP is the
//! caller's: here are only what is sent, what is answered, and what is kept.
//!
//! Invariants: a cosignature leaves [`Witness::answer`] only after its checkpoint is on the disk; for one origin no two
//! cosigned checkpoints contradict each other, whatever arrives, in whatever order, across restarts.

mod identity;
mod memory;
mod request;
mod round;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use reeve_base::{Entropy, Timestamp};

use crate::proof::cosignature::CosigningKey;
use crate::proof::note::Algorithm;
use crate::proof::{Head, Signature, SignedCheckpoint, VerifierKey, empty_root, verify_consistency};

pub use identity::IdentityError;
pub use memory::MemoryError;
pub use request::{AddCheckpoint, REQUEST_BYTES_MAX, RequestError};
pub use round::{Cosigner, Failure, REPLY_BYTES_MAX, Reply, Round, Unanswered, Witnesses};

use memory::Memory;

/// One witness, its key, the logs that it knows, and what it remembers of them.
#[derive(Debug)]
pub struct Witness {
    key: CosigningKey,
    logs: BTreeMap<String, Vec<VerifierKey>>,
    /// Held from the comparison with the latest checkpoint until the new one is on the disk: between the two, nothing
    /// else may be cosigned.
    memory: Mutex<Memory>,
}

/// What a witness answers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "each is a status of the protocol, and a server must know them all")]
pub enum Answer {
    /// 200: it continues what is known, and this says so.
    Cosigned {
        /// Whose checkpoint.
        origin: String,
        /// What was cosigned.
        head: Head,
        /// The line.
        cosignature: Signature,
    },
    /// 400: not a request.
    Malformed(RequestError),
    /// 403: none of the log's keys signed it.
    Unsigned {
        /// The log that it says to be of.
        origin: String,
        /// What is wrong with its signatures.
        cause: String,
    },
    /// 404: no such log is known here.
    UnknownLog {
        /// The log that it says to be of.
        origin: String,
    },
    /// 409: the client believes that another size is the latest, or the size is that and the root is not.
    Conflict {
        /// Whose checkpoint.
        origin: String,
        /// The latest that was cosigned.
        known: Head,
        /// What was sent.
        sent: Head,
    },
    /// 422: it does not continue what is known.
    Inconsistent {
        /// Whose checkpoint.
        origin: String,
        /// The latest that was cosigned.
        known: Head,
        /// What was sent.
        sent: Head,
    },
    /// 500: it could not be remembered, so it was not cosigned.
    NotKept {
        /// Whose checkpoint.
        origin: String,
        /// What the disk said.
        cause: String,
    },
}

/// Why a witness cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessError {
    /// A key of a log that is not one.
    #[error("`{0}` is the key of a witness, not of a log")]
    NotALog(VerifierKey),
    /// More logs than [`LOGS_MAX`].
    #[error("{0} logs are more than {LOGS_MAX}, the most that one witness watches")]
    TooManyLogs(usize),
    /// What was remembered cannot be read.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

/// The most logs that one witness watches: the memory is one file, written anew for each cosignature.
pub const LOGS_MAX: usize = 256;

impl Witness {
    /// The witness of this name for the logs with these keys (two keys of one name are one log that exchanges its key).
    /// Its own key and its memory are in `folder`; in an empty one both are made.
    ///
    /// # Errors
    /// When a key is not a log's, or what is in the folder is damaged, incomplete, of another name, or in use.
    pub fn open(folder: &Path, name: &str, logs: &[VerifierKey], entropy: &dyn Entropy) -> Result<Self, WitnessError> {
        let mut known: BTreeMap<String, Vec<VerifierKey>> = BTreeMap::new();
        for log in logs {
            if log.algorithm() != Algorithm::Ed25519 {
                return Err(WitnessError::NotALog(log.clone()));
            }
            known.entry(log.name().to_owned()).or_default().push(log.clone());
        }
        if known.len() > LOGS_MAX {
            return Err(WitnessError::TooManyLogs(known.len()));
        }
        let (memory, key) = Memory::open(folder, name, entropy)?;
        Ok(Self { key, logs: known, memory: Mutex::new(memory) })
    }

    /// The key that verifies its cosignatures.
    #[must_use]
    pub const fn verifier_key(&self) -> &VerifierKey {
        self.key.verifier_key()
    }

    /// The latest that was cosigned for this log; that of a log without entries if nothing was.
    #[must_use]
    pub fn latest(&self, origin: &str) -> Head {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.latest(origin).unwrap_or_else(|| Head { size: 0, root: empty_root() })
    }

    /// Answers the body of a request to `add-checkpoint`. `now` is what the cosignature says.
    ///
    /// Blocks for as long as the disk takes to make the checkpoint durable.
    pub fn answer(&self, body: &[u8], now: Timestamp) -> Answer {
        let request = match AddCheckpoint::parse(body) {
            Ok(request) => request,
            Err(error) => return Answer::Malformed(error),
        };
        let origin = request.origin().to_owned();
        let Some(keys) = self.logs.get(&origin) else { return Answer::UnknownLog { origin } };
        match request.open(keys) {
            Ok(checkpoint) => self.judge(request.old, &request.proof, checkpoint, now),
            Err(error) => Answer::Unsigned { origin, cause: error.to_string() },
        }
    }

    /// Compares, remembers and cosigns, in this order and under one lock.
    fn judge(&self, old: u64, proof: &[crate::proof::Hash], checkpoint: SignedCheckpoint, now: Timestamp) -> Answer {
        let origin = checkpoint.checkpoint().origin.clone();
        let sent = checkpoint.head();
        if old > sent.size {
            return Answer::Malformed(RequestError::OldSize { old, size: sent.size });
        }
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = memory.latest(&origin);
        let known = latest.unwrap_or_else(|| Head { size: 0, root: empty_root() });
        if old != known.size || (old == sent.size && known.root != sent.root) {
            return Answer::Conflict { origin, known, sent };
        }
        if verify_consistency(known, sent, proof).is_err() {
            return Answer::Inconsistent { origin, known, sent };
        }
        let cosignature = self.key.cosign(checkpoint.checkpoint(), now);
        if latest != Some(sent) {
            let mut checkpoint = checkpoint;
            checkpoint.add(cosignature.clone());
            if let Err(error) = memory.remember(&checkpoint) {
                return Answer::NotKept { origin, cause: error.to_string() };
            }
        }
        Answer::Cosigned { origin, head: sent, cosignature }
    }
}

impl Answer {
    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Cosigned { .. } => 200,
            Self::Malformed(_) => 400,
            Self::Unsigned { .. } => 403,
            Self::UnknownLog { .. } => 404,
            Self::Conflict { .. } => 409,
            Self::Inconsistent { .. } => 422,
            Self::NotKept { .. } => 500,
        }
    }

    /// The type of the body.
    #[must_use]
    pub const fn content_type(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => SIZE_TYPE,
            _ => "text/plain; charset=utf-8",
        }
    }

    /// The body: the cosignature, the latest size, or a line for the person who looks for the fault.
    #[must_use]
    pub fn body(&self) -> String {
        match self {
            Self::Cosigned { cosignature, .. } => cosignature.to_string(),
            Self::Conflict { known, .. } => format!("{}\n", known.size),
            // What the disk said is the operator's business.
            Self::NotKept { .. } => String::from("the checkpoint could not be kept, so it was not cosigned\n"),
            other => format!("{other}\n"),
        }
    }

    /// The log that it is about, if the request got so far as to name one.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        match self {
            Self::Malformed(_) => None,
            Self::Cosigned { origin, .. }
            | Self::Unsigned { origin, .. }
            | Self::UnknownLog { origin }
            | Self::Conflict { origin, .. }
            | Self::Inconsistent { origin, .. }
            | Self::NotKept { origin, .. } => Some(origin),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cosigned { head, .. } => write!(f, "cosigned at {} entries", head.size),
            Self::Malformed(error) => error.fmt(f),
            Self::Unsigned { cause, .. } => f.write_str(cause),
            Self::UnknownLog { .. } => f.write_str("this log is not watched here"),
            Self::Conflict { known, sent, .. } if known.size == sent.size => {
                write!(f, "forked: another root was cosigned at {} entries", known.size)
            }
            Self::Conflict { known, sent, .. } => {
                write!(f, "the latest cosigned checkpoint has {} entries, this one {}", known.size, sent.size)
            }
            Self::Inconsistent { known, sent, .. } => {
                write!(f, "the log of {} entries is not shown to continue the one of {}", sent.size, known.size)
            }
            Self::NotKept { cause, .. } => f.write_str(cause),
        }
    }
}

/// The type of an answer that tells a size (c2sp.org/tlog-witness, "add-checkpoint").
const SIZE_TYPE: &str = "text/x.tlog.size";
