//! Small steps over bytes, each of which says whether it went.

use memchr::memmem;

/// What is left to be read of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor<'l>(pub(super) &'l [u8]);

impl<'l> Cursor<'l> {
    /// Steps over `text`.
    pub(super) fn text(self, text: &str) -> Option<Self> {
        self.0.strip_prefix(text.as_bytes()).map(Self)
    }

    /// Steps over `text` if it is there.
    pub(super) fn optional(self, text: &str) -> Self {
        self.text(text).unwrap_or(self)
    }

    /// Steps over one of `texts`, the first that fits.
    pub(super) fn one_of(self, texts: &[&str]) -> Option<Self> {
        texts.iter().find_map(|text| self.text(text))
    }

    /// Takes bytes for as long as they are such, perhaps none.
    pub(super) fn take(self, such: impl Fn(u8) -> bool) -> (&'l [u8], Self) {
        let end = self.0.iter().position(|byte| !such(*byte)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at_checked(end).unwrap_or((self.0, &[]));
        (taken, Self(rest))
    }

    /// Takes at least one such byte.
    pub(super) fn some(self, such: impl Fn(u8) -> bool) -> Option<(&'l [u8], Self)> {
        let (taken, rest) = self.take(such);
        (!taken.is_empty()).then_some((taken, rest))
    }

    /// Steps over digits, at least one.
    pub(super) fn digits(self) -> Option<Self> {
        self.some(|byte| byte.is_ascii_digit()).map(|(_, rest)| rest)
    }

    /// Takes a word up to the next white space; it may not be empty.
    pub(super) fn word(self) -> Option<(&'l [u8], Self)> {
        self.some(is_dark)
    }

    /// Steps over white space, perhaps none.
    pub(super) fn space(self) -> Self {
        self.take(is_space).1
    }

    /// Steps over white space, at least some.
    pub(super) fn some_space(self) -> Option<Self> {
        self.some(is_space).map(|(_, rest)| rest)
    }

    /// Whether nothing but white space is left.
    pub(super) fn is_blank(self) -> bool {
        self.0.iter().all(|byte| is_space(*byte))
    }

    /// Steps to behind the first `text`, and gives what is before it.
    pub(super) fn until(self, text: &str) -> Option<(&'l [u8], Self)> {
        let at = memmem::find(self.0, text.as_bytes())?;
        self.split(at, text.len())
    }

    /// Steps to behind the last `text`, and gives what is before it.
    pub(super) fn until_last(self, text: &str) -> Option<(&'l [u8], Self)> {
        let at = memmem::rfind(self.0, text.as_bytes())?;
        self.split(at, text.len())
    }

    /// Every way to stand behind a `text`, the first one first, with what is before it. Those that overlap count each:
    /// of ` from from `, the second may be the one.
    pub(super) fn each(self, text: &'static str) -> impl DoubleEndedIterator<Item = (&'l [u8], Self)> {
        let mut places = Vec::new();
        let (mut from, mut rest) = (0, self.0);
        while let Some(at) = memmem::find(rest, text.as_bytes()) {
            places.push(from + at);
            from += at + 1;
            rest = self.0.get(from..).unwrap_or_default();
        }
        places.into_iter().filter_map(move |at| self.split(at, text.len()))
    }

    /// Whether `text` is somewhere in it.
    pub(super) fn holds(self, text: &str) -> bool {
        memmem::find(self.0, text.as_bytes()).is_some()
    }

    /// Whether one of `texts` is somewhere in it, and no word goes on behind it.
    pub(super) fn holds_words(self, texts: &[&'static str]) -> bool {
        texts.iter().any(|text| self.each(text).any(|(_, rest)| rest.ends_word()))
    }

    /// Whether a word that ended here does not go on.
    pub(super) fn ends_word(self) -> bool {
        self.0.first().is_none_or(|byte| !is_word(*byte))
    }

    fn split(self, at: usize, length: usize) -> Option<(&'l [u8], Self)> {
        let (before, rest) = self.0.split_at_checked(at)?;
        Some((before, Self(rest.get(length..)?)))
    }
}

pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c)
}

pub(super) const fn is_dark(byte: u8) -> bool {
    !is_space(byte)
}

/// Bytes of words; those outside ASCII may be letters of some alphabet.
pub(super) const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}
