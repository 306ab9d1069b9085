//! Messages on their way out.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reeve_base::Clock as _;
use reeve_store::{Batch, Claimed, Expect, Message, Store};

use crate::house::{Account, House};

const LEASE: Duration = Duration::from_secs(60);

async fn send(store: &Store, tenant: &str, key: &str, body: &str) {
    let mut batch = Batch::new();
    batch.send(Message::new("mail", key, &body).unwrap());
    store.tenant(tenant).commit(batch).await.unwrap();
}

fn bodies(claimed: &[Claimed]) -> Vec<String> {
    claimed.iter().map(|message| message.body().unwrap()).collect()
}

pub(super) async fn messages_of_a_lane_leave_in_order(house: House) {
    let store = house.open().await;
    let outbox = store.outbox();
    for (key, body) in [("ada", "1"), ("ada", "2"), ("bob", "3"), ("ada", "4")] {
        send(&store, "acme", key, body).await;
    }
    send(&store, "umbrella", "ada", "5").await;
    let claimed = outbox.claim(10, LEASE).await.unwrap();
    assert_eq!(bodies(&claimed), ["1", "3", "5"], "one of each lane, the oldest first");
    let names: Vec<_> = claimed.iter().map(|m| (m.tenant.as_str(), m.topic.as_str(), m.key.as_str())).collect();
    assert_eq!(names, [("acme", "mail", "ada"), ("acme", "mail", "bob"), ("umbrella", "mail", "ada")]);

    // The first of its lane fails: those behind it wait with it, and no longer.
    let retry = house.clock.now() + Duration::from_secs(10);
    assert!(outbox.failed(&claimed[0], retry).await.unwrap());
    assert!(outbox.done(&claimed[1]).await.unwrap());
    assert!(outbox.done(&claimed[2]).await.unwrap());
    assert!(outbox.claim(10, LEASE).await.unwrap().is_empty());
    house.clock.forward(Duration::from_secs(10));
    for (attempt, body) in [(2, "1"), (1, "2"), (1, "4")] {
        let claimed = outbox.claim(10, LEASE).await.unwrap();
        assert_eq!((claimed[0].attempt, bodies(&claimed)), (attempt, vec![body.to_owned()]));
        assert!(outbox.done(&claimed[0]).await.unwrap());
    }
    assert!(outbox.claim(10, LEASE).await.unwrap().is_empty());
}

pub(super) async fn a_message_is_claimed_once(house: House) {
    let store = house.open().await;
    for number in 0..120 {
        send(&store, &format!("tenant-{}", number % 3), &format!("key-{number}"), &number.to_string()).await;
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let (outbox, seen) = (store.outbox(), Arc::clone(&seen));
            tokio::spawn(async move {
                // A worker that finds nothing may have been passed over for rows that others held just then.
                let mut empty = 0;
                while empty < 5 {
                    let claimed = outbox.claim(7, LEASE).await.unwrap();
                    empty = if claimed.is_empty() { empty + 1 } else { 0 };
                    for message in claimed {
                        assert_eq!(message.attempt, 1);
                        seen.lock().unwrap().push(message.body::<String>().unwrap());
                        assert!(outbox.done(&message).await.unwrap());
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 120, "none is given out twice");
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 120, "none is forgotten");
}

pub(super) async fn a_claim_that_ran_out_is_over(house: House) {
    let store = house.open().await;
    let outbox = store.outbox();
    send(&store, "acme", "ada", "1").await;
    let first = outbox.claim(1, LEASE).await.unwrap();
    house.clock.forward(LEASE - Duration::from_millis(1));
    assert!(outbox.claim(1, LEASE).await.unwrap().is_empty());
    house.clock.forward(Duration::from_millis(1));
    let second = outbox.claim(1, LEASE).await.unwrap();
    assert_eq!(second[0].attempt, 2);
    assert!(!outbox.done(&first[0]).await.unwrap(), "it belongs to the second now");
    assert!(!outbox.failed(&first[0], house.clock.now()).await.unwrap());
    assert!(outbox.done(&second[0]).await.unwrap());
    assert!(!outbox.done(&second[0]).await.unwrap());
}

pub(super) async fn a_message_waits_for_its_time(house: House) {
    let store = house.open().await;
    let mut batch = Batch::new();
    let at = house.clock.now() + Duration::from_secs(30);
    batch.send(Message::new("mail", "ada", &"later").unwrap().due(at));
    store.tenant("acme").commit(batch).await.unwrap();
    assert!(store.outbox().claim(1, LEASE).await.unwrap().is_empty());
    house.clock.forward(Duration::from_secs(30));
    assert_eq!(bodies(&store.outbox().claim(1, LEASE).await.unwrap()), ["later"]);
}

pub(super) async fn a_message_goes_with_its_batch_or_not_at_all(house: House) {
    let store = house.open().await;
    let scope = store.tenant("acme");
    let batch = |expect| {
        let mut batch = Batch::new();
        batch.put("ada", expect, &Account::new("ada@example.org"));
        batch.send(Message::new("mail", "ada", &"welcome").unwrap());
        batch
    };
    scope.commit(batch(Expect::Version(4))).await.unwrap_err();
    assert!(store.outbox().claim(1, LEASE).await.unwrap().is_empty());
    scope.commit(batch(Expect::New)).await.unwrap();
    assert_eq!(store.outbox().claim(1, LEASE).await.unwrap().len(), 1);
}
