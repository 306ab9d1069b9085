//! What a crash, a bad disk or a hand in the files can do, and how it is told.

use std::fs;
use std::path::{Path, PathBuf};

use reeve_ledger::{Class, Ledger, OpenError, Place, Settings, verify};

use crate::house::{Machine, ORIGIN, check_numbered, entry, fill, numbered};
use crate::log::for_each_file;

/// A machine whose ledger has 20 sealed entries and 6 that are only in the write-ahead log, in three batches.
fn with_unsealed() -> (Machine, PathBuf) {
    let mut machine = Machine::new();
    fill(&machine.open(), 20);
    machine.pace.seal_every = std::time::Duration::from_secs(3600);
    let ledger = machine.open();
    for batch in 0..3 {
        let receipts: Vec<_> = (0..2).map(|one| ledger.append(numbered(20 + batch * 2 + one)).unwrap()).collect();
        for receipt in receipts {
            receipt.wait_durable().unwrap();
        }
    }
    drop(ledger);
    let files = wal_files(&machine);
    (machine, files.last().unwrap().clone())
}

fn wal_files(machine: &Machine) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(machine.wal()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "wal"));
    files.sort_unstable();
    files
}

/// A copy of everything, in a folder of its own.
fn copy(from: &Machine) -> Machine {
    let to = Machine { clock: from.clock.clone(), sealer: from.sealer.clone(), ..Machine::new() };
    copy_folder(from.home.path(), to.home.path());
    to
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let (source, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if source.is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy_folder(&source, &target);
        } else {
            fs::copy(source, target).unwrap();
        }
    }
}

/// Every byte is tried beside the code of the write-ahead log; here, what the whole ledger makes of it.
#[test]
fn a_torn_end_of_the_write_ahead_log_costs_only_what_was_never_acknowledged() {
    let (machine, wal) = with_unsealed();
    let whole = fs::read(&wal).unwrap();
    let mut kept = Vec::new();
    for part in 0..=6 {
        let machine = copy(&machine);
        let mut bytes = whole[..whole.len() * part / 6].to_vec();
        bytes.resize(if part % 2 == 0 { bytes.len() } else { whole.len() }, 0);
        fs::write(machine.wal().join(wal.file_name().unwrap()), bytes).unwrap();
        let ledger = machine.open();
        let durable = ledger.health().durable;
        kept.push(durable);
        fill(&ledger, 1);
        check_numbered(&ledger.reader(), durable + 1);
    }
    assert!(kept.is_sorted(), "more bytes, more entries: {kept:?}");
    assert_eq!((kept.first(), kept.last()), (Some(&20), Some(&26)));
}

#[test]
fn a_flipped_bit_in_the_write_ahead_log_stops_the_start_and_is_told_with_its_place() {
    let (machine, wal) = with_unsealed();
    let whole = fs::read(&wal).unwrap();
    for part in 1..8 {
        let machine = copy(&machine);
        let mut bytes = whole.clone();
        let position = whole.len() * part / 8;
        bytes[position] ^= 1 << part;
        fs::write(machine.wal().join(wal.file_name().unwrap()), bytes).unwrap();
        let refused = machine.try_open().expect_err("it was altered").to_string();
        assert!(refused.contains(".wal` is damaged at byte") && refused.contains("restore"), "{position}: {refused}");
    }
}

#[test]
fn a_missing_file_of_the_write_ahead_log_is_a_gap() {
    let (machine, wal) = with_unsealed();
    drop(Ledger::open(Settings { pace: machine.pace, ..machine.settings() }, machine.tools()).unwrap());
    let mut later = copy(&machine);
    later.pace = machine.pace;
    let ledger = later.open();
    ledger.append(numbered(26)).unwrap().wait_durable().unwrap();
    drop(ledger);
    fs::remove_file(later.wal().join(wal.file_name().unwrap())).unwrap();
    let refused = later.try_open().unwrap_err().to_string();
    assert!(refused.contains("begins with entry 26") && refused.contains("ends before entry 20"), "{refused}");
}

#[test]
fn a_flipped_bit_anywhere_in_the_ledger_is_found() {
    let machine = Machine::new();
    let ledger = machine.open();
    fill(&ledger, 300);
    ledger.close().unwrap();
    let mut looked = 0;
    for_each_file(&machine.folder(), &mut |path, whole| {
        let name = path.strip_prefix(machine.folder()).unwrap().display().to_string();
        // Not part of what is proved: locks, who writes, how far the clock was believed; keys of days without entries.
        let beside = ["lock", "writer", "clock", "unfinished"].iter().any(|beside| name.starts_with(beside));
        if beside || name.contains("2026-03-02") || name.starts_with("keys/ledger") {
            return;
        }
        for part in 0..4 {
            let position = whole.len() * part / 4 + part;
            let mut bytes = whole.clone();
            bytes[position] ^= 1 << (position % 8);
            fs::write(path, bytes).unwrap();
            let found = match machine.try_reader() {
                Ok(reader) => match verify::run(&reader, None, |_| ()) {
                    Ok(report) => report.faults.first().map(ToString::to_string),
                    Err(error) => Some(error.to_string()),
                },
                Err(error) => Some(error.to_string()),
            };
            looked += 1;
            assert!(found.is_some_and(|told| !told.is_empty()), "byte {position} of {name}");
        }
        fs::write(path, whole).unwrap();
    });
    assert!(looked > 40, "{looked} places");
    assert!(verify::run(&machine.reader(), None, |_| ()).unwrap().holds());
}

