//! Opening a ledger: everything that must be true before the first entry is taken.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::backlog::Backlog;
use super::cosigning::{self, Latest};
use super::health::Pulse;
use super::queue::Queue;
use super::reserve::Reserve;
use super::sealing::Sealing;
use super::writer::Writer;
use super::{Ledger, OpenError, Shared, Signal, Threads};
use crate::content::Run;
use crate::keys::Keyring;
use crate::lock::Lock;
use crate::proof::tile::{HASHES, hashes_at};
use crate::proof::{
    Checkpoint, Edge, SignedCheckpoint, Signer, VerifierKey, bundle, consistency, leaf_hash, verify_consistency,
};
use crate::reader::{CHECKPOINT, COSIGNED, Reader};
use crate::retention::{Retaining, Timekeeper};
use crate::segment::Growing;
use crate::settings::{Place, Settings, Tools};
use crate::shelf::{self, Shelf, ShelfError, Version, at, make_folder, write_whole};
use crate::signing::{self, SigningError};
use crate::tiles::{self, ShelfTiles};
use crate::wal::{Disk, Replay, SystemDisk, Wal};
use crate::witness::{Failure, Round, Witnesses};

pub(super) fn open(settings: Settings, tools: Tools) -> Result<Ledger, OpenError> {
    check_places(&settings)?;
    make_folder(&settings.wal)?;
    let locks = (Lock::take(&settings.wal.join("lock"))?, shelf::lock(&settings.place)?);
    let shelf = shelf::open(&settings.place)?;
    open_on(settings, tools, shelf, Arc::new(SystemDisk), locks)
}

/// The same on a shelf and a disk that are given; a test gives some that fail.
pub(crate) fn open_on(
    settings: Settings,
    tools: Tools,
    shelf: Arc<dyn Shelf>,
    disk: Arc<dyn Disk>,
    locks: (Lock, Option<Lock>),
) -> Result<Ledger, OpenError> {
    if let Place::Bucket(_) = settings.place {
        check_conditions(&*shelf)?;
    }
    claim(&*shelf, &settings, &tools)?;
    let found = Found::read(&*shelf, &settings, &tools)?;
    let mut witnesses = Witnesses::new(tools.cosigners.clone());
    let round = found.ask(&mut witnesses, &*shelf, &settings)?;
    let ledger_id = digest(&SHA256, found.signer.verifier_key().to_string().as_bytes());
    let ledger_id = ledger_id.as_ref().try_into().unwrap_or([0; 32]);
    let (wal, replay) = Wal::open(&settings.wal, ledger_id, found.edge.size(), disk)?;
    begin(settings, tools, shelf, found, (witnesses, round), (wal, replay), locks)
}

/// Gives the ledger back: any write-ahead log may go on with it.
pub(super) fn release(shared: &Shared) -> Result<(), ShelfError> {
    let Some((bytes, version)) = shared.shelf.versioned(WRITER)? else { return Ok(()) };
    let Ok(claim) = serde_json::from_slice::<Claim>(&bytes) else { return Ok(()) };
    shared.shelf.swap(WRITER, Some(&version), &Claim { released: true, ..claim }.bytes()).map(drop)
}

/// A copy of the ledger's folder must not take half of the write-ahead log along.
fn check_places(settings: &Settings) -> Result<(), OpenError> {
    let Place::Folder(folder) = &settings.place else { return Ok(()) };
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (folder, wal) = (absolute(folder), absolute(&settings.wal));
    if wal.starts_with(&folder) || folder.starts_with(&wal) {
        return Err(OpenError::Nested(settings.wal.display().to_string()));
    }
    Ok(())
}

