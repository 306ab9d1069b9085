//! The web application firewall: rules that look into requests before they go on and into answers before they are seen.
//!
//! The rules and the engine that runs them are in the crate `reeve-waf`; here is what the policy asks of them, what they
//! are shown of a request, and what becomes of their word. A body is looked into whole or refused, never half. What the
//! policy does not ask for costs a request one comparison.

mod desk;
mod exclude;
mod inspection;
mod mask;
mod told;

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use aws_lc_rs::digest;
use reeve_base::{Size, Timestamp};
use reeve_policy::catalogue::{Controls, WafAttackSet};
use reeve_waf::{
    BASE_RULES, Book, Engine, EngineMode, ExclusionError, Fault, OWN_RULES, Options, Source, SourceError,
};

use crate::rules::plainly;

pub(crate) use desk::Desk;
pub use exclude::Exclude;
pub(crate) use inspection::{Inspection, carry};
pub(crate) use told::Told;
pub use told::found_in_clear;

use exclude::Exclusions;

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
}

impl WafSettings {
    /// The rules with what the policy says of them, as a gateway runs them.
    ///
    /// # Errors
    /// When they cannot be run.
    pub fn engine(&self, control: &WafAttackSet) -> Result<Engine, WafError> {
        load(self, control).map(|(engine, _)| engine)
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
}

impl std::error::Error for WafError {}

impl fmt::Display for WafError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(cause) => f.write_str(cause),
            Self::Exclusions(errors) => {
                let causes: Vec<_> = errors.iter().map(|(_, error)| error.to_string()).collect();
                write!(f, "rules cannot be left out so: {}", causes.join("; "))
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
    /// Which rules these are, for events.
    digest: String,
    body_bytes_max: usize,
    /// Whether answers are looked into.
    pub(crate) responses: bool,
    detect_only: Vec<DetectOnly>,
    exclusions: Exclusions,
    /// Whether all is told that rules say.
    tell_all: bool,
}

impl Waf {
    /// None if the policy asks for none.
    pub(crate) fn new(
        settings: &WafSettings,
        controls: &Controls,
        now: Timestamp,
    ) -> Result<Option<Arc<Self>>, WafError> {
        let Some(control) = &controls.waf_attack_set else { return Ok(None) };
        let (engine, digest) = load(settings, control)?;
        Ok(Some(Arc::new(Self {
            exclusions: Exclusions::new(&settings.exclude, &engine, now)?,
            engine: Arc::new(engine),
            digest,
            body_bytes_max: usize::try_from(control.body.bytes()).unwrap_or(usize::MAX),
            responses: control.responses,
            detect_only: settings.detect_only.clone(),
            tell_all: settings.tell_all,
        })))
    }

    /// Whether such rules can be used. Those that are named are tried, whether a control asks for them or not: ones that
    /// are wrong are told of at once.
    pub(crate) fn verify(settings: &WafSettings, controls: &Controls, now: Timestamp) -> Result<(), WafError> {
        let (engine, _) = match &controls.waf_attack_set {
            Some(control) => load(settings, control)?,
            None if settings.rules.is_some() => load(settings, &WafAttackSet::default())?,
            None => return Ok(()),
        };
        Exclusions::new(&settings.exclude, &engine, now).map(drop)
    }

    /// What is left out of rules.
    pub(crate) fn excluding(&self, now: Timestamp) -> impl Iterator<Item = &Exclude> {
        self.exclusions.holding(now)
    }

    /// Where rules only find.
    pub(crate) fn only_detecting(&self, now: Timestamp) -> impl Iterator<Item = String> {
        self.detect_only.iter().filter(move |route| now < route.until).map(|route| route.path.clone())
    }

