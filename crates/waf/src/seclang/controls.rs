//! `ctl:` actions: how a rule changes the way the rest of its transaction is judged.

use super::targets;
use super::wrong::{Wrong, show};
use crate::rule::{BodyProcessor, Control, EngineMode, Which};

/// Reads `name=value`; none, one or several controls.
pub(super) fn read(text: &[u8]) -> Result<Vec<Control>, Wrong> {
    let equals = memchr::memchr(b'=', text).unwrap_or(text.len());
    let name = text.get(..equals).unwrap_or_default().trim_ascii();
    let value = text.get(equals + 1..).unwrap_or_default().trim_ascii();
    let known = NAMES.iter().copied().find(|known| known.as_bytes().eq_ignore_ascii_case(name));
    let one = match known.unwrap_or_default() {
        "ruleEngine" => Control::RuleEngine(mode(value)?),
        "requestBodyAccess" => Control::RequestBodyAccess(switch(value)?),
        "responseBodyAccess" => Control::ResponseBodyAccess(switch(value)?),
        "requestBodyProcessor" => Control::RequestBodyProcessor(processor(value)?),
        "forceRequestBodyVariable" => Control::ForceRequestBodyVariable(switch(value)?),
        "auditEngine" if value.eq_ignore_ascii_case(b"RelevantOnly") => Control::AuditEngine,
        "auditEngine" => switch(value).map(|_| Control::AuditEngine)?,
        "auditLogParts" => Control::AuditLogParts,
        // A log for developers of an engine, which this one does not have.
        "debugLogLevel" => return Ok(Vec::new()),
        "ruleRemoveById" => return Ok(ids(value)?.into_iter().map(Control::RemoveRules).collect()),
        "ruleRemoveByTag" => Control::RemoveRules(Which::Tag(pattern(value)?)),
        "ruleRemoveByMsg" => Control::RemoveRules(Which::Message(pattern(value)?)),
        "ruleRemoveTargetById" => {
            let (which, target) = halves(value)?;
            return removed_targets(&ids(which)?, target);
        }
        "ruleRemoveTargetByTag" => {
            let (which, target) = halves(value)?;
            return removed_targets(&[Which::Tag(pattern(which)?)], target);
        }
        "ruleRemoveTargetByMsg" => {
            let (which, target) = halves(value)?;
            return removed_targets(&[Which::Message(pattern(which)?)], target);
        }
        "parseXmlIntoArgs" if value.eq_ignore_ascii_case(b"Off") => return Ok(Vec::new()),
        "" => return Err(Wrong::unknown("control", name, NAMES.iter().copied())),
        unsupported => return Err(Wrong::unsupported(format!("`ctl:{unsupported}`"), "leave it out")),
    };
    Ok(vec![one])
}

const NAMES: &[&str] = &[
    "auditEngine",
    "auditLogParts",
    "debugLogLevel",
    "forceRequestBodyVariable",
    "hashEnforcement",
    "hashEngine",
    "parseXmlIntoArgs",
    "requestBodyAccess",
    "requestBodyLimit",
    "requestBodyProcessor",
    "responseBodyAccess",
    "responseBodyLimit",
    "ruleEngine",
    "ruleRemoveById",
    "ruleRemoveByMsg",
    "ruleRemoveByTag",
    "ruleRemoveTargetById",
    "ruleRemoveTargetByMsg",
    "ruleRemoveTargetByTag",
];

pub(super) fn switch(value: &[u8]) -> Result<bool, Wrong> {
    match value.to_ascii_lowercase().as_slice() {
        b"on" => Ok(true),
        b"off" => Ok(false),
        _ => Err(Wrong::new(format!("`{}` is neither `On` nor `Off`", show(value)))),
    }
}

pub(super) fn mode(value: &[u8]) -> Result<EngineMode, Wrong> {
    match value.to_ascii_lowercase().as_slice() {
        b"on" => Ok(EngineMode::On),
        b"off" => Ok(EngineMode::Off),
        b"detectiononly" => Ok(EngineMode::DetectionOnly),
        _ => Err(Wrong::new(format!("`{}` is neither `On`, `Off` nor `DetectionOnly`", show(value)))),
    }
}

fn processor(value: &[u8]) -> Result<BodyProcessor, Wrong> {
    match value.to_ascii_lowercase().as_slice() {
        b"urlencoded" => Ok(BodyProcessor::UrlEncoded),
        b"multipart" => Ok(BodyProcessor::Multipart),
        b"json" => Ok(BodyProcessor::Json),
        b"xml" => Ok(BodyProcessor::Xml),
        _ => Err(Wrong::unknown("body processor", value, ["URLENCODED", "MULTIPART", "JSON", "XML"].into_iter())),
    }
}

