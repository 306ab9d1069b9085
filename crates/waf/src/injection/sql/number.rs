//! Numbers, and what looks like one at first.

use memchr::memmem;

use super::lexer::{Read, is_blank, single, string};
use super::token::Kind;

/// What begins with a digit or a dot.
pub(super) fn number(rest: &[u8]) -> Read<'_> {
    match rest {
        [b'0', b'x' | b'X', ..] => prefixed(rest, |digit| digit.is_ascii_hexdigit()),
        [b'0', b'b' | b'B', ..] => prefixed(rest, |digit| matches!(digit, b'0' | b'1')),
        _ => decimal(rest),
    }
}

/// `$1,000.00`, PostgreSQL's `$$…$$` and `$tag$…$tag$`, or a lone `$`; nothing if it is part of a word.
pub(super) fn money(rest: &[u8]) -> Option<Read<'_>> {
    match (run(rest, 1, |byte| matches!(byte, b'0'..=b'9' | b'.' | b',')), rest) {
        (2, [_, b'.', ..]) => None,
        (number @ 2.., _) => Some(Read::of(Kind::Number, rest, number)),
        _ => dollar_string(rest).or_else(|| Some(single(rest, Kind::Bareword))),
    }
}

/// `b'0110'` or `x'1f'`, which are numbers.
pub(super) fn digits_string(rest: &[u8], digit: impl Fn(u8) -> bool) -> Option<Read<'_>> {
    let [_, b'\'', ..] = rest else { return None };
    let end = run(rest, 2, digit);
    (rest.get(end) == Some(&b'\'')).then(|| Read::of(Kind::Number, rest, end + 1))
}

/// `0x1f` or `0b01`; without digits it is a word.
fn prefixed(rest: &[u8], digit: impl Fn(u8) -> bool) -> Read<'_> {
    let end = run(rest, 2, digit);
    Read::of(if end == 2 { Kind::Bareword } else { Kind::Number }, rest, end)
}

fn decimal(rest: &[u8]) -> Read<'_> {
    let digit = |byte: u8| byte.is_ascii_digit();
    let mut end = run(rest, 0, digit);
    if rest.get(end) == Some(&b'.') {
        end = run(rest, end + 1, digit);
        if end == 1 {
            return single(rest, Kind::Dot);
        }
    }
    // `1.e` is a word, since an exponent needs digits.
    let mut kind = Kind::Number;
    if matches!(rest.get(end), Some(b'e' | b'E')) {
        let signed = matches!(rest.get(end + 1), Some(b'+' | b'-'));
        let digits = end + 1 + usize::from(signed);
        end = run(rest, digits, digit);
        if end == digits {
            kind = Kind::Bareword;
        }
    }
    // Oracle's suffix of a float or a double, and `1fUNION`.
    let suffix = matches!(rest.get(end), Some(b'd' | b'D' | b'f' | b'F'));
    if suffix && rest.get(end + 1).is_none_or(|next| matches!(next, b';' | b'u' | b'U') || is_blank(*next)) {
        end += 1;
    }
    Read::of(kind, rest, end)
}

/// `$$…$$` or `$tag$…$tag$`.
fn dollar_string(rest: &[u8]) -> Option<Read<'_>> {
    let end = run(rest, 1, |byte| byte.is_ascii_alphabetic());
    if rest.get(end) != Some(&b'$') {
        return None;
    }
    let (mark, inner) = rest.split_at_checked(end + 1)?;
    Some(match memmem::find(inner, mark) {
        Some(at) => string(inner.get(..at)?, mark.len() + at + mark.len(), b'$', true),
        None => string(inner, rest.len(), b'$', false),
    })
}

/// Where the run of such bytes ends that begins at `from`.
fn run(rest: &[u8], from: usize, of: impl Fn(u8) -> bool) -> usize {
    let tail = rest.get(from..).unwrap_or_default();
    from.min(rest.len()) + tail.iter().take_while(|byte| of(**byte)).count()
}
