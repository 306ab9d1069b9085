//! From the patterns of SecLang, which are PCRE's, to those of the `regex` crate, which take linear time.
//!
//! PCRE is read as ModSecurity 2 compiles it: bytes and not characters, `.` matches line ends, `$` only the very end.
//! Look-around, back-references and recursion have no linear-time equal and are refused. Possessive quantifiers and
//! atomic groups become greedy ones: that matches all they match, and now and then more.

mod class;
mod cursor;
mod escape;
mod lazy;
mod replacement;

use crate::byte_set::ByteSet;
use cursor::Cursor;
use escape::Escape;

pub(crate) use lazy::Lazy;
pub(crate) use replacement::{Comparison, compared};

/// A pattern that has no linear-time equal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PatternError {
    /// It uses what no linear-time engine has.
    #[error("{0}")]
    Unsupported(String),
    /// It is no pattern.
    #[error("{0}")]
    Malformed(String),
}

/// The same pattern in the syntax of `regex::bytes`, to be compiled with [`compile`] only.
pub(crate) fn translate(pattern: &[u8]) -> Result<String, PatternError> {
    let mut translator = Translator::new(pattern);
    let translated = translator.run();
    // Only what comes out refused or wider can have a better equal of its own.
    if translated.is_ok() && !translator.widened {
        return translated;
    }
    replacement::of(pattern).map_or(translated, Ok)
}

/// Compiles a SecLang pattern: bytes and not characters, `.` matches line ends, `$` only the very end.
pub(crate) fn compile(pattern: &[u8]) -> Result<regex::bytes::Regex, PatternError> {
    regex::bytes::RegexBuilder::new(&translate(pattern)?)
        .unicode(false)
        .dot_matches_new_line(true)
        .build()
        .map_err(|error| malformed(&error))
}

/// Whether a pattern is one, without the cost of compiling it; [`compile`] can still find it too large.
pub(crate) fn check(pattern: &[u8]) -> Result<(), PatternError> {
    regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .dot_matches_new_line(true)
        .build()
        .parse(&translate(pattern)?)
        .map(|_| ())
        .map_err(|error| malformed(&error))
}

/// The message of `regex` draws the pattern over several lines; its last says what is wrong.
fn malformed(error: &dyn std::fmt::Display) -> PatternError {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    PatternError::Malformed(last.trim_start_matches("error: ").to_owned())
}

/// What a group's inside is read under; a group restores them at its end.
#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    /// `(?x)`: blanks and comments do not count.
    extended: bool,
    caseless: bool,
}

struct Translator<'p> {
    input: Cursor<'p>,
    out: String,
    flags: Flags,
    /// The flags outside of each open group.
    groups: Vec<Flags>,
    /// Something possessive became greedy.
    widened: bool,
}

impl<'p> Translator<'p> {
    fn new(pattern: &'p [u8]) -> Self {
        Self {
            input: Cursor::new(pattern),
            out: String::with_capacity(pattern.len() * 2),
            flags: Flags::default(),
            groups: Vec::new(),
            widened: false,
        }
    }

    fn run(&mut self) -> Result<String, PatternError> {
        while let Some(byte) = self.input.next() {
            self.item(byte)?;
        }
        if self.groups.is_empty() {
            Ok(std::mem::take(&mut self.out))
        } else {
            Err(PatternError::Malformed("a `(` is never closed".to_owned()))
        }
    }

    fn item(&mut self, byte: u8) -> Result<(), PatternError> {
        match byte {
            b'\\' => self.escape()?,
            b'[' => class::read(&mut self.input, self.flags.caseless, &mut self.out)?,
            b'(' => self.open()?,
            b')' => {
                let Some(outside) = self.groups.pop() else {
                    return Err(self.input.malformed("a `)` closes nothing"));
                };
                self.flags = outside;
                self.out.push(')');
            }
            b'*' | b'+' | b'?' => {
                self.out.push(char::from(byte));
                self.greed();
            }
            b'{' => match self.input.counts() {
                Some(counts) => {
                    self.out.push('{');
                    self.out.push_str(&counts);
                    self.out.push('}');
                    self.greed();
                }
                None => self.out.push_str(r"\{"),
            },
            b'.' | b'^' | b'$' | b'|' => self.out.push(char::from(byte)),
            b' ' | b'\t'..=b'\r' if self.flags.extended => {}
            b'#' if self.flags.extended => self.input.skip_past(b"\n"),
            _ => class::push_literal(&mut self.out, byte),
        }
        Ok(())
    }

    /// What may follow a quantifier.
    fn greed(&mut self) {
        if self.input.eat(b"?") {
            self.out.push('?');
        } else if self.input.eat(b"+") {
            self.widened = true;
        }
    }

