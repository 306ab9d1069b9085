//! Bans for the whole host: a copy of the table of bans in the kernel, by nftables.
//!
//! The gateway itself gives up all rights over the network when it shuts itself in. So a helper is started before: the
//! same program with the verb `firewall`, which keeps the rights, is asked in lines of JSON, and does nothing but this
//! ([`helper`]). When its input ends, however the gateway came to its end, it takes away all that it made.

pub(crate) mod helper;
mod nft;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use ipnet::IpNet;
use reeve_base::{Clock, Timestamp};
use reeve_edge::{Ban, Bans};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One line to the helper.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Begin anew: everything that was made before is taken away.
    pub(crate) reset: bool,
    /// Who is let through whatever else is ordered; only together with `reset`.
    pub(crate) allow: Vec<IpNet>,
    /// Who is banned, and for how many more seconds.
    pub(crate) ban: Vec<(IpNet, u64)>,
    /// Who is banned no longer.
    pub(crate) lift: Vec<IpNet>,
    /// Another helper has the table from now on: leave it as it is at the end.
    #[serde(default)]
    pub(crate) leave: bool,
    /// All networks that are wider than one address (or one /64), where one of them changed.
    pub(crate) wide: Option<Vec<(IpNet, u64)>>,
}

/// One line back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Done {
    /// Why it was not done.
    error: Option<String>,
}

/// The helper, running.
pub(crate) struct Helper {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Helper {
    /// Starts it and has it make its table.
    ///
    /// # Errors
    /// When it cannot: no rights over the network, or no `nft`.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot tell where this program is")?;
        let mut child = Command::new(program)
            .arg("firewall")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the helper for nftables")?;
        let (to, from) = (child.stdin.take(), child.stdout.take());
        let (to, from) = to.zip(from).context("cannot talk to the helper for nftables")?;
        let mut helper = Self { child, to, from: BufReader::new(from) };
        helper.ask(&Order { reset: true, ..Order::default() })?;
        Ok(helper)
    }

    fn ask(&mut self, order: &Order) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        self.to.write_all(&line).context("the helper for nftables has ended")?;
        let mut answer = String::new();
        self.from.read_line(&mut answer)?;
        let done: Done = serde_json::from_str(&answer).context("the helper for nftables has ended")?;
        done.error.map_or(Ok(()), |error| Err(anyhow::anyhow!(error)))
    }
}

/// Keeps the kernel's copy up to date, on a thread of its own.
pub(crate) struct Firewall {
    /// Dropped, it tells the thread to end.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    banned: usize,
    failing: Option<String>,
    allow: Vec<IpNet>,
    /// Everything is to be told anew.
    allow_changed: bool,
    /// Another process has taken over.
    leave: bool,
}

impl Firewall {
    /// Begins to copy `bans`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(helper: Helper, bans: Arc<Bans>, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let state = Arc::new(Mutex::new(State::default()));
        let (stop, stopped) = channel();
        let copy = Copy { helper, bans, clock, state: Arc::clone(&state), applied: HashMap::new(), generation: None };
        let thread = std::thread::Builder::new().name(String::from("firewall")).spawn(move || copy.follow(&stopped))?;
        Ok(Self { stop: Some(stop), thread: Some(thread), state })
    }

    /// Lets these through from now on, whoever is banned.
    pub(crate) fn allow(&self, networks: Vec<IpNet>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.allow_changed |= state.allow != networks;
        state.allow = networks;
    }

    /// Tells the kernel everything anew.
    pub(crate) fn refill(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).allow_changed = true;
    }

    /// Another process cares for the table from now on: nothing more is told, and nothing taken away at the end.
    pub(crate) fn leave(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).leave = true;
    }

    /// How it is.
    pub(crate) fn status(&self) -> Value {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        json!({ "table": nft::TABLE, "banned": state.banned, "failing": state.failing })
    }
}

