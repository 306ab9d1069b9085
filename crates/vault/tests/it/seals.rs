//! Seals: each opens, each loss has its own words, and the last one stays.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use reeve_base::{Purpose, Sealer};
use reeve_vault::{
    ChangeError, CreateError, Inspection, NewSeal, OpenError, PassphraseCost, Reseal, RingError, SealId, SealKind,
    Unlock, Vault,
};

use crate::place::{Place, at, secret};

const PASSPHRASE: &str = "correct horse battery staple";

fn passphrase() -> Unlock {
    Unlock::Passphrase(secret(PASSPHRASE))
}

fn add_passphrase(vault: &Vault, passphrase: &str) -> Result<SealId, ChangeError> {
    let (passphrase, cost) = (secret(passphrase), PassphraseCost::LEAST);
    vault.reseal(Reseal::AddPassphrase { passphrase, cost }, at(1))
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[track_caller]
fn remedy(error: &OpenError, expected: &str) {
    assert!(error.remedy().contains(expected), "{error}: {}", error.remedy());
}

#[test]
fn everything_is_written_for_its_owner_alone() {
    let place = Place::new(1);
    place.create();
    assert_eq!(mode(&place.keys()), 0o700);
    assert_eq!([mode(&place.ring()), mode(&place.file())], [0o600, 0o600]);
    assert_eq!(mode(&place.keys().join("ring.lock")), 0o600);
}

#[test]
fn a_seal_file_that_others_may_read_is_refused() {
    let place = Place::new(2);
    place.create();
    for exposed in [0o640, 0o604, 0o620, 0o601] {
        std::fs::set_permissions(place.file(), std::fs::Permissions::from_mode(exposed)).unwrap();
        let error = place.open().unwrap_err();
        assert!(matches!(&error, OpenError::SealFileExposed { mode, .. } if *mode == exposed), "{error}");
        remedy(&error, &format!("chmod 600 {}", place.file().display()));
    }
    std::fs::set_permissions(place.file(), std::fs::Permissions::from_mode(0o400)).unwrap();
    assert!(place.open().is_ok());
}

#[test]
fn each_loss_has_its_own_words() {
    let place = Place::new(3);
    place.create();
    let file = std::fs::read_to_string(place.file()).unwrap();
    let ring = std::fs::read_to_string(place.ring()).unwrap();

    let wrong = place.open_with(passphrase()).unwrap_err();
    assert!(matches!(wrong, OpenError::NoPassphrase));
    remedy(&wrong, "reeve key reseal --add-passphrase");

    std::fs::write(place.file(), file.trim_end()).unwrap();
    assert!(matches!(place.open().unwrap_err(), OpenError::SealFileDamaged(_)));
    let (rest, secret) = file.rsplit_once(' ').unwrap();
    let other = format!("{rest} {}=\n", "A".repeat(secret.trim_end().len() - 1));
    std::fs::write(place.file(), other).unwrap();
    assert!(matches!(place.open().unwrap_err(), OpenError::SealFileRefused(_)));
    std::fs::remove_file(place.file()).unwrap();
    let lost = place.open().unwrap_err();
    assert!(matches!(lost, OpenError::SealFileLost(_)));
    remedy(&lost, "put the seal file back");
    std::fs::create_dir(place.file()).unwrap();
    assert!(matches!(place.open().unwrap_err(), OpenError::File(_)));
    std::fs::remove_dir(place.file()).unwrap();

    let foreign = Place::new(4);
    foreign.create();
    std::fs::copy(foreign.file(), place.file()).unwrap();
    assert!(matches!(place.open().unwrap_err(), OpenError::SealFileForeign { .. }));

    std::fs::copy(foreign.ring(), place.ring()).unwrap();
    assert!(place.open().is_ok(), "the pair of another installation is an installation");
    std::fs::write(place.file(), &file).unwrap();
    std::fs::write(place.ring(), &ring.as_bytes()[..ring.len() - 70]).unwrap();
    let cut = place.open().unwrap_err();
    assert!(matches!(cut, OpenError::Ring(RingError::Cut(_))));
    remedy(&cut, "from the backup of the keys");
    std::fs::write(place.ring(), ring.replace("\"generation\":0", "\"generation\":1")).unwrap();
    assert!(matches!(place.open().unwrap_err(), OpenError::Ring(RingError::Damaged { .. })));
    std::fs::write(place.ring(), "{\"schema\":\"reeve.ring/2\"}\n").unwrap();
    let future = place.open().unwrap_err();
    assert!(matches!(future, OpenError::Ring(RingError::Future { .. })));
    remedy(&future, "the Reeve that wrote it");
    std::fs::remove_file(place.ring()).unwrap();
    assert!(matches!(place.open().unwrap_err(), OpenError::Ring(RingError::Missing(_))));
    std::fs::write(place.ring(), &ring).unwrap();
    assert!(place.open().is_ok());
}

#[test]
fn a_code_that_does_not_fit_is_called_an_attack() {
    let place = Place::new(5);
    place.create();
    let ring = std::fs::read_to_string(place.ring()).unwrap();
    let (rest, code) = ring.trim_end().rsplit_once(' ').unwrap();
    let other: String = code.chars().rev().collect();
    std::fs::write(place.ring(), format!("{rest} {other}\n")).unwrap();
    let error = place.open().unwrap_err();
    assert!(matches!(error, OpenError::Ring(RingError::Altered(_))), "{error}");
    remedy(&error, "treat it as an attack");
}

#[test]
fn only_the_right_passphrase_opens() {
    let place = Place::new(6);
    let sealed = place.create_with(PASSPHRASE).seal(Purpose::StoreRecord, b"here", b"kept").unwrap();
    for wrong in ["", "correct horse battery stapl", "Correct horse battery staple", "correct horse battery staple "] {
        let error = place.open_with(Unlock::Passphrase(secret(wrong))).unwrap_err();
        assert!(matches!(error, OpenError::WrongPassphrase), "{error}");
    }
    let vault = place.open_with(passphrase()).unwrap();
    assert_eq!(vault.open(Purpose::StoreRecord, b"here", &sealed).unwrap().expose(), b"kept");
    assert_eq!(vault.status().seals[0].cost, Some(PassphraseCost::LEAST));
}

#[test]
fn any_of_several_seals_opens_the_same_keys() {
    let place = Place::new(7);
    let vault = place.create();
    let sealed = vault.seal(Purpose::StoreRecord, b"here", b"kept").unwrap();
    add_passphrase(&vault, PASSPHRASE).unwrap();
    add_passphrase(&vault, "for the safe: zebra violin").unwrap();
    drop(vault);
    let unlocks = [Unlock::File(place.file()), passphrase(), Unlock::Passphrase(secret("for the safe: zebra violin"))];
    for (index, unlock) in unlocks.into_iter().enumerate() {
        let vault = place.open_with(unlock).unwrap();
        assert_eq!(vault.open(Purpose::StoreRecord, b"here", &sealed).unwrap().expose(), b"kept");
        let opened: Vec<_> = vault.status().seals.iter().map(|seal| seal.opened).collect();
        assert_eq!(opened, [0, 1, 2].map(|seal| seal == index));
    }
    let kinds: Vec<_> = Inspection::of(&place.keys()).unwrap().seals.into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, [SealKind::File, SealKind::Passphrase, SealKind::Passphrase]);
}

