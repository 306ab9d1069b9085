//! Percent signs and pluses (RFC 3986 section 2.1; the URL standard, application/x-www-form-urlencoded).

use super::{code_page, hex_digit, hex_pair, narrow};
use crate::arena::Arena;

/// Where bytes go.
pub(crate) trait Sink {
    fn put(&mut self, byte: u8);
    fn put_all(&mut self, bytes: &[u8]);
}

/// `%41` is A and `+` is a space; a percent sign before anything else stays as it is.
pub(crate) fn decode(value: &[u8], out: &mut impl Sink) {
    each(value, out, plain);
}

/// The same for a path, in which a plus is a plus.
pub(crate) fn decode_path(value: &[u8], out: &mut impl Sink) {
    let mut pieces = value.split(|byte| *byte == b'+');
    decode(pieces.next().unwrap_or_default(), out);
    for piece in pieces {
        out.put(b'+');
        decode(piece, out);
    }
}

/// As [`decode`], and `%uHHHH` is the character of that number, as near as ASCII comes to it.
pub(crate) fn decode_unicode(value: &[u8], out: &mut impl Sink) {
    each(value, out, |from| unicode(from).or_else(|| plain(from)));
}

/// Spaces become pluses, and all but letters, digits and asterisks percent signs with lower case digits.
pub(crate) fn encode(value: &[u8], out: &mut Vec<u8>) {
    for byte in value {
        match *byte {
            b' ' => out.push(b'+'),
            b'*' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => out.push(*byte),
            other => {
                out.push(b'%');
                super::encoding::hex_encode(&[other], out);
            }
        }
    }
}

/// `read` is given a text that begins with a percent sign: what it stands for, and how many bytes that took.
fn each(value: &[u8], out: &mut impl Sink, read: impl Fn(&[u8]) -> Option<(u8, usize)>) {
    let mut rest = value;
    while let Some(at) = memchr::memchr2(b'%', b'+', rest) {
        let (before, from) = rest.split_at(at);
        out.put_all(before);
        let (byte, used) = match from {
            [b'%', ..] => read(from).unwrap_or((b'%', 1)),
            _ => (b' ', 1),
        };
        out.put(byte);
        rest = from.get(used..).unwrap_or_default();
    }
    out.put_all(rest);
}

fn plain(from: &[u8]) -> Option<(u8, usize)> {
    hex_pair(from.get(1), from.get(2)).map(|byte| (byte, 3))
}

fn unicode(from: &[u8]) -> Option<(u8, usize)> {
    let [b'%', b'u' | b'U', digits @ ..] = from else { return None };
    let code =
        digits.get(..4)?.iter().try_fold(0_u32, |code, digit| Some(code << 4 | u32::from(hex_digit(*digit)?)))?;
    Some((code_page::nearest(code).unwrap_or(narrow(code)), 6))
}

impl Sink for Vec<u8> {
    fn put(&mut self, byte: u8) {
        self.push(byte);
    }

    fn put_all(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Sink for Arena {
    fn put(&mut self, byte: u8) {
        self.push(byte);
    }

    fn put_all(&mut self, bytes: &[u8]) {
        self.extend(bytes);
    }
}
