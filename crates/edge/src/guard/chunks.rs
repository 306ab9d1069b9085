//! A walk over a chunked body (RFC 9112 section 7.1) that finds its end and refuses what can be read in two ways.

use crate::refusal::Refusal;

/// Where in the body the walk stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunks {
    at: At,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In the size, of which so many digits were read.
    Size { value: u64, digits: u8 },
    /// Behind the CR that ends the size.
    SizeEnd { value: u64 },
    /// In the data.
    Data { left: u64 },
    /// Behind the data: its CR LF.
    DataEnd { cr_seen: bool },
    /// Behind the last chunk: the empty trailer's CR LF.
    Trailer { cr_seen: bool },
    /// Behind everything.
    End,
}

impl Chunks {
    pub(super) const fn new() -> Self {
        Self { at: At::Size { value: 0, digits: 0 } }
    }

    /// Walks over `bytes` and says how many of them belong to this body. [`Chunks::ended`] tells whether they end it.
    pub(super) fn walk(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let mut walked = 0;
        while let Some(byte) = bytes.get(walked) {
            match self.at {
                At::End => break,
                At::Data { left } => {
                    let here = left.min((bytes.len() - walked) as u64);
                    self.at =
                        if here == left { At::DataEnd { cr_seen: false } } else { At::Data { left: left - here } };
                    walked += usize::try_from(here).unwrap_or(usize::MAX);
                    continue;
                }
                At::Size { value, digits } => self.at = size(*byte, value, digits)?,
                At::SizeEnd { value: 0 } if *byte == b'\n' => self.at = At::Trailer { cr_seen: false },
                At::SizeEnd { value } if *byte == b'\n' => self.at = At::Data { left: value },
                At::DataEnd { cr_seen: false } if *byte == b'\r' => self.at = At::DataEnd { cr_seen: true },
                At::DataEnd { cr_seen: true } if *byte == b'\n' => self.at = At::Size { value: 0, digits: 0 },
                At::Trailer { cr_seen: false } if *byte == b'\r' => self.at = At::Trailer { cr_seen: true },
                At::Trailer { cr_seen: true } if *byte == b'\n' => self.at = At::End,
                At::Trailer { cr_seen: false } => return Err(Refusal::Malformed("a trailer behind a chunked body")),
                At::SizeEnd { .. } | At::DataEnd { .. } | At::Trailer { cr_seen: true } => {
                    return Err(Refusal::Malformed("a chunk does not end in CR LF"));
                }
            }
            walked += 1;
        }
        Ok(walked)
    }

    pub(super) fn ended(&self) -> bool {
        self.at == At::End
    }
}

fn size(byte: u8, value: u64, digits: u8) -> Result<At, Refusal> {
    let digit = match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        b'A'..=b'F' => byte - b'A' + 10,
        b'\r' if digits > 0 => return Ok(At::SizeEnd { value }),
        // A chunk extension among them: nobody needs one, and parsers disagree on where it ends.
        _ => return Err(Refusal::Malformed("a chunk size that is no plain hexadecimal number")),
    };
    if digits == DIGITS_MAX {
        return Err(Refusal::Malformed("a chunk size that is too long"));
    }
    Ok(At::Size { value: (value << 4) | u64::from(digit), digits: digits + 1 })
}

/// Fifteen hexadecimal digits are an exabyte and cannot overflow.
const DIGITS_MAX: u8 = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Result<(usize, bool), &'static str>) {
        let mut chunks = Chunks::new();
        let found = chunks.walk(body.as_bytes()).map(|walked| (walked, chunks.ended()));
        assert_eq!(found, expected.map_err(Refusal::Malformed), "{body:?}");
        // Byte by byte must come to the same.
        let mut chunks = Chunks::new();
        let walked = body.bytes().try_fold(0, |sum, byte| chunks.walk(&[byte]).map(|walked| sum + walked));
        assert_eq!(walked.map(|walked| (walked, chunks.ended())), found, "in pieces: {body:?}");
    }

    #[test]
    fn bodies_end_where_their_last_chunk_ends() {
        check("0\r\n\r\n", Ok((5, true)));
        check("3\r\nabc\r\n0\r\n\r\nGET /", Ok((13, true)));
        check("A\r\n0123456789\r\n", Ok((15, false)));
        check("00\r\n\r\n", Ok((6, true)));
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let size = Err("a chunk size that is no plain hexadecimal number");
        check("x\r\n", size);
        check("\r\n", size);
        check("3;a=b\r\nabc\r\n", size);
        check("3 \r\nabc\r\n", size);
        check("3\nabc\r\n", size);
        check("0x3\r\nabc\r\n", size);
        check("1234567890abcdef\r\n", Err("a chunk size that is too long"));
        check("3\rabc", Err("a chunk does not end in CR LF"));
        check("3\r\nabcd\r\n", Err("a chunk does not end in CR LF"));
        check("3\r\nabc\n", Err("a chunk does not end in CR LF"));
        check("0\r\nX: y\r\n\r\n", Err("a trailer behind a chunked body"));
    }
}
