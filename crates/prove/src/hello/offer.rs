//! Writes a ClientHello.

use super::Version;

/// One ClientHello that offers exactly one version.
///
/// The random parts come from the caller. The key share of TLS 1.3 is a random X25519 value: any 32 bytes are a valid
/// one, and since only the ServerHello is read, nobody needs the key behind it. P-256 is offered without a share,
/// because a random point would not be on the curve and its refusal would look like a refusal of TLS 1.3; a server
/// that insists on it answers with a HelloRetryRequest, which says as much as a ServerHello.
#[derive(Debug, Clone)]
pub(crate) struct Offer<'o> {
    /// The one version that is offered.
    pub(crate) version: Version,
    /// The suites that are offered, preferred first.
    pub(crate) suites: &'o [u16],
    /// The name that is asked for; none for a bare address.
    pub(crate) server_name: Option<&'o str>,
    /// Client random, session id, key share.
    pub(crate) random: [u8; RANDOM_BYTES],
}

/// Three values of 32 bytes: client random, session id, key share.
pub(crate) const RANDOM_BYTES: usize = 96;

impl Offer<'_> {
    /// The whole record, ready to send.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(1024);
        // TLS 1.3 says 1.2 here and its own number in an extension (RFC 8446 section 4.1.2).
        put(&mut body, self.version.min(Version::Tls12).code());
        body.extend_from_slice(self.random_part(0));
        let session: &[u8] = if self.version == Version::Tls13 { self.random_part(1) } else { &[] };
        prefixed8(&mut body, |out| out.extend_from_slice(session));
        prefixed16(&mut body, |out| {
            self.suites.iter().for_each(|id| put(out, *id));
            if self.version < Version::Tls13 {
                put(out, EMPTY_RENEGOTIATION_INFO_SCSV);
            }
        });
        prefixed8(&mut body, |out| out.push(NO_COMPRESSION));
        if self.version > Version::Ssl3 {
            prefixed16(&mut body, |out| self.extensions(out));
        }

        let mut handshake = vec![CLIENT_HELLO];
        prefixed24(&mut handshake, |out| out.extend_from_slice(&body));
        let mut record = vec![HANDSHAKE];
        put(&mut record, self.version.min(Version::Tls10).code());
        prefixed16(&mut record, |out| out.extend_from_slice(&handshake));
        record
    }

    fn random_part(&self, index: usize) -> &[u8] {
        self.random.chunks_exact(32).nth(index).unwrap_or_default()
    }

    fn extensions(&self, out: &mut Vec<u8>) {
        if let Some(name) = self.server_name {
            extension(out, SERVER_NAME, |out| {
                prefixed16(out, |out| {
                    out.push(HOST_NAME);
                    prefixed16(out, |out| out.extend_from_slice(name.as_bytes()));
                });
            });
        }
        let groups = if self.version == Version::Tls13 { GROUPS_TLS13 } else { GROUPS };
        extension(out, SUPPORTED_GROUPS, |out| list16(out, groups));
        extension(out, EC_POINT_FORMATS, |out| prefixed8(out, |out| out.push(UNCOMPRESSED)));
        if self.version >= Version::Tls12 {
            extension(out, SIGNATURE_ALGORITHMS, |out| list16(out, SIGNATURES));
        }
        if self.version < Version::Tls13 {
            extension(out, EXTENDED_MASTER_SECRET, |_| {});
        } else {
            extension(out, SUPPORTED_VERSIONS, |out| prefixed8(out, |out| put(out, self.version.code())));
            extension(out, PSK_MODES, |out| prefixed8(out, |out| out.push(PSK_DHE)));
            extension(out, KEY_SHARE, |out| {
                prefixed16(out, |out| {
                    put(out, X25519);
                    prefixed16(out, |out| out.extend_from_slice(self.random_part(2)));
                });
            });
        }
    }
}

