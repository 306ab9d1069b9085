//! What `reeve check` found, as text, JSON and SARIF.

use anyhow::Context;
use reeve_base::Severity;
use reeve_policy::{Hold, Policy};
use serde::Serialize;

use super::{Checked, Judged, Outcome, Subject};
use crate::diagnostics::json::Fault;
use crate::diagnostics::{json, plural, sarif, tally_of, text};
use crate::screen::{ADVICE, BAD, CAREFUL, GOOD, STRONG, Screen, ScreenError, Volume, paint};

/// What keeps the clauses of a policy.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Holdings {
    clauses: usize,
    /// By a control that this version enforces or proves.
    enforced_and_probed: usize,
    /// By a control that is named and not built yet.
    planned: usize,
    /// By a document.
    attested: usize,
}

impl Holdings {
    fn of(policy: &Policy) -> Self {
        let mut holdings = Self { clauses: policy.clauses.len(), ..Self::default() };
        for clause in &policy.clauses {
            match clause.hold {
                Hold::Typed(_) => holdings.enforced_and_probed += 1,
                Hold::Planned(_) => holdings.planned += 1,
                Hold::Attested(_) => holdings.attested += 1,
            }
        }
        holdings
    }
}

impl Judged {
    fn holdings(&self) -> Option<Holdings> {
        match &self.subject {
            Subject::Policy(policy) => Some(Holdings::of(policy)),
            Subject::Settings | Subject::Refused => None,
        }
    }

    /// How many faults, and how many of them are no errors. What was left out of the list counts as an error: a list
    /// is cut only where there are hundreds.
    fn counts(&self) -> (usize, usize) {
        let mild = self.faults.iter().filter(|fault| fault.severity != Severity::Error).count();
        (self.faults.len() + self.faults_omitted, mild)
    }
}

/// Draws the faults of every file, then one line for each file, then the summary.
pub(super) fn text(files: &[Checked], screen: &Screen) -> Result<(), ScreenError> {
    for file in files {
        if let Outcome::Judged(judged) = &file.outcome
            && !judged.faults.is_empty()
        {
            screen.data(text::report(&judged.source, &judged.faults, screen.width()).trim_end())?;
            if judged.faults_omitted > 0 {
                screen.data(format_args!("\n… and {} in this file", plural(judged.faults_omitted, "more fault")))?;
            }
            screen.data("")?;
        }
    }
    unreadable(files, screen);
    if screen.volume() == Volume::Quiet {
        return Ok(());
    }
    lines(files).iter().try_for_each(|line| screen.data(line))?;
    screen.data(summary(files))
}

/// Complains of the files that could not be read.
pub(super) fn unreadable<'c>(files: impl IntoIterator<Item = &'c Checked>, screen: &Screen) {
    for file in files {
        if let Outcome::Unreadable(error) = &file.outcome {
            screen.complain(format_args!(
                "{} {}",
                paint(BAD, "error:"),
                paint(STRONG, text::harmless(&error.to_string()))
            ));
            if let Some(hint) = error.hint() {
                screen.complain(format_args!("{} {hint}", paint(ADVICE, "hint:")));
            }
        }
    }
}

/// One line for each file, in columns.
fn lines(files: &[Checked]) -> Vec<String> {
    let width = files.iter().map(|file| text::harmless(&file.name).chars().count()).max().unwrap_or_default();
    files
        .iter()
        .map(|file| {
            let name = text::harmless(&file.name);
            match &file.outcome {
                Outcome::Unreadable(error) => format!("{name:width$}  {}", paint(BAD, error.reason())),
                Outcome::Judged(judged) => format!("{name:width$}  {}", judged_line(judged)),
            }
        })
        .collect()
}

fn judged_line(judged: &Judged) -> String {
    let (faults, mild) = judged.counts();
    let tally = if faults == 0 { None } else { Some(tally_of(faults, mild)) };
    match (&judged.subject, judged.holdings()) {
        (_, Some(held)) => {
            let counts = format!(
                "{:>3} clauses  {:>3} enforced and probed  {:>3} planned  {:>3} attested",
                held.clauses, held.enforced_and_probed, held.planned, held.attested
            );
            tally.map_or_else(|| counts.clone(), |tally| format!("{counts}  {tally}"))
        }
        (Subject::Settings, None) => {
            tally.map_or_else(|| String::from("settings"), |tally| format!("settings  {tally}"))
        }
        (Subject::Policy(_) | Subject::Refused, None) => paint(BAD, tally.unwrap_or_default()),
    }
}

