//! Where browsers report what a Content Security Policy kept from happening (CSP 3 section 5.3, Reporting API).
//!
//! Anybody can send anything here: a report is bounded, counted by address, taken apart into a few short fields, and only
//! recorded. What it says is the word of whoever sent it.

use std::borrow::Cow;
use std::rc::Rc;

use http::header::{CONTENT_TYPE, HeaderName};
use http::{Method, Response, StatusCode};
use reeve_base::{Event, Outcome, Rate};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::body::{AnswerBody, Breach, RequestBody};
use crate::gateway::Live;
use crate::rate::Quota;
use crate::refusal::Refusal;
use crate::request::{Client, Parsed};
use crate::worker::Worker;

/// Where reports are taken.
pub(crate) const REPORT_PATH: &str = "/.well-known/reeve/csp";

/// What a policy says to have violations reported there, in the old way and in the new one.
pub(crate) const REPORT_DIRECTIVES: &str = "report-uri /.well-known/reeve/csp; report-to reeve";

/// The value of Reporting-Endpoints that goes with it.
pub(crate) const REPORT_ENDPOINT: &str = "reeve=\"/.well-known/reeve/csp\"";
pub(crate) const REPORTING_ENDPOINTS: HeaderName = HeaderName::from_static("reporting-endpoints");

/// A report as it is recorded.
#[derive(Debug, PartialEq, Eq)]
struct Report {
    /// Which directive: `script-src-elem`.
    directive: String,
    /// What was kept back: a keyword such as `inline`, or an origin.
    blocked: String,
    /// The path of the page.
    document: String,
}

/// Takes the reports of one request and records them.
///
/// # Errors
/// When it is none, or there are too many.
pub(crate) async fn take(
    worker: &Rc<Worker>,
    live: &Live,
    client: &Client,
    request: Parsed,
) -> Result<Response<AnswerBody>, Refusal> {
    let quota = Quota::new(Rate::per_minute(REPORTS_PER_MINUTE), REPORTS_BURST);
    worker.shared.rates.count_report(client.address, quota, worker.ticks())?;
    let (parts, incoming) = request.into_inner();
    if parts.method != Method::POST {
        return Err(Refusal::Method);
    }
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !matches!(kind.as_str(), "application/csp-report" | "application/reports+json") {
        return Err(Refusal::BadReport("not of a type that reports have"));
    }
    let body = RequestBody::new(incoming, REPORT_BYTES_MAX, live.rules.guard.pace, Breach::default());
    let (_, pieces) = body.gather(&worker.rooms, usize::MAX).await?;
    let body = pieces.ok_or(Refusal::BodyTooLarge)?.concat();
    let reports = read(&body).ok_or(Refusal::BadReport("not a report"))?;
    for report in reports {
        record(worker, live, client, &report);
    }
    let mut response = Response::new(AnswerBody::own(""));
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

fn record(worker: &Worker, live: &Live, client: &Client, report: &Report) {
    let time = worker.shared.tools.clock.now();
    let on_payment = live.rules.payment.as_ref().is_some_and(|payment| payment.is_page(&report.document));
    let control = if on_payment { "pay.scripts" } else { "hdr.csp" };
    worker.log.record(&Event {
        time,
        id: worker.shared.events.next(time),
        activity: "csp.violation",
        actor: Cow::Borrowed(&client.text),
        action: Cow::Borrowed(&report.directive),
        object: Cow::Borrowed(&report.document),
        outcome: Outcome::Refused { control, cause: Cow::Owned(format!("a browser kept back {}", report.blocked)) },
        status: None,
        duration_us: None,
        ja4: None,
        header_order: None,
        findings: None,
    });
}

/// Both forms of a report; none if it is neither.
fn read(body: &[u8]) -> Option<Vec<Report>> {
    #[derive(Deserialize)]
    struct Old {
        #[serde(rename = "csp-report")]
        report: Value,
    }
    if let Ok(Old { report }) = serde_json::from_slice(body) {
        let directive = text(&report, "effective-directive").or_else(|| text(&report, "violated-directive"));
        return Some(vec![clean(directive, text(&report, "blocked-uri"), text(&report, "document-uri"))?]);
    }
    let reports: Vec<Value> = serde_json::from_slice(body).ok()?;
    let violations = reports.iter().filter(|report| text(report, "type") == Some("csp-violation"));
    let read = violations.take(REPORTS_MAX).filter_map(|report| {
        let body = report.get("body")?;
        let document = text(body, "documentURL").or_else(|| text(report, "url"));
        clean(text(body, "effectiveDirective"), text(body, "blockedURL"), document)
    });
    Some(read.collect())
}

fn text<'v>(value: &'v Value, member: &str) -> Option<&'v str> {
    value.get(member).and_then(Value::as_str)
}

