//! The newest verdict of each clause, as the store keeps it.

use reeve_base::Timestamp;
use reeve_store::{Lookup, Record};
use serde::{Deserialize, Serialize};

/// What a probe said last of a clause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VerdictRecord {
    /// The clause.
    pub(crate) clause: String,
    /// Its control.
    pub(crate) control: String,
    /// `kept`, `broken`, …
    pub(crate) verdict: String,
    /// What was seen, in a sentence.
    pub(crate) seen: String,
    /// When it was recorded.
    pub(crate) time: Timestamp,
    /// The entry of the ledger that holds the evidence.
    pub(crate) seq: u64,
}

impl Record for VerdictRecord {
    const COLLECTION: &'static str = "verdicts";
    const SCHEMA: u16 = 1;

    fn lookups(&self) -> Vec<Lookup> {
        Vec::new()
    }
}
