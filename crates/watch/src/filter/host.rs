//! Where somebody came from, as programs write it.

use std::net::{IpAddr, Ipv6Addr};

use super::Host;
use super::cursor::Cursor;

/// Takes an address, in brackets or not, or a name.
pub(super) fn host(cursor: Cursor<'_>) -> Option<(Host, Cursor<'_>)> {
    if let Some(inside) = cursor.text("[") {
        let (text, rest) = inside.some(of_address)?;
        return Some((Host::Address(address(text)?), rest.text("]")?));
    }
    let (text, rest) = cursor.some(of_host)?;
    // A colon may end a sentence as well as belong to an address.
    let (text, rest) = match text.strip_suffix(b":") {
        Some(shorter) if !text.ends_with(b"::") => (shorter, Cursor(cursor.0.get(shorter.len()..)?)),
        _ => (text, rest),
    };
    if let Some(address) = address(text) {
        return Some((Host::Address(address), rest));
    }
    // An IPv4 address with a port behind it.
    let (front, rest) = cursor.some(of_name)?;
    match address(front) {
        Some(address) => Some((Host::Address(address), rest)),
        None => name(cursor),
    }
}

/// Takes an address, in brackets or not, and nothing else.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    // Link-local addresses come with the interface that they are of (RFC 4007 section 11).
    let text = text.split_once('%').map_or(text, |(address, _)| address);
    match text.parse::<IpAddr>().ok()? {
        IpAddr::V6(six) => Some(plain(six)),
        four => Some(four),
    }
}

fn plain(six: Ipv6Addr) -> IpAddr {
    six.to_ipv4_mapped().map_or(IpAddr::V6(six), IpAddr::V4)
}

fn name(cursor: Cursor<'_>) -> Option<(Host, Cursor<'_>)> {
    let (text, rest) = cursor.some(of_name)?;
    let text = std::str::from_utf8(text).ok()?;
    let whole = text.ends_with(|last: char| last.is_ascii_alphanumeric() || last == '_');
    // Digits and dots only: an address that is none.
    let lettered = text.bytes().any(|byte| !byte.is_ascii_digit() && byte != b'.');
    (whole && lettered && text.len() <= NAME_BYTES_MAX).then(|| (Host::Name(text.into()), rest))
}

const fn of_address(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
}

const fn of_host(byte: u8) -> bool {
    of_name(byte) || matches!(byte, b':' | b'%')
}

const fn of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'^')
}

/// RFC 1035 section 2.3.4.
const NAME_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str, rest: &str) {
        let (host, left) = host(Cursor(text.as_bytes())).unwrap();
        let shown = match host {
            Host::Address(address) => address.to_string(),
            Host::Name(name) => format!("name {name}"),
        };
        assert_eq!((shown.as_str(), std::str::from_utf8(left.0).unwrap()), (expected, rest));
    }

    #[test]
    fn addresses_and_names_are_told_apart_and_end_where_they_end() {
        check("192.0.2.7 port 22", "192.0.2.7", " port 22");
        check("192.0.2.7: 11: Bye", "192.0.2.7", ": 11: Bye");
        check("192.0.2.7:40000] x", "192.0.2.7", ":40000] x");
        check("2001:db8::1 port 22", "2001:db8::1", " port 22");
        check("2001:db8::1: 11:", "2001:db8::1", ": 11:");
        check("[2001:db8::1]:443]", "2001:db8::1", ":443]");
        check("::ffff:192.0.2.7)", "192.0.2.7", ")");
        check("fe80::1%eth0 port", "fe80::1", " port");
        check("example.com, server", "name example.com", ", server");
        for wrong in ["", " 192.0.2.7", "192.0.2.700", "300.1.1.1", "[example.com]", "-", "1.2.3"] {
            assert!(host(Cursor(wrong.as_bytes())).is_none(), "{wrong}");
        }
    }
}
