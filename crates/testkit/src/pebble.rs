//! A real ACME server: pebble, with a DNS of its own in which every name is this machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::port::{answers, free_ports};

/// One pebble and its DNS on ports of 127.0.0.1. Both go when this is dropped.
#[derive(Debug)]
pub struct Pebble {
    server: Option<Child>,
    names: Child,
    folder: TempDir,
    settings: PebbleSettings,
    port: u16,
    dns: u16,
    names_management: u16,
}

/// How it behaves.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "a test says what it means")]
pub struct PebbleSettings {
    /// The port on which it looks for `http-01`.
    pub http_port: u16,
    /// The port on which it looks for `tls-alpn-01`.
    pub tls_port: u16,
    /// How long its certificates are valid, in seconds.
    pub valid_seconds: u64,
    /// Out of 100 good nonces, how many it refuses.
    pub nonces_refused: u8,
}

/// Why there is no pebble.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PebbleError {
    /// The program is not there, or the folder cannot be made.
    #[error("cannot start pebble (on Debian: `apt-get install pebble`)")]
    Io(#[from] std::io::Error),
    /// Its own certificate cannot be made.
    #[error("no certificate for pebble")]
    Certificate(#[from] rcgen::Error),
    /// It does not accept connections.
    #[error("pebble does not answer; it says:\n{0}")]
    Silent(String),
}

impl Pebble {
    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// When pebble is not installed or does not come up.
    pub async fn start(settings: PebbleSettings) -> Result<Self, PebbleError> {
        let folder = TempDir::new()?;
        let [port, dns, names_management] = free_ports().await?;
        make_certificates(&folder)?;
        let names = Command::new("pebble-challtestsrv")
            .args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", ""])
            .args(["-dns01", &format!("127.0.0.1:{dns}"), "-management", &format!("127.0.0.1:{names_management}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut pebble = Self { server: None, names, folder, settings, port, dns, names_management };
        pebble.resume().await?;
        Ok(pebble)
    }

    /// Ends it at once. Its accounts, orders and authorities are forgotten.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub fn stop(&mut self) -> Result<(), PebbleError> {
        if let Some(mut server) = self.server.take() {
            server.kill()?;
            server.wait()?;
        }
        Ok(())
    }

    /// Starts it again, on the same port and with other authorities.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn resume(&mut self) -> Result<(), PebbleError> {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let PebbleSettings { http_port, tls_port, valid_seconds, nonces_refused } = self.settings;
        let settings = format!(
            r#"{{"pebble": {{"listenAddress": "127.0.0.1:{}", "managementListenAddress": "", "certificate": "{}",
            "privateKey": "{}", "httpPort": {http_port}, "tlsPort": {tls_port}, "ocspResponderURL": "",
            "externalAccountBindingRequired": false, "certificateValidityPeriod": {valid_seconds}}}}}"#,
            self.port,
            path("pebble.pem"),
            path("pebble-key.pem"),
        );
        std::fs::write(self.folder.path().join("pebble.json"), settings)?;
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log"))?;
        let server = Command::new("pebble")
            .args(["-config", &path("pebble.json"), "-dnsserver", &format!("127.0.0.1:{}", self.dns), "-strict"])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_AUTHZREUSE", "0")
            .env("PEBBLE_WFE_NONCEREJECT", nonces_refused.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.server = Some(server);
        if answers(self.address(), WAIT).await { Ok(()) } else { Err(PebbleError::Silent(self.log())) }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The URL of its directory.
    #[must_use]
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.port)
    }

    /// The authority that vouches for the directory's own certificate, in PEM. Not the one that it issues under.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("minica.pem")
    }

    /// Its own chain and key, in PEM, for a server that stands before it.
    #[must_use]
    pub fn certificate(&self) -> (PathBuf, PathBuf) {
        (self.folder.path().join("pebble.pem"), self.folder.path().join("pebble-key.pem"))
    }

    /// Where its DNS takes orders.
    #[must_use]
    pub fn names_management(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.names_management))
    }

    /// What it has written to its log.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        // They may be gone already, which is as good.
        drop(self.stop());
        drop(self.names.kill());
        drop(self.names.wait());
    }
}

/// An authority and a certificate of it for `localhost`: the package brings none.
fn make_certificates(folder: &TempDir) -> Result<(), PebbleError> {
    let (authority_key, key) = (KeyPair::generate()?, KeyPair::generate()?);
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key)?;
    let issuer = Issuer::new(params, authority_key);
    let names = [String::from("localhost"), String::from("127.0.0.1")];
    let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
    std::fs::write(folder.path().join("minica.pem"), authority.pem())?;
    std::fs::write(folder.path().join("pebble.pem"), certificate.pem())?;
    std::fs::write(folder.path().join("pebble-key.pem"), key.serialize_pem())?;
    Ok(())
}

const WAIT: Duration = Duration::from_secs(10);
