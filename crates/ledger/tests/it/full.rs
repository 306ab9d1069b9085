//! A disk that is full, and one that cannot be written. Both need a file system of their own, which only root can
//! mount; for anybody else the tests judge nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use reeve_ledger::{AppendError, Class, Ledger, Place, Settings, verify};

use crate::house::{Machine, ORIGIN, entry};

/// A small file system in memory, gone when this is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn new(at: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).output().ok()?;
        if !mounted.status.success() {
            let said = String::from_utf8_lossy(&mounted.stderr).into_owned();
            assert!(said.contains("permi") || said.contains("superuser"), "no file system can be mounted: {said}");
            return None;
        }
        Some(Self(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}

fn settings(machine: &Machine, disk: &Path) -> Settings {
    let place = Place::Folder(disk.join("ledger"));
    Settings { pace: machine.pace, ..Settings::new(ORIGIN, place, disk.join("wal")) }
}

#[test]
fn a_full_disk_refuses_entries_keeps_the_acknowledged_ones_and_recovers_when_there_is_space() {
    let machine = Machine::new();
    let Some(disk) = Mounted::new(&machine.home.path().join("disk"), "size=32m") else { return };
    let ledger = Ledger::open(settings(&machine, &disk.0), machine.tools()).unwrap();
    let ballast = disk.0.join("ballast");
    fs::write(&ballast, vec![0; 12 * 1024 * 1024]).unwrap();
    let big = |number: u64| entry(Class::Request, format!("{number} {}", "x".repeat(200_000)));
    let mut acknowledged = Vec::new();
    let refused = loop {
        match ledger.append(big(acknowledged.len() as u64)).and_then(|receipt| receipt.wait_durable()) {
            Ok(seq) => acknowledged.push(seq),
            Err(error) => break error,
        }
        assert!(acknowledged.len() < 1_000, "32 MiB hold no thousand entries");
    };
    assert!(matches!(refused, AppendError::Failed { ref cause } if cause.contains("No space left")), "{refused}");
    assert!(acknowledged.len() > 10, "{}", acknowledged.len());
    assert!(ledger.health().failing.is_some());
    assert!(!disk.0.join("wal/reserve").exists() || ledger.health().failing.is_some(), "the reserve was used");

    fs::remove_file(&ballast).unwrap();
    let more = wait_for(|| ledger.append(big(1_000_000)).and_then(|receipt| receipt.wait_durable()).ok());
    let durable = ledger.health().durable;
    wait_for(|| (ledger.health().sealed >= durable).then_some(()));
    let reader = ledger.reader();
    for (number, seq) in (0..).zip(&acknowledged) {
        let record = reader.record(*seq).unwrap();
        assert_eq!(record.content.body(), Some(&big(number).body[..]), "entry {seq}");
    }
    assert_eq!(reader.record(more).unwrap().content.body(), Some(&big(1_000_000).body[..]));
    let kinds: Vec<String> = reader.entries(0..durable).unwrap().map(|record| record.unwrap().leaf.kind).collect();
    assert!(kinds.contains(&"ledger.failed".to_owned()) && kinds.contains(&"ledger.resumed".to_owned()), "{kinds:?}");
    ledger.close().unwrap();
    let reader = reeve_ledger::Reader::open(ORIGIN, &Place::Folder(disk.0.join("ledger")), machine.sealer.clone());
    assert!(verify::run(&reader.unwrap(), None, |_| ()).unwrap().holds());
}

#[test]
fn a_disk_that_cannot_be_written_is_told_and_can_still_be_read() {
    let machine = Machine::new();
    let Some(disk) = Mounted::new(&machine.home.path().join("disk"), "size=32m") else { return };
    let ledger = Ledger::open(settings(&machine, &disk.0), machine.tools()).unwrap();
    crate::house::fill(&ledger, 5);
    ledger.close().unwrap();
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(&disk.0).status().unwrap();
    assert!(remounted.success());
    let refused = Ledger::open(settings(&machine, &disk.0), machine.tools()).unwrap_err().to_string();
    assert!(refused.contains("Read-only file system") && refused.contains("wal/lock"), "{refused}");
    let reader = reeve_ledger::Reader::open(ORIGIN, &Place::Folder(disk.0.join("ledger")), machine.sealer.clone());
    crate::house::check_numbered(&reader.unwrap(), 5);
}

fn wait_for<T>(mut done: impl FnMut() -> Option<T>) -> T {
    for _ in 0..10_000 {
        if let Some(done) = done() {
            return done;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(1));
    }
    panic!("it never came true");
}
