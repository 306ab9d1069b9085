//! Requests that a document is learned from: none panics, and every one that was taken down passes under the document.

#![no_main]

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri};
use libfuzzer_sys::fuzz_target;
use reeve_contract::learn::{Carried, Discretion, Notes, Sample};
use reeve_contract::{Asked, BodyLimits, Contract, Routed};

const KINDS: [&str; 4] = [
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=XX",
    "image/png",
];

const DISCRETION: Discretion = Discretion { is_secret: |text| text.len() > 30, announces: |segment| segment == "reset" };

fuzz_target!(|input: Vec<(u8, String, Vec<u8>)>| {
    let mut notes = Notes::new([7; 16]);
    let mut taken = Vec::new();
    for (choice, target, body) in input.into_iter().take(16) {
        let Ok(uri) = format!("/{target}").parse::<Uri>() else { continue };
        let method = if choice & 0x80 == 0 { Method::POST } else { Method::GET };
        let (kind, body) = (KINDS[usize::from(choice) % KINDS.len()], Bytes::from(body));
        let sample = Sample {
            method: &method,
            path: uri.path(),
            query: uri.query(),
            content_type: Some(kind),
            body: if body.is_empty() { Carried::Nothing } else { Carried::Whole(&body) },
            status: 200,
            client: IpAddr::from([192, 0, 2, choice % 4]),
        };
        if notes.take(&sample, &DISCRETION).is_ok() {
            taken.push((method, uri, kind, body));
        }
    }
    let again = Notes::taken_up(&notes.kept(), [8; 16]).expect("what was kept is taken up");
    for notes in [notes, again] {
        let Some(proposal) = notes.propose("Learned", &[]) else { return };
        let contract = Contract::compile(proposal.yaml().as_bytes(), None).expect("the document is fit");
        let asked = Asked { schema: true, types: true, formats: true };
        let limits = BodyLimits { depth_max: 100, values_max: 100_000 };
        for (method, uri, kind, body) in &taken {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", HeaderValue::from_static(kind));
            let routed = contract.head(asked, true, method, uri, &headers, !body.is_empty());
            let Routed::Taken(operation) = routed.expect("the head passes") else { panic!("outside the document") };
            contract.body(asked, operation, kind, body, limits).expect("the body passes");
        }
    }
});
