//! Probes over the wire that judge a site from outside, by a written policy.
//!
//! Invariants: this crate shares nothing with any part that enforces a control beside the policy itself; it reads no
//! settings of what it judges; there is no default verdict. A probe says `kept` only with a [positive
//! twin](judge#twins) in hand: that the allowed thing passed, so that an outage never looks like enforcement.
//!
//! ```no_run
//! # async fn example(policy: reeve_policy::Policy) -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use reeve_base::{SystemClock, SystemEntropy};
//! use reeve_prove::{Options, Target, judge};
//!
//! let target = Target::resolve("https://example.com", None).await?;
//! let options = Options::new(&target, Arc::new(SystemClock::new()), Arc::new(SystemEntropy));
//! let report = judge(&policy, &target, &options, &|_| {}).await;
//! println!("{}", report.counts());
//! # Ok(())
//! # }
//! ```
//!
//! Start reading at [`judge`], then the table of probes in `probe.rs`.

#![forbid(unsafe_code)]

mod hello;
mod house;
mod look;
mod options;
mod plan;
mod probe;
mod report;
mod runner;
mod target;
mod tlog;
mod wire;

pub use house::House;
pub use look::look;
pub use options::Options;
pub use plan::{PlannedStep, plan};
pub use probe::ruleset_digest;
pub use report::{Counts, PolicyHead, Report, Row, RowException};
pub use runner::{Progress, judge};
pub use target::{Target, TargetError, Trust};
