//! Writes a document as YAML, with comments, or as JSON, without.
//!
//! Texts are written between double quotes wherever they could be read as something else: what stands between them is a JSON
//! text, and YAML 1.2 reads those alike.

use serde_json::Value;

/// A mapping in the order in which it is to be written.
#[derive(Debug, Clone, Default)]
pub(super) struct Block {
    entries: Vec<Entry>,
    /// Comments on what is put in next.
    notes: Vec<String>,
}

#[derive(Debug, Clone)]
struct Entry {
    notes: Vec<String>,
    key: String,
    value: Tree,
}

/// Anything in a document.
#[derive(Debug, Clone)]
pub(super) enum Tree {
    Block(Block),
    List(Vec<Tree>),
    Leaf(Value),
}

impl Block {
    /// Puts a comment above what is put in next.
    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    pub(super) fn put(&mut self, key: impl Into<String>, value: impl Into<Tree>) {
        self.entries.push(Entry { notes: std::mem::take(&mut self.notes), key: key.into(), value: value.into() });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn json(&self) -> Value {
        Value::Object(self.entries.iter().map(|entry| (entry.key.clone(), entry.value.json())).collect())
    }

    pub(super) fn yaml(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, 0, false);
        text
    }

    /// `begun`: the first line has its indentation and its comments already, before the dash of a list.
    fn write(&self, text: &mut String, indent: usize, begun: bool) {
        let mut begun = begun;
        for Entry { notes, key, value } in &self.entries {
            if !std::mem::take(&mut begun) {
                comments(text, indent, notes);
                indented(text, indent);
            }
            text.push_str(&scalar(key, Style::Block));
            text.push(':');
            value.write(text, indent);
        }
        comments(text, indent, &self.notes);
    }

    /// The comments on what comes first.
    fn first_notes(&self) -> &[String] {
        self.entries.first().map_or(&[], |entry| &entry.notes)
    }
}

fn comments(text: &mut String, indent: usize, notes: &[String]) {
    for note in notes {
        indented(text, indent);
        text.push_str("# ");
        // A comment ends with its line, and nothing that is foreign may begin another one.
        text.extend(note.chars().map(|char| if char.is_control() { ' ' } else { char }));
        text.push('\n');
    }
}

fn indented(text: &mut String, indent: usize) {
    text.extend(std::iter::repeat_n(' ', indent));
}

impl Tree {
    fn json(&self) -> Value {
        match self {
            Self::Block(block) => block.json(),
            Self::List(items) => Value::Array(items.iter().map(Self::json).collect()),
            Self::Leaf(value) => value.clone(),
        }
    }

    /// Writes it after the colon of its key, which stands at this indentation.
    fn write(&self, text: &mut String, indent: usize) {
        match self {
            Self::Block(block) if block.is_empty() => text.push_str(" {}\n"),
            Self::Block(block) => {
                text.push('\n');
                block.write(text, indent + STEP, false);
            }
            Self::List(items) if items.iter().all(|item| matches!(item, Self::Leaf(_))) => {
                let items: Vec<_> = items.iter().map(|item| item.inline(Style::Flow)).collect();
                text.push_str(&format!(" [{}]\n", items.join(", ")));
            }
            Self::List(items) => {
                text.push('\n');
                for item in items {
                    if let Self::Block(block) = item {
                        comments(text, indent + STEP, block.first_notes());
                    }
                    indented(text, indent + STEP);
                    text.push_str("- ");
                    match item {
                        Self::Block(block) if !block.is_empty() => block.write(text, indent + STEP + 2, true),
                        other => {
                            text.push_str(&other.inline(Style::Block));
                            text.push('\n');
                        }
                    }
                }
            }
            Self::Leaf(_) => {
                text.push(' ');
                text.push_str(&self.inline(Style::Block));
                text.push('\n');
            }
        }
    }

    fn inline(&self, style: Style) -> String {
        match self {
            Self::Leaf(Value::String(text)) => scalar(text, style),
            other => other.json().to_string(),
        }
    }
}

/// Whether braces and brackets mean something, as within a list on one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Block,
    Flow,
}

/// A text as it stands, where it can be read in one way only.
fn scalar(text: &str, style: Style) -> String {
    let begins_well = text.bytes().next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'/');
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/' | b'{' | b'}');
    let braces = text.contains(['{', '}']) && (style == Style::Flow || !text.starts_with('/'));
    let word = text.to_ascii_lowercase();
    let parts: Vec<&str> = text.split('.').collect();
    let number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if parts.len() == VERSION_PARTS && parts.iter().all(number) {
        return text.to_owned();
    }
    if begins_well && text.bytes().all(inside) && !braces && !RESERVED.contains(&word.as_str()) {
        return text.to_owned();
    }
    Value::String(text.to_owned()).to_string()
}

impl From<Block> for Tree {
    fn from(block: Block) -> Self {
        Self::Block(block)
    }
}

impl From<Vec<Tree>> for Tree {
    fn from(items: Vec<Tree>) -> Self {
        Self::List(items)
    }
}

impl<T: Into<Value>> From<T> for Tree
where
    T: Plain,
{
    fn from(value: T) -> Self {
        Self::Leaf(value.into())
    }
}

/// What stands on one line.
pub(super) trait Plain {}

impl Plain for &str {}
impl Plain for String {}
impl Plain for bool {}
impl Plain for i32 {}
impl Plain for u64 {}

const STEP: usize = 2;

/// `3.1.0` is no number.
const VERSION_PARTS: usize = 3;

/// Words that YAML 1.1 or 1.2 reads as something else than a text.
const RESERVED: [&str; 11] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", ".nan", ".inf"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let texts = [
            "plain",
            "true",
            "No",
            "7",
            "1e3",
            "",
            " a",
            "a: b",
            "#",
            "[x]",
            "{y}",
            "/orders/{id}",
            "a\"b\\",
            "zwei\nZeilen",
            "ä",
            "\u{85}\u{2028}",
            "-",
            "~",
            "<<",
            "2026-11-22",
            "&a",
            "*a",
            "!x",
            "%",
            "@",
            "`",
        ];
        let mut all = Block::default();
        all.note("a comment\nand no second line");
        for text in texts {
            let mut inner = Block::default();
            inner.put("value", text);
            inner.put(text, vec![Tree::from(text), Tree::from(7_u64), Tree::from(true)]);
            all.put(format!("key {text}"), vec![Tree::from(inner.clone()), Tree::from(Block::default())]);
            all.put(text, inner);
        }
        all.note("at the end");
        let read: Value = serde_saphyr::from_str(&all.yaml()).unwrap();
        assert_eq!(read, all.json());
        assert_eq!(read["true"]["value"], json!("true"));
    }
}
