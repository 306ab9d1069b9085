//! A rule set on its way into the gateway: read once, known by its digest, tried before it gets traffic.
//!
//! What the engine has read is what the digest is of: the bytes are noted while they are handed over, so that no file can
//! be another one in between. Everything here may take seconds, and is done before any request sees the rules; a set that
//! is refused leaves the one before it in place.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use reeve_base::{Clock, Ticks, Timestamp};
use reeve_policy::catalogue::{Controls, WafAttackSet};
use reeve_waf::selftest::{self, Lapse};
use reeve_waf::trial::{self, Bench, Outcome};
use reeve_waf::{Engine, OWN_RULES_VERSION, Scratch};

use super::exclude::Exclusions;
use super::loading::{self, Which};
use super::{RuleShelf, WafError, WafSettings};

/// Where rules come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleOrigin {
    /// The binary.
    BuiltIn,
    /// Files that the settings name.
    Files,
    /// A feed.
    Feed,
}

impl RuleOrigin {
    /// `built-in`, `files` or `feed`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::Files => "files",
            Self::Feed => "feed",
        }
    }
}

/// A file of rules or of what they look for, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "what there is to say of it")]
pub struct RuleFile {
    /// Its name within the rule set, the same wherever that lies.
    pub name: String,
    /// SHA-256 of its bytes, in lower-case hexadecimal.
    pub sha256: String,
}

/// A rule of an application's own, and the request by which it is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "what there is to say of it")]
pub struct Canary {
    /// The application: the name of an upstream.
    pub app: String,
    /// The rule.
    pub rule: u32,
    /// Path and query that the rule must have refused. Harmless to the application.
    pub attack: String,
    /// Path and query that must be served all the same.
    pub twin: String,
}

/// Rules of an application's own.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "made by whoever has such rules")]
pub struct CustomRules {
    /// The file.
    pub shelf: Arc<dyn RuleShelf>,
    /// One for each rule in it that refuses.
    pub canaries: Vec<Canary>,
}

/// Tests of the operator's own, in the Core Rule Set's format.
pub trait TestShelf: std::fmt::Debug + Send + Sync {
    /// Names and contents of the files.
    ///
    /// # Errors
    /// Why they cannot be read.
    fn files(&self) -> Result<Vec<(String, Vec<u8>)>, String>;
}

/// What there is to say of a rule set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleFacts {
    /// Where it comes from.
    pub origin: RuleOrigin,
    /// `sha256:` and the digest of [`listing`](Self::listing), in lower-case hexadecimal.
    pub digest: String,
    /// What it calls itself; none if it does not.
    pub version: Option<String>,
    /// When it was made, as far as that can be known: of the rules in the binary by their version, of a feed's by what is
    /// signed, of files by the youngest.
    pub made: Option<Timestamp>,
    /// In the order in which they were read; each once.
    pub files: Vec<RuleFile>,
    /// How many rules there are, those of applications among them.
    pub rules: usize,
    /// Rules of applications' own.
    pub canaries: Vec<Canary>,
    /// The digest of their files; none if there are none.
    pub custom_digest: Option<String>,
    /// 16 hexadecimal digits, of all of these and of what the policy says of them: enough for events to tell rules apart.
    pub mark: String,
}

impl RuleFacts {
    /// A line for each file, as `sha256sum` prints it. The digest is of this text.
    #[must_use]
    pub fn listing(&self) -> String {
        listing(&self.files)
    }
}

/// Rules, compiled and tried, with the promise that they were made for.
#[derive(Debug)]
pub struct RuleSet {
    pub(super) engine: Arc<Engine>,
    pub(super) attacks: Option<WafAttackSet>,
    custom: bool,
    facts: RuleFacts,
}

impl RuleSet {
    /// Reads the rules that these settings and controls ask for, compares their digest with the pinned one, and tries
    /// them. None if the controls ask for none. It may take as long as loading takes, and [`TRIED_MAX`] more.
    ///
    /// # Errors
    /// With what stands in the way; nothing has changed then.
    pub fn prepare(
        settings: &WafSettings,
        controls: &Controls,
        clock: &dyn Clock,
    ) -> Result<Option<Arc<Self>>, WafError> {
        if controls.waf_attack_set.is_none() && controls.waf_custom.is_none() {
            return Ok(None);
        }
        if let Some(ready) = settings.prepared.as_ref().filter(|ready| ready.is_for(controls)) {
            return Ok(Some(Arc::clone(ready)));
        }
        let set = Self::read(settings, controls)?;
        set.pinned(settings)?;
        Exclusions::new(&settings.exclude, &set.engine, clock.now())?;
        set.tried(settings, clock)?;
        Ok(Some(Arc::new(set)))
    }

