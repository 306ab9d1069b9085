//! A log that is in systemd's journal: `journal`, `journal_directory` and `server` of `[[watch]]`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use reeve_base::Diagnostic;
use reeve_base::document::{Fields, Kind as ValueKind};
use reeve_watch::Units;

use crate::settings::Located;

/// What some units write to the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JournalLog {
    /// Which.
    pub(crate) units: Units,
    /// Where the journal is, if it is not this machine's own.
    pub(crate) directory: Option<PathBuf>,
    /// Where an SSH server listens that writes to it, for whoever proves that failures at it are counted.
    pub(crate) server: Option<SocketAddr>,
}

pub(super) fn read(fields: &mut Fields<'_, '_>, folder: &Path) -> Option<JournalLog> {
    let units = units(fields);
    let directory = fields.optional::<Located<PathBuf>>("journal_directory");
    let server = fields.optional::<Located<String>>("server");
    if units.is_none() {
        for (key, span) in [
            ("journal_directory", directory.as_ref().map(|one| &one.span)),
            ("server", server.as_ref().map(|one| &one.span)),
        ] {
            if let Some(span) = span.filter(|_| fields.value("journal").is_none()) {
                let fault = Diagnostic::error("settings::no-journal", format!("`{key}` is about a journal"));
                fields.faults().push(fault.at(span.clone(), "here").help("name units: `journal = \"ssh.service\"`"));
            }
        }
    }
    let server = server.and_then(|written| {
        let address = written.value.parse();
        if address.is_err() {
            let fault =
                Diagnostic::error("document::wrong-value", format!("`{}` is no address with a port", written.value));
            fields.faults().push(fault.at(written.span, "this value").help("write `127.0.0.1:22`"));
        }
        address.ok()
    });
    Some(JournalLog { units: units?, directory: directory.map(|directory| folder.join(directory.value)), server })
}

/// One unit, or a list of them.
fn units(fields: &mut Fields<'_, '_>) -> Option<Units> {
    let value = fields.value("journal")?;
    let span = value.span.clone();
    let written = match &value.kind {
        ValueKind::List(_) => fields.optional::<Vec<Located<String>>>("journal")?,
        _ => vec![fields.optional::<Located<String>>("journal")?],
    };
    if written.is_empty() || written.len() > UNITS_MAX {
        let message = format!("`journal` names {} units; it takes 1 to {UNITS_MAX}", written.len());
        fields.faults().push(Diagnostic::error("settings::out-of-range", message).at(span, "this value"));
        return None;
    }
    let before = written.len();
    let names: Vec<String> = written.into_iter().filter_map(|unit| name(unit, fields)).collect();
    (names.len() == before).then(|| Units::new(names))
}

/// A unit's full name (systemd.unit(5)).
fn name(unit: Located<String>, fields: &mut Fields<'_, '_>) -> Option<String> {
    let Located { value, span } = unit;
    if is_unit(&value) {
        return Some(value);
    }
    let fault = Diagnostic::error("document::wrong-value", format!("`{value}` is no full name of a unit"));
    fields.faults().push(fault.at(span, "this value").help(help(&value)));
    None
}

fn is_unit(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    let stem = KINDS.iter().find_map(|kind| name.strip_suffix(kind));
    name.len() <= UNIT_BYTES_MAX && name.bytes().all(plain) && stem.is_some_and(|stem| !stem.is_empty() && stem != "@")
}

fn help(value: &str) -> String {
    let whole = format!("{value}.service");
    if is_unit(&whole) && !value.contains('.') {
        format!("write \"{whole}\"; `systemctl list-units` shows the names")
    } else {
        String::from("write a name such as \"ssh.service\", or \"ssh@.service\" for all of its instances")
    }
}

/// The units that processes belong to.
const KINDS: [&str; 2] = [".service", ".scope"];

const UNITS_MAX: usize = 16;

/// systemd's own limit.
const UNIT_BYTES_MAX: usize = 255;
