//! What happened, as everything in Reeve reports it.

use std::borrow::Cow;

use serde::Serialize;

use crate::{EventId, Findings, Timestamp};

/// One thing that happened: who did what, on what, and how it ended.
///
/// There is no field for a body, a header value or a secret, so none can end up in one; of what rules found there is a
/// slice of a few bytes, masked ([`Findings`]). Names follow OCSF 1.3 (HTTP
/// Activity, class 4002) where it has them.
#[derive(Debug, Clone, Serialize)]
pub struct Event<'e> {
    /// When it happened.
    pub time: Timestamp,
    /// The number of the event; a refused client is shown the same one.
    pub id: EventId,
    /// What kind of thing it was: `http.request`, `tls.handshake`, `system.config`.
    pub activity: &'static str,
    /// Who: a network address, later also a subject.
    pub actor: Cow<'e, str>,
    /// What was asked: a method, a verb.
    pub action: Cow<'e, str>,
    /// On what: a path without the values of its query, a file.
    pub object: Cow<'e, str>,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome<'e>,
    /// The HTTP status that was sent, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How long it took, in microseconds, where somebody waited for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// The fingerprint of the client's TLS handshake (JA4), where it came over one of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ja4: Option<&'e str>,
    /// The fingerprint of the order of the request's header fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_order: Option<&'e str>,
    /// What rules found, where a control runs any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<&'e Findings>,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome<'e> {
    /// It was let through.
    Allowed,
    /// It was let through, although a control found what it refuses elsewhere.
    Detected {
        /// The control: `waf.attack_set`.
        control: &'static str,
        /// What it found, for the operator.
        cause: Cow<'e, str>,
    },
    /// A control refused it.
    Refused {
        /// The control: `rate.ip`, `input.size`.
        control: &'static str,
        /// The cause, for the operator; the client never sees it.
        cause: Cow<'e, str>,
    },
    /// It could not be carried out.
    Failed {
        /// The part that failed.
        part: &'static str,
        /// The cause, for the operator.
        cause: Cow<'e, str>,
    },
}
