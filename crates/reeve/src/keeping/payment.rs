//! Scripts on payment pages beyond the gateway's memory: what changes is told to the ledger, the inventory is kept in the
//! store, and approvals are recorded before they count.

use std::collections::VecDeque;

use anyhow::Context;
use reeve_edge::{PaymentScripts, Script, ScriptChange, ScriptEvent, ScriptInventory};
use reeve_ledger::{Class, Entry};
use reeve_store::{Expect, Record};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Act, Keeping, Recorded};
use crate::deployment::{PayQuestion, Reply};

/// A script as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ScriptRecord {
    script: Script,
}

impl Record for ScriptRecord {
    const COLLECTION: &'static str = "payment-scripts";
    const SCHEMA: u16 = 1;
}

/// What is on its way into ledger and store. What one of them cannot take now is tried again.
#[derive(Debug, Default)]
pub(super) struct ScriptPost {
    restored: bool,
    untold: VecDeque<ScriptChange>,
    unkept: VecDeque<Script>,
}

impl Keeping {
    /// The way to the inventory.
    fn inventory(&self) -> Option<&PaymentScripts> {
        self.scripts.get()
    }

    /// Tells the ledger what happened to scripts, and keeps the inventory. The first time it takes up what was kept.
    pub(crate) async fn tell_scripts(&self) {
        let Some(scripts) = self.inventory() else { return };
        let inventory = scripts.inventory();
        let mut post = self.script_post.lock().await;
        if !post.restored {
            match self.kept_scripts().await {
                Ok(kept) => inventory.restore(kept),
                Err(error) => {
                    tracing::error!(%error, "the inventory of payment pages cannot be read; tried again");
                    return;
                }
            }
            post.restored = true;
        }
        post.untold.extend(inventory.take_changes());
        post.unkept.extend(inventory.take_unkept());
        while let Some(change) = post.untold.front() {
            if let Err(error) = self.record_script(change).await {
                tracing::error!(%error, "a change of a payment page's script cannot be recorded; tried again");
                break;
            }
            post.untold.pop_front();
        }
        while let Some(script) = post.unkept.front() {
            let record = ScriptRecord { script: script.clone() };
            if let Err(error) = self.scope().put(&script.id(), Expect::Any, &record).await {
                tracing::error!(%error, "the inventory of payment pages cannot be kept; tried again");
                break;
            }
            post.unkept.pop_front();
        }
        post.untold.truncate(POST_MAX);
        post.unkept.truncate(POST_MAX);
    }

    async fn kept_scripts(&self) -> anyhow::Result<Vec<Script>> {
        let (mut after, mut scripts): (Option<String>, Vec<Script>) = (None, Vec::new());
        loop {
            let page = self.scope().list::<ScriptRecord>(after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(scripts) };
            after = Some(last.id.clone());
            scripts.extend(page.into_iter().map(|record| record.value.script));
        }
    }

    async fn record_script(&self, change: &ScriptChange) -> anyhow::Result<()> {
        if self.weakening.requests == Recorded::Never {
            return Ok(());
        }
        let entry = Entry {
            class: Class::Security,
            activity: String::from(ACTIVITY),
            clause: None,
            actor: None,
            body: serde_json::to_vec(&self.told(change))?,
        };
        self.ledger.append(entry)?.durable().await?;
        tracing::warn!(page = %change.page, script = %change.source, event = action(change.event), "payment page");
        Ok(())
    }

    fn told(&self, change: &ScriptChange) -> Value {
        let object = if change.source.is_empty() { &change.page } else { &change.source };
        json!({
            "time": change.at,
            "id": self.ids.next(change.at).to_string(),
            "activity": ACTIVITY,
            "actor": "gateway",
            "action": action(change.event),
            "object": object,
            "outcome": "refused",
            "control": "pay.scripts",
            "cause": cause(change),
            "severity": severity(change),
            "page": change.page,
            "digest": change.digest,
            "canary": change.canary,
        })
    }

