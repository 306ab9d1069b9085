//! Operators, compiled: what a value is tested for.

use std::net::IpAddr;
use std::ops::Range;

use aho_corasick::AhoCorasick;
use ipnet::IpNet;
use regex::bytes::Regex;

use crate::byte_set::ByteSet;
use crate::injection;
use crate::need::Need;
use crate::pattern::{self, Lazy, PatternError};
use crate::rule::{Operator, Text};
use crate::store::number;

/// An operator whose argument is known when rules are loaded, and the same for every transaction.
#[derive(Debug)]
pub(crate) enum Fixed {
    Rx(Box<Lazy>),
    Phrases(Box<AhoCorasick>),
    Number(Comparison, i64),
    Text(Likeness, Box<[u8]>),
    IpMatch(Box<[IpNet]>),
    DetectSqli,
    DetectXss,
    ByteRange(ByteSet),
    UrlEncoding,
    Utf8Encoding,
    CreditCard(Box<Regex>),
    Always,
    Never,
    #[cfg(feature = "faults")]
    Fault,
}

/// An operator whose argument has places that are filled in.
#[derive(Debug)]
pub(crate) enum Open {
    Rx(Text),
    Number(Comparison, Text),
    Text(Likeness, Text),
}

/// How numbers are compared: the value with the argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    GreaterOrEqual,
    Greater,
    LessOrEqual,
    Less,
}

/// How texts are compared: the value with the argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Likeness {
    Is,
    Contains,
    ContainsWord,
    BeginsWith,
    EndsWith,
    Within,
}

/// Either kind.
#[derive(Debug)]
pub(crate) enum Compiled {
    Fixed(Fixed),
    Open(Open),
}

impl Compiled {
    pub(crate) fn new(operator: &Operator) -> Result<Self, PatternError> {
        let fixed = match operator {
            Operator::Rx(text) => match text.as_plain() {
                Some(pattern) => Fixed::Rx(Box::new(Lazy::new(pattern)?)),
                None => return Ok(Self::Open(Open::Rx(text.clone()))),
            },
            Operator::Phrases(phrases) => Fixed::Phrases(Box::new(automaton(phrases)?)),
            Operator::Equal(text) => return Ok(numbers(Comparison::Equal, text)),
            Operator::GreaterOrEqual(text) => return Ok(numbers(Comparison::GreaterOrEqual, text)),
            Operator::Greater(text) => return Ok(numbers(Comparison::Greater, text)),
            Operator::LessOrEqual(text) => return Ok(numbers(Comparison::LessOrEqual, text)),
            Operator::Less(text) => return Ok(numbers(Comparison::Less, text)),
            Operator::Is(text) => return Ok(texts(Likeness::Is, text)),
            Operator::Contains(text) => return Ok(texts(Likeness::Contains, text)),
            Operator::ContainsWord(text) => return Ok(texts(Likeness::ContainsWord, text)),
            Operator::BeginsWith(text) => return Ok(texts(Likeness::BeginsWith, text)),
            Operator::EndsWith(text) => return Ok(texts(Likeness::EndsWith, text)),
            Operator::Within(text) => return Ok(texts(Likeness::Within, text)),
            Operator::IpMatch(networks) => Fixed::IpMatch(networks.iter().copied().collect()),
            Operator::DetectSqli => Fixed::DetectSqli,
            Operator::DetectXss => Fixed::DetectXss,
            Operator::ValidateByteRange(allowed) => Fixed::ByteRange(*allowed),
            Operator::ValidateUrlEncoding => Fixed::UrlEncoding,
            Operator::ValidateUtf8Encoding => Fixed::Utf8Encoding,
            Operator::VerifyCreditCard(pattern) => Fixed::CreditCard(Box::new(pattern::compile(pattern.as_bytes())?)),
            Operator::Always => Fixed::Always,
            Operator::Never => Fixed::Never,
            #[cfg(feature = "faults")]
            Operator::Fault => Fixed::Fault,
        };
        Ok(Self::Fixed(fixed))
    }

    /// What values need to be matched; none if it is not looked for in advance.
    pub(crate) fn need(operator: &Operator) -> Option<Need> {
        let plain = |text: &Text| Some(Need::phrases(std::iter::once(text.as_plain()?)));
        match operator {
            Operator::Rx(text) => Some(Need::of(&pattern::translate(text.as_plain()?).ok()?)),
            Operator::Phrases(phrases) if phrases.is_empty() => None,
            Operator::Phrases(phrases) => Some(Need::phrases(phrases.iter().map(|phrase| &**phrase))),
            Operator::Is(text)
            | Operator::Contains(text)
            | Operator::ContainsWord(text)
            | Operator::BeginsWith(text)
            | Operator::EndsWith(text) => plain(text),
            Operator::ValidateByteRange(allowed) => Some(Need::byte_of(allowed.complement())),
            Operator::DetectSqli => Some(Need::byte_of(injection::NEEDED_FOR_SQL)),
            Operator::DetectXss => Some(Need::byte_of(injection::NEEDED_FOR_SCRIPT)),
            Operator::ValidateUrlEncoding => Some(Need::byte_of(ByteSet::EMPTY.with(b'%'))),
            Operator::ValidateUtf8Encoding => Some(Need::byte_of(ByteSet::EMPTY.with_range(0x80, 0xff))),
            _ => None,
        }
    }
}

