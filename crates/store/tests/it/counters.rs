//! Counters: the same in memory and on a real Redis; honest when it is gone.

use std::sync::Arc;
use std::time::Duration;

use reeve_store::{CounterError, CounterPlace, OpenError, Settings, Store};
use reeve_testkit::Redis;
use tokio::time::timeout;

use crate::house::{House, password};

const WINDOW: Duration = Duration::from_secs(3_600);
const PASSWORD: &str = "redis-of-the-tests";

async fn open(house: &House, redis: Option<&Redis>) -> Store {
    let counters = match redis {
        None => CounterPlace::Memory,
        Some(redis) => CounterPlace::Redis { url: redis.url(), password: Some(password(PASSWORD)) },
    };
    Store::open(Settings { counters, ..house.settings() }, house.tools()).await.unwrap()
}

async fn behave(store: Store) {
    let counters = store.counters();
    assert_eq!(counters.read("sign-in", "ada").await.unwrap(), 0);
    assert_eq!(counters.add("sign-in", "ada", 1, WINDOW).await.unwrap(), 1);
    assert_eq!(counters.add("sign-in", "ada", 4, WINDOW).await.unwrap(), 5);
    assert_eq!(counters.add("sign-in", "bob", 1, WINDOW).await.unwrap(), 1, "another one");
    assert_eq!(counters.add("reset", "ada", 1, WINDOW).await.unwrap(), 1, "of another kind");
    assert_eq!(counters.read("sign-in", "ada").await.unwrap(), 5);

    let store = Arc::new(store);
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for _ in 0..25 {
                    store.counters().add("crowd", "all", 1, WINDOW).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(store.counters().read("crowd", "all").await.unwrap(), 400, "none is lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_memory() {
    let house = House::sqlite();
    let store = open(&house, None).await;
    behave(store.clone()).await;
    house.clock.forward(WINDOW);
    assert_eq!(store.counters().read("sign-in", "ada").await.unwrap(), 0, "the window is over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_redis() {
    let mut redis = Redis::start(PASSWORD).await.unwrap();
    let house = House::sqlite();
    let store = open(&house, Some(&redis)).await;
    behave(store.clone()).await;

    // A short window ends by the server's clock, and a count after it begins a new one.
    store.counters().add("short", "ada", 3, Duration::from_millis(50)).await.unwrap();
    let ended = timeout(Duration::from_secs(5), async {
        while store.counters().read("short", "ada").await.unwrap() != 0 {
            tokio::task::yield_now().await;
        }
    });
    ended.await.unwrap();
    assert_eq!(store.counters().add("short", "ada", 1, WINDOW).await.unwrap(), 1);

    // Gone: an error and no count. Back: it goes on by itself.
    redis.stop().unwrap();
    let gone = store.counters().add("sign-in", "ada", 1, WINDOW).await.unwrap_err();
    assert!(matches!(gone, CounterError::Unreachable { .. }), "{gone}");
    assert!(gone.to_string().contains("redis://127.0.0.1:") && !gone.to_string().contains(PASSWORD), "{gone}");
    redis.resume().await.unwrap();
    let back = timeout(Duration::from_secs(10), async {
        while store.counters().add("sign-in", "ada", 1, WINDOW).await.is_err() {
            tokio::task::yield_now().await;
        }
    });
    back.await.unwrap();
}

#[tokio::test]
async fn a_redis_that_cannot_be_used_is_refused_at_once() {
    let redis = Redis::start(PASSWORD).await.unwrap();
    let refused = async |url: String, secret: Option<&str>| {
        let house = House::sqlite();
        let counters = CounterPlace::Redis { url, password: secret.map(password) };
        match Store::open(Settings { counters, ..house.settings() }, house.tools()).await {
            Err(OpenError::Counters(error)) => error,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it opens"),
        }
    };
    let wrong = refused(redis.url(), Some("wrong-wrong-wrong")).await;
    assert!(matches!(&wrong, CounterError::Refused { .. }), "{wrong}");
    assert!(!wrong.to_string().contains("wrong-wrong"), "{wrong}");
    let missing = refused(redis.url(), None).await;
    assert!(matches!(&missing, CounterError::Refused { .. }), "{missing}");
    for url in ["redis://:secret@127.0.0.1", "rediss://127.0.0.1", "http://127.0.0.1", "?"] {
        let wrong = refused(url.to_owned(), None).await;
        assert!(matches!(&wrong, CounterError::Settings(_)), "{wrong}");
        assert!(!wrong.to_string().contains("secret"), "{wrong}");
    }
    let silent = refused(String::from("redis://127.0.0.1:1"), None).await;
    assert!(matches!(&silent, CounterError::Unreachable { .. }), "{silent}");
}
