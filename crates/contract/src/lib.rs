//! What a request must look like: an OpenAPI document, compiled once, and requests held against it.
//!
//! Pure: bytes in, findings out. No socket, no file, no clock, and nothing is ever fetched for a `$ref`. A finding names a
//! place and a keyword and never a value, because values are what people typed.
//!
//! Start reading at [`Contract`]; `shape` is where a document's schemas get their meaning, `parameter` where texts become
//! values, `body` where bytes do.
//!
//! ```
//! use reeve_contract::{Asked, Contract};
//!
//! let document = b"openapi: 3.1.0\npaths:\n  /orders/{id}:\n    get:\n      parameters:\n        - {name: id, in: path, required: true, schema: {type: integer}}\n";
//! let contract = Contract::compile(document, None)?;
//! let asked = Asked { schema: true, ..Asked::default() };
//! let judge = |path: &'static str| {
//!     let uri = http::Uri::from_static(path);
//!     contract.head(asked, true, &http::Method::GET, &uri, &http::HeaderMap::new(), false)
//! };
//! assert!(judge("/orders/7").is_ok());
//! assert_eq!(judge("/orders/seven").unwrap_err().to_string(), "type at /path/id");
//! # Ok::<(), reeve_contract::ContractError>(())
//! ```
#![forbid(unsafe_code)]

mod body;
mod charset;
mod contract;
mod document;
mod finding;
mod json;
mod kind;
pub mod learn;
mod operation;
mod parameter;
mod route;
mod shape;
mod weight;

pub use body::BodyLimits;
pub use charset::head as characters_of_head;
pub use contract::{Contract, Routed, Taken, characters_of_body, is_readable, plain_body};
pub use document::{ContractError, DOCUMENT_BYTES_MAX};
pub use finding::{Answer, Asked, Aspect, Finding, keyword};
