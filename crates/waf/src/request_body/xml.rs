//! XML 1.0, read for its texts. Nothing is expanded, so that no body is larger than it is.

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::attributes::Attributes;
use quick_xml::events::{BytesDecl, BytesRef, Event};
use quick_xml::{Error, Reader, XmlVersion};

use super::{BodyFault, Faults, Limits, Xml};
use crate::arena::{Arena, Span};

/// An XML body; no entity is expanded but the five of the language itself and numbers. Entities that a document declares
/// for itself are a fault, and so is every encoding but UTF-8 and ASCII: what they stand for would go unseen. Attributes of
/// the same name are all kept.
///
/// Returns what was read, and the first fault.
pub(crate) fn xml(body: &[u8], limits: &Limits, arena: &mut Arena) -> (Xml, Result<(), BodyFault>) {
    let mut faults = Faults::default();
    let readable = readable(body, &mut faults);
    let mut walk = Walk { limits, arena, text: Vec::new(), attributes: Vec::new(), nodes: 0, depth: 0, roots: 0 };
    let mut reader = Reader::from_str(readable);
    loop {
        let before = reader.buffer_position();
        match reader.read_event() {
            Ok(Event::Eof) => break,
            Ok(event) if walk.take(&event, &mut faults) => {}
            Ok(_) => break,
            Err(error) => {
                faults.malformed("XML: not well formed");
                // A tag in the wrong place does not hide what stands after it.
                if !matches!(error, Error::IllFormed(_)) || reader.buffer_position() <= before {
                    break;
                }
            }
        }
    }
    if walk.depth > 0 {
        faults.malformed("XML: an element without end");
    }
    if walk.roots == 0 {
        faults.malformed("XML: no element");
    }
    let text = walk.arena.keep(&walk.text);
    (Xml { text, attributes: walk.attributes }, faults.into_result())
}

/// As much of the body as is UTF-8 without a zero: UTF-16, whatever it says of itself, ends here at once.
fn readable<'b>(body: &'b [u8], faults: &mut Faults) -> &'b str {
    let body = match memchr::memchr(0, body) {
        Some(zero) => {
            faults.malformed("XML: a zero byte");
            body.get(..zero).unwrap_or_default()
        }
        None => body,
    };
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let valid = body.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    if valid.len() < body.len() {
        faults.malformed("XML: not UTF-8");
    }
    valid
}

struct Walk<'a> {
    limits: &'a Limits,
    arena: &'a mut Arena,
    /// Kept when all is read: it must be in one piece, and attributes come between.
    text: Vec<u8>,
    attributes: Vec<Span>,
    nodes: usize,
    depth: u32,
    roots: u32,
}

impl Walk<'_> {
    /// Whether to go on.
    fn take(&mut self, event: &Event<'_>, faults: &mut Faults) -> bool {
        match event {
            Event::Start(start) => {
                self.begin(faults) && self.read_attributes(start.attributes(), faults) && self.deeper(faults)
            }
            Event::Empty(start) => self.begin(faults) && self.read_attributes(start.attributes(), faults),
            Event::End(_) => {
                self.depth = self.depth.saturating_sub(1);
                true
            }
            Event::Text(text) => self.take_text(&text.xml10_content(), faults),
            Event::CData(text) => self.take_text(&text.xml10_content(), faults),
            Event::GeneralRef(reference) => {
                self.resolve(reference, faults);
                true
            }
            Event::Decl(declaration) => {
                check_encoding(declaration, faults);
                true
            }
            Event::DocType(declaration) => {
                if declaration.contains('[') {
                    faults.malformed("XML: a document type with declarations of its own");
                }
                true
            }
            Event::Comment(_) | Event::PI(_) | Event::Eof => true,
        }
    }

    fn begin(&mut self, faults: &mut Faults) -> bool {
        if self.depth == 0 {
            self.roots = self.roots.saturating_add(1);
            if self.roots > 1 {
                faults.malformed("XML: more than one root");
            }
        }
        self.count(faults)
    }

    fn deeper(&mut self, faults: &mut Faults) -> bool {
        self.depth = self.depth.saturating_add(1);
        if self.depth > self.limits.depth_max {
            faults.limit(self.limits.depth_max as usize, "elements within each other");
            return false;
        }
        true
    }

    fn count(&mut self, faults: &mut Faults) -> bool {
        self.nodes += 1;
        if self.nodes > self.limits.nodes_max {
            faults.limit(self.limits.nodes_max, "elements and attributes");
            return false;
        }
        true
    }

    fn take_text(&mut self, text: &str, faults: &mut Faults) -> bool {
        if self.depth == 0 {
            if text.trim_ascii().is_empty() {
                return true;
            }
            faults.malformed("XML: text outside of the root");
        }
        self.text.extend_from_slice(text.as_bytes());
        true
    }

    fn resolve(&mut self, reference: &BytesRef<'_>, faults: &mut Faults) {
        let character = match &**reference {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "apos" => Some('\''),
            "quot" => Some('"'),
            _ => reference.resolve_char_ref().ok().flatten(),
        };
        if let Some(character) = character {
            self.text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            faults.malformed("XML: an entity that XML itself does not have");
            self.text.push(b'&');
            self.text.extend_from_slice(reference.as_bytes());
            self.text.push(b';');
        }
    }

    fn read_attributes(&mut self, mut attributes: Attributes<'_>, faults: &mut Faults) -> bool {
        // Looking for duplicates takes the square of their number.
        for attribute in attributes.with_checks(false) {
            let Ok(attribute) = attribute else {
                faults.malformed("XML: an attribute that is not well formed");
                continue;
            };
            if !self.count(faults) {
                return false;
            }
            let mut foreign = false;
            let value = attribute.normalized_value_with(XmlVersion::Implicit1_0, 1, |name| {
                let known = resolve_predefined_entity(name);
                foreign |= known.is_none();
                known.or(Some(""))
            });
            if foreign || value.is_err() {
                faults.malformed("XML: an entity that XML itself does not have");
            }
            let value = value.as_deref().unwrap_or(&attribute.value);
            self.attributes.push(self.arena.keep(value.as_bytes()));
        }
        true
    }
}

fn check_encoding(declaration: &BytesDecl<'_>, faults: &mut Faults) {
    let known =
        |name: &str| ["utf-8", "utf8", "us-ascii", "ascii"].iter().any(|known| known.eq_ignore_ascii_case(name));
    match declaration.encoding() {
        None => {}
        Some(Ok(name)) if known(&name) => {}
        Some(_) => faults.malformed("XML: an encoding that is not UTF-8"),
    }
}
