//! The log's side: asks every witness to cosign a checkpoint, and tells who is missing from who disagrees.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::{AddCheckpoint, SIZE_TYPE};
use crate::proof::checkpoint::parse_decimal;
use crate::proof::note::parse_signatures;
use crate::proof::tile::TileSource;
use crate::proof::{Signature, SignedCheckpoint, VerifierKey, consistency};

/// The way to one witness. Blocking, because a log's writer is a thread that waits for all of its witnesses at once.
pub trait Cosigner: Send + Sync {
    /// The key that verifies its cosignatures; its name is the witness's.
    fn key(&self) -> &VerifierKey;

    /// Posts the body to the witness's `add-checkpoint`, and waits for the whole answer, at most so long.
    ///
    /// # Errors
    /// When there is no answer. An answer of whatever status is no error.
    fn add_checkpoint(&self, body: &str, patience: Duration) -> Result<Reply, Unanswered>;
}

/// What a witness answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The `content-type`, empty if there is none.
    pub content_type: String,
    /// The body, of which no more than [`REPLY_BYTES_MAX`] need be read.
    pub body: Vec<u8>,
}

/// The most of an answer that is read, in bytes.
pub const REPLY_BYTES_MAX: usize = 64 * 1024;

/// A witness did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unanswered(pub String);

/// The witnesses of a log.
pub struct Witnesses {
    members: Vec<Member>,
}

struct Member {
    cosigner: Arc<dyn Cosigner>,
    /// The size that it last said to know. A wrong one costs one more request.
    known: u64,
}

/// What came of asking all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Round {
    /// Verified cosignatures, to be added to the checkpoint.
    pub cosignatures: Vec<Signature>,
    /// Why the others gave none.
    pub failures: Vec<Failure>,
}

/// Why a witness gave no cosignature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// It could not be reached, or answered with what nobody can use. Nothing is known of the log by that.
    #[error("the witness `{witness}` gave no cosignature: {cause}")]
    Missing {
        /// Its name.
        witness: String,
        /// What happened.
        cause: String,
    },
    /// It has cosigned more entries than the log has: this is an old copy.
    #[error(
        "the witness `{witness}` has cosigned {known} entries of this log, and it has only {size}: this is an older copy \
         of the log; bring back the newest one"
    )]
    RolledBack {
        /// Its name.
        witness: String,
        /// What it cosigned.
        known: u64,
        /// What the log has.
        size: u64,
    },
    /// It has cosigned another history.
    #[error(
        "the witness `{witness}` has cosigned another history of this log at {known} entries: entries were altered or \
         the log was written in two places; bring back the copy that it knows"
    )]
    Forked {
        /// Its name.
        witness: String,
        /// Where the two part, at the latest.
        known: u64,
    },
}

impl Failure {
    /// Whether the witness contradicts the log, and is not merely missing. Then nothing more may be signed.
    #[must_use]
    pub const fn disagrees(&self) -> bool {
        match self {
            Self::Missing { .. } => false,
            Self::RolledBack { .. } | Self::Forked { .. } => true,
        }
    }
}

impl Witnesses {
    /// These witnesses. What they know is asked for with the first checkpoint.
    #[must_use]
    pub fn new(cosigners: Vec<Arc<dyn Cosigner>>) -> Self {
        Self { members: cosigners.into_iter().map(|cosigner| Member { cosigner, known: 0 }).collect() }
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Their keys.
    pub fn keys(&self) -> impl Iterator<Item = &VerifierKey> {
        self.members.iter().map(|member| member.cosigner.key())
    }

    /// Asks all of them at once, each on a thread of its own, for a cosignature of `checkpoint`. The tiles at and below
    /// its size must be in `source` already.
    ///
    /// Lasts at most two requests of `patience` each: the second one follows when a witness says that it knows another
    /// size than was believed.
    pub fn cosign(
        &mut self,
        checkpoint: &SignedCheckpoint,
        source: &(dyn TileSource + Sync),
        patience: Duration,
    ) -> Round {
        let outcomes: Vec<_> = thread::scope(|scope| {
            let asked: Vec<_> = self
                .members
                .iter_mut()
                .map(|member| (Arc::clone(&member.cosigner), spawn(scope, member, checkpoint, source, patience)))
                .collect();
            let wait =
                |(cosigner, asked): (Arc<dyn Cosigner>, Asked<'_>)| match asked.map(thread::ScopedJoinHandle::join) {
                    Ok(Ok(outcome)) => outcome,
                    Ok(Err(_)) => Err(missing(&*cosigner, "the request to it broke off")),
                    Err(error) => Err(missing(&*cosigner, error)),
                };
            asked.into_iter().map(wait).collect()
        });
        let mut round = Round::default();
        for outcome in outcomes {
            match outcome {
                Ok(cosignature) => round.cosignatures.push(cosignature),
                Err(failure) => round.failures.push(failure),
            }
        }
        round
    }
}

type Outcome = Result<Signature, Failure>;
type Asked<'s> = std::io::Result<thread::ScopedJoinHandle<'s, Outcome>>;

fn spawn<'s>(
    scope: &'s thread::Scope<'s, '_>,
    member: &'s mut Member,
    checkpoint: &'s SignedCheckpoint,
    source: &'s (dyn TileSource + Sync),
    patience: Duration,
) -> Asked<'s> {
    let name = format!("witness {}", member.cosigner.key().name());
    thread::Builder::new().name(name).spawn_scoped(scope, move || member.ask(checkpoint, source, patience))
}