fn put(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn extension(out: &mut Vec<u8>, kind: u16, content: impl FnOnce(&mut Vec<u8>)) {
    put(out, kind);
    prefixed16(out, content);
}

fn list16(out: &mut Vec<u8>, values: &[u16]) {
    prefixed16(out, |out| values.iter().for_each(|value| put(out, *value)));
}

/// Writes what `content` writes, with its length before it. The probes offer at most some 160 suites and a server
/// name of at most 253 bytes, so no length comes near its bound; one that did would be cut and refused by the server.
fn prefixed(out: &mut Vec<u8>, length_bytes: usize, content: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    content(&mut inner);
    let length = u32::try_from(inner.len()).unwrap_or(u32::MAX).to_be_bytes();
    out.extend(length.iter().skip(length.len() - length_bytes));
    out.append(&mut inner);
}

fn prefixed8(out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    prefixed(out, 1, content);
}

fn prefixed16(out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    prefixed(out, 2, content);
}

fn prefixed24(out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    prefixed(out, 3, content);
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const NO_COMPRESSION: u8 = 0;
const HOST_NAME: u8 = 0;
const UNCOMPRESSED: u8 = 0;
const PSK_DHE: u8 = 1;

/// RFC 5746 section 3.3: says "no renegotiation" to servers that read no extensions.
const EMPTY_RENEGOTIATION_INFO_SCSV: u16 = 0x00FF;

const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const EC_POINT_FORMATS: u16 = 11;
const SIGNATURE_ALGORITHMS: u16 = 13;
const EXTENDED_MASTER_SECRET: u16 = 23;
const SUPPORTED_VERSIONS: u16 = 43;
const PSK_MODES: u16 = 45;
const KEY_SHARE: u16 = 51;

const X25519: u16 = 0x001D;

/// P-256, X25519, P-384, P-521, and what old servers may have beside them.
const GROUPS: &[u16] = &[0x0017, X25519, 0x0018, 0x0019, 0x001E, 0x0016];

/// Those of TLS 1.3, with the finite fields and the hybrid X25519MLKEM768.
const GROUPS_TLS13: &[u16] = &[X25519, 0x0017, 0x0018, 0x0019, 0x001E, 0x0100, 0x0101, 0x11EC];

/// Every signature that any server may want to make: nothing here is verified, and a refusal must be about the
/// version or the suite. ECDSA, RSA-PSS, Ed25519 and Ed448, RSA PKCS#1, then SHA-1 and DSA.
const SIGNATURES: &[u16] = &[
    0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0809, 0x080A, 0x080B, 0x0807, 0x0808, 0x0401, 0x0501, 0x0601,
    0x0303, 0x0301, 0x0203, 0x0201, 0x0402, 0x0202,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(version: Version, server_name: Option<&'static str>) -> Vec<u8> {
        Offer { version, suites: &[0x1301, 0xC02F], server_name, random: [7; RANDOM_BYTES] }.encode()
    }

    #[test]
    fn an_ssl3_hello_has_no_extensions_and_its_own_version_twice() {
        let bytes = offer(Version::Ssl3, Some("example.com"));
        let mut expected = vec![22, 3, 0, 0, 49, 1, 0, 0, 45, 3, 0];
        expected.extend([7; 32]);
        expected.extend([0, 0, 6, 0x13, 0x01, 0xC0, 0x2F, 0x00, 0xFF, 1, 0]);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn record_and_message_lengths_agree_with_the_bytes() {
        for version in Version::ALL {
            for name in [None, Some("example.com")] {
                let bytes = offer(version, name);
                let record = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
                let message = usize::from(u16::from_be_bytes([bytes[7], bytes[8]]));
                assert_eq!((record + 5, message + 9), (bytes.len(), bytes.len()), "{version} {name:?}");
                assert_eq!(name.is_some() && version > Version::Ssl3, has(&bytes, b"example.com"));
            }
        }
    }

    #[test]
    fn tls13_stands_in_an_extension_and_nowhere_else() {
        let bytes = offer(Version::Tls13, None);
        assert_eq!(bytes[9..11], [3, 3]);
        assert!(has(&bytes, &[0, 43, 0, 3, 2, 3, 4]));
        assert!(!has(&offer(Version::Tls12, None), &[0, 43, 0, 3]));
    }

    fn has(bytes: &[u8], part: &[u8]) -> bool {
        bytes.windows(part.len()).any(|window| window == part)
    }
}
