//! What is found on the disk afterwards: no key, in no form.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use reeve_base::{Purpose, Sealer};
use reeve_vault::{PassphraseCost, Reseal};

use crate::place::{Place, at, secret};

/// The forms in which a key could stand in a file: raw, hexadecimal, and base64 at each of the three places at which it
/// can begin within a group.
fn forms(key: &[u8]) -> Vec<Vec<u8>> {
    let hexadecimal: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![key.to_vec(), hexadecimal.to_uppercase().into_bytes(), hexadecimal.into_bytes()];
    for skipped in 0..3 {
        let whole_groups = &key[skipped..skipped + 27];
        forms.push(STANDARD_NO_PAD.encode(whole_groups).into_bytes());
    }
    forms
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push((entry.path().display().to_string(), std::fs::read(entry.path()).unwrap()));
        }
    }
    found
}

#[test]
fn no_file_holds_a_key_and_only_the_seal_file_its_secret() {
    let place = Place::new(20);
    let vault = place.create();
    let passphrase = "correct horse battery staple";
    let add = Reseal::AddPassphrase { passphrase: secret(passphrase), cost: PassphraseCost::LEAST };
    vault.reseal(add, at(1)).unwrap();
    for hour in 1..=3 {
        vault.rotate(at(hour)).unwrap();
    }
    vault.reseal(Reseal::ReplaceFile(place.file()), at(4)).unwrap();
    let sealed = vault.seal(Purpose::StoreRecord, b"here", b"a planted value").unwrap();
    std::fs::write(place.root().join("record"), sealed).unwrap();
    std::fs::write(place.root().join("status"), format!("{:?} {vault:?}", vault.status())).unwrap();

    let (keys, files) = (place.entropy.keys(), files(place.root()));
    assert_eq!(keys.len(), 1 + 4 + 2, "the root, four versions, two seal files");
    assert!(files.len() >= 6, "{files:?}");
    let contains = |bytes: &[u8], form: &[u8]| bytes.windows(form.len()).any(|window| window == form);
    let mut found = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        for (name, bytes) in &files {
            if forms(key).iter().any(|form| contains(bytes, form)) {
                found.push((index, name.clone()));
            }
        }
    }
    // The newest secret, in the one place that is made for it; which shows also that the search finds what is there.
    assert_eq!(found, [(6, place.file().display().to_string())]);
    for (name, bytes) in &files {
        assert!(!contains(bytes, passphrase.as_bytes()) && !contains(bytes, b"a planted value"), "{name}");
    }
}

#[test]
fn the_root_is_locked_or_the_status_says_why_not() {
    let place = Place::new(21);
    let memory = serde_json::to_value(place.create().status().memory).unwrap();
    assert!(memory["state"] == "locked" || memory["cause"].is_string(), "{memory}");
}

#[test]
fn a_process_can_refuse_to_leave_its_memory_behind() {
    // It holds for this whole test process, and it harms none of the others.
    let dumps = reeve_vault::process::no_dumps();
    assert!(dumps.refused(), "{dumps:?}");
    let limits = rustix::process::getrlimit(rustix::process::Resource::Core);
    assert_eq!((limits.current, limits.maximum), (Some(0), Some(0)));
    let dumpable = rustix::process::dumpable_behavior().unwrap();
    assert_eq!(dumpable, rustix::process::DumpableBehavior::NotDumpable);
}