    /// Reads them and finds out what there is to say of them. They are neither compared nor tried.
    ///
    /// # Errors
    /// When they cannot be loaded.
    pub fn read(settings: &WafSettings, controls: &Controls) -> Result<Self, WafError> {
        let attacks = controls.waf_attack_set.clone();
        let custom = controls.waf_custom.is_some();
        let (engine, notes) = loading::load(settings, &Which { control: attacks.as_ref(), custom })?;
        let facts = facts(settings, &engine, notes, custom);
        Ok(Self { engine: Arc::new(engine), attacks, custom, facts })
    }

    /// What there is to say of it.
    #[must_use]
    pub const fn facts(&self) -> &RuleFacts {
        &self.facts
    }

    /// Whether both are for the same promise.
    pub(super) fn promises_as(&self, other: &Self) -> bool {
        self.attacks == other.attacks && self.custom == other.custom
    }

    fn is_for(&self, controls: &Controls) -> bool {
        self.attacks == controls.waf_attack_set && self.custom == controls.waf_custom.is_some()
    }

    fn pinned(&self, settings: &WafSettings) -> Result<(), WafError> {
        match &settings.digest {
            Some(pinned) if *pinned != self.facts.digest => {
                Err(WafError::Digest { pinned: pinned.clone(), found: self.facts.digest.clone() })
            }
            _ => Ok(()),
        }
    }

    /// The self-test, the canaries of applications' own rules, and the operator's tests.
    fn tried(&self, settings: &WafSettings, clock: &dyn Clock) -> Result<(), WafError> {
        let now = clock.now().as_second();
        if settings.self_test == SelfTest::Demanded && self.attacks.is_some() {
            let until = Deadline::after(SELF_TEST_MAX, clock);
            selftest::run(&self.engine, now, &mut || until.is_ahead(clock)).map_err(WafError::SelfTest)?;
        }
        self.canaries_sing(now)?;
        let Some(tests) = &settings.tests else { return Ok(()) };
        self.tests_pass(&**tests, now, clock)
    }

    /// Whether each rule that refuses has a canary, and refuses it and not its twin.
    fn canaries_sing(&self, now: i64) -> Result<(), WafError> {
        let of_custom = |(_, place): &(u32, &reeve_waf::Place)| place.file.starts_with(loading::CUSTOM);
        for (rule, place) in self.engine.refusing().filter(of_custom) {
            if !self.facts.canaries.iter().any(|canary| canary.rule == rule) {
                return Err(WafError::Canary(format!(
                    "rule {rule} of `{}` line {} has no canary",
                    loading::plain_name(&place.file),
                    place.line
                )));
            }
        }
        for (number, canary) in self.facts.canaries.iter().enumerate() {
            let Canary { rule, attack, twin, .. } = canary;
            let said = selftest::asked(&self.engine, attack, now, 2 * number);
            if said.refused_by.is_none() || !said.by(*rule) {
                let by = said.refused_by.map_or_else(|| String::from("nothing"), |rule| format!("rule {rule}"));
                return Err(WafError::Canary(format!("rule {rule} does not refuse its canary `{attack}`; {by} does")));
            }
            if let Some(by) = selftest::asked(&self.engine, twin, now, 2 * number + 1).refused_by {
                return Err(WafError::Canary(format!("the twin `{twin}` of rule {rule} is refused by rule {by}")));
            }
        }
        Ok(())
    }

    fn tests_pass(&self, tests: &dyn TestShelf, now: i64, clock: &dyn Clock) -> Result<(), WafError> {
        let until = Deadline::after(TESTS_MAX, clock);
        let bench = Bench { engine: &self.engine, seconds: now, overrides: None };
        let (mut scratch, mut failed) = (Scratch::default(), Vec::new());
        for (name, text) in tests.files().map_err(WafError::Files)? {
            let file = trial::read(&text).map_err(|error| WafError::Files(format!("{name}: {error}")))?;
            for trial in &file.trials {
                if !until.is_ahead(clock) {
                    let limit = TESTS_MAX.as_secs();
                    failed.push(format!("{} and what follows it: the tests are not done within {limit} s", trial.id));
                    return Err(WafError::Tests(failed));
                }
                match trial::run(&bench, trial, &mut scratch) {
                    Outcome::Passed(_) | Outcome::Ignored { .. } => {}
                    Outcome::Failed(staged) => {
                        let why: Vec<_> = staged.unmet.iter().map(ToString::to_string).collect();
                        failed.push(format!("{} of {name}: {}", trial.id, why.join("; ")));
                    }
                    Outcome::Unjudged { cause } => failed.push(format!("{} of {name}: {cause}", trial.id)),
                }
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(WafError::Tests(failed)) }
    }
}

/// Whether rules must stand the self-test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "there is no third")]
pub enum SelfTest {
    /// Before they get traffic.
    #[default]
    Demanded,
    /// They get traffic as they are.
    LeftOut,
}

/// A moment of the steady clock.
struct Deadline(Ticks, Duration);

impl Deadline {
    fn after(limit: Duration, clock: &dyn Clock) -> Self {
        Self(clock.ticks(), limit)
    }

