//! The rules of the firewall, and where they only find: `[waf]`.

mod custom;
mod exclude;
mod feed;

use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use reeve_base::document::{Faults, Fields, Kind, Table, Value};
use reeve_base::{Diagnostic, Size, Span, Timestamp};

use super::Located;
use super::read::{is_path, resolved};

pub(crate) use custom::{Canary, Custom};
pub(crate) use exclude::Exclude;
pub(crate) use feed::{Feed, FeedSource};

/// What a deployment says of its firewall.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// The digest that they must have.
    pub(crate) digest: Option<Located<String>>,
    /// Whether they must stand the self-test before they get traffic.
    pub(crate) self_test: Located<bool>,
    /// A folder or file of tests that they must pass as well.
    pub(crate) tests: Option<Located<PathBuf>>,
    /// Rules of applications' own.
    pub(crate) custom: Vec<Custom>,
    /// Where newer ones come from.
    pub(crate) feed: Option<Feed>,
}

impl Default for Waf {
    fn default() -> Self {
        let self_test = Located { value: true, span: 0..0 };
        let (rules, detect_only, exclude, custom) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (budget, tell_all, digest, tests, feed) = (None, false, None, None, None);
        Self { rules, detect_only, exclude, budget, tell_all, digest, self_test, tests, custom, feed }
    }
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
    let digest = read_digest(&mut fields, rules.is_empty());
    let self_test = fields.optional("self_test").unwrap_or(Located { value: true, span: 0..0 });
    let tests = fields.optional("tests").map(|path| resolved(folder, path));
    let (custom, feed) = (fields.value("custom"), fields.table("feed"));
    fields.finish();
    let rules = rules.into_iter().map(|path| resolved(folder, path)).collect();
    let feed = feed.and_then(|table| feed::read(table, folder, faults));
    if let (Some(feed), Some(digest)) = (&feed, &digest) {
        let fault = Diagnostic::error("settings::waf-pinned-feed", "rules that are pinned cannot follow a feed");
        let fault =
            fault.at(digest.span.clone(), "pinned here").at(feed.source.span.clone(), "newer ones come from here");
        faults.push(fault.help("leave out `digest`: what a feed brings is signed; or leave out `[waf.feed]`"));
    }
    let (detect_only, custom) = (read_all(detect_only, faults), custom::read(custom, folder, faults));
    let exclude = exclude::read(exclude, faults);
    Waf { rules, detect_only, exclude, budget, tell_all, digest, self_test, tests, custom, feed }
}

/// The digest of rules that are named: those in the binary are what the binary is.
fn read_digest(fields: &mut Fields<'_, '_>, built_in: bool) -> Option<Located<String>> {
    let digest = fields.optional::<Located<String>>("digest")?;
    let hexadecimal = |text: &str| text.len() == 64 && text.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
    if !digest.value.strip_prefix("sha256:").is_some_and(hexadecimal) {
        let fault = Diagnostic::error("document::wrong-value", "`digest` is no digest of a rule set");
        let help = "write what `reeve waf pin` prints: `sha256:` and 64 hexadecimal digits";
        fields.faults().push(fault.at(digest.span.clone(), "this value").help(help));
    } else if built_in {
        let fault = Diagnostic::error("settings::waf-pin", "`digest` pins rules, and `rules` names none");
        let help = "name the folder in `rules`; the rules in the binary change with it and with nothing else";
        fields.faults().push(fault.at(digest.span.clone(), "this value").help(help));
    }
    Some(digest)
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
