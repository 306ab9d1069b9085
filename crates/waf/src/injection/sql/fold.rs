//! Folds tokens that mean the same into fewer, so that few forms stand for many injections.
//!
//! A small window slides over the tokens. The rules for two and for three neighbours are tried at its left edge; one
//! that fits changes or drops tokens and often starts over from the first. Only the first five that stay count.
//!
//! A dropped token is always the last of the window. That is not always the one a rule is about, but where the
//! original does it, the forms of the list come of it.

use super::lexer::Lexer;
use super::token::{Kind, Token};
use super::{TEXT_BYTES_MAX, TOKENS_MAX};

/// The tokens that count.
pub(super) struct Folded<'a> {
    tokens: [Token<'a>; TOKENS_MAX + 1],
    length: usize,
}

impl<'a> Folded<'a> {
    pub(super) fn tokens(&self) -> &[Token<'a>] {
        self.tokens.get(..self.length).unwrap_or(&self.tokens)
    }
}

/// Reads and folds the tokens of a value.
pub(super) fn fold<'a>(lexer: &mut Lexer<'a>) -> Folded<'a> {
    let Some(first) = first_of_weight(lexer) else {
        return Folded { tokens: [NOTHING; TOKENS_MAX + 1], length: 0 };
    };
    let mut window = Window { lexer, tokens: [NOTHING; TOKENS_MAX + 1], length: 0, left: 0, more: true, comment: None };
    window.push(first);
    window.slide();
    window.finish()
}

/// The first token that is no comment, no parenthesis and nothing else that may stand before anything.
fn first_of_weight<'a>(lexer: &mut Lexer<'a>) -> Option<Token<'a>> {
    loop {
        let token = lexer.next()?;
        if !matches!(token.kind, Kind::Comment | Kind::Open | Kind::Type) && !token.is_unary() {
            return Some(token);
        }
    }
}

struct Window<'l, 'a> {
    lexer: &'l mut Lexer<'a>,
    /// One more than count: the sixth helps to decide what the fifth is.
    tokens: [Token<'a>; TOKENS_MAX + 1],
    length: usize,
    /// How many tokens no rule fits any more.
    left: usize,
    more: bool,
    /// The comment that was read last, if nothing came after it.
    comment: Option<Token<'a>>,
}

/// What comes after the rules for two.
enum Next {
    /// The rules are tried again from the left edge, which may have moved.
    Again,
    /// The rules for three are tried.
    Three,
    /// All is known.
    Stop,
}

impl<'a> Window<'_, 'a> {
    fn slide(&mut self) {
        loop {
            self.forget_arithmetic();
            if !self.more || self.left >= TOKENS_MAX {
                return;
            }
            let Some([one, two]) = self.neighbours() else {
                self.left = self.length;
                continue;
            };
            match self.two(one, two) {
                Next::Again => continue,
                Next::Three => {}
                Next::Stop => return,
            }
            let Some(three) = self.neighbours() else {
                self.left = self.length;
                continue;
            };
            if !self.three(three) {
                self.left += 1;
            }
        }
    }

