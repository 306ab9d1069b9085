//! What a change of policy means, in words.

use reeve_policy::{Policy, check, difference};

fn policy(clauses: &str) -> Policy {
    let text = format!(
        "schema = \"reeve.policy/1\"\n[policy]\ntitle = \"P\"\ncompany = \"C\"\nversion = \"1\"\nowner = \"a@example.com\"\n\
         review = {{ every = \"12 months\", last = 2026-11-01, approvers = 1 }}\n[section.s]\ntitle = \"S\"\n{clauses}"
    );
    let checked = check("p", text.as_bytes(), jiff::civil::date(2026, 11, 21));
    checked.policy.unwrap()
}

fn rate(with: &str) -> String {
    format!(
        "[clause.rate]\nsection = \"s\"\ntext = \"{{rate}}.\"\ncontrol = \"rate.ip\"\nwith = {{ {with} }}\nseverity = \"low\"\n"
    )
}

#[track_caller]
fn becomes(old: &str, new: &str, expected: &[&str]) {
    let changes = difference(&policy(old), &policy(new));
    let words: Vec<_> = changes
        .iter()
        .map(|change| format!("{} {}: {}", change.tightness.word(), change.clause, change.detail))
        .collect();
    assert_eq!(words, expected);
}

#[test]
fn a_parameter_that_promises_less_is_loosened_and_one_that_promises_more_tightened() {
    let (loose, strict) = (rate("rate = \"60/min\", burst = 20"), rate("rate = \"1/s\", burst = 5"));
    becomes(&loose, &strict, &["tightened rate: burst from 20 to 5"]);
    becomes(&strict, &loose, &["loosened rate: burst from 5 to 20"]);
    becomes(&loose, &loose, &[]);
}

#[test]
fn clauses_come_and_go() {
    becomes("", &rate("burst = 5"), &["added rate: 600 requests per minute."]);
    becomes(&rate("burst = 5"), "", &["removed rate: 600 requests per minute."]);
}

#[test]
fn an_exception_loosens_and_a_longer_one_loosens_more() {
    let clause = rate("burst = 5");
    let excepted = |day: u8| {
        format!(
            "{clause}[[exception]]\nclause = \"rate\"\nreason = \"R\"\napproved_by = [\"b@example.com\"]\nexpires = 2026-12-{day}\n"
        )
    };
    becomes(&clause, &excepted(10), &["loosened rate: excepted until 2026-12-10: R"]);
    becomes(&excepted(10), &excepted(20), &["loosened rate: exception until 2026-12-20 instead of 2026-12-10"]);
    becomes(&excepted(20), &excepted(10), &["tightened rate: exception until 2026-12-10 instead of 2026-12-20"]);
    becomes(&excepted(10), &clause, &["tightened rate: no longer excepted"]);
    let waived = format!(
        "{clause}[[not_applicable]]\nclause = \"rate\"\nreason = \"R\"\napproved_by = [\"b@example.com\"]\nreviewed = 2026-11-01\n"
    );
    becomes(&clause, &waived, &["loosened rate: declared not to apply: R"]);
    becomes(&waived, &clause, &["tightened rate: applies again"]);
}
