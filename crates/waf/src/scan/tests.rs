//! That nothing is missed: whatever an operator matches is among its candidates.

use proptest::prelude::*;

use super::*;
use crate::operator::{Compiled, Fixed};
use crate::rule::{Operator, Text};

/// Patterns of every kind of part that the analysis takes apart.
const PATTERNS: &[&str] = &[
    r"(?i)\bunion\s+(?:all\s+)?select\b",
    r"^(?:get|head|post)$",
    r"[<>]|javascript:",
    r"(?:\.\./){2,}",
    r"x{3}y{2,5}",
    r"(?i:ab|cd)(?:ef)?gh",
    r"\x00|%00",
    r"[^a-z0-9]{4}",
    r"(a|b|cd*)+z",
    r"^$",
    r".?",
    r"\d+;\s*\w+",
    r"(?i)[sſ]elect|sleep\(\d+\)",
    r"[\x80-\xff]{2}",
    r"(?:^|;)\s*(?:cat|ls|id)(?:\s|$)",
    r"(?:e|E)(?:v|V)al",
];

/// What such patterns match, and what is near to it.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "union",
        "SELECT",
        " all ",
        "get",
        "../",
        "..",
        "<",
        "javascript:",
        "xxx",
        "yy",
        "ABgh",
        "cdefgh",
        "\0",
        "%00",
        "!!??",
        "cd",
        "z",
        "7; drop",
        "sleep(5)",
        "ſelect",
        "; cat ",
        "id",
        "eVal",
        "E",
        "select",
        "\u{fffd}",
        "b",
        "1' or 1=1--",
        "-1 union select 2",
        "<svg/onload=x>",
        "x onclick=y",
        "%zz",
    ]);
    let noise = prop::collection::vec(any::<u8>(), 0..4);
    let piece = prop_oneof![3 => pieces.prop_map(|piece| piece.as_bytes().to_vec()), 1 => noise];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn operators() -> Vec<Operator> {
    let phrases: Vec<Box<[u8]>> = ["cat", "Select", "é", ";"].iter().map(|text| text.as_bytes().into()).collect();
    let mut all: Vec<_> = PATTERNS.iter().map(|pattern| Operator::Rx(Text::plain(pattern.as_bytes()))).collect();
    all.push(Operator::Phrases(phrases.into()));
    all.push(Operator::Contains(Text::plain(b"Val")));
    all.push(Operator::BeginsWith(Text::plain(b"uni")));
    all.push(Operator::EndsWith(Text::plain(b"")));
    all.push(Operator::ValidateByteRange(ByteSet::EMPTY.with_range(b' ', b'~')));
    all.extend([Operator::DetectSqli, Operator::DetectXss]);
    all.extend([Operator::ValidateUrlEncoding, Operator::ValidateUtf8Encoding]);
    all
}

#[test]
fn whatever_matches_is_a_candidate() {
    let operators = operators();
    let needs: Vec<_> = operators.iter().map(|operator| Compiled::need(operator).unwrap()).collect();
    let fixed: Vec<_> = operators.iter().map(fixed).collect();
    let scan = Scan::new(&needs, &[]);
    let hits = std::cell::Cell::new(0);
    let mut runner = proptest::test_runner::TestRunner::default();
    let outcome = runner.run(&texts(), |text| {
        let (mut values, mut seen) = (Values::default(), Seen::default());
        values.classify(scan.classes());
        let value = values.of(&text);
        let candidates = scan.candidates(value, &mut values, &mut seen).to_vec();
        for ((operator, need), number) in fixed.iter().zip(&needs).zip(0..) {
            if operator.matches(&text) {
                hits.set(hits.get() + 1);
                prop_assert!(
                    has(&candidates, Bit::new(number)),
                    "{operator:?} matches {text:?}, and {need:?} hides it"
                );
                prop_assert!(need.length_min <= text.len());
            }
        }
        Ok(())
    });
    outcome.unwrap();
    assert!(hits.get() > 500, "the texts must meet the patterns to prove anything: {}", hits.get());
}

#[test]
fn most_are_no_candidates_of_plain_values() {
    let operators = operators();
    let needs: Vec<_> = operators.iter().map(|operator| Compiled::need(operator).unwrap()).collect();
    let scan = Scan::new(&needs, &[]);
    let (mut values, mut seen) = (Values::default(), Seen::default());
    values.classify(scan.classes());
    let value = values.of(b"Hamburg");
    let candidates: u32 = scan.candidates(value, &mut values, &mut seen).iter().map(|word| word.count_ones()).sum();
    // Those that any text meets, such as `.?`, and what an empty argument means.
    assert!(candidates <= 4, "{candidates}");
}

fn fixed(operator: &Operator) -> Fixed {
    match Compiled::new(operator).unwrap() {
        Compiled::Fixed(fixed) => fixed,
        Compiled::Open(_) => unreachable!("none of these has places to fill in"),
    }
}

proptest! {
    /// The same as comparing each text at each place.
    #[test]
    fn texts_are_found_wherever_they_are(
        texts in prop::collection::btree_set("[a-c/ 0\u{0}é]{1,7}", 1..40),
        value in "[a-cA-C/ 07\u{0}é]{0,40}",
    ) {
        let texts: Vec<_> = texts.iter().map(|text| text.as_bytes()).collect();
        let mut found = std::collections::BTreeSet::new();
        Texts::new(&texts).find(value.as_bytes(), |number| {
            found.insert(number);
        });
        let value = value.to_ascii_lowercase().into_bytes();
        let expected = texts.iter().enumerate().filter(|(_, text)| memchr::memmem::find(&value, text).is_some());
        prop_assert_eq!(found, expected.map(|(number, _)| number).collect());
    }

    /// What was found in a value is known of it in small letters, too, and no less than if that were looked at.
    #[test]
    fn small_letters_have_the_same_texts(text in texts()) {
        let needs: Vec<_> = operators().iter().map(|operator| Compiled::need(operator).unwrap()).collect();
        let scan = Scan::new(&needs, &[]);
        let candidates_of = |text: &[u8], small: bool| {
            let (mut values, mut seen) = (Values::default(), Seen::default());
            values.classify(scan.classes());
            values.clear();
            let mut value = values.of(text);
            if small {
                value = values.transform(value, crate::transformation::Transformation::Lowercase);
            }
            scan.candidates(value, &mut values, &mut seen).to_vec()
        };
        prop_assert_eq!(candidates_of(&text, true), candidates_of(&text.to_ascii_lowercase(), false));
    }
}
