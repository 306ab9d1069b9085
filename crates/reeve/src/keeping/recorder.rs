//! Requests on their way from the gateway into the ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reeve_base::{Recorder, Trail};
use reeve_ledger::{AppendError, Class, Entry, Ledger};
use reeve_policy::catalogue::{Controls, OnFailure};

use super::Recorded;

/// What becomes of requests while they cannot be recorded.
pub(crate) fn on_failure(controls: &Controls) -> OnFailure {
    controls.log_access.as_ref().map_or(OnFailure::Serve, |access| access.on_failure)
}

/// The gateway's way into the ledger.
pub(super) struct Requests {
    ledger: Arc<Ledger>,
    recorded: Recorded,
    refuse_on_failure: AtomicBool,
    /// Whether the ledger took nothing the last time it was asked. `Relaxed` for both: each stands for itself.
    failing: AtomicBool,
}

impl Requests {
    pub(super) fn new(ledger: Arc<Ledger>, recorded: Recorded, on_failure: OnFailure) -> Self {
        let refuse = on_failure == OnFailure::Refuse;
        Self { ledger, recorded, refuse_on_failure: AtomicBool::new(refuse), failing: AtomicBool::new(false) }
    }

    /// Follows a reloaded policy from the next request on.
    pub(super) fn set(&self, on_failure: OnFailure) {
        self.refuse_on_failure.store(on_failure == OnFailure::Refuse, Ordering::Relaxed);
    }

    /// Takes notice of whether the ledger can write, also while there are no requests.
    pub(super) fn notice(&self) {
        self.failing.store(self.ledger.health().failing.is_some(), Ordering::Relaxed);
    }
}

impl Recorder for Requests {
    fn takes(&self, _: Trail) -> bool {
        self.recorded == Recorded::Each
    }

    fn take(&self, trail: Trail, lines: Vec<u8>) -> Result<(), Vec<u8>> {
        let (class, activity) = match trail {
            Trail::Requests => (Class::Request, "http.requests"),
            Trail::Security => (Class::Security, "http.refusals"),
        };
        let entry = Entry { class, activity: activity.to_owned(), clause: None, actor: None, body: lines.clone() };
        match self.ledger.append(entry) {
            // Nobody waits for the receipt: that it could not be written, the ledger's health tells.
            Ok(_receipt) => Ok(()),
            Err(AppendError::Invalid(error)) => {
                tracing::error!(%error, "a batch of requests cannot be recorded");
                Ok(())
            }
            Err(_) => {
                self.failing.store(true, Ordering::Relaxed);
                Err(lines)
            }
        }
    }

    fn must_refuse(&self) -> bool {
        self.failing.load(Ordering::Relaxed) && self.refuse_on_failure.load(Ordering::Relaxed)
    }
}
