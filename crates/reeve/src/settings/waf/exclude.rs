//! What is left out of rules, where, until a day: `[[waf.exclude]]`.
//!
//! Whether there are such rules, whether they may be left out and whether they look at the variable is found out when the
//! rules are loaded.

use reeve_base::document::{Faults, Fields, Kind, Value};
use reeve_base::{Diagnostic, Span, Timestamp};

use super::until;
use crate::settings::Located;
use crate::settings::read::is_path;

/// What is left out of rules, on a part of the site, until a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exclude {
    /// The rules' ids: at least one.
    pub(crate) rules: Located<Vec<u32>>,
    /// It and what is below it.
    pub(crate) path: Located<String>,
    /// Only requests of this method.
    pub(crate) method: Option<String>,
    /// What they find in this variable; the whole rules if none is named.
    pub(crate) variable: Option<Located<String>>,
    /// All members of the variable are meant.
    pub(crate) whole: bool,
    /// From here on they hold again: the end of the day that is named, in UTC.
    pub(crate) until: Timestamp,
    /// Where the entry is written.
    pub(crate) span: Span,
}

pub(super) fn read(value: Option<&Value>, faults: &mut Faults) -> Vec<Exclude> {
    let Some(value) = value else { return Vec::new() };
    let Kind::List(items) = &value.kind else {
        let fault = Diagnostic::error("document::wrong-kind", "`exclude` is no list of tables");
        faults.push(fault.at(value.span.clone(), "here").help(HELP));
        return Vec::new();
    };
    if let Some(first) = items.get(EXCLUDE_MAX) {
        let message = format!("rules are left out in {} entries; {EXCLUDE_MAX} are the most", items.len());
        faults.push(Diagnostic::error("settings::out-of-range", message).at(first.span.clone(), "one too many"));
    }
    items.iter().filter_map(|item| one(item, faults)).collect()
}

fn one(item: &Value, faults: &mut Faults) -> Option<Exclude> {
    let Kind::Table(table) = &item.kind else {
        let fault = Diagnostic::error("document::wrong-kind", "an entry of `exclude` is no table");
        faults.push(fault.at(item.span.clone(), "here").help(HELP));
        return None;
    };
    let mut fields = Fields::new(table, "`[[waf.exclude]]`", faults);
    let rules = rules(&mut fields);
    let path = fields.required::<Located<String>>("path");
    let method = fields.optional::<Located<String>>("method");
    let variable = fields.optional::<Located<String>>("variable");
    let whole = fields.optional::<Located<bool>>("whole");
    let reason = fields.required::<Located<String>>("reason");
    let until = until(&mut fields);
    let mut refuse = |code, message: &str, span: &Span, help: &str| {
        let fault = Diagnostic::error(code, message).at(span.clone(), "this value").help(help);
        fields.faults().push(fault);
    };
    if let Some(wrong) = path.as_ref().filter(|path| !is_path(&path.value) || path.value.contains('?')) {
        let help = "write a path such as \"/search\"; it holds for what is below it as well";
        refuse("document::wrong-value", "`path` is no absolute path of a URL", &wrong.span, help);
    }
    if let Some(all) = path.as_ref().filter(|path| path.value.trim_matches('/').is_empty() && variable.is_none()) {
        let message = "whole rules are left out of the whole site";
        let help = "name the path on which they refuse what is no attack, or the `variable` in which they find it";
        refuse("settings::exclude", message, &all.span, help);
    }
    let is_token = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    if let Some(wrong) = method.as_ref().filter(|method| !is_token(&method.value)) {
        let help = "write one method in capitals, such as \"POST\"; leave it out for all";
        refuse("document::wrong-value", "`method` is no method of a request", &wrong.span, help);
    }
    if let Some(alone) = whole.as_ref().filter(|whole| whole.value && variable.is_none()) {
        let help = "it says that all members of a `variable` are meant, as in `variable = \"ARGS\"`; take it out";
        refuse("settings::exclude", "`whole` without a `variable`", &alone.span, help);
    }
    if let Some(empty) = reason.as_ref().filter(|reason| reason.value.trim().is_empty()) {
        let help = "say why what the rules find here is no attack: whoever reads this when it ends has to decide again";
        refuse("settings::exclude", "`reason` says nothing", &empty.span, help);
    }
    fields.finish();
    Some(Exclude {
        rules: rules?,
        path: path?,
        method: method.map(|method| method.value),
        variable,
        whole: whole.is_some_and(|whole| whole.value),
        until: until?,
        span: item.span.clone(),
    })
}

/// One id, or several. Ranges and tags would take along rules that nobody has thought of, and those of the next update.
fn rules(fields: &mut Fields<'_, '_>) -> Option<Located<Vec<u32>>> {
    let (span, kinds) = match fields.value("rule").map(|value| (&value.kind, &value.span)) {
        Some((Kind::List(items), span)) => (span.clone(), items.iter().map(|item| &item.kind).collect()),
        Some((kind, span)) => (span.clone(), vec![kind]),
        None => {
            // Says that it is missing.
            fields.required::<Located<u32>>("rule");
            return None;
        }
    };
    let id = |kind: &&Kind| match kind {
        Kind::Integer(number) => u32::try_from(*number).ok().filter(|id| *id > 0),
        _ => None,
    };
    let ids: Option<Vec<u32>> = kinds.iter().map(id).collect();
    let Some(ids) = ids else {
        let fault = Diagnostic::error("settings::exclude", "`rule` is neither an id nor a list of ids");
        let help = "write `rule = 942100`, or `rule = [942100, 942190]`: ranges, tags and `*` would also leave out rules that nobody has looked at";
        fields.faults().push(fault.at(span, "this value").help(help));
        return None;
    };
    if ids.is_empty() || ids.len() > RULES_MAX {
        let message = format!("`rule` names {} rules; 1 to {RULES_MAX} can be left out in one entry", ids.len());
        fields.faults().push(Diagnostic::error("settings::out-of-range", message).at(span.clone(), "this list"));
    }
    Some(Located { value: ids, span })
}

const HELP: &str = "write `[[waf.exclude]]` with `rule`, `path`, `variable`, `reason` and `until`; `reeve waf suggest` proposes entries";
const EXCLUDE_MAX: usize = 256;
const RULES_MAX: usize = 64;
