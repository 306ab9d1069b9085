//! The reference policies that ship with Reeve, and the list of clauses that nothing proves yet.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use reeve_policy::{Hold, Policy, check};

const REFERENCE: [(&str, usize); 5] =
    [("services", 49), ("saas", 43), ("seller", 155), ("public-api", 47), ("enterprise", 91)];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies")
}

#[track_caller]
fn policy(name: &str) -> Policy {
    let file = format!("{name}.toml");
    let text = std::fs::read(directory().join(&file)).unwrap();
    let checked = check(&file, &text, jiff::civil::date(2026, 11, 21));
    let faults: Vec<_> = checked
        .faults
        .iter()
        .map(|fault| {
            let line = fault.labels.first().map(|label| checked.source.position(label.span.start).0);
            format!("{file}:{} {} {}", line.unwrap_or_default(), fault.code, fault.message)
        })
        .collect();
    assert_eq!(faults, Vec::<String>::new());
    checked.policy.unwrap()
}

#[test]
fn the_five_reference_policies_hold_the_385_clauses_without_a_fault() {
    let mut ids = BTreeSet::new();
    for (name, clauses) in REFERENCE {
        let policy = policy(name);
        assert_eq!(policy.clauses.len(), clauses, "{name}");
        ids.extend(policy.clauses.into_iter().map(|clause| clause.id));
    }
    assert_eq!(ids.len(), 385, "no id stands twice");
}

#[test]
fn every_clause_of_the_demo_policy_has_a_typed_control() {
    for clause in policy("demo").clauses {
        assert!(matches!(clause.hold, Hold::Typed(_)), "{}", clause.id);
    }
}

#[test]
fn unproven_txt_lists_exactly_the_clauses_without_a_probe() {
    let text = std::fs::read_to_string(directory().join("unproven.txt")).unwrap();
    let listed: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    let mut found = Vec::new();
    for (name, _) in REFERENCE {
        for clause in policy(name).clauses {
            if !matches!(clause.hold, Hold::Typed(_)) {
                found.push(format!("{} {}", clause.id, clause.hold.name()));
            }
        }
    }
    assert_eq!(listed, found);
}
