//! From a file's bytes to directives: lines, the ones they go on in, and words.

use std::borrow::Cow;

use super::wrong::Wrong;

/// A directive, its words without their quotes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Directive {
    /// From 1: where it begins.
    pub(super) line: u32,
    pub(super) words: Vec<Vec<u8>>,
}

/// Takes a file apart; an item for each directive, or for what is none.
pub(super) fn directives(text: &[u8]) -> impl Iterator<Item = Result<Directive, (u32, Wrong)>> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    Lines { text, number: 0 }.filter_map(|(line, text)| match text {
        Ok(text) => match words(&text) {
            Ok(words) if words.is_empty() => None,
            Ok(words) => Some(Ok(Directive { line, words })),
            Err(wrong) => Some(Err((line, wrong))),
        },
        Err(wrong) => Some(Err((line, wrong))),
    })
}

/// Bytes of one directive with all of its lines. The longest of the Core Rule Set has some 8,000.
pub(super) const DIRECTIVE_BYTES_MAX: usize = 1_048_576;

/// Lines without comments, those joined that a backslash at the end joins.
struct Lines<'t> {
    text: &'t [u8],
    number: u32,
}

impl<'t> Iterator for Lines<'t> {
    type Item = (u32, Result<Cow<'t, [u8]>, Wrong>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = self.line()?;
            let number = self.number;
            if let Some(comment) = line.trim_ascii_start().strip_prefix(b"#") {
                self.pass_comment(line, comment);
            } else if !line.trim_ascii().is_empty() {
                return Some((number, self.joined(line)));
            }
        }
    }
}

impl<'t> Lines<'t> {
    fn line(&mut self) -> Option<&'t [u8]> {
        if self.text.is_empty() {
            return None;
        }
        let (line, rest) = match memchr::memchr(b'\n', self.text) {
            Some(end) => (self.text.get(..end)?, self.text.get(end + 1..)?),
            None => (self.text, b"".as_slice()),
        };
        self.text = rest;
        self.number = self.number.saturating_add(1);
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// A directive that was commented out at its first line only goes with all of its lines. Other comments end with
    /// their line, so that a backslash at the end of a sentence hides no rule.
    fn pass_comment(&mut self, line: &[u8], comment: &[u8]) {
        let is_directive = comment.trim_ascii_start().get(..3).is_some_and(|word| word.eq_ignore_ascii_case(b"Sec"));
        let mut goes_on = is_directive && line.ends_with(b"\\");
        while goes_on {
            goes_on = self.line().is_some_and(|line| line.ends_with(b"\\"));
        }
    }

