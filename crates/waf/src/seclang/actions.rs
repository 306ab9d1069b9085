//! What a rule says of itself and does: `"id:1,phase:2,t:none,setvar:'tx.a=+1',chain"`.

mod list;
mod variables;

use super::controls;
use super::text;
use super::wrong::{Wrong, show};
use crate::rule::{About, Allow, Disruption, Effect, Phase, Severity, Skip, Text};
use crate::transformation::Transformation;

pub(super) use list::take_apart;

/// Actions as they were written; what was not said is not filled in yet.
#[derive(Debug, Default)]
pub(super) struct Actions {
    pub(super) id: Option<u32>,
    pub(super) phase: Option<Phase>,
    pub(super) about: About,
    pub(super) disruption: Option<Disruption>,
    pub(super) status: Option<u16>,
    pub(super) log: Option<bool>,
    pub(super) audit_log: Option<bool>,
    pub(super) skip: Option<Skip>,
    pub(super) chain: bool,
    pub(super) capture: bool,
    pub(super) multi_match: bool,
    /// `t:none` was said: what came before does not count.
    pub(super) resets: bool,
    pub(super) transformations: Vec<Transformation>,
    pub(super) effects: Vec<Effect>,
    /// The first action that only a chain's first rule may have.
    pub(super) of_head: Option<&'static str>,
    /// A word on every one that does less than it says.
    pub(super) warnings: Vec<Wrong>,
}

/// Reads a list of actions, and as much of it as can be read.
pub(super) fn read(text: &[u8]) -> (Actions, Vec<Wrong>) {
    let mut actions = Actions::default();
    let mut wrongs = Vec::new();
    match take_apart(text) {
        Ok(items) => {
            for item in items {
                if let Err(wrong) = actions.take(item.name, &item.value) {
                    wrongs.push(wrong);
                }
            }
        }
        Err(wrong) => wrongs.push(wrong),
    }
    (actions, wrongs)
}

impl Actions {
    fn take(&mut self, name: &[u8], value: &[u8]) -> Result<(), Wrong> {
        let known = NAMES.iter().copied().find(|known| known.as_bytes().eq_ignore_ascii_case(name));
        let known = known.unwrap_or_default();
        if OF_HEAD.contains(&known) {
            self.of_head.get_or_insert(known);
        }
        match known {
            "id" => self.id = Some(number(value, 1..=u32::MAX)?),
            "phase" => self.phase = Some(phase(value)?),
            "msg" => self.about.message = Some(text::read(value)?),
            "logdata" => self.about.data = Some(text::read(value)?),
            "severity" => self.about.severity = Some(severity(value)?),
            "tag" => self.about.tags.push(text::read(value)?),
            "ver" => self.about.version = Some(string(value)?),
            "rev" => self.about.revision = Some(string(value)?),
            "t" => self.transformation(value)?,
            "log" => (self.log, self.audit_log) = (Some(true), Some(true)),
            "nolog" => (self.log, self.audit_log) = (Some(false), Some(false)),
            "auditlog" => self.audit_log = Some(true),
            "noauditlog" => self.audit_log = Some(false),
            "pass" => self.disrupt(Disruption::Pass)?,
            "block" => self.disrupt(Disruption::Block)?,
            "deny" => self.disrupt(Disruption::Deny)?,
            "drop" => self.disrupt(Disruption::Drop)?,
            "allow" => self.disrupt(Disruption::Allow(allow(value)?))?,
            "redirect" => self.disrupt(Disruption::Redirect(needed("redirect", value)?))?,
            "status" => self.status = Some(status(value)?),
            "skip" => self.skip = Some(Skip::Count(number(value, 1..=u32::MAX)?)),
            "skipAfter" => self.skip = Some(Skip::After(string(value)?)),
            "chain" => self.chain = true,
            "capture" => self.capture = true,
            "multiMatch" => self.multi_match = true,
            "setvar" => self.effects.push(variables::assignment(value)?),
            "expirevar" => self.effects.push(variables::expiry(value)?),
            "initcol" => self.effects.push(variables::opening(value)?),
            "setenv" => self.effects.push(variables::environment(value)?),
            "setuid" | "setsid" | "setrsc" => self.effects.push(variables::owner(known, value)?),
            "ctl" => self.effects.extend(controls::read(value)?.into_iter().map(Effect::Control)),
            // Words for other engines' logs and statistics.
            "maturity" | "accuracy" | "xmlns" => {}
            "sanitiseArg"
            | "sanitiseMatched"
            | "sanitiseMatchedBytes"
            | "sanitiseRequestHeader"
            | "sanitiseResponseHeader"
            | "sanitizeArg"
            | "sanitizeMatched"
            | "sanitizeMatchedBytes"
            | "sanitizeRequestHeader"
            | "sanitizeResponseHeader" => {}
            "" => return Err(unknown(name)),
            unsupported => {
                return Err(Wrong::unsupported(format!("the action `{unsupported}`"), "leave it out"));
            }
        }
        Ok(())
    }

