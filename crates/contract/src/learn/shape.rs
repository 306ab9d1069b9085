//! What is kept of JSON values: their structure, and of each place in it what stood there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use super::text::{Text, number_bounds};
use super::word::Discretion;
use super::yaml::{Block, Tree};
use super::{Room, SURE_MIN, bound, rounded};

/// Values that stood in one place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shape {
    pub(super) count: u64,
    /// Not looked into further, so that anything may stand here.
    any: bool,
    null: u64,
    boolean: u64,
    numbers: Numbers,
    text: Option<Box<Text>>,
    list: Option<Box<List>>,
    object: Option<Box<Object>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Numbers {
    count: u64,
    negative: bool,
    /// One had a fraction, or an exponent.
    fraction: bool,
    /// One was no integer of 64 bits with a sign.
    wide: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct List {
    /// The power of two that no length was above.
    longest: u8,
    items: Shape,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Object {
    count: u64,
    fields: BTreeMap<String, Shape>,
    /// What stood under names that are not kept.
    others: Option<Shape>,
    /// There were too many names for all of them to be names of fields.
    folded: bool,
}

impl Shape {
    /// Anything may stand here.
    pub(super) fn anything() -> Self {
        Self { any: true, ..Self::default() }
    }

    /// Takes a value into account.
    pub(super) fn see(&mut self, value: &Value, depth: usize, discretion: &Discretion, room: &mut Room) {
        self.count += 1;
        if self.any {
            return;
        }
        if depth > DEPTH_MAX && matches!(value, Value::Array(_) | Value::Object(_)) {
            self.give_up();
            return;
        }
        match value {
            Value::Null => self.null += 1,
            Value::Bool(_) => self.boolean += 1,
            Value::Number(number) => self.numbers.see(number),
            Value::String(text) => self.text.get_or_insert_default().see(text),
            Value::Array(_) if self.list.is_none() && !room.take() => self.give_up(),
            Value::Array(items) => {
                let list = self.list.get_or_insert_default();
                list.longest = list.longest.max(rounded(items.len()));
                items.iter().for_each(|item| list.items.see(item, depth + 1, discretion, room));
            }
            Value::Object(members) => self.object.get_or_insert_default().see(members, depth, discretion, room),
        }
    }

    fn give_up(&mut self) {
        *self = Self { count: self.count, ..Self::anything() };
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.count += other.count;
        if self.any || other.any {
            self.give_up();
            return;
        }
        self.null += other.null;
        self.boolean += other.boolean;
        self.numbers.merge(&other.numbers);
        if let Some(text) = other.text {
            self.text.get_or_insert_default().merge(&text);
        }
        if let Some(list) = other.list {
            let own = self.list.get_or_insert_default();
            own.longest = own.longest.max(list.longest);
            own.items.merge(list.items);
        }
        if let Some(object) = other.object {
            self.object.get_or_insert_default().merge(*object);
        }
    }

    /// How many names and lists there are in it.
    pub(super) fn size(&self) -> usize {
        let list = self.list.as_ref().map_or(0, |list| 1 + list.items.size());
        let object = self.object.as_ref().map_or(0, |object| {
            let others = object.others.as_ref().map_or(0, Self::size);
            object.fields.values().map(|shape| 1 + shape.size()).sum::<usize>() + others
        });
        list + object
    }

    /// The schema of them.
    pub(super) fn schema(&self) -> Block {
        let mut block = Block::default();
        let types = self.types();
        if self.any || types.is_empty() {
            return block;
        }
        match types.as_slice() {
            [only] => block.put("type", *only),
            several => block.put("type", several.iter().map(|name| Tree::from(*name)).collect::<Vec<_>>()),
        }
        if let Some(text) = &self.text {
            text.describe(&mut block);
        }
        if self.numbers.count > 0 {
            // The one `format` that a schema has is that of its texts.
            let whole = !self.numbers.fraction && !self.numbers.wide && self.text.is_none();
            number_bounds(&mut block, whole, !self.numbers.negative && self.numbers.count >= SURE_MIN);
        }
        if let Some(list) = &self.list {
            block.put("items", list.items.schema());
            if let Some(most) = bound(list.longest) {
                block.put("maxItems", most);
            }
        }
        if let Some(object) = &self.object {
            object.describe(&mut block);
        }
        block
    }

    fn types(&self) -> Vec<&'static str> {
        let number = if self.numbers.fraction { "number" } else { "integer" };
        let all = [
            (self.object.is_some(), "object"),
            (self.list.is_some(), "array"),
            (self.text.is_some(), "string"),
            (self.numbers.count > 0, number),
            (self.boolean > 0, "boolean"),
            (self.null > 0, "null"),
        ];
        all.into_iter().filter(|(seen, _)| *seen).map(|(_, name)| name).collect()
    }

    /// Whether both are of the same types, and objects have the same fields.
    fn is_like(&self, other: &Self) -> bool {
        let names =
            |shape: &Self| shape.object.as_ref().map(|object| object.fields.keys().cloned().collect::<Vec<_>>());
        self.any == other.any && self.types() == other.types() && names(self) == names(other)
    }
}

impl Numbers {
    fn see(&mut self, number: &Number) {
        self.count += 1;
        self.fraction |= number.is_f64();
        self.wide |= !number.is_i64();
        self.negative |= number.as_f64().is_some_and(f64::is_sign_negative);
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.fraction |= other.fraction;
        self.wide |= other.wide;
        self.negative |= other.negative;
    }
}

impl Object {
    fn see(&mut self, members: &Map<String, Value>, depth: usize, discretion: &Discretion, room: &mut Room) {
        self.count += 1;
        for (name, value) in members {
            if let Some(shape) = self.fields.get_mut(name) {
                shape.see(value, depth + 1, discretion, room);
                continue;
            }
            if !self.folded && discretion.is_name(name) {
                if self.fields.len() == FIELDS_MAX {
                    self.fold();
                } else if room.take() {
                    self.fields.entry(name.clone()).or_default().see(value, depth + 1, discretion, room);
                    continue;
                } else {
                    self.others = Some(Shape::anything());
                    continue;
                }
            }
            self.others.get_or_insert_default().see(value, depth + 1, discretion, room);
        }
    }

    /// Takes all names for values.
    fn fold(&mut self) {
        self.folded = true;
        let others = self.others.get_or_insert_default();
        std::mem::take(&mut self.fields).into_values().for_each(|shape| others.merge(shape));
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        for (name, shape) in other.fields {
            self.fields.entry(name).or_default().merge(shape);
        }
        if let Some(others) = other.others {
            self.others.get_or_insert_default().merge(others);
        }
        if self.folded || other.folded || self.fields.len() > FIELDS_MAX {
            self.fold();
        }
    }

    /// Whether the names look like those of things and not of fields: many, seldom all there, and the same under each.
    fn is_map(&self) -> bool {
        let mut shapes = self.fields.values();
        let Some(first) = shapes.next() else { return false };
        let seldom = |shape: &Shape| shape.count * 2 < self.count;
        self.fields.len() > MAP_FIELDS_MIN && seldom(first) && shapes.all(|shape| seldom(shape) && shape.is_like(first))
    }

    fn describe(&self, block: &mut Block) {
        if self.is_map() {
            let mut folded = self.clone();
            folded.fold();
            block.note(format!("uncertain: {} names were taken for values", self.fields.len()));
            folded.describe(block);
            return;
        }
        let always = |shape: &Shape| shape.count == self.count && self.count >= SURE_MIN;
        let required: Vec<Tree> =
            self.fields.iter().filter(|(_, shape)| always(shape)).map(|(name, _)| name.as_str().into()).collect();
        if !required.is_empty() {
            block.put("required", required);
        }
        if !self.fields.is_empty() {
            let mut properties = Block::default();
            for (name, shape) in &self.fields {
                properties.put(name.as_str(), shape.schema());
            }
            block.put("properties", properties);
        }
        match &self.others {
            Some(others) => block.put("additionalProperties", others.schema()),
            None if self.fields.is_empty() => {}
            None => block.put("additionalProperties", false),
        }
    }
}

/// Deeper structures may be anything.
const DEPTH_MAX: usize = 12;
/// More names than this are no names of fields.
const FIELDS_MAX: usize = 200;
const MAP_FIELDS_MIN: usize = 24;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DISCRETION: Discretion = Discretion { is_secret: |_| false, announces: |_| false };

    #[track_caller]
    fn check(values: &[Value], expected: &Value) {
        let mut shape = Shape::default();
        values.iter().for_each(|value| shape.see(value, 0, &DISCRETION, &mut Room::default()));
        assert_eq!(&shape.schema().json(), expected);
    }

    #[test]
    fn structures_are_learned_without_their_values() {
        let text = json!({ "type": "string", "maxLength": 64 });
        check(
            &[json!({ "name": "a", "size": 1 }), json!({ "name": "b", "mail": null })],
            &json!({
                "type": "object",
                "properties": { "name": text, "size": { "type": "integer", "format": "int64" }, "mail": { "type": "null" } },
                "additionalProperties": false,
            }),
        );
        check(
            &[json!([1, 2.5]), json!([])],
            &json!({ "type": "array", "items": { "type": "number" }, "maxItems": 64 }),
        );
        check(&[json!(1), json!("a"), json!(null)], &json!({ "type": ["string", "integer", "null"], "maxLength": 64 }));
        check(&[json!({})], &json!({ "type": "object" }));
        check(&[json!([])], &json!({ "type": "array", "items": {}, "maxItems": 64 }));
        check(&[json!(18_446_744_073_709_551_615_u64)], &json!({ "type": "integer" }));
    }

    #[test]
    fn fields_that_were_always_there_are_required_once_that_is_sure() {
        let value = json!({ "name": "a" });
        check(
            &vec![value; 5],
            &json!({
                "type": "object",
                "required": ["name"],
                "properties": { "name": { "type": "string", "minLength": 1, "maxLength": 64 } },
                "additionalProperties": false,
            }),
        );
    }

    #[test]
    fn names_that_are_values_are_not_kept() {
        check(
            &[json!({ "ada@example.com": 1, "6f9619ff-8b86-d011-b42d-00c04fc964ff": 2 })],
            &json!({ "type": "object", "additionalProperties": { "type": "integer", "format": "int64" } }),
        );
        let many: Map<String, Value> = (0..201_u32)
            .map(|number| {
                let letter = |digit: u32| char::from(b'a' + u8::try_from(digit).unwrap());
                (format!("k{}{}", letter(number / 26), letter(number % 26)), json!(1))
            })
            .collect();
        check(
            &[Value::Object(many)],
            &json!({ "type": "object", "additionalProperties": { "type": "integer", "format": "int64", "minimum": 0 } }),
        );
        let mut some: Vec<Value> = ["ada", "bob", "eve"].map(|name| json!({ name: { "age": 1 } })).to_vec();
        some.extend((0..26_u8).map(|letter| json!({ format!("person{}", char::from(b'a' + letter)): { "age": 1 } })));
        let mut shape = Shape::default();
        some.iter().for_each(|value| shape.see(value, 0, &DISCRETION, &mut Room::default()));
        assert!(!shape.schema().yaml().contains("ada"));
    }

    #[test]
    fn deep_structures_end_in_anything() {
        let deep = (0..20).fold(json!(1), |inner, _| json!([inner]));
        let mut shape = Shape::default();
        shape.see(&deep, 0, &DISCRETION, &mut Room::default());
        assert!(shape.schema().yaml().trim_end().ends_with("maxItems: 64"));
        assert_eq!(shape.schema().yaml().matches("items").count(), 13);
    }
}
