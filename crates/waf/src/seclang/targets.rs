//! What a rule looks at: `ARGS|!ARGS:password|&REQUEST_HEADERS:/^x-/|XML:/*`.

use super::wrong::{Wrong, show};
use crate::pattern;
use crate::rule::{Role, Selector, Target};
use crate::variable::Variable;

/// Reads a list of targets, separated by `|` or, as updates have it, by `,`.
pub(super) fn read(text: &[u8]) -> Result<Vec<Target>, Wrong> {
    let mut targets = Vec::new();
    let mut rest = text.trim_ascii();
    while !rest.is_empty() {
        let length = length(rest);
        let item = rest.get(..length).unwrap_or_default().trim_ascii();
        targets.push(target(item)?);
        rest = match rest.get(length + 1..) {
            Some(more) if more.trim_ascii().is_empty() => {
                return Err(Wrong::new("the list of variables ends with a separator").help("take it out"));
            }
            Some(more) => more.trim_ascii_start(),
            None => b"",
        };
    }
    if targets.is_empty() { Err(Wrong::new("no variable is named")) } else { Ok(targets) }
}

/// How long the first target is. In a pattern or in quotes, separators are letters like others.
fn length(text: &[u8]) -> usize {
    let ends = |at: usize| matches!(text.get(at), None | Some(b'|' | b','));
    let name = text.iter().position(|byte| matches!(byte, b':' | b'|' | b',')).unwrap_or(text.len());
    let selector = text.get(name..).unwrap_or_default();
    let is_xml = text.get(..name).is_some_and(|name| name.trim_ascii_start().to_ascii_uppercase().ends_with(b"XML"));
    let closing = match selector {
        [b':', b'\'', ..] => Some(b'\''),
        [b':', b'/', ..] if !is_xml => Some(b'/'),
        _ => None,
    };
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate().skip(name + closing.map_or(0, |_| 2)) {
        let done = match closing {
            Some(closing) => *byte == closing && !escaped && ends(at + 1),
            None => ends(at),
        };
        if done {
            return at + usize::from(closing.is_some());
        }
        escaped = *byte == b'\\' && !escaped;
    }
    text.len()
}

fn target(text: &[u8]) -> Result<Target, Wrong> {
    let (role, text) = match text {
        [b'!', rest @ ..] => (Role::Except, rest.trim_ascii_start()),
        [b'&', rest @ ..] => (Role::Count, rest.trim_ascii_start()),
        _ => (Role::Member, text),
    };
    let colon = memchr::memchr(b':', text);
    let name = text.get(..colon.unwrap_or(text.len())).unwrap_or_default();
    let selector = colon.and_then(|at| text.get(at + 1..));
    if name.eq_ignore_ascii_case(b"XML") {
        return xml(role, selector.unwrap_or_default());
    }
    let Some(variable) = str::from_utf8(name).ok().and_then(Variable::named) else {
        return Err(unknown(name));
    };
    if selector.is_some() && !is_collection(variable) {
        return Err(Wrong::new(format!("`{}` has no members", variable.name())).help("leave the selector out"));
    }
    let selector = selector.map_or(Ok(Selector::All), self::selector)?;
    Ok(Target { variable, selector, role })
}

/// A word on a variable that a gateway has no value for: a rule that looks at it alone is silent for ever.
pub(super) fn never_set(targets: &[Target]) -> Option<Wrong> {
    let named = targets.iter().filter(|target| target.role != Role::Except);
    let variable = named.map(|target| target.variable).find(|variable| NEVER_SET.contains(variable))?;
    Some(Wrong::new(format!("`{}` is never set", variable.name())).help("what looks at it finds nothing"))
}

fn unknown(name: &[u8]) -> Wrong {
    for (unsupported, why) in UNSUPPORTED {
        if unsupported.as_bytes().eq_ignore_ascii_case(name) {
            return Wrong::unsupported(format!("the variable `{unsupported}`"), why);
        }
    }
    let wrong = Wrong::unknown("variable", name, Variable::names().filter(|name| !name.contains(':')));
    if wrong.help.is_none() { wrong.help("a `,` or `|` in a selector needs quotes: `ARGS:'a,b'`") } else { wrong }
}

