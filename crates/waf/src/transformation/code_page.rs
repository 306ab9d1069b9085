//! What is nearest in ASCII to a character: Windows code page 20127 (US-ASCII, best fit), which rules for `%uHHHH` are
//! written for.

/// The byte nearest to a character; none for those that the code page leaves to their low byte.
pub(super) fn nearest(code: u32) -> Option<u8> {
    let code = u16::try_from(code).ok()?;
    match code.checked_sub(LATIN_FIRST).and_then(|place| LATIN.get(usize::from(place))) {
        Some(byte) => Some(*byte).filter(|byte| *byte != 0),
        None => {
            let at = OTHERS.binary_search_by_key(&code, |(other, _)| *other).ok()?;
            OTHERS.get(at).map(|(_, byte)| *byte)
        }
    }
}

const LATIN_FIRST: u16 = 0x00a0;

/// From U+00A0 to U+017E; zero where there is nothing near.
const LATIN: &[u8; 223] =
    b"\x20!c\0$Y|\0\0Ca<\0-R\0\0\x0023\0\0\0.,1o>\0\0\0\0AAAAAAACEEEEIIIIDNOOOOO\0OUUUUY\0\0aaaaaaaceeee\
  iiii\0nooooo\0ouuuuy\0yAaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIi\0\0JjKk\
  \0LlLlLl\0\0LlNnNnNn\0\0\0OoOoOoOoRrRrRrSsSsSsSsTtTtTtUuUuUuUuUuUuWwYyYZ\0ZzZz";

/// In the order of their numbers.
#[rustfmt::skip]
const OTHERS: &[(u16, u8)] = &[
    (0x0180, b'b'), (0x0189, b'D'), (0x0191, b'F'), (0x0192, b'f'), (0x0197, b'I'), (0x019a, b'l'), (0x019f, b'O'),
    (0x01a0, b'O'), (0x01a1, b'o'), (0x01ab, b't'), (0x01ae, b'T'), (0x01af, b'U'), (0x01b0, b'u'), (0x01b6, b'z'),
    (0x01cd, b'A'), (0x01ce, b'a'), (0x01cf, b'I'), (0x01d0, b'i'), (0x01d1, b'O'), (0x01d2, b'o'), (0x01d3, b'U'),
    (0x01d4, b'u'), (0x01d5, b'U'), (0x01d6, b'u'), (0x01d7, b'U'), (0x01d8, b'u'), (0x01d9, b'U'), (0x01da, b'u'),
    (0x01db, b'U'), (0x01dc, b'u'), (0x01de, b'A'), (0x01df, b'a'), (0x01e4, b'G'), (0x01e5, b'g'), (0x01e6, b'G'),
    (0x01e7, b'g'), (0x01e8, b'K'), (0x01e9, b'k'), (0x01ea, b'O'), (0x01eb, b'o'), (0x01ec, b'O'), (0x01ed, b'o'),
    (0x01f0, b'j'), (0x0261, b'g'), (0x02b9, b'\''), (0x02ba, b'"'), (0x02bc, b'\''), (0x02c4, b'^'), (0x02c6,
    b'^'), (0x02c8, b'\''), (0x02cb, b'`'), (0x02cd, b'_'), (0x02dc, b'~'), (0x0300, b'`'), (0x0302, b'^'), (0x0303,
    b'~'), (0x030e, b'"'), (0x0331, b'_'), (0x0332, b'_'), (0x2000, b' '), (0x2001, b' '), (0x2002, b' '), (0x2003,
    b' '), (0x2004, b' '), (0x2005, b' '), (0x2006, b' '), (0x2010, b'-'), (0x2011, b'-'), (0x2013, b'-'), (0x2014,
    b'-'), (0x2018, b'\''), (0x2019, b'\''), (0x201a, b','), (0x201c, b'"'), (0x201d, b'"'), (0x201e, b'"'),
    (0x2022, b'.'), (0x2026, b'.'), (0x2032, b'\''), (0x2035, b'`'), (0x2039, b'<'), (0x203a, b'>'), (0x2122, b'T')
];
