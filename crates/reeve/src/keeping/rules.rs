//! The firewall's rules: which were loaded and when is recorded, a feed is followed, and rules that have grown too old are
//! told of.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use reeve_base::Ticks;
use reeve_edge::{Firewall, RuleFacts, RuleSet};
use reeve_ledger::{Class, Entry};
use reeve_policy::catalogue::Controls;
use serde_json::{Value, json};

use super::desk::search;
use super::{Act, Keeping};
use crate::deployment::{Reply, rules_of};
use crate::feed::{Cabinet, Manifest, News, Way};
use crate::settings::Waf;

/// What is known of the rules, and whom they come from.
#[derive(Default)]
pub(super) struct Rules {
    firewall: OnceLock<Firewall>,
    /// Held only for a moment.
    plan: Mutex<Option<Arc<RulePlan>>>,
    /// One look at the feed at a time.
    looking: tokio::sync::Mutex<()>,
    /// Held only for a moment.
    last: Mutex<Last>,
}

/// What settings and policy say of the rules.
pub(crate) struct RulePlan {
    /// The data folder.
    pub(crate) data: PathBuf,
    pub(crate) waf: Waf,
    pub(crate) controls: Controls,
}

#[derive(Default)]
struct Last {
    /// When the feed was looked at.
    looked: Option<Ticks>,
    /// Why that failed, if it did.
    failing: Option<String>,
    /// The digest of rules whose age was told of.
    told_old: Option<String>,
}

/// What a look at the feed came to.
enum Looked {
    /// Nothing new.
    Known(Manifest),
    /// These run now.
    Taken(Manifest),
}

