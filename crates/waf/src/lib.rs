//! The engine that runs SecLang rules, such as the OWASP Core Rule Set, over requests and answers.
//!
//! Pure: bytes in, findings out. No socket, no clock, no file beyond what a given [`Source`] reads.
#![forbid(unsafe_code)]

mod arena;
mod base_rules;
mod byte_set;
mod collections;
mod engine;
mod fill;
mod hash;
mod injection;
mod memory;
mod need;
mod operator;
mod own;
mod pattern;
mod program;
mod request_body;
mod rule;
mod run;
mod scan;
mod seclang;
pub mod selftest;
mod store;
mod transaction;
mod transformation;
pub mod trial;
mod values;
mod variable;

pub use base_rules::BASE_RULES;
pub use engine::{Engine, Options};
pub use own::{OWN_RULES, OWN_RULES_VERSION};
pub use rule::{EngineMode, Phase, Place, Severity};
pub use seclang::{Fault, Source, SourceError};
pub use transaction::{Action, Facts, Match, Paused, Refusal, Report, RequestHead, ResponseHead, Scratch, Transaction};
