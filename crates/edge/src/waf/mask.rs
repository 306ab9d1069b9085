//! What of a value may be written into an event: enough to see why a rule matched, and nothing that somebody keeps
//! secret.
//!
//! A slice of a few bytes around what matched. In clear are signs that are neither letters nor digits, and within the
//! part that matched the words of attacks ([`words`]) and phrases of the rule; all other letters and digits stand as
//! `x`, `X` and `9`. A pattern may match from end to end of a password, so that something matched is no reason to show it.
//! `…` stands for
//!
//! - everything, where the name of the variable says that it is a secret;
//! - what follows such a name in a text that holds several values (`password=`, `"token":`, `<secret>`);
//! - what looks like a token or an address by itself ([`redact::is_secret`]);
//! - what lies before and behind the slice.

mod names;
mod words;

use std::ops::Range;

use reeve_base::finding::SLICE_BYTES_MAX;

use super::told::Part;
use crate::redact;
use names::names_secret;

/// What a slice is made of.
pub(super) struct Value<'v> {
    /// Where it stood, such as `ARGS:q`.
    pub(super) variable: &'v str,
    /// The transformation that made it, if one did.
    pub(super) how: Option<&'v str>,
    pub(super) text: &'v [u8],
    /// The part that matched; none for all of it.
    pub(super) span: Option<Part>,
    /// A phrase of the rule that the part is.
    pub(super) phrase: Option<&'v str>,
}

/// The slice.
pub(super) fn slice(value: &Value<'_>) -> String {
    if made_by_rules(value.variable, value.text) {
        return String::from_utf8_lossy(value.text).into_owned();
    }
    // A digest would be shown as the signs among its bytes.
    let digest = value.how.is_some_and(|how| DIGESTS.contains(&how));
    if value.text.is_empty() {
        return String::new();
    }
    if digest || is_named_secret(value.variable) {
        return HIDDEN.to_owned();
    }
    Slicer::of(value).run()
}

/// The same part of a value, and more of it, as it is: for whoever has it anyway.
pub(super) fn in_clear(value: &Value<'_>) -> String {
    let part = value.span.clone().unwrap_or(0..value.text.len());
    let start = part.start.saturating_sub(CLEAR_BEFORE_BYTES);
    let window = start..value.text.len().min(start + CLEAR_BYTES);
    let text = printable(value.text.get(window.clone()).unwrap_or_default());
    let cut = |is_cut: bool| if is_cut { HIDDEN } else { "" };
    format!("{}{text}{}", cut(window.start > 0), cut(window.end < value.text.len()))
}

/// Nothing but the part that matched, or its beginning, masked as in a slice.
pub(super) fn part(value: &Value<'_>) -> String {
    let Some(part) = value.span.clone() else { return slice(value) };
    let window = part.start..part.end.min(part.start + SLICE_BYTES_MAX);
    let cut = if window.end < part.end { HIDDEN } else { "" };
    let slicer = Slicer {
        text: value.text,
        hidden: hidden(value.text, &window),
        part,
        window,
        phrase: value.phrase,
        out: String::new(),
    };
    let shown = slicer.run();
    let inner = shown.trim_start_matches(HIDDEN).trim_end_matches(HIDDEN);
    format!("{inner}{cut}")
}

/// The same as it is.
pub(super) fn part_in_clear(value: &Value<'_>) -> String {
    let part = value.span.clone().unwrap_or(0..value.text.len());
    let window = part.start..part.end.min(part.start + SLICE_BYTES_MAX);
    let cut = if window.end < part.end { HIDDEN } else { "" };
    format!("{}{cut}", printable(value.text.get(window).unwrap_or_default()))
}

/// A text that steers no terminal.
pub(super) fn printable(text: &[u8]) -> String {
    let letters = String::from_utf8_lossy(text).into_owned();
    letters.chars().map(|letter| if letter.is_control() { picture(letter) } else { letter }).collect()
}

