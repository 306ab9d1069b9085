//! Bytes by the sets that they are in: which of many sets a text meets is then one comparison of one word.

use std::collections::HashMap;

use crate::byte_set::ByteSet;

/// A bit for each class of bytes.
pub(crate) type ClassBits = u128;

/// Two bytes are of one class if they are in the same sets.
#[derive(Debug)]
pub(crate) struct Classes {
    /// For each byte, the bit of its class.
    of: Box<[ClassBits; 256]>,
}

impl Default for Classes {
    /// Of bytes of which nothing is known: each may be of any class.
    fn default() -> Self {
        Self { of: Box::new([ClassBits::MAX; 256]) }
    }
}

impl Classes {
    /// Classes by which these sets can be told apart, the first of them first: those for which there are too few bits are
    /// left out.
    pub(crate) fn new(sets: impl IntoIterator<Item = ByteSet>) -> Self {
        let mut numbers = [0_u8; 256];
        for set in sets {
            if let Some(refined) = refine(&numbers, set) {
                numbers = refined;
            }
        }
        Self { of: Box::new(numbers.map(|number| 1 << number)) }
    }

    /// The classes of the bytes of a text.
    pub(crate) fn of_text(&self, text: &[u8]) -> ClassBits {
        text.iter().fold(0, |all, byte| all | self.of(*byte))
    }

    /// The classes of a set; none if one of them has bytes that are not in the set.
    pub(crate) fn of_set(&self, set: ByteSet) -> Option<ClassBits> {
        let inside = set.iter().fold(0, |all, byte| all | self.of(byte));
        let outside = set.complement().iter().fold(0, |all, byte| all | self.of(byte));
        (inside & outside == 0).then_some(inside)
    }

    fn of(&self, byte: u8) -> ClassBits {
        // A table of all bytes has every byte.
        self.of.get(usize::from(byte)).copied().unwrap_or(ClassBits::MAX)
    }
}

/// The classes, divided by one more set; none if they would be too many.
fn refine(numbers: &[u8; 256], set: ByteSet) -> Option<[u8; 256]> {
    let mut divided: HashMap<(u8, bool), u8> = HashMap::new();
    let mut refined = [0; 256];
    for ((number, byte), into) in numbers.iter().zip(0..=u8::MAX).zip(refined.iter_mut()) {
        let next = u8::try_from(divided.len()).ok()?;
        *into = *divided.entry((*number, set.contains(byte))).or_insert(next);
    }
    (divided.len() <= ClassBits::BITS as usize).then_some(refined)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tell_texts_apart_by_sets() {
        let (vowels, digits) = (ByteSet::of(b"aeiou"), ByteSet::EMPTY.with_range(b'0', b'9'));
        let classes = Classes::new([vowels, digits]);
        let (of_vowels, of_digits) = (classes.of_set(vowels).unwrap(), classes.of_set(digits).unwrap());
        assert!(classes.of_text(b"sky 7") & of_vowels == 0 && classes.of_text(b"sky 7") & of_digits != 0);
        assert!(classes.of_text(b"ape") & of_vowels != 0 && classes.of_text(b"") == 0);
        assert_eq!(classes.of_set(ByteSet::of(b"ae")), None);
    }

    #[test]
    fn sets_for_which_there_is_no_bit_are_left_out() {
        let classes = Classes::new((0..=u8::MAX).map(|byte| ByteSet::EMPTY.with(byte)));
        let known = (0..=u8::MAX).filter(|byte| classes.of_set(ByteSet::EMPTY.with(*byte)).is_some());
        assert_eq!(known.count(), 127);
    }
}
