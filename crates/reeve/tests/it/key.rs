//! `reeve key`: what it shows, what it changes, and what it says when a seal is lost.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use reeve_base::{Purpose, Sealer, SystemEntropy, Timestamp};
use reeve_vault::{NewSeal, Unlock, Vault};

use crate::transcript::{Run, run};

/// A folder with settings, and keys as the first start makes them.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(run(folder.path(), &["init", "--upstream", "http://127.0.0.1:9"], b"").code, 0);
        let place = Self { folder };
        let made: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
        Vault::create(&place.keys(), vec![NewSeal::File(place.seal())], Arc::new(SystemEntropy), made).unwrap();
        place
    }

    fn keys(&self) -> PathBuf {
        self.folder.path().join("reeve-data/keys")
    }

    fn seal(&self) -> PathBuf {
        self.folder.path().join("reeve-data.seal")
    }

    fn open(&self, unlock: Unlock) -> Vault {
        Vault::open(&self.keys(), unlock, Arc::new(SystemEntropy)).unwrap()
    }

    fn run(&self, args: &[&str]) -> Run {
        run(self.folder.path(), args, b"")
    }

    fn status(&self) -> serde_json::Value {
        let status = self.run(&["key", "status", "--json"]);
        assert_eq!(status.code, 0, "{}", status.stderr);
        serde_json::from_str(&status.stdout).unwrap()
    }

    #[track_caller]
    fn refused(&self, args: &[&str], expected: [&str; 2]) {
        let refused = self.run(args);
        assert_eq!(refused.code, 2, "{}{}", refused.stdout, refused.stderr);
        for expected in expected {
            assert!(refused.stderr.contains(expected), "{}", refused.stderr);
        }
    }
}

#[test]
fn status_shows_seals_and_versions_and_no_key() {
    let place = Place::new();
    let status = place.run(&["key", "status"]);
    assert_eq!(status.code, 0, "{}", status.stderr);
    for expected in ["installation ", "file  2026-11-22 08:00:00Z  opened with it now", "v1", "current", "nothing"] {
        assert!(status.stdout.contains(expected), "{}", status.stdout);
    }
    let json = place.status();
    assert_eq!(json["schema"], "reeve.keys/1");
    assert_eq!(json["seals"][0]["kind"], "file");
    assert_eq!(json["versions"][0]["state"], "current");
    let ring = std::fs::read_to_string(place.keys().join("ring")).unwrap();
    let secret = std::fs::read_to_string(place.seal()).unwrap();
    for hidden in ring.split('"').chain(secret.split_whitespace()).filter(|part| part.len() > 40) {
        assert!(!json.to_string().contains(hidden), "{hidden}");
    }
}

#[test]
fn rotate_makes_a_version_that_seals_and_leaves_the_old_one_open() {
    let place = Place::new();
    let vault = place.open(Unlock::File(place.seal()));
    let sealed = vault.seal(Purpose::StoreRecord, b"here", b"kept").unwrap();
    drop(vault);
    let rotate = place.run(&["key", "rotate"]);
    assert_eq!((rotate.code, rotate.stdout.as_str()), (0, ""), "{}", rotate.stderr);
    // How many keys the ledger has by then depends on how far it has come.
    assert!(rotate.stderr.starts_with("version 2 of the store key seals from now on; "), "{}", rotate.stderr);
    let vault = place.open(Unlock::File(place.seal()));
    assert!(!vault.is_current(&sealed));
    assert_eq!(vault.open(Purpose::StoreRecord, b"here", &sealed).unwrap().expose(), b"kept");
    assert_eq!(place.status()["versions"][0]["state"], "decrypt-only");
}

#[test]
fn reseal_adds_a_passphrase_replaces_the_file_and_removes_a_seal() {
    let place = Place::new();
    let passphrase = place.folder.path().join("passphrase");
    std::fs::write(&passphrase, "correct horse battery staple\n").unwrap();
    let add = place.run(&["key", "reseal", "--add-passphrase", "--passphrase-file", "passphrase"]);
    assert_eq!(add.code, 0, "{}", add.stderr);
    let unlock = || Unlock::Passphrase(reeve_base::Secret::new(String::from("correct horse battery staple")));
    place.open(unlock());
    assert_eq!(place.status()["seals"][1]["cost"]["memory_kib"], 256 << 10);

    let before = std::fs::read(place.seal()).unwrap();
    let replace = place.run(&["key", "reseal", "--new-file", "reeve-data.seal"]);
    assert_eq!(replace.code, 0, "{}", replace.stderr);
    assert_ne!(before, std::fs::read(place.seal()).unwrap());
    let elsewhere = place.run(&["key", "reseal", "--new-file", "elsewhere.seal"]);
    assert!(elsewhere.stderr.contains("write it into the settings, [keys] file, and delete"), "{}", elsewhere.stderr);
    place.refused(&["key", "status"], ["opens nothing: seal ", "hint: the seal was replaced or removed"]);

    // The settings follow; then the passphrase goes, and the last seal stays.
    let settings = place.folder.path().join("reeve.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text.replace("[keys]", "[keys]\nfile = \"elsewhere.seal\"")).unwrap();
    place.refused(&["key", "reseal", "--remove", "kms"], ["there is no seal `kms`", "hint: `reeve key status` lists"]);
    let remove = place.run(&["key", "reseal", "--remove", "passphrase"]);
    assert_eq!(remove.code, 0, "{}", remove.stderr);
    place.refused(&["key", "reseal", "--remove", "file"], ["is the only one", "hint: add another seal first"]);
}

#[test]
fn a_passphrase_is_read_from_the_file_that_settings_name() {
    let place = Place::new();
    std::fs::write(place.folder.path().join("passphrase"), "correct horse battery staple\n").unwrap();
    assert_eq!(place.run(&["key", "reseal", "--add-passphrase", "--passphrase-file", "passphrase"]).code, 0);
    std::fs::remove_file(place.seal()).unwrap();
    place.refused(&["key", "status"], ["there is no seal file at", "hint: put the seal file back"]);
    let settings = place.folder.path().join("reeve.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text.replace("[keys]", "[keys]\nseal = \"passphrase\"\nfile = \"passphrase\"")).unwrap();
    assert_eq!(place.status()["seals"][1]["opened"], true);
    std::fs::write(place.folder.path().join("passphrase"), "another one entirely\n").unwrap();
    place.refused(&["key", "status"], ["error: wrong passphrase", "hint: type it again"]);
}

#[test]
fn what_stands_in_the_way_is_said_with_its_remedy() {
    let place = Place::new();
    place.refused(
        &["key", "reseal", "--new-file", "reeve-data/x.seal"],
        ["lies in the data folder", "hint: a copy of the folder would hold lock and key"],
    );
    std::fs::write(place.folder.path().join("short"), "too short\n").unwrap();
    place.refused(
        &["key", "reseal", "--add-passphrase", "--passphrase-file", "short"],
        ["shorter than 12 characters", "hint: take six words"],
    );
    std::fs::set_permissions(place.seal(), std::fs::Permissions::from_mode(0o644)).unwrap();
    place.refused(&["key", "status"], ["open to others than its owner: mode 0644", "hint: run `chmod 600 "]);
    std::fs::remove_dir_all(place.keys()).unwrap();
    place.refused(&["key", "status"], ["there is no ring of keys at", "hint: if this is a new installation"]);
    assert_eq!(place.run(&["key", "reseal"]).code, 2);
}
