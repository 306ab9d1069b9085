//! From one database to the other, and back.

use std::time::Duration;

use reeve_base::Clock as _;
use reeve_store::{Batch, CopyError, Expect, Lookup, Message, OpenError, Phase, Progress, Resume, Store, copy};
use reeve_testkit::Postgres;

use crate::house::{Account, House};

const RECORDS: usize = 1_300;

async fn fill(house: &House) -> Store {
    let store = house.open().await;
    for tenant in ["acme", "umbrella", "empty handed"] {
        let scope = store.tenant(tenant);
        for page in 0..RECORDS / 100 {
            let mut batch = Batch::new();
            for number in page * 100..page * 100 + 100 {
                batch.put(&number.to_string(), Expect::New, &Account::new(&format!("{number}@{tenant}.example")));
            }
            scope.commit(batch).await.unwrap();
        }
        for number in 0..7 {
            let mut batch = Batch::new();
            batch.put("0", Expect::Any, &Account::new(&format!("0-{number}@{tenant}.example")));
            batch.send(Message::new("mail", "0", &number).unwrap());
            scope.commit(batch).await.unwrap();
        }
    }
    // One claimed and one that failed once.
    let claimed = store.outbox().claim(2, Duration::from_secs(60)).await.unwrap();
    store.outbox().failed(&claimed[0], house.clock.now()).await.unwrap();
    store.leases().acquire("sweep", "one", Duration::from_secs(60)).await.unwrap();
    store
}

async fn target(house: &House) -> Store {
    Store::open_target(house.settings(), house.tools()).await.unwrap()
}

async fn looks_like_the_source(store: &Store) {
    let scope = store.tenant("umbrella");
    assert_eq!(scope.get::<Account>("0").await.unwrap().unwrap().version, 8);
    let found = scope.find::<Account>(&Lookup::sole("mail", "77@umbrella.example")).await.unwrap();
    assert_eq!(found[0].id, "77");
    let mut order = Vec::new();
    loop {
        let claimed = store.outbox().claim(10, Duration::from_secs(60)).await.unwrap();
        let Some(message) = claimed.iter().find(|message| message.tenant == "acme") else { break };
        order.push((message.body::<u64>().unwrap(), message.attempt));
        for message in &claimed {
            store.outbox().done(message).await.unwrap();
        }
    }
    assert_eq!(order.iter().map(|(body, _)| *body).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(order[0].1, 2, "the first was tried once before");
    assert!(store.leases().acquire("sweep", "two", Duration::from_secs(60)).await.is_err());
}

/// Does something with a store in the middle of a step of another, and waits for it.
fn outside<F: Future<Output = ()> + Send + 'static>(store: Store, act: impl FnOnce(Store) -> F) {
    let act = act(store);
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(act));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_arrives_and_is_verified_in_both_directions() {
    let server = Postgres::start(&["fsync=off"]).await.unwrap();
    let (first, second) = (House::sqlite(), House::postgres(&server, "second").await);
    let source = fill(&first).await;
    let there = target(&second).await;
    let mut seen = Vec::new();
    let verified = copy(&source, &there, Resume::Refuse, &mut |progress| seen.push(progress)).await.unwrap();
    assert_eq!((verified.tenants, verified.records), (3, 3 * RECORDS as u64));
    assert_eq!((verified.lookups, verified.messages, verified.leases), (6 * RECORDS as u64, 21, 1));
    for phase in [Phase::Copying, Phase::ReadingSource, Phase::ReadingTarget] {
        let last = seen.iter().rfind(|progress| progress.phase == phase).unwrap();
        assert_eq!((last.done, last.total), (3 * RECORDS as u64, 3 * RECORDS as u64));
    }
    there.close().await;

    // Back again into another file, which then has the same as the first.
    let there = second.open().await;
    let third = House::sqlite();
    let back = target(&third).await;
    assert_eq!(copy(&there, &back, Resume::Refuse, &mut |_| {}).await.unwrap(), verified);
    back.close().await;
    looks_like_the_source(&third.open().await).await;
    looks_like_the_source(&there).await;
    looks_like_the_source(&source).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_broke_off_goes_on_where_it_stopped() {
    let (first, second, other) = (House::sqlite(), House::sqlite(), House::sqlite());
    let source = fill(&first).await;
    // It breaks off when the target goes away in the middle.
    let there = target(&second).await;
    let mut pages = 0;
    let mut cut = |_| {
        pages += 1;
        if pages == 4 {
            outside(there.clone(), |there| async move { there.close().await });
        }
    };
    let broken = copy(&source, &there, Resume::Refuse, &mut cut).await.unwrap_err();
    assert!(matches!(broken, CopyError::Database(_)), "{broken}");

    // Half a store is no store, and only its own source may go on with it.
    let refused = second.try_open().await.err().unwrap();
    assert!(matches!(refused, OpenError::Unfinished { .. }) && refused.to_string().contains("--resume"), "{refused}");
    let there = target(&second).await;
    let begun = copy(&source, &there, Resume::Refuse, &mut |_| {}).await.unwrap_err();
    assert!(matches!(begun, CopyError::Begun(_)), "{begun}");
    let stranger = fill(&other).await;
    let wrong = copy(&stranger, &there, Resume::Allow, &mut |_| {}).await.unwrap_err();
    assert!(matches!(wrong, CopyError::OtherMove(_)), "{wrong}");

    let mut first_seen = None;
    let mut note = |progress: Progress| {
        first_seen.get_or_insert(progress.done);
    };
    let verified = copy(&source, &there, Resume::Allow, &mut note).await.unwrap();
    assert_eq!(verified.records, 3 * RECORDS as u64);
    assert!(first_seen.unwrap() > RECORDS as u64, "what was there is not copied again: {first_seen:?}");
    there.close().await;
    looks_like_the_source(&second.open().await).await;

    let full = copy(&source, &stranger, Resume::Refuse, &mut |_| {}).await.unwrap_err();
    assert!(matches!(full, CopyError::NotEmpty { .. }), "{full}");
    let same = copy(&source, &source, Resume::Refuse, &mut |_| {}).await.unwrap_err();
    assert!(matches!(same, CopyError::Same(_)), "{same}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_difference_is_found_and_an_altered_source_is_not_moved() {
    let (first, second, third) = (House::sqlite(), House::sqlite(), House::sqlite());
    let source = fill(&first).await;
    let there = target(&second).await;
    // Somebody works on the source while it is moved.
    let mut once = true;
    let mut meddle = |progress: Progress| {
        if progress.phase == Phase::ReadingSource && std::mem::take(&mut once) {
            outside(source.clone(), |busy| async move {
                for tenant in ["acme", "umbrella", "empty handed"] {
                    let late = Account::new(&format!("late@{tenant}.example"));
                    busy.tenant(tenant).put("late", Expect::New, &late).await.unwrap();
                }
            });
        }
    };
    let differs = copy(&source, &there, Resume::Refuse, &mut meddle).await.unwrap_err();
    assert!(matches!(differs, CopyError::Differs { .. }), "{differs}");

    first.raw("UPDATE records SET version = version + 1 WHERE version = 8").await;
    let there = target(&third).await;
    let refused = copy(&source, &there, Resume::Refuse, &mut |_| {}).await.unwrap_err();
    assert!(matches!(refused, CopyError::Sealed { .. }), "{refused}");
}
