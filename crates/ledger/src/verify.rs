//! Checking a whole ledger against its checkpoint, as its owner: what the tree says, and what the contents say.
//!
//! An outsider checks the tree alone, with any verifier of c2sp.org/tlog-tiles. This goes further: every content that
//! is not purged must open and be what its leaf commits to, and every purge must be recorded.

mod work;

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use jiff::civil::Date;

use crate::log::{Class, ClassDay};
use crate::proof::tile::{HASHES, TileSource};
use crate::proof::{Edge, Hash, Head, ProofError, SignedCheckpoint, Tile, consistency, leaf_hash, verify_consistency};
use crate::reader::{ReadError, Reader};
use crate::retention::purging;
use crate::tiles::ShelfTiles;

use work::{Checked, Chunks};

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The size and root that everything was held against.
    pub head: Head,
    /// As many entries have their contents, and they are what the leaves commit to.
    pub kept: u64,
    /// As many have had theirs destroyed by a purge that the ledger records, or is about to.
    pub purged: u64,
    /// What is wrong, at most [`FAULTS_MAX`]. The ledger holds if this is empty.
    pub faults: Vec<Fault>,
    /// How many faults there are in all.
    pub faults_total: u64,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.faults_total == 0
    }

    fn fault(&mut self, fault: Fault) {
        self.faults_total += 1;
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }
}

/// Something that is wrong with a ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// An entry is missing, altered, or its contents are.
    #[error("{0}")]
    Entry(String),
    /// A tile is missing or holds other hashes than the entries give.
    #[error("the tile `{path}` is wrong: {cause}")]
    Tile {
        /// Which.
        path: String,
        /// What is wrong.
        cause: String,
    },
    /// The entries give another root than the checkpoint has.
    #[error("the entries give the root {found}, and the checkpoint of {size} entries has {signed}")]
    Root {
        /// The log's size.
        size: u64,
        /// What the entries give.
        found: Hash,
        /// What was signed.
        signed: Hash,
    },
    /// The log is not the continuation of an earlier checkpoint.
    #[error("the log does not continue the {which} checkpoint of {size} entries: {cause}")]
    Consistency {
        /// `given` or `cosigned`.
        which: &'static str,
        /// That one's size.
        size: u64,
        /// What does not hold.
        cause: ProofError,
    },
    /// Contents are unreadable and no purge of them is recorded.
    #[error(
        "the contents of {class}/{day} (entries {first} to {last}) cannot be read, because their key is gone, and the \
         ledger records no purge of them"
    )]
    Unexplained {
        /// The class.
        class: Class,
        /// The day.
        day: Date,
        /// The first such entry.
        first: u64,
        /// The last one.
        last: u64,
    },
}

/// Verifies everything up to the newest checkpoint: its signature, every bundle, every tile, every content, every
/// purge; that it continues the newest cosigned checkpoint, and `since`, if one is given. `progress` is called with the
/// number of entries done, a few times a second on a large log.
///
/// Uses a thread for each processor, and memory for some bundles and segments of each, however long the log is.
///
/// # Errors
/// When it cannot be judged: there is no checkpoint, or it is not signed by the log's key, or the place cannot be read.
pub fn run(
    reader: &Reader,
    since: Option<&SignedCheckpoint>,
    mut progress: impl FnMut(u64),
) -> Result<Report, ReadError> {
    let head = reader.checkpoint()?.head();
    let mut report = Report { head, kept: 0, purged: 0, faults: Vec::new(), faults_total: 0 };
    let mut tree = Tree { edge: Edge::new(), tiles: ShelfTiles::of(&*reader.shelf), whole: true };
    // A purge that is going on right now has its entry not in the tree yet.
    let mut purges = Purges { recorded: purging(&*reader.shelf)?.into_iter().collect(), ..Purges::default() };
    let chunks = Chunks::of(head.size);
    let workers = thread::available_parallelism().map_or(1, |count| count.get().min(WORKERS_MAX));
    let (send, receive) = sync_channel(workers * 2);
    thread::scope(|scope| {
        for _ in 0..workers {
            let (send, chunks) = (send.clone(), &chunks);
            scope.spawn(move || chunks.work(reader, &send));
        }
        drop(send);
        let taken = take_all(&receive, &chunks, &mut progress, (&mut tree, &mut purges, &mut report));
        // Whoever waits for its turn must not do so for ever if the loop ended early.
        drop(receive);
        chunks.advance(u64::MAX);
        taken
    })?;
    tree.finish(&mut report);
    purges.finish(&mut report);
    continues(reader, head, reader.cosigned()?.as_ref(), "cosigned", &mut report);
    continues(reader, head, since, "given", &mut report);
    Ok(report)
}

