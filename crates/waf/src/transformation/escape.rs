//! Characters written as escapes: HTML, JavaScript, CSS, C, and back from UTF-8.

use super::space::is_space;
use super::{encoding, hex_digit, hex_pair, narrow, replace_at};

/// Numbers with or without a semicolon, and `quot`, `amp`, `lt`, `gt`, `nbsp`. Of a number, the low byte.
pub(super) fn html(value: &[u8], out: &mut Vec<u8>) {
    replace_at(b'&', value, out, |from, out| {
        let (byte, used) = match from {
            [_, b'#', b'x' | b'X', digits @ ..] => html_number(digits, 16, 3),
            [_, b'#', digits @ ..] => html_number(digits, 10, 2),
            _ => html_name(from),
        }
        .unwrap_or((b'&', 1));
        out.push(byte);
        used + usize::from(used > 1 && from.get(used) == Some(&b';'))
    });
}

#[expect(clippy::cast_possible_truncation, reason = "the low byte is what is wanted")]
fn html_number(digits: &[u8], base: u32, before: usize) -> Option<(u8, usize)> {
    let length = digits.iter().take_while(|digit| char::from(**digit).is_digit(base)).count();
    let number = digits.iter().take(length).filter_map(|digit| char::from(*digit).to_digit(base));
    let code = number.fold(0_u64, |code, digit| code.saturating_mul(u64::from(base)).saturating_add(u64::from(digit)));
    (length > 0).then_some((code as u8, before + length))
}

fn html_name(from: &[u8]) -> Option<(u8, usize)> {
    const NAMES: [(&[u8], u8); 5] = [(b"quot", b'"'), (b"amp", b'&'), (b"lt", b'<'), (b"gt", b'>'), (b"nbsp", 0xa0)];
    let after = from.get(1..)?;
    // A longer word is another entity, so one byte past the longest name is enough to tell.
    let length = after.iter().take(5).take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let name = after.get(..length)?;
    NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, byte)| (*byte, 1 + length))
}

/// ECMAScript's string escapes: `\xHH`, `\uHHHH` (full width becomes narrow, of others the low byte), up to three octal
/// digits, single letters. Before anything else the backslash goes.
pub(super) fn javascript(value: &[u8], out: &mut Vec<u8>) {
    replace_at(b'\\', value, out, |from, out| {
        let (byte, used) = match from {
            [_, b'u', a, b, c, d, ..] => match (hex_pair(Some(a), Some(b)), hex_pair(Some(c), Some(d))) {
                (Some(high), Some(low)) => (narrow(u32::from(high) << 8 | u32::from(low)), 6),
                _ => (b'u', 2),
            },
            [_, b'x', a, b, ..] => hex_pair(Some(a), Some(b)).map_or((b'x', 2), |byte| (byte, 4)),
            [_, b'0'..=b'3', ..] => octal(from, 3),
            // Three digits would be more than a byte.
            [_, b'4'..=b'7', ..] => octal(from, 2),
            [_, byte, ..] => (letter(*byte).unwrap_or(*byte), 2),
            _ => (b'\\', 1),
        };
        out.push(byte);
        used
    });
}

/// The escapes of C, as a shell's `$'…'` has them: `\xHH`, up to three octal digits, single letters. Before anything
/// else the backslash goes.
pub(super) fn ansi_c(value: &[u8], out: &mut Vec<u8>) {
    replace_at(b'\\', value, out, |from, out| {
        let (byte, used) = match from {
            [_, mark @ (b'x' | b'X'), digits @ ..] => {
                hex_pair(digits.first(), digits.get(1)).map_or((*mark, 2), |byte| (byte, 4))
            }
            [_, b'0'..=b'7', ..] => octal(from, 3),
            [_, byte, ..] => (letter(*byte).unwrap_or(*byte), 2),
            _ => (b'\\', 1),
        };
        out.push(byte);
        used
    });
}

const fn letter(byte: u8) -> Option<u8> {
    match byte {
        b'a' => Some(7),
        b'b' => Some(8),
        b't' => Some(9),
        b'n' => Some(10),
        b'v' => Some(11),
        b'f' => Some(12),
        b'r' => Some(13),
        _ => None,
    }
}

/// The byte that the octal digits after a backslash stand for, and how many bytes that are with the backslash.
#[expect(clippy::cast_possible_truncation, reason = "the low byte is what is wanted")]
fn octal(from: &[u8], digits_max: usize) -> (u8, usize) {
    let digits = from.iter().skip(1).take(digits_max).take_while(|digit| matches!(digit, b'0'..=b'7'));
    let (code, length) =
        digits.fold((0_u32, 0), |(code, length), digit| (code << 3 | u32::from(digit - b'0'), length + 1));
    (code as u8, 1 + length)
}

/// CSS 2 section 4.1.3: one to six digits and one space after them; a line break after a backslash is nothing, and so is
/// a backslash at the end.
pub(super) fn css(value: &[u8], out: &mut Vec<u8>) {
    replace_at(b'\\', value, out, |from, out| {
        let digits = from.iter().skip(1).take(6).map_while(|digit| hex_digit(*digit));
        let (code, length) =
            digits.fold((0_u32, 0), |(code, length), digit| (code << 4 | u32::from(digit), length + 1));
        if length > 0 {
            out.push(narrow(code));
            return 1 + length + usize::from(from.get(1 + length).is_some_and(|byte| is_space(*byte)));
        }
        match from.get(1) {
            None | Some(b'\n') => {}
            Some(byte) => out.push(*byte),
        }
        2
    });
}

/// Characters past ASCII become `%uHHHH`, with lower case digits, at least four. Forms that are longer than they need be
/// count, too: some decoder may take them. Bytes that are not UTF-8 stay.
pub(super) fn utf8_to_unicode(value: &[u8], out: &mut Vec<u8>) {
    let mut rest = value;
    while let [first, after @ ..] = rest {
        match utf8_code(*first, after) {
            Some((code, length)) => {
                out.extend_from_slice(b"%u");
                write_code(code, out);
                rest = after.get(length..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
}

/// The character that begins with this byte, and how many bytes follow it; none for ASCII and what is not UTF-8.
fn utf8_code(first: u8, after: &[u8]) -> Option<(u32, usize)> {
    let (length, top) = match first {
        0xc0..=0xdf => (1, first & 0x1f),
        0xe0..=0xef => (2, first & 0x0f),
        0xf0..=0xf4 => (3, first & 0x07),
        _ => return None,
    };
    let code = after
        .get(..length)?
        .iter()
        .try_fold(u32::from(top), |code, byte| (byte & 0xc0 == 0x80).then_some(code << 6 | u32::from(byte & 0x3f)))?;
    Some((code, length))
}

fn write_code(code: u32, out: &mut Vec<u8>) {
    let [_, top, high, low] = code.to_be_bytes();
    let start = out.len();
    if top != 0 {
        encoding::hex_encode(&[top], out);
        // A character has at most 21 bits, written without a zero in front.
        if top < 0x10 {
            out.remove(start);
        }
    }
    encoding::hex_encode(&[high, low], out);
}