#[test]
fn a_damaged_ledger_is_not_written_on() {
    let machine = Machine::new();
    fill(&machine.open(), 300);
    let check = |path: &str, expected: &str| {
        let machine = copy(&machine);
        let file = machine.folder().join(path);
        let mut bytes = fs::read(&file).unwrap();
        let last = bytes.len() - 2;
        bytes[last] ^= 1;
        fs::write(&file, bytes).unwrap();
        let refused = machine.try_open().expect_err(path).to_string();
        assert!(refused.contains(expected), "{path}: {refused}");
    };
    check("checkpoint", "`checkpoint` in");
    check("tile/0/001.p/44", "right edge");
    check("tile/1/000.p/1", "right edge");
    check("tile/entries/001.p/44", "other entries than its tile says");
    check("keys/signing.sealed", "signing key cannot be used");
    let gone = |path: &str, expected: &str| {
        let machine = copy(&machine);
        fs::remove_file(machine.folder().join(path)).unwrap();
        let refused = machine.try_open().expect_err(path).to_string();
        assert!(refused.contains(expected) && refused.contains("restore"), "{path}: {refused}");
    };
    gone("checkpoint", "`checkpoint` is missing");
    gone("keys/signing.sealed", "`keys/signing.sealed` is missing");
    gone("tile/1/000.p/1", "it is missing");
    gone("tile/entries/001.p/44", "is missing");
}

#[test]
fn contents_that_were_removed_are_not_taken_for_purged() {
    let machine = Machine::new();
    let ledger = machine.open();
    fill(&ledger, 30);
    ledger.close().unwrap();
    let without_body = copy(&machine);
    fs::remove_dir_all(without_body.folder().join("body/request")).unwrap();
    let report = verify::run(&without_body.reader(), None, |_| ()).unwrap();
    assert_eq!(report.faults_total, 20, "{:?}", report.faults);
    assert!(report.faults[0].to_string().contains("their key was not destroyed: they were removed"));

    let without_key = copy(&machine);
    fs::remove_file(without_key.folder().join("keys/request/2026-03-01.wrapped")).unwrap();
    let report = verify::run(&without_key.reader(), None, |_| ()).unwrap();
    assert_eq!(report.faults_total, 1);
    let told = report.faults[0].to_string();
    assert!(told.contains("request/2026-03-01 (entries 1 to 29)") && told.contains("no purge"), "{told}");
}

#[test]
fn a_content_that_was_moved_to_another_entry_does_not_open() {
    let machine = Machine::new();
    let ledger = machine.open();
    for number in 0..2 {
        ledger.append(entry(Class::Security, format!("{number}"))).unwrap().wait_sealed().unwrap();
    }
    ledger.close().unwrap();
    let folder = machine.folder().join("body/security/2026-03-01");
    let segment = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&segment).unwrap();
    let frame = (bytes.len() - 8) / 2;
    // The numbers stay, the contents change places.
    let (first, second) = (bytes[8 + 12..8 + frame].to_vec(), bytes[8 + frame + 12..].to_vec());
    bytes[8 + 12..8 + frame].copy_from_slice(&second);
    bytes[8 + frame + 12..].copy_from_slice(&first);
    fs::write(&segment, bytes).unwrap();
    let report = verify::run(&machine.reader(), None, |_| ()).unwrap();
    assert_eq!(report.faults_total, 2);
    assert!(report.faults[0].to_string().contains("do not open under their day's key"), "{}", report.faults[0]);
}

#[test]
fn a_folder_that_cannot_be_written_is_told_by_name() {
    let machine = Machine::new();
    fs::write(machine.home.path().join("file"), "").unwrap();
    let place = Place::Folder(machine.home.path().join("file/ledger"));
    let refused = Ledger::open(Settings::new(ORIGIN, place, machine.wal()), machine.tools()).unwrap_err();
    assert!(matches!(refused, OpenError::Shelf(_)), "{refused}");
    assert!(refused.to_string().contains("file/ledger` ") || refused.to_string().contains("file`"), "{refused}");
}

#[test]
fn the_wrong_vault_opens_nothing() {
    let machine = Machine::new();
    fill(&machine.open(), 3);
    let stranger = copy(&machine);
    stranger.sealer.rotate();
    assert!(stranger.try_open().is_ok(), "a newer version of the same vault's key");
    let refused = Ledger::open(
        Settings::new("other.example/ledger", Place::Folder(machine.folder()), machine.wal()),
        machine.tools(),
    );
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("is this the installation whose vault sealed it?"), "{refused}");
}
