//! Reads a value as HTML, as forgiving as browsers are, from any of the places it may begin in.
//!
//! Only what may run script comes out. NUL bytes count as spaces between attributes and as nothing inside names, since
//! old browsers take them so.
//!
//! In three points it is stricter than the original. A byte 0xFF before an attribute is part of its name; there it
//! ended the reading, and what came after it was never seen. A closing tag closes itself only; there `</>` made the
//! next opening tag pass for a closing one, and so did a closing tag with attributes.

use memchr::{memchr, memchr_iter, memmem};

/// Reads a value piece by piece.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    state: State<'a>,
}

/// What may run script.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A tag with this name is opened.
    Tag(&'a [u8]),
    /// An attribute has this value, which may be empty.
    Attribute {
        name: &'a [u8],
        value: &'a [u8],
    },
    /// A comment, or what is read like one.
    Comment(&'a [u8]),
    Doctype,
}

/// What comes next.
#[derive(Debug, Clone, Copy)]
enum State<'a> {
    /// Text, up to the next `<`.
    Text,
    /// What stands behind `<`.
    TagOpen,
    /// What stands behind `</`.
    ClosingTag,
    TagName {
        closing: bool,
    },
    /// White space, `/`, `>` or a name.
    BeforeName,
    Name,
    /// White space, `=`, `/`, `>` or the next name.
    AfterName(&'a [u8]),
    /// White space, then a value with or without quotes.
    BeforeValue(&'a [u8]),
    Quoted {
        name: &'a [u8],
        quote: u8,
    },
    Unquoted(&'a [u8]),
    /// What stands behind `<!`.
    Declaration,
    End,
}

impl<'a> Reader<'a> {
    /// The value stands where text may stand.
    pub(super) const fn in_text(value: &'a [u8]) -> Self {
        Self { rest: value, state: State::Text }
    }

    /// The value stands in a tag, as an attribute or behind one without quotes.
    pub(super) const fn in_tag(value: &'a [u8]) -> Self {
        Self { rest: value, state: State::BeforeName }
    }

    /// The value stands in an attribute that such quotes hold.
    pub(super) const fn in_quotes(value: &'a [u8], quote: u8) -> Self {
        Self { rest: value, state: State::Quoted { name: b"", quote } }
    }

    /// Reads to the next state, and the piece that ended there.
    fn step(&mut self) -> Option<Piece<'a>> {
        match self.state {
            State::Text => self.text(),
            State::TagOpen => return self.tag_open(),
            State::ClosingTag => return self.closing_tag(),
            State::TagName { closing } => return self.tag_name(closing),
            State::BeforeName => self.before_name(),
            State::Name => self.name(),
            State::AfterName(name) => self.after_name(name),
            State::BeforeValue(name) => self.before_value(name),
            State::Quoted { name, quote } => return Some(self.quoted(name, quote)),
            State::Unquoted(name) => return Some(self.unquoted(name)),
            State::Declaration => return self.declaration(),
            State::End => {}
        }
        None
    }

    fn text(&mut self) {
        match memchr(b'<', self.rest) {
            Some(at) => self.go(at + 1, State::TagOpen),
            None => self.state = State::End,
        }
    }

    fn tag_open(&mut self) -> Option<Piece<'a>> {
        match self.rest.first() {
            Some(b'!') => self.go(1, State::Declaration),
            Some(b'/') => self.go(1, State::ClosingTag),
            Some(b'?') => {
                self.go(1, State::Text);
                return Some(self.comment_until(b">"));
            }
            // Internet Explorer's and Safari's other comment.
            Some(b'%') => {
                self.go(1, State::Text);
                return Some(self.comment_until(b"%>"));
            }
            Some(b'a'..=b'z' | b'A'..=b'Z' | 0) => self.state = State::TagName { closing: false },
            Some(_) => self.state = State::Text,
            None => self.state = State::End,
        }
        None
    }

    fn closing_tag(&mut self) -> Option<Piece<'a>> {
        match self.rest.first() {
            Some(b'>') => self.state = State::Text,
            Some(b'a'..=b'z' | b'A'..=b'Z') => self.state = State::TagName { closing: true },
            Some(_) => return Some(self.comment_until(b">")),
            None => self.state = State::End,
        }
        None
    }

    /// A closing tag counts only if more than its name comes: some browsers open what is closed with attributes.
    fn tag_name(&mut self, closing: bool) -> Option<Piece<'a>> {
        let name = self.take(|byte| is_white(byte) || matches!(byte, b'/' | b'>'));
        match self.rest.first() {
            Some(b'>') if closing => {
                self.state = State::Text;
                return None;
            }
            Some(b'>') => self.state = State::Text,
            Some(_) => self.go(1, State::BeforeName),
            None => self.state = State::End,
        }
        Some(Piece::Tag(name))
    }

    fn before_name(&mut self) {
        self.skip_white();
        match self.rest.first() {
            Some(b'/') => self.go(1, State::BeforeName),
            Some(b'>') => self.state = State::Text,
            Some(_) => self.state = State::Name,
            None => self.state = State::End,
        }
    }

    fn name(&mut self) {
        // The first byte belongs to the name whatever it is.
        let after = self.rest.get(1..).unwrap_or_default();
        let length = after.iter().position(|byte| is_white(*byte) || matches!(byte, b'/' | b'=' | b'>'));
        let Some((name, _)) = length.and_then(|length| self.rest.split_at_checked(length + 1)) else {
            self.state = State::End;
            return;
        };
        self.go(name.len(), State::AfterName(name));
    }

    fn after_name(&mut self, name: &'a [u8]) {
        self.skip_white();
        match self.rest.first() {
            Some(b'=') => self.go(1, State::BeforeValue(name)),
            Some(b'/' | b'>') => self.state = State::BeforeName,
            Some(_) => self.state = State::Name,
            None => self.state = State::End,
        }
    }

    fn before_value(&mut self, name: &'a [u8]) {
        self.skip_white();
        match self.rest.first() {
            Some(quote @ (b'"' | b'\'' | b'`')) => self.go(1, State::Quoted { name, quote: *quote }),
            Some(_) => self.state = State::Unquoted(name),
            None => self.state = State::End,
        }
    }

    fn quoted(&mut self, name: &'a [u8], quote: u8) -> Piece<'a> {
        let value = self.take(|byte| byte == quote);
        let next = if self.rest.is_empty() { State::End } else { State::BeforeName };
        self.go(1, next);
        Piece::Attribute { name, value }
    }

    fn unquoted(&mut self, name: &'a [u8]) -> Piece<'a> {
        let value = self.take(|byte| is_white(byte) || byte == b'>');
        self.state = State::BeforeName;
        Piece::Attribute { name, value }
    }

    fn declaration(&mut self) -> Option<Piece<'a>> {
        if let Some(rest) = self.rest.strip_prefix(b"--") {
            self.rest = rest;
            let (text, length) = comment_end(rest);
            self.go(length, State::Text);
            return Some(Piece::Comment(text));
        }
        if let Some(rest) = self.rest.strip_prefix(b"[CDATA[") {
            let length = memmem::find(rest, b"]]>").map_or(rest.len(), |at| at + 3);
            self.rest = rest;
            self.go(length, State::Text);
            return None;
        }
        if self.rest.get(..7).is_some_and(|start| start.eq_ignore_ascii_case(b"doctype")) {
            self.state = State::End;
            return Some(Piece::Doctype);
        }
        Some(self.comment_until(b">"))
    }

    /// What browsers skip as if it were a comment.
    fn comment_until(&mut self, end: &[u8]) -> Piece<'a> {
        let length = memmem::find(self.rest, end).unwrap_or(self.rest.len());
        let text = self.rest.get(..length).unwrap_or_default();
        self.go(length + end.len(), State::Text);
        Piece::Comment(text)
    }

    fn go(&mut self, length: usize, state: State<'a>) {
        self.rest = self.rest.get(length..).unwrap_or_default();
        self.state = state;
    }

    fn take(&mut self, end: impl Fn(u8) -> bool) -> &'a [u8] {
        let length = self.rest.iter().position(|byte| end(*byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, &[]));
        self.rest = rest;
        taken
    }

    fn skip_white(&mut self) {
        self.take(|byte| byte != 0 && !is_white(byte));
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        while !matches!(self.state, State::End) {
            if let Some(piece) = self.step() {
                return Some(piece);
            }
        }
        None
    }
}

/// The text of a comment, and how far it reaches with its end: `-->` or `-!>`, with NUL bytes behind the dash.
fn comment_end(rest: &[u8]) -> (&[u8], usize) {
    for at in memchr_iter(b'-', rest) {
        let after = rest.get(at + 1..).unwrap_or_default();
        let nuls = after.iter().take_while(|byte| **byte == 0).count();
        if let Some([b'-' | b'!', b'>']) = after.get(nuls..nuls + 2) {
            return (rest.get(..at).unwrap_or_default(), at + 1 + nuls + 2);
        }
    }
    (rest, rest.len())
}

const fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}
