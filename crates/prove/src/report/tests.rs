use reeve_base::{ClauseId, ControlName, ProbeName};

use super::*;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn row(clause: &str, section: &str, verdict: Verdict, seen: &str) -> Row {
    let control = ControlName::new("tls.floor");
    Row {
        evidence: Evidence {
            clause: ClauseId::new(clause),
            probe: Some(ProbeName::new(control.as_str())),
            control,
            target: String::from("https://shop.example/"),
            period_from: time("2026-11-21T12:00:00Z"),
            period_to: time("2026-11-21T12:00:01.5Z"),
            parameters_digest: String::from("aa11"),
            seen: seen.to_owned(),
            observations: vec![String::from("offered TLS 1.0: refused"), String::from("twin: <accepted>")],
            seen_digest: String::from("bb22"),
            verdict,
        },
        sentence: format!("The promise of {clause} & its \"numbers\"."),
        section: section.to_owned(),
        severity: ClauseSeverity::High,
        exception: None,
    }
}

fn unknown(cause: Cause) -> Verdict {
    Verdict::Unknown { cause }
}

fn report(rows: Vec<Row>) -> Report {
    Report {
        policy: PolicyHead {
            title: String::from("Security policy"),
            company: String::from("Example <Ltd>"),
            version: String::from("2026.11"),
            digest: String::from("cc33"),
        },
        target: String::from("https://shop.example/"),
        address: String::from("192.0.2.7:443"),
        started: time("2026-11-21T12:00:00Z"),
        finished: time("2026-11-21T12:00:09Z"),
        requests: 42,
        sections: vec![
            (String::from("transport"), String::from("Encryption in transit")),
            (String::from("openness"), String::from("Openness")),
        ],
        rows,
    }
}

fn every_kind() -> Report {
    let mut excepted = row("headers", "openness", Verdict::Excepted, "no X-Frame-Options on all of 3 answers");
    excepted.exception = Some(RowException {
        reason: String::from("The partner's portal frames us until change 118."),
        approved_by: vec![String::from("ciso@example.com"), String::from("cto@example.com")],
        expires: String::from("2026-12-31"),
    });
    let mut planned = row("lockout", "openness", unknown(Cause::NotBuilt), "this build has no probe for the control");
    planned.evidence.probe = None;
    planned.evidence.observations.clear();
    report(vec![
        row("floor", "transport", Verdict::Kept, "TLS 1.0 refused; TLS 1.3 accepted"),
        row("ciphers", "transport", Verdict::Broken, "TLS 1.2 accepts suites outside the list"),
        row("certificate", "transport", unknown(Cause::Unreachable(String::from("closed"))), "unreachable: closed"),
        excepted,
        row("links", "openness", Verdict::NotApplicable, "declared not to apply: no terms"),
        planned,
    ])
}

#[test]
fn counts_never_hide_the_denominator() {
    let counts = every_kind().counts();
    assert_eq!(counts.to_string(), "kept 1, broken 1, unknown 1, excepted 1 of 4; 1 n/a");
    assert_eq!((counts.clauses, counts.not_judged), (6, 1));
}

#[track_caller]
fn concludes(verdicts: &[Verdict], expected: Conclusion) {
    let rows = verdicts.iter().map(|verdict| row("a", "transport", verdict.clone(), "")).collect();
    assert_eq!(report(rows).conclusion(), expected);
}

#[test]
fn what_no_build_can_judge_decides_nothing_and_nothing_judged_is_not_kept() {
    let not_built = unknown(Cause::NotBuilt);
    concludes(&[Verdict::Kept, not_built.clone(), unknown(Cause::NoAttestation)], Conclusion::Holds);
    concludes(&[not_built, Verdict::NotApplicable], Conclusion::CouldNotJudge);
    concludes(&[Verdict::Kept, unknown(Cause::NeverRun)], Conclusion::CouldNotJudge);
    concludes(&[Verdict::Broken, unknown(Cause::NeverRun)], Conclusion::FoundWanting);
    concludes(&[], Conclusion::CouldNotJudge);
}

#[test]
fn the_page_stands_alone_and_escapes_what_it_shows() {
    let page = every_kind().to_html();
    for foreign in ["<script", "http-equiv", "src=", "url(", "@import", "<link"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(page.contains("twin: &lt;accepted&gt;") && page.contains("Example &lt;Ltd&gt;"));
    let (_, body) = page.split_once("<body>").unwrap();
    insta::assert_snapshot!(body.replace("><", ">\n<"));
}

#[test]
fn the_data_keeps_its_names() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&every_kind().to_json()).unwrap());
}
