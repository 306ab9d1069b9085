//! What every match of a pattern must have: certain bytes, one of certain texts. Values without it need not be matched.
//!
//! The analysis may find too little, and then patterns run that need not. It never claims too much: whatever a value
//! that matches has is what is claimed. The property test beside it holds it to that.

use regex_syntax::hir::{Class, Hir, HirKind};

use crate::byte_set::ByteSet;

/// What a value must have to be matched at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Need {
    /// A byte of each of these, at most [`SETS_MAX`].
    pub(crate) sets: Vec<ByteSet>,
    /// One of these texts, in lower case, whatever the case of ASCII letters in the value. Empty: any text will do.
    pub(crate) texts: Vec<Vec<u8>>,
    /// So many bytes.
    pub(crate) length_min: usize,
}

impl Need {
    /// What the matches of a pattern have, given in the syntax of the `regex` crate.
    pub(crate) fn of(pattern: &str) -> Self {
        let parsed = regex_syntax::ParserBuilder::new()
            .unicode(false)
            .utf8(false)
            .dot_matches_new_line(true)
            .nest_limit(1_000)
            .build()
            .parse(pattern);
        let Ok(hir) = parsed else { return Self::default() };
        let found = walk(&hir, 0);
        let texts = found.best().unwrap_or_default();
        let mut sets = found.sets;
        if !texts.is_empty() {
            sets.push(rarest(&texts));
        }
        Self { sets: choose(sets), texts, length_min: hir.properties().minimum_len().unwrap_or(0) }
    }

    /// A byte of this set.
    pub(crate) fn byte_of(set: ByteSet) -> Self {
        Self { sets: vec![set], texts: Vec::new(), length_min: 1 }
    }

    /// What one of these phrases being in a value means.
    pub(crate) fn phrases<'p>(phrases: impl Iterator<Item = &'p [u8]>) -> Self {
        let texts: Vec<_> = phrases.map(<[u8]>::to_ascii_lowercase).collect();
        if texts.iter().any(Vec::is_empty) {
            return Self::default();
        }
        let length_min = texts.iter().map(Vec::len).min().unwrap_or(0);
        Self { sets: choose(vec![rarest(&texts)]), texts, length_min }
    }
}

/// What is known of a part of a pattern.
#[derive(Debug, Clone, Default)]
struct Found {
    /// Every text that it matches, in lower case, if they are few.
    exact: Option<Vec<Vec<u8>>>,
    /// One of these texts is in each match.
    texts: Option<Vec<Vec<u8>>>,
    /// A byte of each of these is in each match.
    sets: Vec<ByteSet>,
}

impl Found {
    fn exactly(texts: Vec<Vec<u8>>) -> Self {
        let sets = if texts.iter().any(Vec::is_empty) { Vec::new() } else { common(&texts) };
        Self { exact: Some(texts), texts: None, sets }
    }

    /// The texts that help most: those that it must have, or those that it is.
    fn best(&self) -> Option<Vec<Vec<u8>>> {
        let exact = self.exact.as_ref().filter(|texts| useful(texts));
        better(exact.cloned(), self.texts.clone())
    }
}

fn walk(hir: &Hir, depth: usize) -> Found {
    if depth > DEPTH_MAX {
        return Found::default();
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Found::exactly(vec![Vec::new()]),
        HirKind::Literal(literal) => Found::exactly(vec![literal.0.to_ascii_lowercase()]),
        HirKind::Class(class) => of_class(class),
        HirKind::Capture(capture) => walk(&capture.sub, depth + 1),
        HirKind::Repetition(repetition) => {
            let part = walk(&repetition.sub, depth + 1);
            match (repetition.min, repetition.max) {
                (0, Some(1)) => match part.exact {
                    Some(mut texts) if texts.len() < EXACT_MAX => {
                        texts.push(Vec::new());
                        Found::exactly(texts)
                    }
                    _ => Found::default(),
                },
                (0, _) => Found::default(),
                (1, Some(1)) => part,
                (min, Some(max)) if min == max && min <= 4 => {
                    concatenated(std::iter::repeat_n(part, min as usize).collect())
                }
                _ => Found { exact: None, texts: part.best(), sets: part.sets },
            }
        }
        HirKind::Concat(parts) => concatenated(parts.iter().map(|part| walk(part, depth + 1)).collect()),
        HirKind::Alternation(parts) => alternated(parts.iter().map(|part| walk(part, depth + 1)).collect()),
    }
}

/// A class as texts of one byte, if they are few, and as a set otherwise.
fn of_class(class: &Class) -> Found {
    let Class::Bytes(class) = class else { return Found::default() };
    let mut set = ByteSet::EMPTY;
    let mut folded = Vec::new();
    for range in class.ranges() {
        set = set.with_range(range.start(), range.end());
        for byte in range.start()..=range.end() {
            let text = vec![byte.to_ascii_lowercase()];
            if folded.len() <= CLASS_MAX && !folded.contains(&text) {
                folded.push(text);
            }
        }
    }
    if set == ByteSet::EMPTY {
        return Found::default();
    }
    if folded.len() <= CLASS_MAX {
        // What is exact is compared without case, so the set must say what the class says.
        return Found { exact: Some(folded), texts: None, sets: vec![set] };
    }
    Found { exact: None, texts: None, sets: vec![set] }
}

