//! From what was written to what it means: one pure function, all faults in one run.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use reeve_base::document::{Faults, Fields, FromValue, Table};
use reeve_base::{Diagnostic, Period};
use reeve_edge::AccessLog;

use super::{
    Access, Listen, Located, Prove, Sandbox, Server, Settings, Sites, Surroundings, ban, callers, keeping, sense,
    session, tls, tracing, upstream, waf, watch,
};

/// The one format there is.
pub(super) const SCHEMA: &str = "reeve.settings/1";

/// Reads the document's top level. There are settings if nothing that they need is missing or unreadable; they may be
/// used only if no fault is an error.
pub(super) fn settings(root: &Table, around: &Surroundings) -> (Option<Settings>, Vec<Diagnostic>) {
    let mut faults = Faults::default();
    let settings = top(root, around, &mut faults);
    if let Some(settings) = &settings {
        sense::check(settings, &mut faults);
    }
    (settings, faults.into_sorted())
}

fn top(root: &Table, around: &Surroundings, faults: &mut Faults) -> Option<Settings> {
    let mut top = Fields::new(root, "the settings file", faults);
    schema(&mut top);
    let policy = top.required::<Located<PathBuf>>("policy");
    let data = top.optional::<Located<PathBuf>>("data").unwrap_or_else(|| default(PathBuf::from("reeve-data")));
    let listen = section(&mut top, "listen", Some("https = [\"127.0.0.1:8443\"]"));
    let tls = section(&mut top, "tls", Some("local = [\"localhost\", \"127.0.0.1\"]"));
    let acme = section(&mut top, "acme", None);
    let upstream = section(&mut top, "upstream", Some("url = \"http://127.0.0.1:3000\""));
    let (named, routes) = (top.value("upstreams"), top.value("route"));
    let keys = section(&mut top, "keys", None);
    let ledger = section(&mut top, "ledger", None);
    let store = section(&mut top, "store", None);
    let ban = section(&mut top, "ban", None);
    let session = section(&mut top, "session", None);
    let bots = section(&mut top, "bots", None);
    let waf = section(&mut top, "waf", None);
    let watch = top.value("watch");
    let pages = section(&mut top, "pages", None);
    let log = section(&mut top, "log", None);
    let metrics = section(&mut top, "metrics", None);
    let tracing = section(&mut top, "tracing", None);
    let server = section(&mut top, "server", None);
    let prove = section(&mut top, "prove", None);
    top.finish();

    let folder = &around.folder;
    let listen = listen.and_then(|table| read_listen(table, faults));
    let tls = tls.and_then(|table| tls::read(table, folder, faults));
    let acme = acme.and_then(|table| tls::read_acme(table, folder, faults));
    let upstream = upstream.and_then(|table| upstream::read(table, folder, faults));
    let named = upstream::read_named(named, folder, faults);
    let routes = upstream::read_routes(routes, faults);
    // Tables that may be left out are read as if they were empty: their keys have defaults.
    let empty = Table::default();
    let data = resolved(folder, data);
    let seal = keeping::read_keys(keys.unwrap_or(&empty), folder, &data.value, faults);
    let ledger = keeping::read_ledger(ledger.unwrap_or(&empty), folder, &data.value, faults);
    let store = keeping::read_store(store.unwrap_or(&empty), folder, &data.value, faults);
    let ban = ban::read(ban.unwrap_or(&empty), faults);
    let session = session::read(session.unwrap_or(&empty), faults);
    let bots = callers::read_bots(bots.unwrap_or(&empty), faults);
    let waf = waf::read(waf.unwrap_or(&empty), folder, faults);
    let watch = watch::read(watch, folder, faults);
    let pages = pages.and_then(|table| read_pages(table, folder, faults));
    let (access, fields) = read_access(log.unwrap_or(&empty), folder, faults);
    let metrics = metrics.and_then(|table| read_metrics(table, faults));
    let tracing = tracing.and_then(|table| tracing::read(table, folder, faults));
    let server = read_server(server.unwrap_or(&empty), around.cores, faults);
    let prove = read_prove(prove.unwrap_or(&empty), folder, faults);
    let (tls, sites) = tls?;
    Some(Settings {
        policy: resolved(folder, policy?),
        data,
        listen: listen?,
        tls,
        sites: Sites { acme, ..sites },
        upstream: upstream?,
        named,
        routes,
        seal,
        ledger,
        store,
        ban,
        session,
        bots,
        waf,
        watch,
        pages,
        access,
        fields,
        metrics,
        tracing,
        server,
        prove,
    })
}

