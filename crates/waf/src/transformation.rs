//! What is done to a value before it is tested, so that one way of writing an attack is not a way past the test.
//!
//! Each runs in linear time, and writes at most three times the bytes of the value and twenty more. Where ModSecurity 2,
//! ModSecurity 3 and Coraza differ, the reading that hides less from a rule was taken; the place says so.

mod code_page;
mod encoding;
mod escape;
mod path;
mod space;
#[cfg(test)]
mod tests;
pub(crate) mod url;

use crate::byte_set::ByteSet;

/// A transformation of SecLang. Its documentation is ModSecurity's reference manual, "Transformation functions".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Transformation {
    Base64Decode,
    Base64DecodeExt,
    Base64Encode,
    CmdLine,
    CompressWhitespace,
    CssDecode,
    EscapeSeqDecode,
    HexDecode,
    HexEncode,
    HtmlEntityDecode,
    JsDecode,
    Length,
    Lowercase,
    Md5,
    NormalizePath,
    NormalizePathWin,
    ParityEven7bit,
    ParityOdd7bit,
    ParityZero7bit,
    RemoveComments,
    RemoveCommentsChar,
    RemoveNulls,
    RemoveWhitespace,
    ReplaceComments,
    ReplaceNulls,
    Sha1,
    SqlHexDecode,
    Trim,
    TrimLeft,
    TrimRight,
    Uppercase,
    UrlDecode,
    UrlDecodeUni,
    UrlEncode,
    Utf8ToUnicode,
}

const NAMES: &[(&str, Transformation)] = &[
    ("base64Decode", Transformation::Base64Decode),
    ("base64DecodeExt", Transformation::Base64DecodeExt),
    ("base64Encode", Transformation::Base64Encode),
    ("cmdLine", Transformation::CmdLine),
    ("compressWhitespace", Transformation::CompressWhitespace),
    ("cssDecode", Transformation::CssDecode),
    ("escapeSeqDecode", Transformation::EscapeSeqDecode),
    ("hexDecode", Transformation::HexDecode),
    ("hexEncode", Transformation::HexEncode),
    ("htmlEntityDecode", Transformation::HtmlEntityDecode),
    ("jsDecode", Transformation::JsDecode),
    ("length", Transformation::Length),
    ("lowercase", Transformation::Lowercase),
    ("md5", Transformation::Md5),
    ("normalisePath", Transformation::NormalizePath),
    ("normalisePathWin", Transformation::NormalizePathWin),
    ("parityEven7bit", Transformation::ParityEven7bit),
    ("parityOdd7bit", Transformation::ParityOdd7bit),
    ("parityZero7bit", Transformation::ParityZero7bit),
    ("removeComments", Transformation::RemoveComments),
    ("removeCommentsChar", Transformation::RemoveCommentsChar),
    ("removeNulls", Transformation::RemoveNulls),
    ("removeWhitespace", Transformation::RemoveWhitespace),
    ("replaceComments", Transformation::ReplaceComments),
    ("replaceNulls", Transformation::ReplaceNulls),
    ("sha1", Transformation::Sha1),
    ("sqlHexDecode", Transformation::SqlHexDecode),
    ("trim", Transformation::Trim),
    ("trimLeft", Transformation::TrimLeft),
    ("trimRight", Transformation::TrimRight),
    ("uppercase", Transformation::Uppercase),
    ("urlDecode", Transformation::UrlDecode),
    ("urlDecodeUni", Transformation::UrlDecodeUni),
    ("urlEncode", Transformation::UrlEncode),
    ("utf8toUnicode", Transformation::Utf8ToUnicode),
    ("normalizePath", Transformation::NormalizePath),
    ("normalizePathWin", Transformation::NormalizePathWin),
];

