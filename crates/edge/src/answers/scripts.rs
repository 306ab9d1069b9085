//! The inventory of scripts on payment pages (PCI DSS 6.4.3), and what changes in it (11.6.1).
//!
//! Requests for payment pages are a small share of all, and each holds the lock for the time of a few comparisons.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use jiff::SignedDuration;
use reeve_base::{Clock, Timestamp};
use serde::{Deserialize, Serialize};

use super::coding::Coding;
use super::payment::PaymentRules;
use super::reading::{Reading, Seen};
use crate::gateway::Shared;

/// A script that is, or was, on a payment page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// The payment page, as the policy names it.
    pub page: String,
    /// Its path on the site, its URL elsewhere, or its own SHA-256 if its text is in the page.
    pub source: String,
    /// Whether its text is in the page.
    pub inline: bool,
    /// What the page says that its file must be (Subresource Integrity).
    pub integrity: Option<String>,
    /// SHA-256 of its contents, where they passed: of inline scripts and of the site's own files.
    pub digest: Option<String>,
    /// Whether the policy lets it run.
    pub authorised: bool,
    /// Whether the newest view of the page was without it.
    pub gone: bool,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// When it was last seen.
    pub last_seen: Timestamp,
    /// Who looked at it and found it right, if anybody did.
    pub approval: Option<Approval>,
    /// How often it changed since it was approved.
    pub changes: u32,
}

/// That somebody found a script right as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why it is needed there.
    pub reason: String,
    /// What it said then.
    pub digest: Option<String>,
    /// What the page said of its file then.
    pub integrity: Option<String>,
}

impl Script {
    /// A short name that stays the same as long as page and source do.
    #[must_use]
    pub fn id(&self) -> String {
        let hash = digest(&SHA256, format!("{}\n{}", self.page, self.source).as_bytes());
        hash.as_ref().iter().take(ID_BYTES).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether it is today what was approved.
    #[must_use]
    pub fn is_approved(&self) -> bool {
        let same = |approval: &Approval| approval.digest == self.digest && approval.integrity == self.integrity;
        !self.gone && self.approval.as_ref().is_some_and(same)
    }
}

/// What happened to a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "each is told in its own words")]
pub enum ScriptEvent {
    /// It was not there before.
    Appeared,
    /// It is not what it was.
    Changed,
    /// It is not there any more.
    Disappeared,
    /// A page, or a file, could not be read: it is too large, or not coded as it says.
    Unreadable,
    /// A page was not looked at for as long as the policy allows.
    Unseen,
}

/// Something that somebody should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptChange {
    /// What.
    pub event: ScriptEvent,
    /// When.
    pub at: Timestamp,
    /// On which page.
    pub page: String,
    /// Which script; empty where it is about the page.
    pub source: String,
    /// SHA-256 of its contents now, where they are known.
    pub digest: Option<String>,
    /// Whether the policy lets it run.
    pub authorised: bool,
    /// Whether it is the script of a probe.
    pub canary: bool,
}

/// What one view of a page showed.
pub(crate) struct View {
    /// Each script, and whether the policy lets it run.
    pub(crate) scripts: Vec<(bool, Seen)>,
    /// Whether there was more than could be held.
    pub(crate) overflow: bool,
}

/// The inventory of one gateway.
pub struct ScriptInventory {
    clock: Arc<dyn Clock>,
    /// Held for a moment, by whoever saw a payment page to its end or asks for the list.
    state: Mutex<State>,
    /// The site's own files among the scripts, which each request's path is compared with: without a lock.
    files: ArcSwap<HashSet<String>>,
}

#[derive(Default)]
struct State {
    scripts: BTreeMap<(String, String), Script>,
    /// When each page was last seen, or first waited for.
    pages: BTreeMap<String, PageState>,
    every: Option<Duration>,
    changes: VecDeque<ScriptChange>,
    /// Scripts that are not as they were when they were last kept.
    unkept: BTreeSet<(String, String)>,
    /// Scripts that there was no room for.
    dropped: u64,
}

#[derive(Debug, Clone, Copy)]
struct PageState {
    seen: Timestamp,
    told: bool,
}

impl std::fmt::Debug for ScriptInventory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptInventory").finish_non_exhaustive()
    }
}

impl ScriptInventory {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default(), files: ArcSwap::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is made in one step after all that could fail.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which pages are waited for, and for how long.
    pub(crate) fn follow(&self, pages: &[String], every: Option<Duration>) {
        let now = self.clock.now();
        let mut state = self.state();
        state.every = every;
        state.pages.retain(|page, _| pages.contains(page));
        for page in pages {
            state.pages.entry(page.clone()).or_insert(PageState { seen: now, told: false });
        }
    }

    /// Whether a path is that of a script on a payment page.
    pub(crate) fn is_script(&self, path: &str) -> bool {
        self.files.load().contains(path)
    }

