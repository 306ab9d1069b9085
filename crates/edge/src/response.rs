//! What is done to every answer before it leaves: the policy's headers in, the application's talk about itself out.

use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, COOKIE, HeaderName, SET_COOKIE, STRICT_TRANSPORT_SECURITY,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use reeve_policy::catalogue::Replaced;

use crate::request::Transport;
use crate::rules::AnswerRules;

impl AnswerRules {
    /// Dresses an answer. Each header that the policy sets is there exactly once, whatever the application sent.
    pub(crate) fn dress(&self, headers: &mut HeaderMap, transport: Transport, personal: Personal) {
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
        if let Some(cookies) = &self.cookies {
            cookies.dress(headers, transport);
        }
        if self.no_store {
            keep_out_of_caches(headers, personal);
        }
    }

    /// Whether an answer may be somebody's own.
    pub(crate) fn personal(&self, request: &HeaderMap) -> Personal {
        // Nobody asks unless it makes a difference.
        let known = self.no_store && (request.contains_key(COOKIE) || request.contains_key(AUTHORIZATION));
        if known { Personal::MayBe } else { Personal::No }
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

/// Whether an answer may be meant for one person only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Personal {
    /// The request said nothing of who asks.
    No,
    /// It carried a cookie or credentials.
    MayBe,
}

/// Whatever sets a cookie, or answers somebody who is known, is kept by no cache (RFC 9111 section 5.2.2.5): unless the
/// application itself says that the answer is the same for everybody.
fn keep_out_of_caches(headers: &mut HeaderMap, personal: Personal) {
    let says = |word: &str| {
        let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|directive| directive.trim().eq_ignore_ascii_case(word))
    };
    let of_one = personal == Personal::MayBe && !says("public");
    if headers.contains_key(SET_COOKIE) || of_one {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
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

    #[track_caller]
    fn cached(fields: &[(&'static str, &'static str)], personal: Personal, expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        keep_out_of_caches(&mut headers, personal);
        assert_eq!(headers.get(CACHE_CONTROL).map(|value| value.to_str().unwrap()), expected, "{fields:?}");
    }

    #[test]
    fn what_is_somebodys_own_is_kept_by_no_cache() {
        cached(&[], Personal::No, None);
        cached(&[], Personal::MayBe, Some("no-store"));
        cached(&[("cache-control", "max-age=60")], Personal::MayBe, Some("no-store"));
        cached(&[("cache-control", "max-age=60, Public")], Personal::MayBe, Some("max-age=60, Public"));
        cached(&[("cache-control", "public"), ("set-cookie", "a=b")], Personal::No, Some("no-store"));
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
