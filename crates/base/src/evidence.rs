//! What a probe saw, in the form that is kept.

use serde::Serialize;

use crate::{ClauseId, ControlName, ProbeName, Timestamp, Verdict};

/// One run of one probe for one clause.
///
/// `parameters_digest` binds the verdict to the values it was judged by, so that a loosened parameter cannot repaint
/// the past; `seen_digest` is over the canonical text of everything observed.
#[derive(Debug, Clone, Serialize)]
pub struct Evidence {
    /// The clause that was judged.
    pub clause: ClauseId,
    /// Its control.
    pub control: ControlName,
    /// The probe that ran, if one did.
    pub probe: Option<ProbeName>,
    /// What was judged: a URL or an address with port.
    pub target: String,
    /// When the first byte was sent.
    pub period_from: Timestamp,
    /// When the last answer was read.
    pub period_to: Timestamp,
    /// SHA-256 of the parameters in canonical form, in hexadecimal.
    pub parameters_digest: String,
    /// What was seen, in a sentence.
    pub seen: String,
    /// Each observation, as it was made.
    pub observations: Vec<String>,
    /// SHA-256 over the observations, one to a line, in hexadecimal.
    pub seen_digest: String,
    /// The judgement.
    pub verdict: Verdict,
}
