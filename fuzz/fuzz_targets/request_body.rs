//! Requests against a document: no target, field or body panics.

#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri};
use libfuzzer_sys::fuzz_target;
use reeve_contract::{Asked, BodyLimits, Contract, Routed};

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    Contract::compile(include_bytes!("../../crates/contract/tests/documents/shop.yaml"), None).expect("the document is fit")
});

const KINDS: [&str; 4] = [
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=XX",
    "image/png",
];

fuzz_target!(|input: (u8, String, Vec<u8>)| {
    let (choice, target, body) = input;
    let asked = Asked { schema: true, types: true, formats: true };
    let limits = BodyLimits { depth_max: 32, values_max: 1_000 };
    let kind = KINDS[usize::from(choice) % KINDS.len()];
    let body = Bytes::from(body);
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static(kind));
    let method = if choice & 0x80 == 0 { Method::POST } else { Method::GET };
    for uri in [format!("/api/v1/orders?{target}"), format!("/api/v1/{target}"), String::from("/api/v1/orders")] {
        let Ok(uri) = uri.parse::<Uri>() else { continue };
        let _ = reeve_contract::characters_of_head(uri.path(), uri.query(), &headers);
        let has_body = method == Method::POST;
        if let Ok(Routed::Taken(taken)) = CONTRACT.head(asked, true, &method, &uri, &headers, has_body) {
            let _ = CONTRACT.body(asked, taken, kind, &body, limits);
        }
    }
    let _ = reeve_contract::plain_body(kind, &body, limits);
    let _ = reeve_contract::characters_of_body(kind, &body);
});
