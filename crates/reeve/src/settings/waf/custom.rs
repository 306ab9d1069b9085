//! Rules of applications' own, each with its canary: `[[waf.custom]]`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use reeve_base::Diagnostic;
use reeve_base::document::{Faults, Fields, Kind, Table, Value};

use crate::settings::Located;
use crate::settings::read::resolved;

/// A file of rules for one application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Custom {
    /// The rules.
    pub(crate) file: Located<PathBuf>,
    /// What routes call the application; none for the first.
    pub(crate) app: Option<Located<String>>,
    /// One for each rule that refuses.
    pub(crate) canaries: Vec<Canary>,
}

/// The request by which a rule is seen, and its harmless twin. Path and query, both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Canary {
    /// The rule's id.
    pub(crate) rule: u32,
    /// What it must refuse.
    pub(crate) attack: String,
    /// What must be served all the same.
    pub(crate) twin: String,
}

pub(super) fn read(value: Option<&Value>, folder: &Path, faults: &mut Faults) -> Vec<Custom> {
    let tables = tables(value, "custom", HELP, FILES_MAX, faults);
    let custom: Vec<_> = tables.into_iter().filter_map(|table| read_one(table, folder, faults)).collect();
    let mut seen = BTreeSet::new();
    for file in &custom {
        for twice in file.canaries.iter().filter(|canary| !seen.insert(canary.rule)) {
            let message = format!("rule {} has two canaries", twice.rule);
            let fault = Diagnostic::error("settings::waf-custom", message).at(file.file.span.clone(), "in this entry");
            faults.push(fault.help("write one for each rule; ids of rules are unique over all files"));
        }
    }
    custom
}

fn read_one(table: &Table, folder: &Path, faults: &mut Faults) -> Option<Custom> {
    let mut fields = Fields::new(table, "`[[waf.custom]]`", faults);
    let file = fields.required::<Located<PathBuf>>("file");
    let app = fields.optional::<Located<String>>("app");
    let canaries = fields.value("canaries");
    if canaries.is_none() {
        let fault = Diagnostic::error("document::missing-key", "`[[waf.custom]]` lacks `canaries`");
        fields.faults().push(fault.help(HELP));
    }
    fields.finish();
    let canaries = tables(canaries, "canaries", HELP, CANARIES_MAX, faults);
    let canaries = canaries.into_iter().filter_map(|table| read_canary(table, faults)).collect();
    Some(Custom { file: resolved(folder, file?), app, canaries })
}

fn read_canary(table: &Table, faults: &mut Faults) -> Option<Canary> {
    let mut fields = Fields::new(table, "a canary", faults);
    let rule = fields.required::<u32>("rule");
    let attack = fields.required::<Located<String>>("canary");
    let twin = fields.required::<Located<String>>("twin");
    for wrong in [&attack, &twin].into_iter().flatten().filter(|target| !is_target(&target.value)) {
        let fault = Diagnostic::error("document::wrong-value", "a canary is a path with its query, as it is sent");
        let help = "write one such as \"/orders?id=__canary__\", without spaces or `#`";
        fields.faults().push(fault.at(wrong.span.clone(), "this value").help(help));
    }
    if let (Some(attack), Some(twin)) = (&attack, &twin)
        && attack.value == twin.value
    {
        let fault = Diagnostic::error("settings::waf-custom", "a canary and its twin are the same");
        fields
            .faults()
            .push(fault.at(twin.span.clone(), "must be served").help("a twin is what the rule lets through"));
    }
    fields.finish();
    Some(Canary { rule: rule?, attack: attack?.value, twin: twin?.value })
}

/// Whether this can stand in a request line as it is.
fn is_target(text: &str) -> bool {
    text.starts_with('/')
        && text.len() <= TARGET_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

/// The tables of a list.
fn tables<'v>(
    value: Option<&'v Value>,
    key: &str,
    help: &'static str,
    most: usize,
    faults: &mut Faults,
) -> Vec<&'v Table> {
    let Some(value) = value else { return Vec::new() };
    let Kind::List(items) = &value.kind else {
        let fault = Diagnostic::error("document::wrong-kind", format!("`{key}` is no list of tables"));
        faults.push(fault.at(value.span.clone(), "here").help(help));
        return Vec::new();
    };
    if let Some(first) = items.get(most) {
        let message = format!("`{key}` has {} entries; {most} are the most", items.len());
        faults.push(Diagnostic::error("settings::out-of-range", message).at(first.span.clone(), "one too many"));
    }
    let mut found = Vec::new();
    for item in items {
        match &item.kind {
            Kind::Table(table) => found.push(table),
            _ => {
                let fault = Diagnostic::error("document::wrong-kind", format!("an entry of `{key}` is no table"));
                faults.push(fault.at(item.span.clone(), "here").help(help));
            }
        }
    }
    found
}

const HELP: &str = "write `[[waf.custom]]` with `file = \"orders.conf\"` and `canaries = [{ rule = 1000, canary = \"/orders?id=__canary__\", twin = \"/orders?id=1\" }]`";
const FILES_MAX: usize = 64;
/// In one file.
const CANARIES_MAX: usize = 64;
const TARGET_BYTES_MAX: usize = 2_048;
