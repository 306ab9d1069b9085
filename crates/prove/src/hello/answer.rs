//! Reads what a server says to a ClientHello: a ServerHello, an alert, or something that is no TLS.

use std::fmt;

use super::{Version, suites};

/// The first thing that a server said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It goes on with this version and this suite. A HelloRetryRequest counts: it names both.
    Hello {
        /// The code of the version.
        version: u16,
        /// The number of the suite.
        suite: u16,
    },
    /// It refuses, for this reason.
    Alert(Alert),
}

/// An alert's description (RFC 8446 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Alert(pub(crate) u8);

/// The bytes are no answer of a TLS server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// The first byte is that of no record: plain text, most likely.
    #[error("the answer is no TLS record")]
    NoRecord,
    /// A record is longer than the protocol allows.
    #[error("a TLS record of the answer is too long")]
    RecordTooLong,
    /// The first message is something else.
    #[error("the first message of the answer is no ServerHello")]
    NoServerHello,
    /// A length inside points past the end, or a part is missing.
    #[error("the ServerHello is cut or inconsistent")]
    Inconsistent,
}

/// Reads as much as there is. `None`: so far so good, and more is needed.
///
/// Warnings before the ServerHello (`unrecognized_name`, RFC 6066 section 3) are passed over, as clients do.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<Answer>, Malformed> {
    let mut rest = Reader(bytes);
    let mut handshake: Vec<u8> = Vec::new();
    loop {
        let Some(kind) = rest.0.first().copied() else { return Ok(None) };
        if !(CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&kind) {
            return Err(Malformed::NoRecord);
        }
        let Some((kind, content)) = record(&mut rest)? else { return Ok(None) };
        match kind {
            ALERT => {
                let (Some(level), Some(description)) = (content.first(), content.get(1)) else {
                    return Err(Malformed::Inconsistent);
                };
                if *level == FATAL || *description == CLOSE_NOTIFY {
                    return Ok(Some(Answer::Alert(Alert(*description))));
                }
            }
            HANDSHAKE => {
                handshake.extend_from_slice(content);
                if let Some(answer) = server_hello(&handshake)? {
                    return Ok(Some(answer));
                }
            }
            _ => return Err(Malformed::NoServerHello),
        }
    }
}

/// One record: its kind and its content, if it is whole.
fn record<'b>(rest: &mut Reader<'b>) -> Result<Option<(u8, &'b [u8])>, Malformed> {
    let mut ahead = Reader(rest.0);
    let (Some(kind), Some(version), Some(length)) = (ahead.u8(), ahead.u16(), ahead.u16()) else {
        return Ok(None);
    };
    if version >> 8 != 3 {
        return Err(Malformed::NoRecord);
    }
    if usize::from(length) > RECORD_BYTES_MAX {
        return Err(Malformed::RecordTooLong);
    }
    let Some(content) = ahead.take(usize::from(length)) else { return Ok(None) };
    *rest = ahead;
    Ok(Some((kind, content)))
}

/// The ServerHello at the front of the handshake stream, if it is whole.
fn server_hello(stream: &[u8]) -> Result<Option<Answer>, Malformed> {
    let mut reader = Reader(stream);
    let Some(kind) = reader.u8() else { return Ok(None) };
    if kind != SERVER_HELLO {
        return Err(Malformed::NoServerHello);
    }
    let Some(length) = reader.u24() else { return Ok(None) };
    if length > MESSAGE_BYTES_MAX {
        return Err(Malformed::Inconsistent);
    }
    let Some(message) = reader.take(length) else { return Ok(None) };
    message_fields(message).map(Some).ok_or(Malformed::Inconsistent)
}

fn message_fields(message: &[u8]) -> Option<Answer> {
    let mut reader = Reader(message);
    let legacy_version = reader.u16()?;
    let _random = reader.take(32)?;
    let session_bytes = usize::from(reader.u8()?);
    let _session = reader.take(session_bytes)?;
    let suite = reader.u16()?;
    let _compression = reader.u8()?;
    let mut version = legacy_version;
    if !reader.0.is_empty() {
        let length = usize::from(reader.u16()?);
        let mut extensions = Reader(reader.take(length)?);
        while !extensions.0.is_empty() {
            let kind = extensions.u16()?;
            let length = usize::from(extensions.u16()?);
            let content = extensions.take(length)?;
            if kind == SUPPORTED_VERSIONS {
                version = Reader(content).u16()?;
            }
        }
    }
    Some(Answer::Hello { version, suite })
}

/// Takes bytes off the front, or nothing at all.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    fn u24(&mut self) -> Option<usize> {
        let high = usize::from(self.u8()?);
        Some((high << 16) | usize::from(self.u16()?))
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = ALERTS.iter().find(|(code, _)| *code == self.0);
        match known {
            Some((_, name)) => write!(f, "alert {name}"),
            None => write!(f, "alert {}", self.0),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hello { version, suite } => match Version::from_code(*version) {
                Some(version) => write!(f, "{version} with {}", suites::name(*suite)),
                None => write!(f, "version 0x{version:04X} with {}", suites::name(*suite)),
            },
            Self::Alert(alert) => alert.fmt(f),
        }
    }
}

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const SERVER_HELLO: u8 = 2;
const FATAL: u8 = 2;
const CLOSE_NOTIFY: u8 = 0;
const SUPPORTED_VERSIONS: u16 = 43;

/// RFC 5246 section 6.2.3: 2^14 and some room for what the cipher adds.
const RECORD_BYTES_MAX: usize = (1 << 14) + 2048;

/// A ServerHello has a few hundred bytes; post-quantum shares bring it to some 1,300.
const MESSAGE_BYTES_MAX: usize = 1 << 14;

const ALERTS: &[(u8, &str)] = &[
    (0, "close_notify"),
    (10, "unexpected_message"),
    (20, "bad_record_mac"),
    (22, "record_overflow"),
    (40, "handshake_failure"),
    (42, "bad_certificate"),
    (47, "illegal_parameter"),
    (50, "decode_error"),
    (51, "decrypt_error"),
    (70, "protocol_version"),
    (71, "insufficient_security"),
    (80, "internal_error"),
    (86, "inappropriate_fallback"),
    (109, "missing_extension"),
    (110, "unsupported_extension"),
    (112, "unrecognized_name"),
    (116, "certificate_required"),
    (120, "no_application_protocol"),
];

#[cfg(test)]
mod tests;
