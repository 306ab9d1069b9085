//! The applications behind: `[upstream]`, `[[upstreams]]` and `[[route]]`.

mod keys;
mod routes;

use std::path::{Path, PathBuf};

use reeve_base::document::{Faults, Fields, Kind, Table, Value};
use reeve_base::{Diagnostic, Period};
use reeve_edge::{KeyPin, SERVERS_MAX};

use super::read::{bounded, bounded_if, is_path, resolved};
use super::{ClientFiles, DocumentFile, HostName, Located, UpstreamUrl};

pub(crate) use routes::Route;
pub(super) use routes::read as read_routes;

/// An application behind: one server, or several that do the same.
#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    /// What routes call it; [`DEFAULT`] for `[upstream]`.
    pub(crate) name: Located<String>,
    /// Where its first server is.
    pub(crate) url: Located<UpstreamUrl>,
    /// Where the others are, spoken to in the same way.
    pub(crate) others: Vec<Located<UpstreamUrl>>,
    /// The authority that signed its certificate, if not a public one. Only with `https`.
    pub(crate) ca: Option<Located<PathBuf>>,
    /// The keys that it may have; any, if there are none. Only with `https`.
    pub(crate) pins: Vec<Located<KeyPin>>,
    /// What it is shown if it asks who we are. Only with `https`.
    pub(crate) client: Option<ClientFiles>,
    /// What it says that it takes.
    pub(crate) document: Option<DocumentFile>,
    /// Whether a document is learned from the requests to it.
    pub(crate) learn: bool,
    /// How long a connection may take to be made.
    pub(crate) connect: Period,
    /// How long the application may take to begin an answer.
    pub(crate) answer: Period,
    /// How long an unused connection is kept.
    pub(crate) idle: Period,
    /// How many unused connections each worker keeps, for each server.
    pub(crate) connections: u32,
    /// How often a request that failed may be tried at another server.
    pub(crate) retries: u32,
    /// How its servers are looked after.
    pub(crate) health: Option<Health>,
    /// When a server that fails is left alone.
    pub(crate) circuit: Option<Circuit>,
}

impl Upstream {
    /// Every server.
    pub(crate) fn urls(&self) -> impl Iterator<Item = &Located<UpstreamUrl>> {
        std::iter::once(&self.url).chain(&self.others)
    }
}

/// A question that is put to each server again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Health {
    /// What is asked for.
    pub(crate) path: String,
    /// Under which name; the server's own without it.
    pub(crate) host: Option<HostName>,
    /// The time between two questions.
    pub(crate) every: Period,
    /// How long an answer may take.
    pub(crate) timeout: Period,
    /// So many good answers in a row bring a server back.
    pub(crate) healthy: u32,
    /// So many bad ones take it out.
    pub(crate) unhealthy: u32,
}

/// When a server that fails is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Circuit {
    /// So many failures.
    pub(crate) failures: u32,
    /// Within this time.
    pub(crate) window: Period,
    /// For how long the first time.
    pub(crate) open: Period,
    /// The share of errors among the answers that does it as well, in percent.
    pub(crate) errors: Option<u8>,
}

impl Circuit {
    /// What is usual where there is another server to go to.
    const USUAL: Self = Self { failures: 5, window: Period::seconds(10), open: Period::seconds(5), errors: None };
}

/// What `[upstream]` is called.
pub(crate) const DEFAULT: &str = "default";

/// Reads `[upstream]`.
pub(super) fn read(table: &Table, folder: &Path, faults: &mut Faults) -> Option<Upstream> {
    let mut fields = Fields::new(table, "`[upstream]`", faults);
    let name = Located { value: String::from(DEFAULT), span: 0..0 };
    read_one(&mut fields, name, table, folder).inspect(|_| fields.finish())
}

/// Reads `[[upstreams]]`.
pub(super) fn read_named(value: Option<&Value>, folder: &Path, faults: &mut Faults) -> Vec<Upstream> {
    let mut found = Vec::new();
    for table in tables(value, "upstreams", faults) {
        let mut fields = Fields::new(table, "`[[upstreams]]`", faults);
        let name = fields.required::<Located<String>>("name");
        if let Some(wrong) = name.as_ref().filter(|name| !is_name(&name.value)) {
            let fault = Diagnostic::error("document::wrong-value", format!("`{}` is no name", wrong.value));
            let help = format!("write 1 to {NAME_BYTES_MAX} of a-z, 0-9 and `-`, such as \"api\"");
            fields.faults().push(fault.at(wrong.span.clone(), "this value").help(help));
        }
        let named = name.clone().unwrap_or(Located { value: String::new(), span: 0..0 });
        let upstream = read_one(&mut fields, named, table, folder);
        if let Some(upstream) = upstream {
            fields.finish();
            found.extend(name.map(|_| upstream));
        }
    }
    found
}

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain)
}

/// The tables of a list of tables.
fn tables<'t>(value: Option<&'t Value>, key: &str, faults: &mut Faults) -> Vec<&'t Table> {
    let Some(value) = value else { return Vec::new() };
    let mut refuse = |value: &Value| {
        let fault = Diagnostic::error("document::wrong-kind", format!("`{key}` is no list of tables"));
        let help = format!("write `[[{key}]]` above the keys of each");
        faults.push(fault.at(value.span.clone(), "here").help(help));
    };
    let Kind::List(items) = &value.kind else {
        refuse(value);
        return Vec::new();
    };
    let mut found = Vec::new();
    for item in items {
        match &item.kind {
            Kind::Table(table) => found.push(table),
            _ => refuse(item),
        }
    }
    if found.len() > reeve_edge::ROUTES_MAX {
        let message = format!("{} of `{key}`; {} are the most", found.len(), reeve_edge::ROUTES_MAX);
        faults.push(Diagnostic::error("settings::out-of-range", message).at(value.span.clone(), "too many"));
    }
    found
}

