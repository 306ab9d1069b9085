//! The engine from outside.

mod conformance;
mod corpus;
mod folder;
