//! The addresses that settings hold: how the site is called, what stands behind it, whom the certificate names.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use reeve_base::document::{FromValue, Mismatch, Value};
use url::{Host, Url};

/// Why an address cannot be used. Credentials in it are never repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    /// Nothing in front of `://`.
    #[error("has no scheme in front, such as `{0}://`")]
    NoScheme(&'static str),
    /// A scheme that means nothing here.
    #[error("`{written}` is no scheme that can be used here; write {known}")]
    Scheme {
        /// What was written.
        written: String,
        /// What would be right.
        known: &'static str,
    },
    /// The standard's own words (<https://url.spec.whatwg.org>).
    #[error("is no URL: {0}")]
    Url(#[from] url::ParseError),
    /// A user name or a password.
    #[error("holds a user name or a password, and settings hold no secrets")]
    Credentials,
    /// Something behind the port.
    #[error("ends in `{0}`; only the origin is meant: scheme, host and port")]
    Beyond(String),
    /// Something behind the path.
    #[error("ends in `{0}`; scheme, host, port and path are meant")]
    BeyondPath(String),
    /// Neither a name nor an address.
    #[error("`{0}` is neither a host name nor an IP address")]
    Name(String),
}

/// How the gateway speaks to the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1 in plaintext.
    Http,
    /// HTTP/1.1 or HTTP/2 over TLS, as the application chooses.
    Https,
    /// HTTP/2 in plaintext, with prior knowledge (RFC 9113 section 3.3).
    H2c,
}

/// Where the application is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UpstreamUrl {
    /// How it is spoken to.
    pub(crate) protocol: Protocol,
    /// A name, or an IP address without brackets.
    pub(crate) host: String,
    /// The port, written or the scheme's own.
    pub(crate) port: u16,
}

/// How clients call the site: always `https`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicUrl {
    /// A name, or an IP address without brackets.
    pub(crate) host: String,
    /// The port, 443 unless written.
    pub(crate) port: u16,
}

/// A name that a certificate can be made for: a DNS name or an IP address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostName(String);

impl HostName {
    /// The name, in lower case.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Protocol {
    /// The scheme of its URLs.
    pub(crate) const fn scheme(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::H2c => "h2c",
        }
    }
}

impl FromStr for UpstreamUrl {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.split_once("://").ok_or(AddressError::NoScheme("http"))?;
        let protocol = match scheme {
            "http" => Protocol::Http,
            "https" => Protocol::Https,
            "h2c" => Protocol::H2c,
            other => {
                let known = "`http://`, `https://` or `h2c://`";
                return Err(AddressError::Scheme { written: other.to_owned(), known });
            }
        };
        // The URL standard knows no `h2c`, and reads hosts of unknown schemes by other rules.
        let (host, port) = origin(&match protocol {
            Protocol::Http | Protocol::H2c => Url::parse(&format!("http://{rest}"))?,
            Protocol::Https => Url::parse(text)?,
        })?;
        Ok(Self { protocol, host, port })
    }
}

impl FromStr for PublicUrl {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once("://") {
            None => Err(AddressError::NoScheme("https")),
            Some(("https", _)) => origin(&Url::parse(text)?).map(|(host, port)| Self { host, port }),
            Some((other, _)) => Err(AddressError::Scheme { written: other.to_owned(), known: "`https://`" }),
        }
    }
}

impl FromStr for HostName {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(address.to_string()));
        }
        let name = text.to_ascii_lowercase();
        let label = |label: &str| {
            let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            plain && (1..=LABEL_BYTES_MAX).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
        };
        // A wildcard may stand for the first label only (RFC 6125 section 6.4.3).
        let labels = name.strip_prefix("*.").unwrap_or(&name);
        let numeric = labels.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        let sound = name.len() <= NAME_BYTES_MAX && !numeric && labels.split('.').all(label);
        if sound { Ok(Self(name)) } else { Err(AddressError::Name(text.to_owned())) }
    }
}

/// Host and port of a URL that has nothing else in it.
fn origin(url: &Url) -> Result<(String, u16), AddressError> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressError::Credentials);
    }
    if !matches!(url.path(), "" | "/") {
        return Err(AddressError::Beyond(url.path().to_owned()));
    }
    if let Some(query) = url.query() {
        return Err(AddressError::Beyond(format!("?{query}")));
    }
    if let Some(fragment) = url.fragment() {
        return Err(AddressError::Beyond(format!("#{fragment}")));
    }
    let host = match url.host() {
        Some(Host::Domain(name)) => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => return Err(url::ParseError::EmptyHost.into()),
    };
    let port = url.port_or_known_default().ok_or(url::ParseError::InvalidPort)?;
    Ok((host, port))
}

/// An authority as URLs and Host fields write it.
fn authority(host: &str, port: u16, default: u16) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    if port == default { host } else { format!("{host}:{port}") }
}

impl fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = if self.protocol == Protocol::Https { 443 } else { 80 };
        write!(f, "{}://{}", self.protocol.scheme(), authority(&self.host, self.port, default))
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", authority(&self.host, self.port, 443))
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

macro_rules! from_text {
    ($($type:ty => $expected:literal),* $(,)?) => {$(
        impl FromValue for $type {
            const EXPECTED: &'static str = $expected;

            fn from_value(value: &Value) -> Result<Self, Mismatch> {
                String::from_value(value)
                    .map_err(|mismatch| Mismatch { expected: Self::EXPECTED.to_owned(), ..mismatch })?
                    .parse()
                    .map_err(|error: AddressError| Mismatch::content(value, Self::EXPECTED, error))
            }
        }
    )*};
}

from_text! {
    UpstreamUrl => "a URL such as \"http://127.0.0.1:3000\", with http, https or h2c",
    PublicUrl => "a URL such as \"https://www.example.com\"",
    HostName => "a name such as \"localhost\" or an address such as \"127.0.0.1\"",
}

/// RFC 1035 section 2.3.4.
const LABEL_BYTES_MAX: usize = 63;
/// RFC 1035 section 2.3.4, without the root's dot.
const NAME_BYTES_MAX: usize = 253;