    fn joined(&mut self, first: &'t [u8]) -> Result<Cow<'t, [u8]>, Wrong> {
        let mut whole = Cow::Borrowed(first);
        let mut length = first.len();
        while whole.ends_with(b"\\") {
            let Some(more) = self.line() else { break };
            length = length.saturating_add(more.len());
            let whole = whole.to_mut();
            whole.pop();
            // The lines are passed to their end, but no more of them is kept.
            whole.extend_from_slice(if length <= DIRECTIVE_BYTES_MAX {
                more
            } else {
                more.last_chunk::<1>().map_or(b"", |last| last.as_slice())
            });
        }
        if length > DIRECTIVE_BYTES_MAX {
            return Err(Wrong::new(format!("a directive of more than {DIRECTIVE_BYTES_MAX} bytes"))
                .help("split it, or put its phrases into a file for `@pmFromFile`"));
        }
        if memchr::memchr(0, &whole).is_some() {
            return Err(Wrong::new("a NUL byte in the text").help(r"write it as `\x00` in a pattern"));
        }
        Ok(whole)
    }
}

/// Words of a directive: quoted with `"` or `'`, or up to the next blank.
fn words(text: &[u8]) -> Result<Vec<Vec<u8>>, Wrong> {
    let mut words = Vec::new();
    let mut rest = text.trim_ascii();
    while let Some(first) = rest.first() {
        let (word, after) = if matches!(first, b'"' | b'\'') { quoted(rest)? } else { bare(rest)? };
        words.push(word);
        rest = after.trim_ascii_start();
    }
    Ok(words)
}

/// A word in quotes; `\"` is a quote in it, every other backslash stays for patterns to read.
fn quoted(text: &[u8]) -> Result<(Vec<u8>, &[u8]), Wrong> {
    let (&quote, inside) = text.split_first().unwrap_or((&b'"', b""));
    let mut word = Vec::new();
    let mut bytes = inside.iter().enumerate();
    while let Some((at, &byte)) = bytes.next() {
        match byte {
            b'\\' => {
                let next = bytes.next().map(|(_, next)| *next);
                if next != Some(quote) {
                    word.push(byte);
                }
                word.extend(next);
            }
            byte if byte == quote => return Ok((word, inside.get(at + 1..).unwrap_or_default())),
            byte => word.push(byte),
        }
    }
    Err(Wrong::new(format!("a {} is never closed", char::from(quote)))
        .help("close it; where a directive goes over several lines, the backslash is the very last character of each"))
}

/// A word without quotes. Its selector can have some, with blanks between: `ARGS:'/a b/'`.
fn bare(text: &[u8]) -> Result<(Vec<u8>, &[u8]), Wrong> {
    let mut in_quotes = false;
    let mut before = b' ';
    for (at, &byte) in text.iter().enumerate() {
        if byte == b'\'' && (in_quotes || before == b':') {
            in_quotes = !in_quotes;
        } else if byte.is_ascii_whitespace() && !in_quotes {
            return Ok((text.get(..at).unwrap_or_default().to_vec(), text.get(at..).unwrap_or_default()));
        }
        before = byte;
    }
    if in_quotes {
        return Err(Wrong::new("a ' is never closed").help("close it"));
    }
    Ok((text.to_vec(), b""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(u32, &[&str])]) {
        let found: Vec<_> = directives(text.as_bytes()).map(Result::unwrap).collect();
        let found: Vec<(u32, Vec<&str>)> = found
            .iter()
            .map(|directive| {
                (directive.line, directive.words.iter().map(|word| str::from_utf8(word).unwrap()).collect())
            })
            .collect();
        let expected: Vec<_> = expected.iter().map(|(line, words)| (*line, words.to_vec())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn words_and_lines() {
        check(
            "SecMarker A\n\n  SecMarker  \"B C\" 'D'\n",
            &[(1, &["SecMarker", "A"]), (3, &["SecMarker", "B C", "D"])],
        );
        check("\u{feff}A 1\r\nB \\\r\n  2\r\nC", &[(1, &["A", "1"]), (2, &["B", "2"]), (4, &["C"])]);
        check(r#"A "x\"y\\" '\'"' z"#, &[(1, &["A", r#"x"y\\"#, r#"'""#, "z"])]);
        check(r"A ARGS:'/a b|c/' d'e", &[(1, &["A", "ARGS:'/a b|c/'", "d'e"])]);
        check("A \\", &[(1, &["A", "\\"])]);
    }

    #[test]
    fn comments() {
        check("# A \\\nB\n#SecRule \\\n  x \\\n  y\nC", &[(2, &["B"]), (6, &["C"])]);
        check("A # b", &[(1, &["A", "#", "b"])]);
    }

    #[track_caller]
    fn wrong(text: &[u8], line: u32, message: &str) {
        let (at, wrong) = directives(text).find_map(Result::err).unwrap();
        assert_eq!((at, wrong.message.as_str()), (line, message));
    }

    #[test]
    fn what_is_no_directive() {
        wrong(b"A\nB \"x\nC\n", 2, "a \" is never closed");
        wrong(b"A ARGS:'x", 1, "a ' is never closed");
        wrong(b"A \0", 1, "a NUL byte in the text");
    }

    #[test]
    fn a_directive_has_a_limit() {
        let mut text = vec![b'x'; DIRECTIVE_BYTES_MAX];
        assert!(directives(&text).all(|directive| directive.is_ok()));
        text.push(b'x');
        text.extend(b"\nA");
        let found: Vec<_> = directives(&text).collect();
        assert!(found[0].is_err() && found[1].as_ref().unwrap().line == 2);
        let joined = [vec![b'x'; DIRECTIVE_BYTES_MAX], b"\\\ny\\\nz\nA".to_vec()].concat();
        let found: Vec<_> = directives(&joined).collect();
        assert!(found[0].is_err() && found[1].as_ref().unwrap().line == 4);
    }
}
