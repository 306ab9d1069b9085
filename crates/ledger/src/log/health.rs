//! How the ledger is doing, for whoever asks from another thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::witness::Failure;

/// How a ledger is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// As many entries are on the disk.
    pub durable: u64,
    /// As many of them are under a signed checkpoint.
    pub sealed: u64,
    /// As many are under a checkpoint that enough witnesses cosigned.
    pub cosigned: u64,
    /// As many wait for the disk.
    pub queued: usize,
    /// Why nothing can be recorded now; `None` if it can.
    pub failing: Option<String>,
    /// Why what is recorded cannot be sealed now; `None` if it can. Recording goes on for as long as there is room.
    pub unsealable: Option<String>,
    /// What the witnesses that gave no cosignature said, in the last round.
    pub witnesses: Vec<Failure>,
}

/// What the threads keep of it. Numbers are written by one thread each and read by any; `Release` and `Acquire`, so
/// that whoever sees a size also finds what belongs to it.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    durable: AtomicU64,
    sealed: AtomicU64,
    cosigned: AtomicU64,
    /// Whether `troubles.writing` is set, for those who append: they must not queue for a lock to learn it. `Relaxed`: an
    /// entry that slips through is refused by the writer.
    failing: AtomicBool,
    troubles: Mutex<Troubles>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Troubles {
    pub(super) writing: Option<String>,
    pub(super) sealing: Option<String>,
    pub(super) witnesses: Vec<Failure>,
}

impl Pulse {
    pub(super) fn begin(durable: u64, sealed: u64, cosigned: u64) -> Self {
        Self { durable: durable.into(), sealed: sealed.into(), cosigned: cosigned.into(), ..Self::default() }
    }

    pub(super) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    pub(super) fn set_durable(&self, size: u64) {
        self.durable.store(size, Ordering::Release);
    }

    pub(super) fn sealed(&self) -> u64 {
        self.sealed.load(Ordering::Acquire)
    }

    pub(super) fn set_sealed(&self, size: u64) {
        self.sealed.store(size, Ordering::Release);
    }

    pub(super) fn set_cosigned(&self, size: u64) {
        self.cosigned.store(size, Ordering::Release);
    }

    /// Says why nothing can be written, or that it can again.
    pub(super) fn set_writing(&self, cause: Option<String>) {
        let mut troubles = self.troubles();
        self.failing.store(cause.is_some(), Ordering::Relaxed);
        troubles.writing = cause;
    }

    /// Why nothing can be written.
    pub(super) fn failing(&self) -> Option<String> {
        if self.failing.load(Ordering::Relaxed) { self.troubles().writing.clone() } else { None }
    }

    /// What is in the way; held only to read or to set a field.
    pub(super) fn troubles(&self) -> MutexGuard<'_, Troubles> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn health(&self, queued: usize) -> Health {
        let troubles = self.troubles().clone();
        Health {
            durable: self.durable(),
            sealed: self.sealed(),
            cosigned: self.cosigned.load(Ordering::Acquire),
            queued,
            failing: troubles.writing,
            unsealable: troubles.sealing,
            witnesses: troubles.witnesses,
        }
    }
}
