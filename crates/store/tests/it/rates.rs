//! Rates that nodes count together on a real Redis: exact, and honest when it is gone, wiped, poisoned or slow.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use redis::{AsyncCommands as _, IntoConnectionInfo as _};
use reeve_base::{Nodes, SharedRates, Spend, Spent};
use reeve_store::{CommonRates, CounterPlace, Settings, Store};
use reeve_testkit::Redis;
use tokio::time::{sleep, timeout};

use crate::house::{House, password};

const PASSWORD: &str = "redis-of-the-tests";

/// Ten at once, and then one a minute: within a test, none comes back.
const LIMIT: Spend<'static> = Spend {
    limit: "ip",
    subject: b"ada",
    interval: Duration::from_secs(60),
    tolerance: Duration::from_secs(9 * 60),
    ahead: Duration::ZERO,
};

/// A node of an installation, and what it counts with others.
struct Node {
    _house: House,
    rates: CommonRates,
    seam: Arc<dyn SharedRates>,
}

impl Node {
    async fn start(redis: &Redis) -> Self {
        let house = House::sqlite();
        let counters = CounterPlace::Redis { url: redis.url(), password: Some(password(PASSWORD)) };
        let store = Store::open(Settings { counters, ..house.settings() }, house.tools()).await.unwrap();
        let rates = store.counters().rates().unwrap().unwrap();
        let seam = rates.seam();
        let node = Self { _house: house, rates, seam };
        node.until(|nodes| nodes == Nodes::Together).await;
        node
    }

    async fn until(&self, wanted: impl Fn(Nodes) -> bool) {
        let reached = timeout(Duration::from_secs(10), async {
            while !wanted(self.seam.nodes()) {
                sleep(Duration::from_millis(5)).await;
            }
        });
        reached.await.unwrap();
    }

    async fn knows_of(&self, nodes: u32) {
        let known = timeout(Duration::from_secs(5), async {
            while self.rates.health().known != nodes {
                sleep(Duration::from_millis(5)).await;
            }
        });
        known.await.unwrap();
    }

    async fn passes(&self, spend: Spend<'_>) -> bool {
        matches!(self.seam.spend(&[spend]).await.unwrap()[..], [Spent::Passed(_)])
    }
}

