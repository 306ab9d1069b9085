//! What a judgement may say. There is no default verdict: silence is never `kept`.

use std::fmt;

use serde::Serialize;

/// The judgement of one clause.
///
/// Complete on purpose: a new verdict should break every place that reads one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "word", rename_all = "snake_case")]
pub enum Verdict {
    /// A probe ran and saw what the clause promises.
    Kept,
    /// A probe ran and saw the contrary.
    Broken,
    /// No probe could say, for this cause. Never counted as kept.
    Unknown {
        /// Why nothing could be said.
        cause: Cause,
    },
    /// Kept when last seen, but that is longer ago than twice the probe's interval.
    Stale,
    /// A document or a workflow is inside its warning window.
    Due,
    /// A document or a workflow is past its deadline.
    Overdue,
    /// Not kept, and accepted for a time by a signed and reasoned exception.
    Excepted,
    /// Declared not to apply, with a reason that is approved again every year.
    NotApplicable,
}

/// Why a verdict is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "detail", rename_all = "snake_case")]
pub enum Cause {
    /// Reeve has no probe for this control yet.
    NotBuilt,
    /// No document that attests it is on file.
    NoAttestation,
    /// The probe has not run.
    NeverRun,
    /// The target could not be reached.
    Unreachable(String),
    /// The target refused the probe itself, so its subject was not seen.
    Denied(String),
    /// There was nothing to judge.
    EmptyPopulation(String),
    /// Judging it would have taken more than the probe's budget.
    OverBudget(String),
    /// The answer was not one that this probe understands.
    Unexpected(String),
}

/// What a judging command says as a whole, and its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Conclusion {
    /// Everything that was judged holds: exit code 0.
    Holds,
    /// Nothing was found wanting, but something could not be judged: exit code 2.
    CouldNotJudge,
    /// Something was judged and found wanting: exit code 1.
    FoundWanting,
}

impl Verdict {
    /// The word that is shown for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Broken => "broken",
            Self::Unknown { .. } => "unknown",
            Self::Stale => "stale",
            Self::Due => "due",
            Self::Overdue => "overdue",
            Self::Excepted => "excepted",
            Self::NotApplicable => "n/a",
        }
    }

    /// What this verdict alone makes of the whole.
    ///
    /// `Due` and `Excepted` are shown for what they are and do not fail a run: the first is still in time, the second
    /// was accepted by name. `NotBuilt` and `NoAttestation` are unknown like any other cause.
    #[must_use]
    pub const fn conclusion(&self) -> Conclusion {
        match self {
            Self::Kept | Self::Due | Self::Excepted | Self::NotApplicable => Conclusion::Holds,
            Self::Broken | Self::Overdue => Conclusion::FoundWanting,
            Self::Unknown { .. } | Self::Stale => Conclusion::CouldNotJudge,
        }
    }

    /// How bad it is, worst first: the order in which a roll-up takes its children's verdict.
    #[must_use]
    pub const fn rank(&self) -> u8 {
        match self {
            Self::Broken => 0,
            Self::Overdue => 1,
            Self::Unknown { .. } => 2,
            Self::Stale => 3,
            Self::Excepted => 4,
            Self::Due => 5,
            Self::Kept => 6,
            Self::NotApplicable => 7,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { cause } => write!(f, "unknown ({cause})"),
            other => f.write_str(other.word()),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBuilt => f.write_str("not built"),
            Self::NoAttestation => f.write_str("no document on file"),
            Self::NeverRun => f.write_str("never run"),
            Self::Unreachable(detail) => write!(f, "unreachable: {detail}"),
            Self::Denied(detail) => write!(f, "denied: {detail}"),
            Self::EmptyPopulation(detail) => write!(f, "nothing to judge: {detail}"),
            Self::OverBudget(detail) => write!(f, "over budget: {detail}"),
            Self::Unexpected(detail) => write!(f, "unexpected: {detail}"),
        }
    }
}

impl Conclusion {
    /// The conclusion over many verdicts: the worst; of none at all, that nothing could be judged.
    pub fn of<'v>(verdicts: impl IntoIterator<Item = &'v Verdict>) -> Self {
        verdicts.into_iter().map(Verdict::conclusion).max().unwrap_or(Self::CouldNotJudge)
    }

    /// The exit code of every judging command.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Holds => 0,
            Self::FoundWanting => 1,
            Self::CouldNotJudge => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(verdicts: &[Verdict], expected: Conclusion) {
        assert_eq!(Conclusion::of(verdicts), expected);
    }

    #[test]
    fn the_worst_verdict_decides_and_nothing_judged_is_not_kept() {
        let unknown = Verdict::Unknown { cause: Cause::NeverRun };
        check(&[], Conclusion::CouldNotJudge);
        check(&[Verdict::Kept, Verdict::Excepted], Conclusion::Holds);
        check(&[Verdict::Kept, unknown.clone()], Conclusion::CouldNotJudge);
        check(&[unknown, Verdict::Broken], Conclusion::FoundWanting);
        check(&[Verdict::Stale], Conclusion::CouldNotJudge);
    }
}
