//! tls.pin: whether the gateway looks at the key of the server that it calls.
//!
//! The probe opens a server of its own with a fresh key and lets the gateway shake hands with it. A client that looks at
//! keys first ends that with `access_denied`; one that only asks who vouches for the server ends it with `unknown_ca`, or
//! not at all. Which of them it was is seen on the probe's own end of the wire.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair};
use reeve_base::Cause;
use reeve_policy::catalogue::TlsPin;
use rustls::crypto::aws_lc_rs as provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, Error, ServerConfig};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Kept, Notes, Probe, Running, Sends};
use crate::Target;
use crate::wire::Site;
use crate::wire::desk::UpstreamStatus;

impl Probe for TlsPin {
    fn plan(&self, _: &Target) -> Sends {
        Sends::requests(
            5,
            "a handshake with the application, one that the gateway makes with a server of the probe's own, and a request",
        )
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let upstreams = site.status().await?.upstreams;
            let (secured, plain): (Vec<_>, Vec<_>) = upstreams.iter().partition(|upstream| upstream.tls);
            for upstream in &secured {
                judge(self, site, upstream, notes).await?;
            }
            if let Some(upstream) = plain.first() {
                // Neither kept nor broken: there is no key on this connection that could be pinned.
                let which = format!("{}:{} (`{}`)", upstream.host, upstream.port, upstream.name);
                return Err(Cause::Unexpected(format!("the application at {which} is spoken to in plaintext")));
            }
            let Some(pins) = secured.iter().map(|upstream| upstream.pins.len()).min() else {
                let none = "the gateway does not say how it reaches its application";
                return Err(Cause::Unexpected(String::from(none)));
            };
            let twin = site.serves(notes).await?;
            Ok(Kept::with(
                twin,
                format!("a server with another key is refused for it; {pins} pins, one of them in use"),
            ))
        })
    }
}

/// Judges the way to one server of an application.
async fn judge(promise: &TlsPin, site: &Site, upstream: &UpstreamStatus, notes: &mut Notes) -> Result<(), Cause> {
    spares(promise, upstream, notes);
    foreign_key(site, upstream, notes).await?;
    let key = key_of(site, upstream).await?;
    notes.either(match upstream.pins.contains(&key) {
        true => Ok(format!("the application's key {key} is one of the pins")),
        false => Err(format!("the application's key {key} is none of the pins")),
    });
    Ok(())
}

fn spares(promise: &TlsPin, upstream: &UpstreamStatus, notes: &mut Notes) {
    let mut pins = upstream.pins.clone();
    pins.sort_unstable();
    pins.dedup();
    let needed = usize::from(promise.spare) + 1;
    notes.either(if pins.len() < needed {
        Err(format!("there are {} pins, promised {needed} with the spare ones", pins.len()))
    } else {
        Ok(format!("there are {} different pins", pins.len()))
    });
}

/// Lets the gateway call a server whose key it cannot know.
async fn foreign_key(site: &Site, upstream: &UpstreamStatus, notes: &mut Notes) -> Result<(), Cause> {
    let odd = |error: &dyn std::fmt::Display| Cause::Unexpected(format!("the probe's own server: {error}"));
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.map_err(|error| odd(&error))?;
    let address = listener.local_addr().map_err(|error| odd(&error))?;
    let acceptor = foreign_server(&upstream.host).map_err(|error| odd(&error))?;
    let accept = async {
        let (stream, _) = listener.accept().await.map_err(|error| odd(&error))?;
        Ok::<_, Cause>(acceptor.accept(stream).await.map(drop))
    };
    let question = json!({ "try_upstream": { "name": upstream.name, "address": address } });
    let asked = site.tell(&question);
    let (ended, told) = tokio::join!(timeout(site.deadline(), accept), asked);
    told?;
    let ended = ended.map_err(|_| Cause::Unexpected(String::from("the gateway did not call the probe's server")))??;
    notes.either(match ended {
        Ok(()) => Err(String::from("a server with an unknown key is believed")),
        Err(error) => judged(&error),
    });
    Ok(())
}

/// What the alert says that ended the handshake (RFC 8446 section 6.2).
fn judged(error: &std::io::Error) -> Result<String, String> {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::AlertReceived(AlertDescription::AccessDenied)) => {
            Ok(String::from("a server with an unknown key is refused for its key (access_denied)"))
        }
        Some(Error::AlertReceived(alert)) => {
            Err(format!("a server with an unknown key is refused with {alert:?}: its key was not looked at"))
        }
        _ => Err(format!("a server with an unknown key is left without a reason ({error})")),
    }
}

fn foreign_server(host: &str) -> Result<TlsAcceptor, Box<dyn std::error::Error + Send + Sync>> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec![host.to_owned()])?.self_signed(&key)?;
    let config = ServerConfig::builder_with_provider(Arc::new(provider::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der())?)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The pin of the application's key, as the application itself shows it.
async fn key_of(site: &Site, upstream: &UpstreamStatus) -> Result<String, Cause> {
    site.spend()?;
    let unreachable = |error: &dyn std::fmt::Display| Cause::Unreachable(format!("the application: {error}"));
    let mut addresses =
        lookup_host((upstream.host.as_str(), upstream.port)).await.map_err(|error| unreachable(&error))?;
    let address = addresses.next().ok_or_else(|| unreachable(&"its name has no address"))?;
    let name = ServerName::try_from(upstream.host.clone()).map_err(|error| unreachable(&error))?;
    let shake = async {
        let stream = TcpStream::connect(address).await?;
        site.any_certificate().connect(name, stream).await
    };
    let stream = timeout(site.deadline(), shake).await.map_err(|_| unreachable(&"no handshake in time"))?;
    let stream = stream.map_err(|error| unreachable(&error))?;
    let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    leaf.and_then(pin).ok_or_else(|| unreachable(&"its certificate cannot be read"))
}

/// SHA-256 of the SubjectPublicKeyInfo (RFC 7469 section 2.4).
fn pin(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(format!("sha256/{}", STANDARD.encode(digest(&SHA256, certificate.public_key().raw))))
}
