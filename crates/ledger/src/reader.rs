//! Reading a ledger: by the process that writes it, or by any other beside it. Nothing is locked and nothing changes.
//!
//! Every call blocks on the disk or the bucket; from a task of a runtime, call it on a thread for that.

mod contents;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use reeve_base::{SealError, Sealer};

use crate::keys::{KeyError, Keyring};
use crate::log::{Class, ClassDay};
use crate::proof::bundle::BundleError;
use crate::proof::checkpoint::CheckpointError;
use crate::proof::entry::Contents;
use crate::proof::leaf::LeafError;
use crate::proof::tile::{HASHES, tile_of};
use crate::proof::{
    EntryProof, Leaf, ProofError, SignedCheckpoint, VerifierKey, inclusion, leaf_hash, verify_inclusion,
};
use crate::settings::Place;
use crate::shelf::{self, Shelf, ShelfError};
use crate::signing::{self, SigningError};
use crate::tiles::{self, ShelfTiles};

pub(crate) use contents::ContentsReader;

/// A ledger, for reading.
#[derive(Clone)]
pub struct Reader {
    pub(crate) shelf: Arc<dyn Shelf>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) key: VerifierKey,
}

/// One entry as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number, from 0.
    pub seq: u64,
    /// The leaf: what everyone may see of it, for ever.
    pub leaf: Leaf,
    /// The leaf's bytes, which the tree holds.
    pub leaf_bytes: Vec<u8>,
    /// What it holds.
    pub content: Content,
}

/// What is left of an entry's contents.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "contents are there, or were destroyed: a third case would be damage")]
pub enum Content {
    /// They are there, and are what the leaf commits to.
    Kept(Contents),
    /// The key of their day was destroyed. Whether by a purge that the ledger tells of, [`crate::verify`] says.
    Purged,
}

impl Content {
    /// The contents' bytes, if they are there.
    #[must_use]
    pub fn body(&self) -> Option<&[u8]> {
        match self {
            Self::Kept(contents) => Some(&contents.body),
            Self::Purged => None,
        }
    }
}

/// Why something cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The place did not do what it was asked.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// A day's key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There is no ledger here.
    #[error("there is no ledger in {0}: it has no `{path}`", path = signing::PATH)]
    NoLedger(String),
    /// The signing key does not open.
    #[error("the ledger's signing key cannot be used: {0}; is this the installation whose vault sealed it?")]
    SigningKey(SealError),
    /// The checkpoint is missing.
    #[error("`checkpoint` is missing in {0}: restore it from the newest copy")]
    NoCheckpoint(String),
    /// The checkpoint is not the log's.
    #[error("`{path}` is not to be believed: {cause}")]
    Checkpoint {
        /// Which.
        path: &'static str,
        /// What is wrong with it.
        cause: CheckpointError,
    },
    /// There is no such entry, or not yet.
    #[error("there is no entry {seq}: the ledger has {size}, numbered from 0")]
    BeyondSize {
        /// What was asked for.
        seq: u64,
        /// How many there are.
        size: u64,
    },
    /// A bundle is missing.
    #[error("the bundle `{0}` is missing: entries were removed from the ledger")]
    NoBundle(String),
    /// A bundle is damaged.
    #[error("the bundle `{path}` is damaged: {cause}")]
    Bundle {
        /// Which.
        path: String,
        /// What is wrong.
        cause: BundleError,
    },
    /// A leaf is no leaf, or another's.
    #[error("the leaf of entry {seq} is altered: {cause}")]
    Leaf {
        /// Whose.
        seq: u64,
        /// What is wrong.
        cause: LeafError,
    },
    /// The leaf says that it is another entry, or of an unknown class.
    #[error("the leaf of entry {0} is another entry's")]
    Misplaced(u64),
    /// The contents are missing although the key of their day is there.
    #[error(
        "the contents of entry {seq} are missing in `{folder}/`, and their key was not destroyed: they were removed"
    )]
    Lost {
        /// Whose.
        seq: u64,
        /// Where they should be.
        folder: String,
    },
    /// The contents are there and wrong.
    #[error("the contents of entry {seq} in `{path}` are altered: {cause}")]
    Contents {
        /// Whose.
        seq: u64,
        /// In which segment.
        path: String,
        /// What is wrong.
        cause: &'static str,
    },
    /// The entry's proof cannot be made, or does not hold.
    #[error("entry {seq} cannot be proved: {cause}")]
    Proof {
        /// Whose.
        seq: u64,
        /// What does not hold.
        cause: ProofError,
    },
}

