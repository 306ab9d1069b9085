//! Cuts a value into tokens, as databases do.
//!
//! Each reader is given the rest of the value from the first byte of its token and says how far the token reaches, so
//! that every byte is looked at a bounded number of times.

use memchr::{memchr, memmem};

use super::TEXT_BYTES_MAX;
use super::number;
use super::token::{Kind, Token};
use super::words::Words;
use crate::byte_set::ByteSet;

/// Whose rules are read by, where they part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `--` begins a comment, `#` is an operator.
    Standard,
    /// `#` begins a comment, `--` only with a space behind it.
    MySql,
}

/// Reads the tokens of a value one by one.
pub(super) struct Lexer<'a> {
    rest: &'a [u8],
    /// The quote inside which the value is thought to begin, until its string has been read.
    quote: Option<u8>,
    dialect: Dialect,
    words: &'static Words,
    tokens_read: usize,
    dialects_differ: bool,
}

/// A token, and how many bytes it took.
pub(super) struct Read<'a> {
    pub(super) token: Token<'a>,
    pub(super) length: usize,
}

impl<'a> Lexer<'a> {
    pub(super) const fn new(value: &'a [u8], quote: Option<u8>, dialect: Dialect, words: &'static Words) -> Self {
        Self { rest: value, quote, dialect, words, tokens_read: 0, dialects_differ: false }
    }

    pub(super) const fn words(&self) -> &'static Words {
        self.words
    }

    /// How many tokens there were so far, comments among them.
    pub(super) const fn tokens_read(&self) -> usize {
        self.tokens_read
    }

    /// Whether something was met that the other dialect reads in another way.
    pub(super) const fn dialects_differ(&self) -> bool {
        self.dialects_differ
    }

    pub(super) fn next(&mut self) -> Option<Token<'a>> {
        let read = if let Some(quote) = self.quote.take() {
            let mut read = quoted(self.rest, 0, quote);
            read.token.open = None;
            read
        } else {
            let spaces = self.rest.iter().position(|byte| !SPACE.contains(*byte))?;
            self.rest = self.rest.get(spaces..)?;
            self.read(*self.rest.first()?)
        };
        self.rest = self.rest.get(read.length..).unwrap_or_default();
        self.tokens_read += 1;
        Some(read.token)
    }

    fn read(&mut self, first: u8) -> Read<'a> {
        let rest = self.rest;
        match first {
            b'0'..=b'9' | b'.' => Some(number::number(rest)),
            b'$' => number::money(rest),
            b'b' | b'B' => number::digits_string(rest, |digit| matches!(digit, b'0' | b'1')),
            b'x' | b'X' => number::digits_string(rest, |digit| digit.is_ascii_hexdigit()),
            b'e' | b'E' => escape_string(rest),
            b'n' | b'N' => escape_string(rest).or_else(|| delimited_string(rest, 1)),
            b'q' | b'Q' => delimited_string(rest, 0),
            b'u' | b'U' => unicode_string(rest),
            b'\'' | b'"' => Some(quoted(rest, 1, first)),
            b'`' => Some(self.backquoted(rest)),
            b'[' => Some(bracketed(rest)),
            b'@' => Some(self.variable()),
            b'-' => Some(self.dash()),
            b'#' => Some(self.hash()),
            b'/' => Some(slash(rest)),
            b'\\' => Some(backslash(rest)),
            b'!' | b'&' | b'*' | b':' | b'<' | b'=' | b'>' | b'|' => Some(operator(rest)),
            b'%' | b'+' | b'^' | b'~' => Some(single(rest, Kind::Operator)),
            b'(' => Some(single(rest, Kind::Open)),
            b')' => Some(single(rest, Kind::Close)),
            b',' => Some(single(rest, Kind::Comma)),
            b';' => Some(single(rest, Kind::Semicolon)),
            b'{' => Some(single(rest, Kind::BraceOpen)),
            b'}' => Some(single(rest, Kind::BraceClose)),
            b'?' | b']' => Some(single(rest, Kind::Unknown)),
            _ => None,
        }
        .unwrap_or_else(|| self.word())
    }

    /// A word, or what stands before a `.` or backquote in it, if that is one that SQL knows.
    fn word(&self) -> Read<'a> {
        // The end is looked for last: with many such heads in a row the whole would be read for each of them.
        let near = self.rest.iter().take(TEXT_BYTES_MAX).take_while(|byte| !WORD_END.contains(**byte));
        for (at, _) in near.enumerate().filter(|(_, byte)| matches!(byte, b'.' | b'`')) {
            let head = self.rest.get(..at).unwrap_or_default();
            if let Some(token) = self.listed(head).filter(|token| token.kind != Kind::Bareword) {
                return Read { token, length: at };
            }
        }
        let text = until(self.rest, WORD_END);
        Read { token: self.listed(text).unwrap_or(Token::new(Kind::Bareword, text)), length: text.len() }
    }

    fn listed(&self, text: &'a [u8]) -> Option<Token<'a>> {
        let word = self.words.find(text)?;
        Some(Token { begins_phrase: word.begins_phrase, ..Token::new(word.kind, text) })
    }

    /// MySQL's quotes around names: a bareword whatever it says, unless that is a function.
    fn backquoted(&self, rest: &'a [u8]) -> Read<'a> {
        let mut read = quoted(rest, 1, b'`');
        let word = self.words.find(read.token.text);
        let function = word.is_some_and(|word| word.kind == Kind::Function);
        read.token.kind = if function { Kind::Function } else { Kind::Bareword };
        read.token.begins_phrase = word.is_some_and(|word| word.begins_phrase);
        read
    }

    /// `@name`, `@@name`, and either with its name in quotes.
    fn variable(&self) -> Read<'a> {
        let signs = if matches!(self.rest, [_, b'@', ..]) { 2 } else { 1 };
        let name = self.rest.get(signs..).unwrap_or_default();
        let Read { token, length } = match name.first() {
            Some(b'`') => self.backquoted(name),
            Some(quote @ (b'\'' | b'"')) => quoted(name, 1, *quote),
            _ => {
                let text = until(name, VARIABLE_END);
                Read { token: Token::new(Kind::Variable, text), length: text.len() }
            }
        };
        Read { token: Token { kind: Kind::Variable, begins_phrase: false, ..token }, length: signs + length }
    }

    fn dash(&mut self) -> Read<'a> {
        match self.rest {
            [_, b'-'] => comment_to_line_end(self.rest),
            [_, b'-', next, ..] if is_blank(*next) => comment_to_line_end(self.rest),
            [_, b'-', ..] => {
                self.dialects_differ = true;
                match self.dialect {
                    Dialect::Standard => comment_to_line_end(self.rest),
                    Dialect::MySql => single(self.rest, Kind::Operator),
                }
            }
            _ => single(self.rest, Kind::Operator),
        }
    }

    fn hash(&mut self) -> Read<'a> {
        self.dialects_differ = true;
        match self.dialect {
            Dialect::Standard => single(self.rest, Kind::Operator),
            Dialect::MySql => comment_to_line_end(self.rest),
        }
    }
}