/// Parts that follow each other: neighbours with few texts become longer texts.
fn concatenated(parts: Vec<Found>) -> Found {
    let mut run: Vec<Vec<u8>> = vec![Vec::new()];
    let (mut texts, mut sets, mut whole) = (None, Vec::new(), true);
    for part in parts {
        sets.extend(part.sets.iter().copied());
        let joined = part.exact.as_ref().and_then(|exact| joined(&run, exact));
        match joined {
            Some(longer) => run = longer,
            None => {
                whole = false;
                let ended = std::mem::replace(&mut run, vec![Vec::new()]);
                texts = better(texts, useful(&ended).then_some(ended));
                match part.exact {
                    Some(exact) => run = exact,
                    None => texts = better(texts, part.texts),
                }
            }
        }
    }
    let sets = choose(sets);
    if whole {
        return Found { exact: Some(run), texts: None, sets };
    }
    let texts = better(texts, useful(&run).then_some(run));
    Found { exact: None, texts, sets }
}

/// Each text of the one with each of the other, if they stay few.
fn joined(left: &[Vec<u8>], right: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    if left.len().saturating_mul(right.len()) > EXACT_MAX {
        return None;
    }
    let mut all = Vec::with_capacity(left.len() * right.len());
    for first in left {
        for second in right {
            let text: Vec<u8> = first.iter().chain(second).copied().collect();
            if text.len() > TEXT_BYTES_MAX {
                return None;
            }
            if !all.contains(&text) {
                all.push(text);
            }
        }
    }
    Some(all)
}

/// One part or another: what all of them have.
fn alternated(parts: Vec<Found>) -> Found {
    let exact = parts.iter().try_fold(Vec::new(), |mut all: Vec<Vec<u8>>, part| {
        all.extend(part.exact.as_ref()?.iter().cloned());
        (all.len() <= EXACT_MAX).then_some(all)
    });
    let texts = parts.iter().try_fold(Vec::new(), |mut all: Vec<Vec<u8>>, part| {
        all.extend(part.best()?);
        (all.len() <= TEXTS_MAX).then_some(all)
    });
    // One set for all: of each part the one that says most.
    let set = parts.iter().try_fold(ByteSet::EMPTY, |all, part| {
        part.sets.iter().copied().min_by_key(|set| frequency(*set)).map(|set| all.union(set))
    });
    Found { exact, texts, sets: set.into_iter().collect() }
}

/// For each place of texts of which one must be there: nothing is known but of single ones, so one set for all of them.
fn common(texts: &[Vec<u8>]) -> Vec<ByteSet> {
    match texts {
        [] => Vec::new(),
        [only] => choose(only.iter().map(|byte| either_case(*byte)).collect()),
        several => vec![rarest(several)],
    }
}

/// A byte of this set is in every value that has one of these texts: of each text its rarest byte.
fn rarest(texts: &[Vec<u8>]) -> ByteSet {
    texts.iter().fold(ByteSet::EMPTY, |all, text| {
        let rare = text.iter().map(|byte| either_case(*byte)).min_by_key(|set| frequency(*set));
        all.union(rare.unwrap_or(ByteSet::FULL))
    })
}

fn either_case(byte: u8) -> ByteSet {
    ByteSet::EMPTY.with(byte.to_ascii_lowercase()).with(byte.to_ascii_uppercase())
}

/// The few sets that benign values are least likely to meet.
fn choose(mut sets: Vec<ByteSet>) -> Vec<ByteSet> {
    sets.sort_by_key(|set| frequency(*set));
    sets.dedup();
    sets.retain(|set| frequency(*set) < ALWAYS);
    sets.truncate(SETS_MAX);
    sets
}

/// How often a byte of the set occurs in what people send, roughly.
fn frequency(set: ByteSet) -> u32 {
    (0..=u8::MAX).filter(|byte| set.contains(*byte)).map(of_byte).sum()
}

fn of_byte(byte: u8) -> u32 {
    match byte {
        b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 60,
        b'a'..=b'z' => 25,
        b'0'..=b'9' => 25,
        b'A'..=b'Z' | b'-' | b'.' | b'_' | b'/' | b' ' => 15,
        b',' | b':' | b'=' | b';' | b'+' | b'%' | b'(' | b')' | b'&' => 6,
        b'!'..=b'~' => 3,
        _ => 1,
    }
}

/// Of two requirements the one that fewer values meet; none says nothing.
fn better(one: Option<Vec<Vec<u8>>>, other: Option<Vec<Vec<u8>>>) -> Option<Vec<Vec<u8>>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if worth(&other) > worth(&one) { other } else { one }),
        (one, other) => one.or(other),
    }
}

/// Long texts are rare, and few of them rarer.
fn worth(texts: &[Vec<u8>]) -> usize {
    let shortest = texts.iter().map(Vec::len).min().unwrap_or(0);
    shortest.min(8) * 100 + 300_usize.saturating_sub(texts.len())
}

/// Texts of less than two bytes are what the sets are for.
fn useful(texts: &[Vec<u8>]) -> bool {
    !texts.is_empty() && texts.len() <= TEXTS_MAX && texts.iter().all(|text| text.len() >= TEXT_BYTES_MIN)
}

/// Sets of bytes that are kept of a pattern.
pub(crate) const SETS_MAX: usize = 3;

const EXACT_MAX: usize = 64;
const CLASS_MAX: usize = 8;
const TEXTS_MAX: usize = 2_000;
const TEXT_BYTES_MIN: usize = 2;
const TEXT_BYTES_MAX: usize = 64;
const DEPTH_MAX: usize = 500;

/// A set that nearly every value meets says nothing.
const ALWAYS: u32 = 700;

#[cfg(test)]
mod tests;
