//! Notes, keys, checkpoints and cosignatures.

use std::fmt::Debug;

use reeve_base::{Secret, Timestamp};
use reeve_ledger::proof::checkpoint::CheckpointError;
use reeve_ledger::proof::cosignature::CosigningKey;
use reeve_ledger::proof::note::{Algorithm, KeyError, NoteError, parse_signatures};
use reeve_ledger::proof::{Checkpoint, Hash, Note, Signature, SignedCheckpoint, Signer, VerifierKey, leaf_hash};

/// Key and note of the documentation of x/mod/sumdb/note.
const NEUMANN: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const NEUMANN_SEED: [u8; 32] = [
    0x81, 0x0a, 0x14, 0x02, 0xd5, 0x14, 0x6c, 0x8d, 0x84, 0xf2, 0x44, 0x33, 0x30, 0xf5, 0x40, 0x80, 0xeb, 0xf9, 0x8e,
    0xe1, 0x7d, 0x9c, 0x74, 0xf6, 0x25, 0x2f, 0xc5, 0xd5, 0xc7, 0x28, 0x31, 0x73,
];
const CRYPTOGRAPHY: &str = "If you think cryptography is the answer to your problem,\n\
     then you don't know what your problem is.\n\
     \n\
     — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn neumann() -> VerifierKey {
    NEUMANN.parse().unwrap()
}

fn signer(name: &str, seed: u8) -> Signer {
    Signer::from_seed(name, &Secret::new([seed; 32])).unwrap()
}

fn witness(name: &str, seed: u8) -> CosigningKey {
    CosigningKey::from_seed(name, &Secret::new([seed; 32])).unwrap()
}

fn checkpoint(origin: &str, size: u64) -> Checkpoint {
    Checkpoint { origin: origin.to_owned(), size, root: leaf_hash(&size.to_be_bytes()), extensions: vec![] }
}

#[test]
fn a_note_of_the_go_package_verifies_and_is_signed_alike() {
    let note = Note::parse(CRYPTOGRAPHY.as_bytes()).unwrap();
    assert_eq!(note.to_string(), CRYPTOGRAPHY);
    let verified = note.verify(&[neumann()]).unwrap();
    assert_eq!((verified[0].name.as_str(), verified[0].time), ("PeterNeumann", None));

    let signer = Signer::from_seed("PeterNeumann", &Secret::new(NEUMANN_SEED)).unwrap();
    assert_eq!(signer.verifier_key().to_string(), NEUMANN);
    let mut again = Note::new(note.text()).unwrap();
    again.add(signer.sign(note.text()));
    assert_eq!(again, note);
}

