//! Requests held against documents, and documents that cannot be used.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must say so and end")]

mod documents;
mod learn;
mod requests;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reeve_contract::{Asked, BodyLimits, Contract, Finding, Routed};

/// Everything is asked for.
pub(crate) const ALL: Asked = Asked { schema: true, types: true, formats: true };
pub(crate) const LIMITS: BodyLimits = BodyLimits { depth_max: 16, values_max: 200 };

pub(crate) fn shop() -> Contract {
    Contract::compile(include_bytes!("../documents/shop.yaml"), None).unwrap()
}

/// Judges a request as the gateway would: its head, then its body. `Ok(false)` if it is outside the document.
pub(crate) fn judge(
    contract: &Contract,
    asked: Asked,
    line: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<bool, Finding> {
    let (method, uri) = line.split_once(' ').unwrap();
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    let method: Method = method.parse().unwrap();
    let uri = uri.parse().unwrap();
    let routed = contract.head(asked, true, &method, &uri, &map, !body.is_empty())?;
    let Routed::Taken(taken) = routed else { return Ok(false) };
    if contract.wants_body(taken) {
        let kind = map.get("content-type").map(|kind| kind.to_str().unwrap()).unwrap_or_default();
        contract.body(asked, taken, kind, &Bytes::copy_from_slice(body), LIMITS)?;
    }
    Ok(true)
}
