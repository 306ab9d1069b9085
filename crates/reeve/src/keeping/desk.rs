//! What the control socket asks of ledger, keys and store. Whatever changes something is recorded before it is done.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reeve_ledger::witness::Failure;
use reeve_ledger::{Class, Entry, PurgeReport, Reader};
use reeve_store::{Expect, Position};
use serde_json::{Value, json};

use super::{Act, Keeping, VerdictRecord, purge};
use crate::deployment::{Hold, Reply, Request};
use crate::settings::{Database, Place};

impl Keeping {
    /// Answers a question. `Reload` and `Upgrade` are the gateway's and never come here.
    pub(crate) async fn answer(&self, request: Request, asker: &str) -> Reply {
        let outcome = match request {
            Request::Reload | Request::Upgrade { .. } => Err(anyhow::anyhow!("only a running gateway can do that")),
            Request::Status => self.status().await,
            Request::UpdateRules => self.update_rules(asker).await,
            Request::Top => self.top(),
            Request::Find { key, value, limit } => self.find(key, value, limit).await,
            Request::Evidence { rows } => self.evidence(rows, asker).await,
            Request::Verdict { clause } => self.verdict(&clause).await,
            Request::Hold(hold) => self.hold(&hold, asker).await,
            Request::Lift { label } => self.lift(&label, asker).await,
            Request::Purge { dry_run } => self.purge(dry_run, asker).await,
            Request::Bans(question) => self.ban_answer(question, asker).await,
            Request::Maintenance(question) => self.maintenance_answer(question, asker).await,
            Request::Prints(question) => self.print_answer(question, asker).await,
            Request::Uptime => self.uptime_answer().await,
            Request::Pay(question) => self.pay(question, asker).await,
            Request::Learn(question) => self.learn_answer(question, asker).await,
            Request::RotateKey => self.rotate(asker).await,
            Request::Reseal { what } => {
                let act = Act { activity: "key.reseal", actor: asker, action: "reseal", object: &what };
                self.act(&act).await.map(|()| Reply::done("recorded", Value::Null))
            }
            Request::TryUpstream { name, address } => Ok(self.try_upstream(name.as_deref(), address).await),
            Request::Certificates => self.certificates().await,
            Request::RenewCertificate { name } => self.renew_certificate(name.as_deref(), asker).await,
        };
        outcome.unwrap_or_else(|error| Reply::refused(format!("{error:#}")))
    }

    async fn status(&self) -> anyhow::Result<Reply> {
        let health = self.ledger.health();
        let folder = match &self.kept.ledger.place.value {
            Place::Folder(folder) => json!(folder),
            Place::Bucket { .. } => Value::Null,
        };
        let witnesses: Vec<_> = self.kept.ledger.witnesses.iter().map(|witness| &witness.value.key).collect();
        let disagreement = health.witnesses.iter().find(|failure| !matches!(failure, Failure::Missing { .. }));
        let text = match &health.failing {
            None => format!("{} entries on the disk, {} sealed", health.durable, health.sealed),
            Some(cause) => format!("the ledger cannot write: {cause}"),
        };
        let data = json!({
            "pid": std::process::id(),
            "program": std::env::current_exe().ok(),
            "ledger": {
                "origin": self.ledger.verifier_key().name(),
                "key": self.ledger.verifier_key().to_string(),
                "folder": folder,
                "witnesses": witnesses,
                "disagreement": disagreement.map(ToString::to_string),
                "missing": health.witnesses.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "request_days": self.kept.request_days,
                "durable": health.durable,
                "sealed": health.sealed,
                "cosigned": health.cosigned,
                "failing": health.failing,
                "unsealable": health.unsealable,
            },
            "certificates": self.standing().await,
            "upstreams": self.outlook(),
            "rates": self.rates_status(),
            "watches": self.watches_status(),
            "bots": {
                "list": reeve_edge::list_date(reeve_edge::SHIPPED_AGENTS).ok(),
                "judges": self.bans.judged_prints(),
            },
            "waf": self.rules_status(),
            "firewall": self.firewall.get().map(|firewall| firewall.status()),
            "store_files": self.store_files(),
            "sandbox": self.sandbox,
        });
        Ok(Reply::done(text, data))
    }

