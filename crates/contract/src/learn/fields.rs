//! What is kept of pairs of names and texts, of queries and forms.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::parameter::Pairs;

use super::text::{Text, Written};
use super::word::Discretion;
use super::yaml::{Block, Tree};
use super::{Room, SURE_MIN};

/// The pairs of several requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fields {
    /// How many requests there were.
    count: u64,
    named: BTreeMap<String, Field>,
    /// There were names that are not kept.
    open: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Field {
    /// In how many requests it stood.
    present: u64,
    /// It stood in one of them twice.
    many: bool,
    text: Text,
}

impl Fields {
    /// Takes the pairs of a request into account.
    pub(super) fn see(&mut self, pairs: &Pairs<'_>, discretion: &Discretion, room: &mut Room) {
        self.count += 1;
        let mut times: BTreeMap<&str, u64> = BTreeMap::new();
        for (name, text) in pairs {
            let new = !self.named.contains_key(&**name);
            if new && (self.named.len() == FIELDS_MAX || !discretion.is_name(name) || !room.take()) {
                self.open = true;
                continue;
            }
            self.named.entry(name.clone().into_owned()).or_default().text.see(text);
            *times.entry(name).or_default() += 1;
        }
        for (name, times) in times {
            if let Some(field) = self.named.get_mut(name) {
                field.present += 1;
                field.many |= times > 1;
            }
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.open |= other.open;
        for (name, field) in other.named {
            let own = self.named.entry(name).or_default();
            own.present += field.present;
            own.many |= field.many;
            own.text.merge(&field.text);
        }
        while self.named.len() > FIELDS_MAX {
            self.open |= self.named.pop_last().is_some();
        }
    }

    pub(super) fn size(&self) -> usize {
        self.named.len()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.named.keys().map(String::as_str)
    }

    /// The parameters of a query.
    pub(super) fn parameters(&self) -> Vec<Tree> {
        let mut parameters: Vec<Tree> = self.named.iter().map(|(name, field)| self.parameter(name, field)).collect();
        if self.open {
            let mut schema = Block::default();
            schema.put("type", "object");
            schema.put("additionalProperties", true);
            let mut others = Block::default();
            others.note("uncertain: names that look like values, so that any name passes");
            others.put("name", self.free_name());
            others.put("in", "query");
            others.put("style", "form");
            others.put("explode", true);
            others.put("schema", schema);
            parameters.push(others.into());
        }
        parameters
    }

    /// A name that is none of theirs.
    fn free_name(&self) -> String {
        let mut name = String::from("any_other");
        while self.named.contains_key(&name) {
            name.push('_');
        }
        name
    }

    fn parameter(&self, name: &str, field: &Field) -> Tree {
        let mut block = Block::default();
        block.put("name", name);
        block.put("in", "query");
        if self.is_required(field) {
            block.put("required", true);
        }
        block.put("schema", field.schema());
        block.into()
    }

    /// The schema of a form.
    pub(super) fn schema(&self) -> Block {
        let mut block = Block::default();
        block.put("type", "object");
        let required: Vec<Tree> = self
            .named
            .iter()
            .filter(|(_, field)| self.is_required(field))
            .map(|(name, _)| name.as_str().into())
            .collect();
        if !required.is_empty() {
            block.put("required", required);
        }
        let mut properties = Block::default();
        for (name, field) in &self.named {
            properties.put(name.as_str(), field.schema());
        }
        if !properties.is_empty() {
            block.put("properties", properties);
        }
        if self.open {
            block.note("uncertain: names that look like values, so that any name passes");
        }
        block.put("additionalProperties", self.open);
        block
    }

    fn is_required(&self, field: &Field) -> bool {
        field.present == self.count && self.count >= SURE_MIN
    }
}

impl Field {
    fn schema(&self) -> Block {
        let one = self.text.schema(Written::Plainly);
        if self.many { list(one) } else { one }
    }
}

/// A list of these.
pub(super) fn list(items: Block) -> Block {
    let mut block = Block::default();
    block.put("type", "array");
    block.put("items", items);
    block
}

/// More names than this are not kept apart.
const FIELDS_MAX: usize = 100;