#[test]
fn a_replaced_seal_file_opens_nothing_and_the_new_one_everything() {
    let place = Place::new(8);
    let vault = place.create();
    let sealed = vault.seal(Purpose::StoreRecord, b"here", b"kept").unwrap();
    let elsewhere = place.root().join("elsewhere.seal");
    std::fs::write(&elsewhere, "a file of somebody").unwrap();
    let refused = vault.reseal(Reseal::ReplaceFile(elsewhere.clone()), at(1)).unwrap_err();
    assert!(matches!(refused, ChangeError::SealFileExists(_)));
    std::fs::remove_file(&elsewhere).unwrap();
    vault.reseal(Reseal::ReplaceFile(elsewhere.clone()), at(1)).unwrap();

    let replaced = place.open().unwrap_err();
    assert!(matches!(replaced, OpenError::SealFileReplaced { .. }), "{replaced}");
    let again = place.open_with(Unlock::File(elsewhere.clone())).unwrap();
    assert_eq!(again.open(Purpose::StoreRecord, b"here", &sealed).unwrap().expose(), b"kept");
    assert_eq!(again.status().seals.len(), 1);

    // In place: the path of the settings stays, and what the file said before opens nothing.
    let before = std::fs::read(&elsewhere).unwrap();
    again.reseal(Reseal::ReplaceFile(elsewhere.clone()), at(2)).unwrap();
    assert!(place.open_with(Unlock::File(elsewhere.clone())).is_ok());
    std::fs::write(&elsewhere, before).unwrap();
    assert!(matches!(place.open_with(Unlock::File(elsewhere)).unwrap_err(), OpenError::SealFileReplaced { .. }));
}

