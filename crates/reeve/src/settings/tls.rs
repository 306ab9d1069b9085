//! Which certificates clients see: `[tls]`, its `[[tls.site]]` tables, and `[acme]`.

use std::path::{Path, PathBuf};

use reeve_base::document::{Faults, Fields, Kind, Table, Value};
use reeve_base::{Diagnostic, Period, Span};

use super::read::{bounded, resolved};
use super::{HostName, Located};

/// Which certificate clients see.
#[derive(Debug, Clone)]
pub(crate) enum Tls {
    /// One from a local certificate authority, made in the data folder on the first run, for these names.
    Local(Vec<Located<HostName>>),
    /// One from elsewhere, in PEM.
    Files {
        /// The chain, the site's own first.
        certificate: Located<PathBuf>,
        /// Its private key.
        key: Located<PathBuf>,
    },
    /// One that is asked for over ACME, for these names.
    Acme(Vec<Located<HostName>>),
}

impl Tls {
    /// The names that are written down for it.
    pub(crate) fn names(&self) -> &[Located<HostName>] {
        match self {
            Self::Local(names) | Self::Acme(names) => names,
            Self::Files { .. } => &[],
        }
    }
}

/// What clients see beside the first certificate.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sites {
    /// The others.
    pub(crate) others: Vec<Tls>,
    /// What a client gets that asks for a name of none.
    pub(crate) unknown: Unknown,
    /// Whom certificates are asked of.
    pub(crate) acme: Option<Acme>,
}

/// What a client gets that asks for a name that no certificate holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Unknown {
    /// The first certificate.
    #[default]
    First,
    /// No handshake.
    Refuse,
}

/// Whom certificates are asked of, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acme {
    /// Where its directory is.
    pub(crate) directory: Located<String>,
    /// Whom it may write to.
    pub(crate) contact: Vec<String>,
    /// How it finds out that the names are ours.
    pub(crate) challenge: Located<Challenge>,
    /// Who vouches for the directory, if no public authority does.
    pub(crate) ca: Option<Located<PathBuf>>,
    /// The command that changes the DNS. Run by a helper that is started before the process is shut in.
    pub(crate) dns_hook: Option<Located<Vec<String>>>,
    /// How long the DNS takes.
    pub(crate) dns_wait: Period,
    /// How long to wait after a first failure.
    pub(crate) retry: Period,
}

/// How an authority finds out that a name is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// `http-01`.
    Http,
    /// `tls-alpn-01`.
    TlsAlpn,
    /// `dns-01`.
    Dns,
}

/// Reads `[tls]`: the first certificate, the others, and what happens to names of none.
pub(super) fn read(table: &Table, folder: &Path, faults: &mut Faults) -> Option<(Tls, Sites)> {
    let mut fields = Fields::new(table, "`[tls]`", faults);
    let first = read_source(&mut fields, table, folder);
    let unknown = read_unknown(&mut fields);
    let sites = fields.value("site");
    fields.finish();
    let others = sites.map_or_else(Vec::new, |sites| read_sites(sites, folder, faults));
    Some((first?, Sites { others, unknown, acme: None }))
}

fn read_sites(value: &Value, folder: &Path, faults: &mut Faults) -> Vec<Tls> {
    let tables = match &value.kind {
        Kind::List(items) => items.iter().map(|item| (item, &item.kind)).collect(),
        other => vec![(value, other)],
    };
    if tables.len() > SITES_MAX {
        let fault = Diagnostic::error("settings::sites", format!("there are {} sites", tables.len()));
        faults.push(fault.at(value.span.clone(), "all of these").help(format!("at most {SITES_MAX} are served")));
    }
    let mut sites = Vec::new();
    for (item, kind) in tables {
        let Kind::Table(table) = kind else {
            let fault = Diagnostic::error("document::wrong-value", format!("a site is {}", kind.name()));
            faults.push(fault.at(item.span.clone(), "this value").help("write a table of its own: `[[tls.site]]`"));
            continue;
        };
        let mut fields = Fields::new(table, "`[[tls.site]]`", faults);
        sites.extend(read_source(&mut fields, table, folder));
        fields.finish();
    }
    sites
}

