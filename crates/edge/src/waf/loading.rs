//! Reading the rules: from what files, in what order, and with what the policy says among them.

use std::fmt::Write as _;

use reeve_base::Size;
use reeve_policy::catalogue::WafAttackSet;
use reeve_waf::{BASE_RULES, Engine, EngineMode, Fault, OWN_RULES, Options, Source, SourceError};

use super::rule_set::{CustomRules, Notes};
use super::{RuleFiles, RuleShelf, WafError, WafSettings};

/// Which rules are asked for.
pub(super) struct Which<'c> {
    /// What the policy says of rules against attacks; without it there are none but those of applications.
    pub(super) control: Option<&'c WafAttackSet>,
    /// Those of applications' own as well.
    pub(super) custom: bool,
}

/// Loads them, to be run.
pub(super) fn load(settings: &WafSettings, which: &Which<'_>) -> Result<(Engine, Notes), WafError> {
    // Whatever rule files say of it: the policy says that it refuses.
    let mut options = Options { mode: Some(EngineMode::On), ..Options::default() };
    let largest = which.control.map_or_else(|| WafAttackSet::default().body, |control| control.body);
    let usual = largest.bytes().saturating_mul(BUDGET_FOR_EACH_BYTE).max(options.budget_bytes);
    options.budget_bytes = settings.budget.map_or(usual, Size::bytes);
    let (engine, notes) = read(settings, which, |files, source| Engine::load(files, source, options))?;
    // A firewall that finds and never refuses would be a promise that nobody keeps.
    match engine.disarmed() {
        [] => Ok((engine, notes)),
        faults => Err(WafError::Faults(faults.to_vec())),
    }
}

/// Reads the rules: what every rule stands on, their own set-up, what the policy says, the rules, those of applications.
pub(super) fn read<T>(
    settings: &WafSettings,
    which: &Which<'_>,
    make: impl FnOnce(&[&str], &dyn Source) -> Result<T, Vec<Fault>>,
) -> Result<(T, Notes), WafError> {
    let shelf = settings.rules.as_deref();
    let named = match (shelf, which.control) {
        (_, None) => RuleFiles::default(),
        (Some(shelf), _) => shelf.files().map_err(WafError::Files)?,
        (None, _) => RuleFiles { set_up: Vec::new(), rules: vec![OWN.to_owned()] },
    };
    let set_up = named.set_up.iter().map(String::as_str);
    let rules = named.rules.iter().map(String::as_str);
    // Those that are built in stand on nothing else.
    let base = (shelf.is_some() || which.control.is_none()).then_some(BASE);
    let of_custom = if which.custom { custom_names(settings)? } else { Vec::new() };
    let last = of_custom.iter().map(String::as_str);
    let policy = which.control.map(|_| POLICY);
    let files: Vec<&str> = base.into_iter().chain(set_up).chain(policy).chain(rules).chain(last).collect();
    let policy = which.control.map(promised).unwrap_or_default();
    let source = WithTexts { shelf, notes: Notes::with(&policy), policy, custom: &settings.custom };
    let made = make(&files, &source).map_err(WafError::Faults)?;
    Ok((made, source.notes))
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
pub(super) fn plain_name(name: &str) -> &str {
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
    notes: Notes,
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

/// Text in a form is looked at 32 times under the Core Rule Set at its lowest level and 64 times at its highest, and text
/// that is built against it 90 times.
const BUDGET_FOR_EACH_BYTE: u64 = 256;

/// Names of texts that are in no file.
const BASE: &str = "<base settings>";
const POLICY: &str = "<policy>";
const OWN: &str = "<built-in rules>";
/// Begins the names of applications' own files.
pub(super) const CUSTOM: &str = "<custom ";

/// What the file of the rules in the binary is called in its folder.
const OWN_FILE: &str = "reeve.conf";

/// An id that no rule set is known to use.
const POLICY_RULE: u32 = 999_999_002;