#[test]
fn every_flipped_bit_of_a_note_is_noticed() {
    let whole = CRYPTOGRAPHY.as_bytes();
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let opened = Note::parse(&bytes).and_then(|note| note.verify(&[neumann()]));
        assert!(opened.is_err(), "bit {bit}: {:?}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn signatures_of_unknown_keys_are_kept_and_say_nothing() {
    let (one, two) = (signer("log.example", 1), signer("log.example", 2));
    let mut note = Note::new("text\n\nwith a blank line\n").unwrap();
    note.add(one.sign(note.text()));
    note.add(Signature { name: String::from("other.example/ü"), id: [9; 4], bytes: vec![0; 2000] });
    let read = Note::parse(note.to_string().as_bytes()).unwrap();
    assert_eq!((read.text(), &read), ("text\n\nwith a blank line\n", &note));
    assert_eq!(read.signatures().len(), 2);
    assert_eq!(read.verify(&[one.verifier_key().clone(), two.verifier_key().clone()]).unwrap().len(), 1);
    assert_eq!(read.verify(&[two.verifier_key().clone()]), Err(NoteError::Unknown));
    assert_eq!(read.verify(&[]), Err(NoteError::Unknown));

    // Under the known key's name and id, made with another one.
    let forged = Signature { bytes: two.sign(note.text()).bytes, ..one.sign(note.text()) };
    note.add(forged);
    let both = [one.verifier_key().clone(), two.verifier_key().clone()];
    assert_eq!(note.verify(&both), Err(NoteError::Wrong(String::from("log.example"))));
}

#[test]
fn a_note_has_one_line_for_each_key() {
    let one = signer("log.example", 1);
    let mut note = Note::new("text\n").unwrap();
    note.add(one.sign("text\n"));
    note.add(one.sign("text\n"));
    assert_eq!(note.signatures().len(), 1);
    // A note from elsewhere may say it twice: that is one key all the same.
    let line = note.signatures()[0].to_string();
    let twice = Note::parse(format!("text\n\n{line}{line}").as_bytes()).unwrap();
    assert_eq!(twice.verify(&[one.verifier_key().clone()]).unwrap().len(), 1);
}

#[track_caller]
fn refused<T: Debug + PartialEq>(note: &str, expected: T, read: impl Fn(&[u8]) -> Result<Note, T>) {
    assert_eq!(read(note.as_bytes()), Err(expected), "{note:?}");
}

#[test]
fn what_is_not_written_like_a_note_is_not_read() {
    let line = "\u{2014} a AAAAAAA=\n";
    assert!(Note::parse(format!("text\n\n{line}").as_bytes()).is_ok());
    let check = |note: &str, expected| refused(note, expected, Note::parse);
    check("", NoteError::Unsigned);
    check("text\n", NoteError::Unsigned);
    check(&format!("text\n{line}"), NoteError::Unsigned);
    check(&format!("text\n\n{}", line.trim_end()), NoteError::Unsigned);
    check(&format!("text\r\n\n{line}"), NoteError::NotText);
    check(&format!("te\u{0}xt\n\n{line}"), NoteError::NotText);
    check("text\n\n- a AAAAAAA=\n", NoteError::Malformed(1));
    check(&format!("text\n\n{line}\u{2014} a\n"), NoteError::Malformed(2));
    check("text\n\n\u{2014} a+b AAAAAAA=\n", NoteError::Malformed(1));
    check("text\n\n\u{2014} a\u{a0}b AAAAAAA=\n", NoteError::Malformed(1));
    check("text\n\n\u{2014}  AAAAAAA=\n", NoteError::Malformed(1));
    check("text\n\n\u{2014} a AAAAAAA=x\n", NoteError::Malformed(1));
    check("text\n\n\u{2014} a AAAAAA==\n", NoteError::Malformed(1));
    check(&format!("text\n\n{}", line.repeat(65)), NoteError::TooMany);
    assert!(Note::parse(format!("text\n\n{}", line.repeat(64)).as_bytes()).is_ok());
    check(&format!("{}\n\n{line}", "x".repeat(65_536)), NoteError::TooLong);
    assert_eq!(Note::parse(b"\xff\n\n"), Err(NoteError::NotText));
    assert_eq!(Note::new("no newline"), Err(NoteError::Unsigned));
    assert!(parse_signatures("").is_err() && parse_signatures("\n").is_err());
}

#[test]
fn keys_are_read_in_one_way_only() {
    for key in [signer("log.example", 1).verifier_key(), witness("w.example", 1).verifier_key()] {
        assert_eq!(key.to_string().parse().as_ref(), Ok(key));
    }
    assert_eq!(signer("a", 1).verifier_key().algorithm(), Algorithm::Ed25519);
    assert_eq!(witness("a", 1).verifier_key().algorithm(), Algorithm::Cosignature);
    assert_ne!(signer("a", 1).verifier_key().id(), witness("a", 1).verifier_key().id());
    for wrong in ["", "PeterNeumann", "PeterNeumann+c74f20a3", "+c74f20a3+AQ==", &NEUMANN.replace("+AR", "+CR")] {
        assert!(wrong.parse::<VerifierKey>().is_err(), "{wrong}");
    }
    for altered in ["Peterneumann+c74f20a3+", "PeterNeumann+c74f20a4+", "PeterNeumann+C74F20A3+"] {
        let altered = NEUMANN.replace("PeterNeumann+c74f20a3+", altered);
        assert!(matches!(altered.parse::<VerifierKey>(), Err(KeyError::WrongId(_))), "{altered}");
    }
    for name in ["", "a b", "a+b", "a\u{2003}b"] {
        assert!(matches!(VerifierKey::new(name, Algorithm::Ed25519, [1; 32]), Err(KeyError::Name(_))), "{name}");
    }
    assert!(!format!("{:?}", signer("log.example", 7)).contains("BwcH"), "a signer shows no seed");
}

#[test]
fn checkpoints_are_read_in_one_way_only() {
    let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    let text = format!("example.com/behind-the-sofa\n20852163\n{root}\n");
    let read: Checkpoint = text.parse().unwrap();
    assert_eq!((read.size, read.root.to_string().as_str(), read.to_string()), (20_852_163, root, text.clone()));
    let extended: Checkpoint = format!("{text}one more line\n").parse().unwrap();
    assert_eq!(extended.extensions, ["one more line"]);
    assert_eq!(extended.to_string(), format!("{text}one more line\n"));
    for wrong in [
        "",
        "\n",
        text.trim_end(),
        &text.replace("20852163", "020852163"),
        &text.replace("20852163", "+20852163"),
        &text.replace("20852163", "-1"),
        &text.replace("20852163", ""),
        &text.replace("20852163", "18446744073709551616"),
        &text.replace("example.com/behind-the-sofa", ""),
        &text.replace(root, "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I"),
        &text.replace(root, ""),
        &format!("{text}\n"),
        &format!("{text}one\n\ntwo\n"),
    ] {
        assert!(wrong.parse::<Checkpoint>().is_err(), "{wrong:?}");
    }
}

#[test]
fn a_checkpoint_is_the_logs_own_or_it_is_none() {
    let (log, next, other) = (signer("log.example", 1), signer("log.example", 2), signer("other.example", 3));
    let signed = SignedCheckpoint::sign(checkpoint("log.example", 7), &log).unwrap();
    let bytes = signed.to_string();
    let open = |bytes: &str, keys: &[&VerifierKey]| {
        SignedCheckpoint::open(bytes.as_bytes(), &keys.iter().map(|key| (*key).clone()).collect::<Vec<_>>())
    };
    assert_eq!(open(&bytes, &[log.verifier_key()]).as_ref(), Ok(&signed));
    assert_eq!(open(&bytes, &[next.verifier_key(), log.verifier_key()]).as_ref(), Ok(&signed));
    assert_eq!(open(&bytes, &[next.verifier_key()]), Err(CheckpointError::Note(NoteError::Unknown)));
    assert!(matches!(
        SignedCheckpoint::sign(checkpoint("log.example", 7), &other),
        Err(CheckpointError::Origin { .. })
    ));
    let newline = checkpoint("log.example\n8", 7);
    assert!(matches!(SignedCheckpoint::sign(newline, &log), Err(CheckpointError::Malformed(_))));

    // Another log's good signature under our checkpoint.
    let mut foreign = Note::new(checkpoint("log.example", 7).to_string()).unwrap();
    foreign.add(other.sign(foreign.text()));
    let opened = open(&foreign.to_string(), &[other.verifier_key()]);
    assert!(matches!(opened, Err(CheckpointError::Origin { .. })), "{opened:?}");

    // A witness's key vouches for no log, not even under the log's name.
    let cosigner = witness("log.example", 1);
    let mut cosigned = Note::new(checkpoint("log.example", 7).to_string()).unwrap();
    cosigned.add(cosigner.cosign(&checkpoint("log.example", 7), Timestamp::UNIX_EPOCH));
    let opened = open(&cosigned.to_string(), &[cosigner.verifier_key()]);
    assert_eq!(opened, Err(CheckpointError::Note(NoteError::Unknown)));

    // While the key is exchanged, both sign.
    let mut both = signed.clone();
    both.add(next.sign(signed.note().text()));
    for keys in [[log.verifier_key()], [next.verifier_key()]] {
        assert_eq!(open(&both.to_string(), &keys).as_ref(), Ok(&both));
    }
}

#[test]
fn a_cosignature_is_over_its_time_and_the_whole_checkpoint() {
    let (log, one, two) = (signer("log.example", 1), witness("w1.example", 2), witness("w2.example", 3));
    let time = Timestamp::from_second(1_679_315_147).unwrap();
    let signed = SignedCheckpoint::sign(checkpoint("log.example", 7), &log).unwrap();
    let cosignature = one.cosign(signed.checkpoint(), time);
    assert_eq!(cosignature.bytes.len(), 8 + 64);
    assert_eq!(cosignature.bytes[..8], 1_679_315_147_u64.to_be_bytes());

    // Ed25519 over the message as the specification writes it.
    let message = format!("cosignature/v1\ntime 1679315147\n{}", signed.checkpoint());
    let plain = Signer::from_seed("w1.example", &Secret::new([2; 32])).unwrap().sign(&message);
    assert_eq!(cosignature.bytes[8..], plain.bytes);

    let mut cosigned = signed.clone();
    cosigned.add(cosignature.clone());
    let keys = [two.verifier_key().clone(), one.verifier_key().clone(), log.verifier_key().clone()];
    let seen = cosigned.cosigned_by(&keys).unwrap();
    assert_eq!(
        seen.iter().map(|seen| (seen.name.as_str(), seen.time)).collect::<Vec<_>>(),
        [("w1.example", Some(1_679_315_147))]
    );
    assert_eq!(signed.cosigned_by(&keys), Ok(vec![]), "a checkpoint that nobody cosigned");

    for bit in 0..cosignature.bytes.len() * 8 {
        let mut forged = cosignature.clone();
        forged.bytes[bit / 8] ^= 1 << (bit % 8);
        let mut cosigned = signed.clone();
        cosigned.add(forged);
        assert!(cosigned.cosigned_by(&keys).is_err(), "bit {bit}");
    }
    for length in [1, 8, 71, 73] {
        let mut forged = cosignature.clone();
        forged.bytes.resize(length, 0);
        let mut cosigned = signed.clone();
        cosigned.add(forged);
        assert!(cosigned.cosigned_by(&keys).is_err(), "{length} bytes");
    }
    let mut elsewhere = SignedCheckpoint::sign(checkpoint("log.example", 8), &log).unwrap();
    elsewhere.add(cosignature);
    assert_eq!(elsewhere.cosigned_by(&keys), Err(NoteError::Wrong(String::from("w1.example"))));
}

#[test]
fn a_hash_is_written_as_checkpoints_write_it() {
    let text = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    assert_eq!(text.parse::<Hash>().unwrap().to_string(), text);
}
