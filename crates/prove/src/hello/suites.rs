//! The cipher suites that a probe can offer, good and bad: the IANA registry "TLS Cipher Suites", without those that
//! need a pre-shared key, a password or Kerberos, which a stranger cannot negotiate.

use std::fmt;

use super::Version;

/// One cipher suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Suite {
    /// Its number in a message.
    pub(crate) id: u16,
    /// Its name in the registry.
    pub(crate) name: &'static str,
    /// How the keys are agreed.
    pub(crate) exchange: Exchange,
    /// How the traffic is encrypted.
    pub(crate) bulk: Bulk,
}

/// How the keys are agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exchange {
    /// With the certificate's own key: whoever steals it later reads all recorded traffic.
    Static,
    /// With a key made for this connection.
    Ephemeral,
    /// With a key made for this connection that nobody vouches for.
    Anonymous,
}

/// How the traffic is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bulk {
    /// Not at all.
    Null,
    /// With a key cut to 40 bits.
    Export40,
    /// DES, or RC4 cut to 56 bits.
    Des,
    /// Triple DES: 168 bits of key that give 112 bits of strength (NIST SP 800-57).
    TripleDes,
    /// RC4 with 128 bits, forbidden by RFC 7465.
    Rc4,
    /// A block cipher with a 128-bit key in CBC mode.
    Cbc128,
    /// A block cipher with a 256-bit key in CBC mode.
    Cbc256,
    /// AES-GCM with a 128-bit key.
    Aes128Gcm,
    /// AES-GCM with a 256-bit key.
    Aes256Gcm,
    /// ChaCha20-Poly1305.
    ChaCha20Poly1305,
    /// CCM, ARIA or Camellia, authenticated, 128-bit key.
    OtherAead128,
    /// CCM, ARIA or Camellia, authenticated, 256-bit key.
    OtherAead256,
}

impl Bulk {
    /// The strength of its key in bits.
    pub(crate) const fn bits(self) -> u16 {
        match self {
            Self::Null => 0,
            Self::Export40 => 40,
            Self::Des => 56,
            Self::TripleDes => 112,
            Self::Rc4 | Self::Cbc128 | Self::Aes128Gcm | Self::OtherAead128 => 128,
            Self::Cbc256 | Self::Aes256Gcm | Self::ChaCha20Poly1305 | Self::OtherAead256 => 256,
        }
    }

    /// Whether what is read is also authenticated, in one step.
    pub(crate) const fn is_aead(self) -> bool {
        match self {
            Self::Null | Self::Export40 | Self::Des | Self::TripleDes | Self::Rc4 | Self::Cbc128 | Self::Cbc256 => {
                false
            }
            Self::Aes128Gcm | Self::Aes256Gcm | Self::ChaCha20Poly1305 | Self::OtherAead128 | Self::OtherAead256 => {
                true
            }
        }
    }
}

