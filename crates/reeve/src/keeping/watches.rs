//! The logs of other programs: followed by a thread of their own, from where the last process left off.

use std::collections::HashMap;
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
use reeve_watch::{Kind, Looked, Place, Watch, WatchStatus};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Keeping;
use crate::settings::{WatchRule, WatchSettings};

/// How far a log was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PlaceRecord {
    place: Place,
}

impl Record for PlaceRecord {
    const COLLECTION: &'static str = "watched";
    const SCHEMA: u16 = 1;
}

/// A log to be watched.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pub(crate) kind: Kind,
    pub(crate) file: PathBuf,
    /// Under which rule its failures count.
    pub(crate) rule: String,
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
        Watched { kind: watch.kind, file: watch.file.value.clone(), rule }
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
    /// By the record's id.
    places: HashMap<String, Place>,
    kept: HashMap<String, Place>,
}

impl Keeping {
    /// Watches these logs, in the place of those that were watched before.
    ///
    /// # Errors
    /// When it cannot be found out how far they were read, or the system gives no thread.
    pub(crate) async fn watch(&self, logs: Vec<Watched>, rules: Vec<JailRule>) -> anyhow::Result<()> {
        self.stop_watching().await;
        self.bans.follow_sources(rules);
        let mut watches = Vec::new();
        for log in logs {
            let id = id(&log);
            let record = self.scope().get::<PlaceRecord>(&id).await;
            let left_off = record.context("cannot read how far the logs were read")?.map(|record| record.value.place);
            let times = (Arc::clone(&self.clock), self.zone.clone());
            let actuator = Arc::clone(&self.bans) as Arc<dyn Actuator>;
            watches.push((id, Watch::new(log.kind, log.file, log.rule, left_off, times, actuator)));
        }
        if !watches.is_empty() {
            let started = Watches::start(watches).context("cannot watch logs")?;
            *self.watches.lock().unwrap_or_else(PoisonError::into_inner) = Some(started);
        }
        Ok(())
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
        let changed: Vec<(String, Place)> = {
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            let changed = seen.places.iter().filter(|(id, place)| seen.kept.get(*id) != Some(place));
            changed.map(|(id, place)| (id.clone(), place.clone())).collect()
        };
        for (id, place) in changed {
            let record = PlaceRecord { place: place.clone() };
            match self.scope().put(&id, Expect::Any, &record).await {
                Ok(_) => {
                    seen.lock().unwrap_or_else(PoisonError::into_inner).kept.insert(id, place);
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
        let told = seen.status.iter().map(|status| {
            json!({
                "kind": status.kind.name(),
                "file": status.file,
                "lines": status.counts.lines,
                "overlong": status.counts.overlong,
                "rotated": status.counts.rotated,
                "cut": status.counts.cut,
                "failures": status.failures,
                "names": status.names,
                "undated": status.undated,
                "failing": status.failing,
            })
        });
        told.collect()
    }
}

impl Watches {
    fn start(mut watches: Vec<(String, Watch)>) -> std::io::Result<Self> {
        let seen = Arc::new(Mutex::new(Seen::default()));
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
    let places = watches.iter().filter_map(|(id, watch)| Some((id.clone(), watch.place()?))).collect();
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.status = status;
    seen.places = places;
}

/// Names a record in the store; a long path by its end.
fn id(log: &Watched) -> String {
    let file = log.file.to_string_lossy();
    let end: String = file.chars().rev().take(ID_CHARACTERS_MAX).collect();
    format!("{}:{}", log.kind.name(), end.chars().rev().collect::<String>())
}

/// A ban follows a failure within this and a little.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long a repeated ban is at most, where no control says so.
const LONGEST: reeve_base::Period = reeve_base::Period::days(7);

/// Of four bytes at most, within what the store takes as an id.
const ID_CHARACTERS_MAX: usize = 120;
