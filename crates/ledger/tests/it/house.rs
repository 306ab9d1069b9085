//! A machine for tests: its clock, its chance, its vault, and folders that go when it goes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use reeve_base::{Clock, Entropy, EntropyError, Purpose, SealError, Sealer, Secret, SystemClock, Ticks, Timestamp};
use reeve_ledger::witness::Cosigner;
use reeve_ledger::{Class, Entry, Ledger, OpenError, Pace, Place, ReadError, Reader, Receipt, Settings, Tools};
use tempfile::TempDir;

/// Everything that survives a restart, and what a restart is made with.
pub(crate) struct Machine {
    pub(crate) home: TempDir,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) entropy: Arc<SeededEntropy>,
    pub(crate) sealer: Arc<TestSealer>,
    pub(crate) cosigners: Vec<Arc<dyn Cosigner>>,
    pub(crate) quorum: usize,
    pub(crate) pace: Pace,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
            clock: Arc::new(TestClock::at("2026-03-01T12:00:00Z")),
            entropy: Arc::new(SeededEntropy::default()),
            sealer: Arc::new(TestSealer::default()),
            cosigners: Vec::new(),
            quorum: 0,
            pace: Pace {
                seal_every: Duration::from_millis(5),
                cosign_every: Duration::from_millis(5),
                retry_every: Duration::from_millis(20),
                ..Pace::default()
            },
        }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.home.path().join("ledger")
    }

    pub(crate) fn wal(&self) -> PathBuf {
        self.home.path().join("wal")
    }

    pub(crate) fn settings(&self) -> Settings {
        let place = Place::Folder(self.folder());
        Settings { pace: self.pace, witness_quorum: self.quorum, ..Settings::new(ORIGIN, place, self.wal()) }
    }

    pub(crate) fn tools(&self) -> Tools {
        Tools {
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            sealer: self.sealer.clone(),
            cosigners: self.cosigners.clone(),
        }
    }

    pub(crate) fn try_open(&self) -> Result<Ledger, OpenError> {
        Ledger::open(self.settings(), self.tools())
    }

    pub(crate) fn open(&self) -> Ledger {
        self.try_open().unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn reader(&self) -> Reader {
        self.try_reader().unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn try_reader(&self) -> Result<Reader, ReadError> {
        Reader::open(ORIGIN, &Place::Folder(self.folder()), self.sealer.clone())
    }
}

/// An entry with this body.
pub(crate) fn entry(class: Class, body: impl Into<Vec<u8>>) -> Entry {
    let activity = "test.entry".to_owned();
    Entry { class, activity, clause: Some("0.29".into()), actor: Some("203.0.113.7".into()), body: body.into() }
}

/// Appends entries of both classes with bodies that tell their number, waits until they are sealed.
pub(crate) fn fill(ledger: &Ledger, count: u64) {
    let from = ledger.health().durable;
    let receipts: Vec<Receipt> = (from..from + count).map(|seq| ledger.append(numbered(seq)).unwrap()).collect();
    if let Some(last) = receipts.into_iter().next_back() {
        assert_eq!(last.wait_sealed().unwrap().seq, from + count - 1);
    }
}

/// What [`fill`] appends as entry `seq`.
pub(crate) fn numbered(seq: u64) -> Entry {
    let class = if seq.is_multiple_of(3) { Class::Security } else { Class::Request };
    entry(class, body(seq))
}

pub(crate) fn body(seq: u64) -> Vec<u8> {
    format!("{{\"number\":{seq},\"planted\":\"{MARKER}-{seq}\"}}").into_bytes()
}

/// Every entry is there, in its order, with the body that [`fill`] gave it.
#[track_caller]
pub(crate) fn check_numbered(reader: &Reader, expected: u64) {
    let records: Vec<_> = reader.entries(0..u64::MAX).unwrap().map(|record| record.unwrap()).collect();
    assert_eq!(records.len() as u64, expected, "entries");
    for (seq, record) in (0..).zip(&records) {
        assert_eq!(record.seq, seq);
        assert_eq!(record.content.body(), Some(&body(seq)[..]), "the body of entry {seq}");
    }
}

/// A wall clock that goes where the test puts it, and a steady one that goes on besides, because threads wait by it.
pub(crate) struct TestClock {
    seconds: AtomicU64,
    passed: AtomicU64,
    steady: SystemClock,
}

impl TestClock {
    pub(crate) fn at(time: &str) -> Self {
        let time: Timestamp = time.parse().unwrap();
        Self { seconds: (time.as_second() as u64).into(), passed: AtomicU64::new(0), steady: SystemClock::new() }
    }

    /// Time passes.
    pub(crate) fn pass(&self, time: Duration) {
        self.seconds.fetch_add(time.as_secs(), Ordering::SeqCst);
        self.passed.fetch_add(u64::try_from(time.as_nanos()).unwrap(), Ordering::SeqCst);
    }

    /// Somebody sets the wall clock.
    pub(crate) fn jump(&self, time: &str) {
        let time: Timestamp = time.parse().unwrap();
        self.seconds.store(time.as_second() as u64, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.seconds.load(Ordering::SeqCst) as i64).unwrap()
    }

    fn ticks(&self) -> Ticks {
        Ticks(self.passed.load(Ordering::SeqCst) + self.steady.ticks().0)
    }
}

/// Chance that is the same in every run.
#[derive(Default)]
pub(crate) struct SeededEntropy(AtomicU64);

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in bytes.chunks_mut(32) {
            let drawn = digest(&SHA256, &self.0.fetch_add(1, Ordering::SeqCst).to_be_bytes());
            chunk.copy_from_slice(&drawn.as_ref()[..chunk.len()]);
        }
        Ok(())
    }
}