impl Transformation {
    /// The transformation of a name, whatever the case of its letters. `none` is not one: it empties the list.
    pub(crate) fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, transformation)| *transformation)
    }

    /// Its name, as rules write it.
    pub(crate) fn name(self) -> &'static str {
        NAMES.iter().find(|(_, transformation)| *transformation == self).map_or("", |(name, _)| name)
    }

    /// Values without any of these bytes stay as they are; none if it can change any value.
    pub(crate) const fn triggers(self) -> Option<ByteSet> {
        const NONE: ByteSet = ByteSet::EMPTY;
        const SPACES: ByteSet = NONE.with_range(b'\t', b'\r').with(b' ');
        const NOT_ASCII: ByteSet = NONE.with_range(0x80, 0xff);
        const UPPER: ByteSet = NONE.with_range(b'A', b'Z');
        Some(match self {
            Self::CmdLine => UPPER.union(SPACES).with(b'"').with(b'\'').with(b'\\').with(b'^').with(b',').with(b';'),
            Self::CompressWhitespace | Self::RemoveWhitespace => SPACES.with(space::NO_BREAK_SPACE),
            Self::CssDecode | Self::EscapeSeqDecode | Self::JsDecode => NONE.with(b'\\'),
            Self::HtmlEntityDecode => NONE.with(b'&'),
            Self::Lowercase => UPPER,
            Self::NormalizePath => NONE.with(b'/').with(b'.'),
            Self::NormalizePathWin => NONE.with(b'/').with(b'.').with(b'\\'),
            Self::ParityZero7bit | Self::Utf8ToUnicode => NOT_ASCII,
            Self::RemoveComments => NONE.with(b'/').with(b'<').with(b'-').with(b'#'),
            Self::RemoveCommentsChar => NONE.with(b'/').with(b'<').with(b'-').with(b'#').with(b'*'),
            Self::RemoveNulls | Self::ReplaceNulls => NONE.with(0),
            Self::ReplaceComments => NONE.with(b'/'),
            Self::SqlHexDecode => NONE.with(b'x').with(b'X'),
            Self::Trim | Self::TrimLeft | Self::TrimRight => SPACES,
            Self::Uppercase => NONE.with_range(b'a', b'z'),
            Self::UrlDecode | Self::UrlDecodeUni => NONE.with(b'%').with(b'+'),
            Self::Base64Decode
            | Self::Base64DecodeExt
            | Self::Base64Encode
            | Self::HexDecode
            | Self::HexEncode
            | Self::Length
            | Self::Md5
            | Self::ParityEven7bit
            | Self::ParityOdd7bit
            | Self::Sha1
            | Self::UrlEncode => return None,
        })
    }

    /// Writes what becomes of the value to `out`, which is empty; nothing, and false, if it stays as it is.
    pub(crate) fn apply(self, value: &[u8], out: &mut Vec<u8>) -> bool {
        self.write(value, out);
        let changed = out.as_slice() != value;
        if !changed {
            out.clear();
        }
        changed
    }

    fn write(self, value: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Base64Decode => encoding::base64_decode(value, encoding::Foreign::Ends, out),
            Self::Base64DecodeExt => encoding::base64_decode(value, encoding::Foreign::Skipped, out),
            Self::Base64Encode => encoding::base64_encode(value, out),
            Self::CmdLine => space::command_line(value, out),
            Self::CompressWhitespace => space::compress(value, out),
            Self::CssDecode => escape::css(value, out),
            Self::EscapeSeqDecode => escape::ansi_c(value, out),
            Self::HexDecode => encoding::hex_decode(value, out),
            Self::HexEncode => encoding::hex_encode(value, out),
            Self::HtmlEntityDecode => escape::html(value, out),
            Self::JsDecode => escape::javascript(value, out),
            Self::Length => out.extend_from_slice(value.len().to_string().as_bytes()),
            Self::Lowercase => out.extend(value.iter().map(u8::to_ascii_lowercase)),
            Self::Md5 => encoding::md5(value, out),
            Self::NormalizePath => path::normalize(value, |byte| byte == b'/', out),
            Self::NormalizePathWin => path::normalize(value, |byte| byte == b'/' || byte == b'\\', out),
            Self::ParityEven7bit => out.extend(value.iter().map(|byte| encoding::parity(*byte, 0))),
            Self::ParityOdd7bit => out.extend(value.iter().map(|byte| encoding::parity(*byte, 1))),
            Self::ParityZero7bit => out.extend(value.iter().map(|byte| byte & 0x7f)),
            Self::RemoveComments => space::remove_comments(value, out),
            Self::RemoveCommentsChar => space::remove_comment_marks(value, out),
            Self::RemoveNulls => out.extend(value.iter().filter(|byte| **byte != 0)),
            Self::RemoveWhitespace => out.extend(value.iter().filter(|byte| !space::is_wide_space(**byte))),
            Self::ReplaceComments => space::replace_comments(value, out),
            Self::ReplaceNulls => out.extend(value.iter().map(|byte| if *byte == 0 { b' ' } else { *byte })),
            Self::Sha1 => encoding::sha1(value, out),
            Self::SqlHexDecode => encoding::sql_hex_decode(value, out),
            Self::Trim => out.extend_from_slice(space::trim_left(space::trim_right(value))),
            Self::TrimLeft => out.extend_from_slice(space::trim_left(value)),
            Self::TrimRight => out.extend_from_slice(space::trim_right(value)),
            Self::Uppercase => out.extend(value.iter().map(u8::to_ascii_uppercase)),
            Self::UrlDecode => url::decode(value, out),
            Self::UrlDecodeUni => url::decode_unicode(value, out),
            Self::UrlEncode => url::encode(value, out),
            Self::Utf8ToUnicode => escape::utf8_to_unicode(value, out),
        }
    }
}

/// Copies a text, and gives `replace` what stands from each `mark` on: it writes what that means, and tells how many
/// bytes it has used up, at least one.
fn replace_at(mark: u8, value: &[u8], out: &mut Vec<u8>, mut replace: impl FnMut(&[u8], &mut Vec<u8>) -> usize) {
    let mut rest = value;
    while let Some(at) = memchr::memchr(mark, rest) {
        let (before, from) = rest.split_at(at);
        out.extend_from_slice(before);
        let used = replace(from, out).max(1);
        rest = from.get(used..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// The byte that two hexadecimal digits stand for; none if they are not digits, or not there.
fn hex_pair(high: Option<&u8>, low: Option<&u8>) -> Option<u8> {
    Some(hex_digit(*high?)? << 4 | hex_digit(*low?)?)
}

const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// U+FF01 to U+FF5E are the printable characters of ASCII in full width; of others, the low byte.
#[expect(clippy::cast_possible_truncation, reason = "the low byte is what is wanted")]
const fn narrow(code: u32) -> u8 {
    match code {
        0xff01..=0xff5e => (code - 0xff00 + 0x20) as u8,
        _ => code as u8,
    }
}
