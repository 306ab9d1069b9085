//! A witness under everything that a log, a forger or a restart can do to it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reeve_base::{Secret, SystemEntropy, Timestamp};
use reeve_ledger::proof::{Checkpoint, Hash, Head, SignedCheckpoint, Signer, VerifierKey, consistency};
use reeve_ledger::witness::{
    AddCheckpoint, Answer, Cosigner, Failure, MemoryError, Reply, RequestError, Unanswered, Witness, WitnessError,
    Witnesses,
};

use crate::proof::model::{Shelf, leaves};

const ORIGIN: &str = "log.example/of-reeve";

fn signer() -> Signer {
    Signer::from_seed(ORIGIN, &Secret::new([1; 32])).unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// A log at some moment: its tiles and its checkpoint.
struct Log {
    shelf: Shelf,
    checkpoint: SignedCheckpoint,
}

impl Log {
    fn of(leaves: &[Hash]) -> Self {
        let (shelf, edge) = Shelf::written(leaves);
        let Head { size, root } = edge.head();
        let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size, root, extensions: vec![] };
        Self { shelf, checkpoint: SignedCheckpoint::sign(checkpoint, &signer()).unwrap() }
    }

    /// The request that says that the witness knows `old` entries.
    fn from(&self, old: u64) -> String {
        let proof = consistency(old, self.checkpoint.head().size, &self.shelf).unwrap();
        AddCheckpoint::new(old, proof, &self.checkpoint).to_string()
    }
}

/// The same history up to `parting`, and another one from there.
fn forked(parting: usize, size: u64) -> Vec<Hash> {
    let mut leaves = leaves(size);
    for leaf in leaves.iter_mut().skip(parting) {
        leaf.0[0] ^= 1;
    }
    leaves
}

fn open(folder: &tempfile::TempDir) -> Witness {
    Witness::open(folder.path(), "w.example", &[signer().verifier_key().clone()], &SystemEntropy).unwrap()
}

fn fresh() -> (tempfile::TempDir, Witness) {
    let folder = tempfile::tempdir().unwrap();
    let witness = open(&folder);
    (folder, witness)
}

#[track_caller]
fn check(witness: &Witness, body: &str, status: u16) -> Answer {
    let answer = witness.answer(body.as_bytes(), now());
    assert_eq!(answer.status(), status, "{answer:?}");
    answer
}

#[track_caller]
fn cosigned(witness: &Witness, log: &Log, old: u64) {
    let answer = check(witness, &log.from(old), 200);
    let mut checkpoint = log.checkpoint.clone();
    let line = reeve_ledger::proof::note::parse_signatures(&answer.body()).unwrap();
    checkpoint.add(line[0].clone());
    let seen = checkpoint.cosigned_by(&[witness.verifier_key().clone()]).unwrap();
    assert_eq!((seen[0].name.as_str(), seen[0].time), ("w.example", Some(1_800_000_000)));
    assert_eq!(witness.latest(ORIGIN), log.checkpoint.head());
}

#[test]
fn a_log_that_grows_is_cosigned_at_every_step() {
    let (_folder, witness) = fresh();
    let mut old = 0;
    for size in [0, 1, 1, 2, 255, 256, 257, 700, 700] {
        cosigned(&witness, &Log::of(&leaves(size)), old);
        old = size;
    }
}

#[test]
fn another_size_than_the_latest_is_told_the_latest() {
    let (_folder, witness) = fresh();
    cosigned(&witness, &Log::of(&leaves(300)), 0);
    for old in [0, 1, 299, 301, 400] {
        let answer = check(&witness, &Log::of(&leaves(400)).from(old), 409);
        assert_eq!((answer.body().as_str(), answer.content_type()), ("300\n", "text/x.tlog.size"));
    }
    let older = Log::of(&leaves(200));
    check(&witness, &older.from(0), 409);
    check(&witness, &older.from(200), 409);
    assert_eq!(witness.latest(ORIGIN).size, 300, "an older checkpoint changes nothing");
    cosigned(&witness, &Log::of(&leaves(400)), 300);
}

