//! What is wrong with a request: where, by which keyword, and never the value.

use std::borrow::Cow;
use std::fmt;

/// A fault of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// JSON pointer (RFC 6901) into the request: `/query/limit`, `/body/items/0/id`. Names that the document does not
    /// know stand as `*`: what a client makes up may be anything.
    pub place: String,
    /// The keyword that is not kept: of JSON Schema, or one of [`keyword`].
    pub keyword: Cow<'static, str>,
    /// Which promise it concerns.
    pub aspect: Aspect,
    /// What the client is to be told.
    pub answer: Answer,
}

/// Which promise a fault concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "each aspect is asked for by a control of its own")]
pub enum Aspect {
    /// The shape as a whole: what is required, unknown, too large, not one of the allowed values.
    Schema,
    /// The type of a value.
    Type,
    /// The format or pattern of a text.
    Format,
    /// The characters of a text.
    Characters,
}

/// What the client is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "each stands for one status")]
pub enum Answer {
    /// 400: the request is not what is served here.
    Bad,
    /// 404: no such path.
    NoPath,
    /// 405: no such method on this path.
    NoMethod,
    /// 415: a kind of body that is not taken here.
    NoMedia,
    /// 413: more than is looked through.
    TooLarge,
}

/// Keywords beside those of JSON Schema.
pub mod keyword {
    /// A path that no operation has.
    pub const PATH: &str = "paths";
    /// A method that the path does not have.
    pub const METHOD: &str = "method";
    /// A kind of body that the operation does not name.
    pub const CONTENT_TYPE: &str = "content";
    /// A body that is coded in a way that hides it (RFC 9110 section 8.4).
    pub const CONTENT_ENCODING: &str = "contentEncoding";
    /// A body where there is to be none.
    pub const NO_BODY: &str = "requestBody";
    /// A text that cannot be read as what it says it is.
    pub const SYNTAX: &str = "syntax";
    /// A name that stands twice where it may stand once.
    pub const DUPLICATE: &str = "duplicate";
    /// More levels than are looked through.
    pub const DEPTH: &str = "depth";
    /// More values, fields or parts than are looked through.
    pub const COUNT: &str = "count";
    /// Bytes that are no UTF-8, or write a character in a longer way than there is (RFC 3629 section 3).
    pub const UTF8: &str = "utf-8";
    /// A control character.
    pub const CONTROL: &str = "control character";
    /// A percent sign with no byte after it, or an encoding that hides a separator.
    pub const PERCENT: &str = "percent-encoding";
}

impl Finding {
    pub(crate) fn new(place: impl Into<String>, keyword: &'static str, aspect: Aspect, answer: Answer) -> Self {
        Self { place: place.into(), keyword: Cow::Borrowed(keyword), aspect, answer }
    }

    pub(crate) fn schema(place: impl Into<String>, keyword: &'static str) -> Self {
        Self::new(place, keyword, Aspect::Schema, Answer::Bad)
    }

    pub(crate) fn characters(place: impl Into<String>, keyword: &'static str) -> Self {
        Self::new(place, keyword, Aspect::Characters, Answer::Bad)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.keyword, if self.place.is_empty() { "/" } else { &self.place })
    }
}

/// Which promises are asked for. A fault of another is let pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked {
    /// Everything that the document says, types and formats among it.
    pub schema: bool,
    /// Types of values.
    pub types: bool,
    /// Formats and patterns.
    pub formats: bool,
}

impl Asked {
    /// Whether anything of a document is asked for.
    #[must_use]
    pub const fn any(self) -> bool {
        self.schema || self.types || self.formats
    }

    pub(crate) const fn covers(self, aspect: Aspect) -> bool {
        match aspect {
            Aspect::Schema => self.schema,
            Aspect::Type => self.schema || self.types,
            Aspect::Format => self.schema || self.formats,
            Aspect::Characters => false,
        }
    }
}
