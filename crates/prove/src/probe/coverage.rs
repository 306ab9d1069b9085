//! coverage.section and coverage.clauses: judged by the other clauses, once those are.

use reeve_base::{Cause, Verdict};
use reeve_policy::catalogue::{CoverageClauses, CoverageSection};
use reeve_policy::{Hold, Policy};

use super::Finding;

/// The worst verdict among the other clauses of a section, which the caller picks.
pub(crate) fn section<'r>(control: &CoverageSection, others: impl Iterator<Item = (&'r str, &'r Verdict)>) -> Finding {
    let name = control.section.as_str();
    let others: Vec<(&str, &Verdict)> = others.collect();
    let observations = others.iter().map(|(clause, verdict)| format!("{clause}: {verdict}")).collect();
    let Some((clause, worst)) = others.iter().min_by_key(|(_, verdict)| verdict.rank()) else {
        let cause = Cause::EmptyPopulation(format!("section `{name}` has no other clause"));
        return Finding { seen: cause.to_string(), verdict: Verdict::Unknown { cause }, observations };
    };
    // A section of which nothing applies holds nothing; it is not kept.
    if **worst == Verdict::NotApplicable {
        let cause = Cause::EmptyPopulation(format!("no clause of section `{name}` applies"));
        return Finding { seen: cause.to_string(), verdict: Verdict::Unknown { cause }, observations };
    }
    let seen = format!("the worst of {} is `{clause}`: {worst}", others.len());
    Finding { verdict: (*worst).clone(), seen, observations }
}

/// Whether every clause stands on something that proves it.
pub(crate) fn clauses(control: &CoverageClauses, policy: &Policy) -> Finding {
    let planned = |hold: &Hold| matches!(hold, Hold::Planned(_));
    let without: Vec<&str> =
        policy.clauses.iter().filter(|clause| planned(&clause.hold)).map(|clause| clause.id.as_str()).collect();
    let all = policy.clauses.len();
    let observations = vec![
        format!("{all} clauses, at least {} probe or attestation each promised", control.least),
        format!(
            "without a probe in this build: {}",
            if without.is_empty() { "none".into() } else { without.join(", ") }
        ),
    ];
    if without.is_empty() {
        let seen = format!("each of {all} clauses has a probe or an attestation");
        return Finding { verdict: Verdict::Kept, seen, observations };
    }
    let seen = format!("{} of {all} clauses have no probe in this build", without.len());
    Finding { verdict: Verdict::Broken, seen, observations }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(others: &[(&str, Verdict)], expected: &str) {
        let control = CoverageSection::default();
        let finding = section(&control, others.iter().map(|(clause, verdict)| (*clause, verdict)));
        assert_eq!(finding.verdict.word(), expected, "{}", finding.seen);
    }

    #[test]
    fn a_section_is_as_good_as_its_worst_clause() {
        let unknown = Verdict::Unknown { cause: Cause::NotBuilt };
        check(&[("a", Verdict::Kept), ("b", Verdict::Kept)], "kept");
        check(&[("a", Verdict::Kept), ("b", Verdict::Broken), ("c", unknown.clone())], "broken");
        check(&[("a", Verdict::Kept), ("b", unknown)], "unknown");
        check(&[("a", Verdict::Kept), ("b", Verdict::NotApplicable)], "kept");
        check(&[("a", Verdict::NotApplicable)], "unknown");
        check(&[], "unknown");
    }
}
