//! Which requests go to which application: `[[route]]`.

use reeve_base::Diagnostic;
use reeve_base::document::{Faults, Fields, Table, Value};

use crate::settings::{HostName, Located};

use super::tables;

/// Requests that go to one application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// The host that is asked for; any, if there is none.
    pub(crate) host: Option<Located<HostName>>,
    /// The path, with everything below it. Without a slash at its end; empty for everything.
    pub(crate) path: Located<String>,
    /// The application's name.
    pub(crate) upstream: Located<String>,
}

impl Route {
    /// Whether the two are for the same requests.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let host = |route: &Self| route.host.as_ref().map(|host| host.value.clone());
        host(self) == host(other) && self.path.value == other.path.value
    }
}

pub(in crate::settings) fn read(value: Option<&Value>, faults: &mut Faults) -> Vec<Route> {
    tables(value, "route", faults).into_iter().filter_map(|table| read_one(table, faults)).collect()
}

fn read_one(table: &Table, faults: &mut Faults) -> Option<Route> {
    let mut fields = Fields::new(table, "`[[route]]`", faults);
    let host = fields.optional::<Located<HostName>>("host");
    if let Some(wild) = host.as_ref().filter(|host| host.value.as_str().starts_with("*.")) {
        let fault = Diagnostic::error("document::wrong-value", "a route is for one host, and this is a pattern");
        fields.faults().push(fault.at(wild.span.clone(), "this value").help("write a route for each name"));
    }
    let path = match fields.optional::<Located<String>>("path") {
        Some(path) => path,
        None if host.is_some() => Located { value: String::from("/"), span: table.span.clone() },
        None => {
            let fault = Diagnostic::error("document::missing-key", "`[[route]]` has neither `path` nor `host`");
            let help = "add `path = \"/api/\"`, or `host = \"api.example.com\"`";
            fields.faults().push(fault.at(table.span.clone(), "for which requests is it?").help(help));
            Located { value: String::from("/"), span: table.span.clone() }
        }
    };
    if !is_plain(&path.value) {
        let fault = Diagnostic::error("settings::route-path", format!("`{}` is no plain path", path.value));
        let help = "write it as the application reads it: from `/`, without `//`, `.`, `..`, `;`, `%` and `?`";
        fields.faults().push(fault.at(path.span.clone(), "this value").help(help));
    }
    let upstream = fields.required("upstream");
    fields.finish();
    Some(Route { host, path: path.map(|path| path.trim_end_matches('/').to_owned()), upstream: upstream? })
}

/// Whether everybody reads the path in the same way.
fn is_plain(path: &str) -> bool {
    let odd = |byte: u8| !byte.is_ascii_graphic() || matches!(byte, b'%' | b';' | b'\\' | b'?' | b'#');
    path.strip_prefix('/').is_some_and(|rest| {
        let segments = rest.strip_suffix('/').unwrap_or(rest);
        !path.bytes().any(odd) && (rest.is_empty() || segments.split('/').all(|one| !matches!(one, "" | "." | "..")))
    })
}