#[test]
fn a_fork_is_never_cosigned() {
    let (_folder, witness) = fresh();
    cosigned(&witness, &Log::of(&leaves(300)), 0);
    let same_size = Log::of(&forked(299, 300));
    let answer = check(&witness, &same_size.from(300), 409);
    assert_eq!(answer.body(), "300\n");
    for parting in [0, 128, 255, 256, 299] {
        let longer = Log::of(&forked(parting, 400));
        check(&witness, &longer.from(300), 422);
        // With the honest log's proof under the forged checkpoint.
        let honest = consistency(300, 400, &Log::of(&leaves(400)).shelf).unwrap();
        check(&witness, &AddCheckpoint::new(300, honest, &longer.checkpoint).to_string(), 422);
        check(&witness, &AddCheckpoint::new(300, vec![], &longer.checkpoint).to_string(), 422);
    }
    let answer = check(&witness, &Log::of(&forked(0, 400)).from(0), 409);
    assert_eq!(answer.body(), "300\n", "a beginning from nothing is no way around");
    cosigned(&witness, &Log::of(&leaves(400)), 300);
}

#[test]
fn a_proof_where_none_belongs_is_refused() {
    let (_folder, witness) = fresh();
    let log = Log::of(&leaves(300));
    check(&witness, &AddCheckpoint::new(0, vec![Hash([1; 32])], &log.checkpoint).to_string(), 422);
    cosigned(&witness, &log, 0);
    check(&witness, &AddCheckpoint::new(300, vec![Hash([1; 32])], &log.checkpoint).to_string(), 422);
    let answer = check(&witness, &AddCheckpoint::new(301, vec![], &log.checkpoint).to_string(), 400);
    assert!(answer.body().contains("old size 301"), "{}", answer.body());
}

#[test]
fn only_the_keys_of_known_logs_count() {
    let (_folder, witness) = fresh();
    let log = Log::of(&leaves(3));
    let with_key = |origin: &str, seed: u8| {
        let signer = Signer::from_seed(origin, &Secret::new([seed; 32])).unwrap();
        let checkpoint = Checkpoint { origin: origin.to_owned(), ..log.checkpoint.checkpoint().clone() };
        AddCheckpoint::new(0, vec![], &SignedCheckpoint::sign(checkpoint, &signer).unwrap()).to_string()
    };
    let answer = check(&witness, &with_key("unknown.example", 1), 404);
    assert_eq!(answer.origin(), Some("unknown.example"));
    check(&witness, &with_key(ORIGIN, 2), 403);
    assert_eq!(witness.latest(ORIGIN).size, 0, "what is refused is not remembered");

    // A second signature of an unknown key beside the log's own does no harm.
    let mut both = log.checkpoint.clone();
    both.add(Signer::from_seed("x.example", &Secret::new([9; 32])).unwrap().sign(both.note().text()));
    check(&witness, &AddCheckpoint::new(0, vec![], &both).to_string(), 200);
}

#[test]
fn every_flipped_bit_of_a_request_is_refused() {
    let (_folder, witness) = fresh();
    cosigned(&witness, &Log::of(&leaves(300)), 0);
    let body = Log::of(&leaves(400)).from(300).into_bytes();
    for bit in 0..body.len() * 8 {
        let mut altered = body.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let answer = witness.answer(&altered, now());
        assert_ne!(answer.status(), 200, "bit {bit}: {}", String::from_utf8_lossy(&altered));
    }
    assert_eq!(witness.latest(ORIGIN).size, 300);
}

