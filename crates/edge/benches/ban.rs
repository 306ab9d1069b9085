//! What a look into the ban table costs, with nothing in it and with 100,000 entries.
#![expect(clippy::unwrap_used, reason = "a benchmark may fail")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use reeve_base::{Clock, SystemClock};
use reeve_edge::{Ban, Bans};

/// 95,000 single IPv4 addresses, 4,000 IPv6 /64 and 1,000 networks of three lengths.
fn full() -> Bans {
    let bans = empty();
    let now = "2026-11-21T10:00:00Z".parse().unwrap();
    let ones = (0..95_000).map(|number| format!("{}/32", four(number)));
    let sixes = (0..4_000_u32).map(|number| format!("2001:db8:{:x}:{:x}::/64", number >> 8, number & 0xff));
    let networks = (0..1_000_u32).map(|number| match number % 3 {
        0 => format!("100.{}.{}.0/24", number >> 8, number & 0xff),
        1 => format!("101.{}.{}.0/28", number >> 8, number & 0xff),
        _ => format!("2001:db9:{number:x}::/48"),
    });
    let all = ones.chain(sixes).chain(networks).map(|network| Ban {
        network: network.parse().unwrap(),
        since: now,
        until: None,
        reason: String::new(),
        by: String::from("bench"),
        automatic: false,
        times: 1,
    });
    assert_eq!(bans.restore(all), 100_000);
    bans
}

fn empty() -> Bans {
    Bans::new(Arc::new(SystemClock::new()))
}

/// Spread over the address space, never in 100.0.0.0/8 or 101.0.0.0/8.
fn four(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x2000_0000 + number.wrapping_mul(2_654_435_761) % 0x4000_0000)
}

fn look_ups(criterion: &mut Criterion) {
    let (none, full) = (empty(), full());
    let stride = 7_919;
    let mut measure = |name: &str, bans: &Bans, address: &dyn Fn(u32) -> IpAddr| {
        let addresses: Vec<IpAddr> = (0..65_536).map(|number| address(number * stride % 95_000)).collect();
        let mut turn = addresses.iter().cycle();
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| bans.refuses(black_box(*turn.next().unwrap())));
        });
    };
    measure("no bans", &none, &|number| four(number).into());
    measure("100,000 bans, IPv4 not banned", &full, &|number| {
        IpAddr::from(Ipv4Addr::from(u32::from(four(number)) ^ 0x8000_0000))
    });
    measure("100,000 bans, IPv4 banned", &full, &|number| four(number).into());
    measure("100,000 bans, IPv6 not banned", &full, &|number| {
        IpAddr::from(Ipv6Addr::from(0x2001_0dc0_u128 << 96 | u128::from(number) << 64 | 1))
    });
    measure("100,000 bans, in a banned network", &full, &|number| {
        IpAddr::from(Ipv4Addr::from(0x6400_0007 | (number % 128 * 3) << 8))
    });
}

/// What a refusal pays beside the look-up: whether the ban is over.
fn clock(criterion: &mut Criterion) {
    let clock = SystemClock::new();
    criterion.bench_function("reading the clock", |bencher| bencher.iter(|| clock.ticks()));
}

fn changes(criterion: &mut Criterion) {
    let full = full();
    let mut number = 0_u32;
    criterion.bench_function("100,000 bans, one made and lifted", |bencher| {
        bencher.iter(|| {
            number = (number + 1) % 60_000;
            let network = IpAddr::from(Ipv4Addr::from(0xC100_0000 | number)).into();
            full.add(network, Some(Duration::from_secs(60)), "bench", "bench").unwrap();
            full.lift(network).unwrap();
            full.take_changes();
        });
    });
}

criterion_group!(benches, look_ups, clock, changes);
criterion_main!(benches);
