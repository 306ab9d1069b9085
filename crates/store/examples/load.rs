//! Load for `benches/store.sh`: sealed point reads and durable sealed writes by concurrent clients.
//!
//! `load sqlite FOLDER SECONDS CLIENTS` or `load postgres ADMIN_URL PASSWORD_FILE SECONDS CLIENTS`; prints one line of
//! figures for each measurement. Values are sealed by AES-256-GCM-SIV, as the vault does.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that cannot go on must say so and end")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use reeve_base::{Clock as _, Entropy as _, Purpose, SealError, Sealer, Secret, SystemClock, SystemEntropy};
use reeve_store::{
    CounterPlace, Database, Expect, Lookup, ObjectPlace, Record, Scope, Server, Settings, Store, Tools, migrate,
};

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Account {
    mail: String,
    name: String,
    note: String,
}

impl Record for Account {
    const COLLECTION: &'static str = "accounts";
    const SCHEMA: u16 = 1;
}

/// The same with a lookup to be kept.
#[derive(serde::Serialize, serde::Deserialize)]
struct Member(Account);

impl Record for Member {
    const COLLECTION: &'static str = "members";
    const SCHEMA: u16 = 1;

    fn lookups(&self) -> Vec<Lookup> {
        vec![Lookup::sole("mail", &self.0.mail)]
    }
}

fn account(number: u64) -> Account {
    Account { mail: format!("{number}@example.org"), name: format!("Account {number}"), note: "x".repeat(180) }
}

struct Keys(LessSafeKey, hmac::Key);

impl Sealer for Keys {
    fn seal(&self, purpose: Purpose, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; 12];
        SystemEntropy.fill(&mut nonce).unwrap();
        let mut sealed = plain.to_vec();
        let bound = Aad::from([&[purpose as u8], context].concat());
        self.0.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound, &mut sealed).unwrap();
        Ok([nonce.as_slice(), &sealed].concat())
    }

    fn open(&self, purpose: Purpose, context: &[u8], sealed: &[u8]) -> Result<Secret<Vec<u8>>, SealError> {
        let (nonce, body) = sealed.split_at(12);
        let (nonce, mut body) = (Nonce::try_assume_unique_for_key(nonce).unwrap(), body.to_vec());
        let bound = Aad::from([&[purpose as u8], context].concat());
        let length = self.0.open_in_place(nonce, bound, &mut body).map_err(|_| SealError::Refused(purpose))?.len();
        body.truncate(length);
        Ok(Secret::new(body))
    }

    fn is_current(&self, _: &[u8]) -> bool {
        true
    }

    fn lookup(&self, _: Purpose, context: &[u8], value: &[u8]) -> [u8; 32] {
        hmac::sign(&self.1, &[context, value].concat()).as_ref().try_into().unwrap()
    }
}

async fn open(database: Database, folder: PathBuf) -> Store {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, &[7; 32]).unwrap());
    let sealer = Arc::new(Keys(key, hmac::Key::new(hmac::HMAC_SHA256, &[8; 32])));
    let tools = Tools { sealer, clock: Arc::new(SystemClock::new()), entropy: Arc::new(SystemEntropy) };
    let objects = ObjectPlace::Folder(folder.join("objects"));
    let settings = Settings { database, counters: CounterPlace::Memory, objects, namespace: String::from("bench") };
    Store::open(settings, tools).await.unwrap()
}

/// Runs `clients` beside each other for `seconds` and prints how many times a second `act` came to its end.
async fn measure<F: Future<Output = ()> + Send>(
    what: &str,
    store: &Store,
    seconds: u64,
    clients: u64,
    act: impl Fn(Scope, u64) -> F + Clone + Send + 'static,
) {
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clock = SystemClock::new();
    let slowest = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let (scope, act) = (store.tenant("acme"), act.clone());
            let (stop, done, slowest) = (Arc::clone(&stop), Arc::clone(&done), Arc::clone(&slowest));
            tokio::spawn(async move {
                for turn in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let begun = clock.ticks();
                    act(scope.clone(), turn * clients + client).await;
                    slowest.fetch_max(clock.ticks().since(begun).as_nanos().try_into().unwrap(), Ordering::Relaxed);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let begun = clock.ticks();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let (count, elapsed) = (done.load(Ordering::Relaxed), clock.ticks().since(begun));
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    let rate = count as f64 / elapsed.as_secs_f64();
    println!("{what:<34} {rate:>9.0}/s   slowest {:>7.1} ms", slowest.load(Ordering::Relaxed) as f64 / 1e6);
}

const RECORDS: u64 = 20_000;

async fn run(store: Store, seconds: u64, clients: u64) {
    let scope = store.tenant("acme");
    for page in 0..RECORDS / 500 {
        let mut batch = reeve_store::Batch::new();
        for number in page * 500..page * 500 + 500 {
            batch.put(&number.to_string(), Expect::Any, &account(number));
        }
        scope.commit(batch).await.unwrap();
    }
    measure("point reads", &store, seconds, clients, |scope, number| async move {
        let id = (number.wrapping_mul(7_919) % RECORDS).to_string();
        assert!(scope.get::<Account>(&id).await.unwrap().is_some());
    })
    .await;
    measure("writes (new records)", &store, seconds, clients, |scope, number| async move {
        scope.put(&format!("new-{number}"), Expect::Any, &account(number)).await.unwrap();
    })
    .await;
    measure("writes (changed records)", &store, seconds, clients, |scope, number| async move {
        let id = (number.wrapping_mul(7_919) % RECORDS).to_string();
        scope.put(&id, Expect::Any, &account(number)).await.unwrap();
    })
    .await;
    measure("writes (new, with a sole lookup)", &store, seconds, clients, |scope, number| async move {
        scope.put(&format!("member-{number}"), Expect::Any, &Member(account(number))).await.unwrap();
    })
    .await;
    store.close().await;
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["sqlite", folder, seconds, clients] => {
            let folder = PathBuf::from(folder);
            let store = open(Database::Sqlite(folder.join("store.db")), folder).await;
            run(store, seconds.parse().unwrap(), clients.parse().unwrap()).await;
        }
        ["postgres", url, password_file, folder, seconds, clients] => {
            let password = Secret::new(std::fs::read_to_string(password_file).unwrap().trim().to_owned());
            let admin = Server::new(url, Some(&password)).unwrap();
            let role = Server::new(&url.replace("postgres@", "bench_store@"), Some(&password)).unwrap();
            migrate(&admin, &role, Some(&password), "bench", &SystemEntropy).await.unwrap();
            let store = open(Database::Postgres(role), PathBuf::from(folder)).await;
            run(store, seconds.parse().unwrap(), clients.parse().unwrap()).await;
        }
        _ => println!(
            "usage: load sqlite FOLDER SECONDS CLIENTS | load postgres URL PASSWORD_FILE FOLDER SECONDS CLIENTS"
        ),
    }
}
