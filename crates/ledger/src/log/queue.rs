//! What waits between whoever appends and the writer: bounded, and never waited for by those who append.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::{AppendError, Entry};

/// An entry on its way.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) entry: Entry,
    pub(super) answer: oneshot::Sender<Result<u64, AppendError>>,
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    entries_max: usize,
    bytes_max: usize,
    /// Held for a push or for taking a batch out, never while anything is written.
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Pending>,
    bytes: usize,
    closed: bool,
    /// Whether the writer waits, so that a push wakes it once and not each time.
    idle: bool,
}

/// What the writer gets.
#[derive(Debug)]
pub(super) enum Taken {
    /// Entries, at least one.
    Batch(Vec<Pending>),
    /// None came for a while.
    Nothing,
    /// None will come any more.
    Closed,
}

impl Queue {
    pub(super) fn new(entries_max: usize, bytes_max: usize) -> Self {
        Self { entries_max, bytes_max, state: Mutex::default(), filled: Condvar::new() }
    }

    /// Adds an entry, or refuses it at once.
    pub(super) fn push(&self, pending: Pending) -> Result<(), AppendError> {
        let mut state = self.state();
        if state.closed {
            return Err(AppendError::Closed);
        }
        let size = weight(&pending.entry);
        // One entry always fits into an empty queue, however small the queue was made.
        let full = state.items.len() >= self.entries_max || state.bytes + size > self.bytes_max;
        if full && !state.items.is_empty() {
            return Err(AppendError::Full(state.items.len()));
        }
        state.bytes += size;
        state.items.push_back(pending);
        let wake = std::mem::take(&mut state.idle);
        drop(state);
        if wake {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Takes what is there, at most so many; waits for the first one.
    pub(super) fn take(&self, entries_max: usize, patience: Duration) -> Taken {
        let mut state = self.state();
        state.idle = true;
        let empty = |state: &mut State| state.items.is_empty() && !state.closed;
        let waited = self.filled.wait_timeout_while(state, patience, empty);
        state = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state);
        state.idle = false;
        if state.items.is_empty() {
            return if state.closed { Taken::Closed } else { Taken::Nothing };
        }
        let mut bytes = 0;
        let fits = |pending: &&Pending| {
            bytes += weight(&pending.entry);
            bytes <= BATCH_BYTES_MAX
        };
        // One entry always fits, so that a batch is never empty.
        let count = state.items.iter().take(entries_max.min(BATCH_ENTRIES_MAX)).take_while(fits).count().max(1);
        let batch: Vec<Pending> = state.items.drain(..count).collect();
        state.bytes -= batch.iter().map(|pending| weight(&pending.entry)).sum::<usize>().min(state.bytes);
        Taken::Batch(batch)
    }

    /// Takes nothing more in.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.filled.notify_all();
    }

    /// How many entries wait.
    pub(super) fn len(&self) -> usize {
        self.state().items.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn weight(entry: &Entry) -> usize {
    size_of::<Pending>() + entry.activity.len() + entry.body.len()
}

/// The most entries of a batch, whatever the settings say: the write-ahead log counts them in 16 bits.
const BATCH_ENTRIES_MAX: usize = 4096;

/// The most bytes of a batch, more or less an entry: nobody waits for more than this to be written and synced.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::entry;
    use crate::log::Class;

    fn pending(length: usize) -> Pending {
        Pending { entry: entry(Class::Request, vec![0; length]), answer: oneshot::channel().0 }
    }

    #[track_caller]
    fn check_taken(queue: &Queue, expected: usize) {
        match queue.take(usize::MAX, Duration::ZERO) {
            Taken::Batch(batch) => assert_eq!(batch.len(), expected),
            Taken::Nothing | Taken::Closed => assert_eq!(expected, 0),
        }
    }

    #[test]
    fn it_holds_so_many_entries_and_not_one_more() {
        let queue = Queue::new(3, usize::MAX);
        (0..3).for_each(|_| queue.push(pending(1)).unwrap());
        assert_eq!(queue.push(pending(1)), Err(AppendError::Full(3)));
        check_taken(&queue, 3);
        assert_eq!(queue.push(pending(1)), Ok(()));
    }

    #[test]
    fn it_holds_so_many_bytes_but_one_entry_at_least() {
        let queue = Queue::new(100, 1_000);
        queue.push(pending(5_000)).unwrap();
        assert_eq!(queue.push(pending(1)), Err(AppendError::Full(1)));
        check_taken(&queue, 1);
        queue.push(pending(500)).unwrap();
        assert_eq!(queue.push(pending(500)), Err(AppendError::Full(1)));
    }

    #[test]
    fn a_batch_is_bounded_in_entries_and_in_bytes() {
        let queue = Queue::new(usize::MAX, usize::MAX);
        (0..BATCH_ENTRIES_MAX + 1).for_each(|_| queue.push(pending(1)).unwrap());
        check_taken(&queue, BATCH_ENTRIES_MAX);
        check_taken(&queue, 1);
        (0..10).for_each(|_| queue.push(pending(BATCH_BYTES_MAX / 2 - 1_000)).unwrap());
        check_taken(&queue, 2);
    }

    #[test]
    fn once_closed_it_is_emptied_and_takes_nothing_in() {
        let queue = Queue::new(10, 1_000_000);
        check_taken(&queue, 0);
        queue.push(pending(1)).unwrap();
        queue.close();
        assert_eq!(queue.push(pending(1)), Err(AppendError::Closed));
        check_taken(&queue, 1);
        assert!(matches!(queue.take(1, Duration::from_secs(60)), Taken::Closed));
    }
}