impl Suite {
    /// Whether it can be negotiated in this version: AEAD and SHA-2 suites came with TLS 1.2 (RFC 5246), and TLS 1.3
    /// has its own five (RFC 8446 appendix B.4).
    pub(crate) fn goes_with(&self, version: Version) -> bool {
        let newest = self.id >> 8 == 0x13;
        let sha2 = self.name.ends_with("SHA256") || self.name.ends_with("SHA384");
        match version {
            Version::Ssl3 | Version::Tls10 | Version::Tls11 => !newest && !sha2 && !self.bulk.is_aead(),
            Version::Tls12 => !newest,
            Version::Tls13 => newest,
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

/// The suites of `version` that `wanted` picks, in the order of the registry.
pub(crate) fn of(version: Version, wanted: impl Fn(&Suite) -> bool) -> Vec<Suite> {
    SUITES.iter().copied().filter(|suite| suite.goes_with(version) && wanted(suite)).collect()
}

/// The name of the suite with this number.
pub(crate) fn name(id: u16) -> String {
    let known = SUITES.iter().find(|suite| suite.id == id);
    known.map_or_else(|| format!("suite 0x{id:04X}"), |suite| suite.name.to_owned())
}

const fn suite(id: u16, name: &'static str, exchange: Exchange, bulk: Bulk) -> Suite {
    Suite { id, name, exchange, bulk }
}

use Bulk::{
    Aes128Gcm, Aes256Gcm, Cbc128, Cbc256, ChaCha20Poly1305, Des, Export40, Null, OtherAead128, OtherAead256, Rc4,
    TripleDes,
};
use Exchange::{Anonymous, Ephemeral, Static};

#[rustfmt::skip]
const SUITES: &[Suite] = &[
    suite(0x0001, "TLS_RSA_WITH_NULL_MD5", Static, Null),
    suite(0x0002, "TLS_RSA_WITH_NULL_SHA", Static, Null),
    suite(0x0003, "TLS_RSA_EXPORT_WITH_RC4_40_MD5", Static, Export40),
    suite(0x0004, "TLS_RSA_WITH_RC4_128_MD5", Static, Rc4),
    suite(0x0005, "TLS_RSA_WITH_RC4_128_SHA", Static, Rc4),
    suite(0x0006, "TLS_RSA_EXPORT_WITH_RC2_CBC_40_MD5", Static, Export40),
    suite(0x0007, "TLS_RSA_WITH_IDEA_CBC_SHA", Static, Cbc128),
    suite(0x0008, "TLS_RSA_EXPORT_WITH_DES40_CBC_SHA", Static, Export40),
    suite(0x0009, "TLS_RSA_WITH_DES_CBC_SHA", Static, Des),
    suite(0x000A, "TLS_RSA_WITH_3DES_EDE_CBC_SHA", Static, TripleDes),
    suite(0x0011, "TLS_DHE_DSS_EXPORT_WITH_DES40_CBC_SHA", Ephemeral, Export40),
    suite(0x0012, "TLS_DHE_DSS_WITH_DES_CBC_SHA", Ephemeral, Des),
    suite(0x0013, "TLS_DHE_DSS_WITH_3DES_EDE_CBC_SHA", Ephemeral, TripleDes),
    suite(0x0014, "TLS_DHE_RSA_EXPORT_WITH_DES40_CBC_SHA", Ephemeral, Export40),
    suite(0x0015, "TLS_DHE_RSA_WITH_DES_CBC_SHA", Ephemeral, Des),
    suite(0x0016, "TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA", Ephemeral, TripleDes),
    suite(0x0017, "TLS_DH_anon_EXPORT_WITH_RC4_40_MD5", Anonymous, Export40),
    suite(0x0018, "TLS_DH_anon_WITH_RC4_128_MD5", Anonymous, Rc4),
    suite(0x0019, "TLS_DH_anon_EXPORT_WITH_DES40_CBC_SHA", Anonymous, Export40),
    suite(0x001A, "TLS_DH_anon_WITH_DES_CBC_SHA", Anonymous, Des),
    suite(0x001B, "TLS_DH_anon_WITH_3DES_EDE_CBC_SHA", Anonymous, TripleDes),
    suite(0x002F, "TLS_RSA_WITH_AES_128_CBC_SHA", Static, Cbc128),
    suite(0x0032, "TLS_DHE_DSS_WITH_AES_128_CBC_SHA", Ephemeral, Cbc128),
    suite(0x0033, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA", Ephemeral, Cbc128),
    suite(0x0034, "TLS_DH_anon_WITH_AES_128_CBC_SHA", Anonymous, Cbc128),
    suite(0x0035, "TLS_RSA_WITH_AES_256_CBC_SHA", Static, Cbc256),
    suite(0x0038, "TLS_DHE_DSS_WITH_AES_256_CBC_SHA", Ephemeral, Cbc256),
    suite(0x0039, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA", Ephemeral, Cbc256),
    suite(0x003A, "TLS_DH_anon_WITH_AES_256_CBC_SHA", Anonymous, Cbc256),
    suite(0x003B, "TLS_RSA_WITH_NULL_SHA256", Static, Null),
    suite(0x003C, "TLS_RSA_WITH_AES_128_CBC_SHA256", Static, Cbc128),
    suite(0x003D, "TLS_RSA_WITH_AES_256_CBC_SHA256", Static, Cbc256),
    suite(0x0040, "TLS_DHE_DSS_WITH_AES_128_CBC_SHA256", Ephemeral, Cbc128),
    suite(0x0041, "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA", Static, Cbc128),
    suite(0x0044, "TLS_DHE_DSS_WITH_CAMELLIA_128_CBC_SHA", Ephemeral, Cbc128),
    suite(0x0045, "TLS_DHE_RSA_WITH_CAMELLIA_128_CBC_SHA", Ephemeral, Cbc128),
    suite(0x0046, "TLS_DH_anon_WITH_CAMELLIA_128_CBC_SHA", Anonymous, Cbc128),
    suite(0x0062, "TLS_RSA_EXPORT1024_WITH_DES_CBC_SHA", Static, Des),
    suite(0x0064, "TLS_RSA_EXPORT1024_WITH_RC4_56_SHA", Static, Des),
    suite(0x0067, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256", Ephemeral, Cbc128),
    suite(0x006A, "TLS_DHE_DSS_WITH_AES_256_CBC_SHA256", Ephemeral, Cbc256),
    suite(0x006B, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256", Ephemeral, Cbc256),
    suite(0x006C, "TLS_DH_anon_WITH_AES_128_CBC_SHA256", Anonymous, Cbc128),
    suite(0x006D, "TLS_DH_anon_WITH_AES_256_CBC_SHA256", Anonymous, Cbc256),
    suite(0x0084, "TLS_RSA_WITH_CAMELLIA_256_CBC_SHA", Static, Cbc256),
    suite(0x0087, "TLS_DHE_DSS_WITH_CAMELLIA_256_CBC_SHA", Ephemeral, Cbc256),
    suite(0x0088, "TLS_DHE_RSA_WITH_CAMELLIA_256_CBC_SHA", Ephemeral, Cbc256),
    suite(0x0089, "TLS_DH_anon_WITH_CAMELLIA_256_CBC_SHA", Anonymous, Cbc256),
    suite(0x0096, "TLS_RSA_WITH_SEED_CBC_SHA", Static, Cbc128),
    suite(0x0099, "TLS_DHE_DSS_WITH_SEED_CBC_SHA", Ephemeral, Cbc128),
    suite(0x009A, "TLS_DHE_RSA_WITH_SEED_CBC_SHA", Ephemeral, Cbc128),
    suite(0x009B, "TLS_DH_anon_WITH_SEED_CBC_SHA", Anonymous, Cbc128),
    suite(0x009C, "TLS_RSA_WITH_AES_128_GCM_SHA256", Static, Aes128Gcm),
    suite(0x009D, "TLS_RSA_WITH_AES_256_GCM_SHA384", Static, Aes256Gcm),
    suite(0x009E, "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", Ephemeral, Aes128Gcm),
    suite(0x009F, "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384", Ephemeral, Aes256Gcm),
    suite(0x00A2, "TLS_DHE_DSS_WITH_AES_128_GCM_SHA256", Ephemeral, Aes128Gcm),
    suite(0x00A3, "TLS_DHE_DSS_WITH_AES_256_GCM_SHA384", Ephemeral, Aes256Gcm),
    suite(0x00A6, "TLS_DH_anon_WITH_AES_128_GCM_SHA256", Anonymous, Aes128Gcm),
    suite(0x00A7, "TLS_DH_anon_WITH_AES_256_GCM_SHA384", Anonymous, Aes256Gcm),
    suite(0x00BA, "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA256", Static, Cbc128),
    suite(0x00BE, "TLS_DHE_RSA_WITH_CAMELLIA_128_CBC_SHA256", Ephemeral, Cbc128),
    suite(0x00BF, "TLS_DH_anon_WITH_CAMELLIA_128_CBC_SHA256", Anonymous, Cbc128),
    suite(0x00C0, "TLS_RSA_WITH_CAMELLIA_256_CBC_SHA256", Static, Cbc256),
    suite(0x00C4, "TLS_DHE_RSA_WITH_CAMELLIA_256_CBC_SHA256", Ephemeral, Cbc256),
    suite(0x00C5, "TLS_DH_anon_WITH_CAMELLIA_256_CBC_SHA256", Anonymous, Cbc256),
    suite(0xC002, "TLS_ECDH_ECDSA_WITH_RC4_128_SHA", Static, Rc4),
    suite(0xC003, "TLS_ECDH_ECDSA_WITH_3DES_EDE_CBC_SHA", Static, TripleDes),
    suite(0xC004, "TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA", Static, Cbc128),
    suite(0xC005, "TLS_ECDH_ECDSA_WITH_AES_256_CBC_SHA", Static, Cbc256),
    suite(0xC006, "TLS_ECDHE_ECDSA_WITH_NULL_SHA", Ephemeral, Null),
    suite(0xC007, "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA", Ephemeral, Rc4),
    suite(0xC008, "TLS_ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA", Ephemeral, TripleDes),
    suite(0xC009, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", Ephemeral, Cbc128),
    suite(0xC00A, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", Ephemeral, Cbc256),
    suite(0xC00C, "TLS_ECDH_RSA_WITH_RC4_128_SHA", Static, Rc4),
    suite(0xC00D, "TLS_ECDH_RSA_WITH_3DES_EDE_CBC_SHA", Static, TripleDes),
    suite(0xC00E, "TLS_ECDH_RSA_WITH_AES_128_CBC_SHA", Static, Cbc128),
    suite(0xC00F, "TLS_ECDH_RSA_WITH_AES_256_CBC_SHA", Static, Cbc256),
    suite(0xC010, "TLS_ECDHE_RSA_WITH_NULL_SHA", Ephemeral, Null),
    suite(0xC011, "TLS_ECDHE_RSA_WITH_RC4_128_SHA", Ephemeral, Rc4),
    suite(0xC012, "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", Ephemeral, TripleDes),
    suite(0xC013, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", Ephemeral, Cbc128),
    suite(0xC014, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", Ephemeral, Cbc256),
    suite(0xC015, "TLS_ECDH_anon_WITH_NULL_SHA", Anonymous, Null),
    suite(0xC016, "TLS_ECDH_anon_WITH_RC4_128_SHA", Anonymous, Rc4),
    suite(0xC017, "TLS_ECDH_anon_WITH_3DES_EDE_CBC_SHA", Anonymous, TripleDes),
    suite(0xC018, "TLS_ECDH_anon_WITH_AES_128_CBC_SHA", Anonymous, Cbc128),
    suite(0xC019, "TLS_ECDH_anon_WITH_AES_256_CBC_SHA", Anonymous, Cbc256),
    suite(0xC023, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", Ephemeral, Cbc128),
    suite(0xC024, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384", Ephemeral, Cbc256),
    suite(0xC027, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", Ephemeral, Cbc128),
    suite(0xC028, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384", Ephemeral, Cbc256),
    suite(0xC02B, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", Ephemeral, Aes128Gcm),
    suite(0xC02C, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", Ephemeral, Aes256Gcm),
    suite(0xC02D, "TLS_ECDH_ECDSA_WITH_AES_128_GCM_SHA256", Static, Aes128Gcm),
    suite(0xC02E, "TLS_ECDH_ECDSA_WITH_AES_256_GCM_SHA384", Static, Aes256Gcm),
    suite(0xC02F, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Ephemeral, Aes128Gcm),
    suite(0xC030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", Ephemeral, Aes256Gcm),
    suite(0xC031, "TLS_ECDH_RSA_WITH_AES_128_GCM_SHA256", Static, Aes128Gcm),
    suite(0xC032, "TLS_ECDH_RSA_WITH_AES_256_GCM_SHA384", Static, Aes256Gcm),
    suite(0xC03C, "TLS_RSA_WITH_ARIA_128_CBC_SHA256", Static, Cbc128),
    suite(0xC03D, "TLS_RSA_WITH_ARIA_256_CBC_SHA384", Static, Cbc256),
    suite(0xC044, "TLS_DHE_RSA_WITH_ARIA_128_CBC_SHA256", Ephemeral, Cbc128),
    suite(0xC045, "TLS_DHE_RSA_WITH_ARIA_256_CBC_SHA384", Ephemeral, Cbc256),
    suite(0xC048, "TLS_ECDHE_ECDSA_WITH_ARIA_128_CBC_SHA256", Ephemeral, Cbc128),
    suite(0xC049, "TLS_ECDHE_ECDSA_WITH_ARIA_256_CBC_SHA384", Ephemeral, Cbc256),
    suite(0xC04C, "TLS_ECDHE_RSA_WITH_ARIA_128_CBC_SHA256", Ephemeral, Cbc128),
    suite(0xC04D, "TLS_ECDHE_RSA_WITH_ARIA_256_CBC_SHA384", Ephemeral, Cbc256),
    suite(0xC050, "TLS_RSA_WITH_ARIA_128_GCM_SHA256", Static, OtherAead128),
    suite(0xC051, "TLS_RSA_WITH_ARIA_256_GCM_SHA384", Static, OtherAead256),
    suite(0xC052, "TLS_DHE_RSA_WITH_ARIA_128_GCM_SHA256", Ephemeral, OtherAead128),
    suite(0xC053, "TLS_DHE_RSA_WITH_ARIA_256_GCM_SHA384", Ephemeral, OtherAead256),
    suite(0xC05C, "TLS_ECDHE_ECDSA_WITH_ARIA_128_GCM_SHA256", Ephemeral, OtherAead128),
    suite(0xC05D, "TLS_ECDHE_ECDSA_WITH_ARIA_256_GCM_SHA384", Ephemeral, OtherAead256),
    suite(0xC060, "TLS_ECDHE_RSA_WITH_ARIA_128_GCM_SHA256", Ephemeral, OtherAead128),
    suite(0xC061, "TLS_ECDHE_RSA_WITH_ARIA_256_GCM_SHA384", Ephemeral, OtherAead256),
    suite(0xC072, "TLS_ECDHE_ECDSA_WITH_CAMELLIA_128_CBC_SHA256", Ephemeral, Cbc128),
    suite(0xC073, "TLS_ECDHE_ECDSA_WITH_CAMELLIA_256_CBC_SHA384", Ephemeral, Cbc256),
    suite(0xC076, "TLS_ECDHE_RSA_WITH_CAMELLIA_128_CBC_SHA256", Ephemeral, Cbc128),
    suite(0xC077, "TLS_ECDHE_RSA_WITH_CAMELLIA_256_CBC_SHA384", Ephemeral, Cbc256),
    suite(0xC07A, "TLS_RSA_WITH_CAMELLIA_128_GCM_SHA256", Static, OtherAead128),
    suite(0xC07B, "TLS_RSA_WITH_CAMELLIA_256_GCM_SHA384", Static, OtherAead256),
    suite(0xC07C, "TLS_DHE_RSA_WITH_CAMELLIA_128_GCM_SHA256", Ephemeral, OtherAead128),
    suite(0xC07D, "TLS_DHE_RSA_WITH_CAMELLIA_256_GCM_SHA384", Ephemeral, OtherAead256),
    suite(0xC086, "TLS_ECDHE_ECDSA_WITH_CAMELLIA_128_GCM_SHA256", Ephemeral, OtherAead128),
    suite(0xC087, "TLS_ECDHE_ECDSA_WITH_CAMELLIA_256_GCM_SHA384", Ephemeral, OtherAead256),
    suite(0xC08A, "TLS_ECDHE_RSA_WITH_CAMELLIA_128_GCM_SHA256", Ephemeral, OtherAead128),
    suite(0xC08B, "TLS_ECDHE_RSA_WITH_CAMELLIA_256_GCM_SHA384", Ephemeral, OtherAead256),
    suite(0xC09C, "TLS_RSA_WITH_AES_128_CCM", Static, OtherAead128),
    suite(0xC09D, "TLS_RSA_WITH_AES_256_CCM", Static, OtherAead256),
    suite(0xC09E, "TLS_DHE_RSA_WITH_AES_128_CCM", Ephemeral, OtherAead128),
    suite(0xC09F, "TLS_DHE_RSA_WITH_AES_256_CCM", Ephemeral, OtherAead256),
    suite(0xC0A0, "TLS_RSA_WITH_AES_128_CCM_8", Static, OtherAead128),
    suite(0xC0A1, "TLS_RSA_WITH_AES_256_CCM_8", Static, OtherAead256),
    suite(0xC0A2, "TLS_DHE_RSA_WITH_AES_128_CCM_8", Ephemeral, OtherAead128),
    suite(0xC0A3, "TLS_DHE_RSA_WITH_AES_256_CCM_8", Ephemeral, OtherAead256),
    suite(0xC0AC, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM", Ephemeral, OtherAead128),
    suite(0xC0AD, "TLS_ECDHE_ECDSA_WITH_AES_256_CCM", Ephemeral, OtherAead256),
    suite(0xC0AE, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8", Ephemeral, OtherAead128),
    suite(0xC0AF, "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8", Ephemeral, OtherAead256),
    suite(0xCCA8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", Ephemeral, ChaCha20Poly1305),
    suite(0xCCA9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", Ephemeral, ChaCha20Poly1305),
    suite(0xCCAA, "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256", Ephemeral, ChaCha20Poly1305),
    suite(0x1301, "TLS_AES_128_GCM_SHA256", Ephemeral, Aes128Gcm),
    suite(0x1302, "TLS_AES_256_GCM_SHA384", Ephemeral, Aes256Gcm),
    suite(0x1303, "TLS_CHACHA20_POLY1305_SHA256", Ephemeral, ChaCha20Poly1305),
    suite(0x1304, "TLS_AES_128_CCM_SHA256", Ephemeral, OtherAead128),
    suite(0x1305, "TLS_AES_128_CCM_8_SHA256", Ephemeral, OtherAead128),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_and_no_name_stands_twice() {
        for (index, one) in SUITES.iter().enumerate() {
            let twin = SUITES.iter().skip(index + 1).find(|other| other.id == one.id || other.name == one.name);
            assert_eq!(twin, None, "{one}");
        }
    }

    #[test]
    fn a_suite_is_offered_only_where_it_can_be_negotiated() {
        assert!(of(Version::Ssl3, |suite| suite.bulk.is_aead()).is_empty());
        assert!(of(Version::Tls13, |suite| !suite.bulk.is_aead()).is_empty());
        assert_eq!(of(Version::Tls13, |_| true).len(), 5);
        assert!(of(Version::Tls10, |_| true).iter().all(|suite| !suite.name.ends_with("SHA256")));
    }

    /// The columns say the same as the names.
    #[test]
    fn each_row_agrees_with_its_name() {
        for suite in SUITES {
            let name = suite.name;
            let has = |part: &str| name.contains(part);
            assert_eq!(suite.exchange == Anonymous, has("_anon_"), "{name}");
            let newest = suite.id >> 8 == 0x13;
            assert_eq!(suite.exchange == Ephemeral, newest || has("DHE_"), "{name}");
            assert_eq!(suite.bulk.is_aead(), has("GCM") || has("CCM") || has("POLY1305"), "{name}");
            assert_eq!(suite.bulk.bits() == 0, has("NULL"), "{name}");
            assert_eq!(suite.bulk == TripleDes, has("3DES"), "{name}");
            assert_eq!(suite.bulk.bits() == 256, has("_256_") || has("CHACHA20"), "{name}");
        }
    }
}