    /// The newest events with this value, each with its proof.
    async fn find(&self, key: String, value: String, limit: usize) -> anyhow::Result<Reply> {
        let reader = self.ledger.reader();
        let limit = limit.clamp(1, FIND_MAX);
        let entries = tokio::task::spawn_blocking(move || search(&reader, &key, &value, limit)).await??;
        Ok(Reply::done(format!("{} found", entries.len()), json!({ "entries": entries })))
    }

    /// The object of the newest event of this activity.
    pub(super) async fn newest(&self, activity: &'static str) -> anyhow::Result<Option<String>> {
        let reader = self.ledger.reader();
        let found = tokio::task::spawn_blocking(move || search(&reader, "activity", activity, 1)).await??;
        let object = found.first().and_then(|entry| entry.pointer("/event/object")).and_then(Value::as_str);
        Ok(object.map(str::to_owned))
    }

    async fn evidence(&self, rows: Vec<Value>, asker: &str) -> anyhow::Result<Reply> {
        let count = rows.len();
        for row in rows {
            let text = |member: &str| row.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (clause, control, verdict, seen) = (text("clause"), text("control"), text("verdict"), text("seen"));
            anyhow::ensure!(!clause.is_empty() && !verdict.is_empty(), "evidence names no clause or no verdict");
            let time = self.clock.now();
            let mut body = json!({
                "time": time, "id": self.ids.next(time).to_string(), "activity": "proof.evidence", "actor": asker,
                "action": "judge", "object": clause, "outcome": verdict,
            });
            if let (Some(body), Some(row)) = (body.as_object_mut(), row.as_object()) {
                body.extend(
                    row.iter().filter(|(key, _)| *key != "verdict").map(|(key, value)| (key.clone(), value.clone())),
                );
            }
            let entry = Entry {
                class: Class::Security,
                activity: String::from("proof.evidence"),
                clause: Some(clause.clone()),
                actor: Some(asker.to_owned()),
                body: serde_json::to_vec(&body)?,
            };
            let seq = self.ledger.append(entry)?.durable().await?;
            let record = VerdictRecord { clause: clause.clone(), control, verdict, seen, time, seq };
            self.scope().put(&clause, Expect::Any, &record).await.context("cannot keep the verdict")?;
        }
        Ok(Reply::done(format!("{count} recorded"), Value::Null))
    }

    async fn verdict(&self, clause: &str) -> anyhow::Result<Reply> {
        match self.scope().get::<VerdictRecord>(clause).await? {
            None => Ok(Reply::refused(format!("`{clause}` was never judged"))),
            Some(found) => Ok(Reply::done(found.value.verdict.clone(), serde_json::to_value(&found.value)?)),
        }
    }

    async fn hold(&self, hold: &Hold, asker: &str) -> anyhow::Result<Reply> {
        let class =
            Class::from_name(&hold.class).with_context(|| format!("`{}` is no class of entries", hold.class))?;
        let (ledger, label, from, to) = (Arc::clone(&self.ledger), hold.label.clone(), hold.from, hold.to);
        self.act(&Act { activity: "ledger.hold", actor: asker, action: "hold", object: &hold.label }).await?;
        tokio::task::spawn_blocking(move || ledger.hold(&label, Some(class), from, to)).await??;
        Ok(Reply::done(format!("held: {} of {} to {}", hold.class, hold.from, hold.to), Value::Null))
    }

    async fn lift(&self, label: &str, asker: &str) -> anyhow::Result<Reply> {
        self.act(&Act { activity: "ledger.lift", actor: asker, action: "lift", object: label }).await?;
        let (ledger, lifted) = (Arc::clone(&self.ledger), label.to_owned());
        tokio::task::spawn_blocking(move || ledger.lift(&lifted)).await??;
        Ok(Reply::done(format!("lifted: {label}"), Value::Null))
    }

    async fn purge(&self, dry_run: bool, asker: &str) -> anyhow::Result<Reply> {
        let ledger = Arc::clone(&self.ledger);
        if dry_run {
            let plan = tokio::task::spawn_blocking(move || ledger.due_purges()).await??;
            return Ok(Reply::done(format!("{} days have expired", plan.due.len()), purge::plan(&plan)));
        }
        self.act(&Act { activity: "ledger.purge_asked", actor: asker, action: "purge", object: "expired" }).await?;
        let report = self.purge_now().await?;
        Ok(Reply::done(format!("{} days purged", report.purged.len()), purge::report(&report)))
    }

