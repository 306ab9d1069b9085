//! The web application firewall: rules that look into requests before they go on and into answers before they are seen.
//!
//! The rules and the engine that runs them are in the crate `reeve-waf`; here is what the policy asks of them, what they
//! are shown of a request, and what becomes of their word. A body is looked into whole or refused, never half. What the
//! policy does not ask for costs a request one comparison.

mod desk;
mod firewall;
mod inspection;
mod rule_set;
mod told;

use std::fmt::{self, Write as _};
use std::sync::Arc;

use reeve_base::{Clock, Timestamp};
use reeve_policy::catalogue::{Controls, WafAttackSet};
use reeve_waf::selftest::Lapse;
use reeve_waf::{BASE_RULES, Engine, EngineMode, Fault, OWN_RULES, Options, Source, SourceError};

use crate::rules::plainly;

pub(crate) use desk::Desk;
pub use firewall::Firewall;
pub(crate) use inspection::{Inspection, carry};
pub use rule_set::{Canary, CustomRules, RuleFacts, RuleFile, RuleOrigin, RuleSet, SelfTest, TRIED_MAX, TestShelf};

/// What a deployment says of its firewall.
#[derive(Debug, Clone, Default)]
pub struct WafSettings {
    /// The rules; none for those that are built in.
    pub rules: Option<Arc<dyn RuleShelf>>,
    /// Where rules only find, and nothing is refused, until a day.
    pub detect_only: Vec<DetectOnly>,
    /// The digest that the rules must have, as [`RuleFacts::digest`] tells it; none for any.
    pub digest: Option<String>,
    /// Rules of applications' own, after the others. They run where the policy promises them (`waf.custom`).
    pub custom: Vec<CustomRules>,
    /// Whether rules must stand the self-test before they get traffic.
    pub self_test: SelfTest,
    /// Tests that rules must pass as well.
    pub tests: Option<Arc<dyn TestShelf>>,
    /// Rules that were read and tried already; used if they are for the same promise.
    pub prepared: Option<Arc<RuleSet>>,
}

impl WafSettings {
    /// The canaries of applications' own rules.
    pub fn canaries(&self) -> impl Iterator<Item = &Canary> {
        self.custom.iter().flat_map(|custom| &custom.canaries)
    }
}

/// A part of the site on which rules only find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetectOnly {
    /// It and what is below it, as it is spelled plainly.
    pub path: String,
    /// From here on it is as everywhere.
    pub until: Timestamp,
}

/// Rule files that a deployment has named. They are read at start, at every reload and at every check.
pub trait RuleShelf: Source + fmt::Debug + Send + Sync {
    /// Which files there are, in their order.
    ///
    /// # Errors
    /// Why there are none, with what to do about it.
    fn files(&self) -> Result<RuleFiles, String>;

    /// What a file is called within the rule set, the same wherever that lies. `name` and `beside` as for
    /// [`read`](Source::read).
    fn label(&self, name: &str, _beside: Option<&str>) -> String {
        name.to_owned()
    }

    /// Where they come from.
    fn origin(&self) -> RuleOrigin {
        RuleOrigin::Files
    }

    /// Their version, if it is known beside what the rules call themselves.
    fn version(&self) -> Option<String> {
        None
    }

    /// When they were made, as far as that can be known; `read` are names and who named them, as for
    /// [`read`](Source::read).
    fn made(&self, _read: &[(String, Option<String>)]) -> Option<Timestamp> {
        None
    }
}

/// Names of rule files, as their shelf reads them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "made by whoever has rules")]
pub struct RuleFiles {
    /// Those that set rules up: what the policy says goes after them.
    pub set_up: Vec<String>,
    /// The rules.
    pub rules: Vec<String>,
}

/// Why rules cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum WafError {
    /// There are none.
    Files(String),
    /// They cannot be run as they are written; never empty.
    Faults(Vec<Fault>),
    /// They are not those that are pinned.
    Digest {
        /// What the settings say.
        pinned: String,
        /// What they are.
        found: String,
    },
    /// Attacks pass or harmless texts do not; never empty.
    SelfTest(Vec<Lapse>),
    /// A rule of an application's own has no canary, or does not refuse it.
    Canary(String),
    /// Tests of the operator's own failed; never empty.
    Tests(Vec<String>),
}

impl std::error::Error for WafError {}

