//! Leaves, and the file that proves an entry.

use proptest::prelude::*;
use reeve_base::{Secret, Timestamp};
use reeve_ledger::proof::cosignature::CosigningKey;
use reeve_ledger::proof::entry::{Contents, EntryProofError};
use reeve_ledger::proof::leaf::{LEAF_BYTES_MAX, LeafError, VERSION, WORD_BYTES_MAX};
use reeve_ledger::proof::{
    Checkpoint, EntryProof, Hash, Leaf, SignedCheckpoint, Signer, VerifierKey, commitment, inclusion, leaf_hash,
};

use super::model::Shelf;

const SALT: [u8; 32] = [5; 32];
const BODY: &[u8] = b"{\"who\":\"planted-marker\"}";

fn leaf(seq: u64) -> Leaf {
    Leaf {
        v: VERSION,
        seq,
        ts: "2026-11-21T10:11:12.5Z".parse().unwrap(),
        class: String::from("security"),
        kind: String::from("key.rotated"),
        clause: Some(String::from("2.62")),
        day: jiff::civil::date(2026, 11, 21),
        actor_tag: Some(Hash([7; 32])),
        commit: commitment(&SALT, BODY),
    }
}

#[test]
fn a_leaf_has_one_form() {
    let bytes = leaf(7).print().unwrap();
    let expected = concat!(
        r#"{"v":1,"seq":7,"ts":"2026-11-21T10:11:12.5Z","class":"security","type":"key.rotated","clause":"2.62","#,
        r#""day":"2026-11-21","actor_tag":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=","#,
        r#""commit":"Knwelu0HbwSv+XpW8ioTuA/EFmK1EEOToaeWthboYx4="}"#
    );
    assert_eq!(String::from_utf8_lossy(&bytes), expected);
    assert_eq!(Leaf::parse(&bytes), Ok(leaf(7)));
    let bare = Leaf { clause: None, actor_tag: None, ..leaf(7) };
    let printed = String::from_utf8(bare.print().unwrap()).unwrap();
    assert!(!printed.contains("clause") && !printed.contains("actor_tag"), "{printed}");
    assert_eq!(Leaf::parse(printed.as_bytes()), Ok(bare));

    for other in [
        expected.replace("\"v\":1", "\"v\":2"),
        expected.replace("\"seq\":7", "\"seq\":7.0"),
        expected.replace("\"seq\":7,", "\"seq\":7,\"seq\":7,"),
        expected.replace("12.5Z", "12.50Z"),
        expected.replace("10:11:12.5Z", "11:11:12.5+01:00"),
        expected.replace("security", "secu\\u0072ity"),
        expected.replace("\"clause\":\"2.62\"", "\"clause\":null"),
        expected.replace("{\"v\":1,\"seq\":7,", "{\"seq\":7,\"v\":1,"),
        expected.replace("{\"v\"", "{\"x\":0,\"v\""),
        expected.replace("{\"v\"", "{ \"v\""),
        format!("{expected}\n"),
        String::new(),
    ] {
        assert_eq!(Leaf::parse(other.as_bytes()), Err(LeafError::Malformed), "{other}");
    }
}

#[test]
fn words_are_words_and_the_longest_leaf_is_a_leaf() {
    let long = "x".repeat(WORD_BYTES_MAX);
    let longest = Leaf {
        seq: u64::MAX,
        ts: Timestamp::MAX,
        class: long.clone(),
        kind: long.clone(),
        clause: Some(long.clone()),
        ..leaf(0)
    };
    assert!(longest.print().unwrap().len() <= LEAF_BYTES_MAX);
    for wrong in ["", "two words", "quote\"", "é", "back\\slash", "new\nline", &format!("{long}x")] {
        let word = || wrong.to_owned();
        assert_eq!(Leaf { class: word(), ..leaf(0) }.print(), Err(LeafError::Word("class")), "{wrong}");
        assert_eq!(Leaf { kind: word(), ..leaf(0) }.print(), Err(LeafError::Word("type")), "{wrong}");
        assert_eq!(Leaf { clause: Some(word()), ..leaf(0) }.print(), Err(LeafError::Word("clause")), "{wrong}");
    }
}

struct Proof {
    proof: EntryProof,
    log: VerifierKey,
    witnesses: Vec<VerifierKey>,
}

/// Entry 300 of 1,000, cosigned by one of two witnesses.
fn proof() -> Proof {
    let leaves: Vec<Vec<u8>> = (0..1000).map(|seq| leaf(seq).print().unwrap()).collect();
    let (shelf, edge) = Shelf::written(&leaves.iter().map(|leaf| leaf_hash(leaf)).collect::<Vec<_>>());
    let signer = Signer::from_seed("log.example", &Secret::new([1; 32])).unwrap();
    let head = edge.head();
    let checkpoint =
        Checkpoint { origin: String::from("log.example"), size: head.size, root: head.root, extensions: vec![] };
    let mut signed = SignedCheckpoint::sign(checkpoint, &signer).unwrap();
    let witnesses: Vec<CosigningKey> =
        [2, 3].map(|seed| CosigningKey::from_seed("w.example", &Secret::new([seed; 32])).unwrap()).into();
    signed.add(witnesses[0].cosign(signed.checkpoint(), Timestamp::from_second(1_700_000_000).unwrap()));
    let proof = EntryProof {
        leaf: leaves[300].clone(),
        contents: Some(Contents { salt: SALT, body: BODY.to_vec() }),
        index: 300,
        inclusion: inclusion(300, 1000, &shelf).unwrap(),
        checkpoint: signed.to_string(),
    };
    let witnesses = witnesses.iter().map(|witness| witness.verifier_key().clone()).collect();
    Proof { proof, log: signer.verifier_key().clone(), witnesses }
}