type Sums<'s, 'r> = (&'s mut Tree<'r>, &'s mut Purges, &'s mut Report);

/// Puts the pieces together in the order of the log, however they arrive.
fn take_all(
    receive: &Receiver<(u64, Result<Checked, ReadError>)>,
    chunks: &Chunks,
    progress: &mut impl FnMut(u64),
    (tree, purges, report): Sums<'_, '_>,
) -> Result<(), ReadError> {
    let mut early: BTreeMap<u64, Checked> = BTreeMap::new();
    let mut next = 0;
    for (number, checked) in receive {
        early.insert(number, checked?);
        while let Some(checked) = early.remove(&next) {
            next += 1;
            purges.take(&checked);
            tree.take(&checked, report);
            report.kept += checked.kept;
            checked.faults.into_iter().for_each(|fault| report.fault(Fault::Entry(fault)));
            chunks.advance(next);
            progress(tree.edge.size());
        }
    }
    Ok(())
}

fn continues(reader: &Reader, head: Head, old: Option<&SignedCheckpoint>, which: &'static str, report: &mut Report) {
    let Some(old) = old.map(SignedCheckpoint::head) else { return };
    let proof = consistency(old.size, head.size, &ShelfTiles::of(&*reader.shelf));
    if let Err(cause) = proof.and_then(|proof| verify_consistency(old, head, &proof)) {
        report.fault(Fault::Consistency { which, size: old.size, cause });
    }
}

/// The tree as the entries give it, held against the tiles.
struct Tree<'r> {
    edge: Edge,
    tiles: ShelfTiles<'r>,
    /// Whether every leaf was there: without one, no hash above it can be known.
    whole: bool,
}

impl Tree<'_> {
    fn take(&mut self, checked: &Checked, report: &mut Report) {
        self.whole &= checked.whole;
        for leaf in &checked.leaves {
            for tile in self.edge.push(*leaf) {
                self.compare(&tile, report);
            }
        }
    }

    fn compare(&self, tile: &Tile, report: &mut Report) {
        if !self.whole {
            return;
        }
        let path = tile.id.path();
        match self.tiles.tile(tile.id.level, tile.id.index, tile.id.width) {
            Ok(hashes) if hashes == tile.hashes => {}
            Ok(_) => {
                report.fault(Fault::Tile { path, cause: String::from("it holds other hashes than the entries give") });
            }
            Err(error) => report.fault(Fault::Tile { path, cause: error.to_string() }),
        }
    }

    fn finish(&self, report: &mut Report) {
        for tile in self.edge.partial() {
            self.compare(&tile, report);
        }
        let Head { size, root: signed } = report.head;
        let found = self.edge.root();
        if self.whole && found != signed {
            report.fault(Fault::Root { size, found, signed });
        }
    }
}

/// Which contents are gone, and which of those the ledger says that it destroyed.
#[derive(Default)]
struct Purges {
    gone: BTreeMap<ClassDay, work::Gone>,
    recorded: Vec<ClassDay>,
}

impl Purges {
    fn take(&mut self, checked: &Checked) {
        for (of, gone) in &checked.gone {
            self.gone.entry(*of).and_modify(|all| all.join(*gone)).or_insert(*gone);
        }
        self.recorded.extend(&checked.recorded);
    }

    fn finish(self, report: &mut Report) {
        for (of, gone) in self.gone {
            if self.recorded.contains(&of) {
                report.purged += gone.count;
            } else {
                let ClassDay { class, day } = of;
                report.fault(Fault::Unexplained { class, day, first: gone.first, last: gone.last });
            }
        }
    }
}

/// The most faults that a report lists; the rest are counted.
pub const FAULTS_MAX: usize = 100;

/// The most threads of a verification.
const WORKERS_MAX: usize = 8;
