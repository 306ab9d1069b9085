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
