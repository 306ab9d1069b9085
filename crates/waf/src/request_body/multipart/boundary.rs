//! The boundary that a Content-Type names (RFC 2046 section 5.1.1), and the ways in which it is named oddly.

use super::super::Flags;

/// Longer fields are not looked into, in bytes.
const CONTENT_TYPE_BYTES_MAX: usize = 1_024;

/// The boundary, or what is wrong. As strict as ModSecurity, on purpose: it must be the only parameter, since parsers
/// differ over the rest, and what two parsers take for the boundary are two bodies.
pub(super) fn boundary<'c>(content_type: &'c [u8], flags: &mut Flags) -> Result<&'c [u8], &'static str> {
    if content_type.len() > CONTENT_TYPE_BYTES_MAX {
        return Err("multipart: the content type is too long");
    }
    let parameters = after_type(content_type).ok_or("multipart: the content type is not multipart/form-data")?;
    if mentions(content_type) > 1 {
        return Err("multipart: more than one boundary");
    }
    let at = memchr::memmem::find(parameters, NAME).ok_or("multipart: the content type has no boundary")?;
    let (before, from) = parameters.split_at(at);
    match before.trim_ascii() {
        b";" => {}
        b"" => flags.missing_semicolon = true,
        _ => return Err("multipart: something stands before the boundary"),
    }
    let from = from.get(NAME.len()..).unwrap_or_default();
    let equals = memchr::memchr(b'=', from).ok_or("multipart: a boundary without a value")?;
    let (before, value) = from.split_at(equals);
    if !before.trim_ascii().is_empty() {
        return Err("multipart: something stands between the name of the boundary and its value");
    }
    let value = value.get(1..).unwrap_or_default();
    flags.boundary_whitespace |= !before.is_empty() || value.first().is_some_and(u8::is_ascii_whitespace);
    checked(unquoted(value, flags)?)
}

const NAME: &[u8] = b"boundary";

fn after_type(content_type: &[u8]) -> Option<&[u8]> {
    let (name, parameters) = content_type.split_at_checked(b"multipart/form-data".len())?;
    name.eq_ignore_ascii_case(b"multipart/form-data").then_some(parameters)
}

/// How often a text says `boundary`, whatever the case, before an equals sign.
fn mentions(text: &[u8]) -> usize {
    let text = memchr::memrchr(b'=', text).and_then(|last| text.get(..last)).unwrap_or_default();
    text.windows(NAME.len()).filter(|window| window.eq_ignore_ascii_case(NAME)).count()
}

fn unquoted<'c>(value: &'c [u8], flags: &mut Flags) -> Result<&'c [u8], &'static str> {
    match value {
        [b'"', inside @ .., b'"'] => {
            flags.boundary_quoted = true;
            Ok(inside)
        }
        [b'"', ..] | [.., b'"'] => Err("multipart: half a pair of quotes around the boundary"),
        _ => Ok(value),
    }
}

fn checked(boundary: &[u8]) -> Result<&[u8], &'static str> {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b" '()+_,-./:=?".contains(byte);
    if boundary.is_empty() {
        return Err("multipart: an empty boundary");
    }
    if mentions(boundary) > 0 || boundary.ends_with(b" ") || !boundary.iter().all(allowed) {
        return Err("multipart: a boundary of bytes that may not be in one");
    }
    Ok(boundary)
}
