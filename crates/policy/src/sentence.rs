//! Published sentences: placeholders are filled from the parameters, and a number may come from nowhere else.

use std::ops::Range;

use reeve_base::Diagnostic;
use reeve_base::diagnostic::nearest;

/// A value that a placeholder can stand for.
pub(crate) struct Filling {
    /// The placeholder's name.
    pub(crate) name: String,
    /// What stands in the sentence.
    pub(crate) english: String,
}

/// Fills the placeholders of `template`.
///
/// Offsets in the faults are those of the template plus `start`, where its text begins in the source.
pub(crate) fn fill(
    template: &str,
    fillings: &[Filling],
    names: &[String],
    start: usize,
) -> Result<String, Vec<Diagnostic>> {
    let mut faults = Vec::new();
    let mut sentence = String::with_capacity(template.len());
    let mut literal_from = 0;
    for placeholder in placeholders(template) {
        sentence.push_str(template.get(literal_from..placeholder.start).unwrap_or_default());
        literal_from = placeholder.end;
        let name = template.get(placeholder.start + 1..placeholder.end - 1).unwrap_or_default();
        match fillings.iter().find(|filling| filling.name == name) {
            Some(filling) => sentence.push_str(&filling.english),
            None => faults.push(unknown_placeholder(name, fillings, shift(&placeholder, start))),
        }
    }
    sentence.push_str(template.get(literal_from..).unwrap_or_default());
    if let Some(at) = stray_brace(template) {
        let fault = Diagnostic::error("policy::brace", "a brace that opens or closes no placeholder");
        faults
            .push(fault.at(at + start..at + start + 1, "this one").help("write `{parameter}`, or leave the brace out"));
    }
    faults.extend(number_faults(template, names, start));
    if faults.is_empty() { Ok(sentence) } else { Err(faults) }
}

/// The numbers of `template` that come from no parameter. Needs no knowledge of the parameters, so that it can be told
/// even of a clause whose control is not known.
pub(crate) fn number_faults(template: &str, names: &[String], start: usize) -> Vec<Diagnostic> {
    bare_numbers(template, names).into_iter().map(|(range, number)| bare_number(&range, number, start)).collect()
}

fn shift(range: &Range<usize>, by: usize) -> Range<usize> {
    range.start + by..range.end + by
}

fn unknown_placeholder(name: &str, fillings: &[Filling], span: Range<usize>) -> Diagnostic {
    let known = || fillings.iter().map(|filling| filling.name.as_str());
    let help = match nearest(name, known()) {
        Some(meant) => format!("did you mean `{{{meant}}}`?"),
        None if fillings.is_empty() => String::from("this clause has no parameters; add it to `with`"),
        None => format!("parameters here: {}", known().collect::<Vec<_>>().join(", ")),
    };
    Diagnostic::error("policy::placeholder", format!("`{{{name}}}` is no parameter of this clause"))
        .at(span, "nothing to put here")
        .help(help)
}

fn bare_number(range: &Range<usize>, number: &str, start: usize) -> Diagnostic {
    Diagnostic::error("policy::bare-number", format!("`{number}` stands in the text and in no parameter"))
        .at(shift(range, start), "the proof would not know of it")
        .help(format!(
            "put the value into `with` and write `{{parameter}}` here; if it is part of a name, add `names = [\"…{number}…\"]`"
        ))
}

/// The ranges of `{word}` in the text, braces included.
fn placeholders(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(open) = text.get(from..).and_then(|rest| rest.find('{')).map(|at| at + from) {
        let inside = text.get(open + 1..).unwrap_or_default();
        let length =
            inside.bytes().take_while(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'0'..=b'9')).count();
        if length > 0 && inside.as_bytes().get(length) == Some(&b'}') {
            found.push(open..open + length + 2);
        }
        from = open + 1;
    }
    found
}

fn stray_brace(text: &str) -> Option<usize> {
    let inside = placeholders(text);
    text.bytes().enumerate().find_map(|(at, byte)| {
        let stray = matches!(byte, b'{' | b'}') && !inside.iter().any(|range| range.contains(&at));
        stray.then_some(at)
    })
}

