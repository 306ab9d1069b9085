//! What separates words: spaces, comments, the quoting of shells.

/// U+00A0 in Latin 1, which ModSecurity 2 counts as space in two places.
pub(super) const NO_BREAK_SPACE: u8 = 0xa0;

pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

pub(super) const fn is_wide_space(byte: u8) -> bool {
    is_space(byte) || byte == NO_BREAK_SPACE
}

/// One space for each run of them.
pub(super) fn compress(value: &[u8], out: &mut Vec<u8>) {
    let mut spaced = false;
    for byte in value {
        let space = is_wide_space(*byte);
        if !(space && spaced) {
            out.push(if space { b' ' } else { *byte });
        }
        spaced = space;
    }
}

pub(super) fn trim_left(value: &[u8]) -> &[u8] {
    let start = value.iter().position(|byte| !is_space(*byte)).unwrap_or(value.len());
    value.get(start..).unwrap_or_default()
}

pub(super) fn trim_right(value: &[u8]) -> &[u8] {
    let end = value.iter().rposition(|byte| !is_space(*byte)).map_or(0, |last| last + 1);
    value.get(..end).unwrap_or_default()
}

/// What shells see past is taken away: quotes, backslashes and carets go, commas and semicolons are spaces, a run of
/// spaces is one, and none before a slash or a bracket; letters are lower case.
pub(super) fn command_line(value: &[u8], out: &mut Vec<u8>) {
    let mut spaced = false;
    for byte in value {
        match *byte {
            b'"' | b'\'' | b'\\' | b'^' => continue,
            b' ' | b',' | b';' | b'\t' | b'\r' | b'\n' => {
                if !spaced {
                    out.push(b' ');
                }
                spaced = true;
                continue;
            }
            b'/' | b'(' if spaced => {
                out.pop();
            }
            _ => {}
        }
        spaced = false;
        out.push(byte.to_ascii_lowercase());
    }
}

/// A space for each comment of C, and for one without an end; an end without a beginning stays.
pub(super) fn replace_comments(value: &[u8], out: &mut Vec<u8>) {
    let mut rest = value;
    while let Some(start) = memchr::memmem::find(rest, b"/*") {
        out.extend_from_slice(rest.get(..start).unwrap_or_default());
        out.push(b' ');
        let inside = rest.get(start + 2..).unwrap_or_default();
        let end = memchr::memmem::find(inside, b"*/").map_or(inside.len(), |end| end + 2);
        rest = inside.get(end..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// Comments of C and HTML go, for one without an end stands a space; from `--` or `#` on, all goes.
pub(super) fn remove_comments(value: &[u8], out: &mut Vec<u8>) {
    let mut rest = value;
    loop {
        rest = match rest {
            [b'/', b'*', inside @ ..] | [b'<', b'!', b'-', b'-', inside @ ..] => match after_comment(inside) {
                Some(after) => after,
                None => {
                    out.push(b' ');
                    return;
                }
            },
            [b'-', b'-', ..] | [b'#', ..] | [] => return,
            [byte, after @ ..] => {
                out.push(*byte);
                after
            }
        };
    }
}

/// Either end serves for either beginning, as in ModSecurity.
fn after_comment(inside: &[u8]) -> Option<&[u8]> {
    let mut rest = inside;
    loop {
        rest = match rest {
            [b'*', b'/', after @ ..] | [b'-', b'-', b'>', after @ ..] => return Some(after),
            [_, after @ ..] => after,
            [] => return None,
        };
    }
}

/// The marks of comments go, and what stands between them stays.
pub(super) fn remove_comment_marks(value: &[u8], out: &mut Vec<u8>) {
    let mut rest = value;
    loop {
        rest = match rest {
            [b'<', b'!', b'-', b'-', after @ ..]
            | [b'-', b'-', b'>', after @ ..]
            | [b'/', b'*', after @ ..]
            | [b'*', b'/', after @ ..]
            | [b'-', b'-', after @ ..]
            | [b'#', after @ ..] => after,
            [byte, after @ ..] => {
                out.push(*byte);
                after
            }
            [] => return,
        };
    }
}