fn schema(top: &mut Fields<'_, '_>) {
    let Some(schema) = top.required::<Located<String>>("schema") else { return };
    if schema.value != SCHEMA {
        let fault =
            Diagnostic::error("settings::schema", format!("`{}` is no format that this version reads", schema.value));
        top.faults().push(fault.at(schema.span, "unknown format").help(format!("write `schema = \"{SCHEMA}\"`")));
    }
}

/// The table under `key`. One that is needed comes with a line to begin it with.
fn section<'t>(top: &mut Fields<'t, '_>, key: &'static str, needed: Option<&str>) -> Option<&'t Table> {
    if let (None, Some(line)) = (top.value(key), needed) {
        let fault = Diagnostic::error("document::missing-key", format!("the settings file has no `[{key}]` table"));
        top.faults().push(fault.help(format!("add `[{key}]` with `{line}`")));
        return None;
    }
    top.table(key)
}

fn read_listen(table: &Table, faults: &mut Faults) -> Option<Listen> {
    let mut fields = Fields::new(table, "`[listen]`", faults);
    let https = fields.required::<Vec<Located<SocketAddr>>>("https");
    let http: Vec<Located<SocketAddr>> = fields.optional("http").unwrap_or_default();
    let public = fields.optional("public");
    if https.as_ref().is_some_and(Vec::is_empty) {
        let span = fields.value("https").map(|value| value.span.clone()).unwrap_or_default();
        let fault = Diagnostic::error("settings::no-listener", "`https` is empty: nobody could reach the site");
        fields.faults().push(fault.at(span, "no address").help("write `https = [\"127.0.0.1:8443\"]`"));
    }
    let listeners: Vec<_> = https.iter().flatten().chain(&http).cloned().collect();
    let proxies = callers::read_proxies(&mut fields, &listeners);
    fields.finish();
    Some(Listen { https: https?, http, public, proxies })
}

fn read_access(table: &Table, folder: &Path, faults: &mut Faults) -> (Access, Option<Vec<String>>) {
    let mut fields = Fields::new(table, "`[log]`", faults);
    let access = fields.optional::<Located<String>>("access");
    let chosen = fields.optional::<Vec<Located<String>>>("fields");
    for wrong in chosen.iter().flatten().filter(|field| !AccessLog::FIELDS.contains(&field.value.as_str())) {
        let fault = Diagnostic::error("document::wrong-value", format!("no event has a field `{}`", wrong.value));
        let help = format!("there are {}", AccessLog::FIELDS.join(", "));
        fields.faults().push(fault.at(wrong.span.clone(), "this name").help(help));
    }
    if let Some(empty) = access.as_ref().filter(|access| access.value.trim().is_empty()) {
        let fault = Diagnostic::error("document::wrong-value", "`access` is empty");
        fields.faults().push(fault.at(empty.span.clone(), "this value").help(ACCESS_HELP));
    }
    fields.finish();
    let access = match access {
        None => Access::Stdout,
        Some(access) => match access.value.as_str() {
            "stdout" => Access::Stdout,
            "off" => Access::Off,
            _ => Access::File(resolved(folder, access.map(PathBuf::from))),
        },
    };
    (access, chosen.map(|chosen| chosen.into_iter().map(|field| field.value).collect()))
}

const ACCESS_HELP: &str = "write \"stdout\", \"off\" or a path such as \"access.log\"";

fn read_metrics(table: &Table, faults: &mut Faults) -> Option<Located<SocketAddr>> {
    let mut fields = Fields::new(table, "`[metrics]`", faults);
    let listen = fields.optional("listen");
    fields.finish();
    listen
}

