//! Times of maintenance: recorded in the ledger before they count, kept in the store, told to the gateway.
//!
//! An announced window is a statement; it closes the site only if it says so. What is never changed is when something
//! was announced: whoever excludes a window from a figure needs that.

use std::sync::PoisonError;
use std::time::Duration;

use anyhow::{Context, ensure};
use ipnet::IpNet;
use reeve_base::Timestamp;
use reeve_edge::{CLOSURES_MAX, Closure, Gateway, Shutter};
use reeve_store::{Expect, Record};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Act, Keeping};
use crate::deployment::{MaintenanceQuestion, Reply};

/// A time of maintenance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Window {
    /// What it is called.
    pub(crate) id: String,
    /// From when.
    pub(crate) from: Timestamp,
    /// Until when; until somebody ends it if nothing is said.
    pub(crate) to: Option<Timestamp>,
    /// When it was announced; for one that began at once, when it began.
    pub(crate) announced: Timestamp,
    /// Why, in a few words.
    pub(crate) reason: String,
    /// Who said so.
    pub(crate) by: String,
    /// Whether visitors are turned away meanwhile.
    pub(crate) shut: bool,
    /// Who is served all the same.
    pub(crate) allow: Vec<IpNet>,
    /// When it was ended or taken back by somebody.
    pub(crate) ended: Option<Timestamp>,
}

impl Window {
    /// When it is over, if that is known.
    pub(super) fn over(&self) -> Option<Timestamp> {
        match (self.to, self.ended) {
            (Some(to), Some(ended)) => Some(to.min(ended)),
            (to, ended) => to.or(ended),
        }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.over().is_some_and(|over| over <= now)
    }

    fn closure(&self) -> Closure {
        Closure { from: self.from, to: self.over(), allow: self.allow.clone() }
    }
}

/// A window as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WindowRecord {
    window: Window,
}

impl Record for WindowRecord {
    const COLLECTION: &'static str = "maintenance";
    const SCHEMA: u16 = 1;
}

/// The windows that are known, and who is told of them.
#[derive(Debug, Default)]
pub(super) struct Maintenance {
    windows: Vec<Window>,
    shutter: Option<Shutter>,
}

impl Maintenance {
    /// Tells the gateway which of the windows close it and are not over.
    fn tell(&self, now: Timestamp) {
        let Some(shutter) = &self.shutter else { return };
        let closing = self.windows.iter().filter(|window| window.shut && !window.is_over(now));
        shutter.set(closing.map(Window::closure).collect());
    }
}