async fn raw(redis: &Redis) -> redis::aio::MultiplexedConnection {
    let info = redis.url().into_connection_info().unwrap();
    let settings = info.redis_settings().clone().set_password(PASSWORD);
    let client = redis::Client::open(info.set_redis_settings(settings)).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_is_one_however_many_nodes_count_at_once() {
    let redis = Redis::start(PASSWORD).await.unwrap();
    let (one, other) = (Arc::new(Node::start(&redis).await), Arc::new(Node::start(&redis).await));
    let tasks: Vec<_> = (0..40)
        .map(|number| {
            let node = Arc::clone(if number % 2 == 0 { &one } else { &other });
            tokio::spawn(async move { node.passes(LIMIT).await })
        })
        .collect();
    let mut passed = 0;
    for task in tasks {
        passed += u32::from(task.await.unwrap());
    }
    assert_eq!(passed, 10);
    assert!(other.passes(Spend { subject: b"bob", ..LIMIT }).await);
    assert!(other.passes(Spend { limit: "user", ..LIMIT }).await);
    let both = [Spend { subject: b"eve", ..LIMIT }, LIMIT, Spend { subject: b"eve", limit: "user", ..LIMIT }];
    let told = one.seam.spend(&both).await.unwrap();
    assert!(matches!(told[..], [Spent::Passed(_), Spent::Refused(_)]), "up to the first that refuses: {told:?}");
    let keys: Vec<String> = raw(&redis).await.keys("*").await.unwrap();
    assert!(keys.iter().all(|key| !key.contains("ada") && key.starts_with("reeve:rate")), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gone_each_counts_its_share_and_back_they_find_together() {
    let mut redis = Redis::start(PASSWORD).await.unwrap();
    let (one, other) = (Node::start(&redis).await, Node::start(&redis).await);
    one.knows_of(2).await;
    assert_eq!(one.rates.health().cause, None);
    redis.stop().unwrap();
    let answered = timeout(Duration::from_secs(1), one.seam.spend(&[LIMIT])).await.unwrap();
    assert!(answered.is_err());
    let Nodes::Apart { nodes } = one.seam.nodes() else { panic!("they are together") };
    assert_eq!(nodes.get(), 2);
    assert!(one.rates.health().cause.is_some());
    redis.resume().await.unwrap();
    one.until(|nodes| nodes == Nodes::Together).await;
    other.until(|nodes| nodes == Nodes::Together).await;
    // What a node knows, the server learns again.
    let used_up = Spend { ahead: Duration::from_secs(10 * 60), ..LIMIT };
    assert!(!one.passes(used_up).await);
    assert!(!other.passes(LIMIT).await);
    let cause = one.rates.health().cause.unwrap();
    assert!(cause.contains("lost its memory"), "{cause}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poisoned_it_is_cleaned_and_told() {
    let redis = Redis::start(PASSWORD).await.unwrap();
    let node = Node::start(&redis).await;
    assert!(node.passes(LIMIT).await);
    let mut foe = raw(&redis).await;
    let keys: Vec<String> = foe.keys("reeve:rate:*").await.unwrap();
    let [key] = &keys[..] else { panic!("{keys:?}") };
    for poison in [
        vec!["HSET", "a", "b"],
        vec!["SET", "nonsense"],
        vec!["SET", "-5"],
        vec!["SET", "1e300"],
        vec!["SET", "nan"],
        vec!["SET", ""],
    ] {
        let [command, arguments @ ..] = &poison[..] else { panic!() };
        redis::cmd("DEL").arg(key).exec_async(&mut foe).await.unwrap();
        redis::cmd(command).arg(key).arg(arguments).exec_async(&mut foe).await.unwrap();
        assert!(node.passes(LIMIT).await, "{poison:?}");
        assert_eq!(node.seam.nodes(), Nodes::Together);
    }
    let cause = node.rates.health().cause.unwrap();
    assert!(cause.contains("stood under our keys"), "{cause}");
    // Far in the future: refused, and no longer than anybody who used up everything.
    let () = foe.set(key, "99999999999999999999").await.unwrap();
    let told = node.seam.spend(&[LIMIT]).await.unwrap();
    assert_eq!(told, [Spent::Refused(Duration::from_secs(10 * 60))]);
    // Their own two keys, of other kinds.
    for key in ["reeve:rates:nodes", "reeve:rates:memory"] {
        redis::cmd("DEL").arg(key).exec_async(&mut foe).await.unwrap();
        redis::cmd("RPUSH").arg(key).arg("x").exec_async(&mut foe).await.unwrap();
    }
    sleep(Duration::from_millis(1_200)).await;
    assert_eq!(node.seam.nodes(), Nodes::Together);
    node.knows_of(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_it_is_not_waited_for() {
    let redis = Redis::start(PASSWORD).await.unwrap();
    let node = Node::start(&redis).await;
    let mut foe = raw(&redis).await;
    let pid: String = redis::cmd("INFO").arg("server").query_async(&mut foe).await.unwrap();
    let pid = pid.lines().find_map(|line| line.strip_prefix("process_id:")).unwrap().trim().to_owned();
    let signal = |name: &str| assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    signal("-STOP");
    let answered = timeout(Duration::from_millis(900), node.seam.spend(&[LIMIT])).await.unwrap();
    assert!(answered.is_err());
    let at_once = timeout(Duration::from_millis(20), node.seam.spend(&[LIMIT])).await.unwrap();
    assert!(at_once.is_err(), "nobody else waits");
    signal("-CONT");
    node.until(|nodes| nodes == Nodes::Together).await;
    assert!(node.passes(LIMIT).await);
}
