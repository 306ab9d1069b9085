//! Sets of byte values: which occur in a text, which a pattern needs.

/// A set of byte values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct ByteSet([u64; 4]);

impl ByteSet {
    pub(crate) const EMPTY: Self = Self([0; 4]);
    pub(crate) const FULL: Self = Self([u64::MAX; 4]);

    /// The values that occur in a text.
    pub(crate) fn of(text: &[u8]) -> Self {
        // Each word for itself and without a branch: writing to an array would make each byte wait for the one before.
        let (mut one, mut two, mut three, mut four) = (0, 0, 0, 0);
        for byte in text {
            let (word, bit) = (byte >> 6, 1_u64 << (byte & 63));
            one |= if word == 0 { bit } else { 0 };
            two |= if word == 1 { bit } else { 0 };
            three |= if word == 2 { bit } else { 0 };
            four |= if word == 3 { bit } else { 0 };
        }
        Self([one, two, three, four])
    }

    pub(crate) const fn insert(&mut self, byte: u8) {
        let [one, two, three, four] = &mut self.0;
        let word = match byte >> 6 {
            0 => one,
            1 => two,
            2 => three,
            _ => four,
        };
        *word |= 1 << (byte & 63);
    }

    #[must_use]
    pub(crate) const fn with(mut self, byte: u8) -> Self {
        self.insert(byte);
        self
    }

    /// With every value from `first` to `last`, both included.
    #[must_use]
    pub(crate) const fn with_range(mut self, first: u8, last: u8) -> Self {
        let mut byte = first;
        while byte <= last {
            self.insert(byte);
            if byte == u8::MAX {
                break;
            }
            byte += 1;
        }
        self
    }

    pub(crate) const fn contains(self, byte: u8) -> bool {
        let [one, two, three, four] = self.0;
        let word = match byte >> 6 {
            0 => one,
            1 => two,
            2 => three,
            _ => four,
        };
        word >> (byte & 63) & 1 == 1
    }

    pub(crate) const fn intersects(self, other: Self) -> bool {
        self.0[0] & other.0[0] | self.0[1] & other.0[1] | self.0[2] & other.0[2] | self.0[3] & other.0[3] != 0
    }

    #[must_use]
    pub(crate) const fn union(self, other: Self) -> Self {
        Self([self.0[0] | other.0[0], self.0[1] | other.0[1], self.0[2] | other.0[2], self.0[3] | other.0[3]])
    }

    /// The values in it, from the lowest.
    pub(crate) fn iter(self) -> impl Iterator<Item = u8> {
        self.0.into_iter().zip([0_u8, 64, 128, 192]).flat_map(|(mut word, first)| {
            std::iter::from_fn(move || {
                let lowest = u8::try_from(word.trailing_zeros()).ok().filter(|lowest| *lowest < 64)?;
                word &= word - 1;
                Some(first + lowest)
            })
        })
    }

    /// The values that are not in it.
    #[must_use]
    pub(crate) const fn complement(self) -> Self {
        Self([!self.0[0], !self.0[1], !self.0[2], !self.0[3]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in() {
        let set = ByteSet::of(b"ab\xff").with_range(0xf0, 0xff).with(0);
        assert!([0, b'a', b'b', 0xf0, 0xff].into_iter().all(|byte| set.contains(byte)));
        assert!(!set.contains(b'c') && set.iter().count() == 19);
        assert!(set.intersects(ByteSet::of(b"xyza")) && !set.intersects(ByteSet::of(b"xyz")));
        assert!(ByteSet::FULL.iter().count() == 256 && set.union(ByteSet::FULL) == ByteSet::FULL);
    }
}