impl<'a> Read<'a> {
    /// The first `length` bytes as one token.
    pub(super) fn of(kind: Kind, rest: &'a [u8], length: usize) -> Self {
        let text = rest.get(..length).unwrap_or(rest);
        Self { token: Token::new(kind, text), length: text.len() }
    }
}

/// Whether databases take the byte for white space behind a number or `--`.
pub(super) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r' | 0xa0 | 0)
}

pub(super) fn single(rest: &[u8], kind: Kind) -> Read<'_> {
    Read::of(kind, rest, 1)
}

/// A string whose bytes begin after `before` bytes and end at `quote`: not at one behind an odd number of
/// backslashes, and not at two in a row.
pub(super) fn quoted(rest: &[u8], before: usize, quote: u8) -> Read<'_> {
    let inner = rest.get(before..).unwrap_or_default();
    let mut from = 0;
    while let Some(found) = memchr(quote, inner.get(from..).unwrap_or_default()) {
        let at = from + found;
        let text = inner.get(..at).unwrap_or_default();
        if text.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1 {
            from = at + 1;
        } else if inner.get(at + 1) == Some(&quote) {
            from = at + 2;
        } else {
            return string(text, before + at + 1, quote, true);
        }
    }
    string(inner, rest.len(), quote, false)
}

/// A string with the same mark at both ends, or without an end.
pub(super) fn string(text: &[u8], length: usize, mark: u8, closed: bool) -> Read<'_> {
    let close = closed.then_some(mark);
    Read { token: Token { open: Some(mark), close, ..Token::new(Kind::String, text) }, length }
}

/// `e'…'`, and `n'…'` for the national character set.
fn escape_string(rest: &[u8]) -> Option<Read<'_>> {
    matches!(rest, [_, b'\'', _, ..]).then(|| quoted(rest, 2, b'\''))
}