fn automaton(phrases: &[Box<[u8]>]) -> Result<AhoCorasick, PatternError> {
    let built = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(aho_corasick::AhoCorasickKind::ContiguousNFA))
        .build(phrases);
    built.map_err(|error| PatternError::Malformed(error.to_string()))
}

fn numbers(comparison: Comparison, text: &Text) -> Compiled {
    match text.as_plain() {
        Some(plain) => Compiled::Fixed(Fixed::Number(comparison, number(plain))),
        None => Compiled::Open(Open::Number(comparison, text.clone())),
    }
}

fn texts(likeness: Likeness, text: &Text) -> Compiled {
    match text.as_plain() {
        Some(plain) => Compiled::Fixed(Fixed::Text(likeness, plain.into())),
        None => Compiled::Open(Open::Text(likeness, text.clone())),
    }
}

impl Comparison {
    pub(crate) fn holds(self, value: i64, argument: i64) -> bool {
        match self {
            Self::Equal => value == argument,
            Self::GreaterOrEqual => value >= argument,
            Self::Greater => value > argument,
            Self::LessOrEqual => value <= argument,
            Self::Less => value < argument,
        }
    }
}

impl Likeness {
    pub(crate) fn holds(self, value: &[u8], argument: &[u8]) -> bool {
        match self {
            Self::Is => value == argument,
            Self::Contains => memchr::memmem::find(value, argument).is_some(),
            Self::ContainsWord => contains_word(value, argument),
            Self::BeginsWith => value.starts_with(argument),
            Self::EndsWith => value.ends_with(argument),
            Self::Within => memchr::memmem::find(argument, value).is_some(),
        }
    }
}

impl Likeness {
    /// Where in the value the argument stands, where it does.
    fn place(self, value: &[u8], argument: &[u8]) -> Option<Range<usize>> {
        let start = match self {
            Self::Is | Self::BeginsWith => 0,
            Self::EndsWith => value.len().checked_sub(argument.len())?,
            Self::Contains | Self::ContainsWord => memchr::memmem::find(value, argument)?,
            Self::Within => return None,
        };
        Some(start..value.len().min(start + argument.len()))
    }
}

fn contains_word(value: &[u8], word: &[u8]) -> bool {
    let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    memchr::memmem::find_iter(value, word).any(|start| {
        let before = start.checked_sub(1).and_then(|before| value.get(before));
        !is_word(before) && !is_word(value.get(start + word.len()))
    })
}

impl Fixed {
    /// Whether it matches. What the groups of a pattern hold is found by [`groups`](Self::groups), for those who ask.
    pub(crate) fn matches(&self, value: &[u8]) -> bool {
        match self {
            Self::Rx(pattern) => pattern.is_match(value),
            Self::Phrases(phrases) => phrases.is_match(value),
            Self::Number(comparison, argument) => comparison.holds(number(value), *argument),
            Self::Text(likeness, argument) => likeness.holds(value, argument),
            Self::IpMatch(networks) => is_in(value, networks),
            Self::DetectSqli => injection::sql(value).is_some(),
            Self::DetectXss => injection::script(value),
            Self::ByteRange(allowed) => ByteSet::of(value).intersects(allowed.complement()),
            Self::UrlEncoding => !is_url_encoded(value),
            Self::Utf8Encoding => std::str::from_utf8(value).is_err(),
            Self::CreditCard(pattern) => pattern.find_iter(value).any(|found| passes_luhn(found.as_bytes())),
            Self::Always => true,
            Self::Never => false,
            #[cfg(feature = "faults")]
            #[expect(clippy::panic, reason = "what it is for")]
            Self::Fault => panic!("a rule asked for a fault"),
        }
    }

    /// What TX:0 to TX:9 hold after a match: ranges of the value, or a text of the operator's own.
    pub(crate) fn groups(&self, value: &[u8]) -> Vec<Box<[u8]>> {
        match self {
            Self::Rx(pattern) => pattern.get().map(|pattern| groups(pattern, value)).unwrap_or_default(),
            Self::Phrases(phrases) => {
                phrases.find(value).and_then(|found| value.get(found.range())).map(Box::from).into_iter().collect()
            }
            Self::DetectSqli => injection::sql(value).into_iter().collect(),
            Self::CreditCard(pattern) => {
                let mut found = pattern.find_iter(value).map(|found| found.as_bytes());
                found.find(|digits| passes_luhn(digits)).map(Box::from).into_iter().collect()
            }
            _ => vec![value.into()],
        }
    }
}