/// Tries out whether a bucket refuses a write whose condition does not hold. Without that, two writers fork the log.
fn check_conditions(shelf: &dyn Shelf) -> Result<(), OpenError> {
    let version = match shelf.versioned(CONDITIONS)? {
        Some((_, version)) => version,
        None => shelf.swap(CONDITIONS, None, b"0")?,
    };
    let unconditional = |condition| OpenError::Unconditional { place: shelf.name(), condition };
    match shelf.swap(CONDITIONS, None, b"0") {
        Err(ShelfError::Changed { .. }) => {}
        Err(error @ ShelfError::Bucket { .. }) => return Err(error.into()),
        _ => return Err(unconditional("If-None-Match")),
    }
    shelf.swap(CONDITIONS, Some(&version), b"1")?;
    match shelf.swap(CONDITIONS, Some(&version), b"2") {
        Err(ShelfError::Changed { .. }) => {}
        Err(error @ ShelfError::Bucket { .. }) => return Err(error.into()),
        _ => return Err(unconditional("If-Match")),
    }
    Ok(shelf.remove(&[CONDITIONS.to_owned()])?)
}

/// Who writes a ledger: whose write-ahead log may hold what was acknowledged and is not sealed.
#[derive(Debug, Serialize, Deserialize)]
struct Claim {
    /// The random name of the write-ahead log.
    wal: String,
    /// Where that is, for people.
    place: String,
    /// Whether it was closed with everything sealed.
    released: bool,
}

impl Claim {
    fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// Takes the ledger for this write-ahead log. That needs no time limits: whoever ended without closing must come back
/// with the same write-ahead log, and only a person can say that it is lost.
fn claim(shelf: &dyn Shelf, settings: &Settings, tools: &Tools) -> Result<(), OpenError> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let own = Claim {
        wal: wal_name(&settings.wal, tools)?,
        place: format!("{host}:{}", settings.wal.display()),
        released: false,
    };
    let found = shelf.versioned(WRITER)?;
    if let Some((bytes, _)) = &found {
        let damaged = |cause: serde_json::Error| damaged(shelf, WRITER, cause.to_string());
        let other: Claim = serde_json::from_slice(bytes).map_err(damaged)?;
        if other.wal != own.wal && !other.released {
            return Err(OpenError::OtherWriter { place: shelf.name(), writer: other.place });
        }
    }
    shelf.swap(WRITER, found.as_ref().map(|(_, version)| version), &own.bytes())?;
    Ok(())
}

/// The random name of a write-ahead log, made with it.
fn wal_name(folder: &Path, tools: &Tools) -> Result<String, OpenError> {
    let path: PathBuf = folder.join("name");
    match std::fs::read_to_string(&path) {
        Ok(name) if !name.is_empty() => return Ok(name),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(at("read", &path)(error).into()),
    }
    let mut random = [0; 16];
    tools.entropy.fill(&mut random).map_err(|error| OpenError::Entropy(error.to_string()))?;
    let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    write_whole(&path, name.as_bytes())?;
    Ok(name)
}

/// What is there, verified.
struct Found {
    signer: Signer,
    checkpoint: SignedCheckpoint,
    version: Version,
    cosigned: u64,
    edge: Edge,
    bundle: Vec<u8>,
    fresh: bool,
}

impl Found {
    fn read(shelf: &dyn Shelf, settings: &Settings, tools: &Tools) -> Result<Self, OpenError> {
        let (signer, made) = signer(shelf, settings, tools)?;
        let key = signer.verifier_key().clone();
        let (checkpoint, version) = match shelf.versioned(CHECKPOINT)? {
            Some((bytes, version)) => (open_checkpoint(shelf, CHECKPOINT, &bytes, &key)?, version),
            None => first_checkpoint(shelf, &signer, settings)?,
        };
        let head = checkpoint.head();
        let fresh = made || head.size == 0;
        let tiles = ShelfTiles::of(shelf);
        let edge = Edge::from_tiles(head.size, &tiles).map_err(|error| damaged(shelf, "tile", error.to_string()))?;
        if edge.root() != head.root {
            return Err(damaged(
                shelf,
                "tile",
                String::from("the tiles at the right edge are not those of the checkpoint"),
            ));
        }
        let bundle = open_bundle(shelf, &edge)?;
        let cosigned = match shelf.get(COSIGNED)? {
            Some(bytes) => open_checkpoint(shelf, COSIGNED, &bytes, &key)?.head(),
            None => return Ok(Self { signer, checkpoint, version, cosigned: 0, edge, bundle, fresh }),
        };
        let contradicts = |cause| OpenError::Contradiction { place: shelf.name(), cause };
        let proof = consistency(cosigned.size, head.size, &tiles).map_err(contradicts)?;
        verify_consistency(cosigned, head, &proof).map_err(contradicts)?;
        Ok(Self { signer, checkpoint, version, cosigned: cosigned.size, edge, bundle, fresh })
    }

