//! What a rule tests for: `@rx ...`, `!@within ...`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::Source;
use super::text;
use super::wrong::{Wrong, show};
use crate::byte_set::ByteSet;
use crate::pattern;
use crate::rule::{Operator, Text};

/// What reading an operator needs beside its text.
pub(super) struct Surroundings<'s> {
    pub(super) source: &'s dyn Source,
    /// The rule file: data files are looked for beside it.
    pub(super) file: &'s str,
    /// Data files that were read already, by rule file and name; several rules share one.
    pub(super) phrases: &'s mut PhraseFiles,
    /// Operators that load and never match.
    pub(super) warnings: &'s mut Vec<Wrong>,
}

pub(super) type PhraseFiles = HashMap<(String, String), Arc<[Box<[u8]>]>>;

/// Phrases of one rule. The longest list of the Core Rule Set has some 2,000.
const PHRASES_MAX: usize = 200_000;
/// Addresses and networks of one rule.
const NETWORKS_MAX: usize = 200_000;

/// An operator, and whether a `!` turns it around.
pub(super) fn read(text: &[u8], surroundings: &mut Surroundings<'_>) -> Result<(Operator, bool), Wrong> {
    let text = text.trim_ascii_start();
    let (negated, text) = match text {
        [b'!', rest @ ..] => (true, rest.trim_ascii_start()),
        _ => (false, text),
    };
    let Some(named) = text.strip_prefix(b"@") else {
        return Ok((rx(text, surroundings)?, negated));
    };
    let end = named.iter().position(u8::is_ascii_whitespace).unwrap_or(named.len());
    let name = named.get(..end).unwrap_or_default();
    let argument = named.get(end..).unwrap_or_default().trim_ascii_start();
    let operator = operator(name, argument, surroundings)?;
    Ok((operator, negated))
}

fn operator(name: &[u8], argument: &[u8], surroundings: &mut Surroundings<'_>) -> Result<Operator, Wrong> {
    let known = NAMES.iter().copied().find(|known| known.as_bytes().eq_ignore_ascii_case(name));
    let filled = || text::read(argument);
    #[cfg(feature = "faults")]
    if name == b"fault" {
        return Ok(Operator::Fault);
    }
    Ok(match known.unwrap_or_default() {
        "rx" => rx(argument, surroundings)?,
        "pm" => Operator::Phrases(phrases(argument)?),
        "pmFromFile" | "pmf" => Operator::Phrases(phrase_files(argument, surroundings)?),
        "eq" => Operator::Equal(number(argument)?),
        "ge" => Operator::GreaterOrEqual(number(argument)?),
        "gt" => Operator::Greater(number(argument)?),
        "le" => Operator::LessOrEqual(number(argument)?),
        "lt" => Operator::Less(number(argument)?),
        "streq" => Operator::Is(filled()?),
        "contains" | "strmatch" => Operator::Contains(filled()?),
        "containsWord" => Operator::ContainsWord(filled()?),
        "beginsWith" => Operator::BeginsWith(filled()?),
        "endsWith" => Operator::EndsWith(filled()?),
        "within" => Operator::Within(filled()?),
        "ipMatch" => Operator::IpMatch(networks(argument.split(|byte| *byte == b','))?),
        "ipMatchFromFile" | "ipMatchF" => Operator::IpMatch(network_files(argument, surroundings)?),
        "detectSQLi" => Operator::DetectSqli,
        "detectXSS" => Operator::DetectXss,
        "validateByteRange" => Operator::ValidateByteRange(byte_range(argument)?),
        "validateUrlEncoding" => Operator::ValidateUrlEncoding,
        "validateUtf8Encoding" => Operator::ValidateUtf8Encoding,
        "verifyCC" => {
            check(argument)?;
            Operator::VerifyCreditCard(super::targets::printable(argument))
        }
        "unconditionalMatch" => Operator::Always,
        "noMatch" => Operator::Never,
        looked_up @ ("geoLookup" | "rbl" | "gsbLookup") => {
            surroundings.warnings.push(
                Wrong::new(format!("`@{looked_up}` never matches"))
                    .help("addresses are looked up by the gateway itself, see its policy"),
            );
            Operator::Never
        }
        unsupported if !unsupported.is_empty() => {
            return Err(Wrong::unsupported(format!("the operator `@{unsupported}`"), "leave the rule out"));
        }
        _ => return Err(Wrong::unknown("operator", name, NAMES.iter().copied())),
    })
}

