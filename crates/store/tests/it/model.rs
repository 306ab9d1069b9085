//! The store beside a plain map: whatever is done to both, they agree.

use std::collections::BTreeMap;

use proptest::prelude::*;
use reeve_store::{Batch, Expect, Lookup, WriteError};

use crate::house::{Account, House};

#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<Change>),
    Find(u8),
    List(usize),
    Reopen,
}

#[derive(Debug, Clone)]
struct Change {
    id: u8,
    expect: Expect,
    /// Nothing: delete.
    mail: Option<u8>,
}

fn change() -> impl Strategy<Value = Change> {
    let expect = prop_oneof![
        2 => Just(Expect::Any),
        2 => Just(Expect::New),
        3 => (1..4_u64).prop_map(Expect::Version),
    ];
    (0..6_u8, expect, proptest::option::weighted(0.8, 0..8_u8)).prop_map(|(id, expect, mail)| Change {
        id,
        expect,
        mail,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => proptest::collection::vec(change(), 1..4).prop_map(Step::Commit),
        2 => (0..8_u8).prop_map(Step::Find),
        1 => (0..8_usize).prop_map(Step::List),
        1 => Just(Step::Reopen),
    ]
}

/// Version and mail of each id.
type Model = BTreeMap<u8, (u64, u8)>;

/// What the batch does to the model: the versions, or the index of the change that must not be made.
fn apply(model: &mut Model, changes: &[Change]) -> Result<Vec<u64>, usize> {
    let mut next = model.clone();
    let mut versions = Vec::new();
    for (index, change) in changes.iter().enumerate() {
        let current = next.get(&change.id).map(|(version, _)| *version);
        let holds = match change.expect {
            Expect::Any => true,
            Expect::New => current.is_none(),
            Expect::Version(version) => current == Some(version),
        };
        if !holds {
            return Err(index);
        }
        let Some(mail) = change.mail else {
            next.remove(&change.id);
            versions.push(current.unwrap_or_default());
            continue;
        };
        if next.iter().any(|(id, (_, taken))| *id != change.id && *taken == mail) {
            return Err(index);
        }
        let version = current.unwrap_or_default() + 1;
        next.insert(change.id, (version, mail));
        versions.push(version);
    }
    *model = next;
    Ok(versions)
}

async fn walk(steps: Vec<Step>) {
    let house = House::sqlite();
    let mut store = house.open().await;
    let mut model = Model::new();
    for step in steps {
        let scope = store.tenant("acme");
        match step {
            Step::Commit(changes) => {
                let mut batch = Batch::new();
                for Change { id, expect, mail } in &changes {
                    match mail {
                        Some(mail) => batch.put(&id.to_string(), *expect, &Account::new(&mail.to_string())),
                        None => batch.delete::<Account>(&id.to_string(), *expect),
                    };
                }
                let found = match scope.commit(batch).await {
                    Ok(versions) => Ok(versions),
                    Err(WriteError::Conflict { change, .. } | WriteError::Taken { change, .. }) => Err(change),
                    Err(other) => panic!("{other}"),
                };
                assert_eq!(found, apply(&mut model, &changes));
            }
            Step::Find(mail) => {
                let found = scope.find::<Account>(&Lookup::sole("mail", mail.to_string())).await.unwrap();
                let found: Vec<_> = found.into_iter().map(|found| found.id).collect();
                let expected = model.iter().filter(|(_, (_, has))| *has == mail).map(|(id, _)| id.to_string());
                assert_eq!(found, expected.collect::<Vec<_>>());
            }
            Step::List(limit) => {
                let found = scope.list::<Account>(None, limit).await.unwrap();
                assert_eq!(found.len(), limit.min(model.len()));
            }
            Step::Reopen => {
                store.close().await;
                store = house.open().await;
            }
        }
    }
    for id in 0..6 {
        let found = store.tenant("acme").get::<Account>(&id.to_string()).await.unwrap();
        let found = found.map(|found| (found.version, found.value.mail));
        assert_eq!(found, model.get(&id).map(|(version, mail)| (*version, mail.to_string())));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_a_map(steps in proptest::collection::vec(step(), 1..30)) {
        tokio::runtime::Runtime::new().unwrap().block_on(walk(steps));
    }
}
