//! What is done to every answer before it leaves: the policy's headers in, the application's talk about itself out.

use std::borrow::Cow;

use http::header::{CONNECTION, Entry, HeaderName, SET_COOKIE, STRICT_TRANSPORT_SECURITY};
use http::{HeaderMap, HeaderValue, StatusCode};
use reeve_policy::catalogue::Replaced;

use crate::request::Transport;
use crate::rules::AnswerRules;

impl AnswerRules {
    /// Dresses an answer. Each header that the policy sets is there exactly once, whatever the application sent.
    pub(crate) fn dress(&self, headers: &mut HeaderMap, transport: Transport) {
        while let Some(name) = headers.keys().find(|name| self.strip.contains(name)).cloned() {
            headers.remove(name);
        }
        // At most one growth instead of one for each doubling.
        headers.reserve(self.set.len() + 1);
        for (name, value) in &self.set {
            headers.insert(name, value.clone());
        }
        // RFC 6797 section 7.2: never over plaintext.
        if let (Some(value), Transport::Tls) = (&self.strict_transport, transport) {
            headers.insert(STRICT_TRANSPORT_SECURITY, value.clone());
        }
        if self.secure_cookies {
            secure_cookies(headers);
        }
    }

    /// Whether an answer of the application is replaced by a page of the gateway's own.
    pub(crate) fn replaces(&self, status: StatusCode) -> bool {
        match self.replaced {
            None => false,
            Some(Replaced::ServerErrors) => status.is_server_error(),
            Some(Replaced::AllErrors) => status.is_server_error() || status.is_client_error(),
        }
    }
}

/// Adds Secure to each cookie that lacks it (RFC 6265 section 4.1.2.5).
fn secure_cookies(headers: &mut HeaderMap) {
    let Entry::Occupied(mut cookies) = headers.entry(SET_COOKIE) else { return };
    for cookie in cookies.iter_mut() {
        if let Cow::Owned(secured) = secured(cookie.as_bytes())
            && let Ok(value) = HeaderValue::from_bytes(&secured)
        {
            *cookie = value;
        }
    }
}

fn secured(cookie: &[u8]) -> Cow<'_, [u8]> {
    let has = cookie.split(|byte| *byte == b';').skip(1).any(|part| part.trim_ascii().eq_ignore_ascii_case(b"secure"));
    if has { Cow::Borrowed(cookie) } else { Cow::Owned([cookie, b"; Secure"].concat()) }
}

/// Removes the fields that `unwanted` names, and those that Connection names (RFC 9110 section 7.6.1).
///
/// Looks at the names that are there instead of looking up each that might be: a message has ten fields or so, of which
/// one or none is unwanted, and a lookup by text costs more than all of these comparisons.
pub(crate) fn remove_fields(headers: &mut HeaderMap, unwanted: impl Fn(&HeaderName) -> bool) {
    if let Some(connection) = headers.remove(CONNECTION) {
        let named = connection.to_str().unwrap_or_default().split(',').map(str::trim);
        for name in named.filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok()) {
            headers.remove(name);
        }
    }
    while let Some(name) = headers.keys().find(|name| unwanted(name)).cloned() {
        headers.remove(name);
    }
}

/// The fields that belong to one connection and not to the message (RFC 9110 section 7.6.1).
pub(crate) fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "te" | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "http2-settings"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_become_secure_once() {
        assert_eq!(&*secured(b"a=b"), b"a=b; Secure");
        assert_eq!(&*secured(b"a=b; Path=/; SECURE"), b"a=b; Path=/; SECURE");
        assert_eq!(&*secured(b"secure=1; Path=/"), b"secure=1; Path=/; Secure");
    }

    #[test]
    fn fields_of_the_connection_go_with_those_it_names() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("connection", "close, x-private"), ("x-private", "1"), ("te", "trailers"), ("accept", "*/*")]
        {
            headers.insert(name, HeaderValue::from_static(value));
        }
        remove_fields(&mut headers, is_hop_by_hop);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    }
}