fn read_one(fields: &mut Fields<'_, '_>, name: Located<String>, table: &Table, folder: &Path) -> Option<Upstream> {
    let urls = read_urls(fields, table);
    let ca = fields.optional::<Located<PathBuf>>("ca").map(|path| resolved(folder, path));
    let connect = bounded(fields, "connect", &(Period::seconds(1)..=Period::minutes(1)), Period::seconds(5));
    let answer = bounded(fields, "answer", &(Period::seconds(1)..=Period::minutes(60)), Period::seconds(30));
    let idle = bounded(fields, "idle", &(Period::seconds(1)..=Period::minutes(60)), Period::seconds(60));
    let connections = bounded(fields, "connections", &(1..=10_000), 128);
    let retries = bounded(fields, "retries", &(0..=10), 2);
    let pins = keys::read_pins(fields);
    let client = keys::read_client(fields, table, folder);
    let document = keys::read_document(fields, folder);
    let learn = fields.optional("learn").unwrap_or_default();
    let health = fields.table("health").and_then(|table| read_health(table, fields.faults()));
    let circuit = fields.table("circuit").map(|table| read_circuit(table, fields.faults()));
    let mut urls = urls.into_iter();
    let (url, others) = (urls.next()?, urls.collect::<Vec<_>>());
    // Alone, it is asked whatever it did last: to leave it alone would help nobody.
    let circuit = circuit.or_else(|| (!others.is_empty()).then_some(Circuit::USUAL));
    Some(Upstream {
        name,
        url,
        others,
        ca,
        pins,
        client,
        document,
        learn,
        connect,
        answer,
        idle,
        connections,
        retries,
        health,
        circuit,
    })
}

/// `url`, or `urls`. Without either there is nothing more to say of this upstream.
fn read_urls(fields: &mut Fields<'_, '_>, table: &Table) -> Vec<Located<UpstreamUrl>> {
    let Some(both) = table.entry("urls") else { return fields.required("url").into_iter().collect() };
    let urls: Vec<Located<UpstreamUrl>> = fields.optional("urls").unwrap_or_default();
    if let Some(url) = fields.value("url") {
        let fault = Diagnostic::error("settings::two-urls", "there is `url`, and there is `urls`");
        let fault = fault.at(url.span.clone(), "one server").at(both.value.span.clone(), "or several");
        fields.faults().push(fault.help("write all servers into `urls`, and remove `url`"));
    }
    if matches!(&both.value.kind, Kind::List(items) if items.is_empty()) {
        let fault = Diagnostic::error("settings::no-server", "`urls` is empty: nobody could answer");
        let help = "write `urls = [\"http://127.0.0.1:3000\"]`";
        fields.faults().push(fault.at(both.value.span.clone(), "no server").help(help));
    }
    if let Some(first) = urls.get(SERVERS_MAX) {
        let message = format!("`urls` names {} servers; {SERVERS_MAX} are the most", urls.len());
        let fault = Diagnostic::error("settings::out-of-range", message);
        fields.faults().push(fault.at(first.span.clone(), "one too many"));
    }
    urls
}

fn read_health(table: &Table, faults: &mut Faults) -> Option<Health> {
    let mut fields = Fields::new(table, "`health`", faults);
    let path = fields.required::<Located<String>>("path");
    if let Some(wrong) = path.as_ref().filter(|path| !is_path(&path.value)) {
        let fault = Diagnostic::error("document::wrong-value", "`path` is no absolute path of a URL");
        fields.faults().push(fault.at(wrong.span.clone(), "this value").help("write a path such as \"/healthz\""));
    }
    let host = fields.optional("host");
    let every = bounded(&mut fields, "every", &(Period::seconds(1)..=Period::minutes(10)), Period::seconds(5));
    let timeout = bounded(&mut fields, "timeout", &(Period::seconds(1)..=Period::minutes(1)), Period::seconds(2));
    let healthy = bounded(&mut fields, "healthy", &(1..=100), 2);
    let unhealthy = bounded(&mut fields, "unhealthy", &(1..=100), 3);
    fields.finish();
    Some(Health { path: path?.value, host, every, timeout, healthy, unhealthy })
}

fn read_circuit(table: &Table, faults: &mut Faults) -> Circuit {
    let usual = Circuit::USUAL;
    let mut fields = Fields::new(table, "`circuit`", faults);
    let failures = bounded(&mut fields, "failures", &(1..=1_000), usual.failures);
    let window = bounded(&mut fields, "window", &(Period::seconds(1)..=Period::minutes(10)), usual.window);
    let open = bounded(&mut fields, "open", &(Period::seconds(1)..=Period::minutes(10)), usual.open);
    let errors = bounded_if(&mut fields, "errors", &(1..=100)).map(|errors| errors.value);
    fields.finish();
    Circuit { failures, window, open, errors }
}

const NAME_BYTES_MAX: usize = 64;
