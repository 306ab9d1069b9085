//! Bans beyond the gateway's memory: each is told to the ledger and kept in the store, restored at the start, and taken
//! over from other nodes where the store is shared.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::Context;
use ipnet::IpNet;
use reeve_base::{Event, Outcome, Timestamp};
use reeve_edge::{Ban, Change, Ending, GRACE, MEMORY};
use reeve_ledger::{Class, Entry};
use reeve_store::{Batch, Expect, Lookup, Record};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Act, Keeping, Recorded};
use crate::deployment::{BanQuestion, Reply};
use crate::settings::Database;

/// A ban as the store keeps it, also when it is over: what was lifted must not come back from another node, and how
/// often a network was banned counts for its next ban.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BanRecord {
    ban: Ban,
    /// When and how it ended, if not by its time.
    ended: Option<(Timestamp, Ending)>,
    /// The minute of the last change, by which other nodes find it.
    minute: i64,
}

impl Record for BanRecord {
    const COLLECTION: &'static str = "bans";
    const SCHEMA: u16 = 1;

    fn lookups(&self) -> Vec<Lookup> {
        vec![Lookup::shared("minute", self.minute.to_be_bytes())]
    }
}

/// Changes on their way into ledger and store. What one of them cannot take now is tried again.
#[derive(Debug, Default)]
pub(super) struct BanPost {
    untold: VecDeque<Change>,
    unkept: VecDeque<Change>,
}

impl Keeping {
    /// Takes up the bans that were kept.
    ///
    /// # Errors
    /// When the store cannot be read: a gateway that forgot its bans would let in whom it keeps out.
    pub(crate) async fn restore_bans(&self) -> anyhow::Result<()> {
        self.restore_prints().await?;
        let now = self.clock.now();
        let (mut after, mut stale): (Option<String>, Vec<String>) = (None, Vec::new());
        let mut standing = Vec::new();
        loop {
            let page = self.scope().list::<BanRecord>(after.as_deref(), PAGE).await.context("cannot read the bans")?;
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            for record in page {
                let BanRecord { ban, ended, .. } = record.value;
                let over = ended.map(|(when, _)| when).or(ban.until).filter(|over| *over <= now);
                if over.is_some_and(|over| age(over, now) > MEMORY) {
                    stale.push(record.id);
                    continue;
                }
                match ended {
                    Some((when, ending)) => self.take_ended(&ban, when, ending, now),
                    None => standing.push(ban),
                }
            }
        }
        self.bans.restore(standing);
        for ids in stale.chunks(BATCH) {
            let mut batch = Batch::new();
            for id in ids {
                batch.delete::<BanRecord>(id, Expect::Any);
            }
            self.scope().commit(batch).await.context("cannot forget old bans")?;
        }
        Ok(())
    }

    /// Ends bans whose time is over, and hands on what changed. Called several times a second.
    pub(crate) async fn tell_bans(&self) {
        self.bans.sweep();
        let (changes, lost) = self.bans.take_changes();
        if lost > 0 {
            tracing::error!(lost, "bans changed faster than they could be recorded");
        }
        // One caller at a time: the rest would only wait for the same store.
        let Ok(mut post) = self.ban_post.try_lock() else { return };
        post.untold.extend(changes);
        shorten(&mut post.untold, "recorded");
        self.record_bans(&mut post);
        shorten(&mut post.unkept, "kept");
        if let Err(error) = self.keep_bans(&mut post).await {
            tracing::error!(%error, "bans cannot be kept; tried again");
        }
    }

    /// Each ban and each end of one goes to the security trail. What a person did is there already.
    fn record_bans(&self, post: &mut BanPost) {
        while !post.untold.is_empty() {
            let piece: Vec<Change> = post.untold.iter().take(BATCH).cloned().collect();
            let lines: Vec<u8> = piece.iter().filter_map(|change| self.line(change)).flatten().collect();
            if !lines.is_empty() && self.weakening.acts == Recorded::Each {
                let activity = String::from("bans");
                let entry = Entry { class: Class::Security, activity, clause: None, actor: None, body: lines };
                // Nobody waits for the receipt; while the ledger takes nothing, all of it stays.
                if self.ledger.append(entry).is_err() {
                    return;
                }
            }
            post.unkept.extend(post.untold.drain(..piece.len()));
        }
    }

