use std::sync::atomic::AtomicI64;

use http::StatusCode;
use reeve_base::Period;
use reeve_policy::catalogue::{BanHttp, Control};

use super::*;

/// Clocks that stand until they are moved; the wall clock apart from the steady one.
#[derive(Default)]
struct Hands {
    steady_s: AtomicU64,
    wall_s: AtomicI64,
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + self.wall_s.load(Ordering::Relaxed)).unwrap()
    }

    fn ticks(&self) -> Ticks {
        Ticks((1_000 + self.steady_s.load(Ordering::Relaxed)) * 1_000_000_000)
    }
}

impl Hands {
    fn pass(&self, seconds: u64) {
        self.steady_s.fetch_add(seconds, Ordering::Relaxed);
        self.wall_s.fetch_add(i64::try_from(seconds).unwrap(), Ordering::Relaxed);
    }

    fn jump(&self, seconds: i64) {
        self.wall_s.fetch_add(seconds, Ordering::Relaxed);
    }
}

fn house() -> (Arc<Hands>, Bans) {
    let hands = Arc::new(Hands::default());
    let bans = Bans::new(Arc::clone(&hands) as Arc<dyn Clock>);
    bans.follow(&controls(3, 60));
    (hands, bans)
}

/// Three hits within ten minutes are a ban of a minute, at most five.
fn controls(hits: u16, seconds: u64) -> Controls {
    let mut controls = Controls::default();
    let (ban, longest) = (Period::seconds(seconds), Period::minutes(5));
    controls.demand(&Control::BanHttp(BanHttp { hits, ban, longest, ..BanHttp::default() }));
    controls
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn net(text: &str) -> IpNet {
    parse_network(text).unwrap()
}

fn hit(bans: &Bans, address: &str, times: u32) {
    for _ in 0..times {
        bans.notice(ip(address), Seen { path: Some("/.env"), status: StatusCode::NOT_FOUND, refusal: None });
    }
}

#[test]
fn enough_hits_are_a_ban_that_ends_on_time_to_the_second() {
    let (hands, bans) = house();
    hit(&bans, "192.0.2.1", 2);
    assert!(!bans.refuses(ip("192.0.2.1")));
    hit(&bans, "192.0.2.1", 1);
    assert!(bans.refuses(ip("192.0.2.1")) && !bans.refuses(ip("192.0.2.2")));
    hands.pass(59);
    assert!(bans.refuses(ip("192.0.2.1")));
    hands.pass(1);
    assert!(!bans.refuses(ip("192.0.2.1")), "also before anybody swept");
    bans.sweep();
    let (changes, lost) = bans.take_changes();
    assert!(matches!(&changes[..], [Change::Made(made), Change::Ended(ended, Ending::Expired)]
        if made == ended && made.by == "ban.http" && made.automatic));
    assert_eq!((lost, bans.count()), (0, 0));
}

#[test]
fn a_repeat_is_twice_as_long_up_to_the_cap_until_it_is_forgotten() {
    let (hands, bans) = house();
    for (times, minutes) in [(1, 1), (2, 2), (3, 4), (4, 5), (5, 5)] {
        hit(&bans, "192.0.2.1", 3);
        let ban = bans.list().pop().unwrap();
        let length = ban.until.unwrap().duration_since(ban.since).as_secs();
        assert_eq!((ban.times, length), (times, minutes * 60));
        hands.pass(301);
        bans.sweep();
    }
    hands.pass(MEMORY.as_secs());
    bans.sweep();
    hit(&bans, "192.0.2.1", 3);
    assert_eq!(bans.list().pop().unwrap().times, 1);
    assert!(bans.take_changes().0.contains(&Change::Forgotten(net("192.0.2.1"))));
}

#[test]
fn a_clock_that_jumps_neither_lifts_a_ban_nor_prolongs_it() {
    let (hands, bans) = house();
    hit(&bans, "192.0.2.1", 3);
    for jump in [100_000, -500_000] {
        hands.jump(jump);
        bans.sweep();
        assert!(bans.refuses(ip("192.0.2.1")));
    }
    hands.pass(60);
    assert!(!bans.refuses(ip("192.0.2.1")));
}

#[test]
fn what_a_banned_address_does_is_not_counted() {
    let (hands, bans) = house();
    hit(&bans, "192.0.2.1", 3);
    hit(&bans, "192.0.2.1", 100);
    let refusal = crate::Refusal::Banned;
    let seen = Seen { path: Some("/.env"), status: StatusCode::FORBIDDEN, refusal: Some(&refusal) };
    (0..100).for_each(|_| bans.notice(ip("192.0.2.1"), seen));
    hands.pass(60);
    hit(&bans, "192.0.2.1", 2);
    assert!(!bans.refuses(ip("192.0.2.1")));
}

#[test]
fn six_means_its_64_and_mapped_four_is_four() {
    let (_, bans) = house();
    hit(&bans, "2001:db8::1", 1);
    hit(&bans, "2001:db8::ffff:1", 2);
    assert!(bans.refuses(ip("2001:db8::42")) && !bans.refuses(ip("2001:db8:0:1::1")));
    hit(&bans, "::ffff:192.0.2.1", 3);
    assert!(bans.refuses(ip("192.0.2.1")) && bans.refuses(ip("::ffff:192.0.2.1")));
}

#[test]
fn the_exempt_are_neither_counted_nor_banned_nor_refused() {
    let (_, bans) = house();
    bans.exempt(vec![net("192.0.2.0/28"), net("2001:db8::/32")]);
    hit(&bans, "192.0.2.1", 10);
    hit(&bans, "127.0.0.1", 10);
    hit(&bans, "::1", 10);
    hit(&bans, "2001:db8::1", 10);
    assert_eq!(bans.count(), 0);
    assert!(matches!(bans.add(net("192.0.2.1"), None, "", ""), Err(BanError::Exempt { .. })));
    // A wider network may be banned; those inside it that are exempt are let through.
    bans.add(net("192.0.2.0/24"), None, "all of them", "uid:0").unwrap();
    assert!(bans.refuses(ip("192.0.2.16")) && !bans.refuses(ip("192.0.2.15")));
    // What was counted before does not come back when the list changes.
    bans.exempt(Vec::new());
    assert!(bans.refuses(ip("192.0.2.1")));
}

#[test]
fn an_address_that_becomes_exempt_is_let_go_and_its_ban_does_not_come_back() {
    let (_, bans) = house();
    hit(&bans, "192.0.2.1", 3);
    let kept = bans.list();
    bans.exempt(vec![net("192.0.2.1")]);
    assert!(!bans.refuses(ip("192.0.2.1")));
    assert!(matches!(bans.take_changes().0.last(), Some(Change::Ended(_, Ending::Exempt))));
    assert_eq!(bans.restore(kept), 0);
}

#[test]
fn loopback_can_be_banned_only_as_a_canary_and_only_for_a_while() {
    let (hands, bans) = house();
    let canary = ip("127.100.1.2");
    hit(&bans, "127.100.1.2", 3);
    assert!(!bans.refuses(canary));
    let now = hands.ticks();
    for wrong in ["127.0.0.1", "192.0.2.1", "::1"] {
        assert!(bans.canaries().add(ip(wrong), now).is_err(), "{wrong}");
    }
    bans.canaries().add(canary, now).unwrap();
    hit(&bans, "127.100.1.2", 3);
    hit(&bans, "127.100.1.3", 3);
    assert!(bans.refuses(canary) && !bans.refuses(ip("127.100.1.3")));
    bans.lift(net("127.100.1.2")).unwrap();
    bans.add(net("127.100.1.2"), None, "", "").unwrap();
    hands.pass(CANARY_TIME.as_secs());
    assert!(!bans.refuses(canary), "however long the ban was");
}

#[test]
fn a_lifted_ban_is_not_made_again_for_a_while_but_a_person_may() {
    let (hands, bans) = house();
    hit(&bans, "192.0.2.1", 3);
    hit(&bans, "192.0.2.9", 2);
    bans.add(net("192.0.2.0/24"), None, "", "uid:0").unwrap();
    assert!(bans.lift(net("192.0.2.0/24")).is_some() && bans.lift(net("192.0.2.0/24")).is_none());
    bans.lift(net("192.0.2.1")).unwrap();
    hit(&bans, "192.0.2.1", 10);
    hit(&bans, "192.0.2.9", 10);
    assert_eq!(bans.count(), 0, "the whole network is in grace");
    bans.add(net("192.0.2.1"), Some(Duration::from_secs(5)), "", "uid:0").unwrap();
    assert!(bans.refuses(ip("192.0.2.1")));
    hands.pass(GRACE.as_secs());
    bans.sweep();
    hit(&bans, "192.0.2.1", 3);
    assert!(bans.refuses(ip("192.0.2.1")));
}

#[test]
fn bans_survive_a_restart_with_what_is_left_of_them() {
    let (hands, before) = house();
    hit(&before, "192.0.2.1", 3);
    before.add(net("198.51.100.0/24"), None, "forever", "uid:0").unwrap();
    hands.pass(20);
    let (_, after) = house();
    // The new process begins to count steady time anew; the wall clock went on for 20 s and more.
    let left = Hands::default();
    left.jump(20);
    let after_clock = Bans { clock: Arc::new(left), ..after };
    assert_eq!(after_clock.restore(before.list()), 2);
    assert!(after_clock.refuses(ip("192.0.2.1")) && after_clock.refuses(ip("198.51.100.77")));
    assert_eq!(after_clock.take_changes().0, [], "nothing of it is news");

    hands.pass(40);
    let (_, late) = house();
    let clock = Hands::default();
    clock.jump(60);
    let late = Bans { clock: Arc::new(clock), ..late };
    assert_eq!(late.restore(before.list()), 1, "one is over meanwhile");
    hit(&late, "192.0.2.1", 3);
    let again = late.list().into_iter().find(|ban| ban.automatic).unwrap();
    assert_eq!(again.times, 2, "and still counts as a first one");
}

#[test]
fn a_lifting_elsewhere_ends_the_same_ban_and_not_a_later_one() {
    let (hands, bans) = house();
    hit(&bans, "192.0.2.1", 3);
    let first = bans.list().pop().unwrap();
    bans.restore_lifted(&first, Duration::from_secs(1));
    assert!(!bans.refuses(ip("192.0.2.1")));
    hit(&bans, "192.0.2.1", 3);
    assert!(!bans.refuses(ip("192.0.2.1")), "the grace holds here too");
    hands.pass(GRACE.as_secs());
    hit(&bans, "192.0.2.1", 3);
    bans.restore_lifted(&first, Duration::from_secs(600));
    assert!(bans.refuses(ip("192.0.2.1")));
}

#[test]
fn a_full_table_gives_up_the_ban_by_a_control_that_ends_soonest() {
    let (_, bans) = house();
    let number = |number: u32| IpAddr::from((0x2000_0000 + number).to_be_bytes());
    let since = bans.clock.now();
    let most = u32::try_from(BANS_MAX).unwrap();
    let all = (0..most).map(|one| Ban {
        network: IpNet::from(number(one)),
        since,
        until: Some(since + Duration::from_secs(1_000 + u64::from(one))),
        reason: String::new(),
        by: String::from("ban.http"),
        automatic: one != 0,
        times: 1,
    });
    assert_eq!(bans.restore(all), BANS_MAX);
    hit(&bans, "192.0.2.1", 3);
    assert_eq!(bans.count(), BANS_MAX);
    assert!(bans.refuses(ip("192.0.2.1")));
    assert!(bans.refuses(number(0)), "made by a person");
    assert!(!bans.refuses(number(1)) && bans.refuses(number(2)));
    assert!(matches!(bans.take_changes().0.first(), Some(Change::Ended(_, Ending::Displaced))));
}

#[test]
fn the_world_is_not_banned_by_a_slip() {
    let (_, bans) = house();
    assert!(matches!(bans.add(net("0.0.0.0/0"), None, "", ""), Err(BanError::TooWide(_))));
    assert!(matches!(bans.add(net("::/0"), None, "", ""), Err(BanError::TooWide(_))));
}

#[test]
fn a_rule_that_stays_the_same_goes_on_counting_and_another_begins_anew() {
    let (_, bans) = house();
    hit(&bans, "192.0.2.1", 2);
    bans.follow(&controls(3, 60));
    hit(&bans, "192.0.2.1", 1);
    assert!(bans.refuses(ip("192.0.2.1")));
    hit(&bans, "192.0.2.2", 2);
    bans.follow(&Controls::default());
    hit(&bans, "192.0.2.2", 5);
    assert!(!bans.refuses(ip("192.0.2.2")), "no rule, no ban");
    assert!(bans.refuses(ip("192.0.2.1")), "and what is banned stays so");
    bans.follow_sources(vec![JailRule::of_source(
        "sshd",
        2,
        Period::minutes(1),
        Period::minutes(1),
        Period::minutes(1),
    )]);
    bans.offence("sshd", ip("192.0.2.3"), Duration::ZERO);
    bans.offence("sshd", ip("192.0.2.3"), Duration::from_secs(3_600));
    assert!(!bans.refuses(ip("192.0.2.3")), "the second is long past");
    bans.offence("sshd", ip("192.0.2.3"), Duration::ZERO);
    assert!(bans.refuses(ip("192.0.2.3")));
}

#[test]
fn a_reason_is_one_short_line() {
    let (_, bans) = house();
    let ban = bans.add(net("192.0.2.1"), None, &format!("a\nb{}", "é".repeat(500)), "uid:0").unwrap();
    assert!(ban.reason.len() <= REASON_BYTES_MAX && ban.reason.starts_with("a bé"));
}
