//! The logs of other programs: followed by a thread of their own, from where the last process left off.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use reeve_base::Actuator;
use reeve_edge::JailRule;
use reeve_policy::catalogue::Controls;
use reeve_store::{Expect, Record};
use reeve_watch::{Journal, JournalPlace, JournalReader, Kind, Log, Looked, Mark, Place, Watch, WatchStatus};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Keeping;
use crate::journal::Source;
use crate::settings::{WatchRule, WatchSettings, WatchedLog};

/// How far a log was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PlaceRecord {
    place: Place,
}

impl Record for PlaceRecord {
    const COLLECTION: &'static str = "watched";
    const SCHEMA: u16 = 1;
}

/// How far a journal was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct JournalRecord {
    place: JournalPlace,
}

impl Record for JournalRecord {
    const COLLECTION: &'static str = "watched-journals";
    const SCHEMA: u16 = 1;
}

/// A log to be watched.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pub(crate) kind: Kind,
    pub(crate) log: Followed,
    /// Under which rule its failures count.
    pub(crate) rule: String,
}

/// Where a log is.
#[derive(Debug, Clone)]
pub(crate) enum Followed {
    File(PathBuf),
    /// A journal, and where a server listens that writes to it.
    Journal(Source, Option<SocketAddr>),
}

impl Followed {
    fn of(watch: &WatchSettings) -> Self {
        match &watch.log {
            WatchedLog::File(file) => Self::File(file.value.clone()),
            WatchedLog::Journal(journal) => {
                let source = Source::new(watch.kind, &journal.units, journal.directory.as_ref());
                Self::Journal(source, journal.server)
            }
        }
    }
}

/// What settings and policy together say of the logs: which are watched, and the rules that the policy has not.
pub(crate) fn watched(settings: &[WatchSettings], controls: &Controls) -> (Vec<Watched>, Vec<JailRule>) {
    let mut rules: Vec<JailRule> = Vec::new();
    let logs = settings.iter().enumerate().map(|(number, watch)| {
        let promised = promised(watch.kind, controls);
        let rule = promised.map_or_else(|| format!("watch.{}.{}", watch.kind.name(), number + 1), str::to_owned);
        if promised.is_none() {
            let WatchRule { failures, window, ban } = watch.rule.as_ref().map_or(WatchRule::USUAL, |rule| rule.value);
            rules.push(JailRule::of_source(rule.clone(), failures, window, ban, LONGEST));
        }
        Watched { kind: watch.kind, log: Followed::of(watch), rule }
    });
    let logs = logs.collect();
    (logs, rules)
}

/// The control that says when a failure of this kind makes a ban.
pub(crate) fn promised(kind: Kind, controls: &Controls) -> Option<&'static str> {
    match kind {
        Kind::Sshd => controls.ban_ssh.as_ref().map(|_| "ban.ssh"),
        Kind::NginxHttpAuth | Kind::NginxBotsearch | Kind::ApacheAuth | Kind::ApacheBadbots => {
            controls.ban_http.as_ref().map(|_| "ban.http")
        }
    }
}

/// The thread that looks.
pub(super) struct Watches {
    /// Dropped, it tells the thread to end.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    seen: Arc<Mutex<Seen>>,
}

/// What the thread tells of its logs.
#[derive(Default)]
struct Seen {
    status: Vec<WatchStatus>,
    /// Where servers listen that write to journals, in the order of the logs.
    servers: Vec<Option<SocketAddr>>,
    /// By the record's id.
    places: HashMap<String, Mark>,
    kept: HashMap<String, Mark>,
}

