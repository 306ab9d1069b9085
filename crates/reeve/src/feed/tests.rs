//! Feeds that say the truth, and feeds that do not.

use jiff::{SignedDuration, Timestamp};
use reeve_base::Secret;
use reeve_ledger::proof::{Note, Signer};

use super::*;
use crate::keeping::digest;
use crate::settings::FeedSource;

fn signer(seed: u8) -> Signer {
    Signer::from_seed("rules.example.com/waf", &Secret::new([seed; 32])).unwrap()
}

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn listed(path: &str, bytes: &[u8]) -> Listed {
    Listed { path: path.to_owned(), bytes: bytes.len() as u64, sha256: digest(bytes) }
}

fn state(serial: u64, made: Timestamp, text: &[u8]) -> Manifest {
    Manifest::new(serial, String::from("4.28.0"), made, vec![listed("rules/a.conf", text)])
}

/// What a publisher with this key would sign, whatever it says.
fn signed(text: &str, signer: &Signer) -> Vec<u8> {
    let mut note = Note::new(text).unwrap();
    note.add(signer.sign(note.text()));
    note.to_string().into_bytes()
}

#[track_caller]
fn refused(bytes: &[u8], expected: &str) {
    let error = Manifest::open(bytes, signer(1).verifier_key()).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_manifest_is_what_its_key_has_signed() {
    let manifest = state(1, now(), b"x");
    let note = manifest.sign(&signer(1)).unwrap();
    assert_eq!(Manifest::open(note.as_bytes(), signer(1).verifier_key()).unwrap(), manifest);
    // Another key, of another name or of the same.
    refused(manifest.sign(&signer(2)).unwrap().as_bytes(), "none of the known keys signed");
    let body = note.split("\n\n").next().unwrap();
    refused(format!("{body}\n").as_bytes(), "no signatures");
    refused(note.replace("\"serial\": 1", "\"serial\": 9").as_bytes(), "is wrong: the note was altered");
    refused(&note.as_bytes()[..note.len() - 9], "not");
    refused(&[0xff; 40], "not plain text");
    refused(&vec![b'a'; 1 << 20], "more than");
}

#[test]
fn what_is_signed_must_be_sound_as_well() {
    let file = |path: &str, bytes: u64, sha256: &str| {
        format!(
            "{{\"schema\":\"reeve.rules/1\",\"serial\":1,\"version\":\"1\",\"made\":\"2026-11-22T12:00:00Z\",\
             \"files\":[{{\"path\":\"{path}\",\"bytes\":{bytes},\"sha256\":\"{sha256}\"}}]}}\n"
        )
    };
    let good = "0".repeat(64);
    Manifest::open(&signed(&file("rules/a.conf", 1, &good), &signer(1)), signer(1).verifier_key()).unwrap();
    for path in [
        "../a.conf",
        "/etc/a.conf",
        "rules/../../a",
        "rules//a",
        "./a",
        ".hidden",
        "rules/.git/a",
        "a\\\\b",
        "C:a",
        "",
        "a/",
        "a b",
        "a/b/c/d/e/f/g/h/i",
    ] {
        refused(&signed(&file(path, 1, &good), &signer(1)), "no plain relative path");
    }
    refused(&signed(&file(&"a".repeat(201), 1, &good), &signer(1)), "no plain relative path");
    refused(&signed(&file("a", 1, "../../etc/passwd"), &signer(1)), "no plain relative path");
    refused(&signed(&file("a", (8 << 20) + 1, &good), &signer(1)), "too large");
    refused(&signed(&file("a", u64::MAX, &good), &signer(1)), "too large");
    refused(
        &signed(&file("a", 1, &good).replace("rules/1", "rules/2"), &signer(1)),
        "no format that this version reads",
    );
    refused(&signed(&file("a", 1, &good).replace("serial", "serials"), &signer(1)), "unknown field");
    refused(&signed("not JSON\n", &signer(1)), "cannot be read");
}

#[test]
fn many_files_are_bounded_together() {
    let open = |files| Manifest::new(1, String::from("1"), now(), files).sign(&signer(1)).map(drop);
    let sized = |number: usize, bytes| Listed { bytes, ..listed(&format!("f{number}"), b"") };
    open((0..8).map(|number| sized(number, 8 << 20)).collect()).unwrap();
    let error = open((0..9).map(|number| sized(number, 8 << 20)).collect()).unwrap_err();
    assert!(error.to_string().contains("bytes together"), "{error}");
    let error = open((0..401).map(|number| sized(number, 1)).collect()).unwrap_err();
    assert!(error.to_string().contains("401 files"), "{error}");
    assert!(matches!(open(Vec::new()), Err(FeedError::TooLarge(_))));
    // Twice the same, and a file where another needs a folder.
    assert!(matches!(open(vec![listed("a", b""), listed("a", b"")]), Err(FeedError::Name(_))));
    assert!(matches!(open(vec![listed("a", b""), listed("a/b", b"")]), Err(FeedError::Name(_))));
}

#[test]
fn a_feed_only_goes_forward() {
    let hours = |hours| SignedDuration::from_hours(hours);
    let known = state(5, now() - hours(24), b"x");
    let check = |manifest: Manifest| manifest.follows(Some(&known), now());
    assert_eq!(check(known.clone()).unwrap(), News::Known);
    assert_eq!(check(state(6, now(), b"y")).unwrap(), News::Newer);
    // Signed anew, with the same rules.
    assert_eq!(check(state(6, now(), b"x")).unwrap(), News::Newer);
    assert!(matches!(check(state(4, now(), b"y")), Err(FeedError::Rollback { .. })));
    assert!(matches!(check(state(6, now() - hours(25), b"y")), Err(FeedError::Rollback { .. })));
    assert!(matches!(check(state(5, now(), b"y")), Err(FeedError::Forked(5))));
    let skew = SignedDuration::from_mins(5);
    assert_eq!(check(state(6, now() + skew, b"y")).unwrap(), News::Newer);
    let later = skew + SignedDuration::from_secs(1);
    assert!(matches!(check(state(6, now() + later, b"y")), Err(FeedError::Future(_))));
    assert_eq!(state(1, now(), b"x").follows(None, now()).unwrap(), News::Newer);
}

#[test]
fn what_is_kept_is_whole_or_not_there() {
    let data = tempfile::tempdir().unwrap();
    let cabinet = Cabinet::new(data.path(), signer(1).verifier_key().clone());
    assert_eq!(cabinet.current(), None);
    let (manifest, text) = (state(1, now(), b"first"), b"first".to_vec());
    let note = manifest.sign(&signer(1)).unwrap();
    let error = cabinet.stage(note.as_bytes(), &manifest, &[b"other".to_vec()]).unwrap_err();
    assert!(matches!(error, FeedError::Altered(path) if path == "rules/a.conf"));
    let staged = cabinet.stage(note.as_bytes(), &manifest, std::slice::from_ref(&text)).unwrap();
    assert_eq!(cabinet.current(), None, "nothing counts before it is committed");
    cabinet.commit(note.as_bytes()).unwrap();
    assert_eq!(cabinet.current(), Some(staged.clone()));
    assert_eq!(cabinet.known(&manifest.files[0]), Some(text));

    let next = state(2, now(), b"second");
    let next_note = next.sign(&signer(1)).unwrap();
    let newer = cabinet.stage(next_note.as_bytes(), &next, &[b"second".to_vec()]).unwrap();
    assert_eq!(cabinet.current(), Some(staged.clone()));
    cabinet.commit(next_note.as_bytes()).unwrap();
    assert_eq!(cabinet.current(), Some(newer.clone()));
    assert!(!staged.folder.exists(), "what is not current is removed");

    // Somebody alters a rule, or the settings name another key.
    std::fs::write(newer.folder.join("rules/a.conf"), b"secon!").unwrap();
    assert_eq!(cabinet.current(), None);
    assert_eq!(cabinet.manifest().map(|manifest| manifest.serial), Some(2), "and still it cannot go back");
    let other = Cabinet::new(data.path(), signer(2).verifier_key().clone());
    assert_eq!((other.current(), other.manifest()), (None, None));
}

#[tokio::test]
async fn no_more_is_read_than_the_manifest_says() {
    let folder = tempfile::tempdir().unwrap();
    let note = folder.path().join("feed.note");
    let way = Way::new(FeedSource::File(note.clone()), None);
    assert!(matches!(way.manifest().await, Err(FeedError::Unreachable { .. })));
    std::fs::write(&note, vec![b'a'; (64 << 10) + 1]).unwrap();
    assert!(matches!(way.manifest().await, Err(FeedError::TooLarge(_))));
    std::fs::create_dir(folder.path().join("files")).unwrap();
    std::fs::write(folder.path().join("files/abc"), b"12345").unwrap();
    assert_eq!(way.file("abc", 5).await.unwrap(), b"12345");
    assert!(matches!(way.file("abc", 4).await, Err(FeedError::TooLarge(_))));
}
