//! What is kept of texts: of which kinds they are, and about how long.

use std::sync::LazyLock;

use jsonschema::{Draft, Validator};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::kind;

use super::yaml::Block;
use super::{SURE_MIN, bound, rounded};

/// Texts that stood in one place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Text {
    pub(super) count: u64,
    /// How many were of each of [`Kind::ALL`].
    of: [u64; 7],
    negative: u64,
    empty: u64,
    /// The power of two that no length was above, in characters.
    longest: u8,
}

/// What a text may be. An earlier one says more than a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Boolean,
    Integer,
    Number,
    Uuid,
    DateTime,
    Date,
    Email,
}

/// Whether a text may stand for a number, as one of an address may, or is one in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    Plainly,
    AsText,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::Boolean, Self::Integer, Self::Number, Self::Uuid, Self::DateTime, Self::Date, Self::Email];

    fn takes(self, text: &str) -> bool {
        match self {
            Self::Boolean => matches!(text, "true" | "false"),
            Self::Integer => kind::number(text).is_some_and(|number| number.is_i64()),
            // What has more digits than an integer is no number but an identifier.
            Self::Number => kind::number(text).is_some_and(|number| {
                number.is_i64() || number.is_f64() && text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
            }),
            Self::Uuid | Self::DateTime | Self::Date | Self::Email => {
                self.might_be(text)
                    && self.format().is_some_and(|format| format.is_valid(&Value::String(text.to_owned())))
            }
        }
    }

    /// The one that will judge requests, so that both agree.
    fn format(self) -> Option<&'static Validator> {
        static FORMATS: LazyLock<Vec<Option<Validator>>> = LazyLock::new(|| {
            let build = |kind: &Kind| {
                let schema = json!({ "format": kind.name() });
                let options = jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true);
                options.offline().build(&schema).ok()
            };
            Kind::ALL.iter().map(build).collect()
        });
        let at = Self::ALL.iter().position(|kind| *kind == self)?;
        FORMATS.get(at)?.as_ref()
    }

    /// Sorts out nearly all that are not of a format, for less than a look by it costs.
    fn might_be(self, text: &str) -> bool {
        let hyphen = |at: usize| text.as_bytes().get(at) == Some(&b'-');
        match self {
            Self::Uuid => text.len() == 36 && hyphen(8),
            Self::DateTime => (17..=40).contains(&text.len()) && hyphen(4),
            Self::Date => text.len() == 10 && hyphen(4),
            _ => (3..=254).contains(&text.len()) && text.contains('@'),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Uuid => "uuid",
            Self::DateTime => "date-time",
            Self::Date => "date",
            Self::Email => "email",
        }
    }

    const fn is_format(self) -> bool {
        matches!(self, Self::Uuid | Self::DateTime | Self::Date | Self::Email)
    }
}

