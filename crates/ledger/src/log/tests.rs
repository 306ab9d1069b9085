//! Crashes and failing storage: a ledger on a shelf and a disk that stop, or fail for a while, where the test says.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use rustix::io::Errno;

use super::opening::open_on;
use super::{AppendError, Class, Ledger};
use crate::house::{Machine, check_numbered, entry, fill, numbered};
use crate::lock::Lock;
use crate::proof::{Head, consistency, verify_consistency};
use crate::shelf::{self, Object, Shelf, ShelfError, Version};
use crate::tiles::ShelfTiles;
use crate::verify;
use crate::wal::{Disk, SystemDisk};

/// A shelf that lets so many operations through and then fails: half of the next write arrives.
#[derive(Debug)]
struct Failing {
    inner: Arc<dyn Shelf>,
    /// Fails when this is below zero.
    left: AtomicI64,
    /// Whether a swap that fails has been carried out all the same, as when the answer of a bucket is lost.
    swaps_arrive: AtomicBool,
    operations: AtomicU64,
}

impl Failing {
    fn on(machine: &Machine, left: i64) -> Arc<Self> {
        let inner = shelf::open(&machine.settings().place).unwrap();
        Arc::new(Self { inner, left: left.into(), swaps_arrive: AtomicBool::new(false), operations: AtomicU64::new(0) })
    }

    fn may(&self) -> Result<(), ShelfError> {
        self.operations.fetch_add(1, Ordering::SeqCst);
        if self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Ok(());
        }
        Err(ShelfError::File { doing: "write", path: "there".into(), source: io::Error::other("the disk is gone") })
    }
}

impl Shelf for Failing {
    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, ShelfError> {
        self.inner.get(path)
    }

    fn put(&self, objects: &[Object]) -> Result<(), ShelfError> {
        for object in objects {
            self.may()?;
            self.inner.put(std::slice::from_ref(object))?;
        }
        Ok(())
    }

    fn versioned(&self, path: &str) -> Result<Option<(Vec<u8>, Version)>, ShelfError> {
        self.inner.versioned(path)
    }

