//! Content codings (RFC 9110 section 8.4.1), undone for whoever looks into a body. What goes on to the client is untouched.

use std::borrow::Cow;
use std::io::{self, Write};

use brotli_decompressor::DecompressorWriter;
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http::{HeaderMap, HeaderValue};

/// How a body is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// Not at all.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 1950.
    Deflate,
    /// RFC 7932.
    Brotli,
}

impl Coding {
    /// That of a message; none if it is unknown, or several on top of each other.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut fields = headers.get_all(CONTENT_ENCODING).iter();
        let Some(field) = fields.next() else { return Some(Self::Identity) };
        let name = field.to_str().ok().filter(|_| fields.next().is_none())?;
        Self::named(name.trim())
    }

    fn named(name: &str) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match () {
            () if is("") || is("identity") => Some(Self::Identity),
            () if is("gzip") || is("x-gzip") => Some(Self::Gzip),
            () if is("deflate") => Some(Self::Deflate),
            () if is("br") => Some(Self::Brotli),
            () => None,
        }
    }
}

/// Asks the application only for codings that can be undone here.
pub(crate) fn ask_for_readable(headers: &mut HeaderMap) {
    let mut fields = headers.get_all(ACCEPT_ENCODING).iter();
    let readable = |token: &str| {
        let name = token.split(';').next().unwrap_or_default().trim();
        Coding::named(name).is_some()
    };
    let Some(first) = fields.next() else { return };
    let text = first.to_str().unwrap_or_default();
    if fields.next().is_none() && text.split(',').all(readable) {
        return;
    }
    let kept: Vec<&str> = text.split(',').map(str::trim).filter(|token| readable(token)).collect();
    let value = HeaderValue::from_str(&kept.join(", ")).unwrap_or(HeaderValue::from_static("identity"));
    headers.insert(ACCEPT_ENCODING, value);
}

/// Undoes a coding, piece by piece.
pub(crate) enum Decoder {
    Identity,
    Gzip(Box<MultiGzDecoder<Room>>),
    Deflate(Box<ZlibDecoder<Room>>),
    Brotli(Box<DecompressorWriter<Room>>),
}

impl Decoder {
    pub(crate) fn new(coding: Coding) -> Self {
        match coding {
            Coding::Identity => Self::Identity,
            Coding::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(Room::default()))),
            Coding::Deflate => Self::Deflate(Box::new(ZlibDecoder::new(Room::default()))),
            Coding::Brotli => Self::Brotli(Box::new(DecompressorWriter::new(Room::default(), BROTLI_BUFFER_BYTES))),
        }
    }

    /// What a piece holds. One that grows past [`GROWTH_BYTES_MAX`], or is not what it says, is an error.
    pub(crate) fn decode<'p>(&mut self, piece: &'p [u8]) -> io::Result<Cow<'p, [u8]>> {
        let room = match self {
            Self::Identity => return Ok(Cow::Borrowed(piece)),
            Self::Gzip(decoder) => {
                decoder.write_all(piece)?;
                decoder.flush()?;
                decoder.get_mut()
            }
            Self::Deflate(decoder) => {
                decoder.write_all(piece)?;
                decoder.flush()?;
                decoder.get_mut()
            }
            Self::Brotli(decoder) => {
                decoder.write_all(piece)?;
                decoder.flush()?;
                decoder.get_mut()
            }
        };
        Ok(Cow::Owned(std::mem::take(&mut room.0)))
    }
}

/// Where decoded bytes go, up to a limit: a kilobyte can hold a megabyte.
#[derive(Debug, Default)]
pub(crate) struct Room(Vec<u8>);

impl Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > GROWTH_BYTES_MAX {
            return Err(io::Error::other("the body grows too much"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A piece off the wire has 16 KiB or so; text shrinks to a tenth, and only a bomb to a hundredth.
const GROWTH_BYTES_MAX: usize = 2 * 1024 * 1024;
const BROTLI_BUFFER_BYTES: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn zipped(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn pieces_are_decoded_as_they_come() {
        let packed = zipped(b"hello, hello, hello");
        let mut decoder = Decoder::new(Coding::Gzip);
        let mut text = Vec::new();
        for piece in packed.chunks(5) {
            text.extend_from_slice(&decoder.decode(piece).unwrap());
        }
        assert_eq!(text, b"hello, hello, hello");
    }

    #[test]
    fn a_bomb_and_a_lie_are_errors() {
        let bomb = zipped(&vec![0; GROWTH_BYTES_MAX + 1]);
        assert!(Decoder::new(Coding::Gzip).decode(&bomb).is_err());
        assert!(Decoder::new(Coding::Gzip).decode(b"no gzip at all").is_err());
    }

    #[track_caller]
    fn asked(before: &'static str, after: &str) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(before));
        ask_for_readable(&mut headers);
        assert_eq!(headers.get(ACCEPT_ENCODING).unwrap(), after);
    }

    #[test]
    fn only_readable_codings_are_asked_for() {
        asked("gzip, deflate, br", "gzip, deflate, br");
        asked("gzip, deflate, br, zstd", "gzip, deflate, br");
        asked("zstd", "");
        asked("br;q=0.5, *", "br;q=0.5");
    }

    #[test]
    fn an_unknown_coding_is_none() {
        let mut headers = HeaderMap::new();
        assert_eq!(Coding::of(&headers), Some(Coding::Identity));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("BR"));
        assert_eq!(Coding::of(&headers), Some(Coding::Brotli));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip, br"));
        assert_eq!(Coding::of(&headers), None);
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("zstd"));
        assert_eq!(Coding::of(&headers), None);
    }
}
