//! Reads payment pages and script files while they pass, and tells the inventory what was in them.
//!
//! The tokenizer is that of a browser's specification; a page that goes on piece by piece is read piece by piece. Only the
//! text of one script is held at a time, within bounds.

use std::cell::RefCell;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256, SHA384, SHA512, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use html5ever::buffer_queue::BufferQueue;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};
use url::Url;

use super::coding::{Coding, Decoder};
use super::payment::PaymentRules;
use super::scripts::{ScriptInventory, View};

/// A script as it stands in a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Whether its text is in the page.
    pub(crate) inline: bool,
    /// What it is called by: for an inline one its SHA-256, for others their path on the site or their URL elsewhere,
    /// without a query.
    pub(crate) source: String,
    /// What the page says that the file must be (Subresource Integrity).
    pub(crate) integrity: Option<String>,
    /// SHA-384 and SHA-512 of an inline one.
    longer: Vec<String>,
}

impl Seen {
    /// Whether it is known by this hash.
    pub(crate) fn has_hash(&self, hash: &str) -> bool {
        let stated = self.integrity.as_deref().unwrap_or_default();
        (self.inline && self.source == hash)
            || self.longer.iter().any(|one| one == hash)
            || (!self.inline && stated.split_ascii_whitespace().any(|one| one == hash))
    }
}

/// One body that is read on its way.
pub(crate) struct Reading {
    decoder: Decoder,
    bytes_left: usize,
    what: What,
    inventory: Arc<ScriptInventory>,
}

enum What {
    Page(Box<PageReading>),
    File {
        path: String,
        digest: Context,
    },
    /// What could not be read; told to the inventory already.
    Given,
}

struct PageReading {
    page: String,
    rules: Arc<PaymentRules>,
    tokenizer: Tokenizer<Scripts>,
    input: BufferQueue,
    /// The beginning of a character that goes on in the next piece.
    cut: Vec<u8>,
}

impl Reading {
    pub(crate) fn of_page(
        page: String,
        origin: String,
        coding: Coding,
        rules: Arc<PaymentRules>,
        inventory: Arc<ScriptInventory>,
    ) -> Self {
        let tokenizer = Tokenizer::new(Scripts::on(&origin, &page), TokenizerOpts::default());
        let page = PageReading { page, rules, tokenizer, input: BufferQueue::default(), cut: Vec::new() };
        Self { decoder: Decoder::new(coding), bytes_left: PAGE_BYTES_MAX, what: What::Page(Box::new(page)), inventory }
    }

    pub(crate) fn of_file(path: String, coding: Coding, inventory: Arc<ScriptInventory>) -> Self {
        let what = What::File { path, digest: Context::new(&SHA256) };
        Self { decoder: Decoder::new(coding), bytes_left: FILE_BYTES_MAX, what, inventory }
    }

    /// Takes the next piece, as it goes over the wire.
    pub(crate) fn take(&mut self, piece: &[u8]) {
        let decoded = self.decoder.decode(piece);
        let left = decoded.as_ref().ok().and_then(|bytes| self.bytes_left.checked_sub(bytes.len()));
        let (Ok(bytes), Some(left)) = (decoded, left) else {
            let name = match std::mem::replace(&mut self.what, What::Given) {
                What::Page(reading) => reading.page,
                What::File { path, .. } => path,
                What::Given => return,
            };
            self.inventory.unreadable(&name);
            return;
        };
        self.bytes_left = left;
        match &mut self.what {
            What::Page(reading) => reading.take(&bytes),
            What::File { digest, .. } => digest.update(&bytes),
            What::Given => {}
        }
    }

    /// The body is complete. One that breaks off is never told of.
    pub(crate) fn end(self) {
        match self.what {
            What::Page(reading) => {
                let PageReading { page, rules, tokenizer, .. } = *reading;
                tokenizer.end();
                let Found { scripts, overflow, .. } = tokenizer.sink.0.into_inner();
                let scripts = scripts.into_iter().map(|script| (rules.authorises(&script), script)).collect();
                self.inventory.view(&page, View { scripts, overflow });
            }
            What::File { path, digest } => {
                self.inventory.file(&path, &format!("sha256-{}", STANDARD.encode(digest.finish())));
            }
            What::Given => {}
        }
    }
}