/// One certificate, in whichever of the three ways.
fn read_source(fields: &mut Fields<'_, '_>, table: &Table, folder: &Path) -> Option<Tls> {
    let local = fields.optional::<Vec<Located<HostName>>>("local");
    let certificate = fields.optional::<Located<PathBuf>>("certificate");
    let key = fields.optional::<Located<PathBuf>>("key");
    let acme = fields.optional::<Vec<Located<HostName>>>("acme");
    if let Some(fault) = source_fault(table, local.as_deref(), acme.as_deref()) {
        fields.faults().push(fault);
    }
    match (local, acme, certificate, key) {
        (Some(names), _, _, _) => Some(Tls::Local(names)),
        (None, Some(names), _, _) => Some(Tls::Acme(names)),
        (None, None, Some(certificate), Some(key)) => {
            Some(Tls::Files { certificate: resolved(folder, certificate), key: resolved(folder, key) })
        }
        (None, None, _, _) => None,
    }
}

/// What is wrong with the keys of a certificate taken together. Asked of the keys and not of their values, so that a
/// value that could not be read does not count as missing too.
fn source_fault(
    table: &Table,
    local: Option<&[Located<HostName>]>,
    acme: Option<&[Located<HostName>]>,
) -> Option<Diagnostic> {
    let written = |key| table.entry(key).map(|entry| entry.key_span.clone());
    let (from_local, from_acme) = (written("local"), written("acme"));
    let (from_file, its_key) = (written("certificate"), written("key"));
    match (from_local, from_acme, from_file, its_key) {
        (Some(local), Some(acme), _, _) => {
            Some(two("a local certificate and one from an authority are both asked for", local, acme))
        }
        (Some(local), None, Some(other), _) | (Some(local), None, None, Some(other)) => {
            Some(two("a local certificate and one from a file are both asked for", local, other))
        }
        (None, Some(acme), Some(other), _) | (None, Some(acme), None, Some(other)) => {
            Some(two("a certificate from an authority and one from a file are both asked for", acme, other))
        }
        (None, None, Some(certificate), None) => Some(
            Diagnostic::error("settings::no-key", "the certificate comes without its private key")
                .at(certificate, "needs `key` beside it")
                .help("add `key = \"key.pem\"`"),
        ),
        (None, None, None, Some(key)) => Some(
            Diagnostic::error("settings::no-certificate", "the private key comes without its certificate")
                .at(key, "needs `certificate` beside it")
                .help("add `certificate = \"cert.pem\"`"),
        ),
        (None, None, None, None) => Some(
            Diagnostic::error("settings::no-certificate", "`[tls]` names no certificate")
                .at(table.span.clone(), "nothing here")
                .help("add `local = [\"localhost\"]`, or `certificate = \"cert.pem\"` and `key = \"key.pem\"`"),
        ),
        (Some(span), None, None, None) => empty("local", span, local),
        (None, Some(span), None, None) => empty("acme", span, acme),
        (None, None, Some(_), Some(_)) => None,
    }
}

fn two(message: &str, one: Span, other: Span) -> Diagnostic {
    Diagnostic::error("settings::two-certificates", message)
        .at(one, "this one")
        .at(other, "or this one")
        .help("keep `local` to try things out; keep `certificate` and `key` for a site that others visit")
}

fn empty(key: &str, span: Span, names: Option<&[Located<HostName>]>) -> Option<Diagnostic> {
    let example = if key == "local" { "\"localhost\", \"127.0.0.1\"" } else { "\"www.example.com\"" };
    let message = format!("`{key}` is empty: the certificate would name nobody");
    names.is_some_and(<[_]>::is_empty).then(|| {
        Diagnostic::error("settings::no-certificate", message)
            .at(span, "no name")
            .help(format!("write `{key} = [{example}]`"))
    })
}

