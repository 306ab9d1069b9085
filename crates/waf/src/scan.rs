//! Which operators may match a value: one look at its bytes and one pass over its text, for all rules together.

use std::collections::HashMap;
use std::sync::Arc;

use crate::byte_set::ByteSet;
use crate::hash::Folded;
use crate::need::Need;
use crate::values::{ValueId, Values};

mod classes;
mod texts;

pub(crate) use classes::{ClassBits, Classes};
use texts::Texts;

/// The number of an operator among those that are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Bit(u32);

impl Bit {
    pub(crate) const fn new(number: u32) -> Self {
        Self(number)
    }

    fn place(self) -> (usize, u64) {
        ((self.0 / 64) as usize, 1 << (self.0 % 64))
    }
}

/// Whether a bit is set among these words.
pub(crate) fn has(words: &[u64], bit: Bit) -> bool {
    let (word, mask) = bit.place();
    words.get(word).is_some_and(|word| word & mask != 0)
}

/// Adds bits to others.
pub(crate) fn unite(words: &mut [u64], others: &[u64]) {
    for (word, other) in words.iter_mut().zip(others) {
        *word |= other;
    }
}

/// What is looked for in every value, all operators at once.
#[derive(Debug)]
pub(crate) struct Scan {
    /// Words that a bit for each operator takes.
    width: usize,
    texts: Texts,
    /// For each text, the operators that need it, or another.
    wanted_by: Vec<Box<[Bit]>>,
    /// The operators that need no text.
    textless: Box<[u64]>,
    classes: Arc<Classes>,
    /// Classes of a set, and the operators that need a byte of them.
    sets: Vec<InClasses>,
}

/// A set by its classes, and the operators that need a byte of it.
type InClasses = (ClassBits, Box<[u64]>);

/// What was learned of values, kept from one transaction to the next: values with the same classes of bytes meet the
/// same sets.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    by_classes: HashMap<ClassBits, u32, Folded>,
    /// For each such kind of value, `width` words of operators whose sets it meets, and `width` of those that need no text.
    kinds: Vec<u64>,
    /// For single values in which texts were found, `width` words of operators that may match, and `width` of those whose
    /// texts were found; of this transaction only.
    own: Vec<u64>,
    spare: Vec<u64>,
}

impl Seen {
    /// Forgets what was of the transaction before.
    pub(crate) fn clear(&mut self) {
        self.own.clear();
        self.own.shrink_to(OWN_WORDS_MAX);
        if self.by_classes.len() > KINDS_MAX {
            self.by_classes.clear();
            self.kinds.clear();
        }
    }
}

impl Scan {
    /// For operators by their numbers, what each needs. The sets of `more` can be told apart by classes, too.
    pub(crate) fn new(needs: &[Need], more: &[ByteSet]) -> Self {
        let width = needs.len().div_ceil(64).max(1);
        let mut textless = vec![0; width];
        let mut texts: HashMap<&[u8], Vec<Bit>> = HashMap::new();
        let mut sets: HashMap<ByteSet, Vec<Bit>> = HashMap::new();
        for (need, number) in needs.iter().zip(0..) {
            let bit = Bit::new(number);
            if need.texts.is_empty() {
                set(&mut textless, bit);
            }
            for text in &need.texts {
                texts.entry(text).or_default().push(bit);
            }
            for bytes in &need.sets {
                sets.entry(*bytes).or_default().push(bit);
            }
        }
        let mut texts: Vec<_> = texts.into_iter().collect();
        texts.sort_unstable();
        let (texts, wanted_by): (Vec<_>, Vec<_>) =
            texts.into_iter().map(|(text, bits)| (text, bits.into_boxed_slice())).unzip();
        let (classes, sets) = classes(sets, more, width);
        Self { width, texts: Texts::new(&texts), wanted_by, textless: textless.into(), classes: classes.into(), sets }
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) const fn classes(&self) -> &Arc<Classes> {
        &self.classes
    }

