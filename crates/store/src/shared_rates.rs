//! Limits on rates that several nodes count together, in Valkey or Redis.
//!
//! A thread of its own holds one connection and looks twice a second whether the server is there, answers in time, takes
//! changes and still knows what it knew. Requests use that connection, by one [script] for all the limits of a request:
//! it reads the server's clock, so that the nodes need not agree on the time. Each node tells what it knows of a subject
//! with every count, and the greater value holds: a server that lost its memory is taught again by those who ask it.
//!
//! Past [`COUNT_MAX`], or at any error, the nodes stand apart at once, without another request waiting; the thread brings
//! them together again. Whatever stands under our keys that we did not write is overwritten and told.

mod beat;
mod script;

use std::convert::Infallible;
use std::io;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::{Client, RedisError, Script};
use reeve_base::{Clock, Lone, Nodes, SharedRates, Spend, Spending, Spent, Ticks};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::link::hexadecimal;
use crate::names::Names;

use script::COUNT;

/// The nodes' common count, for as long as this lives.
pub struct CommonRates {
    inner: Arc<Inner>,
    /// Dropped to end the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How the common count stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommonHealth {
    /// The server, without a password.
    pub place: String,
    /// Whether the nodes count together, and how many there are as far as this one knows.
    pub nodes: Nodes,
    /// The same number, also while they count together.
    pub known: u32,
    /// Why what they count is not exact, now or until a minute ago; none if it is.
    pub cause: Option<String>,
}

/// What a node needs to count with others.
pub(crate) struct Plan {
    pub(crate) client: Client,
    pub(crate) shown: String,
    pub(crate) namespace: String,
    pub(crate) names: Names,
    pub(crate) clock: Arc<dyn Clock>,
    /// This node among the others, drawn at the start.
    pub(crate) node: String,
}

struct Inner {
    plan: Plan,
    count: Script,
    /// The connection, while the nodes count together. Read by every request, without a lock.
    link: ArcSwapOption<MultiplexedConnection>,
    /// How many nodes there were when that was last known. `Relaxed` is enough: nothing else hangs on it.
    nodes: AtomicU32,
    /// Held for an assignment, never across an await.
    trouble: Mutex<Trouble>,
    /// How often the server was looked at. `Relaxed` is enough: it only tells one name from another.
    beats: AtomicU64,
}

/// What is wrong.
#[derive(Debug, Default)]
struct Trouble {
    /// Why the nodes stand apart.
    apart: Option<String>,
    /// When their count was last found to be in doubt although they are together, for each reason.
    doubts: [Option<Ticks>; Doubt::ALL.len()],
    /// What the server's memory was called when it was first seen.
    memory: Option<String>,
}

/// Why a common count may not be exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// The server does not know what it knew.
    Forgotten,
    /// Something stood under our keys that the nodes did not write.
    Damaged,
}

impl Doubt {
    const ALL: [Self; 2] = [Self::Forgotten, Self::Damaged];

    const fn text(self) -> &'static str {
        match self {
            Self::Forgotten => "the server has lost its memory, and learns again from the nodes what they know",
            Self::Damaged => "something that the nodes did not write stood under our keys, and was overwritten",
        }
    }
}

impl Trouble {
    /// What is in doubt at this moment, in a sentence.
    fn doubts(&self, now: Ticks) -> Option<String> {
        let recent = |(doubt, since): (Doubt, &Option<Ticks>)| {
            since.filter(|since| now.since(*since) < DOUBT).map(|_| doubt.text())
        };
        let texts: Vec<_> = Doubt::ALL.into_iter().zip(&self.doubts).filter_map(recent).collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    }
}

impl CommonRates {
    /// Starts to look for the server. Until it is found, the node stands apart, alone.
    pub(crate) fn start(plan: Plan) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let cause = format!("{} was not reached yet", plan.shown);
        let inner = Arc::new(Inner {
            plan,
            count: Script::new(COUNT),
            link: ArcSwapOption::empty(),
            nodes: AtomicU32::new(1),
            trouble: Mutex::new(Trouble { apart: Some(cause), ..Trouble::default() }),
            beats: AtomicU64::new(0),
        });
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name(String::from("common-rates")).spawn({
            let inner = Arc::clone(&inner);
            move || {
                runtime.block_on(async {
                    tokio::select! {
                        _ = stopped => {}
                        _ = inner.keep() => {}
                    }
                    inner.leave().await;
                });
            }
        })?;
        Ok(Self { inner, stop: Some(stop), thread: Some(thread) })
    }

    /// The seam by which a gateway counts.
    #[must_use]
    pub fn seam(&self) -> Arc<dyn SharedRates> {
        Arc::clone(&self.inner) as Arc<dyn SharedRates>
    }

    /// How it stands.
    #[must_use]
    pub fn health(&self) -> CommonHealth {
        let now = self.inner.plan.clock.ticks();
        let trouble = self.inner.trouble();
        let cause = trouble.apart.clone().or_else(|| trouble.doubts(now));
        CommonHealth {
            place: self.inner.plan.shown.clone(),
            nodes: self.inner.nodes(),
            known: self.inner.nodes.load(Ordering::Relaxed),
            cause,
        }
    }
}

impl Drop for CommonRates {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Its only fault would be a panic, and then there is nothing left to end.
            let _ = thread.join();
        }
    }
}

