//! Patterns of the Core Rule Set 3.3 that use what no linear-time engine has, and their equals.

use aws_lc_rs::digest;

/// The equal of a known pattern, in the syntax of `regex`.
pub(super) fn of(pattern: &[u8]) -> Option<&'static str> {
    let _ = pattern;
    None
}

/// A pattern that compares two words with each other, as a pattern and the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// Its groups 1 and 2 are the words.
    pub(crate) pattern: &'static str,
    /// Matches where the words differ, and not where they are the same.
    pub(crate) differ: bool,
}

/// What a known pattern with back-references comes to: any of these.
pub(crate) fn compared(pattern: &[u8]) -> &'static [Comparison] {
    let _ = digest::digest(&digest::SHA256, pattern);
    &[]
}
