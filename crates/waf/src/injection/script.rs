//! Script injection: the places of a page in which a value is read, and the verdict on each.

mod html;
mod names;

use memchr::memchr;

use self::html::{Piece, Reader};
use self::names::{Attribute, address_runs_script};

/// Whether the value runs script where text may stand, where attributes may stand, or inside some quotes.
pub(super) fn runs(value: &[u8]) -> bool {
    let tags = memchr(b'<', value).is_some();
    // Inside quotes all is the attribute's value, unless the value ends them.
    let quoted = |quote| memchr(quote, value).is_some() && dangerous(Reader::in_quotes(value, quote));
    (tags && dangerous(Reader::in_text(value)))
        || dangerous(Reader::in_tag(value))
        || quoted(b'\'')
        || quoted(b'"')
        || quoted(b'`')
}

/// The same, with what it is that runs it.
pub(super) fn reason(value: &[u8]) -> Option<&'static str> {
    let quoted = |quote| memchr(quote, value).and_then(|_| found(Reader::in_quotes(value, quote)));
    let text = memchr(b'<', value).and_then(|_| found(Reader::in_text(value)));
    text.or_else(|| found(Reader::in_tag(value))).or_else(|| [b'\'', b'"', b'`'].into_iter().find_map(quoted))
}

fn dangerous(mut reader: Reader<'_>) -> bool {
    reader.any(|piece| runs_script(&piece))
}

fn found(mut reader: Reader<'_>) -> Option<&'static str> {
    let mut reason = None;
    reader.any(|piece| {
        reason = runs_script(&piece).then_some(match piece {
            Piece::Tag(_) => "a tag that runs script",
            Piece::Attribute { .. } => "an attribute that runs script",
            Piece::Comment(_) => "a comment that runs script",
            Piece::Doctype => "a document type",
        });
        reason.is_some()
    });
    reason
}

fn runs_script(piece: &Piece<'_>) -> bool {
    match piece {
        Piece::Tag(name) => names::tag_runs_script(name),
        Piece::Attribute { name, value } => attribute_runs_script(name, value),
        Piece::Comment(text) => comment_runs_script(text),
        // It would make another document of the page.
        Piece::Doctype => true,
    }
}

fn attribute_runs_script(name: &[u8], value: &[u8]) -> bool {
    match Attribute::of(name) {
        Some(Attribute::Script) => true,
        Some(Attribute::Address) => address_runs_script(value),
        Some(Attribute::Name) => Attribute::of(value).is_some(),
        None => false,
    }
}

/// What old versions of Internet Explorer run though it stands in a comment, or in a processing instruction.
fn comment_runs_script(text: &[u8]) -> bool {
    // To them a backquote ends the comment.
    memchr(b'`', text).is_some()
        || (text.len() > 3 && text.get(..3).is_some_and(|start| is_any(start, &["[if", "xml"])))
        || text.get(..6).is_some_and(|start| names::same(start, b"import") || names::same(start, b"entity"))
}

fn is_any(text: &[u8], words: &[&str]) -> bool {
    words.iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes()))
}