    fn transformation(&mut self, value: &[u8]) -> Result<(), Wrong> {
        if value.eq_ignore_ascii_case(b"none") {
            self.resets = true;
            self.transformations.clear();
            return Ok(());
        }
        let known = str::from_utf8(value).ok().and_then(Transformation::named);
        let Some(transformation) = known else {
            return Err(Wrong::unknown("transformation", value, TRANSFORMATIONS.iter().copied()));
        };
        if self.transformations.len() >= TRANSFORMATIONS_MAX {
            return Err(Wrong::new(format!("more than {TRANSFORMATIONS_MAX} transformations")));
        }
        self.transformations.push(transformation);
        Ok(())
    }

    /// The last one counts, as in ModSecurity. `pass` after `deny` is more likely a mistake, so it is told.
    fn disrupt(&mut self, disruption: Disruption) -> Result<(), Wrong> {
        if let Some(before) = self.disruption.replace(disruption) {
            let wrong = Wrong::new(format!("`{}` is overruled by a later action", disruption_name(&before)));
            self.warnings.push(wrong.help("keep the one that is meant"));
        }
        Ok(())
    }
}

/// Transformations of one rule. The longest chain of the Core Rule Set has eight.
const TRANSFORMATIONS_MAX: usize = 64;

fn unknown(name: &[u8]) -> Wrong {
    let wrong = Wrong::unknown("action", name, NAMES.iter().copied());
    if wrong.help.is_none() { wrong.help("a value with a comma needs single quotes") } else { wrong }
}

fn disruption_name(disruption: &Disruption) -> &'static str {
    match disruption {
        Disruption::Pass => "pass",
        Disruption::Block => "block",
        Disruption::Deny => "deny",
        Disruption::Drop => "drop",
        Disruption::Redirect(_) => "redirect",
        Disruption::Allow(_) => "allow",
    }
}

fn number(value: &[u8], range: std::ops::RangeInclusive<u32>) -> Result<u32, Wrong> {
    let number = str::from_utf8(value).ok().and_then(|digits| digits.trim().parse().ok());
    number
        .filter(|number| range.contains(number))
        .ok_or_else(|| Wrong::new(format!("`{}` is no number from {} to {}", show(value), range.start(), range.end())))
}

fn status(value: &[u8]) -> Result<u16, Wrong> {
    let status = number(value, 200..=599)?;
    u16::try_from(status).map_err(|_| Wrong::new("no status"))
}

fn string(value: &[u8]) -> Result<String, Wrong> {
    match str::from_utf8(value) {
        Ok("") => Err(Wrong::new("an action has no value")),
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(Wrong::new(format!("`{}` is not UTF-8", show(value)))),
    }
}

fn needed(name: &str, value: &[u8]) -> Result<Text, Wrong> {
    if value.is_empty() { Err(Wrong::new(format!("`{name}` has no value"))) } else { text::read(value) }
}