    fn line(&self, change: &Change) -> Option<Vec<u8>> {
        let (ban, activity, action, outcome) = match change {
            Change::Made(ban) if ban.automatic => {
                let until = ban.until.map_or_else(|| String::from("lifted"), |until| until.to_string());
                let cause = format!("{}; time {}, until {until}", ban.reason, ban.times);
                let outcome = Outcome::Refused { control: control(&ban.by), cause: Cow::Owned(cause) };
                (ban, "ban.made", "ban", outcome)
            }
            Change::Ended(ban, ending) if *ending != Ending::Lifted => {
                let action = match ending {
                    Ending::Expired => "expire",
                    Ending::Exempt => "exempt",
                    Ending::Displaced => "displace",
                    Ending::Lifted => "lift",
                };
                (ban, "ban.ended", action, Outcome::Allowed)
            }
            _ => return None,
        };
        let time = self.clock.now();
        let event = Event {
            time,
            id: self.ids.next(time),
            activity,
            actor: Cow::Borrowed(&ban.by),
            action: Cow::Borrowed(action),
            object: Cow::Owned(ban.network.to_string()),
            outcome,
            status: None,
            duration_us: None,
            ja4: None,
            header_order: None,
            findings: None,
        };
        let mut line = serde_json::to_vec(&event).ok()?;
        line.push(b'\n');
        Some(line)
    }

    async fn keep_bans(&self, post: &mut BanPost) -> anyhow::Result<()> {
        let now = self.clock.now();
        let minute = now.as_second().div_euclid(60);
        while !post.unkept.is_empty() {
            let piece: Vec<&Change> = post.unkept.iter().take(BATCH).collect();
            let mut batch = Batch::new();
            let mut empty = true;
            for (index, change) in piece.iter().enumerate() {
                let network = network(change);
                // A batch may change a record once: the last word counts.
                if piece.iter().skip(index + 1).any(|later| self::network(later) == network) {
                    continue;
                }
                let id = network.to_string();
                match change {
                    Change::Made(ban) => {
                        batch.put(&id, Expect::Any, &BanRecord { ban: ban.clone(), ended: None, minute });
                    }
                    // Every node sees by itself that the time is over.
                    Change::Ended(_, Ending::Expired) => continue,
                    Change::Ended(ban, ending) => {
                        let ended = Some((now, *ending));
                        batch.put(&id, Expect::Any, &BanRecord { ban: ban.clone(), ended, minute });
                    }
                    Change::Forgotten(_) => {
                        batch.delete::<BanRecord>(&id, Expect::Any);
                    }
                }
                empty = false;
            }
            let count = piece.len();
            if !empty {
                self.scope().commit(batch).await?;
            }
            post.unkept.drain(..count);
        }
        Ok(())
    }

    /// Whether other nodes write to the same store.
    pub(super) fn shares_bans(&self) -> bool {
        matches!(self.kept.store.database.value, Database::Postgres(_))
    }

    /// Takes over what other nodes changed in the last minutes.
    pub(super) async fn poll_bans(&self) -> anyhow::Result<()> {
        let now = self.clock.now();
        let minute = now.as_second().div_euclid(60);
        // One ahead and one behind: the clocks of nodes are not quite together.
        for minute in minute - 1..=minute + 1 {
            let changed = self.scope().find::<BanRecord>(&Lookup::shared("minute", minute.to_be_bytes())).await?;
            if changed.len() >= PAGE {
                // More than one look shows: all of them, then.
                return self.restore_bans().await;
            }
            let mut standing = Vec::new();
            for record in changed {
                let BanRecord { ban, ended, .. } = record.value;
                match ended {
                    Some((when, ending)) => self.take_ended(&ban, when, ending, now),
                    None => standing.push(ban),
                }
            }
            self.bans.restore(standing);
        }
        Ok(())
    }

