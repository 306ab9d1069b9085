//! The rules of the firewall, and where they only find: `[waf]`.

mod exclude;

use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use reeve_base::document::{Faults, Fields, Kind, Table, Value};
use reeve_base::{Diagnostic, Size, Span, Timestamp};

use super::Located;
use super::read::{is_path, resolved};

pub(crate) use exclude::Exclude;

/// What a deployment says of its firewall.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Waf {
    /// Folders and files of rules, in their order; none for those that are built in.
    pub(crate) rules: Vec<Located<PathBuf>>,
    /// Where rules only find.
    pub(crate) detect_only: Vec<DetectOnly>,
    /// What is left out of rules.
    pub(crate) exclude: Vec<Exclude>,
    /// How much rules may look at for one request.
    pub(crate) budget: Option<Size>,
    /// Whether events name all rules that spoke, of every request.
    pub(crate) tell_all: bool,
}

/// A part of the site on which rules only find, until a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DetectOnly {
    /// It and what is below it.
    pub(crate) path: String,
    /// From here on it is as everywhere: the end of the day that is named, in UTC.
    pub(crate) until: Timestamp,
    /// Where it is written.
    pub(crate) span: Span,
}

pub(super) fn read(table: &Table, folder: &Path, faults: &mut Faults) -> Waf {
    let mut fields = Fields::new(table, "`[waf]`", faults);
    let several = fields.value("rules").is_some_and(|value| matches!(value.kind, Kind::List(_)));
    let rules: Vec<Located<PathBuf>> = if several {
        fields.optional("rules").unwrap_or_default()
    } else {
        fields.optional("rules").into_iter().collect()
    };
    let span = fields.value("rules").map(|value| value.span.clone()).unwrap_or_default();
    if several && rules.is_empty() || rules.len() > RULES_MAX {
        let message = format!("`rules` names {} folders; 1 to {RULES_MAX} can be read", rules.len());
        let fault = Diagnostic::error("settings::out-of-range", message).at(span, "this list");
        fields.faults().push(fault.help("leave it out to run the rules that are built in"));
    }
    let budget = budget(&mut fields);
    let (detect_only, exclude) = (fields.value("detect_only"), fields.value("exclude"));
    let tell_all = fields.optional("tell_all").unwrap_or_default();
    fields.finish();
    let rules = rules.into_iter().map(|path| resolved(folder, path)).collect();
    Waf { rules, detect_only: read_all(detect_only, faults), exclude: exclude::read(exclude, faults), budget, tell_all }
}

/// Less would refuse what everybody sends; more bounds nothing.
fn budget(fields: &mut Fields<'_, '_>) -> Option<Size> {
    let Located { value, span } = fields.optional::<Located<Size>>("budget")?;
    if BUDGET.contains(&value.bytes()) {
        return Some(value);
    }
    let message = format!("a `budget` of {value} is not from 16 MiB to 64 GiB");
    let fault = Diagnostic::error("settings::out-of-range", message).at(span, "this value");
    fields.faults().push(fault.help("leave it out for 256 times the largest body, which usual bodies stay far below"));
    None
}

/// In bytes.
const BUDGET: std::ops::RangeInclusive<u64> = 16 << 20..=64 << 30;

fn read_all(value: Option<&Value>, faults: &mut Faults) -> Vec<DetectOnly> {
    let Some(value) = value else { return Vec::new() };
    let Kind::List(items) = &value.kind else {
        let fault = Diagnostic::error("document::wrong-kind", "`detect_only` is no list of tables");
        faults.push(fault.at(value.span.clone(), "here").help(DETECT_HELP));
        return Vec::new();
    };
    if let Some(first) = items.get(DETECT_ONLY_MAX) {
        let message = format!("rules only find on {} routes; {DETECT_ONLY_MAX} are the most", items.len());
        faults.push(Diagnostic::error("settings::out-of-range", message).at(first.span.clone(), "one too many"));
    }
    items.iter().filter_map(|item| read_one(item, faults)).collect()
}

fn read_one(item: &Value, faults: &mut Faults) -> Option<DetectOnly> {
    let Kind::Table(table) = &item.kind else {
        let fault = Diagnostic::error("document::wrong-kind", "an entry of `detect_only` is no table");
        faults.push(fault.at(item.span.clone(), "here").help(DETECT_HELP));
        return None;
    };
    let mut fields = Fields::new(table, "`[[waf.detect_only]]`", faults);
    let path = fields.required::<Located<String>>("path");
    if let Some(wrong) = path.as_ref().filter(|path| !is_path(&path.value)) {
        let fault = Diagnostic::error("document::wrong-value", "`path` is no absolute path of a URL");
        fields.faults().push(fault.at(wrong.span.clone(), "this value").help("write a path such as \"/search\""));
    }
    let until = until(&mut fields);
    fields.finish();
    let Located { value: path, span } = path?;
    Some(DetectOnly { path, until: until?, span })
}

/// The end of the day under `until`.
fn until(fields: &mut Fields<'_, '_>) -> Option<Timestamp> {
    // With or without quotes.
    let until = match fields.value("until").map(|value| (&value.kind, &value.span)) {
        Some((Kind::Date(date), span)) => Some(Located { value: date.to_string(), span: span.clone() }),
        _ => fields.required::<Located<String>>("until"),
    };
    let until = until?;
    let end = end_of(&until.value);
    if end.is_none() {
        let fault = Diagnostic::error("document::wrong-value", format!("`{}` is no date", until.value));
        fields.faults().push(fault.at(until.span, "this value").help("write a date such as \"2027-01-31\""));
    }
    end
}

/// The end of a day, in UTC.
fn end_of(date: &str) -> Option<Timestamp> {
    let date: Date = date.parse().ok()?;
    Some(date.tomorrow().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

const DETECT_HELP: &str = "write `[[waf.detect_only]]` with `path = \"/search\"` and `until = \"2027-01-31\"`";
const RULES_MAX: usize = 16;
const DETECT_ONLY_MAX: usize = 64;
