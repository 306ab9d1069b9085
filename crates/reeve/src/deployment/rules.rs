//! The rules of the firewall, from the files that the settings name.

use std::path::PathBuf;
use std::sync::Arc;

use reeve_base::{Diagnostic, Severity, Timestamp};
use reeve_edge::{DetectOnly, Exclude, RuleFiles as Ordered, RuleShelf, WafSettings};
use reeve_policy::catalogue::Controls;
use reeve_waf::{Engine, ExclusionError, Fault, Source, SourceError};

use crate::diagnostics::plural;
use crate::rule_files::{self, RuleFiles};
use crate::settings::{self, Settings};

/// What the settings mean for the gateway.
pub(super) fn edge(settings: &Settings) -> WafSettings {
    let detect_only = settings.waf.detect_only.iter();
    WafSettings {
        detect_only: detect_only.map(|one| DetectOnly { path: one.path.clone(), until: one.until }).collect(),
        exclude: settings.waf.exclude.iter().map(left_out).collect(),
        budget: settings.waf.budget,
        tell_all: settings.waf.tell_all,
        ..waf_rules(settings.waf.rules.iter().map(|path| path.value.clone()).collect())
    }
}

/// Folders and files of rules; none for those that are built in.
pub(crate) fn waf_rules(named: Vec<PathBuf>) -> WafSettings {
    let some = !named.is_empty();
    let shelf = || Arc::new(Named { named, files: RuleFiles::default() }) as Arc<dyn RuleShelf>;
    WafSettings { rules: some.then(shelf), ..WafSettings::default() }
}

fn left_out(one: &settings::Exclude) -> Exclude {
    Exclude {
        rules: one.rules.value.clone(),
        path: one.path.value.clone(),
        method: one.method.clone(),
        variable: one.variable.as_ref().map(|variable| variable.value.clone()),
        whole: one.whole,
        until: one.until,
    }
}

/// What is left out of rules and need not be written any more.
pub(super) fn ended(settings: &Settings, now: Timestamp) -> Vec<Diagnostic> {
    let ended = settings.waf.exclude.iter().filter(|one| now >= one.until);
    let warn = |one: &settings::Exclude| {
        let message = format!("the rules hold again: {}", left_out(one));
        let help = "remove the entry, or look into it again and give it another day; `reeve waf suggest` shows what it lets by";
        Diagnostic::warning("settings::exclude", message).at(one.span.clone(), "has ended").help(help)
    };
    ended.map(warn).collect()
}

/// What a check says of the firewall, beside faults: where rules only find, what is left out, what rule files switch off.
pub(super) fn survey(settings: &Settings, controls: &Controls, now: Timestamp) -> Vec<Diagnostic> {
    let mut told = detecting(settings, controls, now);
    told.extend(ended(settings, now));
    let Some(control) = &controls.waf_attack_set else { return told };
    let holding: Vec<_> = settings.waf.exclude.iter().filter(|one| now < one.until).collect();
    if let Some(first) = holding.iter().min_by_key(|one| one.until) {
        let count = plural(holding.len(), "exclusion");
        let end = first.until.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%d at %H:%M UTC");
        let message = format!("{count} from the firewall's rules, the first until {end}: {}", left_out(first));
        let note = Diagnostic::warning("settings::exclude", message).at(first.span.clone(), "the first to end");
        told.push(Diagnostic { severity: Severity::Note, ..note.help("`reeve prove` shows them with the clause") });
    }
    if settings.waf.rules.is_empty() && holding.is_empty() {
        return told;
    }
    // What cannot be loaded is told as a fault.
    let Ok(engine) = edge(settings).engine(control) else { return told };
    told.extend(holding.iter().filter_map(|one| unread(one, &engine)));
    let span = settings.waf.rules.first().map(|rules| rules.span.clone()).unwrap_or_default();
    let warn = |fault: &Fault| {
        let message = format!("{}:{}: {}", fault.place.file, fault.place.line, fault.message);
        let warning =
            Diagnostic::warning("settings::waf", message).at(span.clone(), "in the rules that are named here");
        if let Some(help) = &fault.help { warning.help(help) } else { warning }
    };
    told.extend(engine.disarmed_sometimes().iter().take(WARNINGS_MAX).map(warn));
    told
}

