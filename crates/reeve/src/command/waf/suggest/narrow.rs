//! Tries one request with more and more left out until it passes, and then with less and less: what stays is needed.

use reeve_edge::Exclude;
use reeve_waf::RuleKind;
use reeve_waf::trial::Replayed;

use super::bench::Bench;
use super::proposal::{self, Proposal, Unproposed};

/// What became of a request.
#[derive(Debug, Clone)]
pub(super) struct Narrowed {
    pub(super) method: String,
    pub(super) path: String,
    /// Rules that spoke, without anything left out beside what the settings leave out.
    pub(super) before: Vec<u32>,
    /// Whether it is refused so.
    pub(super) refused: bool,
    /// Whether it passes with all proposals.
    pub(super) passes: bool,
    pub(super) proposals: Vec<Proposal>,
    pub(super) unproposed: Vec<Unproposed>,
}

/// A rule in a variable, as it is written and as the request has it.
type Pair = (u32, String, String);

/// Finds what has to be left out for a request to pass.
///
/// # Errors
/// When the bytes are no request.
pub(super) fn narrow(bench: &Bench, raw: &[u8]) -> Result<Narrowed, String> {
    let first = bench.replay(raw, &[])?;
    let mut narrowed = Narrowed {
        method: first.method.clone(),
        path: first.path.clone(),
        before: spoken(&first),
        refused: first.refusal.is_some(),
        passes: first.refusal.is_none(),
        proposals: Vec::new(),
        unproposed: Vec::new(),
    };
    let refuse = |what: String, why: &str| Unproposed { what, why: why.to_owned() };
    if !narrowed.refused {
        return Ok(narrowed);
    }
    if !proposal::is_spelled_out(&first.path) {
        let why = "the path is not spelled plainly, and an exclusion holds only where it is: have it asked for without %, ; and empty segments";
        narrowed.unproposed.push(refuse(format!("{} {}", first.method, first.path), why));
        return Ok(narrowed);
    }
    let mut pairs: Vec<Pair> = Vec::new();
    let mut now = first.clone();
    while now.refusal.is_some() && pairs.len() < PAIRS_MAX {
        let more = further(bench, raw, &first, &now, &pairs)?;
        if more.is_empty() {
            break;
        }
        pairs.extend(more);
        now = bench.replay(raw, &excludes(bench, &first, &pairs))?;
    }
    narrowed.passes = now.refusal.is_none();
    if narrowed.passes {
        // What was found first is mostly what it was about.
        for at in (0..pairs.len()).rev() {
            let mut fewer = pairs.clone();
            fewer.remove(at);
            if bench.replay(raw, &excludes(bench, &first, &fewer))?.refusal.is_none() {
                pairs = fewer;
            }
        }
    } else {
        let rules: Vec<_> = spoken(&now).iter().map(ToString::to_string).collect();
        let what = format!("rules {}", rules.join(", "));
        narrowed.unproposed.push(refuse(
            what,
            "no variable could be found that they could be left out of; it is refused all the same",
        ));
    }
    narrowed.proposals = entries(bench, &first, &pairs);
    Ok(narrowed)
}

fn spoken(replayed: &Replayed) -> Vec<u32> {
    let mut rules: Vec<u32> = replayed.report.matches.iter().map(|found| found.rule).collect();
    rules.extend(replayed.refusal.as_ref().map(|refusal| refusal.rule));
    let mut seen = Vec::new();
    rules.retain(|rule| !seen.contains(rule) && (seen.push(*rule), true).1);
    rules
}

/// What rules still find.
fn further(bench: &Bench, raw: &[u8], first: &Replayed, now: &Replayed, known: &[Pair]) -> Result<Vec<Pair>, String> {
    let mut more: Vec<Pair> = Vec::new();
    for found in now.report.matches.iter().filter(|found| bench.engine.kind(found.rule) == Some(RuleKind::Finds)) {
        let direct = proposal::written(&found.variable).filter(|variable| bench.looks_at(found.rule, variable));
        let pair = match direct {
            Some(variable) => Some((found.rule, variable, found.variable.clone())),
            None => sought(bench, raw, first, found.rule, known)?,
        };
        more.extend(pair.filter(|pair| !known.contains(pair)));
    }
    more.sort();
    more.dedup();
    Ok(more)
}

/// Of a rule that says where only in its own words: the member without which it is silent.
fn sought(bench: &Bench, raw: &[u8], first: &Replayed, rule: u32, known: &[Pair]) -> Result<Option<Pair>, String> {
    let singles = SINGLES.iter().map(|name| (*name).to_owned());
    for member in first.members.iter().cloned().chain(singles).take(MEMBERS_TRIED_MAX) {
        let Some(variable) = proposal::written(&member).filter(|variable| bench.looks_at(rule, variable)) else {
            continue;
        };
        let pair = (rule, variable, member);
        if known.contains(&pair) {
            continue;
        }
        let tried = [known, std::slice::from_ref(&pair)].concat();
        let replayed = bench.replay(raw, &excludes(bench, first, &tried))?;
        if !replayed.report.matches.iter().any(|found| found.rule == rule) {
            return Ok(Some(pair));
        }
    }
    Ok(None)
}

fn excludes(bench: &Bench, first: &Replayed, pairs: &[Pair]) -> Vec<Exclude> {
    entries(bench, first, pairs).iter().map(Proposal::exclude).collect()
}

/// One entry for each variable.
fn entries(bench: &Bench, first: &Replayed, pairs: &[Pair]) -> Vec<Proposal> {
    let mut entries: Vec<Proposal> = Vec::new();
    for (rule, variable, example) in pairs {
        if let Some(entry) = entries.iter_mut().find(|entry| entry.variable == *variable) {
            entry.rules.insert(*rule);
            continue;
        }
        let mut entry = proposal::fresh(bench.now, &first.path, &first.method, variable.clone(), example.clone());
        entry.rules.insert(*rule);
        entry.requests = 1;
        entries.push(entry);
    }
    entries
}

/// Variables of one value that a rule may have taken something from.
const SINGLES: [&str; 8] = [
    "REQUEST_FILENAME",
    "REQUEST_BASENAME",
    "REQUEST_URI",
    "REQUEST_URI_RAW",
    "QUERY_STRING",
    "REQUEST_BODY",
    "REQUEST_LINE",
    "TX:reeve_text",
];

const PAIRS_MAX: usize = 256;
const MEMBERS_TRIED_MAX: usize = 400;