/// Numbers outside placeholders and declared names: tokens of digits without a letter (`1.2`, `24/7`), and number words
/// in front of a unit (`fifteen minutes`). A token with a letter in it (`AES-256`, `S3`) is a name.
fn bare_numbers<'t>(text: &'t str, names: &[String]) -> Vec<(Range<usize>, &'t str)> {
    let mut covered = placeholders(text);
    for name in names.iter().filter(|name| !name.is_empty()) {
        covered.extend(text.match_indices(name.as_str()).map(|(at, matched)| at..at + matched.len()));
    }
    let words = words(text);
    let mut found = Vec::new();
    for (index, (range, word)) in words.iter().enumerate() {
        if covered.iter().any(|cover| cover.start <= range.start && range.end <= cover.end) {
            continue;
        }
        let digits =
            word.bytes().any(|byte| byte.is_ascii_digit()) && !word.bytes().any(|byte| byte.is_ascii_alphabetic());
        let before_unit = || words.get(index + 1).is_some_and(|(_, next)| is_unit(next));
        let spelled = NUMBER_WORDS.contains(&word.to_ascii_lowercase().as_str()) && before_unit();
        if digits || spelled {
            found.push((range.clone(), *word));
        }
    }
    found
}

/// The text in words: runs of letters, digits, and the marks that hold a number or a name together.
fn words(text: &str) -> Vec<(Range<usize>, &str)> {
    let mut words = Vec::new();
    let mut begin = None;
    let holds = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/' | b'-' | b'_');
    for (at, byte) in text.bytes().chain([b' ']).enumerate() {
        match (begin, holds(byte)) {
            (None, true) => begin = Some(at),
            (Some(from), false) => {
                let trimmed = text.get(from..at).unwrap_or_default().trim_end_matches(['.', '/', '-', '_']);
                words.push((from..from + trimmed.len(), trimmed));
                begin = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }
    words
}

fn is_unit(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    UNITS.contains(&word.strip_suffix('s').unwrap_or(&word))
}

const NUMBER_WORDS: [&str; 28] = [
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
    "hundred",
    "thousand",
];

const UNITS: [&str; 13] = [
    "second",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "year",
    "attempt",
    "failure",
    "time",
    "character",
    "percent",
    "byte",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(template: &str, expected: Result<&str, &[&str]>) {
        let fillings = [("failures", "5"), ("lock", "15 minutes")]
            .map(|(name, english)| Filling { name: name.to_owned(), english: english.to_owned() });
        let names = [String::from("SOC 2"), String::from("24/7")];
        let outcome = fill(template, &fillings, &names, 0);
        let messages =
            outcome.as_ref().map_err(|faults| faults.iter().map(|fault| fault.message.as_str()).collect::<Vec<_>>());
        assert_eq!(messages.map(String::as_str), expected.map_err(<[&str]>::to_vec));
    }

    #[test]
    fn parameters_fill_their_placeholders() {
        check("{failures} failures lock for {lock}.", Ok("5 failures lock for 15 minutes."));
        check("No parameter at all.", Ok("No parameter at all."));
    }

    #[test]
    fn a_number_that_bypasses_the_parameters_is_refused() {
        check("5 failures.", Err(&["`5` stands in the text and in no parameter"]));
        check("Use TLS 1.2.", Err(&["`1.2` stands in the text and in no parameter"]));
        check("Locked for fifteen minutes.", Err(&["`fifteen` stands in the text and in no parameter"]));
    }

    #[test]
    fn names_with_digits_pass() {
        check("A SOC 2 report, AES-256 and S3, watched 24/7.", Ok("A SOC 2 report, AES-256 and S3, watched 24/7."));
        check("Of two minds.", Ok("Of two minds."));
    }

    #[test]
    fn unknown_and_broken_placeholders_are_refused() {
        check("{failres} tries", Err(&["`{failres}` is no parameter of this clause"]));
        check("open { brace", Err(&["a brace that opens or closes no placeholder"]));
    }
}
