//! The bounds that are not a policy's business: each has a name, a unit and a reason.

/// The largest document (policy, settings) that is read, in bytes. The 385 clauses of the five reference policies
/// together are under 256 KiB; a file past this is not a policy.
pub const DOCUMENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The most faults of one document that are listed; past it the rest is counted.
pub const DIAGNOSTICS_MAX: usize = 200;

/// The most clauses in one policy.
pub const CLAUSES_MAX: usize = 5_000;

/// The longest text of a clause, in bytes.
pub const CLAUSE_TEXT_BYTES_MAX: usize = 2_000;