    /// Asks the witnesses before anything is signed: only they can tell an old copy from the newest.
    fn ask(&self, witnesses: &mut Witnesses, shelf: &dyn Shelf, settings: &Settings) -> Result<Round, OpenError> {
        if witnesses.is_empty() {
            return Ok(Round::default());
        }
        let round = witnesses.cosign(&self.checkpoint, &ShelfTiles::of(shelf), settings.pace.witness_patience);
        for failure in &round.failures {
            match failure {
                Failure::RolledBack { .. } => return Err(OpenError::RolledBack(failure.clone())),
                Failure::Forked { .. } => return Err(OpenError::Forked(failure.clone())),
                Failure::Missing { .. } => tracing::warn!(cause = %failure, "a witness could not be asked"),
            }
        }
        Ok(round)
    }
}

fn signer(shelf: &dyn Shelf, settings: &Settings, tools: &Tools) -> Result<(Signer, bool), OpenError> {
    let origin = &settings.origin;
    let refused = |error| match error {
        SigningError::Shelf(error) => OpenError::Shelf(error),
        SigningError::Seal(error) => OpenError::Key(error),
        SigningError::Entropy(cause) => OpenError::Entropy(cause),
        SigningError::Origin => OpenError::Origin(origin.clone()),
    };
    if let Some(signer) = signing::load(shelf, &*tools.sealer, origin).map_err(refused)? {
        return Ok((signer, false));
    }
    // A log goes on with the key that it began with, or not at all.
    if shelf.get(CHECKPOINT)?.is_some() || !shelf.list("tile")?.is_empty() {
        return Err(OpenError::Missing { path: signing::PATH.to_owned(), place: shelf.name() });
    }
    let signer = signing::make(shelf, &*tools.sealer, &*tools.entropy, origin).map_err(refused)?;
    Ok((signer, true))
}

/// The checkpoint of the log without entries. It is published too, so that a missing checkpoint is always a loss.
fn first_checkpoint(
    shelf: &dyn Shelf,
    signer: &Signer,
    settings: &Settings,
) -> Result<(SignedCheckpoint, Version), OpenError> {
    if !shelf.list("tile")?.is_empty() || shelf.get(COSIGNED)?.is_some() {
        return Err(OpenError::Missing { path: CHECKPOINT.to_owned(), place: shelf.name() });
    }
    let head = Edge::new().head();
    let checkpoint =
        Checkpoint { origin: settings.origin.clone(), size: head.size, root: head.root, extensions: Vec::new() };
    let checkpoint =
        SignedCheckpoint::sign(checkpoint, signer).map_err(|_| OpenError::Origin(settings.origin.clone()))?;
    let version = shelf.swap(CHECKPOINT, None, checkpoint.to_string().as_bytes())?;
    Ok((checkpoint, version))
}

fn open_checkpoint(
    shelf: &dyn Shelf,
    path: &str,
    bytes: &[u8],
    key: &VerifierKey,
) -> Result<SignedCheckpoint, OpenError> {
    SignedCheckpoint::open(bytes, std::slice::from_ref(key)).map_err(|error| damaged(shelf, path, error.to_string()))
}

/// The bundle that is not full, held against its tile.
fn open_bundle(shelf: &dyn Shelf, edge: &Edge) -> Result<Vec<u8>, OpenError> {
    let Some(tile) = edge.partial().find(|tile| tile.id.level == 0) else { return Ok(Vec::new()) };
    let index = hashes_at(edge.size(), 0) / u64::from(HASHES);
    let path = crate::proof::tile::bundle_path(index, tile.id.width);
    let Some(leaves) = tiles::leaves(shelf, index, tile.id.width)? else {
        return Err(OpenError::Missing { path, place: shelf.name() });
    };
    let leaves = leaves.map_err(|error| damaged(shelf, &path, error.to_string()))?;
    if !leaves.iter().map(|leaf| leaf_hash(leaf)).eq(tile.hashes.iter().copied()) {
        return Err(damaged(shelf, &path, String::from("it holds other entries than its tile says")));
    }
    bundle::encode(&leaves).map_err(|error| damaged(shelf, &path, error.to_string()))
}