impl PageReading {
    fn take(&mut self, bytes: &[u8]) {
        let mut whole = std::mem::take(&mut self.cut);
        whole.extend_from_slice(bytes);
        let mut text = String::with_capacity(whole.len());
        let mut chunks = whole.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            text.push_str(chunk.valid());
            let invalid = chunk.invalid();
            // At most three bytes at the very end may be the beginning of a character.
            if chunks.peek().is_none() && !invalid.is_empty() && invalid.len() < 4 && could_go_on(invalid) {
                self.cut = invalid.to_vec();
            } else if !invalid.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        self.input.push_back(StrTendril::from(text));
        // Nothing in the sink asks to stop; what it says between is whether the input is used up.
        let _ = self.tokenizer.feed(&self.input);
    }
}

/// Whether these bytes are the beginning of a character in UTF-8, as far as they go.
fn could_go_on(bytes: &[u8]) -> bool {
    let wanted = match bytes.first() {
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf4) => 4,
        _ => return false,
    };
    bytes.len() < wanted
}

/// Gathers the scripts among the tokens of a page.
struct Scripts(RefCell<Found>);

struct Found {
    base: Option<Url>,
    open: Option<Open>,
    scripts: Vec<Seen>,
    /// Whether there were more than are held.
    overflow: bool,
}

/// An inline script whose end has not come yet.
struct Open {
    text: String,
    overlong: bool,
}

impl Scripts {
    fn on(origin: &str, page: &str) -> Self {
        let base = Url::parse(origin).ok().and_then(|origin| origin.join(page).ok());
        Self(RefCell::new(Found { base, open: None, scripts: Vec::new(), overflow: false }))
    }
}

impl TokenSink for Scripts {
    type Handle = ();