impl Reader {
    /// Opens the ledger of this origin and place. The vault opens the keys.
    ///
    /// # Errors
    /// When there is none, or it was sealed by another vault.
    pub fn open(origin: &str, place: &Place, sealer: Arc<dyn Sealer>) -> Result<Self, ReadError> {
        let shelf = shelf::open(place)?;
        let signer = signing::load(&*shelf, &*sealer, origin).map_err(|error| match error {
            SigningError::Shelf(error) => ReadError::Shelf(error),
            SigningError::Seal(error) => ReadError::SigningKey(error),
            SigningError::Origin | SigningError::Entropy(_) => ReadError::NoLedger(shelf.name()),
        })?;
        let signer = signer.ok_or_else(|| ReadError::NoLedger(shelf.name()))?;
        let keyring = Arc::new(Keyring::new(Arc::clone(&shelf), sealer, origin));
        Ok(Self { shelf, keyring, key: signer.verifier_key().clone() })
    }

    /// The key that verifies the log's checkpoints: what an auditor needs beside the log's folder.
    #[must_use]
    pub const fn verifier_key(&self) -> &VerifierKey {
        &self.key
    }

    /// The newest checkpoint, with its signature verified. Ask again to learn what has come since.
    ///
    /// # Errors
    /// [`ReadError::NoCheckpoint`], [`ReadError::Checkpoint`].
    pub fn checkpoint(&self) -> Result<SignedCheckpoint, ReadError> {
        self.signed(CHECKPOINT)?.ok_or_else(|| ReadError::NoCheckpoint(self.shelf.name()))
    }

    /// The newest checkpoint that enough witnesses cosigned, if there is one. Whose cosignatures it bears,
    /// [`SignedCheckpoint::cosigned_by`] says.
    ///
    /// # Errors
    /// [`ReadError::Checkpoint`].
    pub fn cosigned(&self) -> Result<Option<SignedCheckpoint>, ReadError> {
        self.signed(COSIGNED)
    }

