//! Drives a ledger from outside of the tests: for the script that kills it and for the benchmark.
//!
//! ```text
//! ledger-load append HOME ACKS CLIENTS DEPTH BYTES          until it is killed; acknowledged entries to ACKS/<client>
//! ledger-load check HOME ACKS [CHECKPOINT]                  seals, then finds every acknowledged entry
//! ledger-load measure HOME CLIENTS DEPTH BYTES ENTRIES      appends so many, says how fast
//! ledger-load verify HOME                                   verifies everything, says how fast
//! ledger-load raw FOLDER BATCH BYTES ENTRIES                the disk alone: write and fdatasync
//! ledger-load key HOME                                      the key that verifies the checkpoints
//! ledger-load past HOME MARKER ENTRIES                      appends request logs of 40 days ago that hold the marker
//! ledger-load forget HOME                                   goes on from there to today, and purges
//! ```
//!
//! HOME gets `ledger/`, `wal/`, `keys/` and `seal`. Results are `name value` lines.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "a tool of the tests: what goes wrong must end it, and what it finds is its output"
)]

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use reeve_base::{Clock, Sealer, SystemClock, SystemEntropy, Ticks, Timestamp};
use reeve_ledger::proof::SignedCheckpoint;
use reeve_ledger::{AppendError, Class, Entry, Ledger, Place, Reader, Receipt, Settings, Tools, verify};
use reeve_vault::{NewSeal, Unlock, Vault};

const ORIGIN: &str = "load.example/ledger";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["append", home, acks, clients, depth, bytes] => {
            append(&Home::new(home), Path::new(acks), number(clients), number(depth), number(bytes));
        }
        ["check", home, acks] => check(&Home::new(home), Path::new(acks), None),
        ["check", home, acks, checkpoint] => check(&Home::new(home), Path::new(acks), Some(Path::new(checkpoint))),
        ["measure", home, clients, depth, bytes, entries] => {
            measure(&Home::new(home), number(clients), number(depth), number(bytes), number(entries) as u64);
        }
        ["verify", home] => timed_verify(&Home::new(home)),
        ["raw", folder, batch, bytes, entries] => raw(folder, number(batch), number(bytes), number(entries)),
        ["past", home, marker, entries] => past(&Home::new(home), marker, number(entries) as u64),
        ["forget", home] => forget(&Home::new(home)),
        ["key", home] => println!("{}", Home::new(home).reader().verifier_key()),
        _ => {
            panic!("the verbs are append, check, measure, verify, raw, past, forget and key; see the top of the source")
        }
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

/// A folder with everything that a ledger takes.
struct Home {
    folder: PathBuf,
    sealer: Arc<dyn Sealer>,
    clock: SystemClock,
}

impl Home {
    fn new(folder: &str) -> Self {
        let (folder, clock) = (PathBuf::from(folder), SystemClock::new());
        let (keys, seal) = (folder.join("keys"), folder.join("seal"));
        fs::create_dir_all(&folder).unwrap();
        let vault = if Vault::exists(&keys).unwrap() {
            Vault::open(&keys, Unlock::File(seal), Arc::new(SystemEntropy)).unwrap()
        } else {
            Vault::create(&keys, vec![NewSeal::File(seal)], Arc::new(SystemEntropy), clock.now()).unwrap()
        };
        Self { folder, sealer: Arc::new(vault), clock }
    }

    fn place(&self) -> Place {
        Place::Folder(self.folder.join("ledger"))
    }

    fn open(&self) -> Ledger {
        self.open_at(Arc::new(self.clock))
    }

    fn open_at(&self, clock: Arc<dyn Clock>) -> Ledger {
        let settings = Settings::new(ORIGIN, self.place(), self.folder.join("wal"));
        let entropy = Arc::new(SystemEntropy);
        let tools = Tools { clock, entropy, sealer: Arc::clone(&self.sealer), cosigners: Vec::new() };
        Ledger::open(settings, tools).unwrap_or_else(|error| panic!("{error}"))
    }