    fn finish(mut self) -> Folded<'a> {
        let mut length = self.length;
        if length > 2
            && let Some(last) = self.tokens.get_mut(length.min(TOKENS_MAX) - 1)
            // PHP takes a backquote that nothing follows for a comment.
            && let Token { kind: Kind::Bareword, text: [], open: Some(b'`'), close: None, .. } = last
        {
            last.kind = Kind::Comment;
        }
        if length < TOKENS_MAX
            && let Some(comment) = self.comment
        {
            self.push(comment);
            length = self.length;
        }
        Folded { tokens: self.tokens, length: length.min(TOKENS_MAX) }
    }

    /// Five tokens that are one operand, such as `1+(2)`, give way to what comes after them.
    fn forget_arithmetic(&mut self) {
        use Kind::{Bareword, Close, Comma, Number, Open, Operator};
        if self.length < TOKENS_MAX {
            return;
        }
        let [one, two, three, four, five, six] = &self.tokens;
        let operand = matches!(
            [one.kind, two.kind, three.kind, four.kind, five.kind],
            [Number, Operator | Comma, Open, Number, Close]
                | [Bareword, Operator, Open, Bareword | Number, Close]
                | [Number, Close, Comma, Open, Number]
                | [Bareword, Close, Operator, Open, Bareword]
        );
        if operand {
            let six = *six;
            let beyond = self.length > TOKENS_MAX;
            self.length = 1;
            self.left = 0;
            if beyond {
                self.push(six);
            }
        }
    }

    /// The rules for two neighbours.
    fn two(&mut self, one: Token<'a>, two: Token<'a>) -> Next {
        use Kind::{
            Backslash, Bareword, BraceClose, BraceOpen, Close, Collate, Function, Keyword, Logic, Number, Open,
            Operator, Semicolon, String, Tsql, Type, Variable,
        };
        let (left, second) = (self.left, self.left + 1);
        match (one.kind, two.kind) {
            // `'a' 'b'` is one string.
            (String, String) | (Semicolon, Semicolon) => self.drop_last(1),
            (Operator | Logic, kind) if kind == Type || two.is_unary() => {
                self.drop_last(1);
                self.left = 0;
            }
            (Open, _) if two.is_unary() => {
                self.drop_last(1);
                self.left = left.saturating_sub(1);
            }
            _ if let Some(phrase) = self.phrase(&one, &two) => {
                self.put(left, phrase);
                self.drop_last(1);
                self.left = left.saturating_sub(1);
            }
            // A function elsewhere, but behind `;` the statement of Transact-SQL.
            (Semicolon, Function) if two.text.get(..2).is_some_and(|start| start.eq_ignore_ascii_case(b"if")) => {
                self.set_kind(second, Tsql);
            }
            (Bareword | Variable, Open) if one.is_any(&ALSO_FUNCTIONS) => self.set_kind(left, Function),
            (Keyword, next) if one.is_any(&["in", "not in"]) => {
                self.set_kind(left, if next == Open { Operator } else { Bareword });
            }
            (Operator, next) if one.is_any(&["like", "not like"]) => {
                if next == Open {
                    self.set_kind(left, Function);
                }
                return Next::Three;
            }
            (Type, Bareword | Number | Type | Open | Function | Variable | String) => {
                self.put(left, two);
                self.drop_last(1);
                self.left = 0;
            }
            (Collate, Bareword) => {
                // There are too many collations to list; all their names have an underscore.
                if two.text.iter().take(TEXT_BYTES_MAX).any(|byte| *byte == b'_') {
                    self.set_kind(second, Type);
                    self.left = 0;
                }
                return Next::Three;
            }
            (Backslash, _) => {
                // Transact-SQL reads `\%1` as `0%1`, and `\1` as `1`.
                if two.is_arithmetic() {
                    self.set_kind(left, Number);
                } else {
                    self.put(left, two);
                    self.drop_last(1);
                }
                self.left = 0;
            }
            (Open, Open) | (Close, Close) => {
                self.drop_last(1);
                self.left = 0;
            }
            // MySQL takes {``.``.id}, which no rule for three tokens could follow.
            (BraceOpen, Bareword) if two.text.is_empty() => {
                self.set_kind(second, Kind::Evil);
                self.length = second + 1;
                return Next::Stop;
            }
            // ODBC's `{word expression}` is the expression.
            (BraceOpen, Bareword) => {
                self.drop_last(2);
                self.left = 0;
            }
            (_, BraceClose) => {
                self.drop_last(1);
                self.left = 0;
            }
            _ => return Next::Three,
        }
        Next::Again
    }

    /// The rules for three neighbours; says whether one fitted.
    fn three(&mut self, [one, two, three]: [Token<'a>; 3]) -> bool {
        use Kind::{
            Bareword, Close, Comma, Dot, Expression, Function, Group, Keyword, Logic, Number, Open, Operator, String,
            Type, Variable,
        };
        let unary = two.is_unary();
        match (one.kind, two.kind, three.kind) {
            (Number, Operator, Number)
            | (Logic, _, Logic)
            | (Variable, Operator, Variable | Number | Bareword)
            | (Bareword | Number, Operator, Number | Bareword)
            | (Bareword | Number | String | Variable, Comma, Number | Bareword | String | Variable)
            | (Bareword, Dot, Bareword) => self.drop_last(2),
            (Operator, middle, Operator) if middle != Open => self.drop_last(2),
            // PostgreSQL's cast.
            (Bareword | Number | Variable | String, Operator, Type) if two.text == b"::" => self.drop_last(2),
            (Comma, _, Number | Bareword | Variable | String) if unary => {
                // `1,-1` is `1,1`, which is `1`: one more is given up, so that the comma is looked at again.
                self.put(self.left + 1, three);
                self.drop_last(3);
            }
            (Expression | Group | Comma, _, Open)
            | (Keyword | Expression | Group, _, Number | Bareword | Variable | String | Function)
            | (Comma, _, Function)
                if unary =>
            {
                self.put(self.left + 1, three);
                self.drop_last(1);
            }
            (Expression, Dot, Bareword) => {
                self.put(self.left + 1, three);
                self.drop_last(1);
            }
            // `USER()` takes nothing, so `user(x` is somebody's word.
            (Function, Open, next) if next != Close => {
                if one.is_any(&["user"]) {
                    self.set_kind(self.left, Bareword);
                }
                return false;
            }
            _ => return false,
        }
        self.left = 0;
        true
    }

    /// What two words are together, if SQL knows the phrase.
    fn phrase(&self, one: &Token<'a>, two: &Token<'a>) -> Option<Token<'a>> {
        use Kind::{Bareword, Expression, Function, Keyword, Logic, Operator, Tsql, Type, Union};
        let word = |kind| matches!(kind, Keyword | Bareword | Operator | Union | Function | Expression | Tsql | Type);
        if !word(one.kind) || !(word(two.kind) || two.kind == Logic) {
            return None;
        }
        let phrase = self.lexer.words().phrase(one, two)?;
        Some(Token { begins_phrase: phrase.begins_phrase, ..Token::new(phrase.kind, phrase.text) })
    }

    /// The `N` tokens at the left edge, read as far as they are not yet.
    fn neighbours<const N: usize>(&mut self) -> Option<[Token<'a>; N]> {
        while self.more && self.length <= TOKENS_MAX && self.length.saturating_sub(self.left) < N {
            match self.lexer.next() {
                Some(token) if token.kind == Kind::Comment => self.comment = Some(token),
                Some(token) => {
                    self.comment = None;
                    self.push(token);
                }
                None => self.more = false,
            }
        }
        let tokens = self.tokens.get(..self.length)?.get(self.left..)?;
        tokens.first_chunk().copied()
    }

    fn push(&mut self, token: Token<'a>) {
        self.put(self.length, token);
        self.length += 1;
    }

    fn drop_last(&mut self, count: usize) {
        self.length = self.length.saturating_sub(count);
    }

    fn put(&mut self, at: usize, token: Token<'a>) {
        if let Some(place) = self.tokens.get_mut(at) {
            *place = token;
        }
    }

    fn set_kind(&mut self, at: usize, kind: Kind) {
        if let Some(token) = self.tokens.get_mut(at) {
            token.kind = kind;
        }
    }
}

const NOTHING: Token<'static> = Token::new(Kind::Unknown, b"");

/// Words that name functions, but columns as well.
const ALSO_FUNCTIONS: [&str; 11] = [
    "user_id",
    "user_name",
    "database",
    "password",
    "user",
    "current_user",
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
];
