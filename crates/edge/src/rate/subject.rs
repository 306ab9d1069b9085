//! Whose request it is, as far as a limit on rates needs to know.
//!
//! Nothing here is believed to be true: a session that somebody made up counts like any other. It costs whoever makes up
//! sessions the rate of their address, and nobody else anything.

use std::borrow::Cow;
use std::net::IpAddr;

use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE};
use percent_encoding::percent_decode;

use super::rules::{Counted, Limit, RateRules, Which};
use crate::refusal::Refusal;

/// What identifies a signed-in user on this deployment. Without either there is none, and no limit on any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "settings, made by whoever reads them")]
pub struct Session {
    /// The cookie that the application keeps its session in.
    pub cookie: Option<String>,
    /// Whether a bearer token (RFC 6750 section 2.1) is one as well.
    pub bearer: bool,
}

/// One request that a limit is to count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim<'r, 'v> {
    pub(super) which: Which,
    pub(super) limit: &'r Limit,
    pub(super) subject: &'v [u8],
}

impl RateRules {
    /// Hands over each limit that a request is to be counted against, in the order in which they count, until one
    /// refuses it.
    pub(super) fn claims<'r>(
        &'r self,
        headers: &HeaderMap,
        path: &str,
        address: IpAddr,
        mut count: impl FnMut(Claim<'r, '_>) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let path = &*self.plain(path);
        if let Some(limits) = &self.address {
            let subject = octets(address);
            for (which, limit) in limits.of(Counted::Address, path) {
                count(Claim { which, limit, subject: &subject })?;
            }
        }
        if let Some((name, limits)) = &self.header {
            let values = headers.get_all(name).iter().map(|value| value.as_bytes().trim_ascii());
            each(values, &mut |subject| {
                limits.of(Counted::Header, path).try_for_each(|(which, limit)| count(Claim { which, limit, subject }))
            })?;
        }
        if let Some(limits) = &self.user {
            each(self.session.values(headers), &mut |value| {
                let subject = spelled_plainly(value);
                let subject = &*subject;
                limits.of(Counted::User, path).try_for_each(|(which, limit)| count(Claim { which, limit, subject }))
            })?;
        }
        Ok(())
    }
}

/// Every value counts: an application may go by the first of several or by the last, and whoever sends several must not
/// gain by it.
fn each<'v>(
    values: impl Iterator<Item = &'v [u8]>,
    count: &mut impl FnMut(&'v [u8]) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    for (number, value) in values.filter(|value| !value.is_empty()).enumerate() {
        if number == VALUES_MAX {
            return Err(Refusal::Malformed("more sessions or keys in one request than are counted"));
        }
        count(value)?;
    }
    Ok(())
}

impl Session {
    /// Whether anything identifies a user here.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.cookie.is_some() || self.bearer
    }

    fn values<'h>(&'h self, headers: &'h HeaderMap) -> impl Iterator<Item = &'h [u8]> {
        let cookie = self.cookie.as_deref();
        let cookies = cookie.into_iter().flat_map(|name| {
            let pairs = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
            pairs.filter_map(|pair| value_of(pair.trim_ascii(), name.as_bytes()))
        });
        let tokens =
            self.bearer.then(|| headers.get_all(AUTHORIZATION).iter().filter_map(|line| token(line.as_bytes())));
        cookies.chain(tokens.into_iter().flatten())
    }
}

/// The value of a cookie of this name (RFC 6265 section 4.2.1), without the quotes that some put around it.
fn value_of<'v>(pair: &'v [u8], name: &[u8]) -> Option<&'v [u8]> {
    let value = pair.strip_prefix(name)?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii();
    Some(value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value))
}

fn token(credentials: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = credentials.split_at_checked(BEARER.len())?;
    scheme.eq_ignore_ascii_case(BEARER).then(|| token.trim_ascii())
}

/// Percent-encoding resolved, because many applications do so, and the same session in other letters would count anew.
fn spelled_plainly(value: &[u8]) -> Cow<'_, [u8]> {
    if value.contains(&b'%') { percent_decode(value).into() } else { Cow::Borrowed(value) }
}

/// IPv6 users own at least a /64 and can leave it at will, so that is what counts as one address (RFC 6177).
pub(super) fn octets(address: IpAddr) -> [u8; 16] {
    let bits = match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits() & !u128::from(u64::MAX),
    };
    bits.to_be_bytes()
}

const BEARER: &[u8] = b"Bearer ";

/// Two happen, where a cookie is set for two paths. More is nobody's session.
const VALUES_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn finds(session: &Session, lines: &[(http::HeaderName, &'static str)], expected: &[&str]) {
        let lines = lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value);
        }
        let mut found = Vec::new();
        let all = each(session.values(&headers), &mut |value| {
            found.push(String::from_utf8(spelled_plainly(value).into_owned()).unwrap());
            Ok(())
        });
        assert_eq!(found, expected);
        assert_eq!(all.is_ok(), expected.len() <= VALUES_MAX);
    }

    #[test]
    fn a_session_is_found_wherever_it_stands_and_however_it_is_spelled() {
        let session = Session { cookie: Some(String::from("sid")), bearer: true };
        finds(&session, &[(COOKIE, "a=b; sid=one; c=d")], &["one"]);
        finds(&session, &[(COOKIE, "sid=\"one\"")], &["one"]);
        finds(&session, &[(COOKIE, "sid=%6Fne;sid = two")], &["one", "two"]);
        finds(&session, &[(COOKIE, "x=1"), (COOKIE, "sid=one")], &["one"]);
        finds(&session, &[(AUTHORIZATION, "bearer  abc"), (COOKIE, "sid=one")], &["one", "abc"]);
        finds(&session, &[(COOKIE, "sidx=one; xsid=two; sid; sid=")], &[]);
        finds(&session, &[(AUTHORIZATION, "Basic abc")], &[]);
        finds(&Session::default(), &[(COOKIE, "sid=one"), (AUTHORIZATION, "Bearer abc")], &[]);
    }

    #[test]
    fn a_64_is_one_address_and_so_is_an_ipv4_address_in_either_form() {
        let of = |text: &str| octets(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
    }
}
