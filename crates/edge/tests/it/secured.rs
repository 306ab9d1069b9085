//! An application over TLS: whose key the gateway believes, and what it shows of itself.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use reeve_edge::{ClientCertificate, KeyPin, StartError, TrialError, UpstreamScheme, UpstreamSettings};
use reeve_policy::catalogue::{Control, TlsPin};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::house::{House, demo_controls, upstream, with_control};

/// An authority, what it has issued, and a server that answers every request with "ok".
struct Secured {
    address: SocketAddr,
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
    own: KeyPin,
}

/// Whether the server asks its clients for a certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    Nobody,
    Everybody,
}

impl Secured {
    fn start(asks: Asks) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let issuer = Issuer::new(params, key);
        let (certificate, key) = issue(&issuer, "127.0.0.1");
        let own = KeyPin::of(&certificate).unwrap();
        let address = serve(config(asks, authority.der(), certificate, key));
        Self { address, folder, issuer, own }
    }

    fn upstream(&self, pins: Vec<KeyPin>) -> UpstreamSettings {
        let authorities = Some(self.folder.path().join("ca.pem"));
        UpstreamSettings { scheme: UpstreamScheme::Https, authorities, pins, ..upstream(self.address) }
    }

    /// The pin of a key that is not in use.
    fn spare(&self) -> KeyPin {
        KeyPin::of(&issue(&self.issuer, "127.0.0.1").0).unwrap()
    }

    /// A client's certificate, in files.
    fn client(&self) -> ClientCertificate {
        let (certificate, key) = issue(&self.issuer, "gateway.test");
        let file = |name: &str| self.folder.path().join(name);
        write_pem(&file("client.pem"), "CERTIFICATE", &certificate);
        write_pem(&file("client.key"), "PRIVATE KEY", key.secret_der());
        ClientCertificate { chain: file("client.pem"), key: file("client.key") }
    }
}

fn config(
    asks: Asks,
    authority: &CertificateDer<'static>,
    chain: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let builder = match asks {
        Asks::Nobody => builder.with_no_client_auth(),
        Asks::Everybody => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    builder.with_single_cert(vec![chain], key).unwrap()
}

fn serve(config: ServerConfig) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, config) = (listener.local_addr().unwrap(), Arc::new(config));
    // The thread ends with the test's process: it only waits for connections.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            std::thread::spawn(move || {
                let mut stream = StreamOwned::new(connection, stream);
                let mut piece = [0; 4_096];
                while stream.read(&mut piece).is_ok_and(|count| count > 0) {
                    if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn issue(issuer: &Issuer<'_, KeyPair>, name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, issuer).unwrap();
    (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}

fn write_pem(path: &PathBuf, what: &str, der: &[u8]) {
    use base64::Engine;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    std::fs::write(path, format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", lines.join("\n"))).unwrap();
}

#[track_caller]
fn answers(upstream: UpstreamSettings, status: &str) {
    let answer = House::with(upstream, &demo_controls()).get("/");
    assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
}

#[test]
fn only_a_server_with_a_pinned_key_is_believed() {
    let secured = Secured::start(Asks::Nobody);
    answers(secured.upstream(Vec::new()), "200");
    answers(secured.upstream(vec![secured.own, secured.spare()]), "200");
    answers(secured.upstream(vec![secured.spare(), secured.spare()]), "502");
    // A pin says which key, and not that anybody vouches for it: both are asked for.
    let unvouched = UpstreamSettings { authorities: None, ..secured.upstream(vec![secured.own, secured.spare()]) };
    answers(unvouched, "502");
}

#[test]
fn the_spare_pin_carries_over_a_change_of_keys_by_reload() {
    let (first, second) = (Secured::start(Asks::Nobody), Secured::start(Asks::Nobody));
    let pins = vec![first.own, second.own];
    let house = House::with(first.upstream(pins.clone()), &demo_controls());
    assert!(house.get("/").starts_with("HTTP/1.1 200"));
    let mut settings = house.settings.clone();
    settings.upstream = second.upstream(pins);
    house.gateway().reload(&settings, &demo_controls()).unwrap();
    assert!(house.get("/").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_policy_that_promises_pins_starts_only_with_enough_of_them() {
    let secured = Secured::start(Asks::Nobody);
    let house = House::with(secured.upstream(Vec::new()), &demo_controls());
    let controls = with_control(&Control::TlsPin(TlsPin { spare: 2 }));
    let refused = |pins| {
        let mut settings = house.settings.clone();
        settings.upstream = secured.upstream(pins);
        house.gateway().reload(&settings, &controls).err()
    };
    let (own, spare) = (secured.own, secured.spare());
    assert!(matches!(refused(vec![own, spare]), Some(StartError::Upstream(_))));
    assert!(matches!(refused(vec![own, spare, spare]), Some(StartError::Upstream(_))), "one pin twice is one pin");
    assert!(refused(vec![own, spare, secured.spare()]).is_none());
}

#[test]
fn a_server_that_asks_who_we_are_is_shown_a_certificate() {
    let secured = Secured::start(Asks::Everybody);
    answers(secured.upstream(Vec::new()), "502");
    let client = Some(secured.client());
    answers(UpstreamSettings { client: client.clone(), ..secured.upstream(Vec::new()) }, "200");
    let pinned = secured.upstream(vec![secured.own, secured.spare()]);
    answers(UpstreamSettings { client, ..pinned }, "200");
}

#[test]
fn a_client_certificate_that_cannot_be_used_is_named() {
    let secured = Secured::start(Asks::Everybody);
    let house = House::with(secured.upstream(Vec::new()), &demo_controls());
    let good = secured.client();
    let other = secured.folder.path().join("other.key");
    write_pem(&other, "PRIVATE KEY", issue(&secured.issuer, "x.test").1.secret_der());
    let nowhere = Path::new("/nowhere.pem").to_owned();
    for (client, cause) in [
        (ClientCertificate { chain: nowhere, ..good.clone() }, "`/nowhere.pem`"),
        (ClientCertificate { key: good.chain.clone(), ..good.clone() }, "client.pem` to show"),
        (ClientCertificate { key: other, ..good.clone() }, "other.key` to show"),
    ] {
        let mut settings = house.settings.clone();
        settings.upstream.client = Some(client);
        let error = house.gateway().reload(&settings, &demo_controls()).unwrap_err().to_string();
        assert!(error.contains(cause), "{error}");
    }
}

#[test]
fn a_trial_shows_whom_the_gateway_would_believe_and_goes_nowhere_else() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (secured, foreign) = (Secured::start(Asks::Nobody), Secured::start(Asks::Nobody));
    let house = House::with(secured.upstream(vec![secured.own, secured.spare()]), &demo_controls());
    let outward = house.gateway().outward();
    let outlook = outward.outlook().remove(0);
    assert!(outlook.tls && outlook.pins.contains(&secured.own.to_string()) && !outlook.shows_certificate);
    runtime.block_on(async {
        outward.attempt(None, secured.address).await.unwrap();
        assert!(matches!(outward.attempt(None, foreign.address).await, Err(TrialError::Refused(_))));
        let elsewhere = "192.0.2.1:443".parse().unwrap();
        assert!(matches!(outward.attempt(None, elsewhere).await, Err(TrialError::Elsewhere(_))));
    });
    house.close();
    assert!(outward.outlook().is_empty());
}