    /// The operators that may match this value, as bits.
    pub(crate) fn candidates<'s>(&self, value: ValueId, values: &mut Values, seen: &'s mut Seen) -> &'s [u64] {
        let place = self.place(value, values, seen);
        self.words(place, seen)
    }

    /// What is noted at a place.
    pub(crate) fn words<'s>(&self, place: u32, seen: &'s Seen) -> &'s [u64] {
        let (words, start) =
            if place & OWN != 0 { (&seen.own, (place & !OWN) as usize) } else { (&seen.kinds, place as usize) };
        words.get(start..start + self.width).unwrap_or_default()
    }

    /// Where it is noted what may match a value. Of two values with the same place the same may.
    pub(crate) fn place(&self, value: ValueId, values: &mut Values, seen: &mut Seen) -> u32 {
        if let Some(known) = values.candidates(value) {
            return known;
        }
        let found = match values.cased(value) {
            Some(cased) => self.found_in(cased, values, seen),
            None => {
                values.work.charge(values.span(value).len());
                self.find(values.text(value), seen)
            }
        };
        let place = self.note(values.classes(value), found, seen);
        values.note_candidates(value, place);
        place
    }

    /// Notes in `spare` which operators' texts are in a value. Whether any is.
    fn find(&self, text: &[u8], seen: &mut Seen) -> bool {
        let mut found = false;
        seen.spare.clear();
        seen.spare.resize(self.width, 0);
        self.texts.find(text, |number| {
            found = true;
            for bit in self.wanted_by.get(number).into_iter().flatten() {
                set(&mut seen.spare, *bit);
            }
        });
        found
    }

    /// The same of a value that was looked at before, or has letters of another case and nothing else other than one that
    /// was: texts are found whatever the case.
    fn found_in(&self, value: ValueId, values: &mut Values, seen: &mut Seen) -> bool {
        let place = self.place(value, values, seen);
        if place & OWN == 0 {
            return false;
        }
        let start = (place & !OWN) as usize + self.width;
        let words = seen.own.get(start..start + self.width).unwrap_or_default();
        seen.spare.clear();
        seen.spare.extend_from_slice(words);
        true
    }

    /// Notes what may match a value with these classes of bytes, and the texts that were noted in `spare`.
    fn note(&self, classes: ClassBits, found: bool, seen: &mut Seen) -> u32 {
        let kind = self.kind(classes, seen);
        // Of each kind: first the operators whose sets it meets, then those of them that need no text.
        let textless = kind as usize + self.width;
        if !found {
            return place(textless);
        }
        let start = seen.own.len();
        for word in 0..self.width {
            let meets = seen.kinds.get(kind as usize + word).copied().unwrap_or_default();
            let plain = seen.kinds.get(textless + word).copied().unwrap_or_default();
            let hits = seen.spare.get(word).copied().unwrap_or_default();
            seen.own.push(plain | meets & hits);
        }
        seen.own.extend_from_slice(&seen.spare);
        place(start) | OWN
    }

    /// Where it is noted which operators' sets a value with these classes meets.
    fn kind(&self, classes: ClassBits, seen: &mut Seen) -> u32 {
        if let Some(known) = seen.by_classes.get(&classes) {
            return *known;
        }
        let start = seen.kinds.len();
        seen.kinds.resize(start + 2 * self.width, u64::MAX);
        if let Some(words) = seen.kinds.get_mut(start..) {
            let (meets, textless) = words.split_at_mut(self.width);
            for (_, wanting) in self.sets.iter().filter(|(set, _)| set & classes == 0) {
                for (word, without) in meets.iter_mut().zip(wanting) {
                    *word &= !without;
                }
            }
            for ((word, meets), free) in textless.iter_mut().zip(&*meets).zip(&self.textless) {
                *word = meets & free;
            }
        }
        let start = place(start);
        seen.by_classes.insert(classes, start);
        start
    }
}

/// Bytes by the sets that they are in, and each set by its classes. Sets that few operators need are left out where there
/// would be too many classes: the operators then run more often than they must.
fn classes(sets: HashMap<ByteSet, Vec<Bit>>, more: &[ByteSet], width: usize) -> (Classes, Vec<InClasses>) {
    let mut sets: Vec<_> = sets.into_iter().collect();
    sets.sort_by_key(|(bytes, bits)| (usize::MAX - bits.len(), *bytes));
    let classes = Classes::new(more.iter().copied().chain(sets.iter().map(|(bytes, _)| *bytes)));
    let sets = sets.into_iter().filter_map(|(bytes, bits)| {
        let mut words = vec![0; width];
        for bit in bits {
            set(&mut words, bit);
        }
        Some((classes.of_set(bytes)?, words.into_boxed_slice()))
    });
    let sets = sets.collect();
    (classes, sets)
}

fn set(words: &mut [u64], bit: Bit) {
    let (word, mask) = bit.place();
    if let Some(word) = words.get_mut(word) {
        *word |= mask;
    }
}

/// Tables of notes are far smaller than what 31 bits can name: bounded by the bytes of a transaction, and by [`KINDS_MAX`].
fn place(start: usize) -> u32 {
    u32::try_from(start).unwrap_or(0) & !OWN
}

/// Marks a note that is of one value and not of a kind.
const OWN: u32 = 1 << 31;

const KINDS_MAX: usize = 4_096;
const OWN_WORDS_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests;
