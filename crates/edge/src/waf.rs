//! The web application firewall: rules that look into requests before they go on and into answers before they are seen.
//!
//! The rules and the engine that runs them are in the crate `reeve-waf`; here is what the policy asks of them, what they
//! are shown of a request, and what becomes of their word. A body is looked into whole or refused, never half. What the
//! policy does not ask for costs a request one comparison.

mod desk;
mod exclude;
mod firewall;
mod inspection;
mod loading;
mod mask;
mod rule_set;
mod told;

use std::fmt;
use std::sync::Arc;

use reeve_base::{Clock, Size, Timestamp};
use reeve_policy::catalogue::{Controls, WafAttackSet};
use reeve_waf::selftest::Lapse;
use reeve_waf::{Book, Engine, ExclusionError, Fault, Source};

use crate::rules::plainly;

pub(crate) use desk::Desk;
pub use exclude::Exclude;
pub use firewall::Firewall;
pub(crate) use inspection::{Inspection, carry};
pub use rule_set::{Canary, CustomRules, RuleFacts, RuleFile, RuleOrigin, RuleSet, SelfTest, TRIED_MAX, TestShelf};
pub(crate) use told::Told;
pub use told::found_in_clear;

use exclude::Exclusions;
use loading::Which;

/// What a deployment says of its firewall.
#[derive(Debug, Clone, Default)]
pub struct WafSettings {
    /// The rules; none for those that are built in.
    pub rules: Option<Arc<dyn RuleShelf>>,
    /// Where rules only find, and nothing is refused, until a day.
    pub detect_only: Vec<DetectOnly>,
    /// What is left out of rules, where, until a day.
    pub exclude: Vec<Exclude>,
    /// How much rules may look at for one request and its answer, each byte counted once for each rule or transformation
    /// that looks at it; none for 256 times the largest body, and 256 MiB at least.
    pub budget: Option<Size>,
    /// Whether each request of which rules said something gets an event with all that they said, refused or not.
    pub tell_all: bool,
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

    /// The rules with what the policy says of them, as the gateway would run them, to be read; and the mark that events
    /// have of them ([`RuleFacts::mark`]).
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn book(&self, control: &WafAttackSet) -> Result<(Book, String), WafError> {
        let (book, notes) = loading::read(self, &self.all(control), |files, source| Book::read(files, source))?;
        Ok((book, notes.mark()))
    }

    /// The same, to be run.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn engine(&self, control: &WafAttackSet) -> Result<Engine, WafError> {
        loading::load(self, &self.all(control)).map(|(engine, _)| engine)
    }

    fn all<'c>(&self, control: &'c WafAttackSet) -> Which<'c> {
        Which { control: Some(control), custom: !self.custom.is_empty() }
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
    /// They cannot be left out as is asked for: which of [`WafSettings::exclude`], counted from 0, and why; never empty.
    Exclusions(Vec<(usize, ExclusionError)>),
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
            Self::Exclusions(errors) => {
                let causes: Vec<_> = errors.iter().map(|(_, error)| error.to_string()).collect();
                write!(f, "rules cannot be left out so: {}", causes.join("; "))
            }
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
    set: Arc<RuleSet>,
    body_bytes_max: usize,
    /// Whether answers are looked into.
    pub(crate) responses: bool,
    exclusions: Exclusions,
    settings: WafSettings,
}

impl Waf {
    /// None if the policy asks for none. Rules that were tried already are taken as they are.
    pub(crate) fn new(
        settings: &WafSettings,
        controls: &Controls,
        clock: &dyn Clock,
    ) -> Result<Option<Arc<Self>>, WafError> {
        let set = RuleSet::prepare(settings, controls, clock)?;
        // A reload has rules of its own.
        let settings = WafSettings { prepared: None, ..settings.clone() };
        set.map(|set| Self::of(&set, settings, clock.now())).transpose()
    }

    fn of(set: &Arc<RuleSet>, settings: WafSettings, now: Timestamp) -> Result<Arc<Self>, WafError> {
        // Rules of applications' own look into requests even where nothing else does.
        let control = set.attacks.clone().unwrap_or(WafAttackSet { responses: false, ..WafAttackSet::default() });
        Ok(Arc::new(Self {
            exclusions: Exclusions::new(&settings.exclude, &set.engine, now)?,
            body_bytes_max: usize::try_from(control.body.bytes()).unwrap_or(usize::MAX),
            responses: control.responses,
            set: Arc::clone(set),
            settings,
        }))
    }

    /// The same with other rules, if they are for the same promise.
    pub(crate) fn with(&self, set: &Arc<RuleSet>, now: Timestamp) -> Option<Arc<Self>> {
        set.promises_as(&self.set).then(|| Self::of(set, self.settings.clone(), now).ok()).flatten()
    }

    /// What there is to say of the rules.
    pub(crate) fn facts(&self) -> &RuleFacts {
        self.set.facts()
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.set.engine
    }

    /// Which rules these are, for events.
    pub(crate) fn mark(&self) -> &str {
        &self.set.facts().mark
    }

    /// Whether such rules can be used. Those that are named are tried, whether a control asks for them or not: ones that
    /// are wrong are told of at once.
    pub(crate) fn verify(settings: &WafSettings, controls: &Controls, clock: &dyn Clock) -> Result<(), WafError> {
        if RuleSet::prepare(settings, controls, clock)?.is_none() && settings.rules.is_some() {
            let which = Which { control: Some(&WafAttackSet::default()), custom: false };
            let (engine, _) = loading::load(settings, &which)?;
            Exclusions::new(&settings.exclude, &engine, clock.now())?;
        }
        Ok(())
    }

    /// What is left out of rules.
    pub(crate) fn excluding(&self, now: Timestamp) -> impl Iterator<Item = &Exclude> {
        self.exclusions.holding(now)
    }

    /// Where rules only find.
    pub(crate) fn only_detecting(&self, now: Timestamp) -> impl Iterator<Item = String> {
        self.settings.detect_only.iter().filter(move |route| now < route.until).map(|route| route.path.clone())
    }

    /// Whether rules only find on this path. Only as it is spelled plainly: what an application may read otherwise is
    /// held to the rules, unless it is the whole site.
    fn only_detects(&self, path: &str, now: Timestamp) -> bool {
        if self.settings.detect_only.iter().any(|route| now < route.until && route.path == "/") {
            return true;
        }
        self.settings.detect_only.iter().any(|route| now < route.until && is_below(&route.path, path))
            && *plainly(path) == *path
    }
}

/// Whether a path is this route or below it.
fn is_below(route: &str, path: &str) -> bool {
    let rest = path.strip_prefix(route.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// More of them only say the same.
const FAULTS_SHOWN_MAX: usize = 20;

#[cfg(test)]
mod tests;
