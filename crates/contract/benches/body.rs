//! What it costs to hold a JSON body of 2 KB, and the head before it, to a document.
#![expect(clippy::unwrap_used, reason = "a benchmark may fail")]

use std::hint::black_box;
use std::net::IpAddr;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, Method, Uri};
use reeve_contract::learn::{Carried, Discretion, Notes, Sample};
use reeve_contract::{Asked, BodyLimits, Contract, Routed};

fn validation(criterion: &mut Criterion) {
    let contract = Contract::compile(include_bytes!("../tests/documents/shop.yaml"), None).unwrap();
    let asked = Asked { schema: true, types: true, formats: true };
    let limits = BodyLimits { depth_max: 32, values_max: 10_000 };
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    let uri = Uri::from_static("/api/v1/orders");
    let lines: Vec<_> = (0..66).map(|number| format!("{{\"name\":\"line {number}\",\"parts\":[]}}")).collect();
    let text =
        format!("{{\"item\":\"lamp\",\"quantity\":2,\"mail\":\"a@example.com\",\"lines\":[{}]}}", lines.join(","));
    let body = Bytes::from(text);
    let Routed::Taken(taken) = contract.head(asked, true, &Method::POST, &uri, &headers, true).unwrap() else { return };
    let query = Uri::from_static("/api/v1/orders?limit=10&since=2026-11-22&tag=a");
    criterion.bench_function("head", |bencher| {
        bencher.iter(|| contract.head(asked, true, &Method::GET, black_box(&query), &headers, false).is_ok());
    });
    let mut group = criterion.benchmark_group("body");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("json", |bencher| {
        bencher.iter(|| contract.body(asked, taken, "application/json", black_box(&body), limits).is_ok());
    });
    group.finish();
}

/// What it costs to take a request down, for the thread that does: by it hangs how many are taken down in a second.
fn learning(criterion: &mut Criterion) {
    let discretion = Discretion { is_secret: |_| false, announces: |_| false };
    let lines: Vec<_> = (0..66).map(|number| format!("{{\"name\":\"line {number}\",\"parts\":[]}}")).collect();
    let body = Bytes::from(format!("{{\"item\":\"lamp\",\"mail\":\"a@example.com\",\"lines\":[{}]}}", lines.join(",")));
    let mut notes = Notes::new([0; 16]);
    let sample = |method, carried| Sample {
        method,
        path: "/api/v1/orders/7",
        query: Some("limit=10&since=2026-11-22&tag=a"),
        content_type: Some("application/json"),
        body: carried,
        status: 200,
        client: IpAddr::from([192, 0, 2, 1]),
    };
    let (get, post) = (Method::GET, Method::POST);
    let mut group = criterion.benchmark_group("learn");
    group.bench_function("head", |bencher| {
        bencher.iter(|| notes.take(black_box(&sample(&get, Carried::Nothing)), &discretion).is_ok());
    });
    group.bench_function("json", |bencher| {
        bencher.iter(|| notes.take(black_box(&sample(&post, Carried::Whole(&body))), &discretion).is_ok());
    });
    group.finish();
}

criterion_group!(benches, validation, learning);
criterion_main!(benches);