#[test]
fn the_last_seal_stays() {
    let place = Place::new(9);
    let vault = place.create();
    let file = vault.status().seals[0].id;
    assert!(matches!(vault.reseal(Reseal::Remove(file), at(1)), Err(ChangeError::LastSeal(_))));
    let added = add_passphrase(&vault, PASSPHRASE).unwrap();
    vault.reseal(Reseal::Remove(file), at(2)).unwrap();
    assert!(matches!(vault.reseal(Reseal::Remove(file), at(2)), Err(ChangeError::UnknownSeal(_))));
    assert!(matches!(vault.reseal(Reseal::Remove(added), at(2)), Err(ChangeError::LastSeal(_))));
    assert!(matches!(place.open().unwrap_err(), OpenError::SealFileReplaced { .. }));
    assert!(place.open_with(passphrase()).is_ok());
}

#[test]
fn seals_have_bounds() {
    let place = Place::new(10);
    let vault = place.create();
    assert!(matches!(add_passphrase(&vault, "eleven char"), Err(ChangeError::Cost(_))));
    assert!(matches!(add_passphrase(&vault, &"x".repeat(1025)), Err(ChangeError::Cost(_))));
    assert!(add_passphrase(&vault, "twelve chars").is_ok());
    for (cost, possible) in [
        ((19 << 10, 2, 1), true),
        ((2 << 20, 16, 16), true),
        (((19 << 10) - 1, 2, 1), false),
        (((2 << 20) + 1, 2, 1), false),
        ((19 << 10, 1, 1), false),
        ((19 << 10, 17, 1), false),
        ((19 << 10, 2, 0), false),
        ((19 << 10, 2, 17), false),
    ] {
        assert_eq!(PassphraseCost::new(cost.0, cost.1, cost.2).is_ok(), possible, "{cost:?}");
    }
}

#[test]
fn an_absurd_cost_in_a_ring_is_refused_before_it_is_paid() {
    let place = Place::new(11);
    place.create_with(PASSPHRASE);
    let ring = std::fs::read_to_string(place.ring()).unwrap();
    let body = ring.lines().next().unwrap().replace("\"memory_kib\":19456", "\"memory_kib\":4294967295");
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body.as_bytes());
    let sum: String = sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(place.ring(), format!("{body}\nsha256 {sum}\n{}\n", ring.lines().last().unwrap())).unwrap();
    let error = place.open_with(passphrase()).unwrap_err();
    assert!(error.to_string().contains("4294967295 KiB of memory for a passphrase"), "{error}");
}

#[test]
fn keys_are_made_once() {
    let place = Place::new(12);
    let create = |seals| Vault::create(&place.keys(), seals, place.entropy.clone(), at(0)).unwrap_err();
    assert!(matches!(create(vec![]), CreateError::NoSeal));
    place.create();
    let other = place.root().join("other.seal");
    assert!(matches!(create(vec![NewSeal::File(other.clone())]), CreateError::RingExists(_)));
    assert!(!other.exists());
    // A seal file without a ring: perhaps a disk is not there yet.
    std::fs::remove_file(place.ring()).unwrap();
    let error = create(vec![NewSeal::File(place.file())]);
    assert!(matches!(error, CreateError::SealFileExists(_)));
    assert!(error.remedy().contains("put the folder of the keys back"), "{}", error.remedy());
}
