//! `reeve check --diff OLD NEW`: what a change of the policy means, in words.

use anyhow::Context;
use comfy_table::{Cell, Color};
use reeve_policy::{Change, Policy, Tightness};
use serde::Serialize;

use super::{Checked, Outcome, Subject, exit_code, report};
use crate::diagnostics::text;
use crate::exit::ExitCode;
use crate::screen::Screen;

/// Compares the two policies, or shows the faults for which they cannot be compared.
///
/// A loosened policy is no fault: whether it may be loosened is for the people who approve it.
pub(super) fn run(old: &Checked, new: &Checked, as_json: bool, screen: &Screen) -> anyhow::Result<ExitCode> {
    let (Some(before), Some(after)) = (policy(old), policy(new)) else {
        return refuse([old, new], screen);
    };
    let changes = reeve_policy::difference(before, after);
    if as_json {
        let document = Document { schema: "reeve.difference/1", old: &old.name, new: &new.name, changes: &changes };
        screen.data(serde_json::to_string_pretty(&document).context("cannot write the changes as JSON")?)?;
    } else if !changes.is_empty() {
        screen.data(table(&changes, screen))?;
    }
    screen.talk(summary(&changes));
    Ok(ExitCode::Holds)
}

#[derive(Debug, Serialize)]
struct Document<'c> {
    schema: &'static str,
    old: &'c str,
    new: &'c str,
    changes: &'c [Change],
}

fn policy(file: &Checked) -> Option<&Policy> {
    match &file.outcome {
        Outcome::Judged(judged) => match &judged.subject {
            Subject::Policy(policy) => Some(policy),
            Subject::Settings | Subject::Refused => None,
        },
        Outcome::Unreadable(_) => None,
    }
}

fn refuse(files: [&Checked; 2], screen: &Screen) -> anyhow::Result<ExitCode> {
    for file in files {
        if let Outcome::Judged(judged) = &file.outcome {
            match judged.subject {
                Subject::Settings => anyhow::bail!("`{}` holds settings; only policies can be compared", file.name),
                Subject::Refused => {
                    let drawn = text::report(&judged.source, &judged.faults, screen.width());
                    screen.data(format_args!("{}\n", drawn.trim_end()))?;
                }
                Subject::Policy(_) => {}
            }
        }
    }
    report::unreadable(files, screen);
    screen.complain("nothing was compared");
    Ok(exit_code(files))
}

fn table(changes: &[Change], screen: &Screen) -> String {
    let rows = changes.iter().map(|change| {
        [
            Cell::new(change.tightness.word()).fg(color(change.tightness)),
            Cell::new(text::harmless(change.clause.as_str())),
            Cell::new(text::harmless(&change.detail)),
        ]
    });
    screen.table(None, rows)
}

const fn color(tightness: Tightness) -> Color {
    match tightness {
        Tightness::Removed | Tightness::Loosened => Color::Red,
        Tightness::Changed => Color::Yellow,
        Tightness::Tightened | Tightness::Added => Color::Green,
        Tightness::Reworded => Color::Reset,
    }
}

/// `1 loosened, 2 tightened`, in the order in which they matter.
fn summary(changes: &[Change]) -> String {
    let all = [
        Tightness::Removed,
        Tightness::Loosened,
        Tightness::Changed,
        Tightness::Tightened,
        Tightness::Added,
        Tightness::Reworded,
    ];
    let parts: Vec<_> = all
        .into_iter()
        .map(|tightness| (tightness, changes.iter().filter(|change| change.tightness == tightness).count()))
        .filter(|(_, count)| *count > 0)
        .map(|(tightness, count)| format!("{count} {}", tightness.word()))
        .collect();
    if parts.is_empty() { String::from("the two policies promise the same") } else { parts.join(", ") }
}
