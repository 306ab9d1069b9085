//! The cosigning thread: shows the newest checkpoint to the witnesses, at its own pace.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Shared, Signal};
use crate::proof::SignedCheckpoint;
use crate::tiles::ShelfTiles;
use crate::witness::{Failure, Round, Witnesses};

/// The newest checkpoint that is waiting to be cosigned. A newer one takes the place of an older one.
#[derive(Debug, Default)]
pub(super) struct Latest {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    checkpoint: Option<SignedCheckpoint>,
    ended: bool,
}

impl Latest {
    pub(super) fn set(&self, checkpoint: SignedCheckpoint) {
        self.state().checkpoint = Some(checkpoint);
        self.changed.notify_all();
    }

    /// Puts one back that not every witness has seen, unless there is a newer one.
    fn set_if_none(&self, checkpoint: SignedCheckpoint) {
        self.state().checkpoint.get_or_insert(checkpoint);
    }

    pub(super) fn end(&self) {
        self.state().ended = true;
        self.changed.notify_all();
    }

    /// The next one; `None` at the end.
    fn next(&self) -> Option<SignedCheckpoint> {
        let waiting = |state: &mut State| state.checkpoint.is_none() && !state.ended;
        let mut state = self.changed.wait_while(self.state(), waiting).unwrap_or_else(PoisonError::into_inner);
        if state.ended { None } else { state.checkpoint.take() }
    }

    fn pause(&self, length: Duration) {
        drop(self.changed.wait_timeout_while(self.state(), length, |state| !state.ended));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Works until the end is told.
pub(super) fn work(shared: &Arc<Shared>, mut witnesses: Witnesses, signals: &Sender<Signal>) {
    let pace = shared.settings.pace;
    while let Some(checkpoint) = shared.latest.next() {
        let tiles = ShelfTiles::of(&*shared.shelf);
        let round = witnesses.cosign(&checkpoint, &tiles, pace.witness_patience);
        if let Some(contradiction) = round.failures.iter().find(|failure| failure.disagrees()) {
            drop(signals.send(Signal::Contradicted(contradiction.to_string())));
        }
        if let Some(cosigned) = cosigned(checkpoint.clone(), &round, shared.settings.witness_quorum) {
            drop(signals.send(Signal::Cosigned(cosigned)));
        }
        let lacking = round.failures.iter().any(|failure| !failure.disagrees());
        report(&round.failures);
        shared.pulse.troubles().witnesses = round.failures;
        shared.latest.pause(pace.cosign_every);
        if lacking {
            shared.latest.set_if_none(checkpoint);
        }
    }
}

/// The checkpoint with its cosignatures, if they are enough.
pub(super) fn cosigned(mut checkpoint: SignedCheckpoint, round: &Round, quorum: usize) -> Option<SignedCheckpoint> {
    if round.cosignatures.is_empty() || round.cosignatures.len() < quorum {
        return None;
    }
    round.cosignatures.iter().for_each(|cosignature| checkpoint.add(cosignature.clone()));
    Some(checkpoint)
}

fn report(failures: &[Failure]) {
    for failure in failures {
        tracing::warn!(cause = %failure, "a witness did not cosign");
    }
}
