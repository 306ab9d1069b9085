//! Records: what comes back, and what is refused.

use std::collections::BTreeSet;
use std::time::Duration;

use reeve_base::Clock as _;
use reeve_store::{Batch, BatchError, Expect, Lookup, Message, ReadError, Record, WriteError};

use crate::house::{Account, House};

pub(super) async fn a_record_comes_back_as_it_was_put(house: House) {
    let store = house.open().await;
    let scope = store.tenant("acme");
    assert_eq!(scope.get::<Account>("ada").await.unwrap(), None);
    let mut account = Account::new("ada@example.org");
    assert_eq!(scope.put("ada", Expect::New, &account).await.unwrap(), 1);
    let put_at = house.clock.now();
    house.clock.forward(Duration::from_secs(5));
    let found = scope.get::<Account>("ada").await.unwrap().unwrap();
    assert_eq!((found.id.as_str(), found.version, found.changed), ("ada", 1, put_at));
    assert_eq!(found.value, account);

    account.visits = 7;
    assert_eq!(scope.put("ada", Expect::Version(1), &account).await.unwrap(), 2);
    let found = scope.get::<Account>("ada").await.unwrap().unwrap();
    assert_eq!((found.version, found.changed, found.value.visits), (2, house.clock.now(), 7));

    assert!(scope.delete::<Account>("ada", Expect::Version(2)).await.unwrap());
    assert_eq!(scope.get::<Account>("ada").await.unwrap(), None);
    assert!(!scope.delete::<Account>("ada", Expect::Any).await.unwrap());
}

pub(super) async fn an_expectation_that_does_not_hold_is_a_conflict(house: House) {
    let store = house.open().await;
    let scope = store.tenant("acme");
    let account = Account::new("ada@example.org");
    let conflict = |result: Result<u64, WriteError>| match result {
        Err(WriteError::Conflict { found, change: 0, collection: "accounts" }) => found,
        other => panic!("no conflict: {other:?}"),
    };
    assert_eq!(conflict(scope.put("ada", Expect::Version(1), &account).await), None);
    scope.put("ada", Expect::New, &account).await.unwrap();
    assert_eq!(conflict(scope.put("ada", Expect::New, &account).await), Some(1));
    assert_eq!(conflict(scope.put("ada", Expect::Version(2), &account).await), Some(1));
    assert_eq!(conflict(scope.put("ada", Expect::Version(u64::MAX), &account).await), Some(1));
    assert_eq!(scope.put("ada", Expect::Any, &account).await.unwrap(), 2);
    for expect in [Expect::New, Expect::Version(1)] {
        let refused = scope.delete::<Account>("ada", expect).await.unwrap_err();
        assert!(matches!(refused, WriteError::Conflict { found: Some(2), .. }), "{refused}");
    }
    let refused = scope.delete::<Account>("bob", Expect::Version(1)).await.unwrap_err();
    assert_eq!(refused.to_string(), "the record of `accounts` was changed meanwhile: it is not there");
    assert_eq!(scope.put("bob", Expect::Any, &Account::new("bob@example.org")).await.unwrap(), 1);
}

pub(super) async fn tenants_do_not_see_each_other(house: House) {
    let store = house.open().await;
    let (acme, umbrella) = (store.tenant("acme"), store.tenant("umbrella"));
    acme.put("ada", Expect::New, &Account::new("ada@example.org")).await.unwrap();
    assert_eq!(umbrella.get::<Account>("ada").await.unwrap(), None);
    assert_eq!(umbrella.find::<Account>(&Lookup::sole("mail", "ada@example.org")).await.unwrap(), []);
    assert_eq!(umbrella.list::<Account>(None, 10).await.unwrap(), []);
    assert!(!umbrella.delete::<Account>("ada", Expect::Any).await.unwrap());
    umbrella.put("ada", Expect::New, &Account::new("ada@example.org")).await.unwrap();
    assert_eq!(acme.get::<Account>("ada").await.unwrap().unwrap().version, 1);
}

pub(super) async fn lookups_find_and_sole_ones_are_sole(house: House) {
    let store = house.open().await;
    let scope = store.tenant("acme");
    let mail = |mail: &str| Lookup::sole("mail", mail);
    scope.put("ada", Expect::New, &Account::new("ada@example.org")).await.unwrap();
    scope.put("bob", Expect::New, &Account::new("bob@example.org")).await.unwrap();
    let found = scope.find::<Account>(&mail("bob@example.org")).await.unwrap();
    assert_eq!(found.iter().map(|found| found.id.as_str()).collect::<Vec<_>>(), ["bob"]);
    assert_eq!(scope.find::<Account>(&Lookup::shared("role", "member")).await.unwrap().len(), 2);
    assert_eq!(scope.find::<Account>(&Lookup::shared("mail", "member")).await.unwrap(), []);

    // Neither a new record nor a change may take what another has, and nothing of the refused one stays.
    for (id, expect) in [("eve", Expect::New), ("bob", Expect::Version(1)), ("bob", Expect::Any)] {
        let refused = scope.put(id, expect, &Account::new("ada@example.org")).await.unwrap_err();
        assert!(matches!(refused, WriteError::Taken { lookup: "mail", change: 0, .. }), "{refused}");
    }
    assert_eq!(scope.get::<Account>("eve").await.unwrap(), None);
    assert_eq!(scope.get::<Account>("bob").await.unwrap().unwrap().version, 1);

    // A change moves the lookup; what was let go can be taken.
    scope.put("ada", Expect::Any, &Account::new("lovelace@example.org")).await.unwrap();
    assert_eq!(scope.find::<Account>(&mail("ada@example.org")).await.unwrap(), []);
    scope.put("eve", Expect::New, &Account::new("ada@example.org")).await.unwrap();
    scope.delete::<Account>("eve", Expect::Any).await.unwrap();
    assert_eq!(scope.find::<Account>(&mail("ada@example.org")).await.unwrap(), []);
    scope.put("kim", Expect::New, &Account::new("ada@example.org")).await.unwrap();
}

