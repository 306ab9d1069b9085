//! What a control found in a request, piece by piece, for an event and for whoever reads it again.
//!
//! Nothing here holds what a client sent in clear: a slice is a few bytes, masked by whoever fills it in. Everything is
//! bounded, see the constants.

use serde::{Deserialize, Serialize};

/// What rules found, and why it came to what it came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made by one part and read by others; new members are optional")]
pub struct Findings {
    /// Which rules these were: the beginning of a digest of their texts, in hexadecimal.
    pub rules: String,
    /// The rule that decided.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rule: Option<u32>,
    /// What had added up by then.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub score: Option<i64>,
    /// From which score on it is refused.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub threshold: Option<i64>,
    /// Rules that matched, in the order in which they did; at most [`FINDINGS_MAX`].
    pub found: Vec<Finding>,
    /// How many more there were.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub more: u32,
}

/// A rule that matched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made by one part and read by others; new members are optional")]
pub struct Finding {
    /// The rule's id.
    pub rule: u32,
    /// What it added to the score.
    #[serde(skip_serializing_if = "is_none", default)]
    pub score: i64,
    /// Where it matched: of a chain, for each link; at most [`HITS_MAX`].
    pub hits: Vec<Hit>,
}

/// A place in which a rule matched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made by one part and read by others; new members are optional")]
pub struct Hit {
    /// Which link of a chain it was, from 0.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub link: u32,
    /// The variable, such as `ARGS:q`; a member whose name is more than a name as `ARGS:…`.
    pub at: String,
    /// A part of the value as it came, masked; `…` alone where nothing of it is shown.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub slice: String,
    /// What changed it before it was tested, in turn.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub steps: Vec<Change>,
    /// What decided, beside the rule's own words: a phrase of a list, the form of an injection.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub by: Option<String>,
}

/// What one transformation made of a value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made by one part and read by others; new members are optional")]
pub struct Change {
    /// The transformation, such as `urlDecodeUni`.
    pub how: String,
    /// A part of what came of it, masked.
    pub slice: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_none(score: &i64) -> bool {
    *score == 0
}

/// Rules of one request that are named each.
pub const FINDINGS_MAX: usize = 24;

/// Places that are named for each rule.
pub const HITS_MAX: usize = 6;

/// Bytes of a value from which a slice is made.
pub const SLICE_BYTES_MAX: usize = 48;

/// Transformations that are named for each place.
pub const STEPS_MAX: usize = 6;
