//! Where the bytes of one transaction live: one buffer, and places in it.
//!
//! A request of a browser has some sixty texts. In a buffer that is used again they cost no allocation at all.

/// A text within an [`Arena`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    start: u32,
    length: u32,
}

impl Span {
    pub(crate) const EMPTY: Self = Self { start: 0, length: 0 };

    pub(crate) const fn len(self) -> usize {
        self.length as usize
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.length == 0
    }
}

/// The bytes of one transaction: what was received, and what became of it.
///
/// INVARIANT: it holds less than 4 GiB. What goes in is bounded by the limits of [`crate::Limits`]; past the last byte
/// that can be named, texts are cut off.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    bytes: Vec<u8>,
}

impl Arena {
    /// Keeps a copy.
    pub(crate) fn keep(&mut self, text: &[u8]) -> Span {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(text);
        self.since(start)
    }

    /// Where the next byte goes, for [`since`](Self::since).
    pub(crate) fn mark(&self) -> usize {
        self.bytes.len()
    }

    /// One more byte of the text that began at the last mark.
    pub(crate) fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// More bytes of the text that began at the last mark.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The text from a mark to the end of what is there.
    pub(crate) fn since(&self, mark: usize) -> Span {
        match (u32::try_from(mark), u32::try_from(self.bytes.len().saturating_sub(mark))) {
            (Ok(start), Ok(length)) => Span { start, length },
            _ => Span::EMPTY,
        }
    }

    /// The text at a place.
    pub(crate) fn text(&self, span: Span) -> &[u8] {
        let start = span.start as usize;
        self.bytes.get(start..start + span.len()).unwrap_or_default()
    }

    /// Forgets everything and keeps the room, up to `bytes_max` of it.
    pub(crate) fn clear(&mut self, bytes_max: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(bytes_max);
    }
}

/// One member of a collection such as ARGS: its name and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Member {
    pub(crate) name: Span,
    pub(crate) value: Span,
}