/// The two paths that the Core Rule Set asks for.
fn xml(role: Role, path: &[u8]) -> Result<Target, Wrong> {
    let variable = match path {
        b"/*" => Variable::XmlText,
        b"//@*" => Variable::XmlAttributes,
        _ => {
            return Err(Wrong::unsupported(format!("the XML path `{}`", show(path)), "use `XML:/*` or `XML://@*`"));
        }
    };
    Ok(Target { variable, selector: Selector::All, role })
}

fn selector(text: &[u8]) -> Result<Selector, Wrong> {
    let text = match text {
        [b'\'', inside @ .., b'\''] => inside,
        _ => text,
    };
    match text {
        [] => Err(Wrong::new("the selector is empty").help("leave the `:` out to look at all members")),
        [b'/', inside @ .., b'/'] => {
            pattern::check(inside).map_err(|error| {
                Wrong::new(format!("the selector `{}`: {error}", show(text))).help("write it without what it names")
            })?;
            Ok(Selector::Pattern(printable(inside)))
        }
        [b'/', ..] => Err(Wrong::new(format!("the pattern `{}` is never closed", show(text))).help("end it with `/`")),
        key => Ok(Selector::Key(key.to_ascii_lowercase().into())),
    }
}

/// The same pattern with bytes beyond ASCII written as `\xHH`.
pub(super) fn printable(pattern: &[u8]) -> String {
    let mut out = String::with_capacity(pattern.len());
    for byte in pattern {
        if byte.is_ascii() {
            out.push(char::from(*byte));
        } else {
            out.push_str(&format!(r"\x{byte:02x}"));
        }
    }
    out
}

/// Whether it has members with names.
pub(super) fn is_collection(variable: Variable) -> bool {
    COLLECTIONS.contains(&variable)
}

const COLLECTIONS: &[Variable] = &[
    Variable::Args,
    Variable::ArgsGet,
    Variable::ArgsGetNames,
    Variable::ArgsNames,
    Variable::ArgsPost,
    Variable::ArgsPostNames,
    Variable::Env,
    Variable::Files,
    Variable::FilesNames,
    Variable::FilesSizes,
    Variable::FilesTmpnames,
    Variable::FilesTmpContent,
    Variable::Geo,
    Variable::Global,
    Variable::Ip,
    Variable::MatchedVars,
    Variable::MatchedVarsNames,
    Variable::MultipartFilename,
    Variable::MultipartName,
    Variable::MultipartPartHeaders,
    Variable::RequestCookies,
    Variable::RequestCookiesNames,
    Variable::RequestHeaders,
    Variable::RequestHeadersNames,
    Variable::Resource,
    Variable::ResponseHeaders,
    Variable::ResponseHeadersNames,
    Variable::Rule,
    Variable::Session,
    Variable::Tx,
    Variable::User,
];

/// Variables that are known, so that rule sets load that name them, and hold nothing: the gateway keeps no files, does
/// not sign in by HTTP, looks up no countries, and has no clock of rules.
const NEVER_SET: &[Variable] = &[
    Variable::Duration,
    Variable::AuthType,
    Variable::FilesTmpContent,
    Variable::FilesTmpnames,
    Variable::FullRequest,
    Variable::FullRequestLength,
    Variable::Geo,
    Variable::InboundDataError,
    Variable::OutboundDataError,
    Variable::RemoteUser,
    Variable::Sessionid,
    Variable::StatusLine,
    Variable::Time,
    Variable::TimeDay,
    Variable::TimeHour,
    Variable::TimeMin,
    Variable::TimeMon,
    Variable::TimeSec,
    Variable::TimeWday,
    Variable::TimeYear,
    Variable::Userid,
    Variable::Webappid,
];