#[test]
fn what_is_not_written_like_a_request_is_not_read() {
    let body = Log::of(&leaves(400)).from(300);
    assert_eq!(AddCheckpoint::parse(body.as_bytes()).unwrap().to_string(), body);
    let hash = format!("{}\n", Hash([1; 32]));
    let many = |n: usize| body.replacen("old 300\n", &format!("old 300\n{}", hash.repeat(n)), 1);
    let present = AddCheckpoint::parse(body.as_bytes()).unwrap().proof.len();
    assert!(AddCheckpoint::parse(many(63 - present).as_bytes()).is_ok(), "63 hashes");
    for (wrong, expected) in [
        (String::new(), RequestError::NoCheckpoint),
        (body.replace("old 300", "old 0300"), RequestError::Old),
        (body.replace("old 300", "old +300"), RequestError::Old),
        (body.replace("old 300", "old  300"), RequestError::Old),
        (body.replace("old 300", "Old 300"), RequestError::Old),
        (body.replace("old 300", "old 18446744073709551616"), RequestError::Old),
        (body.replacen("old 300\n", "old 300\nxx\n", 1), RequestError::Hash(1)),
        (many(64 - present), RequestError::TooManyHashes),
        ("x".repeat(64 * 1024 + 1), RequestError::TooLong),
    ] {
        assert_eq!(AddCheckpoint::parse(wrong.as_bytes()), Err(expected), "{wrong}");
    }
    for wrong in [body.trim_end(), &body.replace("\n400\n", "\n0400\n"), "old 300\n\n", "old 300\n\ntext\n"] {
        assert!(matches!(AddCheckpoint::parse(wrong.as_bytes()), Err(RequestError::Checkpoint(_))), "{wrong}");
    }
}

#[test]
fn a_restart_forgets_nothing() {
    let (folder, witness) = fresh();
    let key = witness.verifier_key().clone();
    cosigned(&witness, &Log::of(&leaves(300)), 0);
    let in_use = Witness::open(folder.path(), "w.example", &[], &SystemEntropy);
    assert!(matches!(in_use, Err(WitnessError::Memory(MemoryError::InUse { .. }))), "{in_use:?}");
    drop(witness);

    let witness = open(&folder);
    assert_eq!(witness.verifier_key(), &key);
    check(&witness, &Log::of(&leaves(400)).from(0), 409);
    check(&witness, &Log::of(&forked(9, 400)).from(300), 422);
    cosigned(&witness, &Log::of(&leaves(400)), 300);
    drop(witness);

    // A log that is not watched for a while is remembered all the same.
    drop(Witness::open(folder.path(), "w.example", &[], &SystemEntropy).unwrap());
    assert_eq!(open(&folder).latest(ORIGIN).size, 400);
}

#[test]
fn key_and_memory_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, witness) = fresh();
    cosigned(&witness, &Log::of(&leaves(3)), 0);
    for name in ["key", "cosigned.json", "lock"] {
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert!(!folder.path().join("cosigned.json.next").exists() && !folder.path().join("key.next").exists());
}

#[test]
fn a_damaged_or_missing_memory_is_not_a_beginning() {
    let (folder, witness) = fresh();
    cosigned(&witness, &Log::of(&leaves(300)), 0);
    drop(witness);
    let path = |name: &str| folder.path().join(name);
    let (memory, key) = (std::fs::read(path("cosigned.json")).unwrap(), std::fs::read(path("key")).unwrap());
    let refused = |what: &str| {
        let opened = Witness::open(folder.path(), "w.example", &[], &SystemEntropy);
        let error = opened.err().unwrap_or_else(|| panic!("{what} is accepted")).to_string();
        assert!(error.contains("bring") || error.contains("start with"), "{what}: {error}");
    };
    std::fs::remove_file(path("cosigned.json")).unwrap();
    refused("a missing memory");
    let text = String::from_utf8(memory.clone()).unwrap();
    for altered in [
        String::new(),
        text.replace("\\n300\\n", "\\n200\\n"),
        text.replace(ORIGIN, "other.example"),
        text.replace("\"v\": 1", "\"v\": 2"),
        text.replacen("log.example", "other.example", 1),
    ] {
        assert_ne!(altered, text);
        std::fs::write(path("cosigned.json"), altered.as_bytes()).unwrap();
        refused(&altered);
    }
    std::fs::write(path("cosigned.json"), &memory).unwrap();
    std::fs::remove_file(path("key")).unwrap();
    refused("a missing key");
    for altered in [&b"garbage"[..], b"", &key[..key.len() - 9]] {
        std::fs::write(path("key"), altered).unwrap();
        refused("a damaged key");
    }
    // Another witness's key in its place.
    let (other, _) = fresh();
    std::fs::copy(other.path().join("key"), path("key")).unwrap();
    refused("another key");
    std::fs::write(path("key"), &key).unwrap();
    let renamed = Witness::open(folder.path(), "other.example", &[], &SystemEntropy).unwrap_err().to_string();
    assert!(renamed.contains("start with that name"), "{renamed}");
    assert_eq!(open(&folder).latest(ORIGIN).size, 300, "everything back in its place");
}

