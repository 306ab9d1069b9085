//! From the bytes of a request to the members of its collections: queries, forms, multipart, JSON, XML, cookies.

mod form;
mod json;
mod multipart;
#[cfg(test)]
mod tests;
mod xml;

pub(crate) use form::{cookies, form};
pub(crate) use json::json;
pub(crate) use multipart::multipart;
pub(crate) use xml::xml;

use crate::arena::{Member, Span};

/// What one request may hold. Past a limit the rest is not looked into, and the fault says so.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Arguments of a body, from 1.
    pub(crate) arguments_max: usize,
    /// Objects and arrays, or elements, within each other.
    pub(crate) depth_max: u32,
    /// Parts of a multipart body.
    pub(crate) parts_max: usize,
    /// Elements and attributes of an XML body.
    pub(crate) nodes_max: usize,
}

/// Why a body could not be read to its end. The members found before it are kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyFault {
    /// It is not what it says that it is.
    #[error("{0}")]
    Malformed(String),
    /// It holds more than it may.
    #[error("more than {0}")]
    Limit(String),
}

/// What a multipart body shows beside its fields.
#[derive(Debug, Default)]
pub(crate) struct Multipart {
    /// Fields: name and value.
    pub(crate) fields: Vec<Member>,
    /// Files: the field's name and the file's.
    pub(crate) files: Vec<Member>,
    /// Sizes of the files, in the same order.
    pub(crate) sizes: Vec<u64>,
    /// Every header line of every part: the part's name, and the line as `Name: value`.
    pub(crate) part_headers: Vec<Member>,
    pub(crate) flags: Flags,
}

/// What is unusual in a multipart body (RFC 2046, RFC 7578); each is a variable `MULTIPART_...` of SecLang.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a variable of its own, and any of them may be set")]
pub(crate) struct Flags {
    pub(crate) boundary_quoted: bool,
    pub(crate) boundary_whitespace: bool,
    pub(crate) data_before: bool,
    pub(crate) data_after: bool,
    pub(crate) header_folding: bool,
    pub(crate) invalid_header_folding: bool,
    pub(crate) lf_line: bool,
    pub(crate) crlf_lf_lines: bool,
    pub(crate) missing_semicolon: bool,
    pub(crate) invalid_quoting: bool,
    pub(crate) invalid_part: bool,
    pub(crate) file_limit_exceeded: bool,
    pub(crate) unmatched_boundary: bool,
}

/// The texts of an XML body.
#[derive(Debug, Default)]
pub(crate) struct Xml {
    /// All texts, one after the other, as `XML:/*` gives them.
    pub(crate) text: Span,
    /// Every attribute's value.
    pub(crate) attributes: Vec<Span>,
}

/// The first fault of a body; reading goes on after it where it can, so that rules see what a lenient reader would.
#[derive(Debug, Default)]
struct Faults(Option<BodyFault>);

impl Faults {
    fn malformed(&mut self, what: &str) {
        if self.0.is_none() {
            self.0 = Some(BodyFault::Malformed(what.to_owned()));
        }
    }

    fn limit(&mut self, maximum: usize, what: &str) {
        if self.0.is_none() {
            self.0 = Some(limit(maximum, what));
        }
    }

    fn into_result(self) -> Result<(), BodyFault> {
        self.0.map_or(Ok(()), Err)
    }
}

fn limit(maximum: usize, what: &str) -> BodyFault {
    BodyFault::Limit(format!("{maximum} {what}"))
}
