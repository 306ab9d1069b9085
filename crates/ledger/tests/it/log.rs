//! Appending, sealing, reading, and coming back.

use std::fs;
use std::thread;

use reeve_base::Sealer;
use reeve_ledger::proof::leaf_hash;
use reeve_ledger::{AppendError, BODY_BYTES_MAX, Class, Content, OpenError, Pace, verify};

use crate::house::{MARKER, Machine, body, check_numbered, entry, fill};

#[test]
fn what_is_appended_is_durable_sealed_read_and_verified() {
    let machine = Machine::new();
    let ledger = machine.open();
    assert_eq!(ledger.append(entry(Class::Security, body(0))).unwrap().wait_durable(), Ok(0));
    let sealed = ledger.append(entry(Class::Request, body(1))).unwrap().wait_sealed().unwrap();
    assert_eq!((sealed.seq, sealed.checkpoint.head().size), (1, 2));
    let key = ledger.verifier_key().clone();
    sealed.proof.verify(std::slice::from_ref(&key), &[], 0).unwrap();
    fill(&ledger, 1_000);
    let health = ledger.health();
    assert_eq!((health.durable, health.sealed, health.failing), (1_002, 1_002, None));
    check_numbered(&ledger.reader(), 1_002);
    ledger.close().unwrap();

    let reader = machine.reader();
    let report = verify::run(&reader, Some(&sealed.checkpoint), |_| ()).unwrap();
    assert!(report.holds(), "{report:?}");
    assert_eq!((report.head.size, report.kept, report.purged), (1_002, 1_002, 0));
    let proof = reader.proof(700).unwrap();
    let proved = proof.verify(&[key], &[], 0).unwrap();
    assert_eq!((proved.leaf.seq, proved.leaf.kind.as_str()), (700, "test.entry"));
    assert_eq!(proof.contents.unwrap().body, body(700));
}

#[test]
fn a_ledger_that_was_closed_or_dropped_goes_on_where_it_was() {
    let machine = Machine::new();
    for round in 0..6_u64 {
        let ledger = machine.open();
        assert_eq!(ledger.health().durable, round * 137);
        fill(&ledger, 137);
        if round.is_multiple_of(2) {
            ledger.close().unwrap();
            let left: Vec<_> = fs::read_dir(machine.wal()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".wal")), "{left:?}");
        }
    }
    check_numbered(&machine.open().reader(), 6 * 137);
    assert!(verify::run(&machine.reader(), None, |_| ()).unwrap().holds());
}

#[test]
fn many_threads_append_at_once_and_each_number_is_given_once() {
    let machine = Machine::new();
    let ledger = machine.open();
    let mut numbers: Vec<u64> = thread::scope(|scope| {
        let append = |client: u64| {
            let ledger = &ledger;
            move || {
                let one = |number: u64| ledger.append(entry(Class::Request, body(client * 1000 + number))).unwrap();
                (0..100).map(one).map(|receipt| receipt.wait_durable().unwrap()).collect::<Vec<_>>()
            }
        };
        let clients: Vec<_> = (0..16).map(|client| scope.spawn(append(client))).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    numbers.sort_unstable();
    assert_eq!(numbers, (0..1_600).collect::<Vec<_>>());
}

#[test]
fn nothing_of_the_contents_stands_in_clear_anywhere() {
    let machine = Machine::new();
    let ledger = machine.open();
    fill(&ledger, 300);
    drop(ledger);
    let mut files = 0;
    for_each_file(machine.home.path(), &mut |path, bytes| {
        files += 1;
        for secret in [MARKER, "203.0.113.7"] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} in {}", path.display());
        }
    });
    assert!(files > 10, "{files} files");
}

#[test]
fn an_actor_has_one_tag_for_a_day_and_another_for_the_next() {
    let machine = Machine::new();
    let ledger = machine.open();
    fill(&ledger, 2);
    machine.clock.pass(std::time::Duration::from_secs(24 * 60 * 60));
    fill(&ledger, 1);
    let same_class = |seq| ledger.reader().record(seq).unwrap().leaf;
    ledger.append(entry(Class::Request, "{}")).unwrap().wait_sealed().unwrap();
    assert_ne!(same_class(1).actor_tag, None);
    assert_eq!(same_class(2).actor_tag, same_class(3).actor_tag);
    assert_ne!(same_class(1).actor_tag, same_class(2).actor_tag);
    assert_eq!(same_class(1).day.to_string(), "2026-03-01");
    assert_eq!(same_class(2).day.to_string(), "2026-03-02");
}