fn clean(directive: Option<&str>, blocked: Option<&str>, document: Option<&str>) -> Option<Report> {
    let document = Url::parse(document?).ok()?;
    Some(Report {
        directive: keyword(directive?)?,
        blocked: blocked.and_then(origin_or_keyword).unwrap_or_else(|| String::from("something unnamed")),
        document: document.path().chars().take(DOCUMENT_CHARACTERS_MAX).collect(),
    })
}

/// A word of letters and hyphens, the first of several.
fn keyword(text: &str) -> Option<String> {
    let word = text.split_ascii_whitespace().next()?;
    let plain = word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    (plain && word.len() <= KEYWORD_BYTES_MAX).then(|| word.to_owned())
}

/// Without path and query, which may be somebody's; of other schemes only the scheme.
fn origin_or_keyword(text: &str) -> Option<String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https" | "ws" | "wss") => {
            Some(url.origin().ascii_serialization().chars().take(ORIGIN_CHARACTERS_MAX).collect())
        }
        Ok(url) => Some(format!("{}:", keyword(url.scheme())?)),
        Err(_) => keyword(text),
    }
}

/// A browser sends one report for each violation; some gather a few.
const REPORT_BYTES_MAX: u64 = 16 * 1024;
const REPORTS_MAX: usize = 10;
const REPORTS_PER_MINUTE: u64 = 60;
const REPORTS_BURST: u32 = 30;
const KEYWORD_BYTES_MAX: usize = 32;
const ORIGIN_CHARACTERS_MAX: usize = 200;
const DOCUMENT_CHARACTERS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Option<&[(&str, &str, &str)]>) {
        let read = read(body.as_bytes());
        let read: Option<Vec<_>> = read.as_ref().map(|reports| {
            let fields = |report: &Report| (report.directive.clone(), report.blocked.clone(), report.document.clone());
            reports.iter().map(fields).collect()
        });
        let expected: Option<Vec<_>> = expected.map(|reports| {
            reports.iter().map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned())).collect()
        });
        assert_eq!(read, expected, "{body}");
    }

    #[test]
    fn reports_of_both_kinds_are_cut_to_what_is_needed() {
        check(
            r#"{"csp-report":{"document-uri":"https://a.example/checkout?card=4111#x","blocked-uri":"https://evil.example:8443/x.js?s=1","violated-directive":"script-src-elem https://a"}}"#,
            Some(&[("script-src-elem", "https://evil.example:8443", "/checkout")]),
        );
        check(
            r#"[{"type":"csp-violation","url":"https://a.example/p?q=1","body":{"documentURL":"https://a.example/p?q=1","blockedURL":"inline","effectiveDirective":"script-src-elem"}},{"type":"deprecation"}]"#,
            Some(&[("script-src-elem", "inline", "/p")]),
        );
        check(
            r#"{"csp-report":{"document-uri":"https://a.example/","blocked-uri":"data:text/html,secret","effective-directive":"img-src"}}"#,
            Some(&[("img-src", "data:", "/")]),
        );
    }

    #[test]
    fn what_is_no_report_is_none() {
        check("", None);
        check("{}", None);
        check("[]", Some(&[]));
        check(r#"{"csp-report":{"document-uri":"nowhere","effective-directive":"img-src"}}"#, None);
        check(r#"{"csp-report":{"document-uri":"https://a/","effective-directive":"IMG \u0000"}}"#, None);
        check(&"[".repeat(5_000), None);
    }
}
