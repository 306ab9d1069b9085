//! The two acknowledgements of an entry.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use tokio::sync::oneshot;

use super::{AppendError, Signal};
use crate::proof::{EntryProof, SignedCheckpoint};

/// The promise of an answer for one entry. Dropping it changes nothing for the entry.
#[derive(Debug)]
#[must_use = "an entry is recorded only when its receipt says so"]
pub struct Receipt {
    pub(super) durable: oneshot::Receiver<Result<u64, AppendError>>,
    pub(super) sealing: Sender<Signal>,
}

/// Somebody waits for this entry to be sealed.
#[derive(Debug)]
pub(super) struct Awaited {
    pub(super) seq: u64,
    pub(super) answer: oneshot::Sender<Result<Sealed, AppendError>>,
}

/// An entry in the tree, with the proof of it.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// The entry's number, from 0.
    pub seq: u64,
    /// The leaf: canonical JSON.
    pub leaf: Vec<u8>,
    /// Leaf, path and checkpoint, for whoever wants to verify it elsewhere.
    pub proof: EntryProof,
    /// The first checkpoint that covers the entry, or a later one.
    pub checkpoint: SignedCheckpoint,
}

impl Receipt {
    /// Waits until the entry is on the disk of this machine; gives its number.
    ///
    /// # Errors
    /// [`AppendError::Failed`] when it could not be written: it is not in the ledger then, unless the machine failed in
    /// the same moment.
    pub async fn durable(self) -> Result<u64, AppendError> {
        self.durable.await.unwrap_or(Err(AppendError::Closed))
    }

    /// The same for a thread that has nothing else to do. Not for a task of a runtime: it would hold its worker.
    ///
    /// # Errors
    /// Those of [`Receipt::durable`].
    pub fn wait_durable(self) -> Result<u64, AppendError> {
        wait(self.durable())
    }

    /// Waits until a signed checkpoint covers the entry.
    ///
    /// # Errors
    /// As [`Receipt::durable`]; also when a witness contradicts the log, and when the ledger ends before. A storage that
    /// fails for a while is waited for: see [`Health::unsealable`](crate::Health::unsealable).
    pub async fn sealed(self) -> Result<Sealed, AppendError> {
        let seq = self.durable.await.unwrap_or(Err(AppendError::Closed))?;
        let (answer, sealed) = oneshot::channel();
        self.sealing.send(Signal::Awaited(Awaited { seq, answer })).map_err(|_| AppendError::Closed)?;
        sealed.await.unwrap_or(Err(AppendError::Closed))
    }

    /// The same for a thread that has nothing else to do.
    ///
    /// # Errors
    /// Those of [`Receipt::sealed`].
    pub fn wait_sealed(self) -> Result<Sealed, AppendError> {
        wait(self.sealed())
    }
}

/// Drives a future on this thread. The runtime's own way to do that refuses to work inside of a runtime by panicking.
fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(answer) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return answer;
        }
        std::thread::park();
    }
}
