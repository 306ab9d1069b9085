//! The vault as its users have it: folders, seal files, passphrases, and what is found on the disk afterwards.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on must say so and end")]

mod place;
mod remains;
mod seals;
mod values;
