//! What somebody finds who has got at the database, and what they cannot do there.

use std::time::Duration;

use reeve_base::SealError;
use reeve_store::{Batch, Expect, Message, OpenError, Position, ReadError, Store};

use crate::house::{Account, House};
use crate::keys::Keys;

fn refuses<T: std::fmt::Debug>(result: Result<T, ReadError>) {
    match result {
        Err(ReadError::Sealed { cause: SealError::Refused(_), .. }) => {}
        other => panic!("it opens: {other:?}"),
    }
}

async fn two(house: &House) -> Store {
    let store = house.open().await;
    for (tenant, id) in [("acme", "ada"), ("acme", "bob"), ("umbrella", "eve")] {
        let account = Account::new(&format!("{id}@example.org"));
        store.tenant(tenant).put(id, Expect::New, &account).await.unwrap();
    }
    store
}

pub(super) async fn exchanged_ciphertexts_do_not_open(house: House) {
    let store = two(&house).await;
    let swap = "CREATE TABLE before AS SELECT tenant, key, sealed FROM records;
                UPDATE records SET sealed = (SELECT b.sealed FROM before b
                    WHERE b.tenant = records.tenant AND b.key <> records.key)
                WHERE (SELECT count(*) FROM before b WHERE b.tenant = records.tenant) = 2;
                DROP TABLE before";
    house.raw(swap).await;
    refuses(store.tenant("acme").get::<Account>("ada").await);
    refuses(store.tenant("acme").get::<Account>("bob").await);
    refuses(store.tenant("acme").list::<Account>(None, 10).await);
    store.tenant("umbrella").get::<Account>("eve").await.unwrap().unwrap();
    house.raw(swap).await;
    assert_eq!(store.tenant("acme").get::<Account>("ada").await.unwrap().unwrap().value.mail, "ada@example.org");
}

pub(super) async fn an_old_ciphertext_does_not_open_under_a_new_version(house: House) {
    let store = house.open().await;
    let scope = store.tenant("acme");
    scope.put("ada", Expect::New, &Account::new("ada@example.org")).await.unwrap();
    house.raw("CREATE TABLE kept AS SELECT sealed FROM records").await;
    scope.put("ada", Expect::Version(1), &Account::new("ada@example.org")).await.unwrap();
    house.raw("UPDATE records SET sealed = (SELECT sealed FROM kept)").await;
    refuses(scope.get::<Account>("ada").await);
}

pub(super) async fn a_row_given_to_another_tenant_does_not_open(house: House) {
    let store = two(&house).await;
    house.raw("DELETE FROM lookups").await;
    let give = "UPDATE records SET sealed = (SELECT o.sealed FROM records o WHERE o.tenant <> records.tenant LIMIT 1)
                WHERE (SELECT count(*) FROM records o WHERE o.tenant = records.tenant) = 1";
    assert_eq!(house.raw(give).await, 1);
    refuses(store.tenant("umbrella").get::<Account>("eve").await);
}

pub(super) async fn an_altered_message_is_skipped_and_stops_no_other(house: House) {
    let store = house.open().await;
    for key in ["ada", "bob"] {
        let mut batch = Batch::new();
        batch.send(Message::new("mail", key, &key).unwrap());
        store.tenant("acme").commit(batch).await.unwrap();
    }
    house.raw("UPDATE outbox SET topic = 'post' WHERE seq = 1").await;
    let claimed = store.outbox().claim(10, Duration::from_secs(60)).await.unwrap();
    assert_eq!(claimed.iter().map(|message| message.key.as_str()).collect::<Vec<_>>(), ["bob"]);
}

pub(super) async fn every_value_is_sealed_anew(house: House) {
    let store = two(&house).await;
    let scope = store.tenant("acme");
    let mut batch = Batch::new();
    batch.send(Message::new("mail", "ada", &"welcome").unwrap());
    scope.commit(batch).await.unwrap();
    let long = vec![7; 150_000];
    store.objects().put(&scope, "picture", &long).await.unwrap();
    store.objects().put(&scope, "empty", b"").await.unwrap();

    assert_eq!(reseal(&store).await, (6, 0, 0), "nothing to do");
    house.keys.rotate();
    scope.put("bob", Expect::Any, &Account::new("bob@example.org")).await.unwrap();
    assert_eq!(reseal(&store).await, (6, 5, 0), "what was put since is under the new version");
    assert_eq!(reseal(&store).await, (6, 0, 0));
    house.keys.destroy_old();
    let found = scope.get::<Account>("ada").await.unwrap().unwrap();
    assert_eq!((found.version, found.value.mail.as_str()), (1, "ada@example.org"), "the version is the same");
    store.tenant("umbrella").get::<Account>("eve").await.unwrap().unwrap();
    let claimed = store.outbox().claim(1, Duration::from_secs(60)).await.unwrap();
    assert_eq!(claimed[0].body::<String>().unwrap(), "welcome");
    assert_eq!(store.objects().get(&scope, "picture").await.unwrap().unwrap().expose(), &long);
    assert_eq!(store.objects().get(&scope, "empty").await.unwrap().unwrap().expose().len(), 0);

    // One that does not open is counted and stays; the others are done.
    house.raw("UPDATE records SET version = version + 10 WHERE version = 2").await;
    house.keys.rotate();
    assert_eq!(reseal(&store).await, (6, 5, 1));
}

/// Looked at, sealed anew, refused; in steps of two.
async fn reseal(store: &Store) -> (u64, u64, u64) {
    let (mut position, mut sum) = (Position::default(), (0, 0, 0));
    loop {
        let step = store.reseal(position, 2).await.unwrap();
        sum = (sum.0 + step.looked, sum.1 + step.resealed, sum.2 + step.refused);
        match step.next {
            Some(next) => position = next,
            None => return sum,
        }
    }
}

pub(super) async fn other_keys_are_refused(mut house: House) {
    house.open().await.close().await;
    let right = std::mem::replace(&mut house.keys, Keys::new(2));
    let refused = house.try_open().await.err().unwrap();
    assert!(matches!(refused, OpenError::ForeignKey { .. }), "{refused}");
    assert!(refused.to_string().contains("put back the key file"), "{refused}");
    house.keys = right;
    house.open().await;
}