impl Member {
    fn ask(&mut self, checkpoint: &SignedCheckpoint, source: &dyn TileSource, patience: Duration) -> Outcome {
        // What it knows can be more than this log has only if that was rolled back, and it is the one to say so.
        let old = self.known.min(checkpoint.head().size);
        let reply = self.request(old, checkpoint, source, patience)?;
        let Some(known) = self.conflict(&reply, checkpoint, old)? else {
            return self.accept(&reply, checkpoint, old);
        };
        let reply = self.request(known, checkpoint, source, patience)?;
        match self.conflict(&reply, checkpoint, known)? {
            Some(_) => Err(missing(&*self.cosigner, "it changes its mind about the size that it knows")),
            None => self.accept(&reply, checkpoint, known),
        }
    }

    fn request(
        &self,
        old: u64,
        checkpoint: &SignedCheckpoint,
        source: &dyn TileSource,
        patience: Duration,
    ) -> Result<Reply, Failure> {
        let proof = consistency(old, checkpoint.head().size, source);
        let proof =
            proof.map_err(|error| missing(&*self.cosigner, format_args!("no proof can be made for it: {error}")))?;
        let body = AddCheckpoint::new(old, proof, checkpoint).to_string();
        self.cosigner.add_checkpoint(&body, patience).map_err(|error| missing(&*self.cosigner, error))
    }

    /// The size that it says to know instead of `old`, if it does.
    fn conflict(&self, reply: &Reply, checkpoint: &SignedCheckpoint, old: u64) -> Result<Option<u64>, Failure> {
        if reply.status != 409 {
            return Ok(None);
        }
        let said = std::str::from_utf8(&reply.body).ok().and_then(|body| parse_decimal(body.strip_suffix('\n')?));
        let (Some(known), true) = (said, reply.content_type == SIZE_TYPE) else {
            return Err(missing(&*self.cosigner, "it answers 409 and tells no size"));
        };
        let witness = self.cosigner.key().name().to_owned();
        let size = checkpoint.head().size;
        if known > size {
            return Err(Failure::RolledBack { witness, known, size });
        }
        match (known == old, known == size) {
            (false, _) => Ok(Some(known)),
            // It agrees about the size, so what it refuses is the root.
            (true, true) => Err(Failure::Forked { witness, known }),
            (true, false) => Err(missing(&*self.cosigner, "it contradicts the size that it knows itself")),
        }
    }

    fn accept(&mut self, reply: &Reply, checkpoint: &SignedCheckpoint, old: u64) -> Outcome {
        let key = self.cosigner.key();
        match reply.status {
            200 => {}
            422 => return Err(Failure::Forked { witness: key.name().to_owned(), known: old }),
            status => return Err(missing(&*self.cosigner, refused(status, &reply.body))),
        }
        let lines = std::str::from_utf8(&reply.body).ok().and_then(|lines| parse_signatures(lines).ok());
        let cosignature = lines.into_iter().flatten().find(|line| key.made(line));
        let Some(cosignature) = cosignature else {
            return Err(missing(&*self.cosigner, "its answer has no cosignature of its key"));
        };
        let mut cosigned = checkpoint.clone();
        cosigned.add(cosignature.clone());
        match cosigned.cosigned_by(std::slice::from_ref(key)) {
            Ok(verified) if !verified.is_empty() => {
                self.known = checkpoint.head().size;
                Ok(cosignature)
            }
            _ => Err(missing(&*self.cosigner, "its cosignature is wrong")),
        }
    }
}

fn missing(cosigner: &dyn Cosigner, cause: impl fmt::Display) -> Failure {
    Failure::Missing { witness: cosigner.key().name().to_owned(), cause: cause.to_string() }
}

/// What a refusal means for whoever runs the log. The peer's own words are cut, and shown without control characters.
fn refused(status: u16, body: &[u8]) -> String {
    let meaning = match status {
        400 => "it finds no sense in the request",
        403 => "it knows the log under another key; give it the log's present key",
        404 => "it does not watch this log; start it with the log's key",
        _ => "it answers with another status than the protocol has",
    };
    let said: String = String::from_utf8_lossy(body).chars().filter(|said| !said.is_control()).take(200).collect();
    format!("{meaning} ({status} {said})")
}