fn read_unknown(fields: &mut Fields<'_, '_>) -> Unknown {
    let Some(written) = fields.optional::<Located<String>>("unknown") else { return Unknown::First };
    match written.value.as_str() {
        "first" => Unknown::First,
        "refuse" => Unknown::Refuse,
        other => {
            let fault = Diagnostic::error("document::wrong-value", format!("`{other}` is no answer to unknown names"));
            fields.faults().push(fault.at(written.span, "this value").help("write \"first\" or \"refuse\""));
            Unknown::First
        }
    }
}

/// Reads `[acme]`.
pub(super) fn read_acme(table: &Table, folder: &Path, faults: &mut Faults) -> Option<Acme> {
    let mut fields = Fields::new(table, "`[acme]`", faults);
    let directory = fields.required::<Located<String>>("directory");
    let contact = read_contact(&mut fields);
    let terms = fields.optional::<Located<bool>>("terms_agreed");
    let challenge = read_challenge(&mut fields);
    let ca = fields.optional::<Located<PathBuf>>("ca").map(|path| resolved(folder, path));
    let dns_hook = fields.optional::<Vec<String>>("dns_hook");
    let dns_hook =
        fields.value("dns_hook").zip(dns_hook).map(|(written, value)| Located { value, span: written.span.clone() });
    let dns_wait = bounded(&mut fields, "dns_wait", &(Period::seconds(0)..=Period::minutes(2)), Period::seconds(30));
    let retry = bounded(&mut fields, "retry", &(Period::seconds(10)..=Period::minutes(60)), Period::minutes(5));
    if let Some(wrong) = directory.as_ref().filter(|directory| !is_https(&directory.value)) {
        let fault = Diagnostic::error("document::wrong-value", "`directory` is no address of an authority");
        let help = "write a URL with https, such as \"https://acme-v02.api.letsencrypt.org/directory\"";
        fields.faults().push(fault.at(wrong.span.clone(), "this value").help(help));
    }
    if !terms.as_ref().is_some_and(|terms| terms.value) {
        let fault = Diagnostic::error("settings::terms", "the authority's terms are not agreed to");
        let span = terms.map_or_else(|| table.span.clone(), |terms| terms.span);
        let help = "read them (its directory names them) and write `terms_agreed = true`";
        fields.faults().push(fault.at(span, "needs `terms_agreed = true`").help(help));
    }
    fields.finish();
    Some(Acme { directory: directory?, contact, challenge, ca, dns_hook, dns_wait, retry })
}

fn is_https(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| url.scheme() == "https" && url.password().is_none() && url.has_host())
}

fn read_contact(fields: &mut Fields<'_, '_>) -> Vec<String> {
    let contacts = fields.optional::<Vec<Located<String>>>("contact").unwrap_or_default();
    for wrong in contacts.iter().filter(|contact| !is_mail(&contact.value)) {
        let fault = Diagnostic::error("document::wrong-value", format!("`{}` is no mail address", wrong.value));
        fields.faults().push(fault.at(wrong.span.clone(), "this value").help("write \"mailto:admin@example.com\""));
    }
    contacts.into_iter().map(|contact| contact.value).collect()
}

/// One address and no more: authorities take neither lists nor header fields (RFC 8555 section 7.3).
fn is_mail(text: &str) -> bool {
    let Some((name, host)) = text.strip_prefix("mailto:").and_then(|address| address.split_once('@')) else {
        return false;
    };
    !name.is_empty() && !host.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !b",?".contains(&byte))
}

fn read_challenge(fields: &mut Fields<'_, '_>) -> Located<Challenge> {
    let Some(written) = fields.optional::<Located<String>>("challenge") else {
        return Located { value: Challenge::Http, span: 0..0 };
    };
    let challenge = match written.value.as_str() {
        "http-01" => Challenge::Http,
        "tls-alpn-01" => Challenge::TlsAlpn,
        "dns-01" => Challenge::Dns,
        other => {
            let fault = Diagnostic::error("document::wrong-value", format!("`{other}` is no challenge"));
            let help = "write \"http-01\", \"tls-alpn-01\" or \"dns-01\"";
            fields.faults().push(fault.at(written.span.clone(), "this value").help(help));
            Challenge::Http
        }
    };
    written.map(|_| challenge)
}

/// More certificates than that belong before several gateways.
const SITES_MAX: usize = 200;