fn picture(control: char) -> char {
    match u32::from(control) {
        0x7f => '\u{2421}',
        code @ 0..=0x1f => char::from_u32(PICTURES + code).unwrap_or(char::REPLACEMENT_CHARACTER),
        _ => char::REPLACEMENT_CHARACTER,
    }
}

/// Whether what matched is not to be told in any other way.
pub(super) fn hides(variable: &str, text: &[u8], span: Option<&Part>) -> bool {
    let part = span.cloned().unwrap_or(0..text.len());
    is_named_secret(variable) || hidden(text, &part).iter().any(|hidden| meet(hidden, &part))
}

/// Whether it is a number that the engine has counted, or a word that every request has.
fn made_by_rules(variable: &str, text: &[u8]) -> bool {
    let number = text.len() <= NUMBER_BYTES_MAX && text.iter().all(u8::is_ascii_digit);
    let counted = variable.starts_with('&') || COUNTED.contains(&variable);
    let score = variable.strip_prefix("TX:").is_some_and(|name| name.to_ascii_lowercase().contains("anomaly_score"));
    number && (counted || score) || PLAIN.iter().any(|(name, plain)| *name == variable && *plain == text)
}

/// Whether the name of a variable says that nobody may see it.
fn is_named_secret(variable: &str) -> bool {
    let Some((collection, member)) = variable.split_once(':') else { return false };
    // There the name is all that there is.
    !collection.ends_with("_NAMES") && names_secret(member)
}

/// One value on its way to a slice.
struct Slicer<'v> {
    text: &'v [u8],
    part: Part,
    window: Range<usize>,
    hidden: Vec<Range<usize>>,
    phrase: Option<&'v str>,
    out: String,
}

impl<'v> Slicer<'v> {
    fn of(value: &Value<'v>) -> Self {
        let text = value.text;
        let part = value.span.clone().unwrap_or(0..text.len());
        let window = window(text, &part);
        Self { hidden: hidden(text, &window), text, part, window, phrase: value.phrase, out: String::new() }
    }

    fn run(mut self) -> String {
        if self.window.start > 0 {
            self.hide();
        }
        // Words are read from before the slice on, so that none begins with it.
        let mut at = self.window.start.saturating_sub(AROUND_BYTES);
        while at < self.window.end {
            at = match self.hidden.iter().find(|hidden| hidden.contains(&at)).cloned() {
                Some(hidden) => {
                    if meet(&hidden, &self.window) {
                        self.hide();
                    }
                    hidden.end.max(at + 1)
                }
                None => self.piece(at),
            };
        }
        if self.window.end < self.text.len() {
            self.hide();
        }
        self.out
    }

    /// Writes a word, an escaped sign or a byte, and tells where the next begins.
    fn piece(&mut self, at: usize) -> usize {
        if let Some(sign) = escaped(self.text, at) {
            let shown = !sign.is_ascii_alphanumeric() && sign.is_ascii();
            (at..at + ESCAPE_BYTES).for_each(|at| self.byte(at, shown));
            return at + ESCAPE_BYTES;
        }
        let rest = self.text.get(at..).unwrap_or_default();
        let length = rest.iter().take(WORD_BYTES_MAX).take_while(|byte| is_of_word(**byte)).count();
        if length == 0 {
            self.byte(at, true);
            return at + 1;
        }
        let shown = self.shows(&(at..at + length));
        (at..at + length).for_each(|at| self.byte(at, shown));
        at + length
    }

    /// Whether a word is one that may be seen: as a whole one of attacks, in the part that matched.
    fn shows(&self, word: &Range<usize>) -> bool {
        let within = self.part.start <= word.start && word.end <= self.part.end;
        let Some(text) = self.text.get(word.clone()).and_then(|text| std::str::from_utf8(text).ok()) else {
            return false;
        };
        if let [digit] = text.as_bytes()
            && digit.is_ascii_digit()
        {
            return within && self.is_compared(word);
        }
        let lower = text.to_ascii_lowercase();
        let of_phrase =
            || self.phrase.is_some_and(|phrase| phrase.split(|c: char| !is_word_char(c)).any(|p| p == lower));
        within && (words::is_of_attacks(&lower) || of_phrase())
    }

