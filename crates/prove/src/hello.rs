//! Handshakes made by hand: what a server says to a ClientHello that no library would send any more.
//!
//! A TLS library refuses to speak SSL 3.0 or to offer RC4, so the probes write the bytes themselves ([`offer`]) and
//! read no further than the server's first message ([`answer`]). Nothing here is secret and no key is ever derived.

pub(crate) mod answer;
pub(crate) mod ja4;
pub(crate) mod offer;
pub(crate) mod suites;

use std::fmt;

/// A protocol version, oldest first. SSL 2.0 is left out: no server library of the last ten years can speak it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    /// RFC 6101, forbidden by RFC 7568.
    Ssl3,
    /// RFC 2246, forbidden by RFC 8996.
    Tls10,
    /// RFC 4346, forbidden by RFC 8996.
    Tls11,
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl Version {
    /// All, oldest first.
    pub(crate) const ALL: [Self; 5] = [Self::Ssl3, Self::Tls10, Self::Tls11, Self::Tls12, Self::Tls13];

    /// As it stands in a message.
    pub(crate) const fn code(self) -> u16 {
        match self {
            Self::Ssl3 => 0x0300,
            Self::Tls10 => 0x0301,
            Self::Tls11 => 0x0302,
            Self::Tls12 => 0x0303,
            Self::Tls13 => 0x0304,
        }
    }

    /// The version with this code.
    pub(crate) fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.code() == code)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ssl3 => "SSL 3.0",
            Self::Tls10 => "TLS 1.0",
            Self::Tls11 => "TLS 1.1",
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        })
    }
}
