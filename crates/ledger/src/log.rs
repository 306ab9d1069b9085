//! A ledger that is open for writing.
//!
//! Three threads. The *writer* takes entries out of the queue, numbers and seals them, writes them ahead and
//! acknowledges them as durable. The *sealing* thread puts what is durable into the tree: segments, bundles, tiles, the
//! signed checkpoint last. The *cosigning* thread shows checkpoints to the witnesses. So an acknowledgement waits for
//! one `fdatasync` and for nothing else, and a slow bucket or a witness that is away slows nobody down.

mod backlog;
mod cosigning;
mod entry;
mod errors;
mod health;
mod opening;
mod queue;
mod receipt;
mod reserve;
mod sealing;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::keys::Keyring;
use crate::lock::Lock;
use crate::proof::{SignedCheckpoint, VerifierKey};
use crate::reader::Reader;
use crate::retention::{Retaining, Timekeeper};
use crate::settings::{Settings, Tools};
use crate::shelf::Shelf;
use crate::signing;
use crate::wal::Wal;

use backlog::Backlog;
use cosigning::Latest;
use health::Pulse;
use queue::{Pending, Queue};
use receipt::Awaited;

pub use entry::{ACTOR_BYTES_MAX, BODY_BYTES_MAX, Class, Entry, InvalidEntry};
pub use errors::{AppendError, ClassDay, CloseError, OpenError, ResealError};
pub use health::Health;
pub use receipt::{Receipt, Sealed};

/// The one writer of a ledger. It can be shared between threads.
///
/// Dropping it is like a crash: what was acknowledged as durable is sealed at the next start. [`Ledger::close`] seals it
/// before.
pub struct Ledger {
    shared: Arc<Shared>,
    threads: Option<Threads>,
    signals: Sender<Signal>,
    pub(crate) retaining: Retaining,
    /// Given back by the system when they are dropped, which must come after the threads have ended.
    _locks: (Lock, Option<Lock>),
}

/// What the threads and the handle have in common.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) tools: Tools,
    pub(crate) shelf: Arc<dyn Shelf>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) reader: Reader,
    pub(crate) time: Timekeeper,
    queue: Queue,
    backlog: Backlog,
    pulse: Pulse,
    latest: Latest,
    /// Everything is to end without finishing. `Relaxed`: it is looked at again and again.
    abandoned: AtomicBool,
}

struct Threads {
    writer: JoinHandle<Wal>,
    sealing: JoinHandle<()>,
    cosigning: Option<JoinHandle<()>>,
}

impl Shared {
    /// Makes the threads end without finishing.
    fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
        self.queue.close();
        self.latest.end();
    }

    /// Waits until an entry is sealed; gives up when sealing goes on failing.
    pub(crate) fn wait_sealed(&self, seq: u64) -> Result<(), AppendError> {
        let begun = self.tools.clock.ticks();
        let patience = self.settings.pace.retry_every * SEALING_RETRIES;
        while self.pulse.sealed() <= seq {
            let trouble = self.pulse.troubles().sealing.clone();
            match trouble {
                Some(cause) if self.tools.clock.ticks().since(begun) > patience => {
                    return Err(AppendError::Failed { cause });
                }
                Some(_) | None => {
                    self.backlog.wait_below(0, SEALING_PATIENCE);
                }
            }
        }
        Ok(())
    }

    fn has_witnesses(&self) -> bool {
        !self.tools.cosigners.is_empty()
    }
}

/// What the sealing thread is told.
enum Signal {
    /// There is something to seal.
    Durable,
    /// Somebody waits for an entry.
    Awaited(Awaited),
    /// Enough witnesses cosigned this one.
    Cosigned(SignedCheckpoint),
    /// A witness contradicts the log: nothing more may be signed.
    Contradicted(String),
    /// End at once.
    Stop,
    /// Seal what there is and end; answers with what is in the way.
    Finish(Sender<Result<(), String>>),
}