    /// Whether a digit stands by a sign that compares: `1=1`, `'1'='1'`.
    fn is_compared(&self, digit: &Range<usize>) -> bool {
        let compares = |byte: &u8| *byte == b'=';
        let telling = |byte: &&u8| !matches!(byte, b' ' | b'\'' | b'"' | b'(' | b')' | b'+');
        let mut before = self.text.get(..digit.start).unwrap_or_default().iter().rev().take(FILLER_BYTES_MAX);
        let mut after = self.text.get(digit.end..).unwrap_or_default().iter().take(FILLER_BYTES_MAX);
        before.find(telling).is_some_and(compares) || after.find(telling).is_some_and(compares)
    }

    /// Writes a byte of the slice.
    fn byte(&mut self, at: usize, clear: bool) {
        let Some(byte) = self.text.get(at).filter(|_| self.window.contains(&at)) else { return };
        self.out.push(match byte {
            b'0'..=b'9' if !clear => '9',
            b'a'..=b'z' if !clear => 'x',
            b'A'..=b'Z' if !clear => 'X',
            0x80.. => 'x',
            // What would steer a terminal is shown by its picture.
            0x7f | 0..=0x1f => picture(char::from(*byte)),
            plain => char::from(*plain),
        });
    }

    fn hide(&mut self) {
        if !self.out.ends_with(HIDDEN) {
            self.out.push_str(HIDDEN);
        }
    }
}

/// The bytes that are looked at: from shortly before what matched; of a long match, from its first telling sign.
fn window(text: &[u8], part: &Part) -> Range<usize> {
    let mut start = part.start.saturating_sub(BEFORE_BYTES);
    if part.len() > SLICE_BYTES_MAX - BEFORE_BYTES {
        let matched = text.get(part.clone()).unwrap_or_default().iter().take(SEARCHED_BYTES_MAX);
        let telling = matched.clone().position(|byte| TELLING.contains(byte));
        if let Some(at) = telling {
            start = start.max((part.start + at).saturating_sub(TELLING_BEFORE_BYTES));
        }
    }
    start..text.len().min(start + SLICE_BYTES_MAX)
}

/// Stretches near a place that nobody may see.
fn hidden(text: &[u8], near: &Range<usize>) -> Vec<Range<usize>> {
    let start = near.start.saturating_sub(NEAR_BYTES);
    let end = text.len().min(near.end.min(near.start + SLICE_BYTES_MAX) + NEAR_BYTES);
    let mut found = Vec::new();
    let mut at = start;
    while at < end {
        let rest = text.get(at..end).unwrap_or_default();
        let length = rest.iter().take_while(|byte| is_of_token(**byte)).count();
        let token = rest.get(..length).and_then(|token| std::str::from_utf8(token).ok()).unwrap_or_default();
        if redact::is_secret(token) {
            found.push(at..at + length);
        }
        if let Some(value) = announced(text, at, token) {
            found.push(value);
        }
        at += length.max(1);
    }
    found
}

/// The value that belongs to a name of a secret, where one ends a word.
fn announced(text: &[u8], at: usize, word: &str) -> Option<Range<usize>> {
    if word.is_empty() || !names_secret(word) {
        return None;
    }
    let from = at + word.len();
    let rest = text.get(from..)?;
    let Gap { length: gap, assigns, quote } = Gap::of(rest);
    if !assigns {
        return None;
    }
    let begins = from + gap;
    let ends = |byte: &u8| match quote {
        Some(quote) => *byte == quote,
        None => matches!(byte, b'&' | b'\n' | b'<'),
    };
    let length = text.get(begins..)?.iter().position(ends);
    Some(begins..length.map_or(text.len(), |length| begins + length))
}

/// What stands between a name and its value: `" : "`, `=`, `%3D`, `]=`, `>`, or the end of a part's head in multipart.
struct Gap {
    length: usize,
    /// What follows is a value.
    assigns: bool,
    /// What the value ends with, if it is in quotes.
    quote: Option<u8>,
}

