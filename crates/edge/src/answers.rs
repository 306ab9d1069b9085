//! What is looked for in the application's answers, between the upstream and the client.
//!
//! Everything here is asked for by a control, and where none asks nothing is done: an answer goes on as it came. Bodies are
//! looked into on their way, within bounds; none is kept.

pub(crate) mod coding;
pub(crate) mod cookies;
pub(crate) mod payment;
pub(crate) mod reading;
pub(crate) mod report;
pub(crate) mod scripts;
mod trace;

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Response, StatusCode};
use reeve_policy::catalogue::ErrorNoDebug;

use crate::body::AnswerBody;
use crate::refusal::Refusal;
use crate::rules::plainly;

use coding::{Coding, Decoder};
use trace::{Standing, Wrapping};

/// The search for stack traces. There is one if the policy asks for it.
#[derive(Debug)]
pub(crate) struct TraceRules {
    /// Pages that may show traces.
    documentation: Vec<String>,
}

impl TraceRules {
    pub(crate) fn new(control: &ErrorNoDebug) -> Option<Self> {
        let documentation = control.documentation.iter().map(|path| path.as_str().to_owned()).collect();
        control.traces.then_some(Self { documentation })
    }

    /// Whether a page is there to explain what goes wrong in programs, and may show it.
    pub(crate) fn explains(&self, path: &str) -> bool {
        lies_under(&self.documentation, path)
    }

    /// Whether this answer is one that may hold a trace and must not. Server errors are for `error.page`.
    pub(crate) fn concern(&self, method: &Method, path: &str, response: &Response<AnswerBody>) -> bool {
        let status = response.status();
        let has_body = *method != Method::HEAD
            && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            && !status.is_informational()
            && !http_body::Body::is_end_stream(response.body());
        has_body && wrapping(response.headers()).is_some() && !self.explains(path)
    }
}

/// Looks at the beginning of an answer, and lets it go on if there is no trace in it.
///
/// # Errors
/// With what was found, or if the answer cannot be looked into.
pub(crate) async fn examine(mut response: Response<AnswerBody>) -> Result<Response<AnswerBody>, Refusal> {
    let status = response.status();
    let Some(wrapping) = wrapping(response.headers()) else { return Ok(response) };
    let Some(coding) = Coding::of(response.headers()) else {
        // What it can be asked for was made known to the application.
        tokio::task::spawn_local(response.into_body().read_out());
        return Err(Refusal::Unreadable("a content coding that was not asked for"));
    };
    let standing = if status.is_client_error() { Standing::Error } else { Standing::Success };
    let bytes_max = match standing {
        Standing::Error => ERROR_BYTES_MAX,
        Standing::Success => SUCCESS_BYTES_MAX,
    };
    let pieces = response.body_mut().look_ahead(bytes_max, PAUSE).await;
    let found = match (pieces.as_slice(), coding) {
        // As most answers come, without a copy.
        ([only], Coding::Identity) => trace::find(bounded(only, bytes_max), wrapping, standing),
        (pieces, coding) => {
            let mut decoder = Decoder::new(coding);
            let mut text = Vec::new();
            for piece in pieces {
                // What is no such coding can be read by nobody; what was read until then is looked at.
                let Ok(decoded) = decoder.decode(piece) else { break };
                text.extend_from_slice(bounded(&decoded, bytes_max));
                if text.len() >= bytes_max {
                    break;
                }
            }
            trace::find(bounded(&text, bytes_max), wrapping, standing)
        }
    };
    match found {
        None => Ok(response),
        Some(of) => {
            tokio::task::spawn_local(response.into_body().read_out());
            Err(Refusal::Trace { of, status })
        }
    }
}

fn bounded(text: &[u8], bytes_max: usize) -> &[u8] {
    text.get(..bytes_max).unwrap_or(text)
}

/// What the text of such an answer is wrapped in; none if it is no text that people or programs read errors in.
fn wrapping(headers: &HeaderMap) -> Option<Wrapping> {
    let kind = headers.get(CONTENT_TYPE)?.as_bytes();
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let is = |known: &str| kind.eq_ignore_ascii_case(known.as_bytes());
    match () {
        () if is("text/html") || is("application/xhtml+xml") => Some(Wrapping::Markup),
        () if is("text/plain") => Some(Wrapping::Plain),
        () if is("application/json") || is("application/problem+json") => Some(Wrapping::Escapes),
        () => None,
    }
}

/// Whether this is a page as browsers show it.
pub(crate) fn is_html(headers: &HeaderMap) -> bool {
    wrapping(headers) == Some(Wrapping::Markup)
}

/// Whether `path`, in whatever way it is spelled, is one of these or below one.
fn lies_under(paths: &[String], path: &str) -> bool {
    !paths.is_empty() && under(paths, path).is_some()
}

/// The one of these that `path` is, or is below of.
fn under<'p>(paths: &'p [String], path: &str) -> Option<&'p String> {
    let path = plainly(path);
    paths.iter().find(|known| {
        let known = known.trim_end_matches('/');
        path.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Of an answer this much is looked at: a failing program says so at once, or has sent its head long before. Errors are
/// rare and searched further.
const SUCCESS_BYTES_MAX: usize = 16 * 1024;
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// An application that pauses is not held up for longer than this, and what it sends after is not held up at all.
const PAUSE: Duration = Duration::from_millis(100);
