//! Leases and their tokens.

use std::time::Duration;

use reeve_base::Clock as _;
use reeve_store::{Batch, Expect, Lease, LeaseError, Store, WriteError};

use crate::house::{Account, House};

const TTL: Duration = Duration::from_secs(30);

pub(super) async fn one_holds_at_a_time_and_tokens_grow(house: House) {
    let store = house.open().await;
    let leases = store.leases();
    let first = leases.acquire("sweep", "one", TTL).await.unwrap();
    assert_eq!((first.token(), first.expires()), (1, house.clock.now() + TTL));
    let refused = leases.acquire("sweep", "two", TTL).await.unwrap_err();
    assert!(matches!(refused, LeaseError::Held { until } if until == first.expires()), "{refused}");
    assert_eq!(leases.acquire("other", "two", TTL).await.unwrap().token(), 1, "each name has its own tokens");

    house.clock.forward(TTL - Duration::from_millis(1));
    let renewed = leases.renew(&first, TTL).await.unwrap();
    assert_eq!((renewed.token(), renewed.expires()), (1, house.clock.now() + TTL));
    house.clock.forward(TTL - Duration::from_millis(1));
    assert!(leases.acquire("sweep", "two", TTL).await.is_err());
    house.clock.forward(Duration::from_millis(1));
    assert!(matches!(leases.renew(&renewed, TTL).await, Err(LeaseError::Lost)), "it ran out");
    let second = leases.acquire("sweep", "two", TTL).await.unwrap();
    assert_eq!(second.token(), 2);
    assert!(matches!(leases.release(&first).await, Err(LeaseError::Lost)));
    assert_eq!(leases.acquire("sweep", "two", TTL).await.unwrap().token(), 3, "the holder began anew");
    assert!(matches!(leases.release(&second).await, Err(LeaseError::Lost)), "and its earlier self is over");
}

async fn put(store: &Store, lease: &Lease) -> Result<(), WriteError> {
    let mut batch = Batch::new();
    batch.put("ada", Expect::Any, &Account::new("ada@example.org")).fenced(lease);
    store.tenant("acme").commit(batch).await.map(drop)
}

pub(super) async fn a_stale_token_changes_nothing(house: House) {
    let store = house.open().await;
    let leases = store.leases();
    let first = leases.acquire("sweep", "one", TTL).await.unwrap();
    put(&store, &first).await.unwrap();
    house.clock.forward(TTL * 2);
    put(&store, &first).await.unwrap();
    let second = leases.acquire("sweep", "two", TTL).await.unwrap();
    let refused = put(&store, &first).await.unwrap_err();
    assert!(matches!(refused, WriteError::Fenced { held: 1, newest: 2 }), "{refused}");
    put(&store, &second).await.unwrap();
    leases.release(&second).await.unwrap();
    assert!(matches!(put(&store, &second).await, Err(WriteError::Fenced { .. })), "it was given back");
    let version = store.tenant("acme").get::<Account>("ada").await.unwrap().unwrap().version;
    assert_eq!(version, 3);
}

pub(super) async fn of_many_who_ask_one_gets_it(house: House) {
    let store = house.open().await;
    for round in 1..=3 {
        let tries: Vec<_> = (0..16)
            .map(|number| {
                let leases = store.leases();
                tokio::spawn(async move { leases.acquire("sweep", &format!("holder-{number}"), TTL).await })
            })
            .collect();
        let mut tokens = Vec::new();
        for attempt in tries {
            match attempt.await.unwrap() {
                Ok(lease) => tokens.push(lease.token()),
                Err(LeaseError::Held { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(tokens, [round]);
        house.clock.forward(TTL);
    }
}
