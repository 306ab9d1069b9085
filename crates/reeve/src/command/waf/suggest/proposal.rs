//! From what rules found to the entries that leave just that out.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use reeve_edge::Exclude;
use reeve_waf::RuleKind;
use serde::Serialize;

use super::bench::Bench;
use super::recorded::Recorded;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proposal {
    pub(super) rules: BTreeSet<u32>,
    pub(super) path: String,
    pub(super) method: String,
    /// As it is written into the entry.
    pub(super) variable: String,
    /// As the request had it.
    pub(super) example: String,
    pub(super) until: Date,
    /// How many requests it is proposed for.
    pub(super) requests: usize,
    /// When the last of them came.
    pub(super) last: String,
}

/// What no entry can be proposed for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Unproposed {
    /// Where and what.
    pub(super) what: String,
    /// Why not, and what to do.
    pub(super) why: String,
}

impl Proposal {
    /// What a gateway would make of it.
    pub(super) fn exclude(&self) -> Exclude {
        Exclude {
            rules: self.rules.iter().copied().collect(),
            path: self.path.clone(),
            method: Some(self.method.clone()),
            variable: Some(self.variable.clone()),
            whole: false,
            until: Timestamp::MAX,
        }
    }

    /// As it stands in reeve.toml.
    pub(super) fn toml(&self) -> String {
        let rules: Vec<_> = self.rules.iter().map(ToString::to_string).collect();
        let rule = match rules.as_slice() {
            [one] => one.clone(),
            all => format!("[{}]", all.join(", ")),
        };
        let text = |value: &str| serde_json::Value::from(value).to_string();
        format!(
            "[[waf.exclude]]\nrule     = {rule}\npath     = {}\nmethod   = {}\nvariable = {}\nreason   = {}\nuntil    = \"{}\"",
            text(&self.path),
            text(&self.method),
            text(&self.variable),
            text(REASON),
            self.until
        )
    }
}

/// The entries for these requests: one for each route, method and variable, with the rules that spoke there.
pub(super) fn propose(bench: &Bench, recorded: &[Recorded]) -> (Vec<Proposal>, Vec<Unproposed>) {
    let mut proposals: BTreeMap<(String, String, String), Proposal> = BTreeMap::new();
    let mut unproposed = BTreeSet::new();
    for request in recorded {
        let mut counted = BTreeSet::new();
        for found in &request.found {
            if bench.engine.kind(found.rule).is_some_and(|kind| kind != RuleKind::Finds) {
                continue;
            }
            match variables(bench, found.rule, &found.variables) {
                Ok(variables) => {
                    for (variable, example) in variables {
                        let key = (request.path.clone(), request.method.clone(), variable.clone());
                        let proposal = proposals
                            .entry(key.clone())
                            .or_insert_with(|| fresh(bench.now, &request.path, &request.method, variable, example));
                        proposal.rules.insert(found.rule);
                        proposal.requests += usize::from(counted.insert(key));
                        proposal.last = request.time.clone();
                    }
                }
                Err(why) => {
                    let what = format!("rule {} on {} {}", found.rule, request.method, request.path);
                    unproposed.insert(Unproposed { what, why: format!("{why} (event {})", request.id) });
                }
            }
        }
    }
    let (able, unable): (Vec<_>, Vec<_>) = proposals.into_values().partition(|proposal| is_spelled_out(&proposal.path));
    for proposal in unable {
        let why = "the path is not spelled plainly, or not recorded whole, and an exclusion holds only where it is: have it asked for without %, ; and empty segments";
        unproposed.insert(Unproposed { what: format!("{} {}", proposal.method, proposal.path), why: why.to_owned() });
    }
    (able, unproposed.into_iter().collect())
}

/// An entry without rules.
pub(super) fn fresh(now: Timestamp, path: &str, method: &str, variable: String, example: String) -> Proposal {
    let today = now.to_zoned(TimeZone::UTC).date();
    let until = today.checked_add(Span::new().days(DAYS)).unwrap_or(today);
    Proposal {
        rules: BTreeSet::new(),
        path: path.to_owned(),
        method: method.to_owned(),
        variable,
        example,
        until,
        requests: 0,
        last: String::new(),
    }
}

/// Whether an exclusion with this path holds for requests with it.
pub(super) fn is_spelled_out(path: &str) -> bool {
    let entry = fresh(Timestamp::UNIX_EPOCH, path, "GET", String::new(), String::new());
    let plain = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
    plain && entry.exclude().covers("GET", path, Timestamp::UNIX_EPOCH)
}

/// The variables in which a rule spoke, each as it is written into an entry and as the request had it.
fn variables(bench: &Bench, rule: u32, named: &[String]) -> Result<Vec<(String, String)>, String> {
    if bench.engine.kind(rule).is_none() {
        return Err(String::from("the rules that are loaded have no such rule any more"));
    }
    let mut hidden = named.is_empty();
    let mut variables = Vec::new();
    for name in named {
        if name.ends_with('…') {
            hidden = true;
        } else if let Some(variable) = written(name).filter(|variable| bench.looks_at(rule, variable)) {
            variables.push((variable, name.clone()));
        }
    }
    if variables.is_empty() {
        let why = if hidden {
            "its event does not name where: try the request itself with `--request`"
        } else {
            "the rule as it is loaded looks at none of what the event names: try the request itself with `--request`"
        };
        return Err(why.to_owned());
    }
    Ok(variables)
}

/// A variable as it is written into an entry: what its name needs is put around it, and of a list in JSON any member is
/// meant, since their numbers say nothing. None if no entry can name it.
pub(super) fn written(variable: &str) -> Option<String> {
    let Some((collection, name)) = variable.split_once(':').filter(|(collection, _)| *collection != "XML") else {
        return Some(variable.to_owned());
    };
    let is_number = |part: &str| part.strip_prefix("array_").is_some_and(|digits| digits.parse::<u32>().is_ok());
    if name.starts_with("json.") && name.split('.').any(is_number) {
        let parts =
            name.split('.').map(|part| if is_number(part) { String::from(r"array_\d+") } else { literally(part) });
        let pattern = parts.collect::<Vec<_>>().join(r"\.");
        // What closes a pattern cannot stand in it.
        return (!pattern.contains('/')).then(|| format!("{collection}:/^{pattern}$/"));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte);
    if name.bytes().all(plain) && !name.is_empty() {
        return Some(variable.to_owned());
    }
    let nameable =
        !name.is_empty() && !name.contains('\'') && !name.starts_with('/') && !name.chars().any(char::is_control);
    nameable.then(|| format!("{collection}:'{name}'"))
}

/// What a pattern reads as these very letters.
fn literally(text: &str) -> String {
    text.chars()
        .flat_map(|char| (char.is_ascii_punctuation() && char != '_').then_some('\\').into_iter().chain([char]))
        .collect()
}

/// Long enough for the rules to be mended, short enough to be asked again.
const DAYS: i64 = 90;

/// To be written over.
const REASON: &str = "why what is found here is no attack";