    fn swap(&self, path: &str, seen: Option<&Version>, bytes: &[u8]) -> Result<Version, ShelfError> {
        let may = self.may();
        if may.is_err() && self.swaps_arrive.load(Ordering::SeqCst) {
            self.inner.swap(path, seen, bytes)?;
        }
        may?;
        self.inner.swap(path, seen, bytes)
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, ShelfError> {
        self.inner.list(folder)
    }

    fn remove(&self, paths: &[String]) -> Result<(), ShelfError> {
        for path in paths {
            self.may()?;
            self.inner.remove(std::slice::from_ref(path))?;
        }
        Ok(())
    }

    fn destroy(&self, path: &str) -> Result<(), ShelfError> {
        self.may()?;
        self.inner.destroy(path)
    }

    fn name(&self) -> String {
        self.inner.name()
    }
}

fn open_failing(machine: &Machine, shelf: Arc<dyn Shelf>, disk: Arc<dyn Disk>) -> Result<Ledger, super::OpenError> {
    let settings = machine.settings();
    shelf::make_folder(&settings.wal).unwrap();
    let locks = (Lock::take(&settings.wal.join("lock")).unwrap(), shelf::lock(&settings.place).unwrap());
    open_on(settings, machine.tools(), shelf, disk, locks)
}

/// What must hold after any crash: the acknowledged entries are there, and the log continues what was signed before.
#[track_caller]
fn check_after(machine: &Machine, acknowledged: u64, signed: Option<Head>) -> Head {
    let ledger = machine.open();
    let health = ledger.health();
    assert!(health.durable >= acknowledged, "{} of {acknowledged} acknowledged entries", health.durable);
    fill(&ledger, 1);
    check_numbered(&ledger.reader(), health.durable + 1);
    let head = ledger.reader().checkpoint().unwrap().head();
    if let Some(old) = signed {
        let tiles = ShelfTiles::of(&*ledger.shared.shelf);
        let proof = consistency(old.size, head.size, &tiles).unwrap();
        verify_consistency(old, head, &proof).unwrap_or_else(|error| panic!("{old:?} then {head:?}: {error}"));
    }
    ledger.close().unwrap();
    let report = verify::run(&machine.reader(), None, |_| ()).unwrap();
    assert!(report.holds(), "{:?}", report.faults);
    head
}

/// The storage stops for good after each number of operations in turn, with lost answers and without.
#[test]
fn a_crash_at_any_point_of_sealing_loses_nothing_and_forks_nothing() {
    for swaps_arrive in [false, true] {
        let mut stopped_in_time = 0;
        for left in (i64::from(swaps_arrive)..30).step_by(2) {
            let machine = Machine::new();
            let mut acknowledged = 0;
            let mut signed = None;
            let shelf = Failing::on(&machine, left);
            shelf.swaps_arrive.store(swaps_arrive, Ordering::SeqCst);
            if let Ok(ledger) = open_failing(&machine, shelf.clone(), Arc::new(SystemDisk)) {
                for _ in 0..150 {
                    let seq = ledger.health().durable;
                    match ledger.append(numbered(seq)).map(super::Receipt::wait_durable) {
                        Ok(Ok(seq)) => acknowledged = seq + 1,
                        Ok(Err(_)) | Err(_) => break,
                    }
                }
                signed = ledger.reader().checkpoint().ok().map(|checkpoint| checkpoint.head());
            }
            stopped_in_time += u64::from(shelf.left.load(Ordering::SeqCst) < 0);
            check_after(&machine, acknowledged, signed);
        }
        assert!(stopped_in_time > 10, "{stopped_in_time} runs were stopped");
    }
}

#[test]
fn sealing_that_fails_for_a_while_goes_on_by_itself() {
    for swaps_arrive in [false, true] {
        let machine = Machine::new();
        let shelf = Failing::on(&machine, i64::MAX);
        shelf.swaps_arrive.store(swaps_arrive, Ordering::SeqCst);
        let ledger = open_failing(&machine, shelf.clone(), Arc::new(SystemDisk)).unwrap();
        fill(&ledger, 300);
        shelf.left.store(3, Ordering::SeqCst);
        let mut seq = 300;
        wait_until(|| {
            seq = ledger.append(numbered(seq)).unwrap().wait_durable().unwrap() + 1;
            ledger.health().unsealable.is_some()
        });
        let (unsealable, failing) = (ledger.health().unsealable.unwrap(), ledger.health().failing);
        assert!(unsealable.contains("the disk is gone") && failing.is_none(), "{unsealable} {failing:?}");
        for seq in seq..seq + 300 {
            ledger.append(numbered(seq)).unwrap().wait_durable().unwrap();
        }
        shelf.left.store(i64::MAX, Ordering::SeqCst);
        wait_until(|| ledger.health().sealed == seq + 300 && ledger.health().unsealable.is_none());
        check_numbered(&ledger.reader(), seq + 300);
        drop(ledger);
        check_after(&machine, seq + 300, None);
    }
}

#[test]
fn what_cannot_be_sealed_takes_no_more_memory_than_it_may() {
    let mut machine = Machine::new();
    machine.pace.unsealed_bytes_max = 100_000;
    let shelf = Failing::on(&machine, i64::MAX);
    let ledger = open_failing(&machine, shelf.clone(), Arc::new(SystemDisk)).unwrap();
    fill(&ledger, 3);
    shelf.left.store(0, Ordering::SeqCst);
    let big = || entry(Class::Request, vec![b'x'; 10_000]);
    let mut taken = 0;
    wait_until(|| match ledger.append(big()).map(super::Receipt::wait_durable) {
        Ok(Ok(_)) => {
            taken += 1;
            false
        }
        Ok(Err(error)) | Err(error) => {
            assert!(matches!(error, AppendError::Failed { ref cause } if cause.contains("sealing fails")), "{error}");
            true
        }
    });
    assert!((9..14).contains(&taken), "{taken} entries of 10 kB were taken");
    shelf.left.store(i64::MAX, Ordering::SeqCst);
    wait_until(|| ledger.health().failing.is_none() && ledger.append(big()).is_ok());
}

/// A disk on which writing breaks off, or syncing fails, as often as the number says.
struct FailingDisk {
    left: Arc<AtomicI64>,
    writing: bool,
}

impl Disk for FailingDisk {
    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        if self.writing && self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            file.write_all(&bytes[..bytes.len() / 2])?;
            return Err(Errno::NOSPC.into());
        }
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        if !self.writing && self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Err(Errno::IO.into());
        }
        file.sync_data()
    }
}