/// `u&'…'`.
fn unicode_string(rest: &[u8]) -> Option<Read<'_>> {
    let [_, b'&', b'\'', ..] = rest else { return None };
    let mut read = quoted(rest, 3, b'\'');
    read.token.open = Some(b'u');
    read.token.close = read.token.close.map(|_| b'u');
    Some(read)
}

/// Oracle's `q'[…]'`, in which the mark behind the quote decides what ends it; `before` bytes stand before the `q`.
fn delimited_string(rest: &[u8], before: usize) -> Option<Read<'_>> {
    let [b'q' | b'Q', b'\'', mark, inner @ ..] = rest.get(before..)? else { return None };
    if *mark <= b' ' || !mark.is_ascii() {
        return None;
    }
    let end = match mark {
        b'(' => b')',
        b'[' => b']',
        b'{' => b'}',
        b'<' => b'>',
        same => *same,
    };
    Some(match memmem::find(inner, &[end, b'\'']) {
        Some(at) => string(inner.get(..at).unwrap_or_default(), before + 3 + at + 2, b'q', true),
        None => string(inner, rest.len(), b'q', false),
    })
}

/// SQL Server's `[name]`.
fn bracketed(rest: &[u8]) -> Read<'_> {
    Read::of(Kind::Bareword, rest, memchr(b']', rest).map_or(rest.len(), |end| end + 1))
}

fn backslash(rest: &[u8]) -> Read<'_> {
    // MySQL's other name for NULL.
    if rest.starts_with(b"\\N") { Read::of(Kind::Number, rest, 2) } else { single(rest, Kind::Backslash) }
}

fn slash(rest: &[u8]) -> Read<'_> {
    let Some(inner) = rest.strip_prefix(b"/*") else { return single(rest, Kind::Operator) };
    let end = memmem::find(inner, b"*/");
    // The `*` of the end counts as inside, so that `/*/*/` is taken for a comment in a comment.
    let nested = end.is_some_and(|end| memmem::find(inner.get(..=end).unwrap_or_default(), b"/*").is_some());
    // Some databases run what stands in `/*!…*/`, and some end nested comments earlier than others.
    let kind = if nested || inner.first() == Some(&b'!') { Kind::Evil } else { Kind::Comment };
    Read::of(kind, rest, end.map_or(rest.len(), |end| end + 4))
}

fn comment_to_line_end(rest: &[u8]) -> Read<'_> {
    match memchr(b'\n', rest) {
        Some(end) => Read { length: end + 1, ..Read::of(Kind::Comment, rest, end) },
        None => Read::of(Kind::Comment, rest, rest.len()),
    }
}

/// An operator of three, two or one bytes, or a lone colon.
fn operator(rest: &[u8]) -> Read<'_> {
    match rest {
        [b'<', b'=', b'>', ..] => Read::of(Kind::Operator, rest, 3),
        [b'&', b'&', ..] | [b'|', b'|', ..] => Read::of(Kind::Logic, rest, 2),
        [b'!', b'!' | b'<' | b'=' | b'>', ..]
        | [b'&' | b'*' | b':' | b'<' | b'>' | b'|', b'=', ..]
        | [b':', b':', ..]
        | [b'<', b'<' | b'>' | b'@', ..]
        | [b'>', b'>', ..]
        | [b'|', b'/', ..] => Read::of(Kind::Operator, rest, 2),
        [b':', _, ..] => single(rest, Kind::Colon),
        _ => single(rest, Kind::Operator),
    }
}

fn until(rest: &[u8], end: ByteSet) -> &[u8] {
    rest.split(|byte| end.contains(*byte)).next().unwrap_or_default()
}

/// What stands between tokens and is none.
const SPACE: ByteSet = ByteSet::EMPTY.with_range(0, b' ').with(0x7f).with(0xa0);

/// What ends a word.
const WORD_END: ByteSet = BLANK
    .with(b'[')
    .with(b']')
    .with(b'{')
    .with(b'}')
    .with(b'"')
    .with_range(b'%', b'-')
    .with(b'!')
    .with(b'#')
    .with(b'/')
    .with_range(b':', b'@')
    .with(b'\\')
    .with(b'^')
    .with(b'|')
    .with(b'~')
    .with(0xa0);

/// What ends the name of a variable.
const VARIABLE_END: ByteSet = BLANK
    .with(b'"')
    .with_range(b'%', b'-')
    .with(b'!')
    .with(b'#')
    .with(b'/')
    .with_range(b':', b'@')
    .with(b'\\')
    .with(b'^')
    .with(b'`')
    .with(b'|')
    .with(b'~');

const BLANK: ByteSet = ByteSet::EMPTY.with(0).with_range(b'\t', b'\r').with(b' ');
