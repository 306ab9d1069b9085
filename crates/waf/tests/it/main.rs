//! The engine from outside.

mod conformance;
mod folder;
