//! hdr.csp with reports: whether a browser's report finds somebody who takes it.

use reeve_base::Cause;

use super::Notes;
use super::headers::directives;
use super::trail::recorded;
use crate::wire::Site;
use crate::wire::exchange::Until;
use crate::wire::hypertext::Ask;

/// A policy without what it says of reports.
pub(super) fn left_out(policy: &str) -> String {
    let kept = policy.split(';').filter(|directive| {
        let name = directive.split_ascii_whitespace().next().unwrap_or_default();
        !name.eq_ignore_ascii_case("report-uri") && !name.eq_ignore_ascii_case("report-to")
    });
    kept.collect::<Vec<_>>().join(";")
}

/// Hands in a report where the home page says, and something that is none.
pub(super) async fn taken(site: &Site, notes: &mut Notes) -> Result<(), Cause> {
    let answer = site.ask(&Ask::get("/")).await?;
    let policy = answer.value("content-security-policy").unwrap_or_default();
    let directives = directives(&policy);
    let said = directives.iter().find(|(name, _)| name == "report-uri").and_then(|(_, places)| places.first().copied());
    let Some(place) = said else {
        notes.fault("Content-Security-Policy does not say where violations are reported");
        return Ok(());
    };
    let home = &site.target().url;
    let Some(place) = home.join(place).ok().filter(|url| url.origin() == home.origin()) else {
        notes.saw(format!("reports go to {place}, which is not the judged site"));
        return Ok(());
    };
    let document = site.invented_path()?;
    let report = format!(
        "{{\"csp-report\":{{\"document-uri\":\"{}\",\"blocked-uri\":\"inline\",\"effective-directive\":\"script-src-elem\"}}}}",
        home.join(&document).map_err(|error| Cause::Unexpected(error.to_string()))?
    );
    let status = hand_in(site, place.path(), &report).await?;
    notes.either(match status {
        200..=299 => Ok(format!("a report is taken ({status})")),
        status => Err(format!("a report is answered with {status}")),
    });
    let status = hand_in(site, place.path(), "no report").await?;
    notes.either(match status {
        400..=499 => Ok(format!("what is no report is refused ({status})")),
        status => Err(format!("what is no report is answered with {status}")),
    });
    if site.house().is_ok() {
        let status = site.status().await?;
        let found = site.find("object", &document).await?;
        notes.either(recorded("a browser's report", &found, &status, |event| {
            event.get("activity").and_then(serde_json::Value::as_str) == Some("csp.violation")
        }));
    }
    Ok(())
}

async fn hand_in(site: &Site, path: &str, body: &str) -> Result<u16, Cause> {
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {}\r\nContent-Type: application/csp-report\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        site.target().authority(),
        site.user_agent(),
        body.len()
    );
    let sent = site.send_raw(request.as_bytes(), Until::Answers(1)).await?;
    let none = || Cause::Unexpected(String::from("a report is not answered"));
    sent.answers.first().map(|answer| answer.status).ok_or_else(none)
}
