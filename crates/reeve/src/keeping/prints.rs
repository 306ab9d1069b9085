//! Bans by fingerprint beyond the gateway's memory: recorded before they take effect, kept in the store, restored at the
//! start. Where nodes share a store, each takes over those of the others when it starts.

use std::time::Duration;

use anyhow::Context;
use reeve_edge::PrintBan;
use reeve_store::{Batch, Expect, Lookup, Record};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Act, Keeping};
use crate::deployment::{PrintQuestion, Reply};

/// A ban by fingerprint, as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PrintRecord {
    ban: PrintBan,
}

impl Record for PrintRecord {
    const COLLECTION: &'static str = "print-bans";
    const SCHEMA: u16 = 1;

    fn lookups(&self) -> Vec<Lookup> {
        Vec::new()
    }
}

impl Keeping {
    /// Takes up the bans by fingerprint that were kept, and forgets those that are over.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) async fn restore_prints(&self) -> anyhow::Result<()> {
        let now = self.clock.now();
        let (mut after, mut over, mut forgotten): (Option<String>, _, _) = (None, Batch::new(), 0);
        loop {
            let page = self.scope().list::<PrintRecord>(after.as_deref(), PAGE).await;
            let page = page.context("cannot read the bans by fingerprint")?;
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            for record in page {
                let ban = record.value.ban;
                if ban.until.is_none_or(|until| until > now) {
                    self.bans.restore_print(&ban);
                } else if forgotten < FORGOTTEN_MAX {
                    over.delete::<PrintRecord>(&record.id, Expect::Any);
                    forgotten += 1;
                }
            }
        }
        if forgotten > 0 {
            self.scope().commit(over).await.context("cannot forget old bans by fingerprint")?;
        }
        Ok(())
    }

    /// Answers a question about bans by fingerprint.
    pub(super) async fn print_answer(&self, question: PrintQuestion, asker: &str) -> anyhow::Result<Reply> {
        match question {
            PrintQuestion::List => {
                let mut bans = self.bans.prints();
                bans.sort_unstable_by_key(|ban| std::cmp::Reverse(ban.since));
                Ok(Reply::done(format!("{} banned by fingerprint", bans.len()), json!({ "prints": bans })))
            }
            PrintQuestion::Add { fingerprint, seconds, reason } => {
                anyhow::ensure!(
                    reeve_edge::is_fingerprint(&fingerprint),
                    "`{fingerprint}` is no fingerprint; write a `ja4` or a `header_order` as events show it"
                );
                anyhow::ensure!(
                    self.bans.judges_print(&fingerprint),
                    "the policy has no fingerprints of this kind judged; it takes a clause with `bot.signature`"
                );
                let act = Act { activity: "ban.add", actor: asker, action: "ban", object: &fingerprint };
                self.act(&act).await?;
                let length = seconds.map(Duration::from_secs);
                let ban = self.bans.add_print(&fingerprint, length, &reason, asker)?;
                let mut batch = Batch::new();
                batch.put(&fingerprint, Expect::Any, &PrintRecord { ban: ban.clone() });
                self.scope().commit(batch).await.context("the ban holds and is not kept across a restart")?;
                let until = ban.until.map_or_else(|| String::from("it is lifted"), |until| until.to_string());
                Ok(Reply::done(format!("banned: {fingerprint} until {until}"), serde_json::to_value(&ban)?))
            }
            PrintQuestion::Lift { fingerprint } => {
                let held = self.bans.prints().iter().any(|ban| ban.fingerprint == fingerprint);
                anyhow::ensure!(held, "`{fingerprint}` is not banned; `reeve ban list` shows what is");
                let act = Act { activity: "ban.lift", actor: asker, action: "lift", object: &fingerprint };
                self.act(&act).await?;
                // The store first: a ban that came back after a restart would be worse than one that holds on.
                let mut batch = Batch::new();
                batch.delete::<PrintRecord>(&fingerprint, Expect::Any);
                self.scope().commit(batch).await?;
                let lifted = self.bans.lift_print(&fingerprint);
                Ok(Reply::done(format!("lifted: {fingerprint}"), serde_json::to_value(&lifted)?))
            }
        }
    }
}

/// Records of one look; the store's own limit.
const PAGE: usize = 1_000;

/// Bans that are over, forgotten at one start; what is left goes at the next.
const FORGOTTEN_MAX: usize = 100;
