//! Reading a TOML document that a person wrote, with the place of every value and all faults in one run.
//!
//! The parser is the `toml` crate's; this module turns its answer into an owned tree with spans, and offers
//! [`Fields`]: a reader of one table that notices wrong kinds, missing keys and keys nobody asked for.
//!
//! Bounds: [`limit::DOCUMENT_BYTES_MAX`] bytes; nesting as deep as the parser allows (80 levels).

mod syntax;
mod value;

use std::borrow::Cow;

use toml::de::{DeTable, DeValue};

use crate::diagnostic::nearest;
use crate::{Diagnostic, Severity, Source, Span, limit};

pub use value::{FromValue, Mismatch};

/// A document that is well-formed TOML.
#[derive(Debug, Clone)]
pub struct Document {
    /// The text it was read from.
    pub source: Source,
    /// Its top level.
    pub root: Table,
}

/// A table: its entries in the order they were written.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Where it stands. For `[a.b]` that is the header.
    pub span: Span,
    /// Key by key.
    pub entries: Vec<Entry>,
}

/// One key with its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key, unquoted.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub value: Value,
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub struct Value {
    /// Where.
    pub span: Span,
    /// What.
    pub kind: Kind,
}

/// The kinds of value that TOML has.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A string.
    Text(String),
    /// A whole number that fits.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A date without time.
    Date(jiff::civil::Date),
    /// Any other date or time, as written.
    Datetime(String),
    /// A list.
    List(Vec<Value>),
    /// A table, inline or not.
    Table(Table),
}

impl Kind {
    /// What it is called in a message: `an integer`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number with a fraction",
            Self::Boolean(_) => "a boolean",
            Self::Date(_) => "a date",
            Self::Datetime(_) => "a time of day or a date with time",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

impl Table {
    /// The entry under `key`.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

/// Faults found so far, under one prefix of codes (`policy::…`).
#[derive(Debug, Default)]
pub struct Faults {
    list: Vec<Diagnostic>,
}

impl Faults {
    /// Takes one more.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Whether any of them is an error.
    #[must_use]
    pub fn any_error(&self) -> bool {
        self.list.iter().any(|fault| fault.severity == Severity::Error)
    }

    /// All of them, in the order of the text.
    #[must_use]
    pub fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|fault| fault.labels.first().map_or(0, |label| label.span.start));
        self.list
    }
}

/// Reads `bytes` as a document called `name`.
///
/// # Errors
/// All faults of form: too large, not UTF-8, not TOML, a number out of range. The source comes back with them, so that
/// they can be drawn; of a text that is not UTF-8 it holds the lines up to the first wrong byte, which stands in it as
/// U+FFFD.
pub fn parse(name: &str, bytes: &[u8]) -> Result<Document, (Source, Vec<Diagnostic>)> {
    if bytes.len() > limit::DOCUMENT_BYTES_MAX {
        // Its size is not named: who reads it may have stopped at the limit.
        let largest = crate::Size::from_bytes(limit::DOCUMENT_BYTES_MAX as u64);
        let message = format!("the file is larger than {largest}, the most that is read");
        let fault = Diagnostic::error("document::too-large", message).help("is this the file you meant?");
        return Err((Source::new(name, ""), vec![fault]));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => return Err(not_utf8(name, bytes, error.valid_up_to())),
    };
    let source = Source::new(name, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut faults = syntax::faults(text, &errors);
    let span = table.span();
    let root = convert_table(span, table.into_inner(), &mut faults);
    if faults.is_empty() { Ok(Document { source, root }) } else { Err((source, faults)) }
}

fn not_utf8(name: &str, bytes: &[u8], valid: usize) -> (Source, Vec<Diagnostic>) {
    let rest = bytes.get(valid..).unwrap_or_default();
    let line_end = rest.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |newline| valid + newline);
    let readable = bytes.get(..line_end).map(String::from_utf8_lossy).unwrap_or_default();
    let wrong = rest.first().copied().unwrap_or_default();
    let fault = Diagnostic::error("document::not-utf8", format!("byte {valid} (0x{wrong:02x}) is not UTF-8"))
        .at(valid..valid + char::REPLACEMENT_CHARACTER.len_utf8(), "readable up to here")
        .help("save the file as UTF-8; `iconv -f latin1 -t utf-8` converts the commonest other encoding");
    (Source::new(name, readable.as_ref()), vec![fault])
}

