//! What is inside a sealed value: the names that outside are only hashes, and the value as JSON.
//!
//! ```text
//! u8 form (1) | u16 schema | u16 length, first name | u16 length, second name | JSON
//! ```

use std::io::{self, Write};

use serde::Serialize;
use zeroize::{Zeroize, Zeroizing};

/// A value ready to be sealed; wiped when dropped.
pub(crate) type Plain = Zeroizing<Vec<u8>>;

/// A value as JSON.
///
/// # Errors
/// When the value has no JSON form.
pub(crate) fn json(value: &impl Serialize) -> Result<Plain, serde_json::Error> {
    let mut json = Wiping(Vec::with_capacity(CAPACITY));
    serde_json::to_writer(&mut json, value)?;
    Ok(Zeroizing::new(std::mem::take(&mut json.0)))
}

/// Writes an envelope around a JSON value. Records have one name (their id), messages two (tenant and key). Names are
/// at most [`u16::MAX`] bytes; much shorter ones are refused before.
pub(crate) fn close(schema: u16, names: [&str; 2], json: &[u8]) -> Plain {
    let length = 7 + names.iter().map(|name| name.len()).sum::<usize>() + json.len();
    let mut plain = Zeroizing::new(Vec::with_capacity(length));
    plain.push(FORM);
    plain.extend_from_slice(&schema.to_be_bytes());
    for name in names {
        plain.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_be_bytes());
        plain.extend_from_slice(name.as_bytes());
    }
    plain.extend_from_slice(json);
    plain
}

/// An envelope, read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Open<'p> {
    pub(crate) schema: u16,
    pub(crate) names: [&'p str; 2],
    pub(crate) value: &'p [u8],
}

/// Reads an envelope; nothing if it is none.
pub(crate) fn open(plain: &[u8]) -> Option<Open<'_>> {
    let (form, rest) = plain.split_first()?;
    let (schema, rest) = number(rest)?;
    let (first, rest) = name(rest)?;
    let (second, value) = name(rest)?;
    (*form == FORM).then_some(Open { schema, names: [first, second], value })
}

fn number(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u16::from_be_bytes(*number), rest))
}

fn name(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = number(bytes)?;
    let (name, rest) = rest.split_at_checked(usize::from(length))?;
    Some((std::str::from_utf8(name).ok()?, rest))
}

/// A buffer that leaves nothing behind when it grows.
struct Wiping(Vec<u8>);

impl Wiping {
    fn put(&mut self, bytes: &[u8]) {
        if self.0.capacity() - self.0.len() < bytes.len() {
            let mut larger = Vec::with_capacity((self.0.len() + bytes.len()) * 2);
            larger.extend_from_slice(&self.0);
            std::mem::swap(&mut self.0, &mut larger);
            larger.zeroize();
        }
        self.0.extend_from_slice(bytes);
    }
}

impl Write for Wiping {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Wiping {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The form of the envelope itself.
const FORM: u8 = 1;

const CAPACITY: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_closed_opens_again() {
        let long = "x".repeat(2_000);
        let plain = close(7, ["ada", ""], &json(&long).unwrap());
        let opened = open(&plain).unwrap();
        assert_eq!((opened.schema, opened.names), (7, ["ada", ""]));
        assert_eq!(serde_json::from_slice::<String>(opened.value).unwrap(), long);
    }

    #[test]
    fn anything_cut_or_of_another_form_is_none() {
        let plain = close(1, ["ada", "b"], b"1");
        for length in 0..plain.len() - 1 {
            assert_eq!(open(&plain[..length]), None, "cut at {length}");
        }
        let mut other = plain.to_vec();
        other[0] = 2;
        assert_eq!(open(&other), None);
    }
}
