//! Where traces go: `[tracing]`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use reeve_base::Diagnostic;
use reeve_base::document::{Faults, Fields, FromValue, Kind, Mismatch, Table, Value};
use url::{Host, Url};

use super::Located;
use super::address::AddressError;
use super::read::resolved;

/// Where traces go, and of which share of requests.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tracing {
    /// Who takes them.
    pub(crate) otlp: Located<CollectorUrl>,
    /// Who vouches for it, where that is no public authority.
    pub(crate) ca: Option<Located<PathBuf>>,
    /// The share of traces that begin here and are recorded.
    pub(crate) sample: Share,
    /// What the gateway is called in them.
    pub(crate) service: String,
}

/// Where a collector takes OTLP over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CollectorUrl {
    /// `https` and not `http`.
    pub(crate) tls: bool,
    /// A name, or an IP address without brackets.
    pub(crate) host: String,
    /// The port, written or the scheme's own.
    pub(crate) port: u16,
    /// The path above `/v1/traces`, without a slash at its end.
    pub(crate) path: String,
}

/// A share of a whole: from 0 for nothing to 1 for all of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Share(pub(crate) f64);

pub(super) fn read(table: &Table, folder: &Path, faults: &mut Faults) -> Option<Tracing> {
    let mut fields = Fields::new(table, "`[tracing]`", faults);
    let otlp = fields.required::<Located<CollectorUrl>>("otlp");
    let ca = fields.optional("ca").map(|path| resolved(folder, path));
    if let (Some(otlp), Some(ca)) = (otlp.as_ref().filter(|otlp| !otlp.value.tls), &ca) {
        let fault = Diagnostic::warning("settings::unused-ca", "`ca` does nothing with `http://`");
        let fault = fault.at(ca.span.clone(), "no certificate is looked at");
        let fault = fault.at(otlp.span.clone(), "because this is plaintext");
        fields.faults().push(fault.help("write `https://` if the collector speaks TLS, or remove `ca`"));
    }
    let sample = fields.optional("sample").unwrap_or(Share(0.1));
    let service = fields.optional::<Located<String>>("service");
    if let Some(wrong) = service.as_ref().filter(|service| !is_name(&service.value)) {
        let fault = Diagnostic::error("document::wrong-value", "`service` is no name of a service");
        let help = format!("write 1 to {NAME_BYTES_MAX} visible characters, such as \"reeve\"");
        fields.faults().push(fault.at(wrong.span.clone(), "this value").help(help));
    }
    fields.finish();
    let service = service.map_or_else(|| String::from("reeve"), |service| service.value);
    Some(Tracing { otlp: otlp?, ca, sample, service })
}

fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control) && text.trim() == text
}

impl FromStr for CollectorUrl {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = match text.split_once("://") {
            None => return Err(AddressError::NoScheme("http")),
            Some(("http" | "https", _)) => Url::parse(text)?,
            Some((other, _)) => {
                return Err(AddressError::Scheme { written: other.to_owned(), known: "`http://` or `https://`" });
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Credentials);
        }
        let beyond = url.query().map(|query| format!("?{query}"));
        if let Some(beyond) = beyond.or_else(|| url.fragment().map(|fragment| format!("#{fragment}"))) {
            return Err(AddressError::BeyondPath(beyond));
        }
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err(url::ParseError::EmptyHost.into()),
        };
        let port = url.port_or_known_default().ok_or(url::ParseError::InvalidPort)?;
        // Other settings of this kind are written with it; what is meant is the same.
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix("/v1/traces").unwrap_or(path).to_owned();
        Ok(Self { tls: url.scheme() == "https", host, port, path })
    }
}

impl fmt::Display for CollectorUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        write!(f, "{}://{host}:{}{}", if self.tls { "https" } else { "http" }, self.port, self.path)
    }
}

impl FromValue for CollectorUrl {
    const EXPECTED: &'static str = "the URL of a collector such as \"http://127.0.0.1:4318\"";

    fn from_value(value: &Value) -> Result<Self, Mismatch> {
        String::from_value(value)
            .map_err(|mismatch| Mismatch { expected: Self::EXPECTED.to_owned(), ..mismatch })?
            .parse()
            .map_err(|error: AddressError| Mismatch::content(value, Self::EXPECTED, error))
    }
}

impl FromValue for Share {
    const EXPECTED: &'static str = "a share from 0.0 for none to 1.0 for all, such as 0.1";

    fn from_value(value: &Value) -> Result<Self, Mismatch> {
        let share = match &value.kind {
            Kind::Float(share) => *share,
            Kind::Integer(0) => 0.0,
            Kind::Integer(1) => 1.0,
            Kind::Integer(other) => {
                return Err(Mismatch::content(value, Self::EXPECTED, format!("is {other}, which is no share")));
            }
            other => return Err(Mismatch::kind(value, Self::EXPECTED, other)),
        };
        let within = (0.0..=1.0).contains(&share);
        within
            .then_some(Self(share))
            .ok_or_else(|| Mismatch::content(value, Self::EXPECTED, format!("is {share}, which is no share")))
    }
}

const NAME_BYTES_MAX: usize = 128;
