//! The seam between a limit on rates and what several nodes count it in together.

use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::time::Duration;

/// Counts requests against limits for several nodes at once. Redis, behind `store`, is one.
pub trait SharedRates: Send + Sync {
    /// How the nodes stand to each other now. Costs no more than a look, because every request asks.
    fn nodes(&self) -> Nodes;

    /// Counts one request against each of these limits, in their order and up to the first that refuses it. All of it is
    /// one step: of two nodes that count at once, one sees the other. What comes back is how each stands after it.
    ///
    /// # Errors
    /// When the count is not known, within a time that a request can wait: from then on the nodes stand
    /// [apart](Nodes::Apart) until they find together again by themselves.
    fn spend<'a>(&'a self, spends: &'a [Spend<'a>]) -> Spending<'a>;
}

/// A count under way.
pub type Spending<'a> = Pin<Box<dyn Future<Output = Result<Vec<Spent>, Lone>> + Send + 'a>>;

/// How nodes stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "they count together or they do not")]
pub enum Nodes {
    /// They count in one place.
    Together,
    /// Each counts for itself, its share of the limit: one of so many.
    Apart {
        /// How many nodes there were, as far as this one knows.
        nodes: NonZeroU32,
    },
}

/// One request against one limit (generic cell rate algorithm, ITU-T I.371).
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "whoever counts states all of it")]
pub struct Spend<'a> {
    /// Which limit: `ip`, `user:/login`.
    pub limit: &'a str,
    /// Whose request. Told to nobody: only a keyed hash of it leaves the process.
    pub subject: &'a [u8],
    /// The time between two requests at the rate that may be kept up.
    pub interval: Duration,
    /// How far ahead of that rate a subject may be.
    pub tolerance: Duration,
    /// How far ahead it is as this node knows: what others have forgotten is taken from here.
    pub ahead: Duration,
}

/// What came of one count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a request passes a limit or it does not")]
pub enum Spent {
    /// It passes; with it, the subject is so far ahead of its rate.
    Passed(Duration),
    /// It is refused and was not counted; the subject is so far ahead.
    Refused(Duration),
}

/// The nodes' common count is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the nodes' common count is not known")]
#[expect(clippy::exhaustive_structs, reason = "there is nothing more to say; why, the status tells")]
pub struct Lone;
