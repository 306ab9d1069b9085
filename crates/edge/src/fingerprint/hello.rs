//! JA4 of a ClientHello (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2), from the bytes as they came.

use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};

/// The fingerprint of the handshake that these bytes begin; none if they hold no whole ClientHello.
#[must_use]
pub fn ja4(records: &[u8]) -> Option<String> {
    let handshake = join(records)?;
    let mut message = Bytes(&handshake);
    if message.byte()? != CLIENT_HELLO {
        return None;
    }
    let length = usize::from(message.byte()?) << 16 | usize::from(message.number()?);
    Hello::read(message.take(length)?).map(|hello| hello.print())
}

/// The handshake message out of the records that it may be spread over (RFC 8446 section 5.1).
fn join(records: &[u8]) -> Option<Vec<u8>> {
    let mut rest = Bytes(records);
    let mut joined = Vec::with_capacity(records.len());
    while !rest.0.is_empty() {
        if rest.byte()? != HANDSHAKE {
            break;
        }
        rest.number()?;
        let length = rest.number()?;
        // The last record may be cut off behind the message.
        let fragment = rest.0.get(..usize::from(length)).unwrap_or(rest.0);
        joined.extend_from_slice(fragment);
        rest = Bytes(rest.0.get(fragment.len()..)?);
    }
    Some(joined)
}

/// What JA4 is made of, values of GREASE (RFC 8701) left out.
#[derive(Default)]
struct Hello<'h> {
    version: u16,
    named: bool,
    ciphers: Vec<u16>,
    extensions: Vec<u16>,
    protocol: Option<&'h [u8]>,
    signatures: Vec<u16>,
}

impl<'h> Hello<'h> {
    fn read(bytes: &'h [u8]) -> Option<Self> {
        let mut rest = Bytes(bytes);
        let mut hello = Self { version: rest.number()?, ..Self::default() };
        rest.take(RANDOM_BYTES)?;
        rest.short()?;
        hello.ciphers = numbers(rest.long()?);
        rest.short()?;
        if rest.0.is_empty() {
            return Some(hello);
        }
        let mut extensions = Bytes(rest.long()?);
        while !extensions.0.is_empty() {
            let kind = extensions.number()?;
            let content = extensions.long()?;
            if is_grease(kind) {
                continue;
            }
            hello.extensions.push(kind);
            hello.extension(kind, Bytes(content));
        }
        Some(hello)
    }

    /// Contents that cannot be read count as empty: that they are there is a fingerprint too.
    fn extension(&mut self, kind: u16, mut content: Bytes<'h>) {
        match kind {
            SERVER_NAME => self.named = true,
            ALPN => self.protocol = content.long().and_then(|list| Bytes(list).short()),
            SIGNATURE_ALGORITHMS => self.signatures = content.long().map(numbers).unwrap_or_default(),
            SUPPORTED_VERSIONS => {
                let highest = content.short().map(numbers).unwrap_or_default().into_iter().max();
                self.version = highest.unwrap_or(self.version);
            }
            _ => {}
        }
    }

    fn print(mut self) -> String {
        let version = match self.version {
            0x0304 => "13",
            0x0303 => "12",
            0x0302 => "11",
            0x0301 => "10",
            0x0300 => "s3",
            0x0002 => "s2",
            _ => "00",
        };
        let name = if self.named { 'd' } else { 'i' };
        let (ciphers, extensions) = (self.ciphers.len().min(99), self.extensions.len().min(99));
        let mut text = String::with_capacity(PRINT_BYTES);
        // Writing to a string cannot fail.
        let _ = write!(text, "t{version}{name}{ciphers:02}{extensions:02}");
        text.extend(protocol_ends(self.protocol.unwrap_or_default()));
        self.ciphers.sort_unstable();
        text.push('_');
        text += &hashed(&list(&self.ciphers));
        self.extensions.retain(|kind| !matches!(*kind, SERVER_NAME | ALPN));
        self.extensions.sort_unstable();
        let mut rest = list(&self.extensions);
        if !self.signatures.is_empty() {
            rest.push('_');
            rest += &list(&self.signatures);
        }
        text.push('_');
        text += &hashed(&rest);
        text
    }
}

/// First and last character of the protocol that is asked for first; of one that is no text, of its hexadecimal.
fn protocol_ends(protocol: &[u8]) -> [char; 2] {
    match (protocol.first(), protocol.last()) {
        (Some(first), Some(last)) if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() => {
            [char::from(*first), char::from(*last)]
        }
        (Some(first), Some(last)) => {
            let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
            [digit(first >> 4), digit(last & 15)]
        }
        _ => ['0', '0'],
    }
}

fn list(numbers: &[u16]) -> String {
    let mut text = String::with_capacity(numbers.len() * 5);
    for (index, number) in numbers.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let _ = write!(text, "{comma}{number:04x}");
    }
    text
}

/// The first twelve digits of SHA-256; zeros of nothing.
fn hashed(text: &str) -> String {
    let mut hex = String::with_capacity(12);
    if text.is_empty() {
        return String::from("000000000000");
    }
    for byte in digest(&SHA256, text.as_bytes()).as_ref().iter().take(6) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

fn numbers(bytes: &[u8]) -> Vec<u16> {
    let pairs = bytes.chunks_exact(2).map(|pair| pair.iter().fold(0, |sum, byte| sum << 8 | u16::from(*byte)));
    pairs.filter(|number| !is_grease(*number)).collect()
}

/// RFC 8701 section 2: both bytes alike, and ending in `a`.
const fn is_grease(number: u16) -> bool {
    number & 0x0f0f == 0x0a0a && number >> 8 == number & 0xff
}

/// Bytes that are read from the front.
struct Bytes<'b>(&'b [u8]);

impl<'b> Bytes<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u16> {
        Some(u16::from(self.byte()?) << 8 | u16::from(self.byte()?))
    }

    /// What a length of one byte announces.
    fn short(&mut self) -> Option<&'b [u8]> {
        let length = self.byte()?;
        self.take(length.into())
    }

    /// What a length of two bytes announces.
    fn long(&mut self) -> Option<&'b [u8]> {
        let length = self.number()?;
        self.take(length.into())
    }
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const RANDOM_BYTES: usize = 32;
const SERVER_NAME: u16 = 0;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;
const PRINT_BYTES: usize = 36;

#[cfg(test)]
mod tests;
