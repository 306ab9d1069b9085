//! Rust values out of document values, with messages that say what was expected.

use std::net::{AddrParseError, SocketAddr};
use std::path::PathBuf;

use crate::quantity::QuantityError;
use crate::{Diagnostic, Period, Rate, Size, Span};

use super::{Kind, Value};

/// A type that can be read from a document's value.
pub trait FromValue: Sized {
    /// What the writer should have written, with an example: `a time such as "15m"`.
    const EXPECTED: &'static str;

    /// Reads it.
    ///
    /// # Errors
    /// A value of another kind, or of the right kind with a content that means nothing.
    fn from_value(value: &Value) -> Result<Self, Mismatch>;
}

/// A value that is not what was asked for.
#[derive(Debug, Clone)]
pub struct Mismatch {
    /// Where.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub expected: String,
}

impl Mismatch {
    /// The value is of another kind.
    #[must_use]
    pub fn kind(value: &Value, expected: &str, found: &Kind) -> Self {
        Self { span: value.span.clone(), message: format!("is {}", found.name()), expected: expected.to_owned() }
    }

    /// The kind is right and the content is not.
    #[expect(clippy::needless_pass_by_value, reason = "callers hand over an error or a `format!` made on the spot")]
    pub fn content(value: &Value, expected: &str, message: impl ToString) -> Self {
        Self { span: value.span.clone(), message: message.to_string(), expected: expected.to_owned() }
    }

    /// As a fault of the key it stands under.
    #[must_use]
    pub fn diagnostic(self, key: &str) -> Diagnostic {
        // A verb goes on from the key; anything else is a sentence of its own.
        let verb = ["is ", "has ", "holds ", "ends "].iter().any(|verb| self.message.starts_with(verb));
        let colon = if verb { "" } else { ":" };
        Diagnostic::error("document::wrong-value", format!("`{key}`{colon} {}", self.message))
            .at(self.span, "this value")
            .help(format!("write {}", self.expected))
    }
}

impl FromValue for String {
    const EXPECTED: &'static str = "a string";

    fn from_value(value: &Value) -> Result<Self, Mismatch> {
        match &value.kind {
            Kind::Text(text) => Ok(text.clone()),
            other => Err(Mismatch::kind(value, Self::EXPECTED, other)),
        }
    }
}

impl FromValue for bool {
    const EXPECTED: &'static str = "`true` or `false`";

    fn from_value(value: &Value) -> Result<Self, Mismatch> {
        match &value.kind {
            Kind::Boolean(truth) => Ok(*truth),
            other => Err(Mismatch::kind(value, Self::EXPECTED, other)),
        }
    }
}

impl FromValue for jiff::civil::Date {
    const EXPECTED: &'static str = "a date such as 2026-11-01, without quotes";

    fn from_value(value: &Value) -> Result<Self, Mismatch> {
        match &value.kind {
            Kind::Date(date) => Ok(*date),
            other => Err(Mismatch::kind(value, Self::EXPECTED, other)),
        }
    }
}

impl<T: FromValue> FromValue for Vec<T> {
    const EXPECTED: &'static str = "a list in brackets";

    fn from_value(value: &Value) -> Result<Self, Mismatch> {
        match &value.kind {
            Kind::List(items) => items.iter().map(T::from_value).collect(),
            other => Err(Mismatch::kind(value, Self::EXPECTED, other)),
        }
    }
}

impl FromValue for SocketAddr {
    const EXPECTED: &'static str = "an IP address with a port such as \"127.0.0.1:8443\"";

    fn from_value(value: &Value) -> Result<Self, Mismatch> {
        match &value.kind {
            Kind::Text(text) => text.parse().map_err(|_: AddrParseError| {
                Mismatch::content(value, Self::EXPECTED, format!("`{text}` is no IP address with a port"))
            }),
            other => Err(Mismatch::kind(value, Self::EXPECTED, other)),
        }
    }
}

macro_rules! whole_number {
    ($($type:ty => $expected:literal),* $(,)?) => {$(
        impl FromValue for $type {
            const EXPECTED: &'static str = $expected;

            fn from_value(value: &Value) -> Result<Self, Mismatch> {
                match &value.kind {
                    Kind::Integer(number) => Self::try_from(*number).map_err(|_| {
                        Mismatch::content(value, Self::EXPECTED, format!("{number} is out of range"))
                    }),
                    other => Err(Mismatch::kind(value, Self::EXPECTED, other)),
                }
            }
        }
    )*};
}

whole_number! {
    u8 => "a whole number from 0 to 255",
    u16 => "a whole number from 0 to 65535",
    u32 => "a whole number from 0 to 4294967295",
    u64 => "a whole number, not negative",
}

macro_rules! parsed_text {
    ($($type:ty, $error:ty => $expected:literal),* $(,)?) => {$(
        impl FromValue for $type {
            const EXPECTED: &'static str = $expected;

            fn from_value(value: &Value) -> Result<Self, Mismatch> {
                match &value.kind {
                    Kind::Text(text) => text
                        .parse()
                        .map_err(|error: $error| Mismatch::content(value, Self::EXPECTED, error)),
                    other => Err(Mismatch::kind(value, Self::EXPECTED, other)),
                }
            }
        }
    )*};
}

parsed_text! {
    Period, QuantityError => "a time such as \"15m\", \"72h\", \"30d\" or \"12 months\"",
    Size, QuantityError => "a size such as \"16 KiB\" or \"1 MiB\"",
    Rate, QuantityError => "a rate such as \"60/min\" or \"5/s\"",
    PathBuf, std::convert::Infallible => "a path in quotes",
}
