//! The seam between what sees requests and what keeps the record of them.

/// Keeps what a gateway saw happen. The ledger is behind one.
pub trait Recorder: Send + Sync {
    /// Whether events of this trail are to be handed over at all.
    fn takes(&self, trail: Trail) -> bool;

    /// Takes events, one JSON object to a line, at most [`RECORD_BYTES_MAX`]. Never waits.
    ///
    /// # Errors
    /// Gives the lines back when there is no room for them now; whoever hands them over keeps what it can and tries
    /// again.
    fn take(&self, trail: Trail, lines: Vec<u8>) -> Result<(), Vec<u8>>;

    /// Whether requests must be refused because what they do cannot be recorded.
    fn must_refuse(&self) -> bool;
}

/// Which record an event belongs to: each is kept for a time of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "each trail has its own retention")]
pub enum Trail {
    /// Requests that were let through.
    Requests,
    /// What a control refused.
    Security,
}

/// The most bytes of one hand-over.
pub const RECORD_BYTES_MAX: usize = 256 * 1024;
