//! What a change of the policy means: which promises became stricter, which looser.

use std::cmp::Ordering;

use reeve_base::ClauseId;

use crate::catalogue::Parameter;
use crate::model::{Clause, Hold, Policy};

/// One change between two policies, in words.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// The clause.
    pub clause: ClauseId,
    /// In which direction.
    pub tightness: Tightness,
    /// What changed: `failures from 5 to 10`.
    pub detail: String,
}

/// The direction of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "approval rules hang on each")]
pub enum Tightness {
    /// A promise is gone.
    Removed,
    /// It promises less.
    Loosened,
    /// It promises something else; neither more nor less.
    Changed,
    /// It promises more.
    Tightened,
    /// A new promise.
    Added,
    /// Only its words, owner or place changed.
    Reworded,
}

impl Tightness {
    /// The word that is shown for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Loosened => "loosened",
            Self::Changed => "changed",
            Self::Tightened => "tightened",
            Self::Added => "added",
            Self::Reworded => "reworded",
        }
    }
}

/// Compares two policies clause by clause. The changes that weaken come first.
#[must_use]
pub fn difference(old: &Policy, new: &Policy) -> Vec<Change> {
    let mut changes = Vec::new();
    for before in &old.clauses {
        match new.clause(&before.id) {
            Some(after) => changes.extend(clause_changes(before, after)),
            None => changes.push(change(before, Tightness::Removed, before.sentence.clone())),
        }
    }
    for after in new.clauses.iter().filter(|after| old.clause(&after.id).is_none()) {
        changes.push(change(after, Tightness::Added, after.sentence.clone()));
    }
    changes.extend(exception_changes(old, new));
    changes.sort_by_key(|change| change.tightness);
    changes
}

fn change(clause: &Clause, tightness: Tightness, detail: String) -> Change {
    Change { clause: clause.id.clone(), tightness, detail }
}

fn exception_changes(old: &Policy, new: &Policy) -> Vec<Change> {
    let change = |clause: &ClauseId, tightness, detail| Change { clause: clause.clone(), tightness, detail };
    let mut changes = Vec::new();
    for exception in &new.exceptions {
        let (id, expires, reason) = (&exception.clause, exception.expires, &exception.reason);
        match old.exceptions.iter().find(|before| before.clause == *id) {
            None => changes.push(change(id, Tightness::Loosened, format!("excepted until {expires}: {reason}"))),
            Some(before) if before.expires != expires => {
                let tightness = if expires > before.expires { Tightness::Loosened } else { Tightness::Tightened };
                changes.push(change(id, tightness, format!("exception until {expires} instead of {}", before.expires)));
            }
            Some(_) => {}
        }
    }
    for ended in
        old.exceptions.iter().filter(|before| !new.exceptions.iter().any(|after| after.clause == before.clause))
    {
        changes.push(change(&ended.clause, Tightness::Tightened, String::from("no longer excepted")));
    }
    let declares = |policy: &Policy, id: &ClauseId| policy.not_applicable.iter().any(|declared| declared.clause == *id);
    for declared in new.not_applicable.iter().filter(|declared| !declares(old, &declared.clause)) {
        let detail = format!("declared not to apply: {}", declared.reason);
        changes.push(change(&declared.clause, Tightness::Loosened, detail));
    }
    for ended in old.not_applicable.iter().filter(|declared| !declares(new, &declared.clause)) {
        changes.push(change(&ended.clause, Tightness::Tightened, String::from("applies again")));
    }
    changes
}

fn clause_changes(before: &Clause, after: &Clause) -> Vec<Change> {
    let mut changes = match (&before.hold, &after.hold) {
        (Hold::Typed(old), Hold::Typed(new)) => match new.differences(old) {
            Some(differences) => differences
                .into_iter()
                .map(|difference| {
                    let detail = from_to(difference.name, &old.parameters(), &new.parameters());
                    change(after, direction(difference.strictness), detail)
                })
                .collect(),
            None => vec![other_control(before, after)],
        },
        _ if before.hold.name() != after.hold.name() => vec![other_control(before, after)],
        _ if before.hold.canonical() != after.hold.canonical() => {
            vec![change(after, Tightness::Changed, loose_detail(&before.hold, &after.hold))]
        }
        _ => Vec::new(),
    };
    if before.severity != after.severity {
        let tightness = if after.severity > before.severity { Tightness::Tightened } else { Tightness::Loosened };
        let detail = format!("severity from {:?} to {:?}", before.severity, after.severity).to_lowercase();
        changes.push(change(after, tightness, detail));
    }
    let reworded = before.sentence != after.sentence || before.section != after.section || before.owner != after.owner;
    if changes.is_empty() && reworded {
        changes.push(change(after, Tightness::Reworded, after.sentence.clone()));
    }
    changes
}

const fn direction(strictness: Option<Ordering>) -> Tightness {
    match strictness {
        Some(Ordering::Greater) => Tightness::Tightened,
        Some(Ordering::Less) => Tightness::Loosened,
        Some(Ordering::Equal) | None => Tightness::Changed,
    }
}

fn other_control(before: &Clause, after: &Clause) -> Change {
    let detail = format!("control from {} to {}", before.hold.name(), after.hold.name());
    // A promise that something runs for is more than one that is only planned.
    let built = |hold: &Hold| matches!(hold, Hold::Typed(_));
    let tightness = match (built(&before.hold), built(&after.hold)) {
        (true, false) => Tightness::Loosened,
        (false, true) => Tightness::Tightened,
        (true, true) | (false, false) => Tightness::Changed,
    };
    change(after, tightness, detail)
}

fn from_to(name: &str, old: &[Parameter], new: &[Parameter]) -> String {
    let value = |parameters: &[Parameter]| {
        parameters
            .iter()
            .find(|parameter| parameter.name == name)
            .map(|parameter| parameter.english.clone())
            .unwrap_or_default()
    };
    format!("{name} from {} to {}", value(old), value(new))
}

fn loose_detail(before: &Hold, after: &Hold) -> String {
    let (old, new) = (before.canonical(), after.canonical());
    let lines = new.lines().filter(|line| !old.lines().any(|other| other == *line));
    let gone = old.lines().filter(|line| !new.lines().any(|other| other == *line));
    let join = |lines: Vec<&str>| if lines.is_empty() { String::from("nothing") } else { lines.join(", ") };
    format!("{} instead of {}", join(lines.collect()), join(gone.collect()))
}
