//! The pieces that a value falls into when it is read as SQL.

/// A piece of the value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    /// Its bytes, without the quotes or the `@` around it; of two words that became one, the list's spelling.
    pub(super) text: &'a [u8],
    /// What opened a string: nothing if that lies before the value.
    pub(super) open: Option<u8>,
    /// What closed a string: nothing if the value ended first.
    pub(super) close: Option<u8>,
    /// Whether some phrase begins with it.
    pub(super) begins_phrase: bool,
}

/// What a token is to a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bareword,
    Number,
    String,
    Variable,
    Function,
    Keyword,
    /// The first word of a statement.
    Expression,
    /// What sorts, groups or bounds rows.
    Group,
    Union,
    /// Statements of Transact-SQL, and of those alike.
    Tsql,
    /// The name of a type.
    Type,
    Operator,
    Logic,
    Collate,
    Comment,
    Open,
    Close,
    BraceOpen,
    BraceClose,
    Comma,
    Semicolon,
    Colon,
    Dot,
    Backslash,
    Unknown,
    /// What databases read so differently that only an attacker writes it.
    Evil,
}

impl<'a> Token<'a> {
    pub(super) const fn new(kind: Kind, text: &'a [u8]) -> Self {
        Self { kind, text, open: None, close: None, begins_phrase: false }
    }

    /// Whether it is an operator that stands before what it works on.
    pub(super) fn is_unary(&self) -> bool {
        self.kind == Kind::Operator
            && (matches!(self.text, b"+" | b"-" | b"!" | b"~" | b"!!") || self.text.eq_ignore_ascii_case(b"not"))
    }

    pub(super) fn is_arithmetic(&self) -> bool {
        self.kind == Kind::Operator && matches!(self.text, b"*" | b"/" | b"-" | b"+" | b"%")
    }

    /// Whether it is one of these words.
    pub(super) fn is_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.text.eq_ignore_ascii_case(word.as_bytes()))
    }
}

impl Kind {
    /// Its letter in a form.
    pub(super) const fn letter(self) -> u8 {
        match self {
            Self::Bareword => b'n',
            Self::Number => b'1',
            Self::String => b's',
            Self::Variable => b'v',
            Self::Function => b'f',
            Self::Keyword => b'k',
            Self::Expression => b'E',
            Self::Group => b'B',
            Self::Union => b'U',
            Self::Tsql => b'T',
            Self::Type => b't',
            Self::Operator => b'o',
            Self::Logic => b'&',
            Self::Collate => b'A',
            Self::Comment => b'c',
            Self::Open => b'(',
            Self::Close => b')',
            Self::BraceOpen => b'{',
            Self::BraceClose => b'}',
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Colon => b':',
            Self::Dot => b'.',
            Self::Backslash => b'\\',
            Self::Unknown => b'?',
            Self::Evil => b'X',
        }
    }

    /// The kind of a listed word, by its letter.
    pub(super) const fn of_word(letter: u8) -> Option<Self> {
        Some(match letter {
            b'n' => Self::Bareword,
            b'1' => Self::Number,
            b'v' => Self::Variable,
            b'f' => Self::Function,
            b'k' => Self::Keyword,
            b'E' => Self::Expression,
            b'B' => Self::Group,
            b'U' => Self::Union,
            b'T' => Self::Tsql,
            b't' => Self::Type,
            b'o' => Self::Operator,
            b'&' => Self::Logic,
            b'A' => Self::Collate,
            _ => return None,
        })
    }
}