impl Gap {
    fn of(rest: &[u8]) -> Self {
        let mut gap = Self { length: 0, assigns: false, quote: None };
        for _ in 0..GAP_SIGNS_MAX {
            let escaped = escaped(rest, gap.length);
            let Some(sign) = escaped.or_else(|| rest.get(gap.length).copied()) else { break };
            if !b" \t\r\n\"'\\[]=:>".contains(&sign) {
                break;
            }
            gap.assigns |= matches!(sign, b'=' | b':' | b'>' | b'\n');
            gap.quote = Some(sign).filter(|sign| gap.assigns && escaped.is_none() && matches!(sign, b'"' | b'\''));
            gap.length += if escaped.is_some() { ESCAPE_BYTES } else { 1 };
        }
        gap
    }
}

/// The sign that a percent sign and two digits stand for.
fn escaped(text: &[u8], at: usize) -> Option<u8> {
    let [b'%', high, low] = text.get(at..at + ESCAPE_BYTES)? else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

fn meet(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start < other.end && other.start < one.end
}

const fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn is_word_char(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

const fn is_of_token(byte: u8) -> bool {
    is_of_word(byte) || matches!(byte, b'-' | b'.' | b'+' | b'~' | b'@')
}

const HIDDEN: &str = "…";

/// Before what matched, so many bytes are shown.
const BEFORE_BYTES: usize = 8;

/// Before the first telling sign of a long match.
const TELLING_BEFORE_BYTES: usize = 12;
const TELLING: &[u8] = b"'\"<>;|&$(){}`\\%";
const SEARCHED_BYTES_MAX: usize = 4_096;

/// As much is shown to whoever brought the request.
const CLEAR_BYTES: usize = 160;
const CLEAR_BEFORE_BYTES: usize = 40;

/// Longer than any word that may be shown: what is cut off at the front is never taken for one.
const AROUND_BYTES: usize = 64;
const WORD_BYTES_MAX: usize = 4_096;

/// So far from a slice, names and tokens are looked for.
const NEAR_BYTES: usize = 512;
const GAP_SIGNS_MAX: usize = 12;
const FILLER_BYTES_MAX: usize = 6;
const ESCAPE_BYTES: usize = 3;

/// U+2400: pictures of control characters, in their order.
const PICTURES: u32 = 0x2400;
const NUMBER_BYTES_MAX: usize = 10;

const DIGESTS: [&str; 2] = ["md5", "sha1"];

/// Numbers that the engine makes.
const COUNTED: [&str; 12] = [
    "ARGS_COMBINED_SIZE",
    "DURATION",
    "FILES_COMBINED_SIZE",
    "MULTIPART_FILE_LIMIT_EXCEEDED",
    "MULTIPART_STRICT_ERROR",
    "MULTIPART_UNMATCHED_BOUNDARY",
    "REQBODY_ERROR",
    "REQBODY_PROCESSOR_ERROR",
    "REQUEST_BODY_LENGTH",
    "RESPONSE_CONTENT_LENGTH",
    "RESPONSE_STATUS",
    "URLENCODED_ERROR",
];

/// Words that say nothing of anybody.
const PLAIN: [(&str, &[u8]); 14] = [
    ("REQUEST_METHOD", b"GET"),
    ("REQUEST_METHOD", b"HEAD"),
    ("REQUEST_METHOD", b"POST"),
    ("REQUEST_METHOD", b"PUT"),
    ("REQUEST_METHOD", b"PATCH"),
    ("REQUEST_METHOD", b"DELETE"),
    ("REQUEST_METHOD", b"OPTIONS"),
    ("REQUEST_METHOD", b"TRACE"),
    ("REQUEST_METHOD", b"CONNECT"),
    ("REQUEST_PROTOCOL", b"HTTP/1.0"),
    ("REQUEST_PROTOCOL", b"HTTP/1.1"),
    ("REQUEST_PROTOCOL", b"HTTP/2.0"),
    ("REQBODY_PROCESSOR", b"JSON"),
    ("REQBODY_PROCESSOR", b"XML"),
];

#[cfg(test)]
mod tests;
