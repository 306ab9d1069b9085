//! Fifty values planted in every place that the store writes to, and looked for byte by byte.

use std::path::Path;
use std::time::Duration;

use reeve_store::{Batch, CounterPlace, Expect, Lookup, Message, Record, Settings, Store};
use reeve_testkit::{Postgres, Redis};

use crate::house::{House, password, stands_below};

/// Names, addresses, tokens: each unlike anything else that could stand in a file.
fn planted() -> Vec<String> {
    (0..50)
        .map(|number| match number % 5 {
            0 => format!("Wilhelmina Zoroaster {number:02}"),
            1 => format!("planted.mail.{number:02}@quagmire.example"),
            2 => format!("sk_live_51QqWwEeRrTt{number:02}YyUuIiOo"),
            3 => format!("+49 170 5550{number:02} 1234"),
            _ => format!("DE89 3704 0044 0532 0130 {number:02}"),
        })
        .collect()
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Person {
    facts: Vec<String>,
}

impl Record for Person {
    const COLLECTION: &'static str = "people";
    const SCHEMA: u16 = 1;

    fn lookups(&self) -> Vec<Lookup> {
        self.facts.iter().take(32).map(|fact| Lookup::shared("fact", fact)).collect()
    }
}

/// Each value as an id, a tenant, a lookup, a value, a message and its key, a lease and its holder, a counter, an object
/// and its name.
async fn plant(store: &Store) {
    for value in planted() {
        let scope = store.tenant(&value);
        let mut batch = Batch::new();
        batch.put(&value, Expect::New, &Person { facts: vec![value.clone()] });
        batch.send(Message::new("mail", &value, &value).unwrap());
        scope.commit(batch).await.unwrap();
        scope.put(&value, Expect::Version(1), &Person { facts: planted() }).await.unwrap();
        store.leases().acquire(&value, &value, Duration::from_secs(600)).await.unwrap();
        store.counters().add("sign-in", &value, 1, Duration::from_secs(600)).await.unwrap();
        store.objects().put(&scope, &value, value.repeat(3).as_bytes()).await.unwrap();
    }
    for message in store.outbox().claim(5, Duration::from_secs(60)).await.unwrap() {
        store.outbox().done(&message).await.unwrap();
    }
    let first = planted().swap_remove(0);
    store.tenant(&first).delete::<Person>(&first, Expect::Any).await.unwrap();
}

#[track_caller]
fn nothing_below(folder: &Path) {
    let hexadecimal = |value: &String| value.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let wanted: Vec<_> = planted().iter().flat_map(|value| [value.clone(), hexadecimal(value)]).collect();
    assert_eq!(stands_below(folder, &wanted), None);
}

/// That the search finds what does stand there.
#[track_caller]
fn found_below(folder: &Path, word: &str) {
    assert!(stands_below(folder, &[word.to_owned()]).is_some(), "{word}");
}

async fn with_redis(house: &House, redis: &Redis) -> Store {
    let counters = CounterPlace::Redis { url: redis.url(), password: Some(password("redis-of-the-tests")) };
    Store::open(Settings { counters, ..house.settings() }, house.tools()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_planted_value_is_found_anywhere() {
    let redis = Redis::start("redis-of-the-tests").await.unwrap();
    let house = House::sqlite();
    let store = with_redis(&house, &redis).await;
    plant(&store).await;
    let wal = std::fs::metadata(format!("{}-wal", house.database().display())).unwrap();
    assert!(wal.len() > 50_000, "the log is looked at while it is full");
    nothing_below(&house.folder);
    found_below(&house.folder, "people");
    store.close().await;
    nothing_below(&house.folder);

    let server = Postgres::start(&["log_statement=all"]).await.unwrap();
    let house = House::postgres(&server, "planted").await;
    let store = with_redis(&house, &redis).await;
    plant(&store).await;
    house.raw("CHECKPOINT").await;
    nothing_below(&server.data());
    nothing_below(&house.folder);
    found_below(&server.data(), "people");
    assert!(!planted().iter().any(|value| server.log().contains(value)));

    let client = redis::Client::open(redis.url().replace("//", "//:redis-of-the-tests@")).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("SAVE").exec_async(&mut connection).await.unwrap();
    nothing_below(redis.dump().parent().unwrap());
    found_below(redis.dump().parent().unwrap(), "counter");
}
