//! Processes that end in the middle, and several that work beside each other.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use reeve_base::SystemEntropy;
use tempfile::TempDir;

use super::*;
use crate::disk;
use crate::error::ChangeError;
use crate::seal::{PassphraseCost, Reseal};
use crate::status::VersionState;
use crate::version::{USES_MAX, USES_TO_ROTATE};

/// A disk whose process ends at one of its steps.
struct Dying {
    steps_left: AtomicUsize,
    /// Whether the last step is half done: a part of a file was written, a name was exchanged and nobody told.
    half: bool,
}

impl Dying {
    fn after(steps: usize, half: bool) -> Arc<Self> {
        Arc::new(Self { steps_left: AtomicUsize::new(steps), half })
    }

    fn lives(&self) -> bool {
        self.steps_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

impl Disk for Dying {
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
        if self.lives() {
            return SystemDisk.write(path, bytes);
        }
        if self.half {
            SystemDisk.write(path, &bytes[..bytes.len() / 2])?;
        }
        Err(FileError::new("write", path, std::io::Error::other("the process has ended")))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), FileError> {
        if self.lives() {
            return SystemDisk.rename(from, to);
        }
        if self.half {
            SystemDisk.rename(from, to)?;
        }
        Err(FileError::new("replace", to, std::io::Error::other("the process has ended")))
    }
}

struct Place {
    scratch: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { scratch: tempfile::tempdir().unwrap() }
    }

    fn keys(&self) -> PathBuf {
        self.scratch.path().join("data/keys")
    }

    fn file(&self) -> PathBuf {
        self.scratch.path().join("data.seal")
    }

    fn create(&self) -> Vault {
        Vault::create(&self.keys(), vec![NewSeal::File(self.file())], Arc::new(SystemEntropy), at(0)).unwrap()
    }

    fn open(&self) -> Result<Vault, OpenError> {
        Vault::open(&self.keys(), Unlock::File(self.file()), Arc::new(SystemEntropy))
    }

    fn open_dying(&self, steps: usize, half: bool) -> Vault {
        let (keys, file) = (self.keys(), Unlock::File(self.file()));
        Vault::open_on(&keys, file, Arc::new(SystemEntropy), Dying::after(steps, half)).unwrap()
    }
}

fn at(hours: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + hours * 3600).unwrap()
}

fn seal(vault: &Vault, plain: &[u8]) -> Vec<u8> {
    vault.seal(Purpose::StoreRecord, b"here", plain).unwrap()
}

#[track_caller]
fn opens(vault: &Vault, sealed: &[u8], plain: &[u8]) {
    assert_eq!(vault.open(Purpose::StoreRecord, b"here", sealed).unwrap().expose(), plain);
}

/// Ends the process at each step of `change` in turn, whole and half, and shows that the keys are as before or as after.
fn survives(change: impl Fn(&Vault, &Place) -> Result<(), ChangeError>, path_after: impl Fn(&Place) -> PathBuf) {
    let mut endings = 0;
    for half in [false, true] {
        for steps in 0.. {
            let place = Place::new();
            let before = place.create();
            let sealed = seal(&before, b"kept");
            drop(before);
            let dying = place.open_dying(steps, half);
            let done = change(&dying, &place).is_ok();
            drop(dying);

            let vault = place
                .open()
                .or_else(|_| Vault::open(&place.keys(), Unlock::File(path_after(&place)), Arc::new(SystemEntropy)));
            let vault = vault.unwrap_or_else(|error| panic!("ended after {steps}, half {half}: {error}"));
            opens(&vault, &sealed, b"kept");
            opens(&vault, &seal(&vault, b"new"), b"new");
            if done {
                break;
            }
            endings += 1;
            change(&vault, &place).unwrap();
            drop(vault);
            let vault = Vault::open(&place.keys(), Unlock::File(path_after(&place)), Arc::new(SystemEntropy)).unwrap();
            opens(&vault, &sealed, b"kept");
            assert!(!disk::unfinished(&path_after(&place)).exists());
        }
    }
    assert!(endings >= 4, "{endings} endings tried");
}

#[test]
fn a_rotation_that_ends_at_any_step_is_harmless() {
    survives(|vault, _| vault.rotate(at(1)).map(drop), Place::file);
}

