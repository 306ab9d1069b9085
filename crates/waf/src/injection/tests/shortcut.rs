//! The early exits never change a verdict.

use proptest::prelude::*;

use crate::injection::{harmless_to_sql, script, sql};

/// All texts of up to `length` of these bytes.
fn all(bytes: &[u8], length: usize, test: &mut impl FnMut(&[u8])) {
    fn longer(bytes: &[u8], length: usize, text: &mut Vec<u8>, test: &mut impl FnMut(&[u8])) {
        test(text);
        if text.len() < length {
            for byte in bytes {
                text.push(*byte);
                longer(bytes, length, text, test);
                text.pop();
            }
        }
    }
    longer(bytes, length, &mut Vec::new(), test);
}

fn check(value: &[u8]) {
    if harmless_to_sql(value) {
        assert_eq!(sql::find(value), None, "{}", value.escape_ascii());
    }
}

/// Numbers and their punctuation: a byte for each way a token may begin, go on or end.
#[test]
fn no_short_number_is_sql() {
    let mut count = 0;
    all(b"01 +,-./:", 6, &mut |value| {
        count += usize::from(harmless_to_sql(value));
        check(value);
    });
    assert!(count > 500_000, "{count} of 597,871");
}

/// Word bytes: those with a meaning at the start of a number or a string, or in a number, and some of the others.
#[test]
fn no_short_word_is_sql() {
    all(b"012bBexXdfuU_nq\xe9", 4, &mut |value| {
        assert!(harmless_to_sql(value));
        check(value);
    });
}

/// Each listed word behind each kind of number.
#[test]
fn no_listed_word_alone_or_behind_numbers_is_sql() {
    for line in include_str!("../sql/words.txt").lines() {
        let word = line.rsplit_once(' ').map_or(line, |(word, _)| word);
        for number in ["", "1", "0x", "0x1", "0b", "0b12", "1e", "1e5", "0b12e", "0b12e5", "1d", "1f", "9_"] {
            check(format!("{number}{word}").as_bytes());
            check(format!("{number}{}", word.to_lowercase()).as_bytes());
        }
    }
}

proptest! {
    #[test]
    fn no_number_is_sql(value in "[0-9 +,./:-]{0,40}") {
        check(value.as_bytes());
    }

    #[test]
    fn no_word_is_sql(value in proptest::collection::vec(0u8.., 0..24), digits in "[0-9bxeBXE]{0,6}") {
        let word = value.into_iter().filter(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | 0x80..=0x9f | 0xa1..));
        let value: Vec<u8> = digits.bytes().chain(word).collect();
        prop_assert!(harmless_to_sql(&value));
        check(&value);
    }

    #[test]
    fn without_tags_and_values_nothing_runs(value in proptest::collection::vec(0u8.., 0..40)) {
        let value: Vec<u8> = value.into_iter().filter(|byte| !matches!(byte, b'<' | b'=')).collect();
        prop_assert!(!script::runs(&value));
    }
}

#[test]
fn without_tags_and_values_no_short_value_runs() {
    all(b"o>/'\"`! \0-", 5, &mut |value| assert!(!script::runs(value)));
}
