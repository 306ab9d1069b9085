//! Content-Disposition of a part (RFC 7578 section 4.2), and how it is written in the wild.

use super::super::Flags;

/// The names that a part gives itself.
#[derive(Debug, Default)]
pub(super) struct Disposition {
    /// Empty if there is none.
    pub(super) name: Vec<u8>,
    /// Empty if it is not a file.
    pub(super) file: Vec<u8>,
}

impl Disposition {
    pub(super) fn clear(&mut self) {
        self.name.clear();
        self.file.clear();
    }

    /// Reads the field's value. What stands before a fault is kept.
    pub(super) fn read(&mut self, value: &[u8], flags: &mut Flags) -> Result<(), &'static str> {
        let Some(mut rest) = value.strip_prefix(b"form-data") else {
            return Err("multipart: a part that is not form-data");
        };
        let mut fault = Ok(());
        loop {
            rest = blank(rest);
            rest = match rest {
                [] => return fault,
                [b';', after @ ..] => blank(after),
                _ => return Err(unexpected(value, rest, flags)),
            };
            let length = rest.iter().position(|byte| matches!(byte, b'=' | b'\t' | b' ')).unwrap_or(rest.len());
            let (name, after) = rest.split_at(length);
            let [b'=', after @ ..] = blank(after) else {
                return Err("multipart: a part's parameter without a value");
            };
            let target = match name {
                b"name" => Some((&mut self.name, "multipart: a part with two names")),
                b"filename" => Some((&mut self.file, "multipart: a part with two file names")),
                // RFC 7578 forbids this form, and servers read it all the same.
                _ if name.eq_ignore_ascii_case(b"filename*") => {
                    fault = Err("multipart: a part with an encoded file name");
                    Some((&mut self.file, "multipart: a part with two file names"))
                }
                _ => {
                    fault = Err("multipart: a part with an unknown parameter");
                    None
                }
            };
            let mut other = Vec::new();
            let (out, twice) = target.unwrap_or((&mut other, ""));
            if !out.is_empty() {
                return Err(twice);
            }
            rest = parameter(blank(after), out, flags)?;
        }
    }
}

/// Reads a value, quoted or a token; the rest.
fn parameter<'v>(from: &'v [u8], out: &mut Vec<u8>, flags: &mut Flags) -> Result<&'v [u8], &'static str> {
    match from {
        [] => Err("multipart: a part's parameter without a value"),
        [quote @ (b'"' | b'\''), after @ ..] => {
            flags.invalid_quoting |= *quote == b'\'';
            quoted(*quote, after, out).ok_or_else(|| {
                flags.invalid_quoting = true;
                "multipart: a quote without end"
            })
        }
        _ => {
            let length = from.iter().position(|byte| !is_token(*byte)).unwrap_or(from.len());
            let (token, rest) = from.split_at(length);
            out.extend_from_slice(token);
            Ok(rest)
        }
    }
}

/// Only the quote itself and a backslash are escaped: browsers write the backslashes of a path as they are.
fn quoted<'v>(quote: u8, from: &'v [u8], out: &mut Vec<u8>) -> Option<&'v [u8]> {
    let mut rest = from;
    loop {
        let (byte, after) = match rest {
            [b'\\', escaped, after @ ..] if *escaped == quote || *escaped == b'\\' => (*escaped, after),
            [byte, after @ ..] if *byte == quote => return Some(after),
            [byte, after @ ..] => (*byte, after),
            [] => return None,
        };
        out.push(byte);
        rest = after;
    }
}

/// What stands where a semicolon should; right after a quote it is quoting gone wrong.
fn unexpected(value: &[u8], rest: &[u8], flags: &mut Flags) -> &'static str {
    let before = value.get(..value.len() - rest.len()).unwrap_or_default();
    flags.invalid_quoting |= before.ends_with(b"\"") || before.ends_with(b"'");
    "multipart: a part's parameters are not separated by semicolons"
}

fn blank(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !matches!(byte, b'\t' | b' ')).unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

/// RFC 2045 section 5.1.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&byte)
}