/// Whoever leaves out that a body could not be read leaves out all that might be found in it.
fn unread(one: &settings::Exclude, engine: &Engine) -> Option<Diagnostic> {
    let about = |rule: &&u32| UNREAD.iter().any(|variable| engine.looks_at(**rule, variable));
    let rule = one.rules.value.iter().find(about)?;
    let message = format!("bodies that cannot be read pass unseen under `{}`", one.path.value);
    let why = format!("rule {rule} is what refuses them");
    let help = "let rules only find there for a time, which the evidence shows as what it is, or have the client send what its Content-Type says";
    Some(Diagnostic::warning("settings::exclude", message).at(one.rules.span.clone(), why).help(help))
}

/// What says that a body could not be read, or not in one way only.
const UNREAD: [&str; 4] =
    ["REQBODY_ERROR", "REQBODY_PROCESSOR_ERROR", "MULTIPART_STRICT_ERROR", "MULTIPART_UNMATCHED_BOUNDARY"];

/// Points at the exclusions that cannot be.
pub(super) fn not_excluded(settings: &Settings, errors: &[(usize, ExclusionError)]) -> Option<Diagnostic> {
    let place = |at: usize, error: &ExclusionError| {
        let one = settings.waf.exclude.get(at)?;
        let of_rule = matches!(error, ExclusionError::Unknown { .. } | ExclusionError::Needed { .. });
        let variable = one.variable.as_ref().filter(|_| !of_rule);
        Some(variable.map_or_else(|| one.rules.span.clone(), |variable| variable.span.clone()))
    };
    let (_, first) = errors.first()?;
    let mut fault = match errors {
        [(_, only)] => Diagnostic::error("settings::exclude", only.to_string()),
        _ => Diagnostic::error("settings::exclude", format!("{} exclusions cannot be", errors.len())),
    };
    for (at, error) in errors.iter().take(ERRORS_MAX) {
        let text = if errors.len() == 1 { String::from("left out here") } else { error.to_string() };
        fault = fault.at(place(*at, error)?, text);
    }
    let mut helps: Vec<String> = Vec::new();
    for (_, error) in errors.iter().take(ERRORS_MAX) {
        let help = if errors.len() == 1 { first.help() } else { format!("{error}: {}", error.help()) };
        if !helps.contains(&help) {
            helps.push(help);
        }
    }
    Some(fault.help(helps.join("; ")))
}

/// Where nothing is refused although the policy promises it, and where that is over.
pub(super) fn detecting(settings: &Settings, controls: &Controls, now: Timestamp) -> Vec<Diagnostic> {
    if controls.waf_attack_set.is_none() {
        return Vec::new();
    }
    let warn = |route: &settings::DetectOnly| {
        let (message, help) = if now < route.until {
            let message = format!("the policy promises `waf.attack_set`, and under `{}` rules only find", route.path);
            (message, "events with the outcome `detected` say what would be refused; let it end when they are none")
        } else {
            (format!("rules refuse again under `{}`", route.path), "remove the entry")
        };
        Diagnostic::warning("settings::detect-only", message).at(route.span.clone(), "set here").help(help)
    };
    settings.waf.detect_only.iter().map(warn).collect()
}

const WARNINGS_MAX: usize = 20;
const ERRORS_MAX: usize = 20;

/// Folders and files of rules. What is in them is looked up each time.
#[derive(Debug)]
struct Named {
    named: Vec<PathBuf>,
    files: RuleFiles,
}

impl Source for Named {
    fn read(&self, name: &str, beside: Option<&str>) -> Result<Vec<u8>, SourceError> {
        self.files.read(name, beside)
    }

    fn list(&self, pattern: &str, beside: Option<&str>) -> Result<Vec<String>, SourceError> {
        self.files.list(pattern, beside)
    }
}

impl RuleShelf for Named {
    fn files(&self) -> Result<Ordered, String> {
        let arranged = rule_files::present(&self.named).and_then(|()| rule_files::arrange(&self.named));
        let mut arranged = arranged.map_err(|error| error.to_string())?;
        let rules = arranged.files.split_off(arranged.set_up.min(arranged.files.len()));
        Ok(Ordered { set_up: arranged.files, rules })
    }
}
