//! What a run found, clause by clause, and what it comes to as a whole.

use std::fmt;

use reeve_base::verdict::Conclusion;
use reeve_base::{Cause, Evidence, Timestamp, Verdict};
use reeve_policy::ClauseSeverity;

mod html;
mod json;

/// The outcome of one run.
#[derive(Debug, Clone)]
pub struct Report {
    /// The policy that was judged by.
    pub policy: PolicyHead,
    /// The site that was judged: its origin.
    pub target: String,
    /// The address that it was reached at.
    pub address: String,
    /// When the run began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// How many requests and handshakes were sent.
    pub requests: u32,
    /// The sections of the policy, key and title, in their order.
    pub sections: Vec<(String, String)>,
    /// One for each clause, in the order of the policy.
    pub rows: Vec<Row>,
}

/// Which policy it was.
#[derive(Debug, Clone)]
pub struct PolicyHead {
    /// What the document is called.
    pub title: String,
    /// Whose promises they are.
    pub company: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its text, in hexadecimal.
    pub digest: String,
}

/// One clause and what became of it.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was seen, and the verdict.
    pub evidence: Evidence,
    /// The promise, as it is published.
    pub sentence: String,
    /// The key of its section.
    pub section: String,
    /// How much a breach weighs.
    pub severity: ClauseSeverity,
    /// The exception that covers the clause today, if there is one.
    pub exception: Option<RowException>,
}

/// An accepted breach, as the report shows it.
#[derive(Debug, Clone)]
pub struct RowException {
    /// Why.
    pub reason: String,
    /// Who accepted it.
    pub approved_by: Vec<String>,
    /// The last day on which it counts, as `2026-12-31`.
    pub expires: String,
}

/// How many clauses have each verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Counts {
    /// Clauses in the policy.
    pub clauses: usize,
    /// Clauses that apply and that something judges; all below are among them, but for the last two.
    pub judged: usize,
    /// Kept.
    pub kept: usize,
    /// Broken.
    pub broken: usize,
    /// A probe could not say.
    pub unknown: usize,
    /// Kept too long ago.
    pub stale: usize,
    /// Inside a warning window.
    pub due: usize,
    /// Past a deadline.
    pub overdue: usize,
    /// Broken and accepted.
    pub excepted: usize,
    /// Declared not to apply.
    pub not_applicable: usize,
    /// Clauses that this build has no probe for, or whose document is not on file.
    pub not_judged: usize,
}

impl Row {
    /// Whether anything judges this clause in this build. A planned control and a document that is not on file are
    /// unknown, and listed as such, but no run can change that.
    #[must_use]
    pub const fn judged(&self) -> bool {
        !matches!(self.evidence.verdict, Verdict::Unknown { cause: Cause::NotBuilt | Cause::NoAttestation })
    }
}

impl Report {
    /// Counts the verdicts.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { clauses: self.rows.len(), ..Counts::default() };
        for row in &self.rows {
            if !row.judged() {
                counts.not_judged += 1;
                continue;
            }
            counts.judged += usize::from(row.evidence.verdict != Verdict::NotApplicable);
            *match row.evidence.verdict {
                Verdict::Kept => &mut counts.kept,
                Verdict::Broken => &mut counts.broken,
                Verdict::Unknown { .. } => &mut counts.unknown,
                Verdict::Stale => &mut counts.stale,
                Verdict::Due => &mut counts.due,
                Verdict::Overdue => &mut counts.overdue,
                Verdict::Excepted => &mut counts.excepted,
                Verdict::NotApplicable => &mut counts.not_applicable,
            } += 1;
        }
        counts
    }

    /// What the run says as a whole, over the clauses that something judges and that apply. If there is none, nothing
    /// could be judged.
    #[must_use]
    pub fn conclusion(&self) -> Conclusion {
        let judged = self.rows.iter().filter(|row| row.judged()).map(|row| &row.evidence.verdict);
        Conclusion::of(judged.filter(|verdict| **verdict != Verdict::NotApplicable))
    }

    /// The report as data, schema `reeve.report/1`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        json::render(self)
    }

    /// The report as one page of HTML that needs nothing beside itself.
    #[must_use]
    pub fn to_html(&self) -> String {
        html::render(self)
    }
}

impl fmt::Display for Counts {
    /// `kept 18, broken 1, unknown 2 of 21`. Never a percentage: a share without its denominator hides what is missing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kept {}, broken {}, unknown {}", self.kept, self.broken, self.unknown)?;
        let rare = [("stale", self.stale), ("due", self.due), ("overdue", self.overdue), ("excepted", self.excepted)];
        for (word, count) in rare.into_iter().filter(|(_, count)| *count > 0) {
            write!(f, ", {word} {count}")?;
        }
        write!(f, " of {}", self.judged)?;
        if self.not_applicable > 0 { write!(f, "; {} n/a", self.not_applicable) } else { Ok(()) }
    }
}

/// The conclusion as one word, as scripts read it.
const fn conclusion_word(conclusion: Conclusion) -> &'static str {
    match conclusion {
        Conclusion::Holds => "holds",
        Conclusion::FoundWanting => "found_wanting",
        Conclusion::CouldNotJudge => "could_not_judge",
    }
}

#[cfg(test)]
mod tests;