    /// One entry.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn record(&self, seq: u64) -> Result<Record, ReadError> {
        let size = self.checkpoint()?.head().size;
        let beyond = ReadError::BeyondSize { seq, size };
        self.records(seq..seq.saturating_add(1), size).next().unwrap_or(Err(beyond))
    }

    /// The entries of a range, as far as the newest checkpoint goes, read one after the other. To follow a log, ask
    /// again from the last number on.
    ///
    /// # Errors
    /// When the checkpoint cannot be read; those of single entries come from the iterator, which ends after one.
    pub fn entries(&self, range: Range<u64>) -> Result<Entries, ReadError> {
        Ok(self.records(range, self.checkpoint()?.head().size))
    }

    /// The proof of an entry under the newest checkpoint (the cosigned one if that covers it), verified before it is
    /// given out. Without contents if they were destroyed.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn proof(&self, seq: u64) -> Result<EntryProof, ReadError> {
        let newest = self.checkpoint()?;
        let cosigned = self.cosigned()?.filter(|cosigned| cosigned.head().size > seq);
        let checkpoint = cosigned.unwrap_or(newest);
        let record = self.record(seq)?;
        let proof = self.path(&record.leaf_bytes, seq, &checkpoint)?;
        let contents = match record.content {
            Content::Kept(contents) => Some(contents),
            Content::Purged => None,
        };
        Ok(EntryProof { contents, ..proof })
    }

    /// The proof of a leaf, without contents.
    pub(crate) fn path(&self, leaf: &[u8], seq: u64, to: &SignedCheckpoint) -> Result<EntryProof, ReadError> {
        let head = to.head();
        let unproved = |cause| ReadError::Proof { seq, cause };
        let path = inclusion(seq, head.size, &ShelfTiles::of(&*self.shelf)).map_err(unproved)?;
        verify_inclusion(&leaf_hash(leaf), seq, head, &path).map_err(unproved)?;
        let checkpoint = to.to_string();
        Ok(EntryProof { leaf: leaf.to_owned(), contents: None, index: seq, inclusion: path, checkpoint })
    }

    /// The leaves of a bundle in a log of `size` entries.
    pub(crate) fn leaves(&self, index: u64, size: u64) -> Result<Vec<Vec<u8>>, ReadError> {
        let Some(id) = tile_of(size, 0, index) else { return Ok(Vec::new()) };
        let path = || crate::proof::tile::bundle_path(index, id.width);
        let leaves = tiles::leaves(&*self.shelf, index, id.width)?.ok_or_else(|| ReadError::NoBundle(path()))?;
        leaves.map_err(|cause| ReadError::Bundle { path: path(), cause })
    }

    fn records(&self, range: Range<u64>, size: u64) -> Entries {
        let contents = ContentsReader::new(Arc::clone(&self.shelf), Arc::clone(&self.keyring));
        let end = range.end.min(size);
        Entries { reader: self.clone(), contents, next: range.start, end, size, bundle: None }
    }

    fn signed(&self, path: &'static str) -> Result<Option<SignedCheckpoint>, ReadError> {
        let Some(bytes) = self.shelf.get(path)? else { return Ok(None) };
        let checkpoint = SignedCheckpoint::open(&bytes, std::slice::from_ref(&self.key));
        checkpoint.map(Some).map_err(|cause| ReadError::Checkpoint { path, cause })
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reader({})", self.shelf.name())
    }
}

/// Entries one after the other. Holds one bundle and one segment of each class.
#[derive(Debug)]
pub struct Entries {
    reader: Reader,
    contents: ContentsReader,
    next: u64,
    end: u64,
    size: u64,
    bundle: Option<(u64, Vec<Vec<u8>>)>,
}

impl Entries {
    fn read(&mut self, seq: u64) -> Result<Record, ReadError> {
        let leaf_bytes = self.leaf(seq)?;
        let (leaf, of) = parse_leaf(&leaf_bytes, seq)?;
        let content = self.contents.read(seq, of, &leaf.commit)?;
        Ok(Record { seq, leaf, leaf_bytes, content })
    }

    fn leaf(&mut self, seq: u64) -> Result<Vec<u8>, ReadError> {
        let index = seq / u64::from(HASHES);
        if self.bundle.as_ref().is_none_or(|(held, _)| *held != index) {
            self.bundle = Some((index, self.reader.leaves(index, self.size)?));
        }
        let position = usize::try_from(seq % u64::from(HASHES)).unwrap_or(usize::MAX);
        let leaf = self.bundle.as_mut().and_then(|(_, leaves)| leaves.get_mut(position)).map(std::mem::take);
        leaf.ok_or(ReadError::BeyondSize { seq, size: self.size })
    }
}

impl Iterator for Entries {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let record = self.read(self.next);
        self.next = if record.is_ok() { self.next + 1 } else { self.end };
        Some(record)
    }
}

/// A leaf that says to be entry `seq`, and whose day's key seals its contents.
pub(crate) fn parse_leaf(bytes: &[u8], seq: u64) -> Result<(Leaf, ClassDay), ReadError> {
    let leaf = Leaf::parse(bytes).map_err(|cause| ReadError::Leaf { seq, cause })?;
    let class = Class::from_name(&leaf.class).filter(|_| leaf.seq == seq).ok_or(ReadError::Misplaced(seq))?;
    let of = ClassDay { class, day: leaf.day };
    Ok((leaf, of))
}

/// Where the newest checkpoint lies.
pub(crate) const CHECKPOINT: &str = "checkpoint";

/// Where the newest one lies that enough witnesses cosigned.
pub(crate) const COSIGNED: &str = "checkpoint.cosigned";