impl Keeping {
    /// Watches these logs, in the place of those that were watched before.
    ///
    /// # Errors
    /// When it cannot be found out how far they were read, or the system gives no thread.
    pub(crate) async fn watch(&self, logs: Vec<Watched>, rules: Vec<JailRule>) -> anyhow::Result<()> {
        self.stop_watching().await;
        self.bans.follow_sources(rules);
        let (mut watches, mut servers) = (Vec::new(), Vec::new());
        for Watched { kind, log, rule } in logs {
            let id = id(kind, &log);
            let (watch, server) = match log {
                Followed::File(file) => (self.watch_file(kind, file, rule, &id).await?, None),
                Followed::Journal(source, server) => (self.watch_journal(kind, &source, rule, &id).await?, server),
            };
            watches.push((id, watch));
            servers.push(server);
        }
        if !watches.is_empty() {
            let started = Watches::start(watches, servers).context("cannot watch logs")?;
            *self.watches.lock().unwrap_or_else(PoisonError::into_inner) = Some(started);
        }
        Ok(())
    }

    async fn watch_file(&self, kind: Kind, file: PathBuf, rule: String, id: &str) -> anyhow::Result<Watch> {
        let record = self.scope().get::<PlaceRecord>(id).await.context(UNREADABLE)?;
        let left_off = record.map(|record| record.value.place);
        let times = (Arc::clone(&self.clock), self.zone.clone());
        Ok(Watch::new(kind, file, rule, left_off, times, Arc::clone(&self.bans) as Arc<dyn Actuator>))
    }

    async fn watch_journal(&self, kind: Kind, source: &Source, rule: String, id: &str) -> anyhow::Result<Watch> {
        let record = self.scope().get::<JournalRecord>(id).await.context(UNREADABLE)?;
        let left_off = record.map(|record| record.value.place);
        let reader: Box<dyn JournalReader> = match &self.journals {
            Some(helper) => helper.reader(source),
            None => Box::new(Unread),
        };
        let journal = Journal::new(kind, source.units.clone(), reader, left_off, self.clock.now());
        let actuator = Arc::clone(&self.bans) as Arc<dyn Actuator>;
        Ok(Watch::of_journal(kind, journal, rule, Arc::clone(&self.clock), actuator))
    }

    /// Ends the watching and keeps how far it came.
    pub(crate) async fn stop_watching(&self) {
        let held = self.watches.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(held) = held else { return };
        let seen = Arc::clone(&held.seen);
        // Waits for a look that is under way.
        let ended = tokio::task::spawn_blocking(move || drop(held)).await;
        if ended.is_ok() {
            self.keep_places(&seen).await;
        }
    }

    /// Keeps how far the logs were read, where that has changed.
    pub(super) async fn tend_watches(&self) {
        let seen = {
            let held = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
            held.as_ref().map(|watches| Arc::clone(&watches.seen))
        };
        if let Some(seen) = seen {
            self.keep_places(&seen).await;
        }
    }

    async fn keep_places(&self, seen: &Mutex<Seen>) {
        let changed: Vec<(String, Mark)> = {
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            let changed = seen.places.iter().filter(|(id, mark)| seen.kept.get(*id) != Some(mark));
            changed.map(|(id, mark)| (id.clone(), mark.clone())).collect()
        };
        for (id, mark) in changed {
            let put = match &mark {
                Mark::File(place) => {
                    self.scope().put(&id, Expect::Any, &PlaceRecord { place: place.clone() }).await.map(drop)
                }
                Mark::Journal(place) => {
                    self.scope().put(&id, Expect::Any, &JournalRecord { place: place.clone() }).await.map(drop)
                }
            };
            match put {
                Ok(()) => {
                    seen.lock().unwrap_or_else(PoisonError::into_inner).kept.insert(id, mark);
                }
                Err(error) => tracing::error!(%error, "it cannot be kept how far a log was read; tried again"),
            }
        }
    }

