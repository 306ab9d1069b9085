//! Reads an OpenAPI document, in YAML or JSON, within bounds, and finds what its references point at.

use serde_json::Value;

/// Why a document cannot be used. Every message names the place in it and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContractError {
    /// More bytes than are read.
    #[error("the document has {bytes} bytes, more than {DOCUMENT_BYTES_MAX}: split it by upstream")]
    TooLarge {
        /// How many.
        bytes: usize,
    },
    /// It is neither YAML nor JSON.
    #[error("line {line}: {cause}")]
    Syntax {
        /// The line, from 1; 0 if the parser does not say.
        line: u64,
        /// What the parser says.
        cause: String,
    },
    /// It is no OpenAPI document of a version that is read.
    #[error("{0}: write `openapi: 3.1.0` or `openapi: 3.0.3` at the top")]
    Version(String),
    /// Something in it means nothing, or nothing that can be checked.
    #[error("{place}: {cause}")]
    Meaning {
        /// JSON pointer into the document.
        place: String,
        /// What is wrong, and what to write instead.
        cause: String,
    },
}

impl ContractError {
    pub(crate) fn at(place: impl Into<String>, cause: impl Into<String>) -> Self {
        let place = place.into();
        Self::Meaning {
            place: if place.is_empty() { String::from("#") } else { format!("#{place}") },
            cause: cause.into(),
        }
    }
}

/// A document that was read, and not understood yet.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) root: Value,
    pub(crate) dialect: Dialect,
}

/// Which version of OpenAPI a document is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// 3.0: a dialect of its own, with `nullable` and boolean `exclusiveMinimum`.
    V30,
    /// 3.1: JSON Schema 2020-12.
    V31,
}

impl Document {
    /// Reads the text. JSON is YAML, but its own parser is faster and says better what is wrong.
    pub(crate) fn read(text: &[u8]) -> Result<Self, ContractError> {
        if text.len() > DOCUMENT_BYTES_MAX {
            return Err(ContractError::TooLarge { bytes: text.len() });
        }
        let syntax = |line, cause: String| ContractError::Syntax { line, cause };
        let text = std::str::from_utf8(text).map_err(|error| {
            let before = text.get(..error.valid_up_to()).unwrap_or_default();
            syntax(lines(before), String::from("bytes that are no UTF-8: save the document as UTF-8"))
        })?;
        let root: Value = if text.trim_start().starts_with('{') {
            let limits = crate::json::JsonLimits { depth_max: DEPTH_MAX, values_max: VALUES_MAX };
            match serde_json::from_str::<serde::de::IgnoredAny>(text) {
                Err(error) => return Err(syntax(error.line() as u64, error.to_string())),
                Ok(_) => crate::json::read(text.as_bytes(), limits, crate::json::Controls::Pass).map_err(|flaw| {
                    syntax(0, format!("{flaw}: a name stands twice, or it is too deep or too large"))
                })?,
            }
        } else {
            serde_saphyr::from_str_with_options(text, yaml_options())
                .map_err(|error| syntax(error.location().map_or(0, |at| at.line()), first_line(&error)))?
        };
        let dialect = dialect(&root)?;
        Ok(Self { root, dialect })
    }

    /// What a reference inside the document points at, and its pointer, through references to references.
    pub(crate) fn follow<'d>(&'d self, value: &'d Value, place: &str) -> Result<(&'d Value, String), ContractError> {
        let (mut value, mut place) = (value, place.to_owned());
        for _ in 0..REFERENCES_MAX {
            let Some(reference) = value.get("$ref") else { return Ok((value, place)) };
            let pointer = pointer(reference, &place)?;
            value = self.root.pointer(&pointer).ok_or_else(|| dangling(&place, &pointer))?;
            place = pointer;
        }
        Err(ContractError::at(
            place,
            format!("more than {REFERENCES_MAX} references lead to each other: name the thing itself"),
        ))
    }
}

/// The pointer of a `$ref`, which must stay within the document.
pub(crate) fn pointer(reference: &Value, place: &str) -> Result<String, ContractError> {
    let wrong = |cause: &str| ContractError::at(place.to_owned(), cause.to_owned());
    let text = reference.as_str().ok_or_else(|| wrong("`$ref` is no text"))?;
    let Some(pointer) = text.strip_prefix('#') else {
        return Err(wrong("`$ref` leads out of the document, which nothing is fetched for: bundle the files into one"));
    };
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return Err(wrong("`$ref` names an anchor: write a pointer such as `#/components/schemas/Order`"));
    }
    let decoded = percent_encoding::percent_decode_str(pointer).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| wrong("`$ref` is no UTF-8"))
}

pub(crate) fn dangling(place: &str, pointer: &str) -> ContractError {
    ContractError::at(place, format!("`$ref` points at `#{pointer}`, and there is nothing"))
}

/// A pointer with one more segment (RFC 6901 section 3).
pub(crate) fn below(place: &str, segment: &str) -> String {
    format!("{place}/{}", segment.replace('~', "~0").replace('/', "~1"))
}

fn dialect(root: &Value) -> Result<Dialect, ContractError> {
    if root.get("swagger").is_some() {
        return Err(ContractError::Version(String::from("this is Swagger 2.0, which is converted first")));
    }
    match root.get("openapi").and_then(Value::as_str) {
        Some(version) if version.starts_with("3.0.") => Ok(Dialect::V30),
        Some(version) if version.starts_with("3.1.") => Ok(Dialect::V31),
        Some(_) => Err(ContractError::Version(String::from("`openapi` is of another version than 3.0 and 3.1"))),
        None => Err(ContractError::Version(String::from("there is no `openapi`, so this is no OpenAPI document"))),
    }
}

fn yaml_options() -> serde_saphyr::Options {
    let mut budget = serde_saphyr::Budget::default();
    budget.max_depth = usize::from(DEPTH_MAX);
    budget.max_documents = 1;
    budget.max_nodes = VALUES_MAX as usize;
    budget.max_aliases = ALIASES_MAX;
    let mut options = serde_saphyr::Options::default();
    options.budget = Some(budget);
    options.duplicate_keys = serde_saphyr::DuplicateKeyPolicy::Error;
    options
}

fn first_line(error: &serde_saphyr::Error) -> String {
    error.without_snippet().to_string().lines().next().unwrap_or_default().to_owned()
}

fn lines(text: &[u8]) -> u64 {
    1 + text.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// The largest documents in use, of whole clouds, have about this.
pub const DOCUMENT_BYTES_MAX: usize = 8 << 20;
/// Values in a document.
const VALUES_MAX: u32 = 400_000;
const DEPTH_MAX: u16 = 60;
const ALIASES_MAX: usize = 1_000;
/// A reference to a reference to a reference is a mistake long before this.
const REFERENCES_MAX: usize = 16;
