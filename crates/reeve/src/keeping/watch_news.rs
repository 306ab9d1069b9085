//! That a watched log cannot be read, and that it can be again, for the ledger: while it cannot, whoever misbehaves in it
//! goes free.

use std::borrow::Cow;
use std::collections::HashMap;

use reeve_base::{Event, Outcome};
use reeve_ledger::{Class, Entry};
use reeve_watch::{Log, WatchStatus};

use super::Keeping;

/// How much was told, for each log.
#[derive(Debug, Default)]
pub(super) struct WatchPost(HashMap<(String, Log), Told>);

#[derive(Debug, Clone, Copy, Default)]
struct Told {
    troubles: u64,
    failing: bool,
}

impl Keeping {
    /// Records what has changed since it was told last. What cannot be recorded is told the next time.
    pub(super) async fn tell_watches(&self) {
        let logs = self.watched_logs();
        if logs.is_empty() {
            return;
        }
        let mut post = self.watch_post.lock().await;
        for log in logs {
            let told = post.0.entry((log.kind.name().to_owned(), log.log.clone())).or_default();
            if log.troubles < told.troubles {
                // Watched anew since, after a reload.
                told.troubles = 0;
            }
            if log.troubles > told.troubles && self.tell_of(&log, log.trouble.as_deref()) {
                *told = Told { troubles: log.troubles, failing: true };
            }
            if told.failing && log.failing.is_none() && self.tell_of(&log, None) {
                told.failing = false;
            }
        }
    }

    /// Whether it could be recorded that this log is in this trouble, or that it is over.
    fn tell_of(&self, log: &WatchStatus, trouble: Option<&str>) -> bool {
        let time = self.clock.now();
        let activity = if trouble.is_some() { "watch.failed" } else { "watch.restored" };
        let event = Event {
            time,
            id: self.ids.next(time),
            activity,
            actor: Cow::Borrowed("reeve"),
            action: Cow::Borrowed("watch"),
            object: Cow::Owned(format!("{} {}", log.kind.name(), name(&log.log))),
            outcome: match trouble {
                Some(cause) => Outcome::Failed { part: "watch", cause: Cow::Borrowed(cause) },
                None => Outcome::Allowed,
            },
            status: None,
            duration_us: None,
            ja4: None,
            header_order: None,
            findings: None,
        };
        let Ok(body) = serde_json::to_vec(&event) else { return false };
        let entry = Entry {
            class: Class::Security,
            activity: activity.to_owned(),
            clause: None,
            actor: Some(String::from("reeve")),
            body,
        };
        // Nobody waits for the receipt: that the ledger cannot write, it says itself.
        match self.ledger.append(entry) {
            Ok(_receipt) => true,
            Err(error) => {
                tracing::error!(%error, "how a watched log is cannot be recorded; tried again");
                false
            }
        }
    }
}

fn name(log: &Log) -> String {
    match log {
        Log::File(file) => file.display().to_string(),
        Log::Journal(units) => format!("journal: {}", units.join(", ")),
    }
}
