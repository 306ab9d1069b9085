//! What is done to every answer before it leaves: the policy's headers in, the application's talk about itself out.

use std::borrow::Cow;

use http::header::{
    CONNECTION, Entry, HeaderName, SET_COOKIE, STRICT_TRANSPORT_SECURITY, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use reeve_policy::catalogue::Replaced;

use crate::request::Transport;
use crate::rules::AnswerRules;

impl AnswerRules {
    /// Dresses an answer. Each header that the policy sets is there exactly once, whatever the application sent.
    pub(crate) fn dress(&self, headers: &mut HeaderMap, transport: Transport) {
        for name in &self.strip {
            headers.remove(name);
        }
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

/// Removes the fields that belong to one connection and not to the message (RFC 9110 section 7.6.1), those that
/// Connection names among them.
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if let Some(connection) = headers.remove(CONNECTION) {
        let named = connection.to_str().unwrap_or_default().split(',').map(str::trim);
        for name in named.filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok()) {
            headers.remove(name);
        }
    }
    for name in [TE, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    for name in
        ["keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "trailer", "http2-settings"]
    {
        headers.remove(name);
    }
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
        remove_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    }
}
