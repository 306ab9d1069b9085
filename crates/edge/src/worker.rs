//! A worker: one thread with a runtime of its own that accepts connections and serves them to their end.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use reeve_base::Ticks;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};

use crate::access_log::LocalLog;
use crate::body::Rooms;
use crate::gateway::{Live, Shared};
use crate::meter::Meter;
use crate::serve;
use crate::traces::LocalTraces;
use crate::upstream::{self, Pools};
use crate::waf::Desk;

/// Spawns on the worker's own thread: nothing that serves a request ever changes threads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalExecutor;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        // As it comes: inside an `async` block it would be moved once more, and HTTP/2 makes one for each request.
        tokio::task::spawn_local(future);
    }
}

/// Whether the gateway goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Serving,
    /// Nothing new is accepted, because another process does; each connection ends with its next answer.
    Leaving,
    /// Nothing new is accepted; what is open may end.
    Draining,
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    Tls,
    Plain,
}

/// A socket that listens, and what it speaks.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) socket: std::net::TcpListener,
    pub(crate) speaks: Speaks,
    /// Its address as the settings write it.
    pub(crate) set_to: SocketAddr,
}

/// Where a connection came in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub(crate) speaks: Speaks,
    pub(crate) set_to: SocketAddr,
}

/// What the tasks of one worker share.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) log: LocalLog,
    pub(crate) traces: LocalTraces,
    pub(crate) meter: Arc<Meter>,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) rooms: Rooms,
    /// For looking into requests.
    pub(crate) desk: Rc<Desk>,
    /// The connections to the applications: a reload makes them anew.
    pools: RefCell<Option<Rc<Pools>>>,
    /// Whether another process has taken over: read for each answer, so apart from `phase`, which has a lock.
    pub(crate) leaving: Cell<bool>,
    /// How long a connection may be silent then until it is closed.
    pub(crate) silence: Duration,
}

impl Worker {
    pub(crate) fn pools(&self, live: &Live) -> Rc<Pools> {
        let mut slot = self.pools.borrow_mut();
        match &*slot {
            Some(pools) if Arc::ptr_eq(&pools.upstreams, &live.upstreams) => Rc::clone(pools),
            _ => {
                let pools = Rc::new(Pools::new(&live.upstreams));
                *slot = Some(Rc::clone(&pools));
                pools
            }
        }
    }

    pub(crate) fn ticks(&self) -> Ticks {
        self.shared.tools.clock.ticks()
    }

    async fn housekeeping(&self) {
        let mut tick = tokio::time::interval(HOUSEKEEPING);
        loop {
            tick.tick().await;
            self.log.flush();
            self.traces.flush();
            let pools = self.pools.borrow().clone();
            if let Some(pools) = pools {
                pools.expire();
            }
        }
    }
}

/// Runs a worker until the gateway stops and its connections have ended or `drain` is over.
pub(crate) fn run(
    shared: Arc<Shared>,
    doors: Vec<Door>,
    phase: watch::Receiver<Phase>,
    drain: Duration,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, async move {
        let worker = Rc::new(Worker {
            log: shared.tools.log.local(),
            traces: LocalTraces::new(Arc::clone(&shared)),
            meter: shared.meters.worker(),
            shared,
            phase,
            pools: RefCell::default(),
            leaving: Cell::new(false),
            silence: drain / 2,
            rooms: Rooms::default(),
            desk: Rc::default(),
        });
        let mut accepting = JoinSet::new();
        for door in doors {
            let at = At { speaks: door.speaks, set_to: door.set_to };
            accepting.spawn_local(accept(Rc::clone(&worker), TcpListener::from_std(door.socket)?, at));
        }
        let chores = tokio::task::spawn_local({
            let worker = Rc::clone(&worker);
            async move { worker.housekeeping().await }
        });
        let checks = tokio::task::spawn_local(upstream::attend(Rc::clone(&worker)));
        let mut open = Vec::new();
        while let Some(connections) = accepting.join_next().await {
            open.extend(connections);
        }
        let all = async {
            for mut connections in open {
                while connections.join_next().await.is_some() {}
            }
        };
        // What is still open after the drain is cut off when the runtime goes.
        let _ = tokio::time::timeout(drain, all).await;
        chores.abort();
        checks.abort();
        Ok(())
    })
}

/// Accepts until the gateway drains, and returns the connections that are still open.
async fn accept(worker: Rc<Worker>, listener: TcpListener, at: At) -> JoinSet<()> {
    let mut connections = JoinSet::new();
    let mut phase = worker.phase.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = phase.wait_for(|phase| *phase != Phase::Serving) => {
                worker.leaving.set(true);
                return connections;
            }
            accepted = listener.accept() => accepted,
            // Reaps those that ended, so that the set does not grow with every connection there ever was.
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        match accepted {
            Ok((stream, peer)) => admit(&worker, stream, peer, at, &mut connections),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                // Out of file descriptors, most likely: those that are open must end first.
                tracing::error!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn admit(worker: &Rc<Worker>, stream: TcpStream, peer: SocketAddr, at: At, connections: &mut JoinSet<()>) {
    // Before anything else, and without a word: a banned address is to cost nothing.
    worker.meter.accepted();
    if worker.shared.tools.bans.turns_away(peer.ip()) {
        worker.meter.turned_away();
        return;
    }
    let live = worker.shared.live.load_full();
    let cap = &worker.shared.connections;
    // Refused without a word: an answer would cost what the cap protects.
    // A proxy holds connections for many: theirs are counted once it has said whose they are.
    let each = if live.entrance.trusts(peer.ip()) { None } else { live.rules.connections_each };
    let Ok(mut admission) = cap.admit(peer.ip(), each, live.connections_max) else {
        worker.meter.capped();
        return;
    };
    let _ = stream.set_nodelay(true);
    let worker = Rc::clone(worker);
    connections.spawn_local(async move {
        serve::connection(worker, live, stream, peer, at, &mut admission).await;
        drop(admission);
    });
}

/// The client was gone before it was accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

/// How long an event may wait to be written, and an unused connection to be closed.
const HOUSEKEEPING: Duration = Duration::from_millis(100);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