impl Ledger {
    /// Opens a ledger for writing, making it if there is none.
    ///
    /// Takes the locks, verifies the checkpoint and the tree's right edge, asks the witnesses whether they know more of
    /// this log, and seals what was durable and not sealed. Blocks for the disk, and at most twice
    /// [`Pace::witness_patience`](crate::Pace) for the witnesses.
    ///
    /// # Errors
    /// [`OpenError`]. Nothing was signed then, and nothing of what was recorded was changed.
    pub fn open(settings: Settings, tools: Tools) -> Result<Self, OpenError> {
        opening::open(settings, tools)
    }

    /// Hands an entry over. Never waits.
    ///
    /// # Errors
    /// When it cannot be recorded at all, when too much is waiting, while nothing can be written, and after the end.
    pub fn append(&self, entry: Entry) -> Result<Receipt, AppendError> {
        entry.check()?;
        if let Some(cause) = self.shared.pulse.failing() {
            return Err(AppendError::Failed { cause });
        }
        let (answer, durable) = oneshot::channel();
        self.shared.queue.push(Pending { entry, answer })?;
        Ok(Receipt { durable, sealing: self.signals.clone() })
    }

    /// How it is doing.
    #[must_use]
    pub fn health(&self) -> Health {
        self.shared.pulse.health(self.shared.queue.len())
    }

    /// Reads the same ledger. What was just appended is found once it is sealed.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.shared.reader.clone()
    }

    /// The key that verifies the log's checkpoints.
    #[must_use]
    pub fn verifier_key(&self) -> &VerifierKey {
        self.shared.reader.verifier_key()
    }

    /// Seals everything and ends. Blocks for as long as that takes; a storage that fails is tried once.
    ///
    /// # Errors
    /// [`CloseError`] when something could not be sealed. It is not lost.
    pub fn close(mut self) -> Result<(), CloseError> {
        self.finish()
    }

    /// Seals every key anew that is not under the newest version of the vault's key: the signing key and all day keys.
    /// Gives how many that were. Readable all the while.
    ///
    /// # Errors
    /// [`ResealError`]; those before it are sealed anew.
    pub fn reseal(&self) -> Result<usize, ResealError> {
        let shared = &self.shared;
        let mut resealed =
            usize::from(signing::reseal(&*shared.shelf, &*shared.tools.sealer, &shared.settings.origin)?);
        for class in Class::ALL {
            for name in shared.shelf.list(&format!("keys/{class}"))? {
                let day = name.strip_suffix(".wrapped").and_then(|day| day.parse().ok());
                let Some(day) = day else { continue };
                resealed += usize::from(shared.keyring.reseal(ClassDay { class, day })?);
            }
        }
        Ok(resealed)
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn finish(&mut self) -> Result<(), CloseError> {
        let Some(threads) = self.threads.take() else { return Ok(()) };
        self.shared.queue.close();
        let wal = threads.writer.join();
        let (answer, answered) = mpsc::channel();
        drop(self.signals.send(Signal::Finish(answer)));
        let sealed = answered.recv().unwrap_or_else(|_| Err(String::from("the sealing thread has ended")));
        self.shared.latest.end();
        drop(threads.sealing.join());
        threads.cosigning.map(JoinHandle::join);
        let unsealed = self.shared.backlog.len() as u64;
        let closed = |cause: String| CloseError { unsealed, cause };
        sealed.map_err(closed)?;
        let wal = wal.map_err(|_| closed(String::from("the writer has ended")))?;
        wal.finish(self.shared.pulse.sealed()).map_err(|error| closed(error.to_string()))?;
        self.shared.time.save().map_err(|error| closed(error.to_string()))?;
        opening::release(&self.shared).map_err(|error| closed(error.to_string()))
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        let Some(threads) = self.threads.take() else { return };
        self.shared.abandon();
        drop(self.signals.send(Signal::Stop));
        // The locks must not be given back while anybody still writes.
        drop(threads.writer.join());
        drop(threads.sealing.join());
        threads.cosigning.map(JoinHandle::join);
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ledger({})", self.shared.settings.origin)
    }
}

/// So many attempts to seal may fail until somebody who waits for one gives up.
const SEALING_RETRIES: u32 = 10;

/// How often somebody who waits for a seal looks whether there will be one.
const SEALING_PATIENCE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests;
