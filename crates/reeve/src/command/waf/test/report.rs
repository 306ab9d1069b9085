//! What came of the tests: as a table by family and a line for each that did not pass, or as JSON.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use reeve_waf::trial::{Expected, Outcome, Staged, Trial};
use serde::Serialize;

use super::files::Found;
use crate::diagnostics::plural;
use crate::exit::ExitCode;
use crate::screen::{BAD, CAREFUL, FAINT, GOOD, Screen, paint};

/// Shows it, and says with which code the process ends.
pub(super) fn show(found: &Found, outcomes: &[Outcome], json: bool, screen: &Screen) -> anyhow::Result<ExitCode> {
    let rows: Vec<_> = found.trials.iter().zip(outcomes).collect();
    let mut total = Tally::default();
    outcomes.iter().for_each(|outcome| total.add(outcome));
    if json {
        let tests: Vec<_> = rows.iter().map(|((path, trial), outcome)| Judged::of(path, trial, outcome)).collect();
        screen.data(serde_json::to_string_pretty(&tests).context("cannot write JSON")?)?;
    } else {
        lines(&rows, screen)?;
        table(&rows, screen)?;
    }
    vacuous(&rows, screen);
    let unread = found.unreadable.len();
    let sum = total.sum(unread, found);
    if json {
        screen.talk(sum);
    } else {
        screen.data(sum)?;
    }
    Ok(if total.unjudged > 0 || unread > 0 {
        ExitCode::CouldNotJudge
    } else if total.failed > 0 {
        ExitCode::FoundWanting
    } else {
        ExitCode::Holds
    })
}

type Row<'r> = (&'r (PathBuf, Trial), &'r Outcome);

/// How many of each.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: usize,
    failed: usize,
    ignored: usize,
    unjudged: usize,
}

impl Tally {
    const fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Passed(_) => self.passed += 1,
            Outcome::Failed(_) => self.failed += 1,
            Outcome::Ignored { .. } => self.ignored += 1,
            Outcome::Unjudged { .. } => self.unjudged += 1,
        }
    }

    const fn all(&self) -> usize {
        self.passed + self.failed + self.ignored + self.unjudged
    }

    fn sum(&self, unread: usize, found: &Found) -> String {
        let mut sum =
            format!("{} of {} passed, {} failed", self.passed, plural(self.all() - self.ignored, "test"), self.failed);
        for (count, what) in [(self.unjudged, "could not be judged"), (self.ignored, "left out by the overrides")] {
            if count > 0 {
                sum.push_str(&format!(", {count} {what}"));
            }
        }
        if unread > 0 {
            sum.push_str(&format!("; {} could not be read", plural(unread, "file")));
        }
        sum.push_str(&format!(" ({}", plural(found.files, "file")));
        if found.empty > 0 {
            sum.push_str(&format!(", {} without tests", found.empty));
        }
        sum.push(')');
        sum
    }
}

/// A line for each family: the rules whose ids begin with the same digits.
fn table(rows: &[Row<'_>], screen: &Screen) -> anyhow::Result<()> {
    let mut families = BTreeMap::<(u32, &str), Tally>::new();
    for ((path, trial), outcome) in rows {
        let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
        families.entry((trial.rule / 1000, folder)).or_default().add(outcome);
    }
    let header = ["family", "tests", "passed", "failed", "left out", "not judged", "folder"].map(str::to_owned);
    let cells = families.iter().map(|((family, folder), tally)| {
        let count = |count: usize, style| if count == 0 { String::from("-") } else { paint(style, count) };
        [
            family.to_string(),
            tally.all().to_string(),
            count(tally.passed, GOOD),
            count(tally.failed, BAD),
            count(tally.ignored, FAINT),
            count(tally.unjudged, CAREFUL),
            (*folder).to_owned(),
        ]
    });
    if !families.is_empty() {
        screen.data(screen.table(Some(header), cells))?;
        screen.data("")?;
    }
    Ok(())
}

/// A line for each test that did not pass.
fn lines(rows: &[Row<'_>], screen: &Screen) -> anyhow::Result<()> {
    let mut shown = 0;
    let mut wanting = 0;
    for ((path, trial), outcome) in rows {
        let what = match outcome {
            Outcome::Passed(_) | Outcome::Ignored { .. } => continue,
            Outcome::Failed(staged) => format!("{} {}", paint(BAD, "failed"), why(trial, staged)),
            Outcome::Unjudged { cause } => format!("{} {cause}", paint(CAREFUL, "not judged")),
        };
        wanting += 1;
        if shown < LINES_SHOWN_MAX {
            shown += 1;
            let place = paint(FAINT, format_args!("{}:{}", path.display(), trial.line));
            screen.data(format_args!("{} {what} {place}", trial.id))?;
        }
    }
    if wanting > shown {
        screen.data(format_args!("and {} more: `--json` has them all, `--only` some", wanting - shown))?;
    }
    if wanting > 0 {
        screen.data("")?;
    }
    Ok(())
}

fn why(trial: &Trial, staged: &Staged) -> String {
    let mut why = staged.unmet.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    if let Some(refused) = &staged.found.refused {
        why.push_str(&format!("; no rule saw the request: {refused}"));
    } else if !staged.found.ids.is_empty() {
        let ids = staged.found.ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        why.push_str(&format!("; spoke: {ids}"));
    }
    if trial.stages() > 1 {
        why.push_str(&format!("; stage {}", staged.stage));
    }
    why
}

/// A test that expects nothing passes whatever happens, and its author should know.
fn vacuous(rows: &[Row<'_>], screen: &Screen) {
    let ids: Vec<_> = rows
        .iter()
        .filter(|(_, outcome)| matches!(outcome, Outcome::Passed(staged) if staged.expected.is_nothing()))
        .map(|((_, trial), _)| trial.id.as_str())
        .collect();
    if let [first, ..] = ids.as_slice() {
        let tests = plural(ids.len(), "test");
        screen.talk(format_args!("{tests} passed that could not fail: nothing is expected of `{first}`\n"));
    }
}

/// One test, in JSON.
#[derive(Debug, Serialize)]
struct Judged<'j> {
    id: &'j str,
    /// Null where nothing was judged.
    passed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<&'j Expected>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<&'j reeve_waf::trial::Found>,
    /// What is wrong, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// Why it was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    ignored: Option<&'j str>,
    /// The stage that failed, or the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<usize>,
    file: String,
    line: u64,
}

impl<'j> Judged<'j> {
    fn of(path: &Path, trial: &'j Trial, outcome: &'j Outcome) -> Self {
        let bare = Self {
            id: &trial.id,
            passed: None,
            expected: None,
            found: None,
            why: None,
            ignored: None,
            stage: None,
            file: path.display().to_string(),
            line: trial.line,
        };
        match outcome {
            Outcome::Passed(staged) | Outcome::Failed(staged) => Self {
                passed: Some(staged.unmet.is_empty()),
                expected: Some(&staged.expected),
                found: Some(&staged.found),
                why: (!staged.unmet.is_empty()).then(|| why(trial, staged)),
                stage: Some(staged.stage),
                ..bare
            },
            Outcome::Ignored { reason } => Self { ignored: Some(reason), ..bare },
            Outcome::Unjudged { cause } => Self { why: Some(cause.clone()), ..bare },
        }
    }
}

/// More of them are better read from JSON.
const LINES_SHOWN_MAX: usize = 200;
