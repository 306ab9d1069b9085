//! Hashes of numbers that are looked up very often.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Multiplies and folds, from a start that is drawn for each table: nobody outside can choose numbers that meet.
#[derive(Debug, Clone)]
pub(crate) struct Folded(u64);

impl Default for Folded {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0_u64))
    }
}

impl BuildHasher for Folded {
    type Hasher = Folding;

    fn build_hasher(&self) -> Folding {
        Folding(self.0)
    }
}

/// A hash in the making.
#[derive(Debug)]
pub(crate) struct Folding(u64);

impl Folding {
    fn fold(&mut self, number: u64) {
        let product = u128::from(self.0 ^ number) * u128::from(FACTOR);
        let [low, high] = [product, product >> 64].map(|half| u64::try_from(half & u128::from(u64::MAX)).unwrap_or(0));
        self.0 = low ^ high;
    }
}

impl Hasher for Folding {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.fold(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.fold(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.fold(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.fold(number);
    }

    fn write_u128(&mut self, number: u128) {
        self.fold(u64::try_from(number & u128::from(u64::MAX)).unwrap_or(0));
        self.fold(u64::try_from(number >> 64).unwrap_or(0));
    }

    fn write_isize(&mut self, number: isize) {
        self.fold(number.unsigned_abs() as u64);
    }
}

/// An odd number without a pattern: the fraction of the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
