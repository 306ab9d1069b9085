//! Texts that a pattern matches, found by walking it.

use regex_syntax::hir::{Class, Hir, HirKind};

use crate::pattern;

/// Numbers that look random and are the same in every run (xorshift).
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// From 0 up to, and without, `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % end.max(1)
    }
}

/// The pattern as the `regex` crate sees it.
pub(super) fn parsed(secrule: &[u8]) -> Hir {
    regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .dot_matches_new_line(true)
        .nest_limit(1_000)
        .build()
        .parse(&pattern::translate(secrule).unwrap())
        .unwrap()
}

/// Texts of a pattern, each made by other choices; those that look-around spoils are made once more between blanks.
pub(super) fn of(secrule: &[u8], count: usize, dice: &mut Dice) -> Vec<Vec<u8>> {
    let (hir, compiled) = (parsed(secrule), pattern::compile(secrule).unwrap());
    let mut found: Vec<Vec<u8>> = Vec::new();
    for _ in 0..count * 6 {
        let mut text = Vec::new();
        write(&hir, dice, &mut text);
        let around = [b"", &b" "[..], b"a", b"\n"].map(|edge| [edge, &text, edge].concat());
        let fits = around.into_iter().find(|text| compiled.is_match(text));
        if let Some(text) = fits.filter(|text| !found.contains(text)) {
            found.push(text);
        }
        if found.len() == count {
            break;
        }
    }
    found
}

pub(super) fn write(hir: &Hir, dice: &mut Dice, out: &mut Vec<u8>) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => out.extend_from_slice(&literal.0),
        HirKind::Class(Class::Bytes(class)) => out.push(of_class(class, dice)),
        HirKind::Class(Class::Unicode(_)) => unreachable!("patterns are of bytes"),
        HirKind::Capture(capture) => write(&capture.sub, dice, out),
        HirKind::Repetition(repetition) => {
            let most = repetition.max.unwrap_or(u32::MAX).min(repetition.min + 3);
            let times = repetition.min + u32::try_from(dice.below((most - repetition.min + 1) as usize)).unwrap();
            (0..times).for_each(|_| write(&repetition.sub, dice, out));
        }
        HirKind::Concat(parts) => parts.iter().for_each(|part| write(part, dice, out)),
        HirKind::Alternation(parts) => write(&parts[dice.below(parts.len())], dice, out),
    }
}

/// A byte of a class: now a usual one, now one at an edge of its ranges.
fn of_class(class: &regex_syntax::hir::ClassBytes, dice: &mut Dice) -> u8 {
    let ranges = class.ranges();
    let bytes: Vec<u8> = ranges.iter().flat_map(|range| range.start()..=range.end()).collect();
    let usual: Vec<u8> = bytes.iter().copied().filter(u8::is_ascii_alphanumeric).collect();
    let printable: Vec<u8> = bytes.iter().copied().filter(|byte| (0x20..0x7f).contains(byte)).collect();
    let from = match dice.below(8) {
        0..3 if !usual.is_empty() => usual,
        3..7 if !printable.is_empty() => printable,
        _ => bytes,
    };
    from[dice.below(from.len())]
}
