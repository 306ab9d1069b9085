//! The words that every other crate of Reeve speaks.
//!
//! Ids, the injected [`Clock`] and [`Entropy`], [`Secret`], quantities as people write them ([`Period`], [`Size`],
//! [`Rate`]), [`Diagnostic`] for faults in a text someone wrote, [`Event`] for what happened, [`Verdict`] and
//! [`Evidence`] for what a probe saw, and the reader of the TOML documents that people hand us ([`document`]).
//!
//! Invariants: no I/O beside [`SystemClock`] and [`SystemEntropy`], no knowledge of any control, and nothing
//! that waits: a seam may return a future, and runs none.
//!
//! ```
//! use reeve_base::{Period, Size};
//!
//! let window: Period = "15m".parse().unwrap();
//! assert_eq!(window.english(), "15 minutes");
//! let body: Size = "1 MiB".parse().unwrap();
//! assert_eq!(body.bytes(), 1_048_576);
//! ```
//!
//! Start reading at [`quantity`] for the values and at [`verdict`] for what a judgement may say.

mod actuator;
pub mod diagnostic;
pub mod document;
mod entropy;
mod event;
mod evidence;
pub mod finding;
mod id;
pub mod limit;
pub mod quantity;
mod recorder;
mod seal;
mod secret;
mod shared_rates;
mod time;
pub mod verdict;

pub use actuator::Actuator;
pub use diagnostic::{Diagnostic, Severity, Source, Span};
pub use entropy::{Entropy, EntropyError, SystemEntropy};
pub use event::{Event, Outcome};
pub use evidence::Evidence;
pub use finding::Findings;
pub use id::{ClauseId, ControlName, DecisionId, EventId, EventIds, NoEventId, ProbeName};
pub use quantity::{Period, Rate, Size};
pub use recorder::{RECORD_BYTES_MAX, Recorder, Trail};
pub use seal::{Purpose, SealError, Sealer};
pub use secret::Secret;
pub use shared_rates::{Lone, Nodes, SharedRates, Spend, Spending, Spent};
pub use time::{Clock, SystemClock, Ticks, Timestamp};
pub use verdict::{Cause, Verdict};