#[test]
fn a_crash_between_memory_and_key_is_a_beginning() {
    let (folder, witness) = fresh();
    drop(witness);
    std::fs::remove_file(folder.path().join("key")).unwrap();
    cosigned(&open(&folder), &Log::of(&leaves(3)), 0);
}

#[test]
fn what_cannot_be_kept_is_not_cosigned() {
    let (folder, witness) = fresh();
    cosigned(&witness, &Log::of(&leaves(3)), 0);
    // A folder where the next file should be is what even the superuser cannot write over.
    std::fs::create_dir(folder.path().join("cosigned.json.next")).unwrap();
    let answer = check(&witness, &Log::of(&leaves(4)).from(3), 500);
    assert!(!answer.body().contains('\u{2014}'), "{}", answer.body());
    assert_eq!(witness.latest(ORIGIN).size, 3);
    std::fs::remove_dir(folder.path().join("cosigned.json.next")).unwrap();
    cosigned(&witness, &Log::of(&leaves(4)), 3);
}

#[test]
fn racing_requests_never_lead_to_two_histories() {
    let (_folder, witness) = fresh();
    cosigned(&witness, &Log::of(&leaves(10)), 0);
    let logs: Vec<Log> =
        (0..8_usize).map(|way| Log::of(&forked(if way % 2 == 0 { 99 } else { 10 }, 11 + way as u64))).collect();
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let asked: Vec<_> =
            logs.iter().map(|log| scope.spawn(|| witness.answer(log.from(10).as_bytes(), now()).status())).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 409).count(), 7, "{answers:?}");
}

/// The way to a witness in the same process, with what happens on it.
struct Near {
    witness: Arc<Witness>,
    tamper: fn(Reply) -> Result<Reply, Unanswered>,
    asked: Mutex<usize>,
}

impl Near {
    fn to(witness: &Arc<Witness>) -> Arc<Self> {
        Self::through(witness, Ok)
    }

    fn through(witness: &Arc<Witness>, tamper: fn(Reply) -> Result<Reply, Unanswered>) -> Arc<Self> {
        Arc::new(Self { witness: Arc::clone(witness), tamper, asked: Mutex::new(0) })
    }

