//! The words of an action list: names, and values that quotes can hold together.

use crate::seclang::wrong::{Wrong, show};

/// An action with its value, which is empty where there is none.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::seclang) struct Item<'t> {
    pub(in crate::seclang) name: &'t [u8],
    /// Without its quotes.
    pub(in crate::seclang) value: Vec<u8>,
}

/// Takes a list apart at its commas.
pub(in crate::seclang) fn take_apart(text: &[u8]) -> Result<Vec<Item<'_>>, Wrong> {
    let mut items = Vec::new();
    let mut rest = text.trim_ascii();
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| matches!(byte, b':' | b',')).unwrap_or(rest.len());
        let name = rest.get(..end).unwrap_or_default().trim_ascii();
        let after = rest.get(end + 1..).unwrap_or_default();
        let (value, after) =
            if rest.get(end) == Some(&b':') { value(name, after.trim_ascii_start())? } else { (Vec::new(), after) };
        // `a,,b` and a comma at the end say nothing, and change nothing.
        if !name.is_empty() {
            items.push(Item { name, value });
        } else if !value.is_empty() {
            return Err(Wrong::new(format!("`:{}` has no name", show(&value))));
        }
        rest = after.trim_ascii_start();
    }
    Ok(items)
}

/// A value, and what follows its comma. Quotes begin it, or stand after its `=`; `\'` is a quote in them.
fn value<'t>(name: &[u8], text: &'t [u8]) -> Result<(Vec<u8>, &'t [u8]), Wrong> {
    let mut value = Vec::new();
    let mut in_quotes = false;
    // Blanks in quotes count, those behind do not.
    let mut kept = 0;
    let mut bytes = text.iter().enumerate().peekable();
    while let Some((at, &byte)) = bytes.next() {
        match byte {
            b'\\' if bytes.peek().is_some_and(|(_, next)| **next == b'\'') => {
                value.push(b'\'');
                bytes.next();
            }
            b'\\' => {
                value.push(byte);
                value.extend(bytes.next_if(|(_, next)| **next == b'\\').map(|(_, next)| *next));
            }
            b'\'' if in_quotes => {
                in_quotes = false;
                kept = value.len();
            }
            b'\'' if value.is_empty() || value.last() == Some(&b'=') => in_quotes = true,
            b',' if !in_quotes => {
                return Ok((trimmed(value, kept), text.get(at + 1..).unwrap_or_default()));
            }
            byte => value.push(byte),
        }
    }
    if in_quotes {
        return Err(Wrong::new(format!("the ' of `{}` is never closed", show(name))).help("close it"));
    }
    Ok((trimmed(value, kept), b""))
}

fn trimmed(mut value: Vec<u8>, kept: usize) -> Vec<u8> {
    value.truncate(value.trim_ascii_end().len().max(kept));
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let items = take_apart(text.as_bytes()).unwrap();
        let found: Vec<_> = items
            .iter()
            .map(|item| (str::from_utf8(item.name).unwrap(), str::from_utf8(&item.value).unwrap()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn names_and_values() {
        check("", &[]);
        check("id:1, phase:2 ,chain", &[("id", "1"), ("phase", "2"), ("chain", "")]);
        check("id:'1',msg:'a, b: \\'c\\'',", &[("id", "1"), ("msg", "a, b: 'c'")]);
        check("setvar:tx.a='b, c',t:none", &[("setvar", "tx.a=b, c"), ("t", "none")]);
        check("setvar:'tx.a=%{x}',,log", &[("setvar", "tx.a=%{x}"), ("log", "")]);
        check("msg:it's,log", &[("msg", "it's"), ("log", "")]);
        check(r"logdata:'\x41\\',log", &[("logdata", r"\x41\\"), ("log", "")]);
    }

    #[test]
    fn what_is_no_list() {
        let wrong = |text: &[u8]| take_apart(text).unwrap_err().message;
        assert_eq!(wrong(b"msg:'a,log"), "the ' of `msg` is never closed");
        assert_eq!(wrong(b":x"), "`:x` has no name");
    }
}
