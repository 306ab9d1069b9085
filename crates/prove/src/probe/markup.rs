//! What stands in a page, read with a tokenizer that the gateway does not use.

use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use html5gum::{DefaultEmitter, HtmlString, StartTag, Token, Tokenizer};

/// A script element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Script {
    /// Its text, which runs.
    Inline(String),
    /// What its `src` and its `integrity` say.
    File { src: String, integrity: String },
}

/// What of a page matters to payments.
#[derive(Debug, Default)]
pub(super) struct Markup {
    /// Scripts that run.
    pub(super) scripts: Vec<Script>,
    /// Where frames lead.
    pub(super) frames: Vec<String>,
    /// Where forms lead; empty for the page itself.
    pub(super) forms: Vec<String>,
}

impl Markup {
    /// Reads a page.
    pub(super) fn read(html: &str) -> Self {
        let mut emitter = DefaultEmitter::default();
        emitter.naively_switch_states(true);
        let mut markup = Self::default();
        let mut inline: Option<String> = None;
        for token in Tokenizer::new_with_emitter(html, emitter) {
            let Ok(token) = token;
            match token {
                Token::StartTag(tag) => inline = markup.tag(&tag),
                Token::String(text) => {
                    if let Some(script) = &mut inline {
                        script.push_str(&String::from_utf8_lossy(&text.value));
                    }
                }
                Token::EndTag(tag) if tag.name.as_slice() == b"script" => {
                    markup.scripts.extend(inline.take().filter(|text| !text.is_empty()).map(Script::Inline));
                }
                _ => {}
            }
        }
        markup
    }

    /// Takes a tag; the beginning of an inline script is returned, to be filled.
    fn tag(&mut self, tag: &StartTag<()>) -> Option<String> {
        let attribute = |name: &str| {
            let value = tag.attributes.get(&HtmlString(name.as_bytes().to_vec()))?;
            Some(String::from_utf8_lossy(&value.value).trim().to_owned())
        };
        match tag.name.as_slice() {
            b"iframe" | b"frame" => self.frames.extend(attribute("src")),
            b"form" => self.forms.push(attribute("action").unwrap_or_default()),
            b"button" | b"input" => self.forms.extend(attribute("formaction")),
            b"script" => {
                let kind = attribute("type").unwrap_or_default().to_ascii_lowercase();
                let data = !kind.is_empty()
                    && !["module", "importmap", "speculationrules"].contains(&kind.as_str())
                    && !kind.contains("script");
                return match attribute("src") {
                    _ if data => None,
                    None => Some(String::new()),
                    Some(src) => {
                        let integrity = attribute("integrity").unwrap_or_default();
                        self.scripts.push(Script::File { src, integrity });
                        None
                    }
                };
            }
            _ => {}
        }
        None
    }
}

/// The hashes of some contents, as a policy may write them.
pub(super) fn hashes(contents: &[u8]) -> [String; 3] {
    let hash = |name, algorithm| format!("{name}-{}", STANDARD.encode(digest(algorithm, contents)));
    [hash("sha256", &SHA256), hash("sha384", &SHA384), hash("sha512", &SHA512)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_frames_and_forms_are_found() {
        let page = Markup::read(
            "<form action=https://pay.example.com/go><button formaction=/self></form><form></form>\
             <iframe src='https://pay.example.com/f'><script src=/no.js></script></iframe>\
             <script>a<b</script><script type=application/json>{}</script><script src=/x.js integrity=sha256-x></script>\
             <!-- <script>no</script> -->",
        );
        assert_eq!(page.forms, ["https://pay.example.com/go", "/self", ""]);
        assert_eq!(page.frames, ["https://pay.example.com/f"]);
        let file = Script::File { src: String::from("/x.js"), integrity: String::from("sha256-x") };
        assert_eq!(page.scripts, [Script::Inline(String::from("a<b")), file]);
    }
}