    /// Takes notice of a whole page.
    pub(crate) fn view(&self, page: &str, view: View) {
        let now = self.clock.now();
        let mut state = self.state();
        if let Some(waited) = state.pages.get_mut(page) {
            *waited = PageState { seen: now, told: false };
        }
        if view.overflow {
            state.tell(ScriptEvent::Unreadable, page, "", None, false, now);
        }
        let shown: BTreeSet<&str> = view.scripts.iter().map(|(_, script)| script.source.as_str()).collect();
        state.miss(page, &shown, now);
        let known = state.scripts.len();
        for (authorised, seen) in view.scripts {
            state.meet(page, seen, authorised, now);
        }
        if state.scripts.len() != known {
            self.remember_files(&state);
        }
    }

    fn remember_files(&self, state: &State) {
        let own = state.scripts.keys().map(|(_, source)| source).filter(|source| source.starts_with('/'));
        self.files.store(Arc::new(own.cloned().collect()));
    }

    /// Takes notice of the contents of one of the site's own script files.
    pub(crate) fn file(&self, path: &str, contents: &str) {
        let now = self.clock.now();
        let mut state = self.state();
        let pages: Vec<_> = state.scripts.keys().filter(|(_, source)| source == path).cloned().collect();
        for key in pages {
            let Some(script) = state.scripts.get_mut(&key) else { continue };
            script.last_seen = now;
            let before = script.digest.replace(contents.to_owned());
            if before.as_deref() == Some(contents) {
                continue;
            }
            let loud = before.is_some() && script.counts();
            let authorised = script.authorised;
            state.unkept.insert(key.clone());
            if loud {
                state.tell(ScriptEvent::Changed, &key.0, path, Some(contents), authorised, now);
            }
        }
    }

    /// Takes notice that something could not be read.
    pub(crate) fn unreadable(&self, name: &str) {
        let now = self.clock.now();
        self.state().tell(ScriptEvent::Unreadable, name, "", None, false, now);
    }

    /// Has a page looked at as if it had passed, without keeping it: for a probe. Says how many scripts were seen.
    pub(crate) fn rehearse(self: &Arc<Self>, html: &str, rules: &Arc<PaymentRules>) -> usize {
        let origin = String::from("https://canary.invalid");
        let page = CANARY_PAGE.to_owned();
        let (rules, inventory) = (Arc::clone(rules), Arc::clone(self));
        let mut reading = Reading::of_page(page, origin, Coding::Identity, rules, inventory);
        reading.take(html.as_bytes());
        reading.end();
        let mut state = self.state();
        let before = state.scripts.len();
        state.scripts.retain(|(page, _), _| page != CANARY_PAGE);
        state.unkept.retain(|(page, _)| page != CANARY_PAGE);
        self.remember_files(&state);
        before - state.scripts.len()
    }

    /// Takes up scripts that were kept.
    pub fn restore(&self, scripts: impl IntoIterator<Item = Script>) {
        let mut state = self.state();
        for script in scripts {
            if state.scripts.len() < SCRIPTS_MAX {
                state.scripts.entry((script.page.clone(), script.source.clone())).or_insert(script);
            }
        }
        self.remember_files(&state);
    }

    /// Every script, by page and source.
    #[must_use]
    pub fn list(&self) -> Vec<Script> {
        self.state().scripts.values().cloned().collect()
    }

    /// When each payment page was last seen, or first waited for.
    #[must_use]
    pub fn pages(&self) -> Vec<(String, Timestamp)> {
        self.state().pages.iter().map(|(page, state)| (page.clone(), state.seen)).collect()
    }

    /// Whether there is a script by this id, and which.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Script> {
        self.state().scripts.values().find(|script| script.id() == id).cloned()
    }

    /// Notes that somebody found a script right as it was then. Says no if it has changed since or is not there.
    #[must_use]
    pub fn approve(&self, seen: &Script, by: &str, reason: &str) -> bool {
        let at = self.clock.now();
        let mut state = self.state();
        let key = (seen.page.clone(), seen.source.clone());
        let Some(script) = state.scripts.get_mut(&key) else { return false };
        if script.digest != seen.digest || script.integrity != seen.integrity {
            return false;
        }
        script.changes = 0;
        script.approval = Some(Approval {
            by: by.to_owned(),
            at,
            reason: reason.chars().take(REASON_CHARACTERS_MAX).collect(),
            digest: script.digest.clone(),
            integrity: script.integrity.clone(),
        });
        state.unkept.insert(key);
        true
    }

    /// What happened since this was last asked.
    #[must_use]
    pub fn take_changes(&self) -> Vec<ScriptChange> {
        let now = self.clock.now();
        let mut state = self.state();
        state.unseen(now);
        state.changes.drain(..).collect()
    }

    /// Scripts that are to be kept, because something about them is new.
    #[must_use]
    pub fn take_unkept(&self) -> Vec<Script> {
        let mut state = self.state();
        let keys = std::mem::take(&mut state.unkept);
        keys.iter().filter_map(|key| state.scripts.get(key)).cloned().collect()
    }
}

