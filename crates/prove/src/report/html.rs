//! The report as one page: no scripts, no fonts, no pictures; readable on a screen in light and dark, and on paper.

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use reeve_base::Verdict;
use reeve_base::verdict::Conclusion;
use reeve_policy::ClauseSeverity;

use crate::{Report, Row};

const STYLE: &str = include_str!("report.css");

pub(super) fn render(report: &Report) -> String {
    let title = format!("{}: {}", report.policy.title, report.target);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header { (head(report)) }
                main {
                    @for (key, title) in &report.sections {
                        (section(title, report.rows.iter().filter(|row| row.section == *key && row.judged()).collect()))
                    }
                    (not_judged(report))
                }
                footer { (foot(report)) }
            }
        }
    };
    page.into_string()
}

fn head(report: &Report) -> Markup {
    let conclusion = report.conclusion();
    let (class, sentence) = match conclusion {
        Conclusion::Holds => ("kept", "Every clause that was judged holds."),
        Conclusion::FoundWanting => ("broken", "At least one clause was judged and found wanting."),
        Conclusion::CouldNotJudge => ("unknown", "Not every clause could be judged."),
    };
    let counts = report.counts();
    html! {
        p.company { (report.policy.company) }
        h1 { (report.policy.title) }
        p.lead { "judged from outside at " strong { (report.target) } }
        p.conclusion.(class) { (sentence) }
        p.counts { (counts) }
        @if counts.not_judged > 0 {
            p.aside { "Not judged by this build: " (counts.not_judged) " of " (counts.clauses) " clauses, listed at the end." }
        }
        dl {
            div { dt { "Policy version" } dd { (report.policy.version) } }
            div { dt { "Address" } dd { (report.address) } }
            div { dt { "Began" } dd { (moment(report.started)) } }
            div { dt { "Ended" } dd { (moment(report.finished)) } }
            div { dt { "Requests" } dd { (report.requests) } }
        }
    }
}

fn section(title: &str, rows: Vec<&Row>) -> Markup {
    html! {
        @if !rows.is_empty() {
            section {
                h2 { (title) }
                table aria-label=(title) {
                    thead {
                        tr {
                            th scope="col" { "Verdict" }
                            th scope="col" { "Clause" }
                            th scope="col" { "What was seen" }
                            th scope="col" { "When" }
                        }
                    }
                    tbody { @for row in rows { (clause(row)) } }
                }
            }
        }
    }
}

fn clause(row: &Row) -> Markup {
    let evidence = &row.evidence;
    html! {
        tr id={ "clause-" (evidence.clause) } {
            td.verdict { span.mark.(class(&evidence.verdict)) { (evidence.verdict.word()) } }
            th scope="row" {
                (row.sentence)
                small { code { (evidence.clause) } " · " code { (evidence.control) } " · " (severity(row.severity)) }
            }
            td {
                (evidence.seen)
                @if let Some(exception) = &row.exception {
                    p.exception {
                        "Accepted until " (exception.expires) " by " (exception.approved_by.join(", ")) ": " (exception.reason)
                    }
                }
                @if !evidence.observations.is_empty() {
                    details {
                        summary { (evidence.observations.len()) " observations" }
                        ul { @for observation in &evidence.observations { li { (observation) } } }
                        p.digest { "parameters " code { (evidence.parameters_digest) } }
                        p.digest { "observations " code { (evidence.seen_digest) } }
                    }
                }
            }
            td.when { (moment(evidence.period_to)) }
        }
    }
}

fn not_judged(report: &Report) -> Markup {
    let rows: Vec<&Row> = report.rows.iter().filter(|row| !row.judged()).collect();
    html! {
        @if !rows.is_empty() {
            section {
                h2 { "Not judged by this build" }
                p { "Nothing is said of these clauses, and they count neither as kept nor as broken." }
                ul.plain {
                    @for row in rows {
                        li { (row.sentence) " " small { code { (row.evidence.clause) } ", " (row.evidence.seen) } }
                    }
                }
            }
        }
    }
}

fn foot(report: &Report) -> Markup {
    html! {
        p {
            "Kept means that the contrary was tried and refused, and that the allowed thing passed. What could not be "
            "seen is unknown and never counts as kept."
        }
        p.digest { "SHA-256 of the policy " code { (report.policy.digest) } }
        p { "Made by reeve " (env!("CARGO_PKG_VERSION")) "." }
    }
}

fn severity(severity: ClauseSeverity) -> &'static str {
    match severity {
        ClauseSeverity::Low => "low",
        ClauseSeverity::Medium => "medium",
        ClauseSeverity::High => "high",
        ClauseSeverity::Critical => "critical",
    }
}

/// The colour; the word stands beside it, so that nothing hangs on telling colours apart.
const fn class(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Kept => "kept",
        Verdict::Broken | Verdict::Overdue => "broken",
        Verdict::Unknown { .. } | Verdict::Stale => "unknown",
        Verdict::Due | Verdict::Excepted => "due",
        Verdict::NotApplicable => "inapplicable",
    }
}

/// To the second, in UTC.
fn moment(time: Timestamp) -> Markup {
    let text = time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    html! { time datetime=(time.to_string()) { (text) } }
}