impl Text {
    /// Takes one more into account.
    pub(super) fn see(&mut self, text: &str) {
        self.count += 1;
        self.empty += u64::from(text.is_empty());
        self.negative += u64::from(text.starts_with('-'));
        self.longest = self.longest.max(rounded(text.chars().count()));
        for (kind, count) in Kind::ALL.iter().zip(&mut self.of) {
            *count += u64::from(kind.takes(text));
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.empty += other.empty;
        self.negative += other.negative;
        self.longest = self.longest.max(other.longest);
        for (count, more) in self.of.iter_mut().zip(other.of) {
            *count += more;
        }
    }

    /// What all of them are.
    fn agreed(&self, written: Written) -> Option<Kind> {
        self.kinds(written).find(|(_, count)| *count == self.count && *count > 0).map(|(kind, _)| kind)
    }

    /// What nearly all of them are, with how many are not: somebody may have tried what happens.
    fn nearly(&self, written: Written) -> Option<(Kind, u64)> {
        let (kind, count) = self.kinds(written).find(|(_, count)| *count * 100 >= self.count * 99)?;
        (self.count >= NEARLY_MIN && count < self.count).then(|| (kind, self.count - count))
    }

    fn kinds(&self, written: Written) -> impl Iterator<Item = (Kind, u64)> {
        let kinds = Kind::ALL.into_iter().zip(self.of);
        kinds.filter(move |(kind, _)| written == Written::Plainly || kind.is_format())
    }

    /// The schema of them.
    pub(super) fn schema(&self, written: Written) -> Block {
        let mut block = Block::default();
        let agreed = self.agreed(written);
        if let Some((kind, others)) = self.nearly(written)
            && agreed.is_none()
        {
            block.note(format!("uncertain: all but {others} of {} are of {}", self.count, kind.name()));
        }
        match agreed {
            Some(kind @ (Kind::Boolean | Kind::Integer | Kind::Number)) => {
                block.put("type", kind.name());
                if kind != Kind::Boolean {
                    number_bounds(&mut block, kind == Kind::Integer, self.negative == 0 && self.count >= SURE_MIN);
                }
            }
            _ => {
                block.put("type", "string");
                self.bounds(agreed, &mut block);
            }
        }
        block
    }

    /// What a schema says of JSON texts beside their type.
    pub(super) fn describe(&self, block: &mut Block) {
        if let Some((kind, others)) = self.nearly(Written::AsText)
            && self.agreed(Written::AsText).is_none()
        {
            block.note(format!("uncertain: all but {others} of {} are of {}", self.count, kind.name()));
        }
        self.bounds(self.agreed(Written::AsText), block);
    }

    fn bounds(&self, agreed: Option<Kind>, block: &mut Block) {
        if let Some(kind) = agreed {
            block.put("format", kind.name());
            return;
        }
        if self.empty == 0 && self.count >= SURE_MIN {
            block.put("minLength", 1);
        }
        if let Some(most) = bound(self.longest) {
            block.put("maxLength", most);
        }
    }
}

/// What is said of numbers beside their type.
pub(super) fn number_bounds(block: &mut Block, whole: bool, never_negative: bool) {
    if whole {
        block.put("format", "int64");
    }
    if never_negative {
        block.put("minimum", 0);
    }
}

/// Below this, one of them that is different says nothing.
const NEARLY_MIN: u64 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(texts: &[&str], expected: Value) {
        let mut text = Text::default();
        texts.iter().for_each(|one| text.see(one));
        assert_eq!(text.schema(Written::Plainly).json(), expected, "{texts:?}");
    }

    #[test]
    fn texts_are_what_all_of_them_are() {
        check(&["1", "20"], json!({ "type": "integer", "format": "int64" }));
        check(&["1", "20", "3", "4", "5"], json!({ "type": "integer", "format": "int64", "minimum": 0 }));
        check(&["1", "-2", "3", "4", "5"], json!({ "type": "integer", "format": "int64" }));
        check(&["1", "2.5"], json!({ "type": "number" }));
        check(&["true", "false"], json!({ "type": "boolean" }));
        check(&["007"], json!({ "type": "string", "maxLength": 64 }));
        check(&["12345678901234567890"], json!({ "type": "string", "maxLength": 64 }));
        check(&["1", ""], json!({ "type": "string", "maxLength": 64 }));
        check(&["2026-11-22"], json!({ "type": "string", "format": "date" }));
        check(&["2026-11-22T10:00:00Z"], json!({ "type": "string", "format": "date-time" }));
        check(&["6f9619ff-8b86-d011-b42d-00c04fc964ff"], json!({ "type": "string", "format": "uuid" }));
        check(&["ada@example.com"], json!({ "type": "string", "format": "email" }));
        check(&["ada@example.com", "Ada"], json!({ "type": "string", "maxLength": 64 }));
        check(&[&"x".repeat(65)], json!({ "type": "string", "maxLength": 256 }));
        check(&[&"x".repeat(20_000)], json!({ "type": "string" }));
    }

    #[test]
    fn one_of_many_that_is_different_is_told() {
        let mut text = Text::default();
        (0..199).for_each(|number| text.see(&number.to_string()));
        text.see("1 OR 1=1");
        assert!(text.schema(Written::Plainly).yaml().contains("# uncertain: all but 1 of 200 are of integer"));
    }
}
