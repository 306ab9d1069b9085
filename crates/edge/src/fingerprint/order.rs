//! The order of a request's header fields, as 23 characters: `11ge07_0123456789abcdef`.
//!
//! Version without its point, the first two letters of the method, how many fields counted, and FNV-1a with 64 bits
//! (RFC 9923) over their names, each followed by a comma. The names stand as they were sent: in HTTP/1 with their case.
//! Fields that come and go with what is asked for, and not with who asks, are left out: see [`passes_by`].
//!
//! The hash is no cryptography and need not be: who can choose an order freely can as well send that of a browser.

use http::{HeaderMap, Method, Version};

/// FNV-1a over names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameHash {
    state: u64,
    count: u8,
}

impl Default for NameHash {
    fn default() -> Self {
        Self { state: OFFSET_BASIS, count: 0 }
    }
}

impl NameHash {
    /// Takes the next name.
    pub(crate) fn take(&mut self, name: &[u8]) {
        if passes_by(name) {
            return;
        }
        for byte in name {
            self.state = (self.state ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
        self.state = (self.state ^ u64::from(b',')).wrapping_mul(PRIME);
        self.count = self.count.saturating_add(1);
    }

    /// Of an HTTP/2 head, where names have no case and the library keeps their order.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut hash = Self::default();
        headers.keys().for_each(|name| hash.take(name.as_str().as_bytes()));
        hash
    }
}

/// The fingerprint as text, without a place on the heap.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeaderOrder([u8; LENGTH]);

impl HeaderOrder {
    pub(crate) fn new(version: Version, method: &Method, names: NameHash) -> Self {
        let version: &[u8; 2] = match version {
            Version::HTTP_2 => b"20",
            Version::HTTP_10 => b"10",
            _ => b"11",
        };
        let letters = method.as_str().as_bytes();
        let letter = |index: usize| letters.get(index).copied().filter(u8::is_ascii_alphabetic).unwrap_or(b'0');
        let count = names.count.min(99);
        let mut text = [b'_'; LENGTH];
        let facts =
            [letter(0).to_ascii_lowercase(), letter(1).to_ascii_lowercase(), b'0' + count / 10, b'0' + count % 10];
        let digits = (0..16).map(|index| {
            let nibble = usize::try_from((names.state >> (60 - 4 * index)) & 15).unwrap_or_default();
            HEX.get(nibble).copied().unwrap_or(b'0')
        });
        let all = version.iter().copied().chain(facts).chain([b'_']).chain(digits);
        text.iter_mut().zip(all).for_each(|(place, byte)| *place = byte);
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        // Made of ASCII above.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Fields of the moment: one program sends them with one request and leaves them out of the next.
fn passes_by(name: &[u8]) -> bool {
    match name.len() {
        5 => name.eq_ignore_ascii_case(b"range"),
        6 => name.eq_ignore_ascii_case(b"cookie") || name.eq_ignore_ascii_case(b"origin"),
        7 => name.eq_ignore_ascii_case(b"referer"),
        8 => name.eq_ignore_ascii_case(b"if-match") || name.eq_ignore_ascii_case(b"if-range"),
        12 => name.eq_ignore_ascii_case(b"content-type"),
        13 => name.eq_ignore_ascii_case(b"authorization") || name.eq_ignore_ascii_case(b"if-none-match"),
        14 => name.eq_ignore_ascii_case(b"content-length"),
        17 => name.eq_ignore_ascii_case(b"if-modified-since") || name.eq_ignore_ascii_case(b"transfer-encoding"),
        _ => false,
    }
}

const LENGTH: usize = 23;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// RFC 9923 section 5.
const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

#[cfg(test)]
mod tests {
    use super::*;

    fn print(method: Method, names: &[&str]) -> String {
        let mut hash = NameHash::default();
        names.iter().for_each(|name| hash.take(name.as_bytes()));
        HeaderOrder::new(Version::HTTP_11, &method, hash).as_str().to_owned()
    }

    #[test]
    fn the_hash_is_the_standards() {
        // RFC 9923 appendix: the empty string and "a".
        assert_eq!(print(Method::GET, &[]), "11ge00_cbf29ce484222325");
        let mut hash = NameHash::default();
        hash.state = (hash.state ^ u64::from(b'a')).wrapping_mul(PRIME);
        assert_eq!(hash.state, 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn order_case_and_method_count_and_fields_of_the_moment_do_not() {
        let base = print(Method::GET, &["Host", "User-Agent", "Accept"]);
        assert_eq!(base, print(Method::GET, &["Host", "Cookie", "User-Agent", "Accept", "If-None-Match"]));
        assert_ne!(base, print(Method::GET, &["Host", "Accept", "User-Agent"]));
        assert_ne!(base, print(Method::GET, &["host", "user-agent", "accept"]));
        assert_ne!(base, print(Method::POST, &["Host", "User-Agent", "Accept"]));
        assert!(base.starts_with("11ge03_"), "{base}");
    }
}
