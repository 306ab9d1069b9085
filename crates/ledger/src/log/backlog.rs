//! What is durable and not yet sealed. The only entries that the ledger holds in memory.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::wal::Frame;

/// Written by the writer, sealed and shortened by the sealing thread.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    state: Mutex<State>,
    shrunk: Condvar,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Arc<Frame>>,
    bytes: usize,
}

impl Backlog {
    pub(super) fn extend(&self, frames: impl IntoIterator<Item = Arc<Frame>>) {
        let mut state = self.state();
        for frame in frames {
            state.bytes += frame.size();
            state.frames.push_back(frame);
        }
    }

    /// The oldest ones, up to so many entries and bytes (but one at least, if there is one). They stay.
    pub(super) fn oldest(&self, entries_max: usize, bytes_max: usize) -> Vec<Arc<Frame>> {
        let mut bytes = 0;
        let state = self.state();
        let fits = |frame: &&Arc<Frame>| {
            let first = bytes == 0;
            bytes += frame.size();
            first || bytes <= bytes_max
        };
        state.frames.iter().take(entries_max).take_while(fits).cloned().collect()
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Arc<Frame>> {
        self.state().frames.iter().cloned().collect()
    }

    /// Lets go of the entries below `sealed`.
    pub(super) fn release(&self, sealed: u64) {
        let mut state = self.state();
        while let Some(frame) = state.frames.pop_front_if(|frame| frame.seq < sealed) {
            state.bytes -= frame.size();
        }
        drop(state);
        self.shrunk.notify_all();
    }

    /// Waits until less than so many bytes are held. Says whether that came true.
    pub(super) fn wait_below(&self, bytes_max: usize, patience: Duration) -> bool {
        let full = |state: &mut State| state.bytes > bytes_max;
        let waited = self.shrunk.wait_timeout_while(self.state(), patience, full);
        waited.is_ok_and(|(state, _)| state.bytes <= bytes_max)
    }

    pub(super) fn len(&self) -> usize {
        self.state().frames.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
