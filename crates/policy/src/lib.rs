//! The policy language: the text that a company signs, read into clauses with typed parameters.
//!
//! From one clause come three things: the parameters that an enforcer is set to, the expectation that a probe judges
//! by, and the sentence that is published. This crate makes the clause; it enforces and probes nothing.
//!
//! Invariants: no I/O and no clock (today's date is an argument); a [`Policy`] exists only if its text had no error;
//! all faults of a text are reported in one run.
//!
//! ```
//! let text = br#"
//! schema = "reeve.policy/1"
//! [policy]
//! title = "Security policy"
//! company = "Example Ltd"
//! version = "1"
//! owner = "cto@example.com"
//! review = { every = "12 months", last = 2026-11-01, approvers = 1 }
//! [section.transport]
//! title = "Transport"
//! [clause.tls]
//! section = "transport"
//! text = "We accept {min} or newer."
//! control = "tls.floor"
//! with = { min = "1.3" }
//! severity = "high"
//! "#;
//! let today = "2026-11-21".parse().unwrap();
//! let checked = reeve_policy::check("policy.toml", text, today);
//! let policy = checked.policy.unwrap();
//! assert_eq!(policy.clauses[0].sentence, "We accept TLS 1.3 or newer.");
//! ```
//!
//! Start reading at [`Policy`], then [`catalogue`].

pub mod catalogue;
mod contradiction;
mod difference;
mod model;
mod read;
mod schema;
mod sentence;

pub use difference::{Change, Tightness, difference};
pub use model::{
    Attestation, Clause, ClauseSeverity, Exception, Hold, NotApplicable, Policy, Review, Section, Undetermined,
};
pub use read::{Checked, check};
pub use schema::json_schema;
