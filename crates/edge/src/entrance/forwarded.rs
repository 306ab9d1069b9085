//! Whom a proxy speaks for, by the head of a request: X-Forwarded-For, or Forwarded (RFC 7239).
//!
//! Each proxy on the way adds the address that it was called from at the end, so only the end can be believed: the
//! client is the last address that is no trusted proxy. What stands before it anybody may have written, and it is not
//! even read.

use std::net::{IpAddr, SocketAddr};

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName};

use crate::refusal::Refusal;
use crate::settings::ForwardedHeader;

/// The last address that is not trusted; where all are, the first of them. `None` without the field.
pub(super) fn client(
    headers: &HeaderMap,
    header: ForwardedHeader,
    trusts: impl Fn(IpAddr) -> bool,
) -> Result<Option<IpAddr>, Refusal> {
    let name = match header {
        ForwardedHeader::XForwardedFor => X_FORWARDED_FOR,
        ForwardedHeader::Forwarded => FORWARDED,
    };
    let mut nearest = None;
    // Repeated fields are one list (RFC 9110 section 5.3).
    for value in headers.get_all(name).into_iter().rev() {
        let value = value.to_str().map_err(|_| NO_ADDRESS)?;
        for element in elements(value).into_iter().rev() {
            let address = match header {
                ForwardedHeader::XForwardedFor => address(element),
                ForwardedHeader::Forwarded => node(element),
            };
            let address = address.ok_or(NO_ADDRESS)?;
            if !trusts(address) {
                return Ok(Some(address));
            }
            nearest = Some(address);
        }
    }
    Ok(nearest)
}

/// The parts between commas that stand in no quotes, empty ones left out.
fn elements(value: &str) -> Vec<&str> {
    split(value, ',').filter(|element| !element.is_empty()).collect()
}

fn split(value: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let parts = value.split(move |character| {
        quoted ^= character == '"';
        character == separator && !quoted
    });
    parts.map(|part| part.trim_matches([' ', '\t']))
}

/// The value of `for` (RFC 7239 section 6).
fn node(element: &str) -> Option<IpAddr> {
    let pair = split(element, ';').filter_map(|pair| pair.split_once('='));
    let (_, node) = pair.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
    let node = node.strip_prefix('"').map_or(Some(node), |rest| rest.strip_suffix('"'))?;
    address(node)
}

/// An address, as proxies write it: bare, in brackets, with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    address.map(|address| address.to_canonical())
}

const NO_ADDRESS: Refusal = Refusal::Malformed("a trusted proxy names a client that is no address");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: ForwardedHeader, values: &[&str], expected: Result<Option<&str>, ()>) {
        let name = if header == ForwardedHeader::Forwarded { FORWARDED } else { X_FORWARDED_FOR };
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name.clone(), value.parse().unwrap());
        }
        let found = client(&headers, header, |address| address.to_string().starts_with("10."));
        let expected = expected.map(|address| address.map(|address| address.parse().unwrap()));
        assert_eq!(found.map_err(drop), expected, "{values:?}");
    }

    #[test]
    fn the_last_address_that_is_no_proxy_counts() {
        let x = |values: &[&str], expected| check(ForwardedHeader::XForwardedFor, values, expected);
        x(&[], Ok(None));
        x(&["203.0.113.9"], Ok(Some("203.0.113.9")));
        x(&["198.51.100.1, 203.0.113.9"], Ok(Some("203.0.113.9")));
        x(&["198.51.100.1, 203.0.113.9, 10.0.0.7"], Ok(Some("203.0.113.9")));
        x(&["198.51.100.1", "203.0.113.9,10.0.0.7", "10.0.0.8"], Ok(Some("203.0.113.9")));
        x(&["10.0.0.7, 10.0.0.8"], Ok(Some("10.0.0.7")));
        x(&["203.0.113.9:4711"], Ok(Some("203.0.113.9")));
        x(&["[2001:db8::1]:4711"], Ok(Some("2001:db8::1")));
        x(&["2001:db8::1"], Ok(Some("2001:db8::1")));
        x(&["::ffff:203.0.113.9"], Ok(Some("203.0.113.9")));
    }

    #[test]
    fn what_anybody_may_have_written_is_not_read_and_what_a_proxy_wrote_must_be_an_address() {
        let x = |values: &[&str], expected| check(ForwardedHeader::XForwardedFor, values, expected);
        x(&["'; drop table, 203.0.113.9"], Ok(Some("203.0.113.9")));
        x(&["unknown"], Err(()));
        x(&["203.0.113.9, unknown, 10.0.0.7"], Err(()));
        x(&["203.0.113.9, example.com"], Err(()));
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_writes_it() {
        let f = |values: &[&str], expected| check(ForwardedHeader::Forwarded, values, expected);
        f(&["for=203.0.113.9;proto=https;by=10.0.0.1"], Ok(Some("203.0.113.9")));
        f(&["for=198.51.100.1, proto=https; For=\"[2001:db8::1]:4711\", for=10.0.0.7"], Ok(Some("2001:db8::1")));
        f(&["for=\"203.0.113.9:80\";host=\"a,for=198.51.100.1\""], Ok(Some("203.0.113.9")));
        f(&["for=_hidden"], Err(()));
        f(&["proto=https"], Err(()));
    }
}
