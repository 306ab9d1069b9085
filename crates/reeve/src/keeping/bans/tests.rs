//! Against the real store: a restart on SQLite, and two nodes on one PostgreSQL.

use std::path::Path;
use std::sync::Arc;

use reeve_base::{Clock, Secret, SystemClock, SystemEntropy};
use reeve_policy::catalogue::{Controls, OnFailure};
use reeve_store::Server;
use reeve_testkit::Postgres;
use reeve_vault::Vault;

use super::*;
use crate::keeping::{Kept, Weakening};
use crate::settings::Located;

/// What runs on one node.
async fn node(folder: &Path, vault: Option<Arc<Vault>>, database: Option<Database>) -> Keeping {
    let data = folder.join("data");
    let mut kept = Kept::scratch(&data, &Controls::default());
    if let Some(database) = database {
        kept.store.database = Located { value: database, span: 0..0 };
        kept.store.password_file = Some(Located { value: folder.join("password"), span: 0..0 });
        std::fs::write(folder.join("password"), PASSWORD).unwrap();
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let vault = vault.unwrap_or_else(|| kept.unlock(&*clock, Arc::new(SystemEntropy)).unwrap());
    let entropy = Arc::new(SystemEntropy);
    let keeping = Keeping::open(kept, vault, OnFailure::Serve, clock, entropy, Weakening::default()).await.unwrap();
    keeping.restore_bans().await.unwrap();
    keeping
}

async fn add(node: &Keeping, network: &str, seconds: u64) {
    let (network, seconds) = (network.to_owned(), Some(seconds));
    let question = BanQuestion::Add { network, seconds, reason: String::from("a test") };
    assert!(node.ban_answer(question, "uid:0").await.unwrap().done);
}

async fn lift(node: &Keeping, network: &str) {
    let question = BanQuestion::Lift { network: network.to_owned() };
    assert!(node.ban_answer(question, "uid:0").await.unwrap().done);
}

fn refuses(node: &Keeping, address: &str) -> bool {
    node.bans.refuses(address.parse().unwrap())
}

#[tokio::test]
async fn bans_survive_a_restart_and_what_was_lifted_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let before = node(folder.path(), None, None).await;
    add(&before, "192.0.2.1", 3_600).await;
    add(&before, "198.51.100.0/24", 3_600).await;
    add(&before, "192.0.2.2", 3_600).await;
    add(&before, "192.0.2.3", 1).await;
    lift(&before, "192.0.2.2").await;
    let made = before.bans.list().into_iter().find(|ban| ban.network.prefix_len() == 24).unwrap();
    // As a kill would leave it: nothing is closed in order.
    drop(before);
    let after = node(folder.path(), None, None).await;
    assert!(refuses(&after, "192.0.2.1") && refuses(&after, "198.51.100.9") && !refuses(&after, "192.0.2.2"));
    assert!(after.bans.list().contains(&made));
    assert_eq!(after.bans.take_changes().0, [], "nothing of it is told twice");
}

#[tokio::test]
async fn a_ban_that_is_refused_by_the_list_is_not_recorded_as_made() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), None, None).await;
    node.exempt(vec!["192.0.2.0/24".parse().unwrap()]);
    let question = BanQuestion::Add { network: String::from("192.0.2.1"), seconds: None, reason: String::new() };
    assert!(node.ban_answer(question, "uid:0").await.is_err());
    node.sealed().await.unwrap();
    assert_eq!(node.newest("ban.add").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_on_one_postgresql_share_bans_and_liftings() {
    let server = Postgres::start(&[]).await.unwrap();
    let password = |text: &str| Secret::new(text.to_owned());
    let admin = Server::new(&server.url("postgres", "postgres"), Some(&password(server.password()))).unwrap();
    let role = server.url("reeve", "postgres");
    let store = Server::new(&role, Some(&password(PASSWORD))).unwrap();
    reeve_store::migrate(&admin, &store, Some(&password(PASSWORD)), "reeve", &SystemEntropy).await.unwrap();
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let database = || Some(Database::Postgres(role.clone()));
    let one = node(one.path(), None, database()).await;
    // Nodes of one installation have the same keys.
    let two = node(two.path(), Some(Arc::clone(&one.vault)), database()).await;

    add(&one, "192.0.2.1", 3_600).await;
    add(&one, "2001:db8::1", 3_600).await;
    assert!(!refuses(&two, "192.0.2.1"));
    two.poll_bans().await.unwrap();
    assert!(refuses(&two, "192.0.2.1") && refuses(&two, "2001:db8::2"));
    lift(&two, "192.0.2.1").await;
    one.poll_bans().await.unwrap();
    assert!(!refuses(&one, "192.0.2.1") && refuses(&one, "2001:db8::1"));
    let generation = one.bans.generation();
    one.poll_bans().await.unwrap();
    assert_eq!(one.bans.generation(), generation, "what is known already changes nothing");
}

const PASSWORD: &str = "a password of the test";