    /// Destroys what has expired, and tells of it.
    pub(crate) async fn purge_now(&self) -> anyhow::Result<PurgeReport> {
        let ledger = Arc::clone(&self.ledger);
        let report = tokio::task::spawn_blocking(move || ledger.purge()).await??;
        for (due, _) in &report.purged {
            let object = due.of.to_string();
            self.act(&Act { activity: "ledger.purge", actor: "reeve", action: "destroy", object: &object }).await?;
        }
        if let Some(doubt) = &report.plan.doubt {
            tracing::warn!(doubt, "nothing is purged yet");
        }
        Ok(report)
    }

    /// The files of the store, and what the database keeps beside them.
    fn store_files(&self) -> Vec<PathBuf> {
        let Database::Sqlite(path) = &self.kept.store.database.value else { return Vec::new() };
        let beside = |end| {
            let mut name = path.clone().into_os_string();
            name.push(end);
            PathBuf::from(name)
        };
        vec![path.clone(), beside("-wal"), beside("-shm")]
    }

    /// A new version of the store key, and everything under it that was under older ones.
    async fn rotate(&self, asker: &str) -> anyhow::Result<Reply> {
        self.act(&Act { activity: "key.rotate", actor: asker, action: "rotate", object: "store key" }).await?;
        let (vault, ledger, now) = (Arc::clone(&self.vault), Arc::clone(&self.ledger), self.clock.now());
        let (version, keys) = tokio::task::spawn_blocking(move || {
            let version = vault.rotate(now)?.version;
            anyhow::Ok((version, ledger.reseal()?))
        })
        .await??;
        self.reseal_certificates().await?;
        let (mut records, mut from) = (0, Some(Position::default()));
        while let Some(position) = from {
            let step = self.store.reseal(position, RESEAL_STEP).await?;
            records += step.resealed;
            from = step.next;
        }
        let text = format!(
            "version {version} of the store key seals from now on; {keys} keys of the ledger and {records} records of the \
             store are sealed anew"
        );
        Ok(Reply::done(text, json!({ "ledger_keys": keys, "records": records })))
    }

    pub(super) fn scope(&self) -> reeve_store::Scope {
        self.store.tenant("")
    }
}

/// Looks backwards through the ledger, newest first.
pub(super) fn search(reader: &Reader, key: &str, value: &str, limit: usize) -> anyhow::Result<Vec<Value>> {
    let size = reader.checkpoint()?.head().size;
    let needle = value.as_bytes();
    let mut found = Vec::new();
    let mut end = size;
    while end > 0 && found.len() < limit && size - end < SEARCH_ENTRIES_MAX {
        let start = end.saturating_sub(SEARCH_STEP);
        let records: Vec<_> = reader.entries(start..end)?.collect::<Result<_, _>>()?;
        for record in records.iter().rev() {
            let Some(body) = record.content.body() else { continue };
            // Most entries hold other things, and parsing them all would cost a hundred times as much.
            if memchr::memmem::find(body, needle).is_none() {
                continue;
            }
            for event in events(body).filter(|event| event.get(key).and_then(Value::as_str) == Some(value)) {
                found.push(shown(reader, record.seq, record.leaf.class.as_str(), event)?);
                if found.len() == limit {
                    return Ok(found);
                }
            }
        }
        end = start;
    }
    Ok(found)
}

/// The events of an entry, last first: a batch holds one to a line.
fn events(body: &[u8]) -> impl Iterator<Item = Value> {
    body.split(|byte| *byte == b'\n').rev().filter_map(|line| serde_json::from_slice(line).ok())
}

fn shown(reader: &Reader, seq: u64, class: &str, event: Value) -> anyhow::Result<Value> {
    let proof = reader.proof(seq)?;
    let contents = proof.contents.as_ref().context("the contents were purged meanwhile")?;
    Ok(json!({
        "seq": seq,
        "class": class,
        "event": event,
        "proof": {
            "leaf": String::from_utf8_lossy(&proof.leaf),
            "index": proof.index,
            "hashes": proof.inclusion.iter().map(|hash| STANDARD.encode(hash.0)).collect::<Vec<_>>(),
            "checkpoint": proof.checkpoint,
            "salt": STANDARD.encode(contents.salt),
            "body": STANDARD.encode(&contents.body),
        },
    }))
}

const RESEAL_STEP: usize = 500;
const FIND_MAX: usize = 100;
const SEARCH_STEP: u64 = 256;

/// Beyond this, what is looked for is old, and `reeve ledger tail --where` reads on.
const SEARCH_ENTRIES_MAX: u64 = 200_000;