    fn take_ended(&self, ban: &Ban, when: Timestamp, ending: Ending, now: Timestamp) {
        let ago = age(when, now);
        // Only what a person lifted holds against the controls for a while.
        let ago = if ending == Ending::Lifted { ago } else { ago.max(GRACE) };
        self.bans.restore_lifted(ban, ago);
    }

    /// Answers a question about bans. What changes one is recorded before it does.
    pub(super) async fn ban_answer(&self, question: BanQuestion, asker: &str) -> anyhow::Result<Reply> {
        match question {
            BanQuestion::List { address, limit } => Ok(self.ban_list(address, limit)),
            BanQuestion::Add { network, seconds, reason } => {
                let network = read(&network)?;
                self.bans.admissible(&network)?;
                let object = network.to_string();
                self.act(&Act { activity: "ban.add", actor: asker, action: "ban", object: &object }).await?;
                let ban = self.bans.add(network, seconds.map(Duration::from_secs), &reason, asker)?;
                self.tell_bans().await;
                let until = ban.until.map_or_else(|| String::from("it is lifted"), |until| until.to_string());
                Ok(Reply::done(format!("banned: {network} until {until}"), serde_json::to_value(&ban)?))
            }
            BanQuestion::Lift { network } => {
                let network = read(&network)?;
                let held = self.bans.list().into_iter().any(|ban| ban.network == network);
                anyhow::ensure!(held, "`{network}` is not banned; `reeve ban list {}` shows what is", network.addr());
                let object = network.to_string();
                self.act(&Act { activity: "ban.lift", actor: asker, action: "lift", object: &object }).await?;
                let lifted = self.bans.lift(network).context("it ended a moment ago by itself")?;
                self.tell_bans().await;
                Ok(Reply::done(format!("lifted: {network}"), serde_json::to_value(&lifted)?))
            }
            BanQuestion::Canary { address } => {
                let object = address.to_string();
                self.act(&Act { activity: "ban.canary", actor: asker, action: "expose", object: &object }).await?;
                let now = self.clock.ticks();
                self.bans.canaries().add(address, now).map_err(anyhow::Error::msg)?;
                Ok(Reply::done(format!("may be banned for a while: {address}"), Value::Null))
            }
        }
    }

    fn ban_list(&self, address: Option<IpAddr>, limit: usize) -> Reply {
        let mut bans = self.bans.list();
        let total = bans.len();
        if let Some(address) = address {
            let address = address.to_canonical();
            bans.retain(|ban| ban.network.contains(&address));
        }
        bans.sort_unstable_by(|one, other| other.since.cmp(&one.since).then(one.network.cmp(&other.network)));
        let found = bans.len();
        bans.truncate(limit.min(LISTED_MAX));
        let data = json!({ "bans": bans, "found": found, "total": total, "refused": self.bans.refused() });
        Reply::done(format!("{total} banned, {} refused since the start", self.bans.refused()), data)
    }
}

/// The control's name as events carry it; a log source with a rule of its own has none.
fn control(by: &str) -> &'static str {
    ["ban.http", "ban.auto", "ban.ssh"].into_iter().find(|name| *name == by).unwrap_or("watch")
}

fn network(change: &Change) -> &IpNet {
    match change {
        Change::Made(ban) | Change::Ended(ban, _) => &ban.network,
        Change::Forgotten(network) => network,
    }
}

fn read(text: &str) -> anyhow::Result<IpNet> {
    reeve_edge::parse_network(text).map_err(anyhow::Error::msg)
}

/// Drops the oldest changes where too many wait.
fn shorten(queue: &mut VecDeque<Change>, what: &str) {
    let excess = queue.len().saturating_sub(WAITING_MAX);
    if excess > 0 {
        tracing::error!(excess, "changes of bans cannot be {what}; the oldest are dropped");
        queue.drain(..excess);
    }
}

fn age(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}

/// Records of one look; the store's own limit.
const PAGE: usize = 1_000;

/// Changes of one commit, and of one entry of the ledger: some 40 KiB.
const BATCH: usize = 100;

/// Changes that wait for a ledger or a store that takes nothing.
const WAITING_MAX: usize = 262_144;

/// Bans of one answer.
const LISTED_MAX: usize = 10_000;

#[cfg(test)]
mod tests;
