//! The part of a verification that many threads do at once: some bundles with their contents.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::{HASHES, Hash, leaf_hash};
use crate::keys::KeyError;
use crate::log::{Class, ClassDay};
use crate::reader::{Content, ContentsReader, ReadError, Reader, parse_leaf};
use crate::retention::{PURGE, PurgeRecord};

/// The log, cut into pieces that one thread takes at a time.
pub(super) struct Chunks {
    size: u64,
    next: AtomicU64,
    /// How many are done without a gap. Nobody may be far ahead of it: what is done early is kept in memory.
    done: Mutex<u64>,
    advanced: Condvar,
}

/// What came of one piece.
#[derive(Default)]
pub(super) struct Checked {
    /// The leaves' hashes, as the entries are.
    pub(super) leaves: Vec<Hash>,
    /// Whether all of them were there.
    pub(super) whole: bool,
    pub(super) kept: u64,
    pub(super) gone: BTreeMap<ClassDay, Gone>,
    /// Days whose purge is recorded here.
    pub(super) recorded: Vec<ClassDay>,
    pub(super) faults: Vec<String>,
}

/// Entries of one day whose contents are gone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gone {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) count: u64,
}

impl Gone {
    pub(super) fn join(&mut self, other: Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.count += other.count;
    }
}

impl Chunks {
    pub(super) const fn of(size: u64) -> Self {
        Self { size, next: AtomicU64::new(0), done: Mutex::new(0), advanced: Condvar::new() }
    }

    /// Takes piece after piece until there is none.
    pub(super) fn work(&self, reader: &Reader, send: &SyncSender<(u64, Result<Checked, ReadError>)>) {
        let mut contents = ContentsReader::new(Arc::clone(&reader.shelf), Arc::clone(&reader.keyring));
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let first = number * CHUNK_BUNDLES;
            if first * u64::from(HASHES) >= self.size {
                return;
            }
            self.wait_for(number);
            let checked = self.check(first, reader, &mut contents);
            if send.send((number, checked)).is_err() {
                return;
            }
        }
    }

    pub(super) fn advance(&self, done: u64) {
        *self.done.lock().unwrap_or_else(PoisonError::into_inner) = done;
        self.advanced.notify_all();
    }

    fn wait_for(&self, number: u64) {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.advanced.wait_while(done, |done| number > done.saturating_add(AHEAD_MAX)));
    }

    fn check(&self, first: u64, reader: &Reader, contents: &mut ContentsReader) -> Result<Checked, ReadError> {
        let mut checked = Checked { whole: true, ..Checked::default() };
        for index in first..first + CHUNK_BUNDLES {
            let start = index * u64::from(HASHES);
            if start >= self.size {
                break;
            }
            match reader.leaves(index, self.size) {
                Ok(leaves) => {
                    for (seq, leaf) in (start..).zip(&leaves) {
                        checked.leaves.push(leaf_hash(leaf));
                        checked.entry(seq, leaf, contents)?;
                    }
                }
                Err(error) => {
                    checked.whole = false;
                    checked.fault(error)?;
                }
            }
        }
        Ok(checked)
    }
}

impl Checked {
    fn entry(&mut self, seq: u64, leaf: &[u8], contents: &mut ContentsReader) -> Result<(), ReadError> {
        let (leaf, of) = match parse_leaf(leaf, seq) {
            Ok(parsed) => parsed,
            Err(error) => return self.fault(error),
        };
        match contents.read(seq, of, &leaf.commit) {
            Ok(Content::Kept(kept)) => {
                self.kept += 1;
                if of.class == Class::Ledger && leaf.kind == PURGE {
                    self.recorded.extend(purged(&kept.body));
                }
            }
            Ok(Content::Purged) => {
                let gone = Gone { first: seq, last: seq, count: 1 };
                self.gone.entry(of).and_modify(|all| all.join(gone)).or_insert(gone);
            }
            Err(error) => return self.fault(error),
        }
        Ok(())
    }

    /// Notes what is wrong with the ledger; what is wrong with the place ends the verification.
    fn fault(&mut self, error: ReadError) -> Result<(), ReadError> {
        if let ReadError::Shelf(_) | ReadError::Key(KeyError::Shelf(_)) = error {
            return Err(error);
        }
        self.faults.push(error.to_string());
        Ok(())
    }
}

fn purged(body: &[u8]) -> Option<ClassDay> {
    let record: PurgeRecord = serde_json::from_slice(body).ok()?;
    Some(ClassDay { class: Class::from_name(&record.class)?, day: record.day })
}

/// Bundles of one piece: about as many entries as a segment of requests has.
const CHUNK_BUNDLES: u64 = 32;

/// How many pieces may be done before one that is not.
const AHEAD_MAX: u64 = 16;
