//! What a request costs in the engine, with the rules in the folder that `REEVE_CRS` names, at paranoia level 1.
//!
//! The requests are those of the comparison with nginx and ModSecurity in `benches/waf.sh`.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark may fail")]

use std::hint::black_box;
use std::path::PathBuf;

use criterion::{Criterion, criterion_group, criterion_main};
use reeve_waf::Scratch;

mod requests;

use requests::{engine, requests, transact};

fn transactions(criterion: &mut Criterion) {
    let folder = PathBuf::from(std::env::var_os("REEVE_CRS").expect("REEVE_CRS names the folder of the Core Rule Set"));
    for (prefilter, label) in [(true, ""), (false, ", every pattern")] {
        let engine = engine(&folder, prefilter);
        for sent in requests() {
            let mut scratch = Some(Scratch::default());
            let name = format!("{} ({} bytes){label}", sent.name, sent.body.len());
            criterion.bench_function(&name, |bencher| {
                bencher
                    .iter(|| scratch = Some(transact(&engine, black_box(&sent), scratch.take().unwrap_or_default())));
            });
        }
    }
}

criterion_group!(benches, transactions);
criterion_main!(benches);