impl SharedRates for Inner {
    fn nodes(&self) -> Nodes {
        if self.link.load().is_some() {
            return Nodes::Together;
        }
        Nodes::Apart { nodes: NonZeroU32::new(self.nodes.load(Ordering::Relaxed)).unwrap_or(NonZeroU32::MIN) }
    }

    fn spend<'a>(&'a self, spends: &'a [Spend<'a>]) -> Spending<'a> {
        Box::pin(async move {
            let Some(link) = self.link.load_full() else { return Err(Lone) };
            let mut invocation = self.count.prepare_invoke();
            for spend in spends {
                let digest = self.plan.names.rate(spend.limit, spend.subject);
                invocation.key(format!("{}:rate:{}", self.plan.namespace, hexadecimal(&digest)));
                let microseconds = [ceiling(spend.interval), floor(spend.tolerance), floor(spend.ahead)];
                for number in microseconds {
                    invocation.arg(number);
                }
            }
            let answered = timeout(COUNT_MAX, invocation.invoke_async::<Vec<i64>>(&mut (*link).clone())).await;
            let outcome = match answered {
                Ok(Ok(told)) => self.understand(&told, spends.len()),
                Ok(Err(error)) => Err(said(&error)),
                Err(_) => Err(format!("no answer within {COUNT_MAX:?}")),
            };
            outcome.map_err(|cause| {
                self.part(Some(&link), cause);
                Lone
            })
        })
    }
}

impl Inner {
    /// Reads what the script told: how many keys were damaged, then how far ahead each subject is; one that is refused,
    /// the last, below zero.
    fn understand(&self, told: &[i64], asked: usize) -> Result<Vec<Spent>, String> {
        let (damaged, counts) = told.split_first().ok_or("an answer without content")?;
        if *damaged > 0 {
            self.doubt(Doubt::Damaged);
        }
        let spent = |count: &i64| match u64::try_from(*count) {
            Ok(ahead) => Spent::Passed(Duration::from_micros(ahead)),
            Err(_) => Spent::Refused(Duration::from_micros(count.unsigned_abs())),
        };
        let spent: Vec<_> = counts.iter().map(spent).collect();
        let whole = spent.len() == asked || matches!(spent.last(), Some(Spent::Refused(_)));
        if whole && spent.len() <= asked { Ok(spent) } else { Err(String::from("an answer of another length")) }
    }

    /// From now on the nodes stand apart. Of a connection that is no longer the one in use, nothing follows.
    fn part(&self, of: Option<&Arc<MultiplexedConnection>>, cause: String) {
        let used = self.link.load_full();
        if let (Some(of), Some(used)) = (of, &used)
            && !Arc::ptr_eq(of, used)
        {
            return;
        }
        self.link.store(None);
        let place = &self.plan.shown;
        let mut trouble = self.trouble();
        if trouble.apart.is_none() {
            let nodes = self.nodes.load(Ordering::Relaxed);
            tracing::warn!(place, cause, nodes, "rates are counted by each node for itself, its share");
        }
        trouble.apart = Some(cause);
    }

    /// They count together.
    fn unite(&self, connection: MultiplexedConnection) {
        let place = &self.plan.shown;
        tracing::info!(place, "rates are counted by all nodes together");
        self.trouble().apart = None;
        self.link.store(Some(Arc::new(connection)));
    }

    fn doubt(&self, doubt: Doubt) {
        let (place, cause, now) = (&self.plan.shown, doubt.text(), self.plan.clock.ticks());
        let mut trouble = self.trouble();
        let places = Doubt::ALL.into_iter().zip(&mut trouble.doubts);
        for (_, since) in places.filter(|(of, _)| *of == doubt) {
            // Somebody may damage it again and again, and one line in the log is enough for that.
            if since.is_none_or(|since| now.since(since) >= DOUBT) {
                tracing::warn!(place, cause, "what the nodes have counted together is not exact");
            }
            *since = Some(now);
        }
    }

    fn trouble(&self) -> std::sync::MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks after the connection, for as long as this is polled.
    async fn keep(&self) -> Infallible {
        loop {
            let link = self.link.load_full();
            let outcome = match &link {
                Some(link) => self.beat(&mut (**link).clone()).await,
                None => self.connect().await,
            };
            if let Err(cause) = outcome {
                self.part(link.as_ref(), cause);
            }
            tokio::time::sleep(BEAT).await;
        }
    }
}

/// What the server said, without what it may have repeated of a request.
fn said(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    }
}

/// Microseconds, rounded so that a rate is never more than it should be.
fn ceiling(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos().div_ceil(1_000)).unwrap_or(MICROSECONDS_MAX).clamp(1, MICROSECONDS_MAX)
}

fn floor(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(MICROSECONDS_MAX).min(MICROSECONDS_MAX)
}

/// How long a request waits for the common count before its node counts alone.
pub(crate) const COUNT_MAX: Duration = Duration::from_millis(100);

/// How often the server is looked at. So long it takes at most until nodes that stood apart are together again.
const BEAT: Duration = Duration::from_millis(500);

/// For how long a count is called in doubt after something was lost or damaged.
const DOUBT: Duration = Duration::from_secs(60);

/// A hundred years: the script computes with numbers that are exact up to 2^53.
const MICROSECONDS_MAX: i64 = 100 * 366 * 24 * 3_600 * 1_000_000;
