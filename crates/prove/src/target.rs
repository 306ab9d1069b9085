//! What is judged: one site, by its origin and the addresses it is reached at.

use std::net::SocketAddr;

use rustls::pki_types::{CertificateDer, ServerName};
use url::{Host, Url};

use crate::House;

/// One site.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its origin: `https://host:port/`.
    pub url: Url,
    /// Where its TLS port is.
    pub https: SocketAddr,
    /// Where its plaintext port is or might be.
    pub http: Option<SocketAddr>,
    /// Who may vouch for its certificate.
    pub trust: Trust,
    /// A path at which the deployment fails on purpose with a server error (`/boom`), if it names one: without it,
    /// the error pages are judged by those errors that a stranger can provoke.
    pub error_path: Option<String>,
    /// A path at which the application shows a stack trace under a status below 500, if it names one.
    pub trace_path: Option<String>,
    /// The inside, where the judge may look.
    pub house: Option<House>,
}

/// Who may vouch for a certificate.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Trust {
    /// The authorities that this machine trusts.
    System,
    /// These and no others, such as a local authority for development.
    Authorities(Vec<CertificateDer<'static>>),
}

/// Why a target cannot be judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// It is no URL.
    #[error("`{text}` is no address of a site; write it like `https://example.com`")]
    Url {
        /// What was written.
        text: String,
        /// What the reader of URLs says.
        source: url::ParseError,
    },
    /// It names plain HTTP.
    #[error(
        "`{0}` names plain HTTP, and a site is judged from its HTTPS side; write `https://`, and name the plaintext port \
         beside it if it is not 80"
    )]
    PlainHttp(String),
    /// It names another protocol.
    #[error("`{0}` is no web site; write it like `https://example.com`")]
    Scheme(String),
    /// It holds a user name or a password.
    #[error("the address holds a user name or a password; a site is judged as a stranger sees it")]
    Credentials,
    /// It goes on after the host.
    #[error("`{0}` goes on after the host; a site is judged as a whole, so leave `{1}` out")]
    Path(String, String),
    /// The name has no address.
    #[error("cannot find the address of `{host}`")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver says.
        source: std::io::Error,
    },
    /// The resolver answered with nothing.
    #[error("`{0}` has no address")]
    NoAddress(String),
}

impl Target {
    /// Reads what a person wrote and looks up its address. `https://` is added where no protocol stands.
    ///
    /// Without `http_port`, the plaintext port is 80 where the TLS port is 443, and unknown elsewhere. Where a name
    /// has several addresses, the first that the resolver prefers is judged.
    ///
    /// # Errors
    /// When the text is no origin of an HTTPS site, or its name has no address.
    pub async fn resolve(text: &str, http_port: Option<u16>) -> Result<Self, TargetError> {
        let url = read_origin(text)?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().unwrap_or(HTTPS_PORT);
        let resolved = tokio::net::lookup_host((host.as_str(), port)).await;
        let first = resolved.map_err(|source| TargetError::Resolve { host: host.clone(), source })?.next();
        let https = first.ok_or_else(|| TargetError::NoAddress(host.clone()))?;
        let http_port = http_port.or((port == HTTPS_PORT).then_some(HTTP_PORT));
        let http = http_port.map(|port| SocketAddr::new(https.ip(), port));
        Ok(Self { url, https, http, trust: Trust::System, error_path: None, trace_path: None, house: None })
    }

    /// Whether it is on this machine, so that probes may take source addresses of their own.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.https.ip().to_canonical().is_loopback()
    }

    /// What stands in `Host`: the host, with the port where it is not 443.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The host without a port, as the URL writes it.
    pub(crate) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The host if it is a name: what a handshake may state as server name (RFC 6066 section 3 forbids addresses).
    pub(crate) fn domain(&self) -> Option<&str> {
        self.url.domain()
    }

    /// What the certificate must name.
    pub(crate) fn server_name(&self) -> Option<ServerName<'static>> {
        match self.url.host()? {
            Host::Domain(domain) => ServerName::try_from(domain.to_owned()).ok(),
            Host::Ipv4(address) => Some(ServerName::IpAddress(std::net::IpAddr::V4(address).into())),
            Host::Ipv6(address) => Some(ServerName::IpAddress(std::net::IpAddr::V6(address).into())),
        }
    }
}

fn read_origin(text: &str) -> Result<Url, TargetError> {
    let text = text.trim();
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let mut url = Url::parse(&whole).map_err(|source| TargetError::Url { text: text.to_owned(), source })?;
    match url.scheme() {
        "https" => {}
        "http" => return Err(TargetError::PlainHttp(text.to_owned())),
        _ => return Err(TargetError::Scheme(text.to_owned())),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(TargetError::Credentials);
    }
    let rest = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    if rest != "/" {
        return Err(TargetError::Path(text.to_owned(), rest));
    }
    url.set_fragment(None);
    Ok(url)
}

const HTTPS_PORT: u16 = 443;
const HTTP_PORT: u16 = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(text: &str, expected: &str) {
        assert_eq!(read_origin(text).unwrap().as_str(), expected);
    }

    #[track_caller]
    fn refuses(text: &str, fragment: &str) {
        let message = read_origin(text).unwrap_err().to_string();
        assert!(message.contains(fragment), "{message}");
    }

    #[test]
    fn an_origin_is_read_with_or_without_its_protocol() {
        reads("example.com", "https://example.com/");
        reads("localhost:8443", "https://localhost:8443/");
        reads(" https://[::1]:8443/ ", "https://[::1]:8443/");
        reads("https://example.com:443", "https://example.com/");
    }

    #[test]
    fn what_is_no_origin_is_refused_with_the_remedy() {
        refuses("http://example.com", "names plain HTTP");
        refuses("ftp://example.com", "is no web site");
        refuses("https://", "is no address of a site");
        refuses("https://me:secret@example.com", "user name or a password");
        refuses("https://example.com/app?x=1", "leave `/app?x=1` out");
    }

    #[tokio::test]
    async fn an_address_needs_no_resolver() {
        let target = Target::resolve("127.0.0.1:8443", Some(8080)).await.unwrap();
        assert_eq!(target.https, "127.0.0.1:8443".parse().unwrap());
        assert_eq!(target.http, Some("127.0.0.1:8080".parse().unwrap()));
        assert!(target.is_loopback() && target.domain().is_none());
        assert_eq!(target.authority(), "127.0.0.1:8443");
    }
}
