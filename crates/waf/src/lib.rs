//! The engine that runs SecLang rules, such as the OWASP Core Rule Set, over requests and answers.
//!
//! Pure: bytes in, findings out. No socket, no clock, no file beyond what a given [`Source`] reads.
#![forbid(unsafe_code)]

mod arena;
pub mod attacks;
mod base_rules;
mod book;
mod byte_set;
mod collections;
mod engine;
mod evidence;
mod exclusion;
mod fill;
#[cfg(test)]
mod generated;
mod hash;
mod injection;
mod kind;
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
mod work;

pub use base_rules::BASE_RULES;
pub use book::{Book, Described, Looks};
pub use engine::{Engine, Options};
pub use evidence::Evidence;
pub use exclusion::{Exclusion, ExclusionError, Part};
pub use kind::RuleKind;
pub use operator::Reason;
pub use own::{OWN_RULES, OWN_RULES_VERSION};
pub use rule::{EngineMode, Phase, Place, Severity};
pub use seclang::{Fault, Source, SourceError};
pub use transaction::{Action, Facts, Match, Paused, Refusal, Report, RequestHead, ResponseHead, Scratch, Transaction};
