//! Directives that set something for all rules.

use super::controls::{mode, switch};
use super::wrong::{Wrong, show};
use crate::rule::Settings;

/// Carries out a setting. None if the name is none of a setting; else what is to be told of it, if anything.
pub(super) fn set(settings: &mut Settings, name: &str, words: &[Vec<u8>]) -> Option<Result<Option<Wrong>, Wrong>> {
    if let Some((_, why)) = ACCEPTED.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        return Some(Ok((!why.is_empty()).then(|| Wrong::new(format!("`{name}` has no effect")).help(*why))));
    }
    if let Some((_, help)) = UNSUPPORTED.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        return Some(Err(Wrong::unsupported(format!("the directive `{name}`"), help)));
    }
    let known = SETTINGS.iter().copied().find(|known| known.eq_ignore_ascii_case(name))?;
    Some(carry_out(settings, known, words))
}

fn carry_out(settings: &mut Settings, name: &str, words: &[Vec<u8>]) -> Result<Option<Wrong>, Wrong> {
    let value = words.first().map(Vec::as_slice).unwrap_or_default();
    let with_value = name != "SecResponseBodyMimeTypesClear";
    if with_value && value.is_empty() {
        return Err(Wrong::new(format!("`{name}` needs a value")));
    }
    match name {
        "SecRuleEngine" => settings.mode = mode(value)?,
        "SecRequestBodyAccess" => settings.request_body_access = switch(value)?,
        "SecRequestBodyLimit" => settings.request_body_limit = Some(bytes(value)?),
        "SecRequestBodyNoFilesLimit" => settings.request_body_no_files_limit = Some(bytes(value)?),
        "SecRequestBodyLimitAction" => return limit_action(value, b"reject"),
        "SecRequestBodyJsonDepthLimit" => settings.json_depth_limit = Some(number(value)?),
        "SecArgumentsLimit" => settings.arguments_limit = Some(number(value)?),
        "SecResponseBodyAccess" => settings.response_body_access = switch(value)?,
        "SecResponseBodyLimit" => settings.response_body_limit = Some(bytes(value)?),
        "SecResponseBodyLimitAction" => return limit_action(value, b"processpartial"),
        "SecResponseBodyMimeType" => {
            let types = words.iter().map(|word| String::from_utf8_lossy(word).to_ascii_lowercase());
            settings.response_body_types.extend(types);
        }
        "SecResponseBodyMimeTypesClear" => settings.response_body_types.clear(),
        "SecArgumentSeparator" => match value {
            [separator] => settings.argument_separator = *separator,
            _ => return Err(Wrong::new(format!("`{}` is more than one character", show(value)))),
        },
        "SecCookieFormat" if value != b"0" => {
            return Err(Wrong::unsupported("the cookie format of 1997", "use `SecCookieFormat 0`"));
        }
        "SecUnicodeMapFile" => {
            let other = words.get(1).is_some_and(|page| page != b"20127");
            return Ok(other.then(|| Wrong::new("code page 20127 is used, not the one that is named")));
        }
        "SecCollectionTimeout" => settings.collection_timeout = number(value)?,
        "SecComponentSignature" => settings.components.push(String::from_utf8_lossy(value).into_owned()),
        "SecXmlExternalEntity" if switch(value)? => {
            return Err(Wrong::unsupported("reading what an XML body names", "it would open files to the sender"));
        }
        "SecParseXmlIntoArgs" if !value.eq_ignore_ascii_case(b"off") => {
            return Err(Wrong::unsupported("XML as arguments", "rules look at it as `XML:/*` and `XML://@*`"));
        }
        _ => {}
    }
    Ok(None)
}

/// Past a limit a request is refused, and an answer is looked into as far as the limit goes; nothing else is safe for
/// the one, or leaves the other working.
fn limit_action(value: &[u8], done: &[u8]) -> Result<Option<Wrong>, Wrong> {
    if !value.eq_ignore_ascii_case(b"reject") && !value.eq_ignore_ascii_case(b"processpartial") {
        return Err(Wrong::new(format!("`{}` is neither `Reject` nor `ProcessPartial`", show(value))));
    }
    let other = !value.eq_ignore_ascii_case(done);
    Ok(other.then(|| Wrong::new(format!("`{}` is not done here, but `{}`", show(value), show(done)))))
}