    fn reader(&self) -> Reader {
        Reader::open(ORIGIN, &self.place(), Arc::clone(&self.sealer)).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// The machine's clocks, both as they stood 40 days ago until the journey is over: as if the process had run all the while.
struct Travel {
    clock: SystemClock,
    arrived: AtomicBool,
}

impl Clock for Travel {
    fn now(&self) -> Timestamp {
        if self.arrived.load(Ordering::SeqCst) { self.clock.now() } else { self.clock.now() - LONG_AGO }
    }

    fn ticks(&self) -> Ticks {
        let Ticks(ticks) = self.clock.ticks();
        Ticks(if self.arrived.load(Ordering::SeqCst) { ticks + LONG_AGO.as_nanos() as u64 } else { ticks })
    }
}

const LONG_AGO: jiff::SignedDuration = jiff::SignedDuration::from_hours(24 * 40);

fn past(home: &Home, marker: &str, entries: u64) {
    let travel = Arc::new(Travel { clock: home.clock, arrived: AtomicBool::new(false) });
    let ledger = home.open_at(travel);
    let mut last = None;
    for number in 0..entries {
        let mut entry = entry(0, 0, number, 64);
        entry.class = Class::Request;
        entry.body.extend_from_slice(marker.as_bytes());
        last = Some(persist(&ledger, &entry));
    }
    if let Some(receipt) = last {
        receipt.wait_durable().unwrap();
    }
    ledger.close().unwrap();
}

fn forget(home: &Home) {
    let travel = Arc::new(Travel { clock: home.clock, arrived: AtomicBool::new(false) });
    let ledger = home.open_at(Arc::clone(&travel) as Arc<dyn Clock>);
    travel.arrived.store(true, Ordering::SeqCst);
    let report = ledger.purge().unwrap();
    assert!(!report.purged.is_empty(), "nothing is purged: {:?}", report.plan);
    for (due, _) in &report.purged {
        println!("purged {}", due.of);
    }
    ledger.close().unwrap();
}

/// An entry that can be told from all others, so that what comes back can be compared.
fn entry(run: u32, client: usize, number: u64, bytes: usize) -> Entry {
    let mut body = format!("{{\"run\":{run},\"client\":{client},\"number\":{number},\"filler\":\"").into_bytes();
    body.resize(bytes.max(body.len() + 2) - 2, b'a' + u8::try_from(number % 26).unwrap());
    body.extend_from_slice(b"\"}");
    let class = if number.is_multiple_of(16) { Class::Security } else { Class::Request };
    Entry { class, activity: "load.entry".into(), clause: None, actor: Some(format!("client-{client}")), body }
}

/// Appends from many threads until something kills it. What is acknowledged is written down, after it was.
fn append(home: &Home, acks: &Path, clients: usize, depth: usize, bytes: usize) {
    fs::create_dir_all(acks).unwrap();
    let ledger = home.open();
    println!("ready {}", ledger.health().durable);
    let run = std::process::id();
    thread::scope(|scope| {
        for client in 0..clients {
            let ledger = &ledger;
            let path = acks.join(client.to_string());
            let mut acks = OpenOptions::new().append(true).create(true).open(path).unwrap();
            scope.spawn(move || {
                let mut acknowledge = |number: u64, receipt: Receipt| {
                    let seq = receipt.wait_durable().unwrap();
                    // One write for each line, so that a kill leaves no half of one but the last.
                    acks.write_all(format!("{seq} {run} {client} {number} {bytes}\n").as_bytes()).unwrap();
                };
                let mut flying = VecDeque::new();
                for number in 0.. {
                    flying.push_back((number, persist(ledger, &entry(run, client, number, bytes))));
                    if flying.len() >= depth {
                        let (number, receipt) = flying.pop_front().unwrap();
                        acknowledge(number, receipt);
                    }
                }
            });
        }
    });
}

/// Appends, and tries again while the queue is full.
fn persist(ledger: &Ledger, entry: &Entry) -> Receipt {
    loop {
        match ledger.append(entry.clone()) {
            Ok(receipt) => return receipt,
            Err(AppendError::Full(_)) => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Starts as after a crash, seals everything, and compares what is there with what was acknowledged.
fn check(home: &Home, acks: &Path, before: Option<&Path>) {
    let ledger = home.open();
    println!("durable {}", ledger.health().durable);
    ledger.close().unwrap();
    let mut expected = HashMap::new();
    for file in fs::read_dir(acks).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let fields: Vec<u64> = line.split_whitespace().map(|field| field.parse().unwrap()).collect();
            let [seq, run, client, number, bytes] = fields[..] else { panic!("not an acknowledgement: {line}") };
            let before = expected.insert(seq, entry(run as u32, client as usize, number, bytes as usize).body);
            assert!(before.is_none(), "the number {seq} was acknowledged twice");
        }
    }
    let reader = home.reader();
    let mut found = 0;
    for record in reader.entries(0..u64::MAX).unwrap() {
        let record = record.unwrap_or_else(|error| panic!("{error}"));
        if let Some(body) = expected.remove(&record.seq) {
            assert!(record.content.body() == Some(&body[..]), "entry {} is not what was acknowledged", record.seq);
            found += 1;
        }
    }
    assert!(
        expected.is_empty(),
        "{} acknowledged entries are missing, such as {:?}",
        expected.len(),
        expected.keys().min()
    );
    let before =
        before.map(|path| SignedCheckpoint::open(&fs::read(path).unwrap(), &[reader.verifier_key().clone()]).unwrap());
    let report = verify::run(&reader, before.as_ref(), |_| ()).unwrap();
    assert!(report.holds(), "{:?}", report.faults);
    println!("entries {}\nacknowledged {found}", report.head.size);
}

fn measure(home: &Home, clients: usize, depth: usize, bytes: usize, entries: u64) {
    let ledger = home.open();
    let latencies = Latencies::default();
    let next = AtomicU64::new(0);
    let (start, cpu) = (home.clock.ticks(), cpu_seconds());
    thread::scope(|scope| {
        for client in 0..clients {
            let (ledger, next, latencies, clock) = (&ledger, &next, &latencies, home.clock);
            scope.spawn(move || {
                let mut flying: VecDeque<(Ticks, Receipt)> = VecDeque::new();
                let land = |(since, receipt): (Ticks, Receipt)| {
                    receipt.wait_durable().unwrap();
                    latencies.add(clock.ticks().since(since));
                };
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= entries {
                        break;
                    }
                    let since = clock.ticks();
                    flying.push_back((since, persist(ledger, &entry(0, client, number, bytes))));
                    if flying.len() >= depth {
                        land(flying.pop_front().unwrap());
                    }
                }
                flying.into_iter().for_each(land);
            });
        }
    });
    let seconds = home.clock.ticks().since(start).as_secs_f64();
    let behind = ledger.health().durable - ledger.health().sealed;
    println!("appends_per_second {:.0}", entries as f64 / seconds);
    println!("p50_ms {:.2}\np99_ms {:.2}\nmax_ms {:.2}", latencies.at(0.5), latencies.at(0.99), latencies.at(1.0));
    println!("cpu_seconds {:.2}", cpu_seconds() - cpu);
    println!("unsealed_at_end {behind}");
    ledger.close().unwrap();
    println!("sealed_per_second {:.0}", entries as f64 / home.clock.ticks().since(start).as_secs_f64());
    println!("rss_mib {}\nrss_peak_mib {}", memory_mib("VmRSS"), memory_mib("VmHWM"));
}

/// Latencies in buckets of a sixteenth of a power of two, so that ten millions of them take no memory.
struct Latencies(Vec<AtomicU64>);

impl Default for Latencies {
    fn default() -> Self {
        Self((0..Self::BUCKETS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Latencies {
    const BUCKETS: usize = 40 * 16;

    fn add(&self, latency: Duration) {
        let bucket = ((latency.as_nanos().max(1) as f64).log2() * 16.0) as usize;
        self.0[bucket.min(Self::BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
    }

    /// The upper border of the bucket that this part of all latencies does not exceed, in milliseconds.
    fn at(&self, part: f64) -> f64 {
        let counts: Vec<u64> = self.0.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let wanted = (counts.iter().sum::<u64>() as f64 * part).ceil() as u64;
        let mut seen = 0;
        let bucket = counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        ((bucket.unwrap_or(0) + 1) as f64 / 16.0).exp2() / 1e6
    }
}

fn timed_verify(home: &Home) {
    let reader = home.reader();
    let (start, cpu) = (home.clock.ticks(), cpu_seconds());
    let report = verify::run(&reader, None, |_| ()).unwrap();
    let seconds = home.clock.ticks().since(start).as_secs_f64();
    assert!(report.holds(), "{:?}", report.faults);
    println!("verified_entries {}\nverify_seconds {seconds:.2}", report.head.size);
    println!("verify_cpu_seconds {:.2}\nverify_rss_peak_mib {}", cpu_seconds() - cpu, memory_mib("VmHWM"));
}

/// What the disk gives to somebody who does nothing else.
fn raw(folder: &str, batch: usize, bytes: usize, entries: usize) {
    let clock = SystemClock::new();
    let path = Path::new(folder).join("raw");
    let mut file = File::create(&path).unwrap();
    let block: Vec<u8> = (0..batch * bytes).map(|number| (number * 31 % 251) as u8).collect();
    let batches = entries / batch;
    let start = clock.ticks();
    for _ in 0..batches {
        file.write_all(&block).unwrap();
        file.sync_data().unwrap();
    }
    let seconds = clock.ticks().since(start).as_secs_f64();
    fs::remove_file(path).unwrap();
    println!(
        "raw_per_second {:.0}\nraw_batch_ms {:.2}",
        (batches * batch) as f64 / seconds,
        seconds * 1e3 / batches as f64
    );
}

/// Processor time of this process so far: fields 14 and 15 of its `stat`, in hundredths of a second.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn memory_mib(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}
