//! Tests of rules: reads them, sends them through an engine, and judges what it finds.
//!
//! The tests are those of the Core Rule Set (FTW, schema 2): YAML files with requests, byte for byte as they are to go
//! over the wire, and the ids of the rules that must and must not speak. Nothing is sent here. The bytes of a request
//! are taken apart by a server that accepts whatever can be taken apart, and what no server would accept ends with
//! status 400 before any rule sees it (`stage`).
//!
//! ```
//! use reeve_waf::trial;
//!
//! let text = "
//! rule_id: 100
//! tests:
//!   - test_id: 1
//!     stages:
//!       - input: { uri: /?q=x }
//!         output: { log: { expect_ids: [100] } }
//! ";
//! let file = trial::read(text.as_bytes())?;
//! assert_eq!(file.trials.len(), 1);
//! # Ok::<(), reeve_waf::trial::Unreadable>(())
//! ```

mod application;
mod carrier;
mod judge;
mod overrides;
mod replay;
mod request;
mod setup;
mod stage;
mod template;
mod text;
mod wire;

pub use carrier::{Carrier, Heard, run_over};
pub use judge::{Expected, Found, Unmet};
pub use overrides::Overrides;
pub use replay::{Replayed, replay};
pub use setup::{BASE, own_rules, setup};
pub use stage::{Bench, Outcome, Staged, run};
pub use text::{File, Trial, Unreadable, read};
pub use wire::{Received, Refused, answer_is_whole, take_apart};

#[cfg(test)]
mod tests;