/// With their usual letters, for suggestions; the case does not count.
const NAMES: &[&str] = &[
    "beginsWith",
    "contains",
    "containsWord",
    "detectSQLi",
    "detectXSS",
    "endsWith",
    "eq",
    "fuzzyHash",
    "ge",
    "geoLookup",
    "gsbLookup",
    "gt",
    "inspectFile",
    "ipMatch",
    "ipMatchF",
    "ipMatchFromFile",
    "le",
    "lt",
    "noMatch",
    "pm",
    "pmf",
    "pmFromFile",
    "rbl",
    "rsub",
    "rx",
    "rxGlobal",
    "streq",
    "strmatch",
    "unconditionalMatch",
    "validateByteRange",
    "validateDTD",
    "validateHash",
    "validateSchema",
    "validateUrlEncoding",
    "validateUtf8Encoding",
    "verifyCC",
    "verifyCPF",
    "verifySSN",
    "verifySVNR",
    "within",
];

fn rx(pattern: &[u8], surroundings: &mut Surroundings<'_>) -> Result<Operator, Wrong> {
    let text = text::read_pattern(pattern);
    if !pattern::compared(pattern).is_empty() {
        // It becomes two chains when the rule is put together.
        let wrong = Wrong::new("only the first two words that this pattern finds in a value are compared");
        surroundings.warnings.push(wrong.help("it refers back, which takes more than linear time"));
    } else if let Some(plain) = text.as_plain() {
        check(plain)?;
    }
    Ok(Operator::Rx(text))
}

fn check(pattern: &[u8]) -> Result<(), Wrong> {
    pattern::check(pattern).map_err(|error| match error {
        pattern::PatternError::Unsupported(what) => Wrong::new(format!("the pattern `{}`: {what}", show(pattern)))
            .help("say the same without it, or in two chained rules"),
        pattern::PatternError::Malformed(what) => Wrong::new(format!("the pattern `{}`: {what}", show(pattern))),
    })
}

fn number(argument: &[u8]) -> Result<Text, Wrong> {
    let text = text::read(argument.trim_ascii())?;
    let Some(plain) = text.as_plain() else { return Ok(text) };
    let digits = str::from_utf8(plain).ok().and_then(|digits| digits.parse::<i64>().ok());
    digits.map(|_| text.clone()).ok_or_else(|| Wrong::new(format!("`{}` is no whole number", show(plain))))
}

fn phrases(argument: &[u8]) -> Result<Arc<[Box<[u8]>]>, Wrong> {
    let mut found: Vec<Box<[u8]>> = Vec::new();
    let mut rest = argument.trim_ascii();
    while !rest.is_empty() {
        let length = phrase_length(rest);
        found.push(without_hex(rest.get(..length).unwrap_or_default()));
        rest = rest.get(length..).unwrap_or_default().trim_ascii_start();
    }
    listed(found, PHRASES_MAX, "phrase")
}

/// Up to the next blank that stands outside of `|41 42|`.
fn phrase_length(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'|' => at += text.get(at + 1..).and_then(snippet).map_or(1, |(_, length)| length + 2),
            byte if byte.is_ascii_whitespace() => break,
            _ => at += 1,
        }
    }
    at
}

/// A phrase with its snippets of hexadecimal digits replaced by what they stand for. Other bars are bars.
fn without_hex(phrase: &[u8]) -> Box<[u8]> {
    let mut out = Vec::with_capacity(phrase.len());
    let mut rest = phrase;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (*first == b'|').then(|| snippet(after)).flatten() {
            Some((bytes, length)) => {
                out.extend(bytes);
                rest = after.get(length + 1..).unwrap_or_default();
            }
            None => out.push(*first),
        }
    }
    out.into()
}