    fn is_ahead(&self, clock: &dyn Clock) -> bool {
        clock.ticks().since(self.0) < self.1
    }
}

/// What was read while an engine was loaded.
#[derive(Debug, Default)]
pub(super) struct Notes {
    policy: String,
    files: RefCell<Vec<RuleFile>>,
    custom: RefCell<Vec<RuleFile>>,
    /// As the shelf knows them.
    names: RefCell<Vec<(String, Option<String>)>>,
}

impl Notes {
    /// Of rules among which the policy says this.
    pub(super) fn with(policy: &str) -> Self {
        Self { policy: policy.to_owned(), ..Self::default() }
    }

    /// See [`RuleFacts::mark`].
    pub(super) fn mark(&self) -> String {
        let text =
            [&*listing(&self.files.borrow()), "\n", &*listing(&self.custom.borrow()), "\n", &self.policy].concat();
        hexadecimal(text.as_bytes()).chars().take(MARK_DIGITS).collect()
    }

    /// Notes a file of the rules, which the shelf calls `name` and the rule set `label`.
    pub(super) fn of_rules(&self, name: (String, Option<String>), label: String, bytes: &[u8]) {
        self.names.borrow_mut().push(name);
        note(&mut self.files.borrow_mut(), label, bytes);
    }

    /// Notes a file of an application's own rules.
    pub(super) fn of_custom(&self, label: String, bytes: &[u8]) {
        note(&mut self.custom.borrow_mut(), label, bytes);
    }
}

/// A phrase list is read by each rule that names it, and listed once; were it another one by then, it is listed again.
fn note(files: &mut Vec<RuleFile>, name: String, bytes: &[u8]) {
    let file = RuleFile { name, sha256: hexadecimal(bytes) };
    if !files.contains(&file) {
        files.push(file);
    }
}

fn facts(settings: &WafSettings, engine: &Engine, notes: Notes, custom: bool) -> RuleFacts {
    let mark = notes.mark();
    let (files, of_custom) = (notes.files.into_inner(), notes.custom.into_inner());
    let shelf = settings.rules.as_deref();
    let own = shelf.is_none().then(|| OWN_RULES_VERSION.to_owned());
    let component = || engine.components().last().cloned();
    let names = notes.names.into_inner();
    RuleFacts {
        origin: shelf.map_or(RuleOrigin::BuiltIn, RuleShelf::origin),
        digest: digest_of(&files),
        version: own.or_else(|| shelf.and_then(RuleShelf::version)).or_else(component),
        made: shelf.map_or_else(own_made, |shelf| shelf.made(&names)),
        rules: engine.rules(),
        canaries: if custom { settings.canaries().cloned().collect() } else { Vec::new() },
        custom_digest: (!of_custom.is_empty()).then(|| digest_of(&of_custom)),
        files,
        mark,
    }
}

/// The day of the version of the rules in the binary.
fn own_made() -> Option<Timestamp> {
    let day: Date = OWN_RULES_VERSION.get(..10)?.parse().ok()?;
    Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn listing(files: &[RuleFile]) -> String {
    files.iter().fold(String::new(), |mut text, file| {
        let _ = writeln!(text, "{}  {}", file.sha256, file.name);
        text
    })
}

fn digest_of(files: &[RuleFile]) -> String {
    format!("sha256:{}", hexadecimal(listing(files).as_bytes()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Says what an attack or a harmless text has shown.
pub(super) fn lapses(lapses: &[Lapse]) -> String {
    let all: Vec<_> = lapses.iter().map(ToString::to_string).collect();
    all.join("\n  ")
}

const MARK_DIGITS: usize = 16;

/// Some 60 requests, each well below a millisecond with the largest rule sets in use.
const SELF_TEST_MAX: Duration = Duration::from_secs(10);

/// The 2000 tests of a Core Rule Set take about a second.
const TESTS_MAX: Duration = Duration::from_secs(50);

/// The longest that trying rules may take, whatever they are.
pub const TRIED_MAX: Duration = Duration::from_secs(SELF_TEST_MAX.as_secs() + TESTS_MAX.as_secs());
