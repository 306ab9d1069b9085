//! Whether a value is SQL or script that somebody tries to smuggle in.

/// The form of a SQL injection, if the value is one: the kinds of its first tokens, a letter each.
pub(crate) fn sql(_value: &[u8]) -> Option<Box<[u8]>> {
    None
}

/// Whether the value would run script in some place of an HTML page.
pub(crate) fn script(_value: &[u8]) -> bool {
    false
}