#[test]
fn a_replaced_seal_file_that_ends_at_any_step_is_harmless() {
    survives(|vault, place| vault.reseal(Reseal::ReplaceFile(place.file()), at(1)).map(drop), Place::file);
    let elsewhere = |place: &Place| place.scratch.path().join("elsewhere.seal");
    survives(|vault, place| vault.reseal(Reseal::ReplaceFile(elsewhere(place)), at(1)).map(drop), elsewhere);
}

#[test]
fn a_new_passphrase_that_ends_at_any_step_is_harmless() {
    let add = |vault: &Vault, _: &Place| {
        let passphrase = Secret::new(String::from("twelve characters"));
        vault.reseal(Reseal::AddPassphrase { passphrase, cost: PassphraseCost::LEAST }, at(1)).map(drop)
    };
    survives(add, Place::file);
}

#[test]
fn a_creation_that_ends_at_any_step_can_be_repeated() {
    for half in [false, true] {
        for steps in 0.. {
            let place = Place::new();
            let create = |disk: Arc<dyn Disk>| {
                create::create(&place.keys(), vec![NewSeal::File(place.file())], Arc::new(SystemEntropy), at(0), disk)
            };
            let done = create(Dying::after(steps, half)).is_ok();
            let vault = if Vault::exists(&place.keys()).unwrap() {
                place.open().unwrap()
            } else {
                create(Arc::new(SystemDisk)).unwrap()
            };
            opens(&vault, &seal(&vault, b"new"), b"new");
            drop(vault);
            assert!(!disk::unfinished(&place.file()).exists());
            if done {
                assert!(steps >= 4, "{steps} steps tried");
                break;
            }
        }
    }
}

#[test]
fn another_process_opens_what_was_sealed_after_a_rotation() {
    let place = Place::new();
    let (one, other) = (place.create(), place.open().unwrap());
    // From here on it has uses left, and no reason to look at the ring.
    let _ = seal(&other, b"");
    one.rotate(at(1)).unwrap();
    let sealed = seal(&one, b"second version");
    // It has not heard of the rotation: what it seals is old, and opens everywhere.
    let old = seal(&other, b"first version");
    assert!(!one.is_current(&old) && other.is_current(&old));
    opens(&other, &sealed, b"second version");
    opens(&one, &old, b"first version");
    assert!(!other.is_current(&old), "by now it has heard");
    assert!(other.is_current(&seal(&other, b"next")));
    assert!(!other.refresh().unwrap());
    one.rotate(at(2)).unwrap();
    assert!(other.refresh().unwrap());
    assert!(other.is_current(&seal(&one, b"third")));
}

#[test]
fn a_version_is_destroyed_only_when_nobody_can_seal_under_it() {
    let place = Place::new();
    let vault = place.create();
    let sealed = seal(&vault, b"kept");
    assert!(matches!(vault.destroy(1, at(1)), Err(ChangeError::CurrentVersion(1))));
    vault.rotate(at(1)).unwrap();
    assert!(matches!(vault.destroy(1, at(1)), Err(ChangeError::TooSoon { version: 1, .. })));
    assert!(matches!(vault.destroy(3, at(9)), Err(ChangeError::UnknownVersion(3))));
    assert!(matches!(vault.destroy(0, at(9)), Err(ChangeError::UnknownVersion(0))));
    let other = place.open().unwrap();
    assert!(matches!(vault.destroy(1, at(2)), Err(ChangeError::InUse)));
    opens(&vault, &sealed, b"kept");
    drop(other);
    vault.destroy(1, at(2)).unwrap();
    assert!(matches!(vault.destroy(1, at(2)), Err(ChangeError::UnknownVersion(1))));

    let destroyed = SealError::Destroyed { purpose: Purpose::StoreRecord, version: 1 };
    assert_eq!(vault.open(Purpose::StoreRecord, b"here", &sealed).unwrap_err(), destroyed);
    let again = place.open().unwrap();
    assert_eq!(again.open(Purpose::StoreRecord, b"here", &sealed).unwrap_err(), destroyed);
    assert_eq!(again.status().versions[0].state, VersionState::Destroyed { since: at(2) });
    opens(&again, &seal(&vault, b"new"), b"new");
}

