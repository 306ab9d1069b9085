//! Exceptions, declarations and roll-ups: what becomes of a verdict after the probe.

use reeve_base::{Cause, Verdict};

use crate::fixture::{policy, run, target, today, verdict};
use crate::lonely::{ssl3_server, unused_port};

/// A policy with one clause that the server of SSL 3.0 breaks, two that stand on others, and these additions.
fn text(additions: &str) -> String {
    format!(
        r#"
schema = "reeve.policy/1"
[policy]
title = "T"
company = "C"
version = "1"
owner = "a@example.com"
review = {{ every = "12 months", last = 2026-11-01, approvers = 1 }}
[section.s]
title = "S"
[section.t]
title = "T"
[clause.floor]
section = "s"
text = "We accept {{min}} or newer."
control = "tls.floor"
severity = "high"
[clause.again]
section = "t"
text = "Really, {{min}} or newer."
control = "tls.floor"
severity = "high"
[clause.whole]
section = "s"
text = "The section holds."
control = "coverage.section"
with = {{ section = "s" }}
severity = "high"
[clause.soon]
section = "t"
text = "Accounts lock."
control = "identity.lockout"
severity = "high"
[clause.paper]
section = "t"
text = "We hold a report."
attest = {{ type = "soc2-type2", subject = "aws", max_age = "12 months", warn = ["30d"] }}
severity = "high"
{additions}
"#
    )
}

fn exception(clause: &str) -> String {
    let expires = today().saturating_add(jiff::Span::new().days(30));
    format!(
        "[[exception]]\nclause = \"{clause}\"\nreason = \"Old scanners.\"\napproved_by = [\"b@example.com\"]\nexpires = {expires}\n"
    )
}

#[tokio::test]
async fn a_breach_shows_in_each_clause_and_in_its_section() {
    let server = ssl3_server().await;
    let target = target(server.port(), None, None).await;
    let report = run(&policy(&text("")), &target).await;
    for clause in ["floor", "again", "whole"] {
        assert_eq!(verdict(&report, clause), Verdict::Broken, "{clause}");
    }
    assert_eq!(verdict(&report, "soon"), Verdict::Unknown { cause: Cause::NotBuilt });
    assert_eq!(verdict(&report, "paper"), Verdict::Unknown { cause: Cause::NoAttestation });
    assert_eq!(report.counts().to_string(), "kept 0, broken 3, unknown 0 of 3");
    assert_eq!(report.conclusion().exit_code(), 1);
}

#[tokio::test]
async fn clauses_with_the_same_promise_share_one_run() {
    let server = ssl3_server().await;
    let target = target(server.port(), None, None).await;
    let report = run(&policy(&text("")), &target).await;
    let [floor, again] = [&report.rows[0].evidence, &report.rows[1].evidence];
    assert_eq!((&floor.seen_digest, floor.period_to), (&again.seen_digest, again.period_to));
    assert_eq!(floor.parameters_digest.len(), 64);
    assert_eq!(report.requests, 5, "one offer for each version");
}

#[tokio::test]
async fn an_exception_accepts_a_breach_by_name_and_is_shown() {
    let server = ssl3_server().await;
    let target = target(server.port(), None, None).await;
    let policy = policy(&text(&format!("{}{}", exception("floor"), exception("again"))));
    let report = run(&policy, &target).await;
    assert_eq!(verdict(&report, "floor"), Verdict::Excepted);
    assert_eq!(verdict(&report, "whole"), Verdict::Excepted);
    assert_eq!(report.rows[0].exception.as_ref().map(|one| one.reason.as_str()), Some("Old scanners."));
    assert_eq!(report.conclusion().exit_code(), 0);
}

#[tokio::test]
async fn an_exception_accepts_no_ignorance() {
    let target = target(unused_port().await, None, None).await;
    let report = run(&policy(&text(&exception("floor"))), &target).await;
    assert!(matches!(verdict(&report, "floor"), Verdict::Unknown { cause: Cause::Unreachable(_) }));
    assert_eq!(report.conclusion().exit_code(), 2);
}

#[tokio::test]
async fn what_does_not_apply_is_not_asked() {
    let target = target(unused_port().await, None, None).await;
    let reviewed = today();
    let declared = |clause: &str| {
        format!(
            "[[not_applicable]]\nclause = \"{clause}\"\nreason = \"No site.\"\napproved_by = [\"b@example.com\"]\nreviewed = {reviewed}\n"
        )
    };
    let policy = policy(&text(&format!("{}{}", declared("floor"), declared("again"))));
    let report = run(&policy, &target).await;
    assert_eq!(verdict(&report, "floor"), Verdict::NotApplicable);
    assert!(matches!(verdict(&report, "whole"), Verdict::Unknown { cause: Cause::EmptyPopulation(_) }));
    assert_eq!((report.requests, report.conclusion().exit_code()), (0, 2));
}
