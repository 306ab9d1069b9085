//! The PROXY protocol's preamble, version 1 and 2 (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use ppp::{v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Why a connection has no preamble that can be believed.
#[derive(Debug, thiserror::Error)]
pub(super) enum PreambleError {
    /// It comes from nobody that is trusted.
    #[error("the listener takes connections of trusted proxies only")]
    Stranger,
    /// It did not come in time.
    #[error("the PROXY preamble is not complete in time")]
    Slow,
    /// The connection ended before it was complete.
    #[error("the PROXY preamble breaks off: {0}")]
    BrokenOff(#[from] io::Error),
    /// It is none.
    #[error("the connection does not begin with a PROXY preamble")]
    Missing,
    /// It cannot be read.
    #[error("the PROXY preamble cannot be read: {0}")]
    Malformed(String),
}

/// Reads a preamble and not a byte more. `None` where the proxy speaks for itself (LOCAL, UNKNOWN).
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<IpAddr>, PreambleError> {
    let mut bytes = vec![0; v2::PROTOCOL_PREFIX.len()];
    stream.read_exact(&mut bytes).await?;
    if bytes == v2::PROTOCOL_PREFIX {
        read_v2(stream, bytes).await
    } else if bytes.starts_with(V1_PREFIX) {
        read_v1(stream, bytes).await
    } else {
        Err(PreambleError::Missing)
    }
}

async fn read_v2(stream: &mut (impl AsyncRead + Unpin), mut bytes: Vec<u8>) -> Result<Option<IpAddr>, PreambleError> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [_, _, high, low] = head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > V2_REST_BYTES_MAX {
        return Err(PreambleError::Malformed(format!("{length} bytes; {V2_REST_BYTES_MAX} are the most")));
    }
    bytes.extend_from_slice(&head);
    let start = bytes.len();
    bytes.resize(start + length, 0);
    stream.read_exact(bytes.get_mut(start..).unwrap_or_default()).await?;
    let header = v2::Header::try_from(bytes.as_slice()).map_err(|error| PreambleError::Malformed(error.to_string()))?;
    if header.command == v2::Command::Local {
        return Ok(None);
    }
    if header.protocol == v2::Protocol::Datagram {
        return Err(PreambleError::Malformed(String::from("it tells of datagrams")));
    }
    match header.addresses {
        v2::Addresses::IPv4(four) => Ok(Some(IpAddr::V4(four.source_address))),
        v2::Addresses::IPv6(six) => Ok(Some(IpAddr::V6(six.source_address).to_canonical())),
        v2::Addresses::Unspecified => Ok(None),
        v2::Addresses::Unix(_) => Err(PreambleError::Malformed(String::from("it names a socket file"))),
    }
}

async fn read_v1(stream: &mut (impl AsyncRead + Unpin), mut bytes: Vec<u8>) -> Result<Option<IpAddr>, PreambleError> {
    // Byte by byte, at most a hundred: what follows the line end belongs to somebody else.
    while !bytes.ends_with(b"\r\n") {
        if bytes.len() >= V1_BYTES_MAX {
            return Err(PreambleError::Malformed(format!("more than {V1_BYTES_MAX} bytes in its line")));
        }
        bytes.push(stream.read_u8().await?);
    }
    let header = v1::Header::try_from(bytes.as_slice()).map_err(|error| PreambleError::Malformed(error.to_string()))?;
    Ok(match header.addresses {
        v1::Addresses::Unknown => None,
        v1::Addresses::Tcp4(four) => Some(IpAddr::V4(four.source_address)),
        v1::Addresses::Tcp6(six) => Some(IpAddr::V6(six.source_address).to_canonical()),
    })
}

const V1_PREFIX: &[u8] = b"PROXY ";

/// The longest line of version 1, by its specification.
const V1_BYTES_MAX: usize = 107;

/// Addresses take 216 bytes at most; the rest is room for what proxies add about TLS.
const V2_REST_BYTES_MAX: usize = 4 * 1024;

/// A proxy sends it before anything else.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> (Result<Option<IpAddr>, String>, usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut rest = bytes;
        let read = runtime.block_on(read(&mut rest)).map_err(|error| error.to_string());
        (read, rest.len())
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [v2::PROTOCOL_PREFIX, &[command, family], &length, rest].concat()
    }

    #[track_caller]
    fn tells(bytes: &[u8], expected: Option<&str>) {
        let followed = [bytes, b"\x16\x03\x01"].concat();
        let expected = expected.map(|address| address.parse().unwrap());
        assert_eq!(parse(&followed), (Ok(expected), 3));
    }

    #[track_caller]
    fn refuses(bytes: &[u8], fragment: &str) {
        let (read, _) = parse(bytes);
        let error = read.unwrap_err();
        assert!(error.contains(fragment), "{error}");
    }

    const FOUR: [u8; 12] = [203, 0, 113, 9, 10, 0, 0, 1, 0x30, 0x39, 1, 0xbb];

    #[test]
    fn a_preamble_is_read_and_nothing_behind_it() {
        tells(&v2(0x21, 0x11, &FOUR), Some("203.0.113.9"));
        tells(&v2(0x21, 0x11, &[&FOUR[..], &[4, 0, 1, 0]].concat()), Some("203.0.113.9"));
        let mut six = vec![0; 36];
        six[..2].copy_from_slice(&[0x20, 0x01]);
        tells(&v2(0x21, 0x21, &six), Some("2001::"));
        tells(&v2(0x20, 0x00, &[]), None);
        tells(&v2(0x21, 0x00, &[]), None);
        tells(b"PROXY TCP4 203.0.113.9 10.0.0.1 12345 443\r\n", Some("203.0.113.9"));
        tells(b"PROXY TCP6 2001:db8::1 ::1 12345 443\r\n", Some("2001:db8::1"));
        tells(b"PROXY UNKNOWN\r\n", None);
    }

    #[test]
    fn what_is_no_preamble_is_refused() {
        refuses(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00", "does not begin");
        refuses(b"GET / HTTP/1.1\r\n", "does not begin");
        refuses(b"PROXY", "breaks off");
        refuses(&v2(0x21, 0x11, &FOUR)[..20], "breaks off");
        refuses(&v2(0x21, 0x11, &FOUR[..8]), "cannot be read");
        refuses(&v2(0x11, 0x11, &FOUR), "cannot be read");
        refuses(&v2(0x21, 0x31, &[0; 216]), "socket file");
        refuses(&v2(0x21, 0x12, &FOUR), "datagrams");
        refuses(&v2(0x21, 0x11, &[0; V2_REST_BYTES_MAX + 1]), "are the most");
        refuses(b"PROXY TCP4 example.com 10.0.0.1 1 2\r\n", "cannot be read");
        refuses(&[b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat(), "in its line");
    }
}