fn convert_table(span: Span, table: DeTable<'_>, faults: &mut Vec<Diagnostic>) -> Table {
    let entries = table
        .into_iter()
        .map(|(key, value)| Entry {
            key_span: key.span(),
            key: key.into_inner().into_owned(),
            value: convert(value.span(), value.into_inner(), faults),
        })
        .collect();
    Table { span, entries }
}

fn convert(span: Span, value: DeValue<'_>, faults: &mut Vec<Diagnostic>) -> Value {
    let kind = match value {
        DeValue::String(text) => Kind::Text(Cow::into_owned(text)),
        DeValue::Integer(number) => {
            let parsed = i64::from_str_radix(number.as_str(), number.radix());
            if parsed.is_err() {
                let message = format!("`{number}` is too large for a whole number");
                faults.push(Diagnostic::error("document::number", message).at(span.clone(), "at most 2^63 - 1"));
            }
            Kind::Integer(parsed.unwrap_or_default())
        }
        DeValue::Float(number) => Kind::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(truth) => Kind::Boolean(truth),
        DeValue::Datetime(datetime) => {
            let text = datetime.to_string();
            // Only a bare date parses as one here; a date with time keeps its text for the message.
            let date = if datetime.time.is_none() { text.parse().ok() } else { None };
            date.map_or(Kind::Datetime(text), Kind::Date)
        }
        DeValue::Array(items) => {
            Kind::List(items.into_iter().map(|item| convert(item.span(), item.into_inner(), faults)).collect())
        }
        DeValue::Table(table) => Kind::Table(convert_table(span.clone(), table, faults)),
    };
    Value { span, kind }
}

/// Reads the keys of one table. Whatever is not asked for by the time of [`Fields::finish`] is a fault.
pub struct Fields<'t, 'f> {
    table: &'t Table,
    /// What the table is called in messages: `clause \`lockout\``.
    place: String,
    faults: &'f mut Faults,
    asked: Vec<&'static str>,
}

impl<'t, 'f> Fields<'t, 'f> {
    /// Begins to read `table`, which messages call `place`.
    pub fn new(table: &'t Table, place: impl Into<String>, faults: &'f mut Faults) -> Self {
        Self { table, place: place.into(), faults, asked: Vec::new() }
    }

    /// Where faults go that only the caller can see.
    pub const fn faults(&mut self) -> &mut Faults {
        self.faults
    }

    /// The raw value under `key`, if it is there.
    pub fn value(&mut self, key: &'static str) -> Option<&'t Value> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.table.entry(key).map(|entry| &entry.value)
    }

    /// The value under `key`, if it is there and of the right kind. A wrong kind is recorded.
    pub fn optional<T: FromValue>(&mut self, key: &'static str) -> Option<T> {
        let value = self.value(key)?;
        self.accept(key, value)
    }

    /// The value under `key`; that it is missing or of a wrong kind is recorded.
    pub fn required<T: FromValue>(&mut self, key: &'static str) -> Option<T> {
        match self.value(key) {
            Some(value) => self.accept(key, value),
            None => {
                let message = format!("{} has no `{key}`", self.place);
                let help = format!("add `{key} = …`: {}", T::EXPECTED);
                let fault = Diagnostic::error("document::missing-key", message);
                self.faults.push(fault.at(self.table.span.clone(), format!("`{key}` is missing")).help(help));
                None
            }
        }
    }

    /// The table under `key`, if it is there and is one.
    pub fn table(&mut self, key: &'static str) -> Option<&'t Table> {
        let value = self.value(key)?;
        match &value.kind {
            Kind::Table(table) => Some(table),
            other => {
                let mismatch = Mismatch::kind(value, "a table", other);
                self.faults.push(mismatch.diagnostic(key));
                None
            }
        }
    }

    /// Ends the reading: every key that was not asked for is a fault.
    pub fn finish(self) {
        for entry in &self.table.entries {
            if self.asked.contains(&entry.key.as_str()) {
                continue;
            }
            let message = format!("{} knows no `{}`", self.place, entry.key);
            let help = nearest(&entry.key, self.asked.iter().copied()).map_or_else(
                || format!("known here: {}", self.asked.join(", ")),
                |meant| format!("did you mean `{meant}`?"),
            );
            let fault = Diagnostic::error("document::unknown-key", message);
            self.faults.push(fault.at(entry.key_span.clone(), "unknown key").help(help));
        }
    }

    fn accept<T: FromValue>(&mut self, key: &str, value: &Value) -> Option<T> {
        T::from_value(value).map_err(|mismatch| self.faults.push(mismatch.diagnostic(key))).ok()
    }
}

#[cfg(test)]
mod tests;
