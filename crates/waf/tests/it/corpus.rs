//! Our own rules: ordinary requests pass, attacks do not, and every rule has shown that it speaks and that it is silent.

mod attacks;
mod benign;
mod rows;
mod wire;

use std::collections::BTreeSet;

use reeve_waf::{OWN_RULES, OWN_RULES_VERSION};

use attacks::{EVERYWHERE, PLACES};
use benign::BENIGN;
use rows::ROWS;
use wire::{Bench, Exchange};

/// Of ids that set up, skip or sum up, and say nothing themselves.
const SILENT: &[u32] = &[9_704_000, 9_704_010];

#[test]
fn ordinary_requests_pass() {
    let bench = Bench::new(1);
    let refused: Vec<_> = BENIGN
        .iter()
        .filter_map(|text| {
            let found = bench.judge(&Exchange::read(text));
            (found.status.is_some() || !found.ids.is_empty())
                .then(|| format!("{:?} {:?} by\n{text}\n", found.status, found.ids))
        })
        .collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn each_rule_speaks_and_is_silent() {
    let benches = [Bench::new(1), Bench::new(2)];
    let mut wrong = Vec::new();
    for (id, place, attack, twin) in ROWS {
        let bench = if (9_704_000..9_709_000).contains(id) { &benches[1] } else { &benches[0] };
        let found = bench.judge(&place.exchange(attack));
        if !found.ids.contains(id) || found.status.is_none() {
            wrong.push(format!("{id} {place:?} `{}`: {:?} {:?}", attack.escape_ascii(), found.status, found.ids));
        }
        let found = benches[0].judge(&place.exchange(twin));
        if !found.ids.is_empty() || found.status.is_some() {
            wrong.push(format!(
                "{id} {place:?}, the twin `{}`: {:?} {:?}",
                twin.escape_ascii(),
                found.status,
                found.ids
            ));
        }
        if bench.judge(&place.exchange(twin)).ids.contains(id) {
            wrong.push(format!("{id} {place:?}, the twin `{}`", twin.escape_ascii()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_rule_is_untested() {
    let known: BTreeSet<u32> = ROWS.iter().map(|(id, ..)| *id).collect();
    let untested: Vec<_> = spoken().into_iter().filter(|id| !known.contains(id)).collect();
    assert!(untested.is_empty(), "{untested:?}");
}

#[test]
fn attacks_are_refused_wherever_they_come_in() {
    let bench = Bench::new(1);
    let mut passed = Vec::new();
    for (family, attack) in EVERYWHERE {
        for place in PLACES {
            let found = bench.judge(&place.exchange(attack.as_bytes()));
            if found.status != Some(403) {
                passed.push(format!("{family} {place:?} `{attack}`: {:?}", found.ids));
            }
            if !found.families.iter().any(|tag| tag == &format!("family/{family}")) {
                passed.push(format!("{family} {place:?} `{attack}`: found as {:?}", found.families));
            }
        }
    }
    assert!(passed.is_empty(), "{}", passed.join("\n"));
}

#[test]
fn ids_are_in_order_and_in_their_range() {
    let ids = ids();
    assert!(ids.iter().all(|id| (9_700_000..=9_709_999).contains(id)), "{ids:?}");
    assert!(ids.is_sorted_by(|one, next| one < next || *next == 9_704_000), "{ids:?}");
    assert!(OWN_RULES_VERSION.starts_with("20"));
}

#[test]
fn no_rule_writes_down_what_it_found() {
    for (number, line) in OWN_RULES.lines().enumerate() {
        let data = line.split("logdata:'").nth(1).and_then(|rest| rest.split('\'').next());
        assert!(
            !data.is_some_and(|data| data.contains("MATCHED_VAR}") || data.contains("tx.0")),
            "line {}",
            number + 1
        );
    }
}

fn ids() -> Vec<u32> {
    let after = OWN_RULES.split("id:").skip(1);
    after.filter_map(|text| text.split(',').next()?.parse().ok()).collect()
}

/// Ids of rules that write a line.
fn spoken() -> Vec<u32> {
    let sums = |id: &u32| *id >= 9_709_000 && id % 10 != 9;
    ids().into_iter().filter(|id| *id >= 9_700_020 && !sums(id) && !SILENT.contains(id)).collect()
}
