//! A place in a pattern.

use super::PatternError;

#[derive(Clone)]
pub(super) struct Cursor<'p> {
    pattern: &'p [u8],
    at: usize,
}

impl<'p> Cursor<'p> {
    pub(super) fn new(pattern: &'p [u8]) -> Self {
        Self { pattern, at: 0 }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.pattern.get(self.at).copied()
    }

    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn rest(&self) -> &'p [u8] {
        self.pattern.get(self.at..).unwrap_or_default()
    }

    pub(super) fn eat(&mut self, text: &[u8]) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// What stands before the next `end`, which is passed as well; all that is left if there is none.
    pub(super) fn take_until(&mut self, end: &[u8]) -> &'p [u8] {
        let rest = self.rest();
        let found = memchr::memmem::find(rest, end);
        let taken = rest.get(..found.unwrap_or(rest.len())).unwrap_or_default();
        self.at += taken.len() + found.map_or(0, |_| end.len());
        taken
    }

    pub(super) fn skip_past(&mut self, end: &[u8]) {
        self.take_until(end);
    }

    /// After a `{`: `3`, `3,` or `3,5`, with the `}` passed. None if the brace is only a brace.
    pub(super) fn counts(&mut self) -> Option<String> {
        let rest = self.rest();
        let length = memchr::memchr(b'}', rest)?;
        let inside = rest.get(..length)?;
        let (least, most) = match memchr::memchr(b',', inside) {
            Some(comma) => (inside.get(..comma)?, inside.get(comma + 1..)?),
            None => (inside, b"".as_slice()),
        };
        let digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
        if least.is_empty() || !digits(least) || !digits(most) {
            return None;
        }
        self.at += length + 1;
        Some(inside.iter().map(|byte| char::from(*byte)).collect())
    }

    /// An octal number of up to three digits, of which the first is given.
    pub(super) fn octal(&mut self, first: u8) -> Result<u8, PatternError> {
        let mut value = u32::from(first - b'0');
        for _ in 0..2 {
            let Some(digit @ b'0'..=b'7') = self.peek() else { break };
            self.at += 1;
            value = value * 8 + u32::from(digit - b'0');
        }
        self.byte(value)
    }

    /// Digits of the given base up to a `}`, after the `{`.
    pub(super) fn braced(&mut self, radix: u32) -> Result<u8, PatternError> {
        let digits = self.take_until(b"}");
        let digits = str::from_utf8(digits).unwrap_or_default().trim();
        match u32::from_str_radix(digits, radix) {
            Ok(value) => self.byte(value),
            Err(_) => Err(self.malformed("a number in braces is none")),
        }
    }

    /// Up to two hexadecimal digits.
    pub(super) fn hexadecimal(&mut self) -> Result<u8, PatternError> {
        let mut value = 0;
        for _ in 0..2 {
            let Some(digit) = self.peek().and_then(|byte| char::from(byte).to_digit(16)) else { break };
            self.at += 1;
            value = value * 16 + digit;
        }
        self.byte(value)
    }

    fn byte(&self, value: u32) -> Result<u8, PatternError> {
        u8::try_from(value).map_err(|_| self.malformed("patterns are of bytes, and this number is above 255"))
    }

    /// How many groups the pattern numbers, in all.
    pub(super) fn groups(&self) -> u32 {
        let (mut count, mut escaped) = (0, false);
        for (at, byte) in self.pattern.iter().enumerate() {
            let plain = !matches!(self.pattern.get(at + 1), Some(b'?' | b'*'));
            count += u32::from(*byte == b'(' && !escaped && plain);
            escaped = *byte == b'\\' && !escaped;
        }
        count
    }

    pub(super) fn malformed(&self, what: &str) -> PatternError {
        PatternError::Malformed(format!("{what}, at byte {} of the pattern", self.at))
    }

    pub(super) fn unsupported(&self, what: &str) -> PatternError {
        PatternError::Unsupported(format!("{what} takes more than linear time, at byte {} of the pattern", self.at))
    }

    pub(super) fn unknown_escape(&self, letter: u8) -> PatternError {
        self.malformed(&format!(r"`\{}` means nothing", letter.escape_ascii()))
    }
}
