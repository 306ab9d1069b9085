//! JSON, read strictly: one value, no name twice, bounded in depth and number, no NUL (RFC 8259, RFC 7493 section 2).
//!
//! Two parsers that read one text in two ways are a way around a check: which of two equal names counts is left open
//! by RFC 8259 section 4, so a text with two is refused.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::charset;
use crate::finding::keyword;

/// How far JSON is looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JsonLimits {
    /// Levels of arrays and objects, at most 120: the parser itself goes no further than 128.
    pub depth_max: u16,
    /// Values in all.
    pub values_max: u32,
}

/// Whether texts with control characters are refused. NUL always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Controls {
    Pass,
    Refuse,
}

/// Reads a text that must be one JSON value.
///
/// # Errors
/// The keyword of what is wrong: [`keyword::SYNTAX`], [`keyword::DUPLICATE`], [`keyword::DEPTH`], [`keyword::COUNT`],
/// [`keyword::UTF8`] or [`keyword::CONTROL`].
pub(crate) fn read(text: &[u8], limits: JsonLimits, controls: Controls) -> Result<Value, &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| keyword::UTF8)?;
    let state = State { values_left: Cell::new(limits.values_max), controls, flaw: Cell::new(None) };
    let mut reader = serde_json::Deserializer::from_str(text);
    let seed = Seed { state: &state, depth_left: limits.depth_max };
    let value = seed.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|_| state.flaw.get().unwrap_or(keyword::SYNTAX))
}

struct State {
    values_left: Cell<u32>,
    controls: Controls,
    /// What was wrong, where it was not the syntax.
    flaw: Cell<Option<&'static str>>,
}

impl State {
    fn stop<E: de::Error>(&self, flaw: &'static str) -> E {
        self.flaw.set(Some(flaw));
        E::custom(flaw)
    }

    fn text<E: de::Error>(&self, text: &str) -> Result<(), E> {
        let refused = match self.controls {
            Controls::Pass => text.as_bytes().contains(&0),
            Controls::Refuse => charset::controls(text, charset::Lines::Pass),
        };
        if refused { Err(self.stop(keyword::CONTROL)) } else { Ok(()) }
    }
}

#[derive(Clone, Copy)]
struct Seed<'s> {
    state: &'s State,
    depth_left: u16,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let Some(left) = self.state.values_left.get().checked_sub(1) else {
            return Err(self.state.stop(keyword::COUNT));
        };
        self.state.values_left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl Seed<'_> {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { depth_left, ..self }),
            None => Err(self.state.stop(keyword::DEPTH)),
        }
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| self.state.stop(keyword::SYNTAX))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        self.state.text(value)?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        self.state.text(&value)?;
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(seed)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            self.state.text(&name)?;
            if object.contains_key(&name) {
                return Err(self.state.stop(keyword::DUPLICATE));
            }
            let value = members.next_value_seed(seed)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &[u8], expected: &str) {
        let limits = JsonLimits { depth_max: 3, values_max: 8 };
        assert_eq!(read(text, limits, Controls::Refuse), Err(expected), "{}", String::from_utf8_lossy(text));
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        refused(br#"{"a":1,"a":2}"#, keyword::DUPLICATE);
        refused(br#"{"a":1,"\u0061":2}"#, keyword::DUPLICATE);
        refused(b"{} {}", keyword::SYNTAX);
        refused(b"{}\0", keyword::SYNTAX);
        refused(b"\xef\xbb\xbf{}", keyword::SYNTAX);
        refused(b"", keyword::SYNTAX);
        refused(b"1e999", keyword::SYNTAX);
        refused(b"NaN", keyword::SYNTAX);
        refused(b"\"\xc0\xaf\"", keyword::UTF8);
        refused(br#""\ud800""#, keyword::SYNTAX);
        refused(br#""a\u0000b""#, keyword::CONTROL);
        refused(br#"{"a\u001b":1}"#, keyword::CONTROL);
    }

    #[test]
    fn depth_and_number_are_bounded_at_the_edge_and_one_past_it() {
        let limits = JsonLimits { depth_max: 3, values_max: 8 };
        assert!(read(b"[[[]]]", limits, Controls::Pass).is_ok());
        refused(b"[[[[]]]]", keyword::DEPTH);
        assert!(read(b"[1,2,3,4,5,6,7]", limits, Controls::Pass).is_ok());
        refused(b"[1,2,3,4,5,6,7,8]", keyword::COUNT);
        refused("[".repeat(100_000).as_bytes(), keyword::DEPTH);
    }

    #[test]
    fn lines_and_other_scripts_pass() {
        let limits = JsonLimits { depth_max: 3, values_max: 8 };
        assert!(read("{\"ä\":\"line\\nline\\t\u{2028}\"}".as_bytes(), limits, Controls::Refuse).is_ok());
        assert!(read(br#""a\u001bb""#, limits, Controls::Pass).is_ok());
        assert_eq!(read(br#""a\u0000b""#, limits, Controls::Pass), Err(keyword::CONTROL));
    }
}
