//! What one worker keeps for looking into requests: buffers that one request leaves to the next, and the room beside the
//! worker for what would hold it up.

use std::cell::RefCell;
use std::sync::Arc;

use reeve_waf::Scratch;
use tokio::sync::Semaphore;

/// One for each worker.
pub(crate) struct Desk {
    scratches: RefCell<Vec<Scratch>>,
    /// Texts that take long are looked into on threads of their own, so many at once.
    pub(super) heavy: Arc<Semaphore>,
}

impl Default for Desk {
    fn default() -> Self {
        Self { scratches: RefCell::default(), heavy: Arc::new(Semaphore::new(HEAVY_AT_ONCE)) }
    }
}

impl Desk {
    pub(super) fn take(&self) -> Scratch {
        self.scratches.borrow_mut().pop().unwrap_or_default()
    }

    pub(super) fn give_back(&self, scratch: Scratch) {
        let mut scratches = self.scratches.borrow_mut();
        if scratches.len() < SCRATCHES_MAX {
            scratches.push(scratch);
        }
    }
}

/// Requests that wait for the application at the same time have one each; past these they are made anew.
const SCRATCHES_MAX: usize = 64;

/// Of each worker: more would only take turns on the same processors.
const HEAVY_AT_ONCE: usize = 2;
