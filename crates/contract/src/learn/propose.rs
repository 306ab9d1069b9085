//! From notes to an OpenAPI document.

use serde_json::Value;

use super::SURE_MIN;
use super::operation::{Operation, times};
use super::text::{Text, Written};
use super::tree::{Child, Node};
use super::yaml::{Block, Tree};

/// A document.
#[derive(Debug, Clone)]
pub struct Proposal {
    root: Block,
    heading: Vec<String>,
    operations: usize,
    uncertain: usize,
}

impl Proposal {
    /// As YAML, with comments.
    #[must_use]
    pub fn yaml(&self) -> String {
        let heading: String = self.heading.iter().map(|line| format!("# {line}\n")).collect();
        heading + &self.root.yaml()
    }

    /// The same as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        self.root.json()
    }

    /// How many operations are in it.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.operations
    }

    /// How many of them were seen less often than [`SURE_MIN`].
    #[must_use]
    pub fn uncertain(&self) -> usize {
        self.uncertain
    }
}

/// Writes the document of a tree that is settled.
pub(super) fn document(tree: &Node, title: &str, heading: &[String]) -> Option<Proposal> {
    let mut writer = Writer::default();
    writer.node(tree, &mut Way::default());
    if writer.operations == 0 {
        return None;
    }
    let mut info = Block::default();
    info.put("title", title);
    info.put("version", "0");
    let mut server = Block::default();
    server.put("url", "/");
    let mut root = Block::default();
    root.put("openapi", "3.1.0");
    root.put("info", info);
    root.put("servers", vec![Tree::from(server)]);
    root.put("paths", writer.paths);
    let mut heading = heading.to_vec();
    if writer.uncertain > 0 {
        let (some, all) = (writer.uncertain, writer.operations);
        heading.push(format!("{some} of {all} operations were seen less than {SURE_MIN} times: look for `uncertain`."));
    }
    Some(Proposal { root, heading, operations: writer.operations, uncertain: writer.uncertain })
}

#[derive(Default)]
struct Writer {
    paths: Block,
    operations: usize,
    uncertain: usize,
}

/// The way to a node.
#[derive(Default)]
struct Way<'t> {
    template: String,
    parameters: Vec<(String, &'t Text)>,
    /// The word before, which says what a parameter is of.
    word: String,
}

impl Writer {
    fn node<'t>(&mut self, node: &'t Node, way: &mut Way<'t>) {
        if !node.operations.is_empty() {
            let mut path = Block::default();
            for (method, operation) in &node.operations {
                self.operation(method, operation, way, &mut path);
            }
            self.paths.put(way.template.clone(), path);
        }
        for (word, child) in &node.words {
            self.child(child, way, &format!("/{word}"), word);
        }
        if let Some(child) = &node.value {
            let name = way.name();
            way.parameters.push((name.clone(), &child.text));
            self.child(child, way, &format!("/{{{name}}}"), "");
            way.parameters.pop();
        }
    }

    fn child<'t>(&mut self, child: &'t Child, way: &mut Way<'t>, segment: &str, word: &str) {
        let length = way.template.len();
        let before = std::mem::replace(&mut way.word, word.to_owned());
        way.template.push_str(segment);
        self.node(&child.node, way);
        way.template.truncate(length);
        way.word = before;
    }

    fn operation(&mut self, method: &str, operation: &Operation, way: &Way<'_>, path: &mut Block) {
        self.operations += 1;
        let sure = operation.count >= SURE_MIN;
        self.uncertain += usize::from(!sure);
        let doubt = if sure { "" } else { "uncertain: " };
        path.note(format!("{doubt}seen {}", times(operation.count)));
        path.put(method, operation.describe(way.described()));
    }
}

impl Way<'_> {
    /// What a parameter that follows is called: after the word before it.
    fn name(&self) -> String {
        let word: String =
            self.word.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).collect();
        let word = word.trim_matches('_');
        let plain = if word.is_empty() { String::from("id") } else { format!("{word}_id") };
        let taken = |name: &str| self.parameters.iter().any(|(known, _)| known == name);
        let mut name = plain.clone();
        let mut number = 2;
        while taken(&name) {
            name = format!("{plain}_{number}");
            number += 1;
        }
        name
    }

    fn described(&self) -> Vec<Tree> {
        let one = |(name, text): &(String, &Text)| {
            let mut block = Block::default();
            block.put("name", name.as_str());
            block.put("in", "path");
            block.put("required", true);
            block.put("schema", text.schema(Written::Plainly));
            Tree::from(block)
        };
        self.parameters.iter().map(one).collect()
    }
}