impl fmt::Display for WafError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(cause) | Self::Canary(cause) => f.write_str(cause),
            Self::Digest { pinned, found } => {
                write!(f, "the firewall's rules are not those that are pinned: found {found}, pinned is {pinned}")
            }
            Self::SelfTest(all) => {
                write!(f, "the firewall's rules do not stand their self-test:\n  {}", rule_set::lapses(all))
            }
            Self::Tests(all) => {
                let shown: Vec<_> = all.iter().take(FAULTS_SHOWN_MAX).map(String::as_str).collect();
                write!(f, "the firewall's rules fail {} of their tests:\n  {}", all.len(), shown.join("\n  "))
            }
            Self::Faults(faults) => {
                let count = faults.len();
                let s = if count == 1 { "" } else { "s" };
                write!(f, "the firewall's rules cannot be loaded, {count} fault{s}")?;
                faults.iter().take(FAULTS_SHOWN_MAX).try_for_each(|fault| write!(f, "\n  {fault}"))?;
                let more = count.saturating_sub(FAULTS_SHOWN_MAX);
                if more > 0 { write!(f, "\n  and {more} more") } else { Ok(()) }
            }
        }
    }
}

/// What requests and answers are looked into for. Immutable: a reload makes a new one.
#[derive(Debug)]
pub(crate) struct Waf {
    engine: Arc<Engine>,
    body_bytes_max: usize,
    /// Whether answers are looked into.
    pub(crate) responses: bool,
    detect_only: Vec<DetectOnly>,
    set: Arc<RuleSet>,
}

impl Waf {
    /// None if the policy asks for none. Rules that were tried already are taken as they are.
    pub(crate) fn new(
        settings: &WafSettings,
        controls: &Controls,
        clock: &dyn Clock,
    ) -> Result<Option<Arc<Self>>, WafError> {
        Ok(RuleSet::prepare(settings, controls, clock)?.map(|set| Self::of(&set, settings.detect_only.clone())))
    }

    fn of(set: &Arc<RuleSet>, detect_only: Vec<DetectOnly>) -> Arc<Self> {
        // Rules of applications' own look into requests even where nothing else does.
        let control = set.attacks.clone().unwrap_or(WafAttackSet { responses: false, ..WafAttackSet::default() });
        Arc::new(Self {
            engine: Arc::clone(&set.engine),
            body_bytes_max: usize::try_from(control.body.bytes()).unwrap_or(usize::MAX),
            responses: control.responses,
            detect_only,
            set: Arc::clone(set),
        })
    }

    /// The same with other rules, if they are for the same promise.
    pub(crate) fn with(&self, set: &Arc<RuleSet>) -> Option<Arc<Self>> {
        set.promises_as(&self.set).then(|| Self::of(set, self.detect_only.clone()))
    }

    /// What there is to say of the rules.
    pub(crate) fn facts(&self) -> &RuleFacts {
        self.set.facts()
    }

    /// Whether such rules can be used. Those that are named are tried, whether a control asks for them or not: ones that
    /// are wrong are told of at once.
    pub(crate) fn verify(settings: &WafSettings, controls: &Controls, clock: &dyn Clock) -> Result<(), WafError> {
        if RuleSet::prepare(settings, controls, clock)?.is_none() && settings.rules.is_some() {
            load(settings, Some(&WafAttackSet::default()), false)?;
        }
        Ok(())
    }

    /// Where rules only find.
    pub(crate) fn only_detecting(&self, now: Timestamp) -> impl Iterator<Item = String> {
        self.detect_only.iter().filter(move |route| now < route.until).map(|route| route.path.clone())
    }