/// Bytes written as pairs of hexadecimal digits up to a bar, and how long that is.
fn snippet(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let length = memchr::memchr(b'|', text)?;
    let digits: Vec<u8> = text.get(..length)?.iter().copied().filter(|byte| *byte != b' ').collect();
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    let pair = |pair: &[u8]| {
        pair.iter().try_fold(0_u8, |byte, digit| {
            let digit = char::from(*digit).to_digit(16)?;
            Some(byte << 4 | u8::try_from(digit).ok()?)
        })
    };
    Some((digits.chunks(2).map(pair).collect::<Option<Vec<u8>>>()?, length))
}

fn phrase_files(argument: &[u8], surroundings: &mut Surroundings<'_>) -> Result<Arc<[Box<[u8]>]>, Wrong> {
    let key = (surroundings.file.to_owned(), show(argument));
    if let Some(known) = surroundings.phrases.get(&key) {
        return Ok(Arc::clone(known));
    }
    let mut found = Vec::new();
    for text in files(argument, surroundings)? {
        found.extend(entries(&text).map(without_hex));
    }
    let found = listed(found, PHRASES_MAX, "phrase")?;
    surroundings.phrases.insert(key, Arc::clone(&found));
    Ok(found)
}

fn network_files(argument: &[u8], surroundings: &Surroundings<'_>) -> Result<Arc<[ipnet::IpNet]>, Wrong> {
    let texts = files(argument, surroundings)?;
    networks(texts.iter().flat_map(|text| entries(text)))
}

fn files(names: &[u8], surroundings: &Surroundings<'_>) -> Result<Vec<Vec<u8>>, Wrong> {
    let names = str::from_utf8(names).map_err(|_| Wrong::new("a file name that is not UTF-8"))?;
    let texts: Vec<_> = names
        .split_ascii_whitespace()
        .map(|name| surroundings.source.read(name, Some(surroundings.file)))
        .collect::<Result<_, _>>()
        .map_err(|error| Wrong::new(error.to_string()).help("it is looked for beside the rule file"))?;
    if texts.is_empty() { Err(Wrong::new("no file is named")) } else { Ok(texts) }
}

/// Lines that say something.
fn entries(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"))
}

fn networks<'t>(items: impl Iterator<Item = &'t [u8]>) -> Result<Arc<[ipnet::IpNet]>, Wrong> {
    let items = items.map(<[u8]>::trim_ascii).filter(|item| !item.is_empty());
    let found = items.map(network).collect::<Result<Vec<_>, _>>()?;
    listed(found, NETWORKS_MAX, "address")
}

fn network(text: &[u8]) -> Result<ipnet::IpNet, Wrong> {
    let word = str::from_utf8(text).unwrap_or_default();
    let whole = || word.parse::<IpAddr>().ok().map(ipnet::IpNet::from);
    let found = word.parse::<ipnet::IpNet>().ok().map(|network| network.trunc()).or_else(whole);
    found.ok_or_else(|| Wrong::new(format!("`{}` is neither an address nor a network", show(text))))
}

/// An empty list would silently never match.
fn listed<T>(found: Vec<T>, most: usize, what: &str) -> Result<Arc<[T]>, Wrong> {
    if found.is_empty() {
        return Err(Wrong::new(format!("not one {what} is listed")));
    }
    if found.len() > most {
        return Err(Wrong::new(format!("more than {most} entries of the kind {what}")));
    }
    Ok(found.into())
}

fn byte_range(argument: &[u8]) -> Result<ByteSet, Wrong> {
    let wrong = |item: &[u8]| Wrong::new(format!("`{}` is no range of bytes", show(item))).help("as in `9,10,32-126`");
    let byte = |text: &str| text.trim().parse::<u8>().ok();
    let mut set = ByteSet::EMPTY;
    for item in argument.split(|byte| *byte == b',') {
        let text = str::from_utf8(item).unwrap_or_default();
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (byte(first), byte(last)) {
            (Some(first), Some(last)) if first <= last => set = set.with_range(first, last),
            _ => return Err(wrong(item)),
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests;