    fn asked(&self) -> usize {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cosigner for Near {
    fn key(&self) -> &VerifierKey {
        self.witness.verifier_key()
    }

    fn add_checkpoint(&self, body: &str, _: Duration) -> Result<Reply, Unanswered> {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        let answer = self.witness.answer(body.as_bytes(), now());
        (self.tamper)(Reply {
            status: answer.status(),
            content_type: answer.content_type().to_owned(),
            body: answer.body().into_bytes(),
        })
    }
}

const PATIENCE: Duration = Duration::from_secs(1);

#[test]
fn a_round_brings_verified_cosignatures_and_learns_what_is_known() {
    let (_folder, witness) = fresh();
    let witness = Arc::new(witness);
    cosigned(&witness, &Log::of(&leaves(100)), 0);
    let near = Near::to(&witness);
    let mut witnesses = Witnesses::new(vec![near.clone()]);
    let mut log = Log::of(&leaves(300));
    let round = witnesses.cosign(&log.checkpoint, &log.shelf, PATIENCE);
    assert_eq!(
        (round.cosignatures.len(), round.failures.len(), near.asked()),
        (1, 0, 2),
        "asked from 0, then from 100"
    );
    log.checkpoint.add(round.cosignatures[0].clone());
    let keys: Vec<VerifierKey> = witnesses.keys().cloned().collect();
    assert_eq!(log.checkpoint.cosigned_by(&keys).unwrap().len(), 1);

    let log = Log::of(&leaves(301));
    let round = witnesses.cosign(&log.checkpoint, &log.shelf, PATIENCE);
    assert_eq!((round.cosignatures.len(), near.asked()), (1, 3), "it is known what is known");
}

#[track_caller]
fn disagrees(witness: &Arc<Witness>, log: &Log) -> Failure {
    let mut witnesses = Witnesses::new(vec![Near::to(witness)]);
    let round = witnesses.cosign(&log.checkpoint, &log.shelf, PATIENCE);
    assert!(round.cosignatures.is_empty(), "{round:?}");
    assert!(round.failures[0].disagrees(), "{round:?}");
    round.failures[0].clone()
}

#[test]
fn a_rewritten_or_restored_log_is_told_from_a_missing_witness() {
    let (_folder, witness) = fresh();
    let witness = Arc::new(witness);
    cosigned(&witness, &Log::of(&leaves(300)), 0);
    let named = String::from("w.example");
    let restored = disagrees(&witness, &Log::of(&leaves(200)));
    assert_eq!(restored, Failure::RolledBack { witness: named.clone(), known: 300, size: 200 });
    for rewritten in [forked(7, 300), forked(7, 400), forked(299, 301)] {
        let failure = disagrees(&witness, &Log::of(&rewritten));
        assert_eq!(failure, Failure::Forked { witness: named.clone(), known: 300 });
    }
    cosigned(&witness, &Log::of(&leaves(300)), 300);
}

#[test]
fn an_answer_that_nobody_can_use_is_a_missing_witness() {
    let log = Log::of(&leaves(20));
    let tampered: [fn(Reply) -> Result<Reply, Unanswered>; 9] = [
        |_| Err(Unanswered(String::from("connection refused"))),
        |reply| Ok(Reply { status: 503, ..reply }),
        |reply| Ok(Reply { status: 403, ..reply }),
        |reply| Ok(Reply { body: vec![], ..reply }),
        |reply| Ok(Reply { body: vec![0xff; 1000], ..reply }),
        |reply| Ok(Reply { status: 409, ..reply }),
        |_| Ok(Reply { status: 409, content_type: String::from("text/x.tlog.size"), body: b"0\n".to_vec() }),
        |_| Ok(Reply { status: 409, content_type: String::from("text/plain"), body: b"99\n".to_vec() }),
        |mut reply| {
            let line = String::from_utf8(reply.body).unwrap();
            let mut signature = reeve_ledger::proof::note::parse_signatures(&line).unwrap().remove(0);
            signature.bytes[20] ^= 1;
            reply.body = signature.to_string().into_bytes();
            Ok(reply)
        },
    ];
    for (number, tamper) in tampered.into_iter().enumerate() {
        let (_folder, witness) = fresh();
        let witness = Arc::new(witness);
        let mut witnesses = Witnesses::new(vec![Near::through(&witness, tamper)]);
        let round = witnesses.cosign(&log.checkpoint, &log.shelf, PATIENCE);
        assert!(matches!(&round.failures[..], [Failure::Missing { .. }]), "{number}: {round:?}");
        assert!(round.cosignatures.is_empty(), "{number}");
    }
}

#[test]
fn one_missing_witness_does_not_hide_another_ones_cosignature() {
    let ((_one, near), (_two, far)) = (fresh(), fresh());
    let (near, far) = (Arc::new(near), Arc::new(far));
    let lost = Near::through(&far, |_| Err(Unanswered(String::from("lost"))));
    let mut witnesses = Witnesses::new(vec![lost, Near::to(&near)]);
    let log = Log::of(&leaves(20));
    let round = witnesses.cosign(&log.checkpoint, &log.shelf, PATIENCE);
    assert_eq!((round.cosignatures.len(), round.failures.len(), witnesses.len()), (1, 1, 2));
}