impl Keeping {
    /// Takes up the windows that were kept. A gateway that is told of none would open what somebody has closed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn restore_maintenance(&self) -> anyhow::Result<()> {
        let (mut windows, mut after): (Vec<Window>, Option<String>) = (Vec::new(), None);
        loop {
            let page = self.scope().list::<WindowRecord>(after.as_deref(), PAGE).await;
            let page = page.context("cannot read the times of maintenance")?;
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            windows.extend(page.into_iter().map(|record| record.value.window));
        }
        let now = self.clock.now();
        self.with_maintenance(|maintenance| {
            if maintenance.windows != windows {
                maintenance.windows = windows;
                maintenance.tell(now);
            }
        });
        Ok(())
    }

    /// Closes and opens this gateway from now on. There is one in the life of a keeping.
    pub(super) fn attend_maintenance(&self, gateway: &Gateway) {
        let now = self.clock.now();
        self.with_maintenance(|maintenance| {
            maintenance.shutter = Some(gateway.shutter());
            maintenance.tell(now);
        });
    }

    fn with_maintenance<T>(&self, change: impl FnOnce(&mut Maintenance) -> T) -> T {
        // No caller can leave it half changed.
        change(&mut self.maintenance.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn windows(&self) -> Vec<Window> {
        self.with_maintenance(|maintenance| maintenance.windows.clone())
    }

    /// Answers a question about maintenance. What changes something is recorded before it does.
    pub(super) async fn maintenance_answer(&self, question: MaintenanceQuestion, asker: &str) -> anyhow::Result<Reply> {
        let now = self.clock.now();
        match question {
            MaintenanceQuestion::List { all } => Ok(self.maintenance_list(all)),
            MaintenanceQuestion::On { seconds, reason, allow } => {
                let to = seconds.map(|seconds| now.checked_add(Duration::from_secs(seconds))).transpose()?;
                let window = self.window(now, to, true, reason, &allow, asker)?;
                self.keep_window("maintenance.on", "close", window, asker).await
            }
            MaintenanceQuestion::Announce { from, to, reason, shut, allow } => {
                ensure!(from >= now, "`{from}` is over: what has begun cannot be announced");
                ensure!(to > from, "it would end before it begins");
                let window = self.window(from, Some(to), shut, reason, &allow, asker)?;
                self.keep_window("maintenance.announce", "announce", window, asker).await
            }
            MaintenanceQuestion::Off { id } => self.maintenance_off(id.as_deref(), asker).await,
        }
    }

    fn window(
        &self,
        from: Timestamp,
        to: Option<Timestamp>,
        shut: bool,
        reason: String,
        allow: &[String],
        by: &str,
    ) -> anyhow::Result<Window> {
        ensure!(reason.len() <= REASON_BYTES_MAX, "the reason has more than {REASON_BYTES_MAX} bytes");
        ensure!(allow.len() <= ALLOW_MAX, "{} addresses; {ALLOW_MAX} are the most", allow.len());
        let open = self.windows().iter().filter(|window| !window.is_over(self.clock.now())).count();
        ensure!(open < CLOSURES_MAX, "there are {open} windows already; end some");
        let networks = allow.iter().map(|text| reeve_edge::parse_network(text).map_err(anyhow::Error::msg));
        let (now, allow) = (self.clock.now(), networks.collect::<anyhow::Result<_>>()?);
        let id = self.ids.next(now).to_string();
        Ok(Window { id, from, to, announced: now, reason, by: by.to_owned(), shut, allow, ended: None })
    }

    async fn keep_window(
        &self,
        activity: &'static str,
        action: &'static str,
        window: Window,
        asker: &str,
    ) -> anyhow::Result<Reply> {
        let object = serde_json::to_string(&window)?;
        self.act(&Act { activity, actor: asker, action, object: &object }).await?;
        let record = WindowRecord { window: window.clone() };
        self.scope().put(&window.id, Expect::Any, &record).await.context("recorded, and cannot be kept")?;
        let now = self.clock.now();
        self.with_maintenance(|maintenance| {
            maintenance.windows.retain(|other| other.id != window.id);
            maintenance.windows.push(window.clone());
            maintenance.tell(now);
        });
        let text = match (activity, said(&window)) {
            ("maintenance.on", said) => format!("closed: {said}"),
            ("maintenance.announce", said) => format!("announced: {said}"),
            (_, said) => format!("ended: {said}"),
        };
        Ok(Reply::done(text, serde_json::to_value(&window)?))
    }

    /// Ends one window, or all that close the site now.
    async fn maintenance_off(&self, id: Option<&str>, asker: &str) -> anyhow::Result<Reply> {
        let now = self.clock.now();
        let meant = |window: &Window| match id {
            Some(id) => window.id == id,
            None => window.shut && window.from <= now,
        };
        let open: Vec<_> = self.windows().into_iter().filter(|window| meant(window) && !window.is_over(now)).collect();
        if open.is_empty() {
            return Ok(match id {
                Some(id) => {
                    Reply::refused(format!("there is no open window `{id}`; `reeve maintenance list` shows them"))
                }
                None => Reply::done("it was open", json!([])),
            });
        }
        let mut ended = Vec::new();
        for window in open {
            let window = Window { ended: Some(now), ..window };
            ended.push(self.keep_window("maintenance.off", "open", window, asker).await?);
        }
        let texts: Vec<_> = ended.iter().map(|reply| reply.text.as_str()).collect();
        Ok(Reply::done(texts.join("\n"), ended.iter().map(|reply| reply.data.clone()).collect()))
    }

    fn maintenance_list(&self, all: bool) -> Reply {
        let now = self.clock.now();
        let mut windows = self.windows();
        windows.retain(|window| all || !window.is_over(now));
        windows.sort_by_key(|window| window.from);
        let closed = windows.iter().any(|window| window.shut && window.from <= now && !window.is_over(now));
        let text = if closed { "the site is closed to visitors" } else { "the site is open" };
        Reply::done(text, json!({ "closed": closed, "windows": windows }))
    }
}

fn said(window: &Window) -> String {
    let to = window.over().map_or_else(|| String::from("it is ended"), |to| to.to_string());
    format!("{} until {to} ({})", window.from, window.id)
}

const PAGE: usize = 1_000;
const REASON_BYTES_MAX: usize = 500;
const ALLOW_MAX: usize = 100;
