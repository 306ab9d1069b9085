//! The sealing thread: puts what is durable into the tree, and signs.
//!
//! Segments, bundles and tiles first, the checkpoint last and by compare-and-swap: whoever sees a checkpoint finds
//! everything that it covers, and of two writers one is refused. What is written depends on the frames alone, so a seal
//! that a crash or a failure broke off comes out the same when it is tried again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use reeve_base::Ticks;

use super::receipt::{Awaited, Sealed};
use super::{AppendError, Class, ClassDay, Shared, Signal};
use crate::proof::checkpoint::CheckpointError;
use crate::proof::tile::{HASHES, TileId, bundle_path, hashes_at, tile_of};
use crate::proof::{
    Checkpoint, Edge, Head, ProofError, SignedCheckpoint, Signer, bundle, consistency, leaf_hash, verify_consistency,
};
use crate::reader::{CHECKPOINT, COSIGNED, ReadError};
use crate::segment::Growing;
use crate::shelf::{Object, ShelfError, Version};
use crate::tiles::{self, ShelfTiles};
use crate::wal::Frame;

/// The sealing thread's own state; nobody else has any of it.
pub(super) struct Sealing {
    pub(super) shared: Arc<Shared>,
    pub(super) signals: Receiver<Signal>,
    pub(super) signer: Signer,
    /// The right edge at the published checkpoint.
    pub(super) edge: Edge,
    /// The bytes of the bundle that is not full.
    pub(super) bundle: Vec<u8>,
    pub(super) growing: Growing,
    pub(super) published: SignedCheckpoint,
    /// The published checkpoint's version on the shelf.
    pub(super) version: Version,
    pub(super) waiting: Vec<Awaited>,
    /// When it was that something began to wait to be sealed.
    pub(super) since: Option<Ticks>,
    /// A checkpoint whose writing was not answered: it may be there.
    pub(super) attempted: Option<SignedCheckpoint>,
    /// Why nothing is signed any more.
    pub(super) contradicted: Option<String>,
    /// When housekeeping was last done.
    pub(super) kept_house: Option<Ticks>,
}