pub(super) async fn pages_hold_every_record_once(house: House) {
    let store = house.open().await;
    let scope = store.tenant("acme");
    let mut batch = Batch::new();
    let ids: BTreeSet<String> = (0..25).map(|number| format!("id-{number}")).collect();
    for id in &ids {
        batch.put(id, Expect::New, &Account::new(&format!("{id}@example.org")));
    }
    scope.commit(batch).await.unwrap();
    let (mut seen, mut after) = (BTreeSet::new(), None::<String>);
    loop {
        let page = scope.list::<Account>(after.as_deref(), 10).await.unwrap();
        let Some(last) = page.last() else { break };
        // What a page began with may go; the next page goes on all the same.
        scope.delete::<Account>(&last.id, Expect::Any).await.unwrap();
        after = Some(last.id.clone());
        for record in page {
            assert!(seen.insert(record.id));
        }
    }
    assert_eq!(seen, ids);
    let refused = scope.list::<Account>(None, 1_001).await.unwrap_err();
    assert!(matches!(refused, ReadError::TooMany { asked: 1_001, most: 1_000 }), "{refused}");
}

pub(super) async fn a_batch_is_made_whole_or_not_at_all(house: House) {
    let store = house.open().await;
    let scope = store.tenant("acme");
    scope.put("bob", Expect::New, &Account::new("bob@example.org")).await.unwrap();
    let mut batch = Batch::new();
    batch.put("ada", Expect::New, &Account::new("ada@example.org"));
    batch.delete::<Account>("bob", Expect::Version(1));
    batch.put("eve", Expect::Version(3), &Account::new("eve@example.org"));
    batch.send(Message::new("mail", "ada", &"welcome").unwrap());
    let refused = scope.commit(batch).await.unwrap_err();
    assert!(matches!(refused, WriteError::Conflict { change: 2, found: None, .. }), "{refused}");
    assert_eq!(scope.get::<Account>("ada").await.unwrap(), None);
    assert_eq!(scope.get::<Account>("bob").await.unwrap().unwrap().version, 1);
    assert!(store.outbox().claim(10, Duration::from_secs(60)).await.unwrap().is_empty());

    let mut batch = Batch::new();
    batch.put("ada", Expect::New, &Account::new("ada@example.org"));
    batch.put("ada", Expect::Version(1), &Account::new("ada@example.org"));
    batch.delete::<Account>("bob", Expect::Any).delete::<Account>("kim", Expect::Any);
    assert_eq!(scope.commit(batch).await.unwrap(), [1, 2, 1, 0]);
}

