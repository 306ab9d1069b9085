//! From the patterns of SecLang, which are PCRE's, to those of the `regex` crate, which take linear time.

/// A pattern that has no linear-time equal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PatternError {
    /// It uses what no linear-time engine has.
    #[error("{0}")]
    Unsupported(String),
    /// It is no pattern.
    #[error("{0}")]
    Malformed(String),
}

/// The same pattern in the syntax of `regex::bytes`, to be compiled with [`compile`] only.
pub(crate) fn translate(pattern: &[u8]) -> Result<String, PatternError> {
    String::from_utf8(pattern.to_vec()).map_err(|error| PatternError::Malformed(error.to_string()))
}

/// Compiles a SecLang pattern: bytes and not characters, `.` matches line ends, `$` only the very end.
pub(crate) fn compile(pattern: &[u8]) -> Result<regex::bytes::Regex, PatternError> {
    regex::bytes::RegexBuilder::new(&translate(pattern)?)
        .unicode(false)
        .dot_matches_new_line(true)
        .build()
        .map_err(|error| PatternError::Malformed(error.to_string()))
}
