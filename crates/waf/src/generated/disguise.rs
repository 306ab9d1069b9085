//! What a transformation undoes: texts that it makes others of.

use base64::Engine as _;

use crate::transformation::Transformation;

/// The text in forms that a chain of transformations should bring back, and as it is.
pub(super) fn all(text: &[u8], chain: &[Transformation]) -> Vec<Vec<u8>> {
    let mut forms = vec![text.to_vec()];
    for how in chain {
        forms.extend(of(text, *how));
    }
    // All of them on top of each other, the last one first, as an attacker would.
    let all = chain.iter().rev().fold(text.to_vec(), |text, how| of(&text, *how).pop().unwrap_or(text));
    forms.push(all);
    forms.dedup();
    forms
}

fn of(text: &[u8], how: Transformation) -> Vec<Vec<u8>> {
    use Transformation as T;
    match how {
        T::UrlDecode => vec![each(text, |byte| format!("%{byte:02x}"))],
        T::UrlDecodeUni => {
            vec![each(text, |byte| format!("%u00{byte:02X}")), each(text, |byte| format!("%{byte:02X}"))]
        }
        T::HtmlEntityDecode => {
            vec![each(text, |byte| format!("&#{byte};")), each(text, |byte| format!("&#x{byte:x};"))]
        }
        T::JsDecode => vec![each(text, |byte| format!("\\u00{byte:02x}")), each(text, |byte| format!("\\x{byte:02x}"))],
        T::CssDecode => vec![each(text, |byte| format!("\\{byte:06x}")), each(text, |byte| format!("\\{byte:x} "))],
        T::EscapeSeqDecode => {
            vec![each(text, |byte| format!("\\x{byte:02x}")), each(text, |byte| format!("\\{byte:03o}"))]
        }
        T::HexDecode => vec![each(text, |byte| format!("{byte:02x}"))],
        T::Base64Decode | T::Base64DecodeExt => {
            vec![base64::engine::general_purpose::STANDARD.encode(text).into_bytes()]
        }
        T::Lowercase => vec![text.to_ascii_uppercase()],
        T::Uppercase => vec![text.to_ascii_lowercase()],
        T::RemoveNulls => vec![between(text, b"\0")],
        T::RemoveWhitespace => vec![between(text, b" "), between(text, b"\n")],
        T::CompressWhitespace => vec![replaced(text, b" ", b"\t \n")],
        T::ReplaceComments => vec![replaced(text, b" ", b"/* x */")],
        T::RemoveCommentsChar | T::RemoveComments => vec![between(text, b"/**/")],
        T::CmdLine => vec![between(text, b"^"), between(text, b"\\"), replaced(text, b" ", b",;")],
        T::NormalizePath => vec![replaced(text, b"/", b"/./"), replaced(text, b"/", b"/x/../")],
        T::NormalizePathWin => vec![replaced(text, b"/", b"\\"), replaced(text, b"/", b"\\.\\")],
        T::Utf8ToUnicode => vec![wide(text)],
        _ => Vec::new(),
    }
}

fn each(text: &[u8], form: impl Fn(u8) -> String) -> Vec<u8> {
    text.iter().flat_map(|byte| form(*byte).into_bytes()).collect()
}

fn between(text: &[u8], what: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> = text.chunks(1).collect();
    parts.join(what)
}

fn replaced(text: &[u8], what: &[u8], by: &[u8]) -> Vec<u8> {
    text.chunks(1).flat_map(|byte| if byte == what { by.to_vec() } else { byte.to_vec() }).collect()
}

/// In full width (U+FF01 to U+FF5E).
fn wide(text: &[u8]) -> Vec<u8> {
    let character = |byte: u8| match byte {
        0x21..=0x7e => char::from_u32(u32::from(byte) - 0x20 + 0xff00).unwrap(),
        other => char::from(other),
    };
    text.iter().map(|byte| character(*byte)).collect::<String>().into_bytes()
}