fn read_server(table: &Table, cores: u16, faults: &mut Faults) -> Server {
    let mut fields = Fields::new(table, "`[server]`", faults);
    let workers = bounded(&mut fields, "workers", &(1..=WORKERS_MAX), cores.clamp(1, WORKERS_MAX));
    let drain = bounded(&mut fields, "drain", &(Period::seconds(0)..=Period::minutes(10)), Period::seconds(10));
    let upgrade = bounded(&mut fields, "upgrade", &(Period::seconds(1)..=Period::minutes(10)), Period::minutes(1));
    let connections = bounded(&mut fields, "connections", &(1..=1_000_000), 10_000);
    let sandbox = read_sandbox(&mut fields);
    fields.finish();
    Server { workers, drain, upgrade, connections, sandbox }
}

fn read_sandbox(fields: &mut Fields<'_, '_>) -> Sandbox {
    let Some(written) = fields.optional::<Located<String>>("sandbox") else { return Sandbox::BestEffort };
    match written.value.as_str() {
        "best-effort" => Sandbox::BestEffort,
        "enforce" => Sandbox::Enforce,
        "off" => Sandbox::Off,
        other => {
            let fault = Diagnostic::error("document::wrong-value", format!("`{other}` is no kind of sandbox"));
            let help = "write \"best-effort\", \"enforce\" or \"off\"";
            fields.faults().push(fault.at(written.span, "this value").help(help));
            Sandbox::BestEffort
        }
    }
}

fn read_pages(table: &Table, folder: &Path, faults: &mut Faults) -> Option<Located<PathBuf>> {
    let mut fields = Fields::new(table, "`[pages]`", faults);
    let pages = fields.required::<Located<PathBuf>>("folder").map(|path| resolved(folder, path));
    fields.finish();
    pages
}

fn read_prove(table: &Table, folder: &Path, faults: &mut Faults) -> Prove {
    let mut fields = Fields::new(table, "`[prove]`", faults);
    let error_path = read_path(&mut fields, "error_path", "/boom");
    let trace_path = read_path(&mut fields, "trace_path", "/oops");
    let caches = fields.optional::<Vec<Located<PathBuf>>>("caches").unwrap_or_default();
    fields.finish();
    Prove { error_path, trace_path, caches: caches.into_iter().map(|path| folder.join(path.value)).collect() }
}

fn read_path(fields: &mut Fields<'_, '_>, key: &'static str, example: &str) -> Option<String> {
    let path = fields.optional::<Located<String>>(key);
    if let Some(wrong) = path.as_ref().filter(|path| !is_path(&path.value)) {
        let fault = Diagnostic::error("document::wrong-value", format!("`{key}` is no absolute path of a URL"));
        let help = format!("write a path such as \"{example}\"");
        fields.faults().push(fault.at(wrong.span.clone(), "this value").help(help));
    }
    path.map(|path| path.value)
}

pub(super) fn is_path(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

/// The value under `key` within its bounds, if it is written.
pub(super) fn bounded_if<T: FromValue + PartialOrd + Display + Copy>(
    fields: &mut Fields<'_, '_>,
    key: &'static str,
    range: &RangeInclusive<T>,
) -> Option<Located<T>> {
    let span = fields.value(key)?.span.clone();
    let value = bounded(fields, key, range, *range.start());
    Some(Located { value, span })
}

/// The value under `key` within its bounds, or its default. One outside is recorded, and then it does not matter what
/// is returned.
pub(super) fn bounded<T: FromValue + PartialOrd + Display>(
    fields: &mut Fields<'_, '_>,
    key: &'static str,
    range: &RangeInclusive<T>,
    otherwise: T,
) -> T {
    let Some(written) = fields.optional::<Located<T>>(key) else { return otherwise };
    if !range.contains(&written.value) {
        let message = format!("`{key}` is `{}`, outside its range", written.value);
        let help = format!("write a value from `{}` to `{}`", range.start(), range.end());
        let fault = Diagnostic::error("settings::out-of-range", message);
        fields.faults().push(fault.at(written.span, "this value").help(help));
        return otherwise;
    }
    written.value
}

/// Relative paths start from the settings' own folder, wherever the process was started.
pub(super) fn resolved(folder: &Path, path: Located<PathBuf>) -> Located<PathBuf> {
    path.map(|path| folder.join(path))
}

fn default<T>(value: T) -> Located<T> {
    Located { value, span: 0..0 }
}

/// More threads than this serve nobody on the machines there are.
const WORKERS_MAX: u16 = 256;