pub(super) async fn thirty_two_writers_lose_no_change(house: House) {
    let store = house.open().await;
    store.tenant("acme").put("ada", Expect::New, &Account::new("ada@example.org")).await.unwrap();
    let writers: Vec<_> = (0..32)
        .map(|_| {
            let scope = store.tenant("acme");
            tokio::spawn(async move {
                for _ in 0..4 {
                    loop {
                        let found = scope.get::<Account>("ada").await.unwrap().unwrap();
                        let next = Account { visits: found.value.visits + 1, ..found.value };
                        match scope.put("ada", Expect::Version(found.version), &next).await {
                            Ok(_) => break,
                            Err(WriteError::Conflict { .. }) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let found = store.tenant("acme").get::<Account>("ada").await.unwrap().unwrap();
    assert_eq!((found.value.visits, found.version), (128, 129));
}

pub(super) async fn writers_in_opposite_order_all_get_through(house: House) {
    let store = house.open().await;
    let writers: Vec<_> = (0..8)
        .map(|number| {
            let scope = store.tenant("acme");
            tokio::spawn(async move {
                for _ in 0..5 {
                    let mut batch = Batch::new();
                    let ids = if number % 2 == 0 { ["ada", "bob"] } else { ["bob", "ada"] };
                    for id in ids {
                        batch.put(id, Expect::Any, &Account::new(&format!("{id}@example.org")));
                    }
                    scope.commit(batch).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    for id in ["ada", "bob"] {
        assert_eq!(store.tenant("acme").get::<Account>(id).await.unwrap().unwrap().version, 40);
    }
}

pub(super) async fn limits_hold_at_the_edge(house: House) {
    let store = house.open().await;
    let scope = store.tenant("acme");
    let account = Account::new("ada@example.org");
    scope.put(&"x".repeat(512), Expect::New, &account).await.unwrap();
    for id in [String::new(), "x".repeat(513)] {
        let refused = scope.put(&id, Expect::New, &account).await.unwrap_err();
        assert!(matches!(refused, WriteError::Batch(BatchError::Id { .. })), "{refused}");
    }

    let blob = |length: usize| Blob { data: "x".repeat(length) };
    // What the envelope, the id and the field's name take of the mebibyte.
    let overhead = 7 + "blob".len() + r#"{"data":""}"#.len();
    scope.put("blob", Expect::New, &blob(1024 * 1024 - overhead)).await.unwrap();
    let refused = scope.put("blob", Expect::Any, &blob(1024 * 1024 - overhead + 1)).await.unwrap_err();
    assert!(matches!(refused, WriteError::Batch(BatchError::TooLarge { bytes: 1_048_577, .. })), "{refused}");

    let mut batch = Batch::new();
    for number in 0..1_001 {
        batch.delete::<Account>(&number.to_string(), Expect::Any);
    }
    let refused = scope.commit(batch).await.unwrap_err();
    assert!(matches!(refused, WriteError::Batch(BatchError::TooMany { count: 1_001 })), "{refused}");
}

pub(super) async fn older_forms_are_read_and_newer_ones_refused(house: House) {
    let store = house.open().await;
    let scope = store.tenant("acme");
    scope.put("1", Expect::New, &Old { name: String::from("Ada Lovelace") }).await.unwrap();
    let found = scope.get::<New>("1").await.unwrap().unwrap().value;
    assert_eq!((found.first.as_str(), found.last.as_str()), ("Ada", "Lovelace"));
    scope.put("1", Expect::Any, &found).await.unwrap();
    let refused = scope.get::<Old>("1").await.unwrap_err();
    assert!(matches!(refused, ReadError::Form { schema: 2, known: 1, .. }), "{refused}");

    // A value that does not fit is named by its place and never repeated.
    scope.put("2", Expect::New, &Old { name: String::from("Cher") }).await.unwrap();
    let refused = scope.get::<New>("2").await.unwrap_err().to_string();
    assert!(refused.contains("form 1") && !refused.contains("Cher"), "{refused}");
}

pub(super) async fn counts_are_of_all_tenants(house: House) {
    let store = house.open().await;
    for tenant in ["acme", "umbrella"] {
        let mut batch = Batch::new();
        batch.put("ada", Expect::New, &Account::new("ada@example.org"));
        batch.put("note", Expect::New, &Blob { data: String::new() });
        batch.send(Message::new("mail", "ada", &"welcome").unwrap());
        store.tenant(tenant).commit(batch).await.unwrap();
    }
    store.leases().acquire("sweep", "one", Duration::from_secs(60)).await.unwrap();
    let status = store.status().await.unwrap();
    assert_eq!((status.tenants, status.messages, status.leases), (2, 2, 1));
    let counts: Vec<_> = status.records.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    assert_eq!(counts, [("accounts", 2), ("blobs", 2)]);
    house.clock.forward(Duration::from_secs(60));
    assert_eq!(store.status().await.unwrap().leases, 0);
    store.examine().await.unwrap();
}

pub(super) async fn everything_is_there_after_a_restart(house: House) {
    let store = house.open().await;
    let mut batch = Batch::new();
    batch.put("ada", Expect::New, &Account::new("ada@example.org"));
    batch.send(Message::new("mail", "ada", &"welcome").unwrap());
    store.tenant("acme").commit(batch).await.unwrap();
    store.close().await;
    let closed = store.tenant("acme").get::<Account>("ada").await.unwrap_err();
    assert!(closed.to_string().ends_with("was closed; nothing was changed"), "{closed}");
    let closed = store.tenant("acme").put("ada", Expect::Any, &Account::new("x@example.org")).await.unwrap_err();
    assert!(closed.to_string().ends_with("was closed; nothing was changed"), "{closed}");

    let store = house.open().await;
    assert_eq!(store.tenant("acme").get::<Account>("ada").await.unwrap().unwrap().value.mail, "ada@example.org");
    assert_eq!(store.outbox().claim(10, Duration::from_secs(60)).await.unwrap().len(), 1);
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Blob {
    data: String,
}

impl Record for Blob {
    const COLLECTION: &'static str = "blobs";
    const SCHEMA: u16 = 1;
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Old {
    name: String,
}

impl Record for Old {
    const COLLECTION: &'static str = "people";
    const SCHEMA: u16 = 1;
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct New {
    first: String,
    last: String,
}

impl Record for New {
    const COLLECTION: &'static str = "people";
    const SCHEMA: u16 = 2;

    fn upgrade(_: u16, value: &[u8]) -> Result<Self, serde_json::Error> {
        let old: Old = serde_json::from_slice(value)?;
        match old.name.split_once(' ') {
            Some((first, last)) => Ok(Self { first: first.to_owned(), last: last.to_owned() }),
            None => serde_json::from_str(&format!("\"{}\"", old.name)),
        }
    }
}