    /// Whether rules only find on this path. Only as it is spelled plainly: what an application may read otherwise is
    /// held to the rules, unless it is the whole site.
    fn only_detects(&self, path: &str, now: Timestamp) -> bool {
        if self.detect_only.iter().any(|route| now < route.until && route.path == "/") {
            return true;
        }
        self.detect_only.iter().any(|route| now < route.until && is_below(&route.path, path)) && *plainly(path) == *path
    }
}

/// Whether a path is this route or below it.
fn is_below(route: &str, path: &str) -> bool {
    let rest = path.strip_prefix(route.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl WafSettings {
    /// The rules as the gateway would run them, to be read, with the digest that events name them by.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn book(&self, control: &WafAttackSet) -> Result<(Book, String), WafError> {
        read(self, control, |files, source| Book::read(files, source))
    }

    /// The same, to be run.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn engine(&self, control: &WafAttackSet) -> Result<Engine, WafError> {
        load(self, control).map(|(engine, _)| engine)
    }
}

fn load(settings: &WafSettings, control: &WafAttackSet) -> Result<(Engine, String), WafError> {
    // Whatever rule files say of it: the policy says that it refuses.
    let mut options = Options { mode: Some(EngineMode::On), ..Options::default() };
    let usual = control.body.bytes().saturating_mul(BUDGET_FOR_EACH_BYTE).max(options.budget_bytes);
    options.budget_bytes = settings.budget.map_or(usual, Size::bytes);
    let (engine, digest) = read(settings, control, |files, source| Engine::load(files, source, options))?;
    // A firewall that finds and never refuses would be a promise that nobody keeps.
    match engine.disarmed() {
        [] => Ok((engine, digest)),
        faults => Err(WafError::Faults(faults.to_vec())),
    }
}

/// Reads the rules: what every rule stands on, their own set-up, what the policy says, the rules. With their digest.
fn read<T>(
    settings: &WafSettings,
    control: &WafAttackSet,
    make: impl FnOnce(&[&str], &dyn Source) -> Result<T, Vec<Fault>>,
) -> Result<(T, String), WafError> {
    let shelf = settings.rules.as_deref();
    let named = match shelf {
        Some(shelf) => shelf.files().map_err(WafError::Files)?,
        None => RuleFiles { set_up: Vec::new(), rules: vec![OWN.to_owned()] },
    };
    let set_up = named.set_up.iter().map(String::as_str);
    let rules = named.rules.iter().map(String::as_str);
    // Those that are built in stand on nothing else.
    let base = shelf.map(|_| BASE);
    let files: Vec<&str> = base.into_iter().chain(set_up).chain([POLICY]).chain(rules).collect();
    let digest = RefCell::new(digest::Context::new(&digest::SHA256));
    let source = WithTexts { shelf, policy: promised(control), digest };
    let made = make(&files, &source).map_err(WafError::Faults)?;
    let whole = source.digest.into_inner().finish();
    let beginning = whole.as_ref().iter().take(DIGEST_BYTES);
    Ok((made, beginning.map(|byte| format!("{byte:02x}")).collect()))
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
    /// Of all that was read, in turn.
    digest: RefCell<digest::Context>,
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
}

impl Source for WithTexts<'_> {
    fn read(&self, name: &str, beside: Option<&str>) -> Result<Vec<u8>, SourceError> {
        let text = match self.text(name) {
            Some(text) => text.as_bytes().to_vec(),
            None => self.shelf(name)?.read(name, beside)?,
        };
        let mut digest = self.digest.borrow_mut();
        // With its length, so that what one file ends with is not what the next begins with.
        digest.update(&(text.len() as u64).to_be_bytes());
        digest.update(&text);
        drop(digest);
        Ok(text)
    }

    fn list(&self, pattern: &str, beside: Option<&str>) -> Result<Vec<String>, SourceError> {
        if self.text(pattern).is_some() {
            Ok(vec![pattern.to_owned()])
        } else {
            self.shelf(pattern)?.list(pattern, beside)
        }
    }
}

/// Text in a form is looked at 32 times under the Core Rule Set at its lowest level and 64 times at its highest, and text
/// that is built against it 90 times.
const BUDGET_FOR_EACH_BYTE: u64 = 256;

/// Names of texts that are in no file.
const BASE: &str = "<base settings>";
const POLICY: &str = "<policy>";
const OWN: &str = "<built-in rules>";

/// Of the digest of rules this much is written into events: enough to see that they are others.
const DIGEST_BYTES: usize = 8;

/// An id that no rule set is known to use.
const POLICY_RULE: u32 = 999_999_002;

/// More of them only say the same.
const FAULTS_SHOWN_MAX: usize = 20;

#[cfg(test)]
mod tests;