/// Why a seal did not come to its end.
#[derive(Debug, thiserror::Error)]
enum SealingError {
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    #[error("the tree here would not be the continuation of the last checkpoint: {0}; nothing is signed")]
    Inconsistent(#[from] ProofError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Bundle(#[from] bundle::BundleError),
    #[error("{0}")]
    Contradicted(String),
}

/// Everything that a seal is going to write, and the state after it.
struct Draft {
    objects: Vec<Object>,
    edge: Edge,
    bundle: Vec<u8>,
    growing: Growing,
    outgrown: Vec<String>,
}

impl Sealing {
    /// Works until it is told to end.
    pub(super) fn work(mut self) {
        let mut failed = false;
        loop {
            self.keep_house();
            let signal = match self.patience(failed) {
                Some(patience) => self.signals.recv_timeout(patience),
                None => self.signals.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let due = match signal {
                Ok(Signal::Durable) => {
                    self.since.get_or_insert(self.shared.tools.clock.ticks());
                    !failed && self.shared.backlog.len() >= self.shared.settings.pace.seal_entries
                }
                Ok(Signal::Awaited(awaited)) => {
                    self.waiting.push(awaited);
                    self.answer();
                    false
                }
                Ok(Signal::Cosigned(checkpoint)) => {
                    self.attach(checkpoint);
                    false
                }
                Ok(Signal::Contradicted(cause)) => {
                    self.contradicted = Some(cause);
                    self.answer();
                    false
                }
                Ok(Signal::Finish(answer)) => {
                    drop(answer.send(self.seal_all()));
                    return;
                }
                Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => true,
            };
            if due {
                failed = self.seal_all().is_err();
            }
        }
    }

    /// How long to wait for a signal until it is time to seal; `None` if there is nothing to seal.
    fn patience(&self, failed: bool) -> Option<Duration> {
        let pace = self.shared.settings.pace;
        let waited = self.shared.tools.clock.ticks().since(self.since?);
        Some(if failed { pace.retry_every } else { pace.seal_every.saturating_sub(waited) })
    }

    fn seal_all(&mut self) -> Result<(), String> {
        loop {
            let frames = self.shared.backlog.oldest(SEAL_ENTRIES_MAX, SEAL_BYTES_MAX);
            if frames.is_empty() {
                self.since = None;
                return Ok(());
            }
            if self.shared.abandoned.load(Ordering::Relaxed) {
                return Err(String::from("it was abandoned"));
            }
            let sealed = self.seal(&frames).map_err(|error| error.to_string());
            self.shared.pulse.troubles().sealing = sealed.as_ref().err().cloned();
            if let Err(cause) = sealed {
                tracing::error!(cause, "the ledger cannot seal");
                // The time counts anew, so that the next attempt waits.
                self.since = Some(self.shared.tools.clock.ticks());
                return Err(cause);
            }
            self.answer();
        }
    }

    fn seal(&mut self, frames: &[Arc<Frame>]) -> Result<(), SealingError> {
        if let Some(cause) = &self.contradicted {
            return Err(SealingError::Contradicted(cause.clone()));
        }
        self.settle_attempt()?;
        // What an attempt that did arrive has sealed is not sealed again.
        let size = self.edge.size();
        let frames = frames.get(frames.iter().take_while(|frame| frame.seq < size).count()..).unwrap_or_default();
        let draft = self.draft(frames)?;
        self.shared.shelf.put(&draft.objects)?;
        let checkpoint = self.sign(&draft)?;
        self.publish(checkpoint)?;
        let before = self.edge.size();
        self.edge = draft.edge;
        self.bundle = draft.bundle;
        self.growing = draft.growing;
        self.sealed();
        self.clean_up(before, draft.outgrown);
        Ok(())
    }

    fn draft(&self, frames: &[Arc<Frame>]) -> Result<Draft, SealingError> {
        let (mut edge, mut bundle, mut growing) = (self.edge.clone(), self.bundle.clone(), self.growing.clone());
        let growth = growing.grow(frames);
        let mut objects = growth.objects;
        let mut full_tiles = Vec::new();
        for frame in frames {
            bundle::append(&mut bundle, &frame.leaf)?;
            full_tiles.extend(edge.push(leaf_hash(&frame.leaf)));
            if edge.size().is_multiple_of(u64::from(HASHES)) {
                let path = bundle_path(edge.size() / u64::from(HASHES) - 1, HASHES);
                objects.push(Object { path, bytes: std::mem::take(&mut bundle) });
            }
        }
        if let Some(TileId { index, width, .. }) = partial(edge.size(), 0) {
            objects.push(Object { path: bundle_path(index, width), bytes: bundle.clone() });
        }
        objects.extend(full_tiles.iter().map(tiles::object));
        let old = self.edge.size();
        let grew = |tile: &crate::proof::Tile| hashes_at(edge.size(), tile.id.level) > hashes_at(old, tile.id.level);
        objects.extend(edge.partial().filter(grew).map(|tile| tiles::object(&tile)));
        Ok(Draft { objects, edge, bundle, growing, outgrown: growth.outgrown })
    }

    /// Signs the new head after it was shown, from the tiles as they lie there, to continue the published one.
    fn sign(&self, draft: &Draft) -> Result<SignedCheckpoint, SealingError> {
        let fresh: BTreeMap<String, Vec<u8>> = draft
            .objects
            .iter()
            .filter(|object| object.path.parse::<TileId>().is_ok())
            .map(|object| (object.path.clone(), object.bytes.clone()))
            .collect();
        let tiles = ShelfTiles { shelf: &*self.shared.shelf, fresh: Some(&fresh) };
        let (old, new) = (self.published.head(), draft.edge.head());
        verify_consistency(old, new, &consistency(old.size, new.size, &tiles)?)?;
        let Head { size, root } = new;
        let origin = self.shared.settings.origin.clone();
        let checkpoint = Checkpoint { origin, size, root, extensions: Vec::new() };
        Ok(SignedCheckpoint::sign(checkpoint, &self.signer)?)
    }

    fn publish(&mut self, checkpoint: SignedCheckpoint) -> Result<(), SealingError> {
        self.attempted = Some(checkpoint.clone());
        let bytes = checkpoint.to_string();
        self.version = self.shared.shelf.swap(CHECKPOINT, Some(&self.version), bytes.as_bytes())?;
        self.attempted = None;
        self.published = checkpoint;
        Ok(())
    }

    /// Finds out what became of a checkpoint whose writing was not answered. If it is there, its entries are sealed.
    fn settle_attempt(&mut self) -> Result<(), SealingError> {
        let Some(attempted) = self.attempted.clone() else { return Ok(()) };
        let found = self.shared.shelf.versioned(CHECKPOINT)?;
        if let Some((bytes, version)) = found.filter(|(bytes, _)| *bytes == attempted.to_string().as_bytes()) {
            debug_assert_eq!(bytes.len(), attempted.to_string().len(), "the same text");
            let (before, size) = (self.edge.size(), attempted.head().size);
            let all = self.shared.backlog.oldest(usize::MAX, usize::MAX);
            let frames: Vec<_> = all.into_iter().filter(|frame| (before..size).contains(&frame.seq)).collect();
            let draft = self.draft(&frames)?;
            (self.version, self.published) = (version, attempted);
            (self.edge, self.bundle, self.growing) = (draft.edge, draft.bundle, draft.growing);
            self.sealed();
            self.clean_up(before, draft.outgrown);
        }
        self.attempted = None;
        Ok(())
    }

    /// Tells everybody how far it is sealed.
    fn sealed(&self) {
        let size = self.edge.size();
        self.shared.pulse.set_sealed(size);
        self.shared.backlog.release(size);
        if self.shared.has_witnesses() {
            self.shared.latest.set(self.published.clone());
        }
    }

    /// Removes partial tiles and bundles that became full, and segments that were written again longer.
    fn clean_up(&self, old: u64, outgrown: Vec<String>) {
        let new = self.edge.size();
        let mut paths = outgrown;
        for level in 0..LEVELS {
            let Some(id) = partial(old, level) else { continue };
            if tile_of(new, level, id.index).is_some_and(|now| now.width == HASHES) {
                let full = TileId { width: HASHES, ..id }.path();
                paths.extend(self.partials(&full));
                if level == 0 {
                    paths.extend(self.partials(&bundle_path(id.index, HASHES)));
                }
            }
        }
        if let Err(error) = self.shared.shelf.remove(&paths) {
            // Nobody reads them; they only take space.
            tracing::warn!(cause = %error, "what a seal replaced could not be removed");
        }
    }

    fn partials(&self, full: &str) -> Vec<String> {
        let names = self.shared.shelf.list(&format!("{full}.p")).unwrap_or_default();
        names.into_iter().map(|name| format!("{full}.p/{name}")).collect()
    }

    /// Puts a cosigned checkpoint in its own place, and in that of the newest if it is that.
    fn attach(&mut self, cosigned: SignedCheckpoint) {
        let size = cosigned.head().size;
        match self.keep_cosigned(cosigned) {
            Ok(()) => self.shared.pulse.set_cosigned(size),
            Err(error) => tracing::warn!(cause = %error, "a cosigned checkpoint could not be kept"),
        }
    }

    fn keep_cosigned(&mut self, cosigned: SignedCheckpoint) -> Result<(), ShelfError> {
        let bytes = cosigned.to_string().into_bytes();
        self.shared.shelf.put(&[Object { path: COSIGNED.to_owned(), bytes: bytes.clone() }])?;
        if cosigned.head() == self.published.head() && self.attempted.is_none() {
            self.attempted = Some(cosigned.clone());
            self.version = self.shared.shelf.swap(CHECKPOINT, Some(&self.version), &bytes)?;
            self.published = cosigned;
            self.attempted = None;
        }
        Ok(())
    }

    /// Answers those whose entries are sealed by now, and those whose entries will not be.
    fn answer(&mut self) {
        let size = self.edge.size();
        let (ready, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|awaited| awaited.seq < size);
        self.waiting = waiting;
        if let Some(cause) = &self.contradicted {
            for awaited in self.waiting.drain(..) {
                drop(awaited.answer.send(Err(AppendError::Failed { cause: cause.clone() })));
            }
        }
        let ready: Vec<Awaited> = ready;
        for awaited in ready {
            let sealed = self.proof(awaited.seq).map_err(|error| AppendError::Failed { cause: error.to_string() });
            drop(awaited.answer.send(sealed));
        }
    }

    fn proof(&self, seq: u64) -> Result<Sealed, ReadError> {
        let reader = &self.shared.reader;
        let size = self.edge.size();
        let beyond = || ReadError::BeyondSize { seq, size };
        let position = usize::try_from(seq % u64::from(HASHES)).map_err(|_| beyond())?;
        let leaf = reader.leaves(seq / u64::from(HASHES), size)?.into_iter().nth(position).ok_or_else(beyond)?;
        let proof = reader.path(&leaf, seq, &self.published)?;
        Ok(Sealed { seq, leaf, proof, checkpoint: self.published.clone() })
    }

    /// Every hour: how far the clock is believed; today's and tomorrow's keys, so that no entry after midnight waits for
    /// the storage, and that a storage which fails can still be told of.
    fn keep_house(&mut self) {
        let now = self.shared.tools.clock.ticks();
        if self.kept_house.is_some_and(|last| now.since(last) < HOUSEKEEPING) {
            return;
        }
        self.kept_house = Some(now);
        if let Err(error) = self.shared.time.save() {
            tracing::warn!(cause = %error, "the time could not be kept");
        }
        let days = self.shared.time.days_ahead();
        for of in days.into_iter().flat_map(|day| Class::ALL.map(|class| ClassDay { class, day })) {
            if let Err(error) = self.shared.keyring.find_or_make(of, &*self.shared.tools.entropy) {
                tracing::warn!(cause = %error, "a key could not be made ahead of its use");
            }
        }
    }
}

/// The tile of `level` that is not full in a log of `size` entries.
fn partial(size: u64, level: u8) -> Option<TileId> {
    tile_of(size, level, hashes_at(size, level) / u64::from(HASHES))
}

/// The most entries of one seal: 64 bundles' worth.
const SEAL_ENTRIES_MAX: usize = 64 * 256;

/// The most bytes of one seal.
const SEAL_BYTES_MAX: usize = 16 * 1024 * 1024;

/// As many levels of tiles as 64 bits of size can fill.
const LEVELS: u8 = 8;

const HOUSEKEEPING: Duration = Duration::from_secs(60 * 60);
