//! JSON (RFC 8259), read for what it holds and not for what it means.
//!
//! Of its own, because no reader of values will do: numbers must stay as they are written, every duplicate counts, depth
//! is the policy's and not the stack's, and what is wrong in one place must not hide what stands in the next. The tests
//! hold it against `serde_json`.

use super::{BodyFault, Faults, Limits, limit};
use crate::arena::{Arena, Member, Span};
use crate::transformation::url::Sink;

/// A JSON body: the name of a member is its path from `json`, such as `json.user.name` or `json.list.array_0`; every
/// duplicate is kept. Numbers are as written, `null` is empty. An empty object or array is a member with an empty value,
/// so that its name is seen.
///
/// # Errors
///
/// The first thing that is wrong; after an escape or a byte that may not stand in a text, reading goes on.
pub(crate) fn json(
    body: &[u8],
    limits: &Limits,
    arena: &mut Arena,
    members: &mut Vec<Member>,
) -> Result<(), BodyFault> {
    let mut faults = Faults::default();
    if std::str::from_utf8(body).is_err() {
        faults.malformed("JSON: not UTF-8");
    }
    let rest = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let members_max = members.len().saturating_add(limits.arguments_max);
    let names_max = NAME_BYTES_LEAST.saturating_add(body.len().saturating_mul(NAME_BYTES_PER_BYTE));
    let path = b"json".to_vec();
    let mut reader =
        Reader { rest, limits, arena, members, members_max, names_max, path, open: Vec::new(), faults: &mut faults };
    let end = reader.document();
    faults.into_result().and(end)
}

/// Names repeat the path: a long key above a long list would take the square of the body's bytes. All names together may
/// take this many bytes for each byte of the body,
const NAME_BYTES_PER_BYTE: usize = 32;
/// and these.
const NAME_BYTES_LEAST: usize = 65_536;

struct Reader<'b, 'a> {
    rest: &'b [u8],
    limits: &'a Limits,
    arena: &'a mut Arena,
    members: &'a mut Vec<Member>,
    members_max: usize,
    /// Bytes that names may still take.
    names_max: usize,
    /// The name of the value that is read next.
    path: Vec<u8>,
    open: Vec<Container>,
    faults: &'a mut Faults,
}

/// An object or array whose end has not come, and how long its own path is.
enum Container {
    Object(usize),
    Array(usize, u64),
}

enum Step {
    /// What comes next is a value.
    Value,
    /// A value is over.
    Done,
}

impl<'b> Reader<'b, '_> {
    fn document(&mut self) -> Result<(), BodyFault> {
        loop {
            let mut step = self.value()?;
            while matches!(step, Step::Done) {
                step = match self.open.last() {
                    Some(_) => self.after_value()?,
                    None => return self.end(),
                };
            }
        }
    }

    fn value(&mut self) -> Result<Step, BodyFault> {
        match self.peek() {
            Some(b'{') => self.enter(Container::Object(self.path.len()), b'}'),
            Some(b'[') => self.enter(Container::Array(self.path.len(), 0), b']'),
            Some(b'"') => {
                self.skip();
                let name = self.name()?;
                let mark = self.arena.mark();
                let end = read_text(&mut self.rest, self.arena, self.faults);
                self.members.push(Member { name, value: self.arena.since(mark) });
                end.map(|()| Step::Done)
            }
            Some(_) => self.word(),
            None => Err(malformed("JSON: ends before a value")),
        }
    }

    fn enter(&mut self, container: Container, end: u8) -> Result<Step, BodyFault> {
        self.skip();
        if self.peek() == Some(end) {
            self.skip();
            if !self.open.is_empty() {
                self.add(b"")?;
            }
            return Ok(Step::Done);
        }
        if self.open.len() >= self.limits.depth_max as usize {
            return Err(limit(self.limits.depth_max as usize, "objects and arrays within each other"));
        }
        let step = match container {
            Container::Object(_) => self.key(),
            Container::Array(..) => {
                self.path.extend_from_slice(b".array_0");
                Ok(Step::Value)
            }
        };
        self.open.push(container);
        step
    }

    fn key(&mut self) -> Result<Step, BodyFault> {
        if self.peek() != Some(b'"') {
            return Err(malformed("JSON: a key must be a text"));
        }
        self.skip();
        self.path.push(b'.');
        read_text(&mut self.rest, &mut self.path, self.faults)?;
        if self.peek() != Some(b':') {
            return Err(malformed("JSON: no colon after a key"));
        }
        self.skip();
        Ok(Step::Value)
    }

    /// On to the next value of the innermost container, or out of it.
    fn after_value(&mut self) -> Result<Step, BodyFault> {
        let next = self.peek();
        let (base, end) = match self.open.last() {
            Some(Container::Object(base)) => (*base, b'}'),
            Some(Container::Array(base, _)) => (*base, b']'),
            None => return Ok(Step::Done),
        };
        self.path.truncate(base);
        if next == Some(end) {
            self.skip();
            self.open.pop();
            return Ok(Step::Done);
        }
        if next != Some(b',') {
            return Err(malformed("JSON: neither a comma nor an end after a value"));
        }
        self.skip();
        match self.open.last_mut() {
            Some(Container::Array(_, index)) => {
                *index += 1;
                self.path.extend_from_slice(b".array_");
                push_number(*index, &mut self.path);
                Ok(Step::Value)
            }
            _ => self.key(),
        }
    }

    /// A number, `true`, `false`, `null`, or something that is none of them: it is shown, and is the end.
    fn word(&mut self) -> Result<Step, BodyFault> {
        let ends =
            |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',' | b'}' | b']' | b':' | b'"' | b'{' | b'[');
        let length = self.rest.iter().position(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        match word {
            b"" => return Err(malformed("JSON: no value")),
            b"null" => self.add(b"")?,
            _ => self.add(word)?,
        }
        if matches!(word, b"null" | b"true" | b"false") || is_number(word) {
            Ok(Step::Done)
        } else {
            Err(malformed("JSON: neither a number nor `true`, `false` or `null`"))
        }
    }

    fn end(&mut self) -> Result<(), BodyFault> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(malformed("JSON: more after the value")),
        }
    }

    fn add(&mut self, value: &[u8]) -> Result<(), BodyFault> {
        let name = self.name()?;
        let value = self.arena.keep(value);
        self.members.push(Member { name, value });
        Ok(())
    }

    fn name(&mut self) -> Result<Span, BodyFault> {
        if self.members.len() >= self.members_max {
            return Err(limit(self.limits.arguments_max, "arguments"));
        }
        let left = self.names_max.checked_sub(self.path.len());
        self.names_max = left.ok_or_else(|| limit(NAME_BYTES_PER_BYTE, "bytes of names for each byte of JSON"))?;
        Ok(self.arena.keep(&self.path))
    }

    /// The next byte that is not space.
    fn peek(&mut self) -> Option<u8> {
        while let [b' ' | b'\t' | b'\r' | b'\n', after @ ..] = self.rest {
            self.rest = after;
        }
        self.rest.first().copied()
    }

    fn skip(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }
}