/// What decided on a match, beside the rule's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// A phrase of the rule's list, as the list has it but for the case of its letters.
    Phrase(String),
    /// The form of a SQL injection: the kinds of its first tokens, a letter each.
    Form(String),
    /// What runs script.
    Script(&'static str),
    /// A byte that is not allowed.
    Byte(u8),
    /// What is read as UTF-8, or as percent-encoded, and is not.
    Encoding(&'static str),
}

impl Compiled {
    /// Which part of a value it matches, if it is a part, and what decided.
    pub(crate) fn decided(&self, value: &[u8]) -> (Option<Range<usize>>, Option<Reason>) {
        let Self::Fixed(operator) = self else { return (None, None) };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_ascii_lowercase();
        match operator {
            Fixed::Rx(pattern) => {
                (pattern.get().and_then(|pattern| pattern.find(value)).map(|found| found.range()), None)
            }
            Fixed::Phrases(phrases) => match phrases.find(value) {
                Some(found) => (Some(found.range()), value.get(found.range()).map(text).map(Reason::Phrase)),
                None => (None, None),
            },
            Fixed::Text(likeness, argument) => (likeness.place(value, argument), None),
            Fixed::DetectSqli => {
                let form = injection::sql(value).map(|form| String::from_utf8_lossy(&form).into_owned());
                (None, form.map(Reason::Form))
            }
            Fixed::DetectXss => (None, injection::script_reason(value).map(Reason::Script)),
            Fixed::ByteRange(allowed) => {
                let place = value.iter().position(|byte| !allowed.contains(*byte));
                let byte = place.and_then(|at| value.get(at).copied());
                (place.map(|at| at..at + 1), byte.map(Reason::Byte))
            }
            Fixed::UrlEncoding => (None, Some(Reason::Encoding("percent-encoding"))),
            Fixed::Utf8Encoding => {
                let place = std::str::from_utf8(value).err().map(|error| error.valid_up_to());
                (place.map(|at| at..value.len().min(at + 1)), Some(Reason::Encoding("UTF-8")))
            }
            Fixed::CreditCard(pattern) => {
                let mut found = pattern.find_iter(value);
                (found.find(|found| passes_luhn(found.as_bytes())).map(|found| found.range()), None)
            }
            Fixed::Number(..) | Fixed::IpMatch(_) | Fixed::Always | Fixed::Never => (None, None),
            #[cfg(feature = "faults")]
            Fixed::Fault => (None, None),
        }
    }
}

impl Open {
    /// Whether it matches, with this argument. A text that makes no pattern matches nothing.
    pub(crate) fn matches(&self, value: &[u8], argument: &[u8], made: &mut Made) -> bool {
        match self {
            Self::Rx(_) => made.pattern(argument).is_some_and(|pattern| pattern.is_match(value)),
            Self::Number(comparison, _) => comparison.holds(number(value), number(argument)),
            Self::Text(likeness, _) => likeness.holds(value, argument),
        }
    }

    /// As for those whose argument is fixed.
    pub(crate) fn groups(&self, value: &[u8], argument: &[u8], made: &mut Made) -> Vec<Box<[u8]>> {
        match self {
            Self::Rx(_) => made.pattern(argument).map(|pattern| groups(pattern, value)).unwrap_or_default(),
            Self::Number(..) | Self::Text(..) => vec![value.into()],
        }
    }
}

/// The pattern that a text with filled places made last: what is filled in is mostly a setting, and always the same.
#[derive(Debug, Default)]
pub(crate) struct Made {
    argument: Vec<u8>,
    pattern: Option<Regex>,
}

impl Made {
    /// Whether the pattern of this argument is there, and need not be made.
    pub(crate) fn has(&self, argument: &[u8]) -> bool {
        self.pattern.is_some() && self.argument == argument
    }

    fn pattern(&mut self, argument: &[u8]) -> Option<&Regex> {
        if !self.has(argument) {
            self.pattern = pattern::compile(argument).ok();
            self.argument.clear();
            self.argument.extend_from_slice(argument);
        }
        self.pattern.as_ref()
    }
}

/// The groups of the first match, the whole of it first; a group that took no part is empty.
fn groups(pattern: &Regex, value: &[u8]) -> Vec<Box<[u8]>> {
    let Some(captures) = pattern.captures(value) else { return Vec::new() };
    captures
        .iter()
        .take(GROUPS_MAX)
        .map(|group| group.map_or(Box::default(), |group| group.as_bytes().into()))
        .collect()
}

/// TX:0 to TX:9.
pub(crate) const GROUPS_MAX: usize = 10;

fn is_in(value: &[u8], networks: &[IpNet]) -> bool {
    let address = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse::<IpAddr>().ok());
    address.is_some_and(|address| networks.iter().any(|network| network.contains(&address.to_canonical())))
}

/// Whether each percent sign has two hexadecimal digits after it (RFC 3986 section 2.1).
fn is_url_encoded(value: &[u8]) -> bool {
    memchr::memchr_iter(b'%', value)
        .all(|at| value.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)))
}

/// ISO/IEC 7812-1, annex B; what is no digit does not count.
fn passes_luhn(text: &[u8]) -> bool {
    let digits: Vec<_> = text.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| u32::from(byte - b'0')).collect();
    let sum: u32 = digits
        .iter()
        .rev()
        .zip([1, 2].into_iter().cycle())
        .map(|(digit, weight)| digit * weight)
        .map(|digit| if digit > 9 { digit - 9 } else { digit })
        .sum();
    digits.len() > 1 && sum.is_multiple_of(10)
}