/// The way to the inventory of a gateway, for whoever keeps and tells of it.
#[derive(Debug, Clone)]
pub struct PaymentScripts {
    inventory: Arc<ScriptInventory>,
    shared: Weak<Shared>,
}

impl PaymentScripts {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self { inventory: Arc::clone(&shared.scripts), shared: Arc::downgrade(shared) }
    }

    /// The inventory.
    #[must_use]
    pub fn inventory(&self) -> &Arc<ScriptInventory> {
        &self.inventory
    }

    /// Has a page looked at as if the application had answered with it, without keeping what is found: for a probe.
    /// Says how many scripts were seen; none if the policy has no payment pages or the gateway has stopped.
    #[must_use]
    pub fn rehearse(&self, html: &str) -> Option<usize> {
        let rules = self.shared.upgrade()?.live.load().rules.payment.clone()?;
        (!rules.pages().is_empty()).then(|| self.inventory.rehearse(html, &rules))
    }
}

impl State {
    fn meet(&mut self, page: &str, seen: Seen, authorised: bool, now: Timestamp) {
        let key = (page.to_owned(), seen.source.clone());
        let contents = seen.inline.then(|| seen.source.clone());
        let full = self.scripts.len() >= SCRIPTS_MAX;
        let event = match self.scripts.get_mut(&key) {
            Some(script) => {
                let renewed = now.duration_since(script.last_seen) >= KEEP_EVERY;
                let came_back = std::mem::replace(&mut script.gone, false);
                let altered = script.integrity != seen.integrity;
                script.authorised = authorised;
                script.integrity = seen.integrity;
                script.last_seen = now;
                let loud = (came_back || altered) && script.counts();
                if came_back || altered || renewed {
                    self.unkept.insert(key.clone());
                }
                loud.then_some(if came_back { ScriptEvent::Appeared } else { ScriptEvent::Changed })
            }
            None if full => {
                self.dropped += 1;
                // A page that makes its scripts anew for each visitor would fill the record; that it does is told once.
                (self.dropped == 1).then_some(ScriptEvent::Unreadable)
            }
            None => {
                let script = Script {
                    page: key.0.clone(),
                    source: seen.source,
                    inline: seen.inline,
                    integrity: seen.integrity,
                    digest: contents.clone(),
                    authorised,
                    gone: false,
                    first_seen: now,
                    last_seen: now,
                    approval: None,
                    changes: 0,
                };
                self.unkept.insert(key.clone());
                self.scripts.insert(key.clone(), script);
                Some(ScriptEvent::Appeared)
            }
        };
        if let Some(event) = event {
            self.tell(event, page, &key.1, contents.as_deref(), authorised, now);
        }
    }

    /// Notes which scripts of a page are not shown any more.
    fn miss(&mut self, page: &str, shown: &BTreeSet<&str>, now: Timestamp) {
        let mut missed = Vec::new();
        let of_page = self.scripts.iter_mut().filter(|((on, _), _)| on == page);
        for (key, script) in of_page.filter(|((_, source), script)| !script.gone && !shown.contains(source.as_str())) {
            script.gone = true;
            missed.push((key.clone(), script.authorised, script.counts()));
        }
        for (key, authorised, loud) in missed {
            if loud {
                self.tell(ScriptEvent::Disappeared, &key.0, &key.1, None, authorised, now);
            }
            self.unkept.insert(key);
        }
    }

    fn unseen(&mut self, now: Timestamp) {
        let Some(every) = self.every.and_then(|every| SignedDuration::try_from(every).ok()) else { return };
        let late: Vec<_> = self
            .pages
            .iter_mut()
            .filter(|(_, state)| !state.told && now.duration_since(state.seen) > every)
            .map(|(page, state)| {
                state.told = true;
                page.clone()
            })
            .collect();
        for page in late {
            self.tell(ScriptEvent::Unseen, &page, "", None, true, now);
        }
    }

    fn tell(
        &mut self,
        event: ScriptEvent,
        page: &str,
        source: &str,
        digest: Option<&str>,
        authorised: bool,
        at: Timestamp,
    ) {
        let change = ScriptChange {
            event,
            at,
            page: page.to_owned(),
            source: source.to_owned(),
            digest: digest.map(str::to_owned),
            authorised,
            canary: page == CANARY_PAGE,
        };
        if self.changes.len() >= CHANGES_MAX {
            self.changes.pop_front();
        }
        // The same thing twice before anybody looked is one thing.
        if self.changes.back().is_none_or(|last| {
            (last.event, &last.page, &last.source, &last.digest)
                != (change.event, &change.page, &change.source, &change.digest)
        }) {
            self.changes.push_back(change);
        }
    }
}

