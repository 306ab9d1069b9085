//! What of a request's target may be written down: its path and the names of its query, but for what looks like a
//! secret or like a person.
//!
//! The value of a query's parameter is never written. A segment of a path, and a name in a query, is replaced by `…` when
//!
//! - it is an e-mail address;
//! - it follows a segment that announces a secret (`/reset/…`, `/token/…`), unless it is a plain word;
//! - it is longer than [`CANDIDATE_BYTES`] and as mixed as chance makes it: tokens, digests, keys, JWTs.
//!
//! Identifiers with short parts, such as UUIDs and order numbers, stay: without them a log answers no question.

use std::borrow::Cow;

use http::uri::PathAndQuery;

/// A target as it may be written down.
pub(crate) fn target(target: Option<&PathAndQuery>) -> Cow<'_, str> {
    let Some(target) = target else { return Cow::Borrowed("*") };
    parts(target.path(), target.query())
}

/// What a head began with that could not be read, as it may be written down. It may hold anything.
pub(crate) fn line(line: String) -> String {
    let words = line.split(' ').map(|word| {
        let (path, query) = word.split_once('?').map_or((word, None), |(path, query)| (path, Some(query)));
        parts(path, query)
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A path alone.
pub(crate) fn path(path: &str) -> Cow<'_, str> {
    // Nearly all paths: every segment is short, and none could be an address or announce a secret worth a look.
    if path.len() < ANNOUNCED_BYTES || !path.split('/').any(|segment| segment.len() >= ANNOUNCED_BYTES) {
        return Cow::Borrowed(path);
    }
    let mut announced = false;
    let judged = path.split('/').map(|segment| {
        let hide = is_secret(segment) || (announced && segment.len() >= ANNOUNCED_BYTES && !is_word(segment));
        announced = announces(segment);
        (segment, hide)
    });
    let judged: Vec<(&str, bool)> = judged.collect();
    if judged.iter().all(|(_, hide)| !hide) {
        return Cow::Borrowed(path);
    }
    let shown = judged.into_iter().map(|(segment, hide)| if hide { HIDDEN } else { segment });
    Cow::Owned(shown.collect::<Vec<_>>().join("/"))
}

fn parts<'t>(path_text: &'t str, query: Option<&str>) -> Cow<'t, str> {
    let shown = path(path_text);
    let Some(query) = query else { return shown };
    let names = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
    let names: Vec<_> =
        names.map(|name| if name.len() > QUERY_NAME_BYTES_MAX || is_secret(name) { HIDDEN } else { name }).collect();
    Cow::Owned(format!("{shown}?{}", names.join("&")))
}

/// Whether a text by itself looks like a secret, or names a person.
pub(crate) fn is_secret(text: &str) -> bool {
    is_address(text) || (text.len() >= CANDIDATE_BYTES && is_random(text))
}

/// `name@host.tld`, also escaped.
fn is_address(text: &str) -> bool {
    let at = text.find('@').map(|at| (at, 1)).or_else(|| text.find("%40").map(|at| (at, 3)));
    let Some((at, width)) = at else { return false };
    let host = text.get(at + width..).unwrap_or_default();
    at > 0 && host.find('.').is_some_and(|dot| dot > 0 && dot + 1 < host.len())
}

/// Whether the segment after this one is likely to be a secret.
pub(crate) fn announces(segment: &str) -> bool {
    segment.len() <= ANNOUNCING_BYTES_MAX && ANNOUNCING.iter().any(|name| segment.eq_ignore_ascii_case(name))
}

fn is_word(segment: &str) -> bool {
    segment.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'_' | b'.'))
}

/// One long run of letters and digits, or a text of capital and small letters and digits as base64 has them, in which
/// the kinds change as often as chance would have it.
fn is_random(text: &str) -> bool {
    let runs = text.split(|byte: char| !byte.is_ascii_alphanumeric());
    let mixed_run = |run: &str| run.len() >= CANDIDATE_BYTES && kinds(run) >= 2 && changes(run) && entropy(run);
    let whole = || kinds(text) == 3 && changes(text) && entropy(text);
    runs.into_iter().any(mixed_run) || whole()
}

fn kind(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(1),
        b'a'..=b'z' => Some(2),
        b'A'..=b'Z' => Some(4),
        _ => None,
    }
}

/// How many of digits, small and capital letters there are.
fn kinds(text: &str) -> u32 {
    text.bytes().filter_map(kind).fold(0, |all, kind| all | kind).count_ones()
}

