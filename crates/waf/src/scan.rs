//! Which operators may match a value: one look at its bytes and one pass over its text, for all rules together.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use crate::byte_set::ByteSet;
use crate::hash::Folded;
use crate::need::Need;
use crate::values::{ValueId, Values};

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
    /// None if no operator needs a text.
    texts: Option<AhoCorasick>,
    /// For each text, the operators that need it, or another.
    wanted_by: Vec<Box<[Bit]>>,
    /// The operators that need no text.
    textless: Box<[u64]>,
    /// Bytes by what sets they are in: two bytes of one class are in the same.
    class_of: Box<[u8; 256]>,
    /// Classes of a set, and the operators that need a byte of them.
    sets: Vec<InClasses>,
}

/// A set by its classes, and the operators that need a byte of it.
type InClasses = (u128, Box<[u64]>);

/// What was learned of values, kept from one transaction to the next: values with the same classes of bytes meet the
/// same sets.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    by_classes: HashMap<u128, u32, Folded>,
    /// For each such kind of value, `width` words of operators whose sets it meets, and `width` of those that need no text.
    kinds: Vec<u64>,
    /// The same for single values, in which texts were found; of this transaction only.
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
    /// For operators by their numbers, what each needs.
    pub(crate) fn new(needs: &[Need]) -> Result<Self, aho_corasick::BuildError> {
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
        let automaton = (!texts.is_empty()).then(|| {
            AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .match_kind(MatchKind::Standard)
                .kind(Some(AhoCorasickKind::ContiguousNFA))
                .build(texts.iter().map(|(text, _)| text))
        });
        let wanted_by = texts.into_iter().map(|(_, bits)| bits.into_boxed_slice()).collect();
        let (class_of, sets) = classes(sets, width);
        Ok(Self { width, texts: automaton.transpose()?, wanted_by, textless: textless.into(), class_of, sets })
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// The operators that may match this value, as bits.
    pub(crate) fn candidates<'s>(&self, value: ValueId, values: &mut Values, seen: &'s mut Seen) -> &'s [u64] {
        let place = match values.candidates(value) {
            Some(place) => place,
            None => {
                values.work.charge(values.span(value).len());
                let place = self.look(values.text(value), values.bytes(value), seen);
                values.note_candidates(value, place);
                place
            }
        };
        let own = place & OWN != 0;
        let (words, start) = if own { (&seen.own, (place & !OWN) as usize) } else { (&seen.kinds, place as usize) };
        words.get(start..start + self.width).unwrap_or_default()
    }

    /// Looks at a value and notes what may match it. The place of the note.
    fn look(&self, text: &[u8], bytes: ByteSet, seen: &mut Seen) -> u32 {
        let kind = self.kind(bytes, seen);
        seen.spare.clear();
        seen.spare.resize(self.width, 0);
        let mut found = false;
        if let Some(texts) = &self.texts {
            for hit in texts.find_overlapping_iter(text) {
                found = true;
                for bit in self.wanted_by.get(hit.pattern().as_usize()).into_iter().flatten() {
                    set(&mut seen.spare, *bit);
                }
            }
        }
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
        place(start) | OWN
    }

    /// Where it is noted which operators' sets a value with these bytes meets.
    fn kind(&self, bytes: ByteSet, seen: &mut Seen) -> u32 {
        let classes = bytes.iter().fold(0, |classes, byte| classes | 1 << self.class(byte));
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

    fn class(&self, byte: u8) -> u8 {
        // A table of all bytes has every byte.
        self.class_of.get(usize::from(byte)).copied().unwrap_or_default()
    }
}

/// Bytes by the sets that they are in, and each set by its classes. Sets that few operators need are left out when the
/// classes would be more than a word has bits: the operators then run more often than they must.
fn classes(sets: HashMap<ByteSet, Vec<Bit>>, width: usize) -> (Box<[u8; 256]>, Vec<InClasses>) {
    let mut sets: Vec<_> = sets.into_iter().collect();
    sets.sort_by_key(|(bytes, bits)| (usize::MAX - bits.len(), *bytes));
    let mut class_of = Box::new([0_u8; 256]);
    let mut count = 1_u8;
    let mut kept = Vec::new();
    for (bytes, bits) in sets {
        if let Some((refined, more)) = refine(&class_of, count, bytes) {
            (class_of, count) = (refined, more);
            kept.push((bytes, bits));
        }
    }
    let sets = kept.into_iter().map(|(bytes, bits)| {
        let classes =
            bytes.iter().fold(0, |all, byte| all | 1 << class_of.get(usize::from(byte)).copied().unwrap_or_default());
        let mut words = vec![0; width];
        for bit in bits {
            set(&mut words, bit);
        }
        (classes, words.into_boxed_slice())
    });
    let sets = sets.collect();
    (class_of, sets)
}

/// The classes, divided by one more set; none if they would be too many.
fn refine(class_of: &[u8; 256], count: u8, bytes: ByteSet) -> Option<(Box<[u8; 256]>, u8)> {
    let mut divided: HashMap<(u8, bool), u8> = HashMap::new();
    let mut refined = Box::new([0; 256]);
    for ((class, byte), into) in class_of.iter().zip(0..=u8::MAX).zip(refined.iter_mut()) {
        let next = u8::try_from(divided.len()).ok()?;
        *into = *divided.entry((*class, bytes.contains(byte))).or_insert(next);
    }
    let more = u8::try_from(divided.len()).ok()?;
    (u32::from(more) <= u128::BITS && more >= count).then_some((refined, more))
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