    /// Answers a question about scripts.
    pub(super) async fn pay(&self, question: PayQuestion, asker: &str) -> anyhow::Result<Reply> {
        let Some(scripts) = self.inventory() else { return Ok(Reply::refused("there is no gateway here")) };
        match question {
            PayQuestion::List => {
                self.tell_scripts().await;
                Ok(list(scripts.inventory()))
            }
            PayQuestion::Approve { ids, reason } => self.approve(scripts.inventory(), &ids, &reason, asker).await,
            PayQuestion::Rehearse { html } => {
                anyhow::ensure!(html.len() <= REHEARSED_BYTES_MAX, "a page to rehearse has at most 64 KiB");
                let seen = scripts.rehearse(&html).context("the policy has no payment pages to look at")?;
                self.tell_scripts().await;
                Ok(Reply::done(format!("{seen} scripts seen"), json!({ "scripts": seen })))
            }
        }
    }

    /// Each approval is recorded before it counts; what has changed since it was looked at is not approved.
    async fn approve(
        &self,
        inventory: &ScriptInventory,
        ids: &[String],
        reason: &str,
        asker: &str,
    ) -> anyhow::Result<Reply> {
        let found: Vec<Script> = if ids.iter().any(|id| id == "all") {
            inventory.list().into_iter().filter(|script| !script.gone && !script.is_approved()).collect()
        } else {
            let one = |id: &String| inventory.find(id).with_context(|| format!("there is no script `{id}`"));
            ids.iter().map(one).collect::<Result<_, _>>()?
        };
        for script in &found {
            let digest = script.digest.as_deref().unwrap_or("contents unseen");
            let object = format!("{} on {} ({digest}): {reason}", script.source, script.page);
            self.act(&Act { activity: "pay.script_approved", actor: asker, action: "approve", object: &object })
                .await?;
            anyhow::ensure!(
                inventory.approve(script, asker, reason),
                "`{}` has changed while it was approved; look at it again",
                script.source
            );
        }
        self.tell_scripts().await;
        Ok(Reply::done(format!("{} approved", found.len()), Value::Null))
    }
}

fn list(inventory: &ScriptInventory) -> Reply {
    let scripts: Vec<Value> = inventory.list().iter().map(shown).collect();
    let open = inventory.list().iter().filter(|script| !script.gone && !script.is_approved()).count();
    let pages: Vec<Value> =
        inventory.pages().into_iter().map(|(page, seen)| json!({ "page": page, "seen": seen })).collect();
    let text = format!("{} scripts, {open} of them not approved as they are", scripts.len());
    Reply::done(text, json!({ "scripts": scripts, "pages": pages, "open": open }))
}

fn shown(script: &Script) -> Value {
    let mut value = serde_json::to_value(script).unwrap_or_default();
    if let Some(members) = value.as_object_mut() {
        members.insert(String::from("id"), script.id().into());
        members.insert(String::from("approved"), script.is_approved().into());
    }
    value
}

const fn action(event: ScriptEvent) -> &'static str {
    match event {
        ScriptEvent::Appeared => "appear",
        ScriptEvent::Changed => "change",
        ScriptEvent::Disappeared => "disappear",
        ScriptEvent::Unreadable => "unreadable",
        ScriptEvent::Unseen => "unseen",
    }
}

/// A script that nobody authorised, or that is not what it was, is what the control is for.
const fn severity(change: &ScriptChange) -> &'static str {
    match change.event {
        ScriptEvent::Changed | ScriptEvent::Unreadable => "high",
        ScriptEvent::Appeared if !change.authorised => "high",
        ScriptEvent::Appeared | ScriptEvent::Disappeared | ScriptEvent::Unseen => "medium",
    }
}

fn cause(change: &ScriptChange) -> String {
    let page = &change.page;
    match change.event {
        ScriptEvent::Appeared if change.authorised => format!("a script is new on {page}; the policy lets it run"),
        ScriptEvent::Appeared => {
            format!("a script is on {page} that nobody authorised; browsers are told not to run it")
        }
        ScriptEvent::Changed => format!("a script of {page} is not what it was"),
        ScriptEvent::Disappeared => format!("a script is gone from {page}"),
        ScriptEvent::Unreadable => format!("{page} holds more than can be looked at"),
        ScriptEvent::Unseen => format!("{page} was not seen for longer than the policy allows"),
    }
}

const ACTIVITY: &str = "pay.script_changed";
const PAGE: usize = 200;

/// What waits while the ledger or the store cannot write.
const POST_MAX: usize = 2_000;
const REHEARSED_BYTES_MAX: usize = 64 * 1024;
