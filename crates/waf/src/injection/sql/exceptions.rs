//! Listed forms that are nevertheless no injection: short ones, which plain text has as well.

use memchr::memchr_iter;

use super::fold::Folded;
use super::token::{Kind, Token};
use super::{Form, TEXT_BYTES_MAX};

/// Whether a value of a listed form is harmless after all.
pub(super) fn apply(form: &Form, folded: &Folded<'_>, tokens_read: usize, value: &[u8]) -> bool {
    // SQL Server keeps statements that mention it out of its log; who ends with it in a comment knows why.
    if matches!(form.letters(), [.., _, b'c']) && mentions_sp_password(value) {
        return false;
    }
    match folded.tokens() {
        _ if form.letters() == [Kind::Evil.letter()] => false,
        [one, two] => pair(one, two, tokens_read, value),
        [one, two, three] => triple(form, [one, two, three], tokens_read),
        _ => false,
    }
}

fn pair(one: &Token<'_>, two: &Token<'_>, tokens_read: usize, value: &[u8]) -> bool {
    let comment = two.kind == Kind::Comment;
    match (one.kind, two.text.first()) {
        // `1 union` and nothing else.
        _ if two.kind == Kind::Union => tokens_read == 2,
        (_, Some(b'#')) => true,
        // Plain text has words before `--`, but not before `/*`.
        (Kind::Bareword, first) if comment && first != Some(&b'/') => true,
        (Kind::Number, Some(b'/')) if comment => false,
        (Kind::Number, _) if comment => tokens_read == 2 && !number_ends_at_comment(one, value),
        // `--` at the very end is an attack, with words after it a dash.
        (_, Some(b'-')) => two.text.len() > 2,
        _ => false,
    }
}

/// Whether a space or a comment follows a number that is all there is before a comment.
///
/// The original looks from the beginning of the value, as if the number stood there, so that a number behind spaces
/// is let through; and it takes bytes beyond ASCII for spaces. Both are kept, since its users know the verdicts.
fn number_ends_at_comment(number: &Token<'_>, value: &[u8]) -> bool {
    match value.get(number.text.len().min(TEXT_BYTES_MAX)..).unwrap_or_default() {
        [0..=b' ' | 0x80.., ..] | [b'/', b'*', ..] | [b'-', b'-', ..] => true,
        _ => false,
    }
}

fn triple(form: &Form, [one, two, three]: [&Token<'_>; 3], tokens_read: usize) -> bool {
    match form.letters() {
        // `…a' + 'b…` leaves both strings open to the outside.
        b"sos" | b"s&s" => one.open.is_some() || three.close.is_some() || one.close != three.open,
        // `sexy and 17`, but not `sexy and 17<18`, of which the end was folded away.
        b"s&n" | b"n&1" | b"1&1" | b"1&v" | b"1&s" => tokens_read == 3,
        // Of all keywords only `INTO OUTFILE` and `INTO DUMPFILE` do harm in so short a text.
        _ if two.kind == Kind::Keyword => {
            two.text.len() < 5 || !two.text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"into"))
        }
        _ => false,
    }
}

fn mentions_sp_password(value: &[u8]) -> bool {
    const NAME: &[u8] = b"sp_password";
    // The underscore is its rarest byte.
    memchr_iter(b'_', value).any(|at| {
        let start = at.checked_sub(2).and_then(|start| value.get(start..)).unwrap_or_default();
        start.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME))
    })
}
