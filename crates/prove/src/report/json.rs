//! The report as data. Names here are a promise to scripts: they are added to, never changed.

use reeve_base::Verdict;
use serde_json::{Value, json};

use crate::{Report, Row};

/// The format.
const SCHEMA: &str = "reeve.report/1";

pub(super) fn render(report: &Report) -> Value {
    let sections = report.sections.iter().map(|(key, title)| json!({ "key": key, "title": title }));
    json!({
        "schema": SCHEMA,
        "policy": {
            "title": report.policy.title,
            "company": report.policy.company,
            "version": report.policy.version,
            "sha256": report.policy.digest,
        },
        "target": report.target,
        "address": report.address,
        "started": report.started.to_string(),
        "finished": report.finished.to_string(),
        "requests": report.requests,
        "conclusion": super::conclusion_word(report.conclusion()),
        "exit_code": report.conclusion().exit_code(),
        "counts": report.counts(),
        "sections": sections.collect::<Vec<_>>(),
        "clauses": report.rows.iter().map(row).collect::<Vec<_>>(),
    })
}

fn row(row: &Row) -> Value {
    let evidence = &row.evidence;
    let exception = row.exception.as_ref().map(|exception| {
        json!({
            "reason": exception.reason,
            "approved_by": exception.approved_by,
            "expires": exception.expires,
        })
    });
    let cause = match &evidence.verdict {
        Verdict::Unknown { cause } => serde_json::to_value(cause).unwrap_or(Value::Null),
        _ => Value::Null,
    };
    json!({
        "clause": evidence.clause,
        "section": row.section,
        "severity": row.severity,
        "sentence": row.sentence,
        "control": evidence.control,
        "probe": evidence.probe,
        "verdict": evidence.verdict.word(),
        "cause": cause,
        "judged": row.judged(),
        "seen": evidence.seen,
        "observations": evidence.observations,
        "target": evidence.target,
        "period_from": evidence.period_from.to_string(),
        "period_to": evidence.period_to.to_string(),
        "parameters_sha256": evidence.parameters_digest,
        "seen_sha256": evidence.seen_digest,
        "exception": exception,
    })
}