/// Whether at least three in ten neighbours are letters or digits of different kinds: half of them are in hexadecimal, six in ten in base64,
/// two in ten in the words of a title.
fn changes(text: &str) -> bool {
    let bytes = text.as_bytes();
    let differ = |one, other| matches!((kind(one), kind(other)), (Some(one), Some(other)) if one != other);
    let changed = bytes.windows(2).filter(|pair| matches!(pair, [one, other] if differ(*one, *other))).count();
    changed * 10 >= bytes.len() * 3
}

/// Whether it holds at least three bits to a character (Shannon): hexadecimal holds up to four, base64 up to six.
fn entropy(text: &str) -> bool {
    let mut counts = [0_u16; 256];
    for byte in text.bytes() {
        counts.get_mut(usize::from(byte)).into_iter().for_each(|count| *count = count.saturating_add(1));
    }
    #[expect(clippy::cast_precision_loss, reason = "a target has some thousand bytes at most")]
    let length = text.len() as f64;
    let shares = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / length);
    -shares.map(|share| share * share.log2()).sum::<f64>() >= BITS_MIN
}

const HIDDEN: &str = "…";

/// Below this, chance is not told from an order number. 20 hexadecimal digits are 80 bits.
const CANDIDATE_BYTES: usize = 20;

/// Below this, what is announced is no secret: a language, a step.
const ANNOUNCED_BYTES: usize = 6;
const BITS_MIN: f64 = 3.0;

/// A query without `=` might be a token as a whole; one as short as a name is written down.
const QUERY_NAME_BYTES_MAX: usize = 32;

const ANNOUNCING: [&str; 24] = [
    "token",
    "tokens",
    "reset",
    "reset-password",
    "password-reset",
    "password",
    "passwd",
    "verify",
    "verification",
    "confirm",
    "confirmation",
    "activate",
    "activation",
    "invite",
    "invitation",
    "magic",
    "magic-link",
    "unsubscribe",
    "secret",
    "key",
    "api-key",
    "apikey",
    "session",
    "otp",
];
const ANNOUNCING_BYTES_MAX: usize = 14;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let parsed: PathAndQuery = text.parse().unwrap();
        assert_eq!(target(Some(&parsed)), expected);
    }

    #[test]
    fn values_of_a_query_are_not_written() {
        check("/a", "/a");
        check("/a?b=secret&c=&d", "/a?b&c&d");
        check("/a?eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "/a?…");
        check("/a?ada@example.com", "/a?…");
        check("/a?4f1c9b0e7d2a4c6b8f0e1d3c=1&page=2", "/a?…&page");
    }

    #[test]
    fn secrets_in_a_path_are_not_written() {
        for (path, expected) in [
            ("/reset/4f1c9b0e7d2a4c6b8f0e1d3c5b7a9f8e", "/reset/…"),
            ("/reset/Xy12Zq", "/reset/…"),
            ("/api/TOKEN/a1b2c3d4/show", "/api/TOKEN/…/show"),
            ("/download/dGhpcyBpcyBhIHNlY3JldCB0b2tlbg", "/download/…"),
            ("/s/Kx8-2Vq_9fLpZ0wT-7bRnY3e", "/s/…"),
            ("/j/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U", "/j/…"),
            ("/users/ada@example.com/orders", "/users/…/orders"),
            ("/users/ada.lovelace%40example.com", "/users/…"),
            ("/hook/T00000000/B00000000/x1Y2z3A4b5C6d7E8f9G0h1I2", "/hook/T00000000/B00000000/…"),
        ] {
            check(path, expected);
        }
    }

    #[test]
    fn what_a_log_is_read_for_stays() {
        for path in [
            "/",
            "/users/12345678901234567890123",
            "/orders/2026-11-22/9001",
            "/articles/how-to-install-a-gateway-in-front-of-an-application",
            "/articles/How-To-Install-The-Gateway-In-2-Steps",
            "/token/refresh",
            "/session/en",
            "/items/0b6f5a0e-9a3e-4b0e-8b1e-2f3d4c5b6a79",
            "/reeve-probe-0123456789abcdef",
            "/assets/application.min.js",
            "/@profile",
        ] {
            check(path, path);
        }
    }

    #[test]
    fn what_could_not_be_read_is_judged_word_by_word() {
        let written = line(String::from("GET /reset/Xy12Zq9?token=abc HTTP/1.1 4f1c9b0e7d2a4c6b8f0e1d3c5b7a9f8e"));
        assert_eq!(written, "GET /reset/…?token HTTP/1.1 …");
    }
}
