//! A ledger and its witnesses: cosigned when they agree, refused when they know better.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reeve_base::{Clock, SystemEntropy};
use reeve_ledger::proof::VerifierKey;
use reeve_ledger::witness::{Cosigner, Reply, Unanswered, Witness};
use reeve_ledger::{Ledger, OpenError};

use crate::house::{Machine, TestClock, fill};

/// A witness in this process, behind the same bytes that would go over the wire.
struct Near {
    folder: tempfile::TempDir,
    key: VerifierKey,
    clock: Arc<TestClock>,
    witness: Mutex<Option<Witness>>,
    away: AtomicBool,
}

impl Near {
    fn new(number: u8, clock: &Arc<TestClock>) -> Arc<Self> {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("witness-{number}");
        let key = Witness::open(folder.path(), &name, &[], &SystemEntropy).unwrap().verifier_key().clone();
        let (witness, away) = (Mutex::new(None), AtomicBool::new(false));
        Arc::new(Self { folder, key, clock: Arc::clone(clock), witness, away })
    }

    /// Tells it the log's key, which nobody knows before the log is made.
    fn watch(&self, log: &VerifierKey) {
        let logs = std::slice::from_ref(log);
        let witness = Witness::open(self.folder.path(), self.key.name(), logs, &SystemEntropy).unwrap();
        *self.witness.lock().unwrap() = Some(witness);
    }
}

impl Cosigner for Near {
    fn key(&self) -> &VerifierKey {
        &self.key
    }

    fn add_checkpoint(&self, body: &str, _: Duration) -> Result<Reply, Unanswered> {
        let witness = self.witness.lock().unwrap();
        let Some(witness) = witness.as_ref().filter(|_| !self.away.load(Ordering::SeqCst)) else {
            return Err(Unanswered("nobody is there".into()));
        };
        let answer = witness.answer(body.as_bytes(), self.clock.now());
        let content_type = answer.content_type().to_owned();
        Ok(Reply { status: answer.status(), content_type, body: answer.body().into_bytes() })
    }
}

fn with_witnesses(quorum: usize) -> (Machine, Vec<Arc<Near>>) {
    let mut machine = Machine::new();
    let witnesses: Vec<_> = (1..=2).map(|number| Near::new(number, &machine.clock)).collect();
    machine.cosigners = witnesses.iter().map(|witness| Arc::clone(witness) as Arc<dyn Cosigner>).collect();
    machine.quorum = quorum;
    (machine, witnesses)
}

fn wait_until(mut done: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if done() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    panic!("it never came true");
}

fn cosigned(ledger: &Ledger, size: u64) {
    wait_until(|| ledger.health().cosigned == size && ledger.health().witnesses.is_empty());
}

#[test]
fn checkpoints_are_cosigned_by_a_quorum_and_published_so() {
    let (machine, witnesses) = with_witnesses(2);
    let ledger = machine.open();
    assert_eq!(ledger.health().witnesses.len(), 2, "nobody is there yet");
    witnesses.iter().for_each(|witness| witness.watch(ledger.verifier_key()));
    fill(&ledger, 300);
    cosigned(&ledger, 300);
    let keys: Vec<VerifierKey> = witnesses.iter().map(|witness| witness.key.clone()).collect();
    let newest = ledger.reader().checkpoint().unwrap();
    assert_eq!(newest.cosigned_by(&keys).unwrap().len(), 2);
    assert_eq!(ledger.reader().cosigned().unwrap().unwrap().head(), newest.head());

    witnesses[1].away.store(true, Ordering::SeqCst);
    fill(&ledger, 10);
    wait_until(|| ledger.health().witnesses.len() == 1);
    assert_eq!(ledger.health().cosigned, 300, "one is not enough");
    assert_eq!(ledger.health().sealed, 310, "and nobody waits for it");
    witnesses[1].away.store(false, Ordering::SeqCst);
    cosigned(&ledger, 310);
    ledger.close().unwrap();
    assert_eq!(machine.open().health().cosigned, 310);
}

#[test]
fn a_restored_copy_is_refused() {
    let (machine, witnesses) = with_witnesses(1);
    let ledger = machine.open();
    witnesses[0].watch(ledger.verifier_key());
    fill(&ledger, 20);
    wait_until(|| ledger.health().cosigned == 20);
    ledger.close().unwrap();
    let backup = tempfile::tempdir().unwrap();
    copy_folder(machine.home.path(), backup.path());

    let ledger = machine.open();
    fill(&ledger, 20);
    wait_until(|| ledger.health().cosigned == 40);
    ledger.close().unwrap();
    fs::remove_dir_all(machine.folder()).unwrap();
    fs::remove_dir_all(machine.wal()).unwrap();
    copy_folder(backup.path(), machine.home.path());
    let refused = machine.try_open().unwrap_err();
    assert!(matches!(refused, OpenError::RolledBack(_)), "{refused}");
    let told = refused.to_string();
    assert!(told.contains("`witness-1` has cosigned 40") && told.contains("only 20"), "{told}");
}

#[test]
fn a_rewritten_history_is_refused_at_the_start_and_nothing_is_signed_on_while_it_runs() {
    let (machine, witnesses) = with_witnesses(1);
    let ledger = machine.open();
    witnesses[0].watch(ledger.verifier_key());
    fill(&ledger, 1);
    wait_until(|| ledger.health().cosigned == 1);
    ledger.close().unwrap();
    let backup = tempfile::tempdir().unwrap();
    copy_folder(machine.home.path(), backup.path());
    let ledger = machine.open();
    fill(&ledger, 20);
    wait_until(|| ledger.health().cosigned == 21);
    ledger.close().unwrap();

    // The owner of the key goes back and writes another history, longer than the first, while the witness is away.
    fs::remove_dir_all(machine.folder()).unwrap();
    fs::remove_dir_all(machine.wal()).unwrap();
    copy_folder(backup.path(), machine.home.path());
    witnesses[0].away.store(true, Ordering::SeqCst);
    let ledger = machine.open();
    fill(&ledger, 30);
    witnesses[0].away.store(false, Ordering::SeqCst);
    wait_until(|| ledger.health().witnesses.iter().any(|failure| failure.disagrees()));
    let refused = ledger.append(crate::house::numbered(31));
    drop(refused);
    wait_until(|| ledger.health().unsealable.is_some());
    assert!(ledger.health().unsealable.unwrap().contains("another history"));
    assert_eq!(ledger.reader().checkpoint().unwrap().head().size, 31);
    drop(ledger);
    let refused = machine.try_open().unwrap_err();
    assert!(matches!(refused, OpenError::Forked(_)), "{refused}");
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (source, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if source.is_dir() {
            copy_folder(&source, &target);
        } else {
            fs::copy(source, target).unwrap();
        }
    }
}
