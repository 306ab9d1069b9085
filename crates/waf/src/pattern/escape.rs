//! What a backslash begins, inside and outside of classes.

use super::PatternError;
use super::class::complement;
use super::cursor::Cursor;
use crate::byte_set::ByteSet;

pub(super) enum Escape {
    Byte(u8),
    Set(ByteSet),
    /// A letter or a digit whose meaning depends on where it stands, or that has none.
    Other(u8),
}

/// Reads on after a backslash.
pub(super) fn read(input: &mut Cursor<'_>) -> Result<Escape, PatternError> {
    let Some(letter) = input.next() else {
        return Err(input.malformed("a backslash ends the pattern"));
    };
    let byte = match letter {
        b'a' => 0x07,
        b'e' => 0x1b,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'0' => input.octal(b'0')?,
        b'x' if input.eat(b"{") => input.braced(16)?,
        b'x' => input.hexadecimal()?,
        b'o' if input.eat(b"{") => input.braced(8)?,
        b'c' => match input.next() {
            Some(control @ b' '..=b'~') => control.to_ascii_uppercase() ^ 0x40,
            _ => return Err(input.malformed(r"`\c` needs a printable character")),
        },
        b'd' => return Ok(Escape::Set(DIGITS)),
        b'D' => return Ok(Escape::Set(complement(DIGITS))),
        b'w' => return Ok(Escape::Set(WORD)),
        b'W' => return Ok(Escape::Set(complement(WORD))),
        b's' => return Ok(Escape::Set(SPACE)),
        b'S' => return Ok(Escape::Set(complement(SPACE))),
        b'h' => return Ok(Escape::Set(HORIZONTAL)),
        b'H' => return Ok(Escape::Set(complement(HORIZONTAL))),
        b'v' => return Ok(Escape::Set(VERTICAL)),
        b'V' => return Ok(Escape::Set(complement(VERTICAL))),
        b'N' if input.peek() != Some(b'{') => return Ok(Escape::Set(complement(ByteSet::EMPTY.with(b'\n')))),
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => return Ok(Escape::Other(letter)),
        _ => letter,
    };
    Ok(Escape::Byte(byte))
}

pub(super) const DIGITS: ByteSet = ByteSet::EMPTY.with_range(b'0', b'9');
pub(super) const LETTERS: ByteSet = ByteSet::EMPTY.with_range(b'a', b'z').with_range(b'A', b'Z');
pub(super) const WORD: ByteSet = DIGITS.union(LETTERS).with(b'_');
/// With the vertical tab, as PCRE has it since 8.34.
pub(super) const SPACE: ByteSet = ByteSet::EMPTY.with_range(b'\t', b'\r').with(b' ');
const HORIZONTAL: ByteSet = ByteSet::EMPTY.with(b'\t').with(b' ').with(0xa0);
const VERTICAL: ByteSet = ByteSet::EMPTY.with_range(b'\n', b'\r').with(0x85);