/// `5 files, 385 clauses, 0 faults`.
pub(super) fn summary(files: &[Checked]) -> String {
    let total = Total::of(files);
    let mut parts = vec![plural(total.files, "file")];
    if total.policies > 0 {
        parts.push(plural(total.clauses, "clause"));
    }
    let style = match (total.errors() + total.unreadable, total.mild) {
        (0, 0) => GOOD,
        (0, _) => CAREFUL,
        (_, _) => BAD,
    };
    parts.push(paint(style, tally_of(total.faults, total.mild)));
    if total.unreadable > 0 {
        parts.push(paint(BAD, format_args!("{} not readable", total.unreadable)));
    }
    parts.join(", ")
}

/// The whole run in numbers.
#[derive(Debug, Default, Serialize)]
struct Total {
    files: usize,
    /// Policies without an error, whose clauses are counted.
    policies: usize,
    clauses: usize,
    faults: usize,
    /// Those of the faults that are warnings or notes.
    #[serde(rename = "warnings")]
    mild: usize,
    unreadable: usize,
}

impl Total {
    fn of(files: &[Checked]) -> Self {
        let mut total = Self { files: files.len(), ..Self::default() };
        for file in files {
            match &file.outcome {
                Outcome::Unreadable(_) => total.unreadable += 1,
                Outcome::Judged(judged) => {
                    let (faults, mild) = judged.counts();
                    let holdings = judged.holdings();
                    total.faults += faults;
                    total.mild += mild;
                    total.policies += usize::from(holdings.is_some());
                    total.clauses += holdings.unwrap_or_default().clauses;
                }
            }
        }
        total
    }

    const fn errors(&self) -> usize {
        self.faults.saturating_sub(self.mild)
    }
}

/// The whole run as one JSON object.
#[derive(Debug, Serialize)]
struct Document<'r> {
    schema: &'static str,
    files: Vec<File<'r>>,
    total: Total,
}

#[derive(Debug, Serialize)]
struct File<'r> {
    file: &'r str,
    /// `policy` or `settings` without an error, `refused`, `unreadable`.
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(flatten)]
    holdings: Option<Holdings>,
    faults: Vec<Fault<'r>>,
    faults_omitted: usize,
}

/// The run as JSON.
pub(super) fn json(files: &[Checked]) -> anyhow::Result<String> {
    let listed = files.iter().map(|file| match &file.outcome {
        Outcome::Unreadable(error) => File {
            file: &file.name,
            result: "unreadable",
            reason: Some(error.reason()),
            holdings: None,
            faults: Vec::new(),
            faults_omitted: 0,
        },
        Outcome::Judged(judged) => File {
            file: &file.name,
            result: match judged.subject {
                Subject::Policy(_) => "policy",
                Subject::Settings => "settings",
                Subject::Refused => "refused",
            },
            reason: None,
            holdings: judged.holdings(),
            faults: json::faults(&judged.source, &judged.faults),
            faults_omitted: judged.faults_omitted,
        },
    });
    let document = Document { schema: "reeve.check/1", files: listed.collect(), total: Total::of(files) };
    serde_json::to_string_pretty(&document).context("cannot write the report as JSON")
}

/// The run as SARIF.
pub(super) fn sarif(files: &[Checked]) -> anyhow::Result<String> {
    let found = files.iter().filter_map(|file| match &file.outcome {
        Outcome::Judged(judged) => Some((&judged.source, judged.faults.as_slice())),
        Outcome::Unreadable(_) => None,
    });
    let unreadable = files.iter().filter_map(|file| match &file.outcome {
        Outcome::Judged(_) => None,
        Outcome::Unreadable(error) => Some(error.to_string()),
    });
    serde_json::to_string_pretty(&sarif::log(found, unreadable)).context("cannot write the report as SARIF")
}
