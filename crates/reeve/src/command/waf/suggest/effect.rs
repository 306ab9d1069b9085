//! What an exclusion lets by: attacks of each family in its place, with it and without it.

use reeve_waf::RuleKind;
use reeve_waf::attacks::{BY_HEADER, BY_PATH, EVERYWHERE, SQL};
use serde::Serialize;

use super::bench::Bench;
use super::place::Place;
use super::proposal::Proposal;

/// What was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Effect {
    /// Why nothing could be; then the rest is empty.
    pub(super) untried: Option<String>,
    pub(super) families: Vec<Family>,
    /// The same attacks beside the place: how many are refused without it, and how many of them no longer with it.
    pub(super) beside: Option<Beside>,
}

/// Attacks of one family.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Family {
    pub(super) family: String,
    /// How many were sent.
    pub(super) tried: usize,
    /// How many of them are refused without the exclusion.
    pub(super) refused_before: usize,
    /// How many with it.
    pub(super) refused_after: usize,
    /// The rules that still find them.
    pub(super) by: Vec<u32>,
    /// Those that the exclusion lets by.
    pub(super) passing: Vec<String>,
}

/// The same attacks in another place of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Beside {
    pub(super) refused_before: usize,
    pub(super) refused_after: usize,
}

/// Tries the attacks.
pub(super) fn of(bench: &Bench, proposal: &Proposal) -> Effect {
    let nothing = |cause: &str| Effect { untried: Some(cause.to_owned()), families: Vec::new(), beside: None };
    let place = match Place::of(&proposal.example, &proposal.method) {
        Ok(place) => place,
        Err(cause) => return nothing(cause),
    };
    let exclude = [proposal.exclude()];
    let refused = |place: &Place, text: &str, excluded: bool| {
        let raw = place.request(&proposal.path, &proposal.method, text);
        let replayed = bench.replay(&raw, if excluded { &exclude } else { &[] }).ok()?;
        let finds = |rule: &u32| bench.engine.kind(*rule) == Some(RuleKind::Finds);
        let rules: Vec<u32> = replayed.report.matches.iter().map(|found| found.rule).filter(finds).collect();
        Some(replayed.refusal.map(|_| rules))
    };
    match refused(&place, HARMLESS, false) {
        Some(None) => {}
        Some(Some(rules)) => {
            return nothing(&format!(
                "a harmless text is refused there as well, by {rules:?}, so that nothing can be told apart"
            ));
        }
        None => return nothing("no request can be made that holds a text there"),
    }
    let mut families: Vec<Family> = Vec::new();
    let beside_place = place.beside();
    let mut beside = Beside { refused_before: 0, refused_after: 0 };
    for (name, attack) in attacks(&place) {
        if !families.iter().any(|family| family.family == name) {
            families.push(Family { family: name.to_owned(), ..Family::default() });
        }
        let Some(family) = families.iter_mut().find(|family| family.family == name) else { continue };
        let (before, after) = (refused(&place, attack, false), refused(&place, attack, true));
        let (Some(before), Some(after)) = (before, after) else { continue };
        family.tried += 1;
        family.refused_before += usize::from(before.is_some());
        family.refused_after += usize::from(after.is_some());
        match after {
            Some(rules) => family.by.extend(rules),
            None if before.is_some() => family.passing.push(attack.to_owned()),
            None => {}
        }
        let stopped = |excluded| usize::from(matches!(refused(&beside_place, attack, excluded), Some(Some(_))));
        beside.refused_before += stopped(false);
        beside.refused_after += stopped(true);
    }
    for family in &mut families {
        family.by.sort_unstable();
        family.by.dedup();
    }
    Effect { untried: None, families, beside: Some(beside) }
}

/// The attacks that come by a place, with their families.
fn attacks(place: &Place) -> Vec<(&'static str, &'static str)> {
    let sql = || SQL.iter().map(|attack| ("sqli", *attack));
    let mut attacks: Vec<_> = match place {
        Place::Header(_) => BY_HEADER.iter().chain(EVERYWHERE).copied().chain(sql()).collect(),
        Place::Path => BY_PATH.iter().chain(EVERYWHERE).copied().collect(),
        _ => EVERYWHERE.iter().copied().chain(sql()).collect(),
    };
    attacks.sort_unstable();
    attacks.dedup();
    attacks
}

const HARMLESS: &str = "harmless";