fn phase(value: &[u8]) -> Result<Phase, Wrong> {
    match value.to_ascii_lowercase().as_slice() {
        b"1" => Ok(Phase::RequestHead),
        b"2" | b"request" => Ok(Phase::RequestBody),
        b"3" => Ok(Phase::ResponseHead),
        b"4" | b"response" => Ok(Phase::ResponseBody),
        b"5" | b"logging" => Ok(Phase::Logging),
        _ => {
            Err(Wrong::new(format!("`{}` is no phase", show(value)))
                .help("1 to 5, or `request`, `response`, `logging`"))
        }
    }
}

fn severity(value: &[u8]) -> Result<Severity, Wrong> {
    Ok(match value.to_ascii_lowercase().as_slice() {
        b"0" | b"emergency" => Severity::Emergency,
        b"1" | b"alert" => Severity::Alert,
        b"2" | b"critical" => Severity::Critical,
        b"3" | b"error" => Severity::Error,
        b"4" | b"warning" => Severity::Warning,
        b"5" | b"notice" => Severity::Notice,
        b"6" | b"info" => Severity::Info,
        b"7" | b"debug" => Severity::Debug,
        _ => {
            return Err(Wrong::new(format!("`{}` is no severity", show(value)))
                .help("0 to 7, or EMERGENCY, ALERT, CRITICAL, ERROR, WARNING, NOTICE, INFO, DEBUG"));
        }
    })
}

fn allow(value: &[u8]) -> Result<Allow, Wrong> {
    match value.to_ascii_lowercase().as_slice() {
        b"" => Ok(Allow::Transaction),
        b"phase" => Ok(Allow::Phase),
        b"request" => Ok(Allow::Request),
        _ => Err(Wrong::unknown("reach of `allow`", value, ["phase", "request"].into_iter())),
    }
}

/// Actions that decide on the whole chain (ModSecurity refuses them in later rules of it).
const OF_HEAD: &[&str] = &[
    "allow",
    "block",
    "deny",
    "drop",
    "id",
    "logdata",
    "msg",
    "phase",
    "redirect",
    "rev",
    "severity",
    "skip",
    "skipAfter",
    "tag",
    "ver",
];

const NAMES: &[&str] = &[
    "accuracy",
    "allow",
    "append",
    "auditlog",
    "block",
    "capture",
    "chain",
    "ctl",
    "deny",
    "deprecatevar",
    "drop",
    "exec",
    "expirevar",
    "id",
    "initcol",
    "log",
    "logdata",
    "maturity",
    "msg",
    "multiMatch",
    "noauditlog",
    "nolog",
    "pass",
    "pause",
    "phase",
    "prepend",
    "proxy",
    "redirect",
    "rev",
    "sanitiseArg",
    "sanitiseMatched",
    "sanitiseMatchedBytes",
    "sanitiseRequestHeader",
    "sanitiseResponseHeader",
    "sanitizeArg",
    "sanitizeMatched",
    "sanitizeMatchedBytes",
    "sanitizeRequestHeader",
    "sanitizeResponseHeader",
    "setenv",
    "setrsc",
    "setsid",
    "setuid",
    "setvar",
    "severity",
    "skip",
    "skipAfter",
    "status",
    "t",
    "tag",
    "ver",
    "xmlns",
];

/// For suggestions.
const TRANSFORMATIONS: &[&str] = &[
    "base64Decode",
    "base64DecodeExt",
    "base64Encode",
    "cmdLine",
    "compressWhitespace",
    "cssDecode",
    "escapeSeqDecode",
    "hexDecode",
    "hexEncode",
    "htmlEntityDecode",
    "jsDecode",
    "length",
    "lowercase",
    "md5",
    "none",
    "normalizePath",
    "normalizePathWin",
    "parityEven7bit",
    "parityOdd7bit",
    "parityZero7bit",
    "removeComments",
    "removeCommentsChar",
    "removeNulls",
    "removeWhitespace",
    "replaceComments",
    "replaceNulls",
    "sha1",
    "sqlHexDecode",
    "trim",
    "trimLeft",
    "trimRight",
    "uppercase",
    "urlDecode",
    "urlDecodeUni",
    "urlEncode",
    "utf8toUnicode",
];

#[cfg(test)]
mod tests;