fn bytes(value: &[u8]) -> Result<u64, Wrong> {
    let number = str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| Wrong::new(format!("`{}` is no number of bytes", show(value))))
}

fn number(value: &[u8]) -> Result<u32, Wrong> {
    let number = str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| Wrong::new(format!("`{}` is no number up to {}", show(value), u32::MAX)))
}

/// Names of directives, for suggestions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let accepted = ACCEPTED.iter().map(|(name, _)| *name);
    SETTINGS.iter().copied().chain(accepted).chain(UNSUPPORTED.iter().map(|(name, _)| *name))
}

const SETTINGS: &[&str] = &[
    "SecArgumentSeparator",
    "SecArgumentsLimit",
    "SecCollectionTimeout",
    "SecComponentSignature",
    "SecCookieFormat",
    "SecParseXmlIntoArgs",
    "SecRequestBodyAccess",
    "SecRequestBodyJsonDepthLimit",
    "SecRequestBodyLimit",
    "SecRequestBodyLimitAction",
    "SecRequestBodyNoFilesLimit",
    "SecResponseBodyAccess",
    "SecResponseBodyLimit",
    "SecResponseBodyLimitAction",
    "SecResponseBodyMimeType",
    "SecResponseBodyMimeTypesClear",
    "SecRuleEngine",
    "SecUnicodeMapFile",
    "SecXmlExternalEntity",
];

/// Directives without meaning here, and what to tell those who rely on them, if anything.
const ACCEPTED: &[(&str, &str)] = &[
    ("SecAuditEngine", ""),
    ("SecAuditLog", ""),
    ("SecAuditLog2", ""),
    ("SecAuditLogDirMode", ""),
    ("SecAuditLogFileMode", ""),
    ("SecAuditLogFormat", ""),
    ("SecAuditLogParts", ""),
    ("SecAuditLogPrefix", ""),
    ("SecAuditLogRelevantStatus", ""),
    ("SecAuditLogStorageDir", ""),
    ("SecAuditLogType", ""),
    ("SecCacheTransformations", ""),
    ("SecContentInjection", "nothing is put into answers"),
    ("SecDataDir", ""),
    ("SecDebugLog", ""),
    ("SecDebugLogLevel", ""),
    ("SecDisableBackendCompression", "ask the upstream for answers without compression"),
    ("SecGeoLookupDb", "`@geoLookup` never matches"),
    ("SecHttpBlKey", "`@rbl` never matches"),
    ("SecInterceptOnError", ""),
    ("SecPcreMatchLimit", ""),
    ("SecPcreMatchLimitRecursion", ""),
    ("SecRequestBodyInMemoryLimit", ""),
    ("SecRulePerfTime", ""),
    ("SecSensorId", ""),
    ("SecServerSignature", "the gateway names no server"),
    ("SecStatusEngine", ""),
    ("SecStreamInBodyInspection", ""),
    ("SecStreamOutBodyInspection", ""),
    ("SecTmpDir", ""),
    ("SecTmpSaveUploadedFiles", ""),
    ("SecUploadDir", ""),
    ("SecUploadFileLimit", ""),
    ("SecUploadFileMode", ""),
    ("SecUploadKeepFiles", ""),
    ("SecWebAppId", "`WEBAPPID` stays empty"),
];

/// Directives that something would be missing without.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("SecChrootDir", "leave it out"),
    ("SecConnEngine", "limit connections in the gateway's policy"),
    ("SecConnReadStateLimit", "limit connections in the gateway's policy"),
    ("SecConnWriteStateLimit", "limit connections in the gateway's policy"),
    ("SecCookieV0Separator", "leave it out"),
    ("SecGsbLookupDb", "leave it out"),
    ("SecGuardianLog", "leave it out"),
    ("SecHashEngine", "leave it out"),
    ("SecHashKey", "leave it out"),
    ("SecHashMethodPm", "leave it out"),
    ("SecHashMethodRx", "leave it out"),
    ("SecHashParam", "leave it out"),
    ("SecReadStateLimit", "limit connections in the gateway's policy"),
    ("SecRemoteRules", "keep the rules beside the policy, where they cannot change unseen"),
    ("SecRemoteRulesFailAction", "leave it out"),
    ("SecRuleInheritance", "rules are of the whole gateway: leave it out"),
    ("SecRuleScript", "no scripts run here: say the same in rules"),
    ("SecWriteStateLimit", "limit connections in the gateway's policy"),
];
