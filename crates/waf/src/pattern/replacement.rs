//! Patterns of the Core Rule Set 3.3 that use what no linear-time engine has, and their equals.
//!
//! They are known by the SHA-256 of their text: a pattern that differs in a single byte is none of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aws_lc_rs::digest;

/// The equal of a known pattern, in the syntax of `regex`.
pub(super) fn of(pattern: &[u8]) -> Option<String> {
    match sha256(pattern).as_slice() {
        FILE_NAMES => Some(file_names()),
        PHP_OPENING => Some(r"<\?(?:[^x]|\z|x(?:[^m]|\z)|xm(?:[^l]|\z))".to_owned()),
        ACCEPT => Some(accept()),
        _ => None,
    }
}

/// A pattern that compares two words with each other, as a pattern and the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// As SecLang has it. Its groups 1 and 2 are the words, whose case does not count.
    pub(crate) pattern: &'static str,
    /// Matches where the words differ, and not where they are the same.
    pub(crate) differ: bool,
}

/// What a known pattern with back-references comes to: any of these. Only the first pair of words that it finds in a
/// value is compared, as in the Core Rule Set 4, which went the same way.
pub(crate) fn compared(pattern: &[u8]) -> &'static [Comparison] {
    // Most patterns refer nowhere back, and need not be hashed.
    let refers = memchr::memmem::find(pattern, br"\1").is_some();
    if refers && sha256(pattern) == TAUTOLOGY { SAME_OR_DIFFERENT } else { &[] }
}

const SAME_OR_DIFFERENT: &[Comparison] = &[
    Comparison {
        pattern: r#"(?i)\b(\w+)\b[\s'"`()]*(?:<=>|(?:sounds\s+)?like|r(?:egexp|like)|=)[\s'"`()]*\b(\w+)\b"#,
        differ: false,
    },
    Comparison {
        pattern: r#"(?i)\b(\w+)\b[\s'"`()]*(?:<[=>]?|not\s+(?:regexp|like)|is\s+not|>=?|!=|\^)[\s'"`()]*(\w+)"#,
        differ: true,
    },
];

/// Rule 920120: quotes, `=`, and a `;` that ends none of some HTML entities. A look-behind there; here the letters
/// before the `;` are read, and are none of an entity's or have no `&` before them.
fn file_names() -> String {
    let mut words: Vec<Vec<u8>> = vec![b"amp".to_vec(), b"apos".to_vec()];
    for (first, rest) in ENTITIES {
        words.extend(first.bytes().map(|letter| [&[letter], rest.as_bytes()].concat()));
    }
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    format!(r#"(?:(?:^|[^&A-Za-z])[A-Za-z]*|&{});|['"=]"#, none_of(&words))
}

/// First letters, each followed by the rest.
const ENTITIES: &[(&str, &str)] = &[
    ("aAoOuUyY", "uml"),
    ("aAeEiIoOuU", "circ"),
    ("eEiIoOuUyY", "acute"),
    ("aAeEiIoOuU", "grave"),
    ("cC", "cedil"),
    ("aAnNoO", "tilde"),
];

/// A pattern of every sequence of letters that is none of these words.
fn none_of(words: &[&[u8]]) -> String {
    let mut followers: BTreeMap<u8, Vec<&[u8]>> = BTreeMap::new();
    for (first, rest) in words.iter().filter_map(|word| word.split_first()) {
        followers.entry(*first).or_default().push(rest);
    }
    // Letters with the same way on share a branch.
    let mut branches: BTreeMap<Vec<&[u8]>, String> = BTreeMap::new();
    for (letter, rests) in &followers {
        branches.entry(rests.clone()).or_default().push(char::from(*letter));
    }
    let others = (b'A'..=b'Z').chain(b'a'..=b'z').filter(|letter| !followers.contains_key(letter));
    let others: String = others.map(char::from).collect();
    let mut out = format!("(?:[{others}][A-Za-z]*");
    for (rests, letters) in branches {
        let _ = write!(out, "|[{letters}]{}", none_of(&rests));
    }
    if words.iter().all(|word| !word.is_empty()) {
        out.push('|');
    }
    out.push(')');
    out
}

/// Rule 920600: the Accept field as RFC 9110 section 12.5.1 has it. Where blanks were taken possessively, what
/// follows begins with something else.
fn accept() -> String {
    // `more` cannot stand there, either.
    let name = |more: &str| format!(r#"[^"(),/:;<=>?!\[\\\]{{}}{more}]"#);
    let any = name("");
    let kind = |first: &str| format!(r"(?:\*|{first}{any}*)/(?:\*|{any}+)");
    let charset = r#"charset\s*=\s*"?(?:iso-8859-15?|windows-1252|utf-8)\b"?"#;
    // Any other parameter: a name that does not begin with `charset`.
    let mut other = name("t");
    for (letter, more) in [("e", "e"), ("s", "s"), ("r", "r"), ("a", "a"), ("h", "h"), ("c", r"c\s")] {
        other = format!("(?:{letter}{other}|{})", name(more));
    }
    let value = r"[^(),/:;<=>?!\[\\\]{}\s][^(),/:;<=>?!\[\\\]{}]*";
    let parameters = format!(r"(?:\s*;\s*(?:{charset}|{other}{any}*\s*=\s*{value}|;?))*");
    let (first, next) = (kind(&any), kind(&name(r"\s")));
    format!(r"^{first}{parameters}(?:\s*,\s*{next}{parameters})*$")
}

fn sha256(pattern: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, pattern).as_ref().to_vec()
}

/// 920120
const FILE_NAMES: &[u8] = b"\xf9\x03\x73\x38\x3c\x13\x71\x57\xa7\x64\x69\x8a\x7d\xdf\x81\x1a\
    \x76\xf3\xd6\xd6\x2b\x9b\x9f\x9e\x19\x2c\xd2\xcf\x78\xbe\xb1\x50";
/// 953120
const PHP_OPENING: &[u8] = b"\x60\x19\x77\x18\x41\xd7\x91\xcd\x01\xb1\xf2\xb4\xb6\x8b\x0b\x69\
    \xa0\x26\xb9\xdb\xaa\x01\x8d\xe2\xa6\x76\x75\x07\x0e\x6e\x49\x97";
/// 920600
const ACCEPT: &[u8] = b"\xe5\xfa\x30\xe3\xe9\x80\x90\x92\x13\xf2\x41\x27\x42\x9d\xc8\x47\
    \x7b\xac\x91\x6b\x94\xe5\xc8\x81\x44\x27\xc1\x16\x00\xf5\x0a\x9a";
/// 942130
const TAUTOLOGY: &[u8] = b"\x64\x07\x2e\xb8\x32\x81\x1a\x86\xa7\xa7\x63\x77\xfa\x23\x9b\x94\
    \x3c\x77\x80\x7c\xf2\xd5\xaa\xe6\x0a\xc4\x1b\x10\xd2\x91\x8a\x36";