#[test]
fn a_file_proves_its_entry_to_whoever_has_the_keys() {
    let Proof { proof, log, witnesses } = proof();
    let file = proof.to_string();
    assert!(file.starts_with("c2sp.org/tlog-proof@v1\nextra ") && file.contains("\nindex 300\n"), "{file}");
    let read = EntryProof::parse(file.as_bytes()).unwrap();
    assert_eq!(read, proof);
    let proved = read.verify(std::slice::from_ref(&log), &witnesses, 1).unwrap();
    assert_eq!((proved.leaf, proved.checkpoint.head().size), (leaf(300), 1000));
    assert_eq!(proved.witnesses[0].time, Some(1_700_000_000));

    let quorum = read.verify(std::slice::from_ref(&log), &witnesses, 2);
    assert_eq!(quorum, Err(EntryProofError::Quorum { found: 1, quorum: 2 }));
    assert!(read.verify(&witnesses, &witnesses, 1).is_err(), "witnesses are not the log");

    let without = EntryProof { contents: None, ..proof };
    let read = EntryProof::parse(without.to_string().as_bytes()).unwrap();
    assert_eq!(read, without);
    assert!(read.verify(&[log], &[], 0).is_ok(), "after the contents are gone the entry is still proved");
}

#[test]
fn nothing_in_a_file_can_be_altered() {
    let Proof { proof, log, witnesses } = proof();
    let check = |altered: EntryProof, what: &str| {
        assert!(altered.verify(std::slice::from_ref(&log), &witnesses, 1).is_err(), "{what}");
    };
    check(EntryProof { index: 301, ..proof.clone() }, "another index");
    check(EntryProof { leaf: leaf(301).print().unwrap(), ..proof.clone() }, "another leaf");
    let body = |salt, body: &[u8]| Some(Contents { salt, body: body.to_vec() });
    check(EntryProof { contents: body(SALT, b"{}"), ..proof.clone() }, "other contents");
    check(EntryProof { contents: body([6; 32], BODY), ..proof.clone() }, "another salt");
    check(EntryProof { inclusion: vec![], ..proof.clone() }, "no way to the root");

    // Letters of the base64 and of the head: each is either refused or, in the unauthenticated case, refused later.
    let file = proof.to_string();
    for (at, byte) in file.bytes().enumerate() {
        let mut altered = file.clone().into_bytes();
        altered[at] = if byte == b'A' { b'B' } else { b'A' };
        let verified = EntryProof::parse(&altered)
            .is_ok_and(|proof| proof.verify(std::slice::from_ref(&log), &witnesses, 1).is_ok());
        assert!(!verified, "byte {at}: {}", String::from_utf8_lossy(&altered));
    }
}

#[test]
fn a_leaf_in_the_wrong_place_proves_nothing() {
    // The log's own key can sign a log whose leaves do not count: the proof says so.
    let leaves: Vec<Vec<u8>> = (10..20).map(|seq| leaf(seq).print().unwrap()).collect();
    let (shelf, edge) = Shelf::written(&leaves.iter().map(|leaf| leaf_hash(leaf)).collect::<Vec<_>>());
    let signer = Signer::from_seed("log.example", &Secret::new([1; 32])).unwrap();
    let head = edge.head();
    let checkpoint = Checkpoint { origin: String::from("log.example"), size: 10, root: head.root, extensions: vec![] };
    let proof = EntryProof {
        leaf: leaves[3].clone(),
        contents: None,
        index: 3,
        inclusion: inclusion(3, 10, &shelf).unwrap(),
        checkpoint: SignedCheckpoint::sign(checkpoint, &signer).unwrap().to_string(),
    };
    let verified = proof.verify(&[signer.verifier_key().clone()], &[], 0);
    assert_eq!(verified, Err(EntryProofError::Sequence { found: 13, expected: 3 }));
}

#[test]
fn what_is_not_written_like_a_proof_is_not_read() {
    let file = proof().proof.to_string();
    let lines: Vec<&str> = file.split('\n').collect();
    let hash = Hash([1; 32]).to_string();
    for wrong in [
        String::new(),
        file.replace("@v1", "@v2"),
        file.replacen(lines[1], "extra AAAA", 1),
        file.replacen(&format!("{}\n", lines[1]), "", 1),
        file.replace("index 300", "index 0300"),
        file.replace("index 300", "index -1"),
        file.replacen("index 300\n", &format!("index 300\n{}", format!("{hash}\n").repeat(60)), 1),
        file.replacen("index 300\n", "index 300\nx\n", 1),
        file.replace('\n', "\r\n"),
        file.split("\n\n").next().unwrap().to_owned(),
    ] {
        let read = EntryProof::parse(wrong.as_bytes());
        assert!(matches!(read, Err(EntryProofError::Malformed(_))), "{read:?} of {wrong}");
    }
}

proptest! {
    #[test]
    fn no_bytes_break_the_readers(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = EntryProof::parse(&bytes);
        let _ = Leaf::parse(&bytes);
        let _ = reeve_ledger::proof::Note::parse(&bytes);
        let _ = reeve_ledger::witness::AddCheckpoint::parse(&bytes);
        let _ = reeve_ledger::proof::bundle::decode(&bytes, 256);
    }
}