/// A vault of one key, with versions that can be turned on.
#[derive(Default)]
pub(crate) struct TestSealer {
    version: AtomicU32,
    sealed: AtomicU64,
}

impl TestSealer {
    pub(crate) fn rotate(&self) {
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    fn key(version: u32) -> LessSafeKey {
        let key = digest(&SHA256, format!("test vault {version}").as_bytes());
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).unwrap())
    }
}

impl Sealer for TestSealer {
    fn seal(&self, purpose: Purpose, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let version = self.version.load(Ordering::SeqCst);
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&self.sealed.fetch_add(1, Ordering::SeqCst).to_be_bytes());
        let mut bytes = plain.to_vec();
        let aad = Aad::from([purpose.as_str().as_bytes(), context].concat());
        Self::key(version).seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut bytes).unwrap();
        Ok([&version.to_be_bytes()[..], &nonce, &bytes].concat())
    }

    fn open(&self, purpose: Purpose, context: &[u8], sealed: &[u8]) -> Result<Secret<Vec<u8>>, SealError> {
        let refused = SealError::Refused(purpose);
        let (version, rest) = sealed.split_first_chunk().ok_or(refused.clone())?;
        let (nonce, rest) = rest.split_first_chunk().ok_or(refused.clone())?;
        let mut bytes = rest.to_vec();
        let aad = Aad::from([purpose.as_str().as_bytes(), context].concat());
        let key = Self::key(u32::from_be_bytes(*version));
        let opened = key.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut bytes).map_err(|_| refused)?;
        Ok(Secret::new(opened.to_vec()))
    }

    fn is_current(&self, sealed: &[u8]) -> bool {
        sealed.starts_with(&self.version.load(Ordering::SeqCst).to_be_bytes())
    }

    fn lookup(&self, _: Purpose, context: &[u8], value: &[u8]) -> [u8; 32] {
        digest(&SHA256, &[context, value].concat()).as_ref().try_into().unwrap()
    }
}

/// The log's name in every test.
pub(crate) const ORIGIN: &str = "test.example/ledger";

/// Stands in every body of [`fill`], and must stand nowhere on the disk.
pub(crate) const MARKER: &str = "mArKeR";