#[test]
fn a_full_queue_refuses_at_once_and_loses_nothing_that_it_took() {
    let mut machine = Machine::new();
    machine.pace = Pace { queue_entries_max: 10, ..machine.pace };
    let ledger = machine.open();
    let mut receipts = Vec::new();
    let mut full = 0;
    for _ in 0..20_000 {
        match ledger.append(entry(Class::Request, vec![b'x'; 2_000])) {
            Ok(receipt) => receipts.push(receipt),
            Err(AppendError::Full(10)) => full += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(full > 0, "{} were taken", receipts.len());
    let taken = receipts.len() as u64;
    for (expected, receipt) in (0..).zip(receipts) {
        assert_eq!(receipt.wait_durable(), Ok(expected));
    }
    assert_eq!(ledger.health().durable, taken);
}

#[test]
fn contents_of_every_length_come_back_and_longer_ones_are_refused() {
    let machine = Machine::new();
    let ledger = machine.open();
    let lengths = [0, 1, 31, 32, 65_535, 65_536, BODY_BYTES_MAX];
    let bodies: Vec<Vec<u8>> = lengths.iter().map(|length| vec![7; *length]).collect();
    for body in &bodies {
        ledger.append(entry(Class::Request, body.clone())).unwrap().wait_sealed().unwrap();
    }
    for (record, body) in ledger.reader().entries(0..u64::MAX).unwrap().zip(&bodies) {
        assert!(record.unwrap().content.body() == Some(&body[..]), "{} bytes", body.len());
    }
    assert!(matches!(ledger.append(entry(Class::Request, vec![0; BODY_BYTES_MAX + 1])), Err(AppendError::Invalid(_))));
}

#[test]
fn a_second_writer_is_refused_and_told_who_the_first_is() {
    let machine = Machine::new();
    let ledger = machine.open();
    let refused = machine.try_open().unwrap_err();
    let own = format!("process {}", std::process::id());
    assert!(refused.to_string().contains(&own) && refused.to_string().contains("one writer"), "{refused}");

    let mut other = machine.settings();
    other.wal = machine.home.path().join("another-wal");
    let refused = reeve_ledger::Ledger::open(other.clone(), machine.tools()).unwrap_err();
    assert!(refused.to_string().contains(&own), "the folder is locked too: {refused}");
    fill(&ledger, 1);
    drop(ledger);

    let refused = reeve_ledger::Ledger::open(other.clone(), machine.tools()).unwrap_err();
    assert!(matches!(refused, OpenError::OtherWriter { .. }), "what was acknowledged may be there alone: {refused}");
    machine.open().close().unwrap();
    check_numbered(&reeve_ledger::Ledger::open(other, machine.tools()).unwrap().reader(), 1);
}

#[test]
fn the_write_ahead_log_does_not_lie_in_the_ledgers_folder() {
    let machine = Machine::new();
    let mut settings = machine.settings();
    settings.wal = machine.folder().join("wal");
    let refused = reeve_ledger::Ledger::open(settings, machine.tools()).unwrap_err();
    assert!(matches!(refused, OpenError::Nested(_)), "{refused}");
}

#[test]
fn a_reader_of_another_process_follows_what_is_sealed() {
    let machine = Machine::new();
    assert!(machine.try_reader().unwrap_err().to_string().contains("no ledger"));
    let ledger = machine.open();
    let reader = machine.reader();
    assert_eq!(reader.checkpoint().unwrap().head().size, 0);
    let mut seen = 0;
    for _ in 0..40 {
        fill(&ledger, 50);
        for record in reader.entries(seen..u64::MAX).unwrap() {
            let record = record.unwrap();
            assert_eq!((record.seq, record.content.body()), (seen, Some(&body(seen)[..])));
            seen += 1;
        }
    }
    assert_eq!(seen, 2_000);
    assert!(reader.record(2_000).unwrap_err().to_string().contains("no entry 2000"));
}

#[test]
fn keys_are_sealed_anew_after_the_vaults_key_was_rotated() {
    let machine = Machine::new();
    let ledger = machine.open();
    fill(&ledger, 10);
    machine.sealer.rotate();
    let resealed = ledger.reseal().unwrap();
    assert!(resealed >= 3, "the signing key and a key of each class: {resealed}");
    assert_eq!(ledger.reseal().unwrap(), 0);
    for_each_file(&machine.folder().join("keys"), &mut |path, bytes| {
        assert!(machine.sealer.is_current(&bytes), "{}", path.display());
    });
    ledger.close().unwrap();
    check_numbered(&machine.open().reader(), 10);
}

#[test]
fn the_tree_is_that_of_the_leaves_and_partial_tiles_go_when_full_ones_come() {
    let machine = Machine::new();
    let ledger = machine.open();
    for _ in 0..30 {
        fill(&ledger, 25);
    }
    let reader = ledger.reader();
    let records = reader.entries(0..u64::MAX).unwrap().map(|record| record.unwrap());
    let mut edge = reeve_ledger::proof::Edge::new();
    records.for_each(|record| {
        assert!(matches!(record.content, Content::Kept(_)));
        edge.push(leaf_hash(&record.leaf_bytes));
    });
    assert_eq!(edge.head(), reader.checkpoint().unwrap().head());
    for full in ["tile/0/000", "tile/0/001", "tile/entries/000", "tile/entries/001"] {
        assert!(machine.folder().join(full).is_file(), "{full}");
        assert!(!machine.folder().join(format!("{full}.p")).exists(), "{full}.p");
    }
}

pub(crate) fn for_each_file(folder: &std::path::Path, look: &mut impl FnMut(&std::path::Path, Vec<u8>)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { for_each_file(&path, look) } else { look(&path, fs::read(&path).unwrap()) }
    }
}