fn halves(value: &[u8]) -> Result<(&[u8], &[u8]), Wrong> {
    let semicolon = memchr::memchr(b';', value)
        .ok_or_else(|| Wrong::new("no target is named").help("as in `ctl:ruleRemoveTargetById=1234;ARGS:name`"))?;
    let which = value.get(..semicolon).unwrap_or_default();
    Ok((which.trim_ascii(), value.get(semicolon + 1..).unwrap_or_default()))
}

fn removed_targets(which: &[Which], targets: &[u8]) -> Result<Vec<Control>, Wrong> {
    let targets = targets::read(targets)?;
    let of =
        |which: &Which| targets.iter().map(|target| Control::RemoveTarget(which.clone(), target.clone())).collect();
    Ok(which.iter().flat_map(|which| -> Vec<Control> { of(which) }).collect())
}

/// Ids and ranges of them, separated by commas or blanks.
pub(super) fn ids(value: &[u8]) -> Result<Vec<Which>, Wrong> {
    let separated = value.split(|byte| *byte == b',' || byte.is_ascii_whitespace());
    let items: Vec<_> = separated.filter(|item| !item.is_empty()).map(range).collect::<Result<_, _>>()?;
    if items.is_empty() { Err(Wrong::new("no rule is named")) } else { Ok(items) }
}

fn range(item: &[u8]) -> Result<Which, Wrong> {
    let text = str::from_utf8(item).unwrap_or_default();
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.trim().parse(), last.trim().parse()) {
        (Ok(first), Ok(last)) if first <= last => Ok(Which::Ids(first, last)),
        _ => Err(Wrong::new(format!("`{}` is neither a rule's id nor a range of ids", show(item)))),
    }
}

/// A tag or a message as a pattern.
pub(super) fn pattern(value: &[u8]) -> Result<String, Wrong> {
    if value.is_empty() {
        // An empty pattern is found everywhere, and would take every rule.
        return Err(Wrong::new("the pattern is empty").help("name the tag or the message"));
    }
    crate::pattern::check(value).map_err(|error| Wrong::new(format!("the pattern `{}`: {error}", show(value))))?;
    Ok(targets::printable(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{Role, Selector, Target};
    use crate::variable::Variable;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(format!("{:?}", read(text.as_bytes()).unwrap()), expected);
    }

    #[test]
    fn controls() {
        check("ruleEngine=detectiononly", "[RuleEngine(DetectionOnly)]");
        check("requestBodyAccess=Off", "[RequestBodyAccess(false)]");
        check("responseBodyAccess=On", "[ResponseBodyAccess(true)]");
        check("requestBodyProcessor=XML", "[RequestBodyProcessor(Xml)]");
        check("forceRequestBodyVariable=On", "[ForceRequestBodyVariable(true)]");
        check("auditEngine=RelevantOnly", "[AuditEngine]");
        check("auditLogParts=+E", "[AuditLogParts]");
        check("debugLogLevel=9", "[]");
        check("ruleRemoveById=1-5", "[RemoveRules(Ids(1, 5))]");
        check("ruleRemoveByTag=OWASP_CRS", "[RemoveRules(Tag(\"OWASP_CRS\"))]");
        check("ruleRemoveByMsg=^SQL", "[RemoveRules(Message(\"^SQL\"))]");
    }

    #[test]
    fn removed_targets_of_some_rules() {
        let target =
            |key: &[u8]| Target { variable: Variable::Args, selector: Selector::Key(key.into()), role: Role::Member };
        let found = read(b"ruleRemoveTargetById=942100;ARGS:Foo").unwrap();
        assert!(
            matches!(&found[..], [Control::RemoveTarget(Which::Ids(942_100, 942_100), found)] if *found == target(b"foo"))
        );
        let found = read(b"ruleRemoveTargetByTag=attack-.*;ARGS:a|ARGS:b").unwrap();
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn what_is_no_control() {
        let wrong = |text: &[u8]| read(text).unwrap_err().message;
        assert_eq!(wrong(b"ruleEnginee=On"), "unknown control `ruleEnginee`");
        assert_eq!(wrong(b"ruleEngine=Maybe"), "`Maybe` is neither `On`, `Off` nor `DetectionOnly`");
        assert_eq!(wrong(b"hashEngine=On"), "`ctl:hashEngine` is not supported");
        assert_eq!(wrong(b"ruleRemoveById=x"), "`x` is neither a rule's id nor a range of ids");
        assert_eq!(wrong(b"ruleRemoveById=9-1"), "`9-1` is neither a rule's id nor a range of ids");
        assert_eq!(wrong(b"ruleRemoveByTag="), "the pattern is empty");
        assert_eq!(wrong(b"ruleRemoveTargetById=1"), "no target is named");
    }
}
