//! Which logs of other programs are watched: `[[watch]]`.

mod journal;

use std::path::{Path, PathBuf};

use reeve_base::document::{Faults, Fields, Kind as ValueKind, Table, Value};
use reeve_base::{Diagnostic, Period, Span};
use reeve_watch::Kind;

use super::Located;
pub(crate) use journal::JournalLog;

/// A log that is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WatchSettings {
    /// What is looked for in it.
    pub(crate) kind: Kind,
    /// Where it is.
    pub(crate) log: WatchedLog,
    /// How many failures are a ban, within which time, and for how long. Where the policy has a control for it, the
    /// policy says so and not the settings.
    pub(crate) rule: Option<Located<WatchRule>>,
}

/// Where a log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WatchedLog {
    /// A file.
    File(Located<PathBuf>),
    /// What some units write to the journal.
    Journal(JournalLog),
}

/// What makes a ban.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WatchRule {
    /// How many failures.
    pub(crate) failures: u16,
    /// Within which time.
    pub(crate) window: Period,
    /// For how long the first time.
    pub(crate) ban: Period,
}

impl WatchRule {
    /// What is usual.
    pub(crate) const USUAL: Self = Self { failures: 5, window: Period::minutes(10), ban: Period::minutes(60) };
}

pub(super) fn read(value: Option<&Value>, folder: &Path, faults: &mut Faults) -> Vec<WatchSettings> {
    let Some(value) = value else { return Vec::new() };
    let tables = match &value.kind {
        ValueKind::List(items) => items.iter().map(|item| (item, table(item))).collect(),
        _ => vec![(value, None)],
    };
    if let Some((first, _)) = tables.get(WATCHES_MAX) {
        let message = format!("{} logs are watched; {WATCHES_MAX} are the most", tables.len());
        faults.push(Diagnostic::error("settings::out-of-range", message).at(first.span.clone(), "one too many"));
    }
    let one = |(value, table): (&Value, Option<&Table>)| match table {
        Some(table) => read_one(table, value.span.clone(), folder, faults),
        None => {
            let fault = Diagnostic::error("document::wrong-kind", "`watch` is no list of tables");
            faults.push(fault.at(value.span.clone(), "here").help("write `[[watch]]` above the keys of each log"));
            None
        }
    };
    tables.into_iter().filter_map(one).collect()
}

fn table(value: &Value) -> Option<&Table> {
    match &value.kind {
        ValueKind::Table(table) => Some(table),
        _ => None,
    }
}

fn read_one(table: &Table, span: Span, folder: &Path, faults: &mut Faults) -> Option<WatchSettings> {
    let mut fields = Fields::new(table, "`[[watch]]`", faults);
    let kind = fields.required::<Located<String>>("kind");
    let log = read_log(&mut fields, span, folder);
    let failures = super::read::bounded_if(&mut fields, "failures", &(1..=1_000));
    let window = super::read::bounded_if(&mut fields, "window", &(Period::seconds(10)..=Period::days(7)));
    let ban = super::read::bounded_if(&mut fields, "ban", &(Period::seconds(1)..=Period::days(365)));
    let kind = kind.and_then(|kind| {
        let known = Kind::from_name(&kind.value);
        if known.is_none() {
            let names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
            let fault = Diagnostic::error("document::wrong-value", format!("`{}` is no kind of log", kind.value));
            fields.faults().push(fault.at(kind.span, "this value").help(format!("known: {}", names.join(", "))));
        }
        known
    });
    fields.finish();
    let span = [
        &failures.as_ref().map(|one| &one.span),
        &window.as_ref().map(|one| &one.span),
        &ban.as_ref().map(|one| &one.span),
    ]
    .into_iter()
    .flatten()
    .next()
    .map(|span| (*span).clone());
    let rule = span.map(|span| {
        let usual = WatchRule::USUAL;
        let value = WatchRule {
            failures: failures.map_or(usual.failures, |failures| failures.value),
            window: window.map_or(usual.window, |window| window.value),
            ban: ban.map_or(usual.ban, |ban| ban.value),
        };
        Located { value, span }
    });
    Some(WatchSettings { kind: kind?, log: log?, rule })
}

/// Exactly one of `file` and `journal`.
fn read_log(fields: &mut Fields<'_, '_>, span: Span, folder: &Path) -> Option<WatchedLog> {
    let file = fields.optional::<Located<PathBuf>>("file").map(|file| file.map(|file| folder.join(file)));
    let named = fields.value("journal").map(|value| value.span.clone());
    let journal = journal::read(fields, folder);
    match (file, named) {
        (Some(file), None) => Some(WatchedLog::File(file)),
        (None, Some(_)) => journal.map(WatchedLog::Journal),
        (Some(_), Some(named)) => {
            let fault = Diagnostic::error("settings::two-logs", "`file` and `journal` are two logs");
            fields.faults().push(fault.at(named, "the second one").help("give each a `[[watch]]` of its own"));
            None
        }
        (None, None) => {
            let fault = Diagnostic::error("settings::no-log", "`[[watch]]` names no log").at(span, "here");
            let help =
                "write `file = \"/var/log/auth.log\"`, or `journal = \"ssh.service\"` where it is in systemd's journal";
            fields.faults().push(fault.help(help));
            None
        }
    }
}

/// Each is looked at several times a second, and takes a file descriptor.
const WATCHES_MAX: usize = 64;
