//! Faults of a text: all in one run, each at its place.

use reeve_policy::check;

const HEAD: &str = "schema = \"reeve.policy/1\"\n[policy]\ntitle = \"P\"\ncompany = \"C\"\nversion = \"1\"\nowner = \"a@example.com\"\n\
review = { every = \"12 months\", last = 2026-11-01, approvers = 1 }\n[section.s]\ntitle = \"S\"\n";

/// Each fault as its code and the text that it underlines.
#[track_caller]
fn faults(clauses: &str, expected: &[(&str, &str)]) {
    let text = format!("{HEAD}{clauses}");
    let checked = check("p", text.as_bytes(), jiff::civil::date(2026, 11, 21));
    let found: Vec<_> = checked.faults.iter().map(|fault| (fault.code, &text[fault.labels[0].span.clone()])).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_fault_of_the_control_does_not_hide_one_of_the_text() {
    faults(
        "[clause.a]\nsection = \"s\"\ntext = \"After 5 tries.\"\ncontrol = \"rate.ipp\"\nseverity = \"low\"\n",
        &[("policy::bare-number", "5"), ("policy::unknown-control", "\"rate.ipp\"")],
    );
}

#[test]
fn in_a_text_with_escapes_the_whole_of_it_is_underlined() {
    faults(
        "[clause.a]\nsection = \"s\"\ntext = \"\\u00c4fter 5 tries.\"\ncontrol = \"tls.pfs\"\nseverity = \"low\"\n",
        &[("policy::bare-number", "\"\\u00c4fter 5 tries.\"")],
    );
}
