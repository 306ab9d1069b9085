//! Texts with places to fill in, `%{tx.0}`.

use super::targets::is_collection;
use super::wrong::{Wrong, show};
use crate::rule::{OfRule, Part, Text};
use crate::variable::Variable;

/// Reads a text. A `%` that begins no `%{...}` is a percent sign.
pub(super) fn read(text: &[u8]) -> Result<Text, Wrong> {
    take_apart(text, filled)
}

/// Reads a pattern, in which `%{` need not begin anything: what names no variable stays as it is.
pub(super) fn read_pattern(text: &[u8]) -> Text {
    let lenient =
        |inside: &[u8]| filled(inside).or_else(|_| Ok::<_, Wrong>(Part::Plain([b"%{", inside, b"}"].concat().into())));
    take_apart(text, lenient).unwrap_or_default()
}

/// The text as it was written.
pub(super) fn write(text: &Text) -> Vec<u8> {
    let mut out = Vec::new();
    for part in &text.0 {
        match part {
            Part::Plain(plain) => out.extend_from_slice(plain),
            Part::Value(variable, key) => {
                out.extend_from_slice(b"%{");
                out.extend_from_slice(variable.name().as_bytes());
                if let Some(key) = key {
                    out.push(b'.');
                    out.extend_from_slice(key);
                }
                out.push(b'}');
            }
            Part::OfRule(field) => {
                let name = OF_RULE.iter().find(|(_, known)| known == field).map_or("", |(name, _)| name);
                out.extend_from_slice(format!("%{{rule.{name}}}").as_bytes());
            }
        }
    }
    out
}

fn take_apart(text: &[u8], fill: impl Fn(&[u8]) -> Result<Part, Wrong>) -> Result<Text, Wrong> {
    let mut parts = Vec::new();
    let mut plain = Vec::new();
    let mut rest = text;
    while let Some(at) = memchr::memmem::find(rest, b"%{") {
        let inside = rest.get(at + 2..).unwrap_or_default();
        let Some(end) = memchr::memchr(b'}', inside) else { break };
        plain.extend_from_slice(rest.get(..at).unwrap_or_default());
        match fill(inside.get(..end).unwrap_or_default())? {
            Part::Plain(text) => plain.extend_from_slice(&text),
            part => {
                if !plain.is_empty() {
                    parts.push(Part::Plain(std::mem::take(&mut plain).into()));
                }
                parts.push(part);
            }
        }
        rest = inside.get(end + 1..).unwrap_or_default();
    }
    plain.extend_from_slice(rest);
    if !plain.is_empty() {
        parts.push(Part::Plain(plain.into()));
    }
    Ok(Text(parts))
}

/// What stands in the braces: a variable, and after a `.` or a `:` the member of it.
fn filled(inside: &[u8]) -> Result<Part, Wrong> {
    let separator = memchr::memchr2(b'.', b':', inside);
    let name = inside.get(..separator.unwrap_or(inside.len())).unwrap_or_default();
    let key = separator.and_then(|at| inside.get(at + 1..));
    let variable = str::from_utf8(name).ok().and_then(Variable::named);
    let Some(variable) = variable else {
        return Err(Wrong::unknown("variable", name, Variable::names()));
    };
    match key {
        Some(key) if variable == Variable::Rule => of_rule(key).map(Part::OfRule),
        Some(_) if !is_collection(variable) => Err(Wrong::new(format!("`{}` has no members", show(name)))),
        Some(b"") => Err(Wrong::new(format!("`%{{{}}}` names no member", show(inside)))),
        key => Ok(Part::Value(variable, key.map(|key| key.to_ascii_lowercase().into()))),
    }
}

fn of_rule(key: &[u8]) -> Result<OfRule, Wrong> {
    let known = OF_RULE.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(key));
    let names = OF_RULE.iter().map(|(name, _)| *name);
    known.map(|(_, field)| *field).ok_or_else(|| Wrong::unknown("member of RULE", key, names))
}

const OF_RULE: &[(&str, OfRule)] = &[
    ("id", OfRule::Id),
    ("msg", OfRule::Message),
    ("severity", OfRule::Severity),
    ("logdata", OfRule::Data),
    ("rev", OfRule::Revision),
    ("ver", OfRule::Version),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Part {
        Part::Plain(text.as_bytes().into())
    }

    #[test]
    fn places_to_fill_in() {
        let read = |text: &str| read(text.as_bytes()).unwrap().0;
        assert_eq!(read(""), []);
        assert_eq!(read("100% %{"), [plain("100% %{")]);
        assert_eq!(
            read("a %{TX.Ab_1}b%{matched_var_name}%{rule.ID}%"),
            [
                plain("a "),
                Part::Value(Variable::Tx, Some(b"ab_1".as_slice().into())),
                plain("b"),
                Part::Value(Variable::MatchedVarName, None),
                Part::OfRule(OfRule::Id),
                plain("%"),
            ]
        );
        assert_eq!(write(&Text(read("a %{tx.0} %{rule.msg}"))), b"a %{TX.0} %{rule.msg}");
    }

    #[test]
    fn faults_and_patterns() {
        assert_eq!(read(b"%{tz.0}").unwrap_err().message, "unknown variable `tz`");
        assert_eq!(read(b"%{remote_addr.x}").unwrap_err().message, "`remote_addr` has no members");
        assert_eq!(read(b"%{rule.mgs}").unwrap_err().message, "unknown member of RULE `mgs`");
        assert_eq!(read_pattern(b"[%{a}]%{b}").0, [plain("[%{a}]%{b}")]);
        assert_eq!(read_pattern(b"^%{tx.a}$").0.len(), 3);
    }
}