/// In decimal, without a text of its own: lists are long.
fn push_number(number: u64, out: &mut Vec<u8>) {
    let start = out.len();
    let mut rest = number;
    loop {
        // Less than ten, so it is a digit.
        out.push(b'0' + u8::try_from(rest % 10).unwrap_or_default());
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
}

/// The rest of a text whose first quote is behind, with its last quote; escapes are undone.
fn read_text(rest: &mut &[u8], out: &mut impl Sink, faults: &mut Faults) -> Result<(), BodyFault> {
    loop {
        let length = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).unwrap_or(rest.len());
        let (plain, from) = rest.split_at(length);
        out.put_all(plain);
        *rest = match from {
            [b'"', after @ ..] => {
                *rest = after;
                return Ok(());
            }
            [b'\\', after @ ..] => escape(after, out, faults),
            [control, after @ ..] => {
                faults.malformed("JSON: a control character in a text");
                out.put(*control);
                after
            }
            [] => {
                *rest = from;
                return Err(malformed("JSON: a text without end"));
            }
        };
    }
}

/// What stands after a backslash; the rest.
fn escape<'b>(after: &'b [u8], out: &mut impl Sink, faults: &mut Faults) -> &'b [u8] {
    let [letter, rest @ ..] = after else { return after };
    match letter {
        b'"' | b'\\' | b'/' => out.put(*letter),
        b'b' => out.put(8),
        b'f' => out.put(12),
        b'n' => out.put(b'\n'),
        b'r' => out.put(b'\r'),
        b't' => out.put(b'\t'),
        b'u' => return escaped_unit(rest, out, faults),
        _ => {
            faults.malformed("JSON: an unknown escape");
            out.put(b'\\');
            return after;
        }
    }
    rest
}

/// `\uHHHH`, or two of them that are one character (RFC 8259 section 7).
fn escaped_unit<'b>(after: &'b [u8], out: &mut impl Sink, faults: &mut Faults) -> &'b [u8] {
    let Some((first, mut rest)) = unit(after) else {
        faults.malformed("JSON: `\\u` without four digits");
        out.put_all(b"\\u");
        return after;
    };
    let mut units = [first, 0];
    let mut used = 1;
    if let (0xd800..=0xdbff, [b'\\', b'u', more @ ..]) = (first, rest)
        && let Some((second @ 0xdc00..=0xdfff, after_second)) = unit(more)
    {
        units = [first, second];
        used = 2;
        rest = after_second;
    }
    for character in char::decode_utf16(units.into_iter().take(used)) {
        let character = character.unwrap_or_else(|_| {
            faults.malformed("JSON: half a surrogate pair");
            char::REPLACEMENT_CHARACTER
        });
        out.put_all(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
    rest
}

fn unit(text: &[u8]) -> Option<(u16, &[u8])> {
    let (digits, rest) = text.split_at_checked(4)?;
    let unit = digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))?;
    u16::try_from(unit).ok().map(|unit| (unit, rest))
}

/// RFC 8259 section 6.
fn is_number(word: &[u8]) -> bool {
    let word = word.strip_prefix(b"-").unwrap_or(word);
    let (whole, rest) = digits(word);
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => digits(rest),
        _ => (&b"0"[..], rest),
    };
    let (exponent, rest) = match rest {
        [b'e' | b'E', b'+' | b'-', rest @ ..] | [b'e' | b'E', rest @ ..] => digits(rest),
        _ => (&b"0"[..], rest),
    };
    let leading_zero = matches!(whole, [b'0', _, ..]);
    rest.is_empty() && !leading_zero && ![whole, fraction, exponent].iter().any(|digits| digits.is_empty())
}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()))
}

fn malformed(what: &str) -> BodyFault {
    BodyFault::Malformed(what.to_owned())
}