impl Script {
    /// Counts a change, and says whether it is still told: a page that shows one of two scripts by turns would ring for
    /// ever. Until it is approved anew, the list shows it.
    fn counts(&mut self) -> bool {
        self.changes = self.changes.saturating_add(1);
        self.changes <= CHANGES_OF_ONE_MAX
    }
}

/// What stands for the page in a rehearsal; no path begins so.
const CANARY_PAGE: &str = "(canary)";

/// All pages together: a few of each are usual.
const SCRIPTS_MAX: usize = 1_000;

/// What waits to be told; fetched several times a second.
const CHANGES_MAX: usize = 1_000;
const CHANGES_OF_ONE_MAX: u32 = 16;

/// How often it is kept that a script is still there.
const KEEP_EVERY: SignedDuration = SignedDuration::from_mins(5);
const ID_BYTES: usize = 6;
const REASON_CHARACTERS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use reeve_base::SystemClock;

    use super::*;

    fn inventory() -> Arc<ScriptInventory> {
        Arc::new(ScriptInventory::new(Arc::new(SystemClock::new())))
    }

    fn look(inventory: &Arc<ScriptInventory>, html: &str) -> Vec<(ScriptEvent, String)> {
        let origin = String::from("https://shop.example.com");
        let rules = Arc::new(PaymentRules::empty());
        let mut reading =
            Reading::of_page(String::from("/checkout"), origin, Coding::Identity, rules, Arc::clone(inventory));
        reading.take(html.as_bytes());
        reading.end();
        changes(inventory)
    }

    fn changes(inventory: &ScriptInventory) -> Vec<(ScriptEvent, String)> {
        inventory.take_changes().into_iter().map(|change| (change.event, change.source)).collect()
    }

    #[test]
    fn a_script_that_comes_changes_or_goes_is_told_once() {
        use ScriptEvent::{Appeared, Changed, Disappeared};
        let inventory = inventory();
        let told = |event, source: &str| vec![(event, source.to_owned())];
        assert_eq!(look(&inventory, "<script src=/a.js></script>"), told(Appeared, "/a.js"));
        assert_eq!(look(&inventory, "<script src=/a.js></script>"), []);
        inventory.file("/a.js", "sha256-1");
        assert_eq!(changes(&inventory), []);
        inventory.file("/a.js", "sha256-2");
        assert_eq!(changes(&inventory), told(Changed, "/a.js"));
        assert_eq!(look(&inventory, "<script src=/a.js integrity=sha256-x></script>"), told(Changed, "/a.js"));
        assert_eq!(look(&inventory, "<p>nothing"), told(Disappeared, "/a.js"));
        assert_eq!(look(&inventory, "<p>nothing"), []);
        assert!(inventory.is_script("/a.js") && !inventory.is_script("/b.js"));
    }

    #[test]
    fn what_was_approved_stays_approved_until_it_changes() {
        let inventory = inventory();
        look(&inventory, "<script src=/a.js></script>");
        inventory.file("/a.js", "sha256-1");
        let script = inventory.list().remove(0);
        assert!(!script.is_approved());
        assert!(inventory.approve(&script, "uid:0", "the total"));
        let script = inventory.find(&script.id()).unwrap();
        assert!(script.is_approved());
        inventory.file("/a.js", "sha256-2");
        assert!(!inventory.find(&script.id()).unwrap().is_approved());
        // What was looked at is not what is there now.
        assert!(!inventory.approve(&script, "uid:0", "again"));
    }

    #[test]
    fn a_page_that_makes_scripts_anew_fills_nothing() {
        let inventory = inventory();
        for number in 0..SCRIPTS_MAX + 10 {
            look(&inventory, &format!("<script>{number}</script>"));
        }
        assert_eq!(inventory.list().len(), SCRIPTS_MAX);
    }

    #[test]
    fn a_rehearsal_rings_and_leaves_nothing() {
        let inventory = inventory();
        let seen = inventory.rehearse("<script src=/canary.js></script>", &Arc::new(PaymentRules::empty()));
        assert_eq!((seen, inventory.list().len(), inventory.take_unkept().len()), (1, 0, 0));
        let changes = inventory.take_changes();
        assert!(changes[0].canary && changes[0].source == "/canary.js", "{changes:?}");
    }

    #[test]
    fn a_page_that_nobody_sees_is_told_of_once() {
        let inventory = inventory();
        inventory.follow(&[String::from("/checkout")], Some(Duration::ZERO));
        assert_eq!(changes(&inventory).len(), 1);
        assert_eq!(changes(&inventory), []);
    }
}
