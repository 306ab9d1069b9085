//! The lists: words and phrases with their kinds, and the forms that only injections have.
//!
//! Read once from the two text files; a word is found in about one step, a form in two or three.

use std::sync::LazyLock;

use super::TOKENS_MAX;
use super::token::{Kind, Token};

/// Both lists, made for looking up.
pub(super) struct Words {
    /// Sorted by [`word_bucket`].
    words: Vec<Word>,
    /// Where each bucket of `words` begins, and where the last one ends.
    word_starts: Vec<u16>,
    /// The last symbols of each form, sorted by [`form_key`].
    forms: Vec<u16>,
    /// Where the forms begin that share their first symbols, and where the last of them ends.
    form_starts: Vec<u16>,
}

/// A word or phrase of SQL.
#[derive(Debug)]
pub(super) struct Word {
    /// In capitals, with one space between the parts of a phrase.
    pub(super) text: &'static [u8],
    pub(super) kind: Kind,
    /// Whether a longer phrase begins with it.
    pub(super) begins_phrase: bool,
}

impl Words {
    pub(super) fn shared() -> &'static Self {
        static SHARED: LazyLock<Words> = LazyLock::new(|| Words::read(WORDS, FORMS));
        &SHARED
    }

    /// The word, whatever its case.
    pub(super) fn find(&self, text: &[u8]) -> Option<&Word> {
        let bucket = self.bucket(text, text)?;
        bucket.iter().find(|word| word.text.eq_ignore_ascii_case(text))
    }

    /// The phrase that two tokens are together.
    pub(super) fn phrase(&self, first: &Token<'_>, second: &Token<'_>) -> Option<&Word> {
        if !first.begins_phrase {
            return None;
        }
        let bucket = self.bucket(first.text, second.text)?;
        bucket.iter().find(|word| {
            word.text.split_at_checked(first.text.len()).is_some_and(|(head, tail)| {
                head.eq_ignore_ascii_case(first.text)
                    && matches!(tail, [b' ', tail @ ..] if tail.eq_ignore_ascii_case(second.text))
            })
        })
    }

    /// Whether only injections have this form.
    pub(super) fn lists(&self, letters: &[u8]) -> bool {
        let Some(key) = form_key(letters) else { return false };
        let (bucket, rest) = halves(key);
        slice(&self.forms, &self.form_starts, bucket).binary_search(&rest).is_ok()
    }

    /// The words that one beginning and ending like these may be; they may be the same.
    fn bucket(&self, first: &[u8], last: &[u8]) -> Option<&[Word]> {
        // A phrase is shorter than its parts could be; the length only spreads the words.
        let length = if std::ptr::eq(first, last) { first.len() } else { first.len() + last.len() + 1 };
        if length > WORD_BYTES_MAX {
            return None;
        }
        let bucket = word_bucket(first, last, length)?;
        Some(slice(&self.words, &self.word_starts, bucket))
    }

    fn read(words: &'static str, forms: &str) -> Self {
        let mut words: Vec<Word> = lines(words).filter_map(Word::read).collect();
        mark_beginnings(&mut words);
        let bucket = |word: &Word| word_bucket(word.text, word.text, word.text.len()).unwrap_or(0);
        words.sort_by_key(bucket);
        let word_starts = starts(WORD_BUCKETS, |number| words.partition_point(|word| bucket(word) < number));

        let mut keys: Vec<u32> = lines(forms).filter_map(|form| form_key(form.as_bytes())).collect();
        keys.sort_unstable();
        let form_starts = starts(FORM_BUCKETS, |number| keys.partition_point(|key| halves(*key).0 < number));
        let forms = keys.iter().map(|key| halves(*key).1).collect();
        Self { words, word_starts, forms, form_starts }
    }
}

impl Word {
    fn read(line: &'static str) -> Option<Self> {
        let (text, letter) = line.rsplit_once(' ')?;
        let kind = Kind::of_word(*letter.as_bytes().first()?)?;
        Some(Self { text: text.as_bytes(), kind, begins_phrase: false })
    }
}

/// Notes of each word whether a phrase begins with it; beginnings that are no words of their own are added as barewords.
fn mark_beginnings(words: &mut Vec<Word>) {
    let phrases: Vec<&'static [u8]> = words.iter().map(|word| word.text).collect();
    for phrase in phrases {
        for (at, _) in phrase.iter().enumerate().filter(|(_, byte)| **byte == b' ') {
            let beginning = phrase.get(..at).unwrap_or_default();
            // A phrase whose beginning is a phrase that nobody lists is never put together, and marks no harm.
            match words.iter_mut().find(|word| word.text == beginning) {
                Some(word) => word.begins_phrase = true,
                None if !beginning.contains(&b' ') => {
                    words.push(Word { text: beginning, kind: Kind::Bareword, begins_phrase: true });
                }
                None => {}
            }
        }
    }
}

