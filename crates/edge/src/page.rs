//! The gateway's own error pages: a status, an event id, and nothing else; or the deployment's, from files.

mod own;

use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use reeve_base::EventId;

use crate::body::AnswerBody;

pub(crate) use own::Pages;
pub use own::PagesError;

/// The page for `status`, as HTML or as problem details (RFC 9457), whichever the client rather reads.
pub(crate) fn page(
    status: StatusCode,
    event: EventId,
    prefers_json: bool,
    pages: Option<&Pages>,
) -> Response<AnswerBody> {
    let reason = status.canonical_reason().unwrap_or("Error");
    let (kind, text) = if prefers_json {
        let problem =
            serde_json::json!({ "title": reason, "status": status.as_u16(), "instance": format!("urn:ulid:{event}") });
        ("application/problem+json", problem.to_string())
    } else {
        let own = pages.and_then(|pages| pages.render(status, &event.to_string()));
        ("text/html; charset=utf-8", own.unwrap_or_else(|| html(status, reason, event)))
    };
    let mut response = Response::new(AnswerBody::own(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

// No style and no script: the page must look the same under the strictest Content Security Policy.
fn html(status: StatusCode, reason: &str, event: EventId) -> String {
    let code = status.as_u16();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{code} {reason}</title></head>\n<body>\n<main>\n<h1>{reason}</h1>\n\
         <p>If you ask us about this, please quote the event <code>{event}</code>.</p>\n</main>\n</body>\n</html>\n"
    )
}

/// Whether the client names a JSON type and not HTML. Browsers name HTML; programs that name nothing get HTML too.
pub(crate) fn prefers_json(headers: &HeaderMap) -> bool {
    let Some(accept) = headers.get(ACCEPT).and_then(|value| value.to_str().ok()) else { return false };
    accept.contains("json") && !accept.contains("text/html")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(accept: Option<&'static str>, expected: bool) {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
        }
        assert_eq!(prefers_json(&headers), expected, "{accept:?}");
    }

    #[test]
    fn browsers_get_html_and_programs_that_ask_for_json_get_json() {
        check(None, false);
        check(Some("text/html,application/xhtml+xml,*/*;q=0.8"), false);
        check(Some("application/json"), true);
        check(Some("application/problem+json, application/json"), true);
        check(Some("application/json, text/html;q=0.5"), false);
        check(Some("*/*"), false);
    }
}
