//! How much one transaction may cost.
//!
//! The engine has no clock, and needs none for a bound: every operator and every transformation takes time in proportion
//! to the bytes that it is given. So bytes are counted, once for each time that something looks at them, and past a
//! number of them the transaction is refused. The same request comes to the same number on every machine.

/// What has been looked at in a transaction, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Work {
    spent: u64,
    budget: u64,
}

impl Work {
    pub(crate) const fn new(budget: u64) -> Self {
        Self { spent: 0, budget }
    }

    /// Something is about to look at so many bytes. Beginning to look costs as much as [`START_BYTES`] do.
    pub(crate) const fn charge(&mut self, bytes: usize) {
        self.spent = self.spent.saturating_add(bytes as u64 + START_BYTES);
    }

    /// Whether it was more than it may be.
    pub(crate) const fn is_exceeded(&self) -> bool {
        self.spent > self.budget
    }

    pub(crate) const fn spent(&self) -> u64 {
        self.spent
    }

    pub(crate) const fn budget(&self) -> u64 {
        self.budget
    }
}

/// Calls and look-ups around an operator or a transformation take about as long as it takes for so many bytes.
const START_BYTES: u64 = 16;

/// To make a pattern of a text takes about as long as looking at so many bytes.
pub(crate) const COMPILED_BYTES: usize = 64 << 10;

/// The budget where nothing is said: 256 MiB. Under the Core Rule Set at its highest level a form of 1 MiB of plain text comes
/// to a quarter of it, and texts of that size that were built against the rules to a third.
pub(crate) const BUDGET_BYTES_DEFAULT: u64 = 256 << 20;
