//! The TLS side of the listeners: versions and suites, as the policy narrows them.

use std::sync::Arc;

use reeve_policy::catalogue::{Cipher, Controls, TlsVersion};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::ResolvesServerCert;
use rustls::{CipherSuite, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};

use crate::certificate::{ACME_TLS, Shelf};

/// The versions from the policy's floor up. Without a floor: what the library still has, which begins at 1.2.
pub(crate) fn versions(controls: &Controls) -> &'static [&'static SupportedProtocolVersion] {
    match controls.tls_floor.as_ref().map(|floor| floor.min) {
        Some(TlsVersion::V1_3) => FROM_1_3,
        Some(TlsVersion::V1_2) | None => FROM_1_2,
    }
}

static FROM_1_2: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
static FROM_1_3: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// What a listener shows and accepts.
///
/// The library has no suite without forward secrecy and none without authentication, so `tls.pfs` needs nothing here.
/// Key exchange prefers the hybrid X25519MLKEM768.
pub(crate) fn server_config(shelf: Arc<Shelf>, controls: &Controls) -> Result<ServerConfig, rustls::Error> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|suite| allowed(*suite, controls));
    let mut config = ServerConfig::builder_with_provider(Arc::new(CryptoProvider { ..provider }))
        .with_protocol_versions(versions(controls))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&shelf) as Arc<dyn ResolvesServerCert>);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    if shelf.proves_names() {
        config.alpn_protocols.push(ACME_TLS.to_vec());
    }
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(config)
}

fn allowed(suite: SupportedCipherSuite, controls: &Controls) -> bool {
    let cipher = cipher(suite.suite());
    let listed =
        controls.tls_ciphers.as_ref().is_none_or(|list| cipher.is_some_and(|cipher| list.ciphers.contains(&cipher)));
    let long = controls
        .tls_cipher_bits
        .as_ref()
        .is_none_or(|least| cipher.is_some_and(|cipher| cipher.key_bits() >= least.bits));
    listed && long
}

/// The bulk cipher of a suite; of one that this function does not know, none, and then no policy allows it.
const fn cipher(suite: CipherSuite) -> Option<Cipher> {
    match suite {
        CipherSuite::TLS13_AES_256_GCM_SHA384
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => Some(Cipher::Aes256Gcm),
        CipherSuite::TLS13_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => Some(Cipher::Aes128Gcm),
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => Some(Cipher::ChaCha20Poly1305),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use reeve_policy::catalogue::{Control, TlsCipherBits, TlsCiphers};

    use super::*;

    #[track_caller]
    fn check(control: Control, expected: usize) {
        let mut controls = Controls::default();
        controls.demand(&control);
        let suites = aws_lc_rs::default_provider().cipher_suites;
        assert_eq!(suites.into_iter().filter(|suite| allowed(*suite, &controls)).count(), expected, "{control:?}");
    }

    #[test]
    fn suites_are_those_that_the_policy_lists() {
        check(Control::TlsCiphers(TlsCiphers { ciphers: vec![Cipher::Aes256Gcm] }), 3);
        check(Control::TlsCipherBits(TlsCipherBits { bits: 256 }), 6);
        check(Control::TlsCiphers(TlsCiphers::default()), 9);
    }

    #[test]
    fn the_hybrid_key_exchange_is_preferred() {
        let groups = aws_lc_rs::default_provider().kx_groups;
        assert_eq!(groups.first().map(|group| group.name()), Some(rustls::NamedGroup::X25519MLKEM768));
    }
}