#[test]
fn a_failed_write_or_sync_is_told_and_what_was_acknowledged_stays() {
    for writing in [false, true] {
        for failures in [1, 2, 5] {
            let mut machine = Machine::new();
            machine.pace.retry_every = Duration::from_millis(150);
            let left = Arc::new(AtomicI64::new(0));
            let disk = Arc::new(FailingDisk { left: Arc::clone(&left), writing });
            let shelf = Failing::on(&machine, i64::MAX);
            let ledger = open_failing(&machine, shelf.clone(), disk).unwrap();
            fill(&ledger, 20);
            // Nothing more is sealed, so that everything depends on the write-ahead log.
            shelf.left.store(0, Ordering::SeqCst);
            for seq in 20..40 {
                ledger.append(numbered(seq)).unwrap().wait_durable().unwrap();
            }
            left.store(failures, Ordering::SeqCst);
            let lost = ledger.append(entry(Class::Request, "lost")).unwrap().wait_durable().unwrap_err();
            let cause = if writing { "No space left" } else { "Input/output error" };
            assert!(matches!(lost, AppendError::Failed { cause: ref told } if told.contains(cause)), "{lost}");
            assert!(ledger.health().failing.is_some_and(|told| told.contains(cause)));
            wait_until(|| ledger.health().failing.is_none());
            let resumed = ledger.append(entry(Class::Request, "after")).unwrap().wait_durable().unwrap();
            assert!((41..44).contains(&resumed), "the ledger tells of it in entries of its own: {resumed}");
            drop(ledger);

            let ledger = machine.open();
            wait_until(|| ledger.health().sealed == resumed + 1);
            let records: Vec<_> = ledger.reader().entries(0..u64::MAX).unwrap().map(Result::unwrap).collect();
            let own: Vec<&str> = records.iter().skip(40).map(|record| record.leaf.kind.as_str()).collect();
            assert!(own.contains(&"ledger.resumed"), "{own:?}");
            assert!(!records.iter().any(|record| record.content.body() == Some(b"lost".as_slice())));
            assert_eq!(records.last().unwrap().content.body(), Some(b"after".as_slice()));
            assert!(verify::run(&machine.reader(), None, |_| ()).unwrap().holds());
        }
    }
}

#[test]
fn somebody_elses_checkpoint_is_never_written_over() {
    let machine = Machine::new();
    let ledger = machine.open();
    fill(&ledger, 5);
    let before = std::fs::read(machine.folder().join("checkpoint")).unwrap();
    fill(&ledger, 5);
    // As another writer would, who has somehow got past the locks.
    std::fs::write(machine.folder().join("checkpoint"), &before).unwrap();
    ledger.append(numbered(10)).unwrap().wait_durable().unwrap();
    wait_until(|| ledger.health().unsealable.is_some());
    let told = ledger.health().unsealable.unwrap();
    assert!(told.contains("two processes write this ledger"), "{told}");
    assert_eq!(std::fs::read(machine.folder().join("checkpoint")).unwrap(), before);
    assert!(ledger.close().unwrap_err().to_string().contains("1 entries"));
}

#[test]
fn an_altered_tile_stops_the_signing() {
    let machine = Machine::new();
    let ledger = machine.open();
    fill(&ledger, 300);
    let path = machine.folder().join("tile/1/000.p/1");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[7] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    ledger.append(numbered(300)).unwrap().wait_durable().unwrap();
    wait_until(|| ledger.health().unsealable.is_some());
    let told = ledger.health().unsealable.unwrap();
    assert!(told.contains("would not be the continuation"), "{told}");
}

#[test]
fn an_interrupted_purge_is_finished_and_recorded_by_the_next() {
    let mut interruptions = 0;
    for left in 0..12 {
        let mut machine = Machine::new();
        machine.pace.seal_every = Duration::from_millis(1);
        let shelf = Failing::on(&machine, i64::MAX);
        let ledger = open_failing(&machine, shelf.clone(), Arc::new(SystemDisk)).unwrap();
        fill(&ledger, 30);
        for _ in 0..3 {
            machine.clock.pass(Duration::from_secs(20 * 24 * 60 * 60));
            fill(&ledger, 3);
        }
        shelf.left.store(left, Ordering::SeqCst);
        let interrupted = ledger.purge();
        interruptions += u64::from(interrupted.is_err());
        shelf.left.store(i64::MAX, Ordering::SeqCst);
        wait_until(|| ledger.health().failing.is_none());
        let report = ledger.purge().unwrap();
        assert_eq!(report.plan.doubt, None);
        assert!(ledger.due_purges().unwrap().due.is_empty());
        let sealed = ledger.health().durable;
        wait_until(|| ledger.health().sealed == sealed);
        let report = verify::run(&ledger.reader(), None, |_| ()).unwrap();
        assert!(report.holds(), "{left}: {:?}", report.faults);
        assert_eq!(report.purged, 20 + 2, "the requests of the first two days");
    }
    assert!(interruptions > 3, "{interruptions} purges were interrupted");
}

/// Waits for another thread's work, at most as long as nobody would.
#[track_caller]
fn wait_until(mut done: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if done() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    panic!("it never came true");
}