#[test]
fn a_ring_put_back_under_a_running_process_is_refused() {
    let place = Place::new();
    let vault = place.create();
    let ring = place.keys().join("ring");
    let old = std::fs::read(&ring).unwrap();
    vault.rotate(at(1)).unwrap();
    std::fs::write(&ring, &old).unwrap();
    assert!(matches!(vault.refresh(), Err(RingError::RolledBack { found: 0, known: 1, .. })));
    assert!(matches!(vault.rotate(at(2)), Err(ChangeError::Ring(RingError::RolledBack { .. }))));

    let foreign = Place::new();
    foreign.create();
    std::fs::copy(foreign.keys().join("ring"), &ring).unwrap();
    assert!(matches!(vault.rotate(at(2)), Err(ChangeError::Ring(RingError::Exchanged(_)))));
    std::fs::remove_file(&ring).unwrap();
    assert!(matches!(vault.rotate(at(2)), Err(ChangeError::Ring(RingError::Missing(_)))));
}

#[test]
fn uses_are_counted_before_they_are_taken_and_never_go_back() {
    let place = Place::new();
    let uses = |vault: &Vault| vault.status().versions[0].uses_max;
    let vault = place.create();
    assert_eq!(uses(&vault), 0);
    let _ = seal(&vault, b"first");
    assert_eq!(uses(&vault), 4096);
    for _ in 1..4096 {
        let _ = seal(&vault, b"");
    }
    assert_eq!(uses(&vault), 4096);
    let _ = seal(&vault, b"");
    assert_eq!(uses(&vault), 8192);
    drop(vault);
    let vault = place.open().unwrap();
    assert_eq!(uses(&vault), 8192, "opening takes none");
    let _ = seal(&vault, b"");
    assert_eq!(uses(&vault), 8192 + 4096);
}

#[test]
fn a_key_that_was_used_enough_asks_for_rotation_and_then_refuses() {
    let place = Place::new();
    let vault = place.create();
    let set = |uses| {
        let mut turn = vault.turn().unwrap();
        turn.ring.versions.last_mut().unwrap().uses = uses;
        vault.commit(&mut turn).unwrap();
    };
    set(USES_TO_ROTATE - 1);
    assert!(!vault.status().rotation_due);
    set(USES_TO_ROTATE);
    assert!(vault.status().rotation_due);
    set(USES_MAX - 4095);
    let Err(SealError::CannotSeal { cause, .. }) = vault.seal(Purpose::StoreRecord, b"here", b"") else {
        panic!("it sealed");
    };
    assert!(cause.contains("as many values as it may") && cause.contains("reeve key rotate"), "{cause}");
    vault.rotate(at(1)).unwrap();
    assert!(!vault.status().rotation_due);
    opens(&vault, &seal(&vault, b"new"), b"new");
}

#[test]
fn threads_seal_through_a_rotation() {
    let place = Place::new();
    let vault = place.create();
    std::thread::scope(|scope| {
        let sealing: Vec<_> = (0..4_u8)
            .map(|thread| {
                let vault = &vault;
                scope.spawn(move || (0..5000).map(|_| seal(vault, &[thread])).collect::<Vec<_>>())
            })
            .collect();
        for hour in 1..=5 {
            vault.rotate(at(hour)).unwrap();
        }
        for (thread, sealing) in (0..).zip(sealing) {
            sealing.join().unwrap().iter().for_each(|sealed| opens(&vault, sealed, &[thread]));
        }
    });
    let status = vault.status();
    assert_eq!(status.versions.len(), 6);
    assert!(status.versions.iter().map(|version| version.uses_max).sum::<u64>() >= 20_000);
}

#[test]
fn a_disk_that_cannot_be_written_refuses_and_changes_nothing() {
    let place = Place::new();
    let sealed = seal(&place.create(), b"kept");
    let full = place.open_dying(0, false);
    opens(&full, &sealed, b"kept");
    let Err(SealError::CannotSeal { cause, .. }) = full.seal(Purpose::StoreRecord, b"here", b"") else {
        panic!("it sealed without counting");
    };
    assert!(cause.contains("cannot write") && cause.contains("ring.new"), "{cause}");
    assert!(full.rotate(at(1)).is_err());
    assert_eq!(full.status().versions.len(), 1);
    assert!(full.is_current(&sealed));
}
