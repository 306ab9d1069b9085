//! Names and values in one line: queries, forms, cookies.

use super::{BodyFault, Limits, limit};
use crate::arena::{Arena, Member, Span};
use crate::transformation::url;

/// A query or a form: `a=b&c`. Percent signs and pluses are undone; a name without `=` has an empty value, and nothing
/// between two separators is nothing.
///
/// # Errors
///
/// [`BodyFault::Limit`] where one argument more would be too many.
pub(crate) fn form(
    text: &[u8],
    separator: u8,
    limits: &Limits,
    arena: &mut Arena,
    members: &mut Vec<Member>,
) -> Result<(), BodyFault> {
    let full = members.len().saturating_add(limits.arguments_max);
    let mut rest = text;
    while !rest.is_empty() {
        let (pair, after) = split(rest, separator);
        rest = after.unwrap_or_default();
        if pair.is_empty() {
            continue;
        }
        if members.len() >= full {
            return Err(limit(limits.arguments_max, "arguments"));
        }
        let (name, value) = split(pair, b'=');
        members.push(Member { name: decoded(name, arena), value: decoded(value.unwrap_or_default(), arena) });
    }
    Ok(())
}

fn decoded(text: &[u8], arena: &mut Arena) -> Span {
    let mark = arena.mark();
    url::decode(text, arena);
    arena.since(mark)
}

/// The Cookie field of a request: `a=b; c=d` (RFC 6265 section 5.4). Nothing is undone. Past the limit of arguments, the
/// rest of the field is the value of a last one without a name: nothing goes unseen.
pub(crate) fn cookies(text: &[u8], limits: &Limits, arena: &mut Arena, members: &mut Vec<Member>) {
    let full = members.len().saturating_add(limits.arguments_max);
    let mut rest = Some(text);
    while let Some(from) = rest {
        let from = from.trim_ascii_start();
        if members.len() >= full && !from.is_empty() {
            members.push(Member { name: Span::EMPTY, value: arena.keep(from) });
            return;
        }
        let (pair, after) = split(from, b';');
        rest = after;
        if pair.is_empty() {
            continue;
        }
        let (name, value) = split(pair, b'=');
        members.push(Member { name: arena.keep(name), value: arena.keep(value.unwrap_or_default()) });
    }
}

/// What stands before the first `mark`, and what after it; none if there is no such mark.
fn split(text: &[u8], mark: u8) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(mark, text) {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
        None => (text, None),
    }
}
