//! SQL injection: the contexts in which a value is read, and the verdict on each.

mod exceptions;
mod fold;
mod lexer;
mod number;
mod token;
mod words;

use memchr::memchr;

use self::fold::Folded;
use self::lexer::{Dialect, Lexer};
use self::token::Kind;
use self::words::Words;

/// The kinds of the first tokens, a letter each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    letters: [u8; TOKENS_MAX],
    length: usize,
}

/// The form of the value in the first context in which it is an injection.
pub(super) fn find(value: &[u8]) -> Option<Form> {
    if value.is_empty() {
        return None;
    }
    let words = Words::shared();
    let alone = in_both_dialects(words, value, None);
    let single = || memchr(b'\'', value).and_then(|_| in_both_dialects(words, value, Some(b'\'')));
    // The standard keeps `"` for names, so only MySQL ends a string with it.
    let double = || memchr(b'"', value).and_then(|_| read(words, value, Some(b'"'), Dialect::MySql).form);
    alone.or_else(single).or_else(double)
}

/// By the standard, and by MySQL where it would have read something else.
fn in_both_dialects(words: &'static Words, value: &[u8], quote: Option<u8>) -> Option<Form> {
    let standard = read(words, value, quote, Dialect::Standard);
    if standard.form.is_none() && standard.dialects_differ {
        return read(words, value, quote, Dialect::MySql).form;
    }
    standard.form
}

/// What came of reading a value in one context.
struct Reading {
    form: Option<Form>,
    dialects_differ: bool,
}

fn read(words: &'static Words, value: &[u8], quote: Option<u8>, dialect: Dialect) -> Reading {
    let mut lexer = Lexer::new(value, quote, dialect, words);
    let folded = fold::fold(&mut lexer);
    let form = Form::of(&folded);
    let injected = words.lists(form.letters()) && !exceptions::apply(&form, &folded, lexer.tokens_read(), value);
    Reading { form: injected.then_some(form), dialects_differ: lexer.dialects_differ() }
}

impl Form {
    fn of(folded: &Folded<'_>) -> Self {
        let tokens = folded.tokens();
        // What databases read differently cannot be judged further, and nobody sends it by accident.
        if tokens.iter().any(|token| token.kind == Kind::Evil) {
            let mut letters = [0; TOKENS_MAX];
            letters[0] = Kind::Evil.letter();
            return Self { letters, length: 1 };
        }
        let mut letters = [0; TOKENS_MAX];
        for (letter, token) in letters.iter_mut().zip(tokens) {
            *letter = token.kind.letter();
        }
        Self { letters, length: tokens.len().min(TOKENS_MAX) }
    }

    pub(super) fn letters(&self) -> &[u8] {
        self.letters.get(..self.length).unwrap_or_default()
    }
}

/// The form of a value in one context, whether it is listed or not.
#[cfg(test)]
pub(super) fn form(value: &[u8], quote: Option<u8>, mysql: bool) -> Form {
    let dialect = if mysql { Dialect::MySql } else { Dialect::Standard };
    Form::of(&fold::fold(&mut Lexer::new(value, quote, dialect, Words::shared())))
}

/// How many tokens a form has at most.
const TOKENS_MAX: usize = 5;

/// How much of a token the original keeps: what lies beyond is not looked at.
const TEXT_BYTES_MAX: usize = 31;
