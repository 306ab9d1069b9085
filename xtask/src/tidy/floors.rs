//! The floors of the house: an arrow points only to a lower floor, never sideways.
//!
//! Development dependencies are free: a test may reach up. What ships may not.

use crate::tidy::Fault;
use crate::tidy::manifests::Member;
use crate::workspace::{Kind, Package};

/// The faults of one crate: that it has no place, or that an arrow of it points the wrong way.
pub(super) fn check(package: &Package, manifest: &Member) -> Vec<Fault> {
    let from = word(&package.name);
    if place(from).is_none() {
        let text = format!("`{from}` stands on no floor: give it one in `{}` and in ARCHITECTURE.md", file!());
        return vec![Fault::new(&manifest.path, manifest.name_line, text)];
    }
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != Kind::Development)
        .filter_map(|dependency| {
            let text = misdirected(from, word(&dependency.name))?;
            let key = dependency.rename.as_ref().unwrap_or(&dependency.name);
            Some(Fault::new(&manifest.path, manifest.line_of(key, dependency.kind), text))
        })
        .collect()
}

/// Where a crate stands.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// In the house.
    Floor(u8),
    /// Beside it: ships to nobody.
    Development,
}

/// What is wrong with the arrow `from` → `to`, both by their words; nothing if `to` is not ours.
fn misdirected(from: &str, to: &str) -> Option<String> {
    let upper = match (place(from)?, place(to)?) {
        (_, Place::Development) => {
            return Some(format!("`{to}` is for development: only a dev-dependency may name it"));
        }
        (Place::Development, Place::Floor(_)) => return None,
        (Place::Floor(upper), Place::Floor(lower)) if lower < upper => upper,
        (Place::Floor(upper), Place::Floor(lower)) => {
            return Some(format!(
                "`{from}` (floor {upper}) depends on `{to}` (floor {lower}): an arrow points only to a lower floor"
            ));
        }
    };
    // The one who judges shares no code with the one who is judged, in either direction.
    if from == "prove" && !PROVE_MAY_USE.contains(&to) {
        return Some(format!("`prove` depends on `{to}`: it may use only {}", PROVE_MAY_USE.join(", ")));
    }
    if to == "prove" && ENFORCERS_ABOVE_PROVE.contains(&from) {
        return Some(format!("`{from}` (floor {upper}) enforces and depends on `prove`, which judges it"));
    }
    None
}

fn place(word: &str) -> Option<Place> {
    HOUSE.iter().find(|(name, _)| *name == word).map(|(_, place)| *place)
}

/// The word of a package: `edge` of `reeve-edge`.
fn word(package: &str) -> &str {
    package.strip_prefix("reeve-").unwrap_or(package)
}

/// The whole house, as ARCHITECTURE.md draws it; a crate may be planned here before it is built.
const HOUSE: &[(&str, Place)] = &[
    ("reeve", Place::Floor(7)),
    ("console", Place::Floor(6)),
    ("edge", Place::Floor(5)),
    ("identity", Place::Floor(4)),
    ("waf", Place::Floor(4)),
    ("contract", Place::Floor(4)),
    ("data", Place::Floor(4)),
    ("backup", Place::Floor(4)),
    ("watch", Place::Floor(4)),
    ("respond", Place::Floor(4)),
    ("supply", Place::Floor(4)),
    ("change", Place::Floor(4)),
    ("cloud", Place::Floor(4)),
    ("vault", Place::Floor(3)),
    ("prove", Place::Floor(3)),
    ("ledger", Place::Floor(2)),
    ("policy", Place::Floor(1)),
    ("access", Place::Floor(1)),
    ("store", Place::Floor(1)),
    ("base", Place::Floor(0)),
    ("testkit", Place::Development),
    ("xtask", Place::Development),
];

/// What the prover may share with the rest: the words, the promises and the record.
const PROVE_MAY_USE: &[&str] = &["base", "policy", "ledger"];

/// Enforcers that the floors alone would let reach the prover.
const ENFORCERS_ABOVE_PROVE: &[&str] = &["edge"];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(from: &str, to: &str, expected: Option<&str>) {
        assert_eq!(misdirected(from, to).as_deref(), expected);
    }

    #[test]
    fn an_arrow_down_is_free() {
        check("reeve", "edge", None);
        check("reeve", "prove", None);
        check("policy", "base", None);
        check("edge", "policy", None);
        check("console", "prove", None);
    }

    #[test]
    fn an_arrow_up_or_sideways_is_a_fault() {
        let text = "`policy` (floor 1) depends on `edge` (floor 5): an arrow points only to a lower floor";
        check("policy", "edge", Some(text));
        let text = "`watch` (floor 4) depends on `identity` (floor 4): an arrow points only to a lower floor";
        check("watch", "identity", Some(text));
    }

    #[test]
    fn the_prover_and_the_enforcers_share_nothing() {
        check("prove", "policy", None);
        check("prove", "ledger", None);
        check("prove", "store", Some("`prove` depends on `store`: it may use only base, policy, ledger"));
        check("edge", "prove", Some("`edge` (floor 5) enforces and depends on `prove`, which judges it"));
    }

    #[test]
    fn development_reaches_everywhere_and_ships_nowhere() {
        check("testkit", "edge", None);
        check("edge", "testkit", Some("`testkit` is for development: only a dev-dependency may name it"));
        check("reeve", "xtask", Some("`xtask` is for development: only a dev-dependency may name it"));
    }

    #[test]
    fn foreign_crates_are_no_matter_of_floors() {
        check("edge", "hyper", None);
        assert_eq!(word("reeve-edge"), "edge");
        assert_eq!(word("reeve"), "reeve");
    }

    #[test]
    fn a_crate_without_a_floor_and_a_wrong_arrow_are_shown_where_they_are_written() {
        let package = |name: &str, kind: &str| -> Package {
            let json = format!(
                r#"{{"name": "{name}", "manifest_path": "/m",
                     "dependencies": [{{"name": "reeve-edge", "rename": null, "kind": {kind}}}]}}"#
            );
            serde_json::from_str(&json).unwrap()
        };
        let manifest = |name: &str| {
            let text = format!("[package]\nname = \"{name}\"\n\n[dependencies]\nreeve-edge.workspace = true\n");
            Member::parse("crates/x/Cargo.toml", &text).unwrap()
        };
        let found = |name: &str, kind: &str| {
            let faults = super::check(&package(name, kind), &manifest(name));
            faults.iter().map(|fault| fault.line).collect::<Vec<_>>()
        };
        assert_eq!(found("reeve-attic", "null"), [2]);
        assert_eq!(found("reeve-policy", "null"), [5]);
        assert_eq!(found("reeve-policy", "\"build\"").len(), 1);
        assert_eq!(found("reeve-policy", "\"dev\""), [0; 0]);
    }
}