impl Keeping {
    /// Follows what settings and policy say of the rules from now on.
    pub(crate) fn follow_rules(&self, plan: RulePlan) {
        *self.rules.plan.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(plan));
    }

    pub(super) fn attend_rules(&self, firewall: Firewall) {
        // One gateway in the life of a keeping.
        let _ = self.rules.firewall.set(firewall);
    }

    /// Records rules that are about to be loaded, and waits until that is on the disk.
    ///
    /// # Errors
    /// When it cannot be recorded: they must not be loaded then.
    pub(crate) async fn record_rules(&self, facts: &RuleFacts, actor: &str) -> anyhow::Result<()> {
        if self.weakening.acts == super::Recorded::Never {
            return Ok(());
        }
        let time = self.clock.now();
        let since = self.first_loaded(&facts.digest).await?.unwrap_or(time);
        let body = json!({
            "time": time, "id": self.ids.next(time).to_string(), "activity": ACTIVITY, "actor": actor,
            "action": "load", "object": facts.version.as_deref().unwrap_or("rules"), "outcome": "allowed",
            "origin": facts.origin.name(), "version": facts.version, "digest": facts.digest, "made": facts.made,
            "since": since, "files": facts.files.len(), "rules": facts.rules, "custom": facts.custom_digest,
        });
        let entry = Entry {
            class: Class::Security,
            activity: ACTIVITY.to_owned(),
            clause: None,
            actor: Some(actor.to_owned()),
            body: body.to_string().into_bytes(),
        };
        self.ledger
            .append(entry)?
            .durable()
            .await
            .context("the rules are not loaded, because it cannot be recorded")?;
        Ok(())
    }

    /// When rules with this digest were first loaded here.
    async fn first_loaded(&self, digest: &str) -> anyhow::Result<Option<Timestamp>> {
        let (reader, digest) = (self.ledger.reader(), digest.to_owned());
        let found = tokio::task::spawn_blocking(move || search(&reader, "digest", &digest, 1)).await??;
        let since = found.first().and_then(|entry| entry.pointer("/event/since")).and_then(Value::as_str);
        Ok(since.and_then(|text| text.parse().ok()))
    }

    /// What the control socket says of them.
    pub(super) fn rules_status(&self) -> Value {
        let facts = self.rules.firewall.get().and_then(Firewall::facts);
        let custom = facts.iter().flat_map(|facts| &facts.canaries);
        let custom: Vec<_> = custom
            .map(|one| json!({ "app": one.app, "rule": one.rule, "canary": one.attack, "twin": one.twin }))
            .collect();
        let mut apps: Vec<String> = self.outlook().into_iter().map(|server| server.name).collect();
        apps.dedup();
        let rules = facts.map(|facts| {
            json!({
                "origin": facts.origin.name(), "version": facts.version, "digest": facts.digest, "made": facts.made,
                "files": facts.files.len(), "rules": facts.rules,
            })
        });
        let last = self.rules.last.lock().unwrap_or_else(PoisonError::into_inner);
        json!({
            "only_detects": self.only_detects(), "excludes": self.excludes(), "apps": apps, "custom": custom,
            "rules": rules, "feed_failing": last.failing,
        })
    }

    /// Looks at the feed when it is time, and at the age of the rules, for as long as this is polled.
    pub(super) async fn care_for_rules(&self) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            look.tick().await;
            if self.feed_is_due() {
                // What came of it is told there.
                let _ = self.look_at_feed("reeve").await;
            }
            if let Err(error) = self.tell_age().await {
                tracing::error!(%error, "that the firewall's rules are old cannot be recorded; tried again");
            }
        }
    }

    fn plan(&self) -> Option<Arc<RulePlan>> {
        self.rules.plan.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn feed_is_due(&self) -> bool {
        let Some(plan) = self.plan() else { return false };
        let Some(feed) = &plan.waf.feed else { return false };
        let last = self.rules.last.lock().unwrap_or_else(PoisonError::into_inner).looked;
        // A feed that nothing is promised of is looked at as well: its rules run.
        last.is_none_or(|last| self.clock.ticks().since(last) >= feed.every.duration())
    }

    /// Looks at the feed now.
    pub(crate) async fn update_rules(&self, asker: &str) -> anyhow::Result<Reply> {
        let (text, manifest) = match self.look_at_feed(asker).await? {
            Looked::Known(manifest) => ("nothing newer", manifest),
            Looked::Taken(manifest) => ("taken up", manifest),
        };
        let data = json!({ "version": manifest.version, "serial": manifest.serial, "made": manifest.made });
        let made = manifest.made;
        Ok(Reply::done(format!("{text}: {} serial {}, made {made}", manifest.version, manifest.serial), data))
    }

    /// Fetches what is newer, tries it, and gives it to the gateway. Whatever fails, the rules that run stay.
    async fn look_at_feed(&self, asker: &str) -> anyhow::Result<Looked> {
        let _one = self.rules.looking.lock().await;
        let looked = tokio::time::timeout(LOOK_MAX, Box::pin(self.try_feed(asker))).await;
        let looked = looked.unwrap_or_else(|_| Err(anyhow::anyhow!("it takes more than {} s", LOOK_MAX.as_secs())));
        let failing = looked.as_ref().err().map(|error| format!("{error:#}"));
        let changed = {
            let mut last = self.rules.last.lock().unwrap_or_else(PoisonError::into_inner);
            last.looked = Some(self.clock.ticks());
            let changed = last.failing != failing;
            last.failing.clone_from(&failing);
            changed
        };
        // Once for each cause: a feed that is down is looked at again and again.
        if let Some(cause) = failing.filter(|_| changed) {
            tracing::error!(cause, "the feed of rules is not followed; the rules that run stay");
            let cause: String = cause.chars().take(CAUSE_LETTERS_MAX).collect();
            let act = Act { activity: "waf.feed_failed", actor: asker, action: "update", object: &cause };
            self.act(&act).await?;
        }
        looked
    }

    async fn try_feed(&self, asker: &str) -> anyhow::Result<Looked> {
        let plan = self.plan().context("there is no gateway here")?;
        let feed = plan.waf.feed.as_ref().context("the settings name no feed: `[waf.feed]`")?;
        let cabinet = Cabinet::new(&plan.data, feed.key.clone());
        let way = Way::new(feed.source.value.clone(), feed.ca.as_ref().map(|ca| ca.value.clone()));
        let note = way.manifest().await?;
        let manifest = Manifest::open(&note, &feed.key)?;
        if manifest.follows(cabinet.manifest().as_ref(), self.clock.now())? == News::Known {
            return Ok(Looked::Known(manifest));
        }
        let mut files = Vec::with_capacity(manifest.files.len());
        for file in &manifest.files {
            files.push(match cabinet.known(file) {
                Some(bytes) => bytes,
                None => way.file(&file.sha256, file.bytes).await?,
            });
        }
        let taken = self.take(&plan, &cabinet, &note, &manifest, files, asker).await;
        if taken.is_err() {
            cabinet.discard(&note);
        }
        taken.map(|()| Looked::Taken(manifest))
    }

    /// Lays a state down, tries it, records it, and only then lets it run.
    async fn take(
        &self,
        plan: &Arc<RulePlan>,
        cabinet: &Cabinet,
        note: &[u8],
        manifest: &Manifest,
        files: Vec<Vec<u8>>,
        asker: &str,
    ) -> anyhow::Result<()> {
        let (clock, for_trial) = (Arc::clone(&self.clock), Arc::clone(plan));
        let (shelf, text, listed) = (cabinet.clone(), note.to_vec(), manifest.clone());
        let tried = tokio::task::spawn_blocking(move || {
            let set = shelf.stage(&text, &listed, &files)?;
            let settings = rules_of(&for_trial.waf, Some(set));
            anyhow::Ok(RuleSet::prepare(&settings, &for_trial.controls, &*clock)?)
        });
        let set = tried.await??;
        let Some(set) = set else {
            // The policy asks for no rules: they wait until it does.
            return Ok(cabinet.commit(note)?);
        };
        self.record_rules(set.facts(), asker).await?;
        cabinet.commit(note)?;
        if let Some(firewall) = self.rules.firewall.get()
            && !firewall.exchange(&set)
        {
            anyhow::bail!("the policy was reloaded meanwhile; `reeve reload` takes up the new rules");
        }
        Ok(())
    }

    /// Raises an event, once for each rule set, when the rules are older than the policy promises.
    async fn tell_age(&self) -> anyhow::Result<()> {
        let Some(plan) = self.plan() else { return Ok(()) };
        let Some(promise) = &plan.controls.waf_rule_age else { return Ok(()) };
        let Some(facts) = self.rules.firewall.get().and_then(Firewall::facts) else { return Ok(()) };
        let limit = SignedDuration::try_from(promise.max_age.duration()).unwrap_or(SignedDuration::MAX);
        let old = facts.made.is_none_or(|made| self.clock.now().duration_since(made) > limit);
        let name = format!("{} {}", facts.version.as_deref().unwrap_or("rules"), facts.digest);
        {
            let mut last = self.rules.last.lock().unwrap_or_else(PoisonError::into_inner);
            if !old || last.told_old.as_ref() == Some(&name) {
                return Ok(());
            }
            last.told_old = Some(name.clone());
        }
        tracing::warn!(rules = name, "the firewall's rules are older than the policy promises");
        self.act(&Act { activity: "waf.rules_old", actor: "reeve", action: "notice", object: &name }).await
    }
}

const ACTIVITY: &str = "waf.rules";
/// The shortest period of a feed is a second.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// For all of it: fetching some hundred files, and trying them.
const LOOK_MAX: Duration = Duration::from_secs(240);
const CAUSE_LETTERS_MAX: usize = 500;
