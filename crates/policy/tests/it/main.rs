//! The policy language, tried on whole files.

mod reference;