fn damaged(shelf: &dyn Shelf, path: &str, cause: String) -> OpenError {
    OpenError::Damaged { path: path.to_owned(), place: shelf.name(), cause }
}

/// Puts everything together and starts the threads.
fn begin(
    settings: Settings,
    tools: Tools,
    shelf: Arc<dyn Shelf>,
    found: Found,
    (witnesses, round): (Witnesses, Round),
    (wal, replay): (Wal, Replay),
    locks: (Lock, Option<Lock>),
) -> Result<Ledger, OpenError> {
    if replay.cut > 0 {
        tracing::warn!(bytes = replay.cut, "the end of the write-ahead log was never acknowledged and is cut off");
    }
    let reserve = Reserve::new(&settings.wal);
    reserve.make()?;
    let run = Run::begin(&*tools.entropy).map_err(OpenError::Entropy)?;
    let keyring = Arc::new(Keyring::new(Arc::clone(&shelf), Arc::clone(&tools.sealer), &settings.origin));
    let key = found.signer.verifier_key().clone();
    let reader = Reader { shelf: Arc::clone(&shelf), keyring: Arc::clone(&keyring), key };
    let time = Timekeeper::open(Arc::clone(&tools.clock), Arc::clone(&shelf), found.fresh)?;
    let size = found.edge.size();
    let durable = replay.frames.last().map_or(size, |frame| frame.seq + 1);
    let backlog = Backlog::default();
    backlog.extend(replay.frames.into_iter().map(Arc::new));
    let pulse = Pulse::begin(durable, size, found.cosigned);
    pulse.troubles().witnesses = round.failures.clone();
    let pace = settings.pace;
    let queue = Queue::new(pace.queue_entries_max, pace.queue_bytes_max);
    let latest = Latest::default();
    let abandoned = false.into();
    let shared =
        Arc::new(Shared { settings, tools, shelf, keyring, reader, time, queue, backlog, pulse, latest, abandoned });
    let (signals, received) = mpsc::channel();
    if let Some(cosigned) = cosigning::cosigned(found.checkpoint.clone(), &round, shared.settings.witness_quorum) {
        drop(signals.send(Signal::Cosigned(cosigned)));
    }
    if durable > size {
        drop(signals.send(Signal::Durable));
    }
    let writer = Writer::new(Arc::clone(&shared), signals.clone(), wal, reserve, run, durable);
    let sealing = sealing(&shared, found, received);
    let threads = start(&shared, writer, sealing, witnesses, &signals).inspect_err(|_| shared.abandon())?;
    Ok(Ledger { shared, threads: Some(threads), signals, retaining: Retaining::default(), _locks: locks })
}

fn sealing(shared: &Arc<Shared>, found: Found, signals: Receiver<Signal>) -> Sealing {
    Sealing {
        shared: Arc::clone(shared),
        signals,
        signer: found.signer,
        edge: found.edge,
        bundle: found.bundle,
        growing: Growing::default(),
        published: found.checkpoint,
        version: found.version,
        waiting: Vec::new(),
        since: None,
        attempted: None,
        contradicted: None,
        kept_house: None,
    }
}

/// Starts the threads. The writer comes last, because only it could do something.
fn start(
    shared: &Arc<Shared>,
    writer: Writer,
    sealing: Sealing,
    witnesses: Witnesses,
    signals: &Sender<Signal>,
) -> Result<Threads, OpenError> {
    let cosigning = if witnesses.is_empty() {
        None
    } else {
        let (shared, signals) = (Arc::clone(shared), signals.clone());
        Some(spawn("ledger-cosigner", move || cosigning::work(&shared, witnesses, &signals))?)
    };
    let sealing = spawn("ledger-sealer", move || sealing.work())?;
    let writer = spawn("ledger-writer", move || writer.work())?;
    Ok(Threads { writer, sealing, cosigning })
}

fn spawn<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>, OpenError> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map_err(OpenError::Thread)
}

/// Who writes.
const WRITER: &str = "writer";

/// What conditional writes are tried out on.
const CONDITIONS: &str = "conditions";