    fn escape(&mut self) -> Result<(), PatternError> {
        match escape::read(&mut self.input)? {
            Escape::Byte(byte) => class::push_literal(&mut self.out, byte),
            Escape::Set(set) => class::push(&mut self.out, set, false),
            Escape::Other(letter @ (b'b' | b'B' | b'A' | b'z')) => {
                self.out.push('\\');
                self.out.push(char::from(letter));
            }
            Escape::Other(b'Z') => self.out.push_str(r"(?:\n?\z)"),
            Escape::Other(b'R') => self.out.push_str(r"(?:\r\n|[\n\x0b\x0c\r\x85])"),
            Escape::Other(b'C') => class::push(&mut self.out, ByteSet::FULL, false),
            Escape::Other(b'Q') => {
                for byte in self.input.take_until(br"\E") {
                    class::push_literal(&mut self.out, *byte);
                }
            }
            Escape::Other(b'E') => {}
            Escape::Other(digit @ b'1'..=b'9') => self.numbered(digit)?,
            Escape::Other(b'g' | b'k') => return Err(self.input.unsupported("a back-reference")),
            Escape::Other(b'p' | b'P' | b'X') => return Err(self.input.unsupported("a Unicode property")),
            Escape::Other(b'G') => return Err(self.input.unsupported(r"`\G`")),
            Escape::Other(b'K') => return Err(self.input.unsupported(r"`\K`")),
            Escape::Other(letter) => return Err(self.input.unknown_escape(letter)),
        }
        Ok(())
    }

    /// `\1` refers back; `\101` is an octal number where there are fewer than 101 groups (pcre2pattern, "Backslash").
    fn numbered(&mut self, digit: u8) -> Result<(), PatternError> {
        let after = self.input.peek();
        let octal = digit <= b'7' && after.is_some_and(|next| (b'0'..=b'7').contains(&next));
        let number = u32::from(digit - b'0') * 10 + u32::from(after.unwrap_or(b'0').saturating_sub(b'0'));
        if !octal || number <= self.input.groups() {
            return Err(self.input.unsupported("a back-reference"));
        }
        let byte = self.input.octal(digit)?;
        class::push_literal(&mut self.out, byte);
        Ok(())
    }

    /// After a `(`.
    fn open(&mut self) -> Result<(), PatternError> {
        if self.input.peek() == Some(b'*') {
            return Err(self.input.unsupported("a verb of PCRE, `(*`"));
        }
        if !self.input.eat(b"?") {
            self.enter("(");
            return Ok(());
        }
        if self.input.eat(b"#") {
            self.input.skip_past(b")");
            return Ok(());
        }
        for (sign, what) in LOOKING {
            if self.input.eat(sign) {
                return Err(self.input.unsupported(what));
            }
        }
        if self.input.eat(b":") {
            self.enter("(?:");
        } else if self.input.eat(b">") {
            self.widened = true;
            self.enter("(?:");
        } else if self.input.eat(b"P<") || self.input.eat(b"<") {
            self.named(b">")?;
        } else if self.input.eat(b"'") {
            self.named(b"'")?;
        } else {
            self.inline_flags()?;
        }
        Ok(())
    }

    fn enter(&mut self, opening: &str) {
        self.groups.push(self.flags);
        self.out.push_str(opening);
    }

    fn named(&mut self, end: &[u8]) -> Result<(), PatternError> {
        let name = self.input.take_until(end);
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        if name.is_empty() || !name.iter().all(is_word) {
            return Err(self.input.malformed("a group's name is letters, digits and `_`"));
        }
        self.enter("(?P<");
        self.out.extend(name.iter().map(|byte| char::from(*byte)));
        self.out.push('>');
        Ok(())
    }

    /// `(?i)`, `(?s-m)`, `(?x:`. The `x` is carried out here: in PCRE it leaves classes alone, in `regex` it does not.
    fn inline_flags(&mut self) -> Result<(), PatternError> {
        let outside = self.flags;
        let (mut on, mut off, mut minus) = (String::new(), String::new(), false);
        loop {
            let Some(byte) = self.input.next() else {
                return Err(self.input.malformed("a group begins with `(?` and goes on no further"));
            };
            match byte {
                b')' => {
                    push_flags(&mut self.out, &on, &off, ')');
                    return Ok(());
                }
                b':' => {
                    self.groups.push(outside);
                    push_flags(&mut self.out, &on, &off, ':');
                    return Ok(());
                }
                b'-' if !minus => minus = true,
                b'^' if on.is_empty() && !minus => {
                    off.push_str("ims");
                    self.flags = Flags::default();
                }
                b'x' => self.flags.extended = !minus,
                b'J' => {}
                b'i' | b'm' | b's' | b'U' => {
                    if byte == b'i' {
                        self.flags.caseless = !minus;
                    }
                    off.retain(|flag| flag != char::from(byte));
                    on.retain(|flag| flag != char::from(byte));
                    if minus { &mut off } else { &mut on }.push(char::from(byte));
                }
                b'R' | b'&' | b'+' | b'0'..=b'9' | b'P' => return Err(self.input.unsupported("recursion")),
                _ => return Err(self.input.unsupported(&format!("`(?{}`", byte.escape_ascii()))),
            }
        }
    }
}

fn push_flags(out: &mut String, on: &str, off: &str, end: char) {
    if on.is_empty() && off.is_empty() && end == ')' {
        return;
    }
    out.push_str("(?");
    out.push_str(on);
    if !off.is_empty() {
        out.push('-');
        out.push_str(off);
    }
    out.push(end);
}

/// What begins a group after its `(?`, and has no linear-time equal.
const LOOKING: &[(&[u8], &str)] = &[
    (b"=", "look-ahead"),
    (b"!", "look-ahead"),
    (b"<=", "look-behind"),
    (b"<!", "look-behind"),
    (b"|", "a group whose branches count their groups anew"),
    (b"(", "a condition"),
    (b"P=", "a back-reference"),
    (b"P>", "recursion"),
];

#[cfg(test)]
mod tests;