/// Variables of ModSecurity whose values a gateway does not have, or that came and went.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("MODSEC_BUILD", "leave it out"),
    ("PERF_ALL", "leave it out"),
    ("SCRIPT_BASENAME", "use `REQUEST_BASENAME`"),
    ("SCRIPT_FILENAME", "use `REQUEST_FILENAME`"),
    ("STREAM_INPUT_BODY", "use `REQUEST_BODY`"),
    ("STREAM_OUTPUT_BODY", "use `RESPONSE_BODY`"),
    ("USERAGENT_IP", "use `REMOTE_ADDR`"),
    ("WEBSERVER_ERROR_LOG", "leave it out"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn key(variable: Variable, role: Role, key: &str) -> Target {
        Target { variable, selector: Selector::Key(key.as_bytes().into()), role }
    }

    fn pattern(variable: Variable, role: Role, pattern: &str) -> Target {
        Target { variable, selector: Selector::Pattern(pattern.to_owned()), role }
    }

    fn all(variable: Variable, role: Role) -> Target {
        Target { variable, selector: Selector::All, role }
    }

    #[track_caller]
    fn check(text: &str, expected: &[Target]) {
        assert_eq!(read(text.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn lists_of_targets() {
        check("ARGS", &[all(Variable::Args, Role::Member)]);
        check(
            "args_names|!ARGS:Foo|&TX:Bar|REQUEST_HEADERS:X_Filename",
            &[
                all(Variable::ArgsNames, Role::Member),
                key(Variable::Args, Role::Except, "foo"),
                key(Variable::Tx, Role::Count, "bar"),
                key(Variable::RequestHeaders, Role::Member, "x_filename"),
            ],
        );
        check(
            "XML:/*|XML://@*|ARGS",
            &[
                all(Variable::XmlText, Role::Member),
                all(Variable::XmlAttributes, Role::Member),
                all(Variable::Args, Role::Member),
            ],
        );
        check("ARGS , !ARGS:a", &[all(Variable::Args, Role::Member), key(Variable::Args, Role::Except, "a")]);
    }

    #[test]
    fn patterns_as_selectors() {
        check(
            "!REQUEST_COOKIES:/__utm/|ARGS",
            &[pattern(Variable::RequestCookies, Role::Except, "__utm"), all(Variable::Args, Role::Member)],
        );
        check("ARGS:'/^a|b$/'", &[pattern(Variable::Args, Role::Member, "^a|b$")]);
        check(
            r"ARGS:/^a|b\/|c$/,TX:x",
            &[pattern(Variable::Args, Role::Member, r"^a|b\/|c$"), key(Variable::Tx, Role::Member, "x")],
        );
        check("ARGS:'a,b'", &[key(Variable::Args, Role::Member, "a,b")]);
        assert_eq!(read(b"ARGS:/\xe4/").unwrap(), [pattern(Variable::Args, Role::Member, r"\xe4")]);
    }

    #[track_caller]
    fn wrong(text: &str, message: &str) {
        assert_eq!(read(text.as_bytes()).unwrap_err().message, message);
    }

    #[test]
    fn what_is_no_target() {
        wrong("", "no variable is named");
        wrong("ARGS|", "the list of variables ends with a separator");
        wrong("AGRS", "unknown variable `AGRS`");
        wrong("REMOTE_ADDR:x", "`REMOTE_ADDR` has no members");
        wrong("ARGS:", "the selector is empty");
        wrong("ARGS:/a", "the pattern `/a` is never closed");
        wrong("XML://b", "the XML path `//b` is not supported");
        wrong("XML", "the XML path `` is not supported");
        wrong(
            "ARGS:/(?=a)/",
            "the selector `/(?=a)/`: look-ahead takes more than linear time, at byte 3 of the pattern",
        );
        assert_eq!(read(b"REQUEST_HEADER").unwrap_err().help.unwrap(), "did you mean `REQUEST_HEADERS`?");
    }
}
