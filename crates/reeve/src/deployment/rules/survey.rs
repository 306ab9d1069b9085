//! What there is to say of the firewall's settings: what is wrong with them, and what somebody should know.

use reeve_base::{Diagnostic, Severity, Span, Timestamp};
use reeve_edge::WafError;
use reeve_policy::catalogue::Controls;
use reeve_waf::{Engine, ExclusionError, Fault};

use crate::diagnostics::plural;
use crate::settings::{self, Settings};

use super::{edge, left_out};

/// What is left out of rules and need not be written any more.
pub(in crate::deployment) fn ended(settings: &Settings, now: Timestamp) -> Vec<Diagnostic> {
    let ended = settings.waf.exclude.iter().filter(|one| now >= one.until);
    let warn = |one: &settings::Exclude| {
        let message = format!("the rules hold again: {}", left_out(one));
        let help = "remove the entry, or look into it again and give it another day; `reeve waf suggest` shows what it lets by";
        Diagnostic::warning("settings::exclude", message).at(one.span.clone(), "has ended").help(help)
    };
    ended.map(warn).collect()
}

/// What a check says of the firewall, beside faults: where rules only find, what is left out, what rule files switch off.
pub(in crate::deployment) fn survey(settings: &Settings, controls: &Controls, now: Timestamp) -> Vec<Diagnostic> {
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
pub(in crate::deployment) fn not_excluded(
    settings: &Settings,
    errors: &[(usize, ExclusionError)],
) -> Option<Diagnostic> {
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
pub(in crate::deployment) fn detecting(settings: &Settings, controls: &Controls, now: Timestamp) -> Vec<Diagnostic> {
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

/// What settings and policy do not say of the same thing.
pub(in crate::deployment) fn unmatched(settings: &Settings, controls: &Controls) -> Vec<Diagnostic> {
    let waf = &settings.waf;
    let mut found = Vec::new();
    if let (Some(custom), None) = (waf.custom.first(), &controls.waf_custom) {
        let fault = Diagnostic::warning("settings::waf-custom", "rules of applications' own do not run");
        let fault = fault.at(custom.file.span.clone(), "the policy does not promise `waf.custom`");
        found.push(fault.help("add a clause with `control = \"waf.custom\"` to the policy, or remove the entry"));
    }
    if !waf.self_test.value && controls.waf_attack_set.is_some() {
        let fault = Diagnostic::warning("settings::waf-self-test", "rules get traffic untried");
        let fault = fault.at(waf.self_test.span.clone(), "set here");
        found.push(fault.help("remove the line; `reeve prove` says what passes such rules"));
    }
    found
}

/// Where in the settings the rules are wrong, and what to do about it.
pub(in crate::deployment) fn explained(waf: &settings::Waf, cause: &WafError) -> (&'static str, Span, &'static str) {
    let rules = || waf.rules.first().map(|rules| rules.span.clone()).unwrap_or_default();
    let custom = || waf.custom.first().map(|custom| custom.file.span.clone()).unwrap_or_default();
    match cause {
        WafError::Digest { .. } => (
            "settings::waf-digest",
            waf.digest.as_ref().map(|digest| digest.span.clone()).unwrap_or_default(),
            "`reeve waf pin` lists the files with their digests: compare them with those that were approved, and write the digest that was found if the change was meant",
        ),
        WafError::SelfTest(_) => (
            "settings::waf-self-test",
            rules(),
            "rules of one application go into `[[waf.custom]]`, and `rules` names a whole set; is the policy's threshold one that an attack reaches? `self_test = false` lets rules run untried",
        ),
        WafError::Canary(_) => (
            "settings::waf-canary",
            custom(),
            "each rule that refuses has an entry in `canaries`, with a request that it refuses and a harmless one that passes all rules",
        ),
        WafError::Tests(_) => (
            "settings::waf-tests",
            waf.tests.as_ref().map(|tests| tests.span.clone()).unwrap_or_default(),
            "tests run on the rules as the policy has them run; `reeve waf test --rules DIR --mode blocking --paranoia N TESTS` shows more",
        ),
        _ => (
            "settings::waf",
            rules(),
            "each fault names its file and line; `reeve waf test --rules DIR TESTS` tries rules without a gateway",
        ),
    }
}

const WARNINGS_MAX: usize = 20;
const ERRORS_MAX: usize = 20;
