//! Rules of our own, for where no other rule set is named.
//!
//! A text in SecLang as any other: it is loaded by the name that the caller's [`Source`](crate::Source) gives it. What
//! it covers and what it does not is told in `docs/guide/waf.md`.

/// The rules. They need no other file, turn the engine on, and score as the Core Rule Set does: settings such as
/// `tx.blocking_paranoia_level` or `tx.inbound_anomaly_score_threshold` that are to hold must be set by a file before
/// them. The ids are from 9,700,000 to 9,709,999.
pub const OWN_RULES: &str = include_str!("../rules/reeve.conf");

/// When the rules were last changed, as year-month-day, and a count where a day has more than one.
pub const OWN_RULES_VERSION: &str = "2026-11-22";