impl Drop for Firewall {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread holds.
struct Copy {
    helper: Helper,
    bans: Arc<Bans>,
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
    /// What the kernel was told, and until when.
    applied: HashMap<IpNet, Option<Timestamp>>,
    /// The state of the table of bans that was copied last; nothing if all must be told anew.
    generation: Option<u64>,
}

impl Copy {
    fn follow(mut self, stopped: &Receiver<()>) {
        loop {
            let pause = match self.step() {
                Ok(()) => {
                    self.fails(None);
                    LOOK_EVERY
                }
                Err(error) => {
                    self.fails(Some(format!("{error:#}")));
                    self.generation = None;
                    AGAIN_AFTER
                }
            };
            match stopped.recv_timeout(pause) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if self.left() {
            // If it is gone, it has taken the table away already.
            let _ = self.helper.ask(&Order { leave: true, ..Order::default() });
        }
        // The end of its input tells the helper to take everything away.
        let Helper { mut child, to, .. } = self.helper;
        drop(to);
        let _ = child.wait();
    }

    fn left(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).leave
    }

    fn fails(&self, error: Option<String>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = &error
            && state.failing.as_ref() != Some(error)
        {
            tracing::error!(%error, "bans do not reach the kernel; tried again");
        }
        state.failing = error;
        state.banned = self.applied.len();
    }

    /// Tells the kernel what has changed.
    fn step(&mut self) -> anyhow::Result<()> {
        if self.left() {
            return Ok(());
        }
        let allow = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut state.allow_changed).then(|| state.allow.clone())
        };
        let generation = self.bans.generation();
        if self.generation == Some(generation) && allow.is_none() {
            return Ok(());
        }
        if self.generation.is_none() || allow.is_some() {
            let allow = self.state.lock().unwrap_or_else(PoisonError::into_inner).allow.clone();
            self.applied.clear();
            self.helper.ask(&Order { reset: true, allow, ..Order::default() })?;
        }
        for order in self.orders(&self.bans.list()) {
            self.helper.ask(&order)?;
        }
        self.applied = self.bans.list().iter().map(|ban| (ban.network, ban.until)).collect();
        self.generation = Some(generation);
        Ok(())
    }

    /// What is different from what the kernel was told, in pieces.
    fn orders(&self, bans: &[Ban]) -> Vec<Order> {
        let now = self.clock.now();
        let wanted: HashMap<IpNet, Option<Timestamp>> = bans.iter().map(|ban| (ban.network, ban.until)).collect();
        let altered = |network: &IpNet, until| self.applied.get(network) != Some(until);
        let news = wanted.iter().filter(|(network, until)| altered(network, until));
        let gone = self.applied.keys().filter(|network| !wanted.contains_key(*network));
        let (news, gone): (Vec<_>, Vec<_>) = (news.collect(), gone.copied().collect());
        let wide_changed =
            news.iter().any(|(network, _)| !nft::is_one(network)) || gone.iter().any(|one| !nft::is_one(one));
        let ones: Vec<_> = news.iter().filter(|(network, _)| nft::is_one(network)).collect();
        let ban = ones.iter().map(|(network, until)| (**network, seconds_left(**until, now))).collect::<Vec<_>>();
        let lift: Vec<IpNet> = gone.into_iter().filter(nft::is_one).collect();
        let wide = wanted.iter().filter(|(network, _)| !nft::is_one(network));
        let wide = wide.map(|(network, until)| (*network, seconds_left(*until, now))).collect();
        let bans = ban.chunks(PIECE).map(|piece| Order { ban: piece.to_vec(), ..Order::default() });
        let lifts = lift.chunks(PIECE).map(|piece| Order { lift: piece.to_vec(), ..Order::default() });
        let wides = wide_changed.then_some(Order { wide: Some(wide), ..Order::default() });
        bans.chain(lifts).chain(wides).collect()
    }
}

/// The kernel forgets by itself; what has no end gets a long one and is gone with the gateway.
fn seconds_left(until: Option<Timestamp>, now: Timestamp) -> u64 {
    let Some(until) = until else { return ENDLESS_SECONDS };
    u64::try_from(until.duration_since(now).as_secs()).unwrap_or_default().clamp(1, ENDLESS_SECONDS)
}

const LOOK_EVERY: Duration = Duration::from_millis(200);
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Elements of one transaction.
const PIECE: usize = 2_000;

/// The longest that a kernel's set remembers is some weeks on 32 bits; a year is far within that on 64.
const ENDLESS_SECONDS: u64 = 365 * 24 * 3_600;