/// The lines of a list without its remarks.
fn lines<'a>(list: &'a str) -> impl Iterator<Item = &'a str> {
    list.lines().filter(|line| !line.starts_with('#'))
}

/// Where buckets begin in a sorted list, given how many entries lie before one.
fn starts(buckets: usize, before: impl Fn(usize) -> usize) -> Vec<u16> {
    (0..=buckets).map(|number| u16::try_from(before(number)).unwrap_or(u16::MAX)).collect()
}

fn slice<'a, T>(entries: &'a [T], starts: &[u16], bucket: usize) -> &'a [T] {
    let (Some(start), Some(end)) = (starts.get(bucket), starts.get(bucket + 1)) else { return &[] };
    entries.get(usize::from(*start)..usize::from(*end)).unwrap_or_default()
}

/// The bucket of a word, by its first two bytes, its last and its length, whatever the case.
fn word_bucket(first: &[u8], last: &[u8], length: usize) -> Option<usize> {
    let ([one, two, ..], [.., three]) = (first, last) else { return None };
    let fold = |byte: u8| byte | 0x20;
    let length = u8::try_from(length).ok()?;
    let mixed = u32::from_le_bytes([fold(*one), fold(*two), fold(*three), length]).wrapping_mul(0x9e37_79b1);
    Some((mixed >> 21) as usize)
}

/// The symbols of a form in 5 bits each, the first uppermost; nothing if no listed form has one of them.
fn form_key(letters: &[u8]) -> Option<u32> {
    let mut key = 0;
    for letter in letters {
        key = key << 5 | symbol(*letter)?;
    }
    let missing = TOKENS_MAX.checked_sub(letters.len())?;
    (!letters.is_empty()).then_some(key << (5 * missing))
}

/// The first two symbols of a form, and the other three.
fn halves(key: u32) -> (usize, u16) {
    ((key >> 15) as usize, (key & 0x7fff) as u16)
}

/// The list knows capitals only, so that the letters of two kinds, `T` and `t`, are one symbol.
const fn symbol(letter: u8) -> Option<u32> {
    Some(match letter.to_ascii_uppercase() {
        b'&' => 1,
        b'(' => 2,
        b')' => 3,
        b',' => 4,
        b'1' => 5,
        b':' => 6,
        b';' => 7,
        b'A' => 8,
        b'B' => 9,
        b'C' => 10,
        b'E' => 11,
        b'F' => 12,
        b'K' => 13,
        b'N' => 14,
        b'O' => 15,
        b'S' => 16,
        b'T' => 17,
        b'U' => 18,
        b'V' => 19,
        b'X' => 20,
        _ => return None,
    })
}

const WORDS: &str = include_str!("words.txt");
const FORMS: &str = include_str!("fingerprints.txt");

/// The longest word or phrase of the list.
const WORD_BYTES_MAX: usize = 29;
const WORD_BUCKETS: usize = 1 << 11;
const FORM_BUCKETS: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_lists_is_found() {
        let words = Words::shared();
        for line in lines(WORDS) {
            let (text, letter) = line.rsplit_once(' ').unwrap();
            let word = words.find(text.to_lowercase().as_bytes()).unwrap();
            assert!(word.text == text.as_bytes() && word.kind.letter() == letter.as_bytes()[0], "{line}");
            assert!(text.len() <= WORD_BYTES_MAX);
        }
        for form in lines(FORMS) {
            assert!(words.lists(form.as_bytes()), "{form}");
        }
        assert!(words.forms.len() == lines(FORMS).count() && words.forms.len() == 8_367);
        assert!(words.words.iter().filter(|word| word.text.len() > WORD_BYTES_MAX).count() == 0);
    }

    #[test]
    fn what_is_not_listed_is_not_found() {
        let words = Words::shared();
        for text in ["", "a", "selec", "selects", "unioN all ", "group  by", "0b", "\u{e9}t\u{e9}"] {
            assert!(words.find(text.as_bytes()).is_none(), "{text}");
        }
        for form in ["", "1", "1c1", "{", "sUEnn1", "nnnnn"] {
            assert!(!words.lists(form.as_bytes()), "{form}");
        }
    }

    #[test]
    fn phrases_are_put_together_of_their_parts() {
        let words = Words::shared();
        let part = |text: &'static str| {
            let mut token = Token::new(Kind::Bareword, text.as_bytes());
            token.begins_phrase = words.find(text.as_bytes()).is_some_and(|word| word.begins_phrase);
            token
        };
        let phrase = |one, two| words.phrase(&part(one), &part(two)).map(|word| word.text);
        assert_eq!(phrase("group", "By"), Some(&b"GROUP BY"[..]));
        assert_eq!(phrase("AT TIME", "zone"), Some(&b"AT TIME ZONE"[..]));
        assert_eq!(phrase("current", "date"), Some(&b"CURRENT DATE"[..]));
        assert_eq!(phrase("group", "b"), None);
        assert_eq!(phrase("gro", "up by"), None);
    }
}
