//! What the limits on rates cost a request: counted by address, by user, by key, and by all three with a route.
#![expect(clippy::unwrap_used, reason = "a benchmark may fail")]

use std::cell::Cell;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue};
use reeve_base::{Clock, Rate, SystemClock, Ticks};
use reeve_edge::{Allowance, Asked, RateRules, Rates, Session};
use reeve_policy::catalogue::{Control, Controls, RateHeader, RateIp, RateUser, RouteRate, UrlPath};

/// More subjects than the tables have places, so that most counts find a full set.
const SUBJECTS: u32 = 200_000;

fn rules(controls: &[Control]) -> RateRules {
    let mut all = Controls::default();
    controls.iter().for_each(|control| all.demand(control));
    let session = Session { cookie: Some(String::from("session")), bearer: false };
    RateRules::new(&all, &session).unwrap()
}

fn heads() -> Vec<HeaderMap> {
    let head = |number: u32| {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("www.example.com"));
        headers.insert("user-agent", HeaderValue::from_static("Mozilla/5.0 (X11; Linux x86_64; rv:140.0)"));
        headers.insert("cookie", HeaderValue::from_str(&format!("theme=dark; session={number:032x}; seen=1")).unwrap());
        headers.insert("x-api-key", HeaderValue::from_str(&format!("key-{number:032x}")).unwrap());
        headers
    };
    (0..SUBJECTS).map(head).collect()
}

fn counts(criterion: &mut Criterion) {
    let heads = heads();
    let clock = SystemClock::new();
    let (rate, burst) = (Rate::per_minute(60_000), 1_000);
    let routes: Vec<_> = ["/login", "/api/orders", "/api/reports", "/search"]
        .map(|path| RouteRate { path: UrlPath::from(path), rate, burst })
        .to_vec();
    let ip = |routes| Control::RateIp(RateIp { rate, burst, routes });
    let user = |routes| Control::RateUser(RateUser { rate, burst, routes });
    let key = |routes| Control::RateHeader(RateHeader { rate, burst, routes, ..RateHeader::default() });
    let mut measure = |name: &str, controls: &[Control], subjects: u32| {
        let (rates, rules) = (Rates::default(), rules(controls));
        let mut number = 0_u32;
        let mut count = |now: Ticks| {
            number = (number + 7_919) % subjects;
            let headers = heads.get(usize::try_from(number).unwrap()).unwrap();
            let address = IpAddr::from(Ipv4Addr::from(number.wrapping_mul(2_654_435_761)));
            let allowance = Cell::new(Allowance::default());
            let asked = Asked { headers, path: "/api/orders/17", address };
            black_box(rates.count(&rules, black_box(asked), now, &allowance)).is_ok()
        };
        let mut now = clock.ticks();
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                now.0 += 1_000;
                count(now)
            });
        });
    };
    measure("no limit", &[], SUBJECTS);
    measure("by address, 1,000 of them", &[ip(Vec::new())], 1_000);
    measure("by address, 200,000 of them", &[ip(Vec::new())], SUBJECTS);
    measure("by user, 1,000 of them", &[user(Vec::new())], 1_000);
    measure("by user, 200,000 of them", &[user(Vec::new())], SUBJECTS);
    measure("by key, 1,000 of them", &[key(Vec::new())], 1_000);
    measure(
        "by address, key and user, each with a route, 1,000 of them",
        &[ip(routes.clone()), key(routes.clone()), user(routes)],
        1_000,
    );
}

/// What is told to the client.
fn announcements(criterion: &mut Criterion) {
    let rules = rules(&[Control::RateIp(RateIp::default())]);
    let (rates, allowance, headers) = (Rates::default(), Cell::new(Allowance::default()), HeaderMap::new());
    let asked = Asked { headers: &headers, path: "/", address: IpAddr::from([192, 0, 2, 1]) };
    rates.count(&rules, asked, Ticks(1), &allowance).unwrap();
    let mut answer = HeaderMap::with_capacity(16);
    criterion.bench_function("telling the client", |bencher| {
        bencher.iter(|| {
            answer.clear();
            allowance.get().announce(&rules, &mut answer);
        });
    });
}

criterion_group!(benches, counts, announcements);
criterion_main!(benches);
