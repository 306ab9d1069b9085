//! What is wrong with a part of a directive, before it is known where that stands.

use std::fmt::Display;

/// A fault without its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Wrong {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// A name that is none, with the known one that is nearest to it.
    pub(super) fn unknown(what: &str, name: &[u8], known: impl Iterator<Item = &'static str>) -> Self {
        let name = show(name);
        let help = nearest(&name, known).map(|near| format!("did you mean `{near}`?"));
        Self { message: format!("unknown {what} `{name}`"), help }
    }

    pub(super) fn unsupported(what: impl Display, help: &str) -> Self {
        Self::new(format!("{what} is not supported")).help(help)
    }
}

/// Bytes for a message, and not too many of them.
pub(super) fn show(text: &[u8]) -> String {
    let shown = text.get(..SHOWN_MAX).unwrap_or(text);
    let ellipsis = if shown.len() < text.len() { "…" } else { "" };
    format!("{}{ellipsis}", String::from_utf8_lossy(shown).replace(char::is_control, "?"))
}

const SHOWN_MAX: usize = 60;

/// The known name that differs least, if it differs little: a third of its letters at most.
fn nearest(name: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    known
        .map(|candidate| (distance(name.as_bytes(), candidate.as_bytes()), candidate))
        .filter(|(distance, candidate)| distance * 3 <= candidate.len().max(3))
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many letters have to be put in, taken out or changed (Levenshtein), whatever their case.
fn distance(from: &[u8], to: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, left) in from.iter().enumerate() {
        let mut diagonal = line;
        let mut last = line + 1;
        for (cell, right) in row.iter_mut().skip(1).zip(to) {
            let changed = diagonal + usize::from(!left.eq_ignore_ascii_case(right));
            diagonal = *cell;
            last = changed.min(*cell + 1).min(last + 1);
            *cell = last;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_nearest_and_nothing_that_is_far() {
        let known = || ["lowercase", "length", "none"].into_iter();
        assert_eq!(nearest("lowercse", known()), Some("lowercase"));
        assert_eq!(nearest("LENGHT", known()), Some("length"));
        assert_eq!(nearest("frobnicate", known()), None);
        assert_eq!(distance(b"kitten", b"sitting"), 3);
    }
}