    /// Whether rules only find on this path. Only as it is spelled plainly: what an application may read otherwise is
    /// held to the rules.
    fn only_detects(&self, path: &str, now: Timestamp) -> bool {
        let below = |route: &str| {
            let rest = path.strip_prefix(route.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.detect_only.iter().any(|route| now < route.until && below(&route.path)) && *plainly(path) == *path
    }
}

/// Loads the rules: what every rule stands on, their own set-up, what the policy says, the rules, those of applications.
/// Without a promise of the rest, the last alone.
fn load(
    settings: &WafSettings,
    control: Option<&WafAttackSet>,
    custom: bool,
) -> Result<(Engine, rule_set::Notes), WafError> {
    let shelf = settings.rules.as_deref();
    let named = match (shelf, control) {
        (_, None) => RuleFiles::default(),
        (Some(shelf), _) => shelf.files().map_err(WafError::Files)?,
        (None, _) => RuleFiles { set_up: Vec::new(), rules: vec![OWN.to_owned()] },
    };
    let set_up = named.set_up.iter().map(String::as_str);
    let rules = named.rules.iter().map(String::as_str);
    // Those that are built in stand on nothing else.
    let base = (shelf.is_some() || control.is_none()).then_some(BASE);
    let of_custom = if custom { custom_names(settings)? } else { Vec::new() };
    let last = of_custom.iter().map(String::as_str);
    let policy = control.map(|_| POLICY);
    let files: Vec<&str> = base.into_iter().chain(set_up).chain(policy).chain(rules).chain(last).collect();
    let policy = control.map(promised).unwrap_or_default();
    let source = WithTexts { shelf, policy, custom: &settings.custom, notes: rule_set::Notes::default() };
    // Whatever rule files say of it: the policy says that it refuses.
    let options = Options { mode: Some(EngineMode::On), ..Options::default() };
    let engine = Engine::load(&files, &source, options).map_err(WafError::Faults)?;
    Ok((engine, source.notes))
}

/// The files of applications' own rules, under names that tell them from all others.
fn custom_names(settings: &WafSettings) -> Result<Vec<String>, WafError> {
    let mut names = Vec::new();
    for (number, custom) in settings.custom.iter().enumerate() {
        let files = custom.shelf.files().map_err(WafError::Files)?;
        names.extend(files.set_up.iter().chain(&files.rules).map(|name| format!("{CUSTOM}{number}>{name}")));
    }
    Ok(names)
}

/// A name as whoever wrote the file knows it.
fn plain_name(name: &str) -> &str {
    name.strip_prefix(CUSTOM).and_then(|rest| rest.split_once('>')).map_or(name, |(_, plain)| plain)
}

/// What the policy says, under the names that versions 3 and 4 of the Core Rule Set know.
fn promised(control: &WafAttackSet) -> String {
    let mut text = format!("SecAction \"id:{POLICY_RULE},phase:1,pass,nolog,t:none");
    let levels = ["blocking_paranoia_level", "detection_paranoia_level", "paranoia_level", "executing_paranoia_level"];
    for name in levels {
        let _ = write!(text, ",setvar:tx.{name}={}", control.paranoia);
    }
    let _ = writeln!(text, ",setvar:tx.inbound_anomaly_score_threshold={}\"", control.threshold);
    text
}

/// Files of a shelf, and the texts that are on none.
struct WithTexts<'s> {
    shelf: Option<&'s dyn RuleShelf>,
    policy: String,
    custom: &'s [CustomRules],
    notes: rule_set::Notes,
}

impl WithTexts<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        match name {
            BASE => Some(BASE_RULES),
            POLICY => Some(&self.policy),
            OWN => Some(OWN_RULES),
            _ => None,
        }
    }

    fn shelf(&self, name: &str) -> Result<&dyn RuleShelf, SourceError> {
        let cause = || String::from("the rules that are built in have no such file");
        self.shelf.ok_or_else(|| SourceError { name: name.to_owned(), cause: cause() })
    }

    /// The shelf of an application's own rules that a name, or the file that names it, is of.
    fn of_custom(&self, name: &str, beside: Option<&str>) -> Option<(usize, &dyn RuleShelf)> {
        let of = if name.starts_with(CUSTOM) { name } else { beside? };
        let number: usize = of.strip_prefix(CUSTOM)?.split_once('>')?.0.parse().ok()?;
        Some((number, &*self.custom.get(number)?.shelf))
    }
}

impl Source for WithTexts<'_> {
    fn read(&self, name: &str, beside: Option<&str>) -> Result<Vec<u8>, SourceError> {
        if let Some(text) = self.text(name) {
            if name == OWN {
                self.notes.of_rules((name.to_owned(), None), OWN_FILE.to_owned(), text.as_bytes());
            }
            return Ok(text.as_bytes().to_vec());
        }
        if let Some((_, shelf)) = self.of_custom(name, beside) {
            let (name, beside) = (plain_name(name), beside.map(plain_name));
            let bytes = shelf.read(name, beside)?;
            self.notes.of_custom(shelf.label(name, beside), &bytes);
            return Ok(bytes);
        }
        let shelf = self.shelf(name)?;
        let bytes = shelf.read(name, beside)?;
        let label = shelf.label(name, beside);
        self.notes.of_rules((name.to_owned(), beside.map(str::to_owned)), label, &bytes);
        Ok(bytes)
    }

    fn list(&self, pattern: &str, beside: Option<&str>) -> Result<Vec<String>, SourceError> {
        if self.text(pattern).is_some() || pattern.starts_with(CUSTOM) {
            return Ok(vec![pattern.to_owned()]);
        }
        match self.of_custom(pattern, beside) {
            Some((number, shelf)) => {
                let found = shelf.list(pattern, beside.map(plain_name))?;
                Ok(found.into_iter().map(|name| format!("{CUSTOM}{number}>{name}")).collect())
            }
            None => self.shelf(pattern)?.list(pattern, beside),
        }
    }
}

/// Names of texts that are in no file.
const BASE: &str = "<base settings>";
const POLICY: &str = "<policy>";
const OWN: &str = "<built-in rules>";
/// Begins the names of applications' own files.
const CUSTOM: &str = "<custom ";

/// What the file of the rules in the binary is called in its folder.
const OWN_FILE: &str = "reeve.conf";

/// An id that no rule set is known to use.
const POLICY_RULE: u32 = 999_999_002;

/// More of them only say the same.
const FAULTS_SHOWN_MAX: usize = 20;

#[cfg(test)]
mod tests;
