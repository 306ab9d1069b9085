//! Whether a value is SQL or script that somebody tries to smuggle in.
//!
//! The method is the one of libinjection, by which `@detectSQLi` and `@detectXSS` are defined: no patterns, but the
//! reading of a value as a database or a browser would read it in each place it may end up in.
//!
//! - SQL: the value is cut into tokens as if it stood alone, inside `'…'` or inside `"…"`, by the rules of the
//!   standard or of MySQL; what means the same is folded together; the kinds of at most five tokens are the form,
//!   which is looked up in a list of forms that only attacks have.
//! - Script: the value is read as HTML, as an attribute without quotes and inside `'`, `"` and `` ` ``; tags,
//!   attributes and addresses that run script are known by name.
//!
//! The code is our own; words, forms and names are facts from libinjection's lists (`injection/NOTICE.txt`). The
//! verdicts are those of the original, but
//!
//! - stricter where it leaves a door open: a byte 0xFF before an attribute does not end the reading, a closing tag
//!   closes nothing but itself ([`script`]), NUL bytes within the name of an event are skipped, and `sp_password` counts
//!   in small and capital letters;
//! - as databases and browsers have it where it slips in C: NUL is no digit, and `&#362;` is not cut down to `j`.
//!
//! Both functions take linear time, whatever the bytes, and allocate only to name the form of an injection.

mod script;
mod sql;

use memchr::memchr2;

use crate::byte_set::ByteSet;

/// The form of a SQL injection, if the value is one: the kinds of its first tokens, a letter each, five at most.
pub(crate) fn sql(value: &[u8]) -> Option<Box<[u8]>> {
    if harmless_to_sql(value) {
        return None;
    }
    sql::find(value).map(|form| form.letters().into())
}

/// Whether the value would run script in some place of an HTML page.
pub(crate) fn script(value: &[u8]) -> bool {
    // Without `<` there is no tag, and without `=` no attribute has a value.
    memchr2(b'<', b'=', value).is_some() && script::runs(value)
}

/// What in a value would run script, in words, if anything would.
pub(crate) fn script_reason(value: &[u8]) -> Option<&'static str> {
    script::reason(value)
}

/// Whether a look at the bytes is enough to know that no form of the list can come of them.
///
/// A value of word bytes is a word, or a number or two and a word; such a form is not in the list, or (`1U`) not
/// without more tokens. Numbers and their punctuation give numbers, operators, commas, colons and dots, of which alone
/// no listed form consists, unless `--` begins a comment. `tests/shortcut.rs` tries all short values of each sort.
fn harmless_to_sql(value: &[u8]) -> bool {
    let mut seen = value.iter().copied().skip_while(|byte| WORD.contains(*byte));
    if seen.next().is_none() {
        return true;
    }
    value.iter().all(|byte| NUMERIC.contains(*byte)) && !value.array_windows().any(|pair| pair == b"--")
}

/// Values without a byte of these are no SQL injection: see [`harmless_to_sql`].
pub(crate) const NEEDED_FOR_SQL: ByteSet = WORD.complement();

/// Values without a byte of these run no script: see [`script`].
pub(crate) const NEEDED_FOR_SCRIPT: ByteSet = ByteSet::EMPTY.with(b'<').with(b'=');

/// What words of SQL are made of and nothing else begins with; 0xA0 is a space to some databases.
const WORD: ByteSet = ByteSet::EMPTY
    .with_range(b'0', b'9')
    .with_range(b'A', b'Z')
    .with_range(b'a', b'z')
    .with(b'_')
    .with_range(0x80, 0x9f)
    .with_range(0xa1, 0xff);

/// What numbers, dates, times and addresses are made of.
const NUMERIC: ByteSet =
    ByteSet::EMPTY.with_range(b'0', b'9').with(b' ').with(b'+').with(b',').with(b'-').with(b'.').with(b'/').with(b':');

#[cfg(test)]
mod tests;