    fn process_token(&self, token: Token, _: u64) -> TokenSinkResult<()> {
        let mut found = self.0.borrow_mut();
        match token {
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => return found.start(&tag),
            Token::TagToken(tag) if &*tag.name == "script" => found.close(),
            Token::CharacterTokens(text) => found.text(&text),
            Token::NullCharacterToken => found.text("\u{fffd}"),
            Token::EOFToken => found.close(),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

impl Found {
    /// Says how the text after a tag is to be read (HTML section 13.2.6.4).
    fn start(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        match &*tag.name {
            "script" => {
                self.script(tag);
                TokenSinkResult::RawData(RawKind::ScriptData)
            }
            "title" | "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
            "style" | "xmp" | "iframe" | "noembed" | "noframes" | "noscript" => {
                TokenSinkResult::RawData(RawKind::Rawtext)
            }
            "plaintext" => TokenSinkResult::Plaintext,
            _ => TokenSinkResult::Continue,
        }
    }

    fn script(&mut self, tag: &Tag) {
        let attribute = |name: &str| {
            let found = tag.attrs.iter().find(|attribute| &*attribute.name.local == name);
            found.map(|attribute| attribute.value.trim().to_owned())
        };
        let kind = attribute("type").unwrap_or_default().to_ascii_lowercase();
        if !runs(&kind) {
            return;
        }
        match attribute("src") {
            None => self.open = Some(Open { text: String::new(), overlong: false }),
            Some(source) => {
                let source = self.named(&source);
                let integrity = attribute("integrity").filter(|text| !text.is_empty()).map(|text| bounded(&text));
                self.add(Seen { inline: false, source, integrity, longer: Vec::new() });
            }
        }
    }

    fn text(&mut self, text: &str) {
        let Some(open) = &mut self.open else { return };
        if open.text.len() + text.len() > INLINE_BYTES_MAX {
            open.overlong = true;
        } else {
            open.text.push_str(text);
        }
    }

    fn close(&mut self) {
        let Some(Open { text, overlong }) = self.open.take() else { return };
        if overlong {
            self.overflow = true;
            return;
        }
        // An empty element runs nothing and is not held to a policy either.
        if text.is_empty() {
            return;
        }
        let hash = |name: &str, algorithm| format!("{name}-{}", STANDARD.encode(digest(algorithm, text.as_bytes())));
        let longer = vec![hash("sha384", &SHA384), hash("sha512", &SHA512)];
        self.add(Seen { inline: true, source: hash("sha256", &SHA256), integrity: None, longer });
    }

    fn add(&mut self, script: Seen) {
        if self.scripts.len() >= SCRIPTS_OF_PAGE_MAX {
            self.overflow = true;
        } else if !self.scripts.contains(&script) {
            self.scripts.push(script);
        }
    }

    /// A source without query and fragment: by its path if it is the site's own, else whole.
    fn named(&self, source: &str) -> String {
        let joined = match &self.base {
            Some(base) => base.join(source),
            None => Url::parse(source),
        };
        let Ok(url) = joined else { return bounded(source) };
        if matches!(url.scheme(), "http" | "https") {
            let own = self.base.as_ref().is_some_and(|base| base.origin() == url.origin());
            let origin = if own { String::new() } else { url.origin().ascii_serialization() };
            return bounded(&format!("{origin}{}", url.path()));
        }
        // `data:` and its like hold the script itself.
        let hash = STANDARD.encode(digest(&SHA256, url.as_str().as_bytes()));
        bounded(&format!("{}:sha256-{hash}", url.scheme()))
    }
}

/// Whether an element of this type is run: the rest are blocks of data (HTML section 4.12.1).
fn runs(kind: &str) -> bool {
    let essence = kind.split(';').next().unwrap_or_default().trim();
    matches!(essence, "" | "module" | "importmap" | "speculationrules")
        || essence.strip_prefix("text/").or(essence.strip_prefix("application/")).is_some_and(|name| {
            let plain = name.strip_prefix("x-").unwrap_or(name);
            plain.starts_with("javascript") || plain == "ecmascript" || plain == "jscript" || plain == "livescript"
        })
}

fn bounded(text: &str) -> String {
    text.chars().take(SOURCE_CHARACTERS_MAX).collect()
}

/// Larger ones are told of as unreadable.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
const FILE_BYTES_MAX: usize = 16 * 1024 * 1024;
const INLINE_BYTES_MAX: usize = 512 * 1024;
const SCRIPTS_OF_PAGE_MAX: usize = 200;
const SOURCE_CHARACTERS_MAX: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;

    /// The scripts of a page, however it is cut into pieces.
    fn scripts(html: &[u8], piece: usize) -> Vec<Seen> {
        let sink = Scripts::on("https://shop.example.com", "/checkout");
        let tokenizer = Tokenizer::new(sink, TokenizerOpts::default());
        let mut reading = PageReading {
            page: String::new(),
            rules: Arc::new(PaymentRules::empty()),
            tokenizer,
            input: BufferQueue::default(),
            cut: Vec::new(),
        };
        html.chunks(piece).for_each(|piece| reading.take(piece));
        reading.tokenizer.end();
        reading.tokenizer.sink.0.into_inner().scripts
    }

    #[track_caller]
    fn check(html: &str, expected: &[&str]) {
        for piece in [1, 7, html.len().max(1)] {
            let seen = scripts(html.as_bytes(), piece);
            let names: Vec<_> = seen.iter().map(|script| script.source.as_str()).collect();
            assert_eq!(names, expected, "{html} in pieces of {piece}");
        }
    }

    #[test]
    fn scripts_are_found_as_a_browser_finds_them() {
        check(
            "<script src=/pay.js?v=1></script><SCRIPT type=module src='sub/a.js'></SCRIPT><script src='//js.example.com/v3#x'>ignored</script>",
            &["/pay.js", "/sub/a.js", "https://js.example.com/v3"],
        );
        check("<!-- <script src=/no.js></script> --><textarea><script src=/no.js></script></textarea>", &[]);
        check("<script type=application/json>{}</script><script></script><style><script src=/no.js></style>", &[]);
        check("<script src=https://shop.example.com/own.js></script>", &["/own.js"]);
    }

    #[test]
    fn an_inline_script_is_known_by_its_hash() {
        // echo -n 'ä()' | openssl dgst -sha256 -binary | base64
        let html = "<p>x</p><script>ä()</script>";
        check(html, &["sha256-lbEdi5owPWZLmmmVK2E5UPborAgsHr9hWJTyC2o15zM="]);
        let seen = scripts(html.as_bytes(), 3);
        assert!(seen[0].inline && seen[0].longer.iter().all(|hash| seen[0].has_hash(hash)));
    }

    #[test]
    fn bytes_that_are_no_text_are_read_all_the_same() {
        let html = b"\xff<script src=/a.js>\xe4</script>\xe2\x82";
        assert_eq!(scripts(html, 1).len(), 1);
    }
}
