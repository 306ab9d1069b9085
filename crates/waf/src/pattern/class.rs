//! Classes, taken apart and written anew: `regex` reads `[`, `&&`, `--` and `~~` in them as operators, PCRE does not.

use std::fmt::Write as _;

use super::PatternError;
use super::cursor::Cursor;
use super::escape::{self, DIGITS, Escape, LETTERS, SPACE, WORD};
use crate::byte_set::ByteSet;

/// Reads on after a `[` to the class's end.
pub(super) fn read(input: &mut Cursor<'_>, caseless: bool, out: &mut String) -> Result<(), PatternError> {
    let negated = input.eat(b"^");
    let mut set = ByteSet::EMPTY;
    // A `]` that comes first is a member.
    let mut item = if input.eat(b"]") { Some(Item::Byte(b']')) } else { next(input, caseless)? };
    while let Some(current) = item {
        item = match current {
            Item::Set(members) => {
                set = set.union(members);
                next(input, caseless)?
            }
            Item::Byte(first) => after(input, caseless, first, &mut set)?,
        };
    }
    push(out, set, negated);
    Ok(())
}

enum Item {
    Byte(u8),
    Set(ByteSet),
}

/// A byte is a member, or begins a range. Gives what comes next.
fn after(input: &mut Cursor<'_>, caseless: bool, first: u8, set: &mut ByteSet) -> Result<Option<Item>, PatternError> {
    let before = input.clone();
    if input.eat(b"-") && input.peek() != Some(b']') {
        match next(input, caseless)? {
            Some(Item::Byte(last)) if last < first => return Err(input.malformed("a range goes backwards")),
            Some(Item::Byte(last)) => {
                *set = set.with_range(first, last);
                return next(input, caseless);
            }
            // `a-\d`: the `-` is a member.
            Some(Item::Set(members)) => {
                *set = set.with(first).with(b'-').union(members);
                return next(input, caseless);
            }
            None => {}
        }
    }
    *input = before;
    *set = set.with(first);
    next(input, caseless)
}

/// The next item, none at the end.
fn next(input: &mut Cursor<'_>, caseless: bool) -> Result<Option<Item>, PatternError> {
    loop {
        let Some(byte) = input.next() else {
            return Err(input.malformed("a `[` is never closed"));
        };
        return Ok(Some(match byte {
            b']' => return Ok(None),
            b'[' if matches!(input.peek(), Some(b':')) => match posix(input, caseless)? {
                Some(set) => Item::Set(set),
                None => Item::Byte(b'['),
            },
            b'\\' => match escape::read(input)? {
                Escape::Byte(byte) => Item::Byte(byte),
                Escape::Set(set) => Item::Set(set),
                Escape::Other(b'b') => Item::Byte(0x08),
                Escape::Other(b'E') => continue,
                Escape::Other(b'Q') => Item::Set(ByteSet::of(input.take_until(br"\E"))),
                Escape::Other(digit @ b'1'..=b'7') => Item::Byte(input.octal(digit)?),
                Escape::Other(b'p' | b'P') => return Err(input.unsupported("a Unicode property")),
                Escape::Other(letter) => return Err(input.unknown_escape(letter)),
            },
            other => Item::Byte(other),
        }));
    }
}

/// `[:alpha:]` after its `[`; none if it is only the beginning of one.
fn posix(input: &mut Cursor<'_>, caseless: bool) -> Result<Option<ByteSet>, PatternError> {
    let before = input.clone();
    input.eat(b":");
    let negated = input.eat(b"^");
    let name = input.take_until(b":]");
    if name.is_empty() || !name.iter().all(u8::is_ascii_alphabetic) {
        *input = before;
        return Ok(None);
    }
    let graph = ByteSet::EMPTY.with_range(b'!', b'~');
    let set = match name {
        b"upper" | b"lower" if caseless => LETTERS,
        b"upper" => ByteSet::EMPTY.with_range(b'A', b'Z'),
        b"lower" => ByteSet::EMPTY.with_range(b'a', b'z'),
        b"alpha" => LETTERS,
        b"alnum" => LETTERS.union(DIGITS),
        b"digit" => DIGITS,
        b"xdigit" => DIGITS.with_range(b'a', b'f').with_range(b'A', b'F'),
        b"word" => WORD,
        b"space" => SPACE,
        b"blank" => ByteSet::EMPTY.with(b' ').with(b'\t'),
        b"cntrl" => ByteSet::EMPTY.with_range(0, 0x1f).with(0x7f),
        b"ascii" => ByteSet::EMPTY.with_range(0, 0x7f),
        b"graph" => graph,
        b"print" => graph.with(b' '),
        b"punct" => difference(graph, LETTERS.union(DIGITS)),
        _ => return Err(input.malformed(&format!("no class is called `{}`", name.escape_ascii()))),
    };
    Ok(Some(if negated { complement(set) } else { set }))
}

/// Writes a class. It stays negated, for `(?i)` adds the other case to what is written.
pub(super) fn push(out: &mut String, set: ByteSet, negated: bool) {
    out.push_str(if negated { "[^" } else { "[" });
    let mut from = None;
    for value in 0..=256_u32 {
        let byte = u8::try_from(value).ok().filter(|byte| set.contains(*byte));
        match (byte, from) {
            (Some(byte), None) => from = Some(byte),
            (None, Some(first)) => {
                from = None;
                push_literal(out, first);
                let last = u8::try_from(value.saturating_sub(1)).unwrap_or(u8::MAX);
                if last > first {
                    out.push('-');
                    push_literal(out, last);
                }
            }
            _ => {}
        }
    }
    if set == ByteSet::EMPTY {
        // `regex` has no `[]` and `[^]`; nothing at all is everything but everything.
        out.truncate(out.len() - if negated { 2 } else { 1 });
        out.push_str(if negated { r"[\x00-\xff]" } else { r"[^\x00-\xff]" });
        return;
    }
    out.push(']');
}

/// Writes a byte that stands for itself, inside or outside of a class.
pub(super) fn push_literal(out: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b' ' | b'/' | b'<' | b'>' | b'=' | b'"' | b'\'' | b'%') {
        out.push(char::from(byte));
    } else {
        let _ = write!(out, r"\x{byte:02x}");
    }
}

pub(super) fn complement(set: ByteSet) -> ByteSet {
    difference(ByteSet::FULL, set)
}

fn difference(whole: ByteSet, part: ByteSet) -> ByteSet {
    let mut left = ByteSet::EMPTY;
    for byte in (0..=u8::MAX).filter(|byte| whole.contains(*byte) && !part.contains(*byte)) {
        left.insert(byte);
    }
    left
}