    /// How the logs are that are watched.
    pub(super) fn watches_status(&self) -> Vec<Value> {
        let held = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(watches) = &*held else { return Vec::new() };
        let seen = watches.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let told = seen.status.iter().zip(&seen.servers).map(|(status, server)| {
            let (file, journal) = match &status.log {
                Log::File(file) => (Some(file), None),
                Log::Journal(units) => (None, Some(units)),
            };
            json!({
                "kind": status.kind.name(),
                "file": file,
                "journal": journal,
                "server": server,
                "lines": status.counts.lines,
                "overlong": status.counts.overlong,
                "rotated": status.counts.rotated,
                "cut": status.counts.cut,
                "odd": status.counts.odd,
                "failures": status.failures,
                "names": status.names,
                "undated": status.undated,
                "failing": status.failing,
            })
        });
        told.collect()
    }

    /// How they are, for whoever tells of their troubles.
    pub(super) fn watched_logs(&self) -> Vec<WatchStatus> {
        let held = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(watches) = &*held else { return Vec::new() };
        watches.seen.lock().unwrap_or_else(PoisonError::into_inner).status.clone()
    }
}

/// Stands for a helper that was not started, because no settings named a journal then.
struct Unread;

impl JournalReader for Unread {
    fn begin(&mut self, _: &JournalPlace) -> Result<(), String> {
        Err(String::from("no journal was in the settings at the start; restart the gateway"))
    }

    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Ok(0)
    }

    fn complaint(&mut self) -> Result<Option<String>, String> {
        Ok(None)
    }

    fn end(&mut self) -> String {
        String::new()
    }
}

impl Watches {
    fn start(mut watches: Vec<(String, Watch)>, servers: Vec<Option<SocketAddr>>) -> std::io::Result<Self> {
        let seen = Arc::new(Mutex::new(Seen { servers, ..Seen::default() }));
        let (stop, stopped) = channel();
        let shared = Arc::clone(&seen);
        // The first look here: whoever is told that a log is watched may rely on it from then on.
        watches.iter_mut().for_each(|(_, watch)| while watch.look() == Looked::More {});
        tell(&watches, &shared);
        let thread = std::thread::Builder::new()
            .name(String::from("watch"))
            .spawn(move || follow(watches, &stopped, &shared))?;
        Ok(Self { stop: Some(stop), thread: Some(thread), seen })
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // Its only fault would be a panic, and then there is nothing left to wait for.
            let _ = thread.join();
        }
    }
}

fn follow(mut watches: Vec<(String, Watch)>, stopped: &Receiver<()>, seen: &Mutex<Seen>) {
    loop {
        let mut more = false;
        for (_, watch) in &mut watches {
            more |= watch.look() == Looked::More;
        }
        tell(&watches, seen);
        let pause = if more { Duration::ZERO } else { LOOK_EVERY };
        match stopped.recv_timeout(pause) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn tell(watches: &[(String, Watch)], seen: &Mutex<Seen>) {
    let status = watches.iter().map(|(_, watch)| watch.status()).collect();
    let places = watches.iter().filter_map(|(id, watch)| Some((id.clone(), watch.mark()?))).collect();
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.status = status;
    seen.places = places;
}

/// Names a record in the store; a long path by its end.
fn id(kind: Kind, log: &Followed) -> String {
    let name = match log {
        Followed::File(file) => file.to_string_lossy().into_owned(),
        Followed::Journal(source, _) => {
            let directory = source.directory.as_ref().map(|directory| directory.to_string_lossy().into_owned());
            format!("{}@{}", source.units.names().join(","), directory.unwrap_or_default())
        }
    };
    let end: String = name.chars().rev().take(ID_CHARACTERS_MAX).collect();
    format!("{}:{}", kind.name(), end.chars().rev().collect::<String>())
}

const UNREADABLE: &str = "cannot read how far the logs were read";

/// A ban follows a failure within this and a little.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long a repeated ban is at most, where no control says so.
const LONGEST: reeve_base::Period = reeve_base::Period::days(7);

/// Of four bytes at most, within what the store takes as an id.
const ID_CHARACTERS_MAX: usize = 120;
