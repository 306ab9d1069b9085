//! Tests of the limits as a whole: by which subjects a request is counted, and what the nodes' common count changes.

use std::cell::Cell;
use std::future::Future;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use reeve_base::{Clock, Lone, Nodes, Rate, SharedRates, Spend, Spending, Spent, Ticks, Timestamp};
use reeve_policy::catalogue::{Control, Controls, RateHeader, RateIp, RateUser, RouteRate, UrlPath};

use super::*;

const SECOND: u64 = 1_000_000_000;

fn rules(controls: &[Control]) -> RateRules {
    let mut all = Controls::default();
    controls.iter().for_each(|control| all.demand(control));
    RateRules::new(&all, &Session { cookie: Some(String::from("sid")), bearer: true }).unwrap()
}

/// Two at once, one a second.
fn by_user(routes: Vec<RouteRate>) -> Control {
    Control::RateUser(RateUser { rate: Rate::per_minute(60), burst: 1, routes })
}

fn by_address(routes: Vec<RouteRate>) -> Control {
    Control::RateIp(RateIp { rate: Rate::per_minute(60), burst: 1, routes })
}

fn head(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let line =
        |(name, value): &(&'static str, &'static str)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    let mut headers = HeaderMap::new();
    for (name, value) in lines.iter().map(line) {
        headers.append(name, value);
    }
    headers
}

fn asked<'a>(headers: &'a HeaderMap, path: &'a str, last: u8) -> Asked<'a> {
    Asked { headers, path, address: IpAddr::from([192, 0, 2, last]) }
}

fn count(rates: &Rates, rules: &RateRules, asked: Asked<'_>) -> Result<HeaderMap, (&'static str, Duration)> {
    let allowance = Cell::default();
    let outcome = rates.count(rules, asked, Ticks(SECOND), &allowance);
    told(outcome, rules, &allowance)
}

fn told(
    outcome: Result<(), Refusal>,
    rules: &RateRules,
    allowance: &Cell<Allowance>,
) -> Result<HeaderMap, (&'static str, Duration)> {
    let mut headers = HeaderMap::new();
    allowance.get().announce(rules, &mut headers);
    match outcome {
        Ok(()) => Ok(headers),
        Err(Refusal::Rate { counted, retry_after }) => Err((counted.control(), retry_after)),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_user_is_one_from_whatever_address_and_others_are_others() {
    let (rates, rules) = (Rates::default(), rules(&[by_user(Vec::new())]));
    let (ada, bob) = (head(&[("cookie", "sid=ada")]), head(&[("cookie", "sid=bob")]));
    assert!(count(&rates, &rules, asked(&ada, "/", 1)).is_ok());
    assert!(count(&rates, &rules, asked(&ada, "/", 2)).is_ok());
    assert_eq!(count(&rates, &rules, asked(&ada, "/", 3)), Err(("rate.user", Duration::from_secs(1))));
    assert!(count(&rates, &rules, asked(&bob, "/", 3)).is_ok());
    let nobody = HeaderMap::new();
    for _ in 0..9 {
        assert!(count(&rates, &rules, asked(&nobody, "/", 3)).is_ok(), "nobody is no user");
    }
}

#[test]
fn several_sessions_in_one_request_all_count_and_no_more_than_four() {
    let (rates, rules) = (Rates::default(), rules(&[by_user(Vec::new())]));
    for sessions in ["sid=one; sid=ada", "sid=two; sid=ada"] {
        let headers = HeaderMap::from_iter([(http::header::COOKIE, HeaderValue::from_static(sessions))]);
        assert!(count(&rates, &rules, asked(&headers, "/", 1)).is_ok());
    }
    let third = head(&[("cookie", "sid=three; sid=ada")]);
    assert!(count(&rates, &rules, asked(&third, "/", 1)).is_err(), "another name in front frees nobody");
    let many = head(&[("cookie", "sid=a; sid=b; sid=c; sid=d; sid=e")]);
    let refused = rates.count(&rules, asked(&many, "/", 1), Ticks(SECOND), &Cell::default());
    assert!(matches!(refused, Err(Refusal::Malformed(_))), "{refused:?}");
}

#[test]
fn a_key_is_counted_by_the_header_that_the_policy_names() {
    let header = Control::RateHeader(RateHeader { rate: Rate::per_minute(60), burst: 1, ..RateHeader::default() });
    let (rates, rules) = (Rates::default(), rules(&[header]));
    let (one, other) = (head(&[("x-api-key", "one")]), head(&[("x-api-key", "other")]));
    for _ in 0..2 {
        assert!(count(&rates, &rules, asked(&one, "/", 1)).is_ok());
    }
    assert_eq!(count(&rates, &rules, asked(&one, "/", 2)), Err(("rate.header", Duration::from_secs(1))));
    assert!(count(&rates, &rules, asked(&other, "/", 2)).is_ok());
}

#[test]
fn a_route_has_a_rate_of_its_own_however_it_is_spelled() {
    let route =
        |path, per_minute, burst| RouteRate { path: UrlPath::from(path), rate: Rate::per_minute(per_minute), burst };
    let site = Control::RateIp(RateIp {
        rate: Rate::per_minute(6_000),
        burst: 1_000,
        routes: vec![route("/api", 600, 100), route("/api/login/", 1, 1)],
    });
    let (rates, rules, headers) = (Rates::default(), rules(&[site]), HeaderMap::new());
    for path in ["/api/login", "//api/%6Cogin/now"] {
        assert!(count(&rates, &rules, asked(&headers, path, 1)).is_ok());
    }
    let refused = count(&rates, &rules, asked(&headers, "/./api/login;x=y", 1));
    assert_eq!(refused, Err(("rate.ip", Duration::from_secs(60))));
    for path in ["/api/logins", "/api", "/", "/login"] {
        assert!(count(&rates, &rules, asked(&headers, path, 1)).is_ok(), "{path}");
    }
    assert!(count(&rates, &rules, asked(&headers, "/api/login", 2)).is_ok(), "another address");
}

#[test]
fn a_client_is_told_of_every_limit_and_of_the_tightest() {
    let route = RouteRate { path: UrlPath::from("/login"), rate: Rate::per_minute(5), burst: 4 };
    let (rates, rules) = (Rates::default(), rules(&[by_address(vec![route]), by_user(Vec::new())]));
    let headers = head(&[("cookie", "sid=ada")]);
    let told = count(&rates, &rules, asked(&headers, "/login", 1)).unwrap();
    let values = |name: &str| told.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(values("ratelimit-policy"), ["\"ip\";q=2;w=2", "\"ip:/login\";q=5;w=60", "\"user\";q=2;w=2"],);
    assert_eq!(values("ratelimit"), ["\"user\";r=1;t=1"]);
}

/// What is counted elsewhere, as a test wants it.
struct Elsewhere {
    nodes: Mutex<Nodes>,
    answers: Mutex<Vec<Result<Vec<Spent>, Lone>>>,
    asked: Mutex<Vec<(String, Duration)>>,
}

impl Elsewhere {
    fn answering(answers: Vec<Result<Vec<Spent>, Lone>>) -> Arc<Self> {
        let (nodes, asked) = (Mutex::new(Nodes::Together), Mutex::default());
        Arc::new(Self { nodes, answers: Mutex::new(answers), asked })
    }
}

impl SharedRates for Elsewhere {
    fn nodes(&self) -> Nodes {
        *self.nodes.lock().unwrap()
    }

    fn spend<'a>(&'a self, spends: &'a [Spend<'a>]) -> Spending<'a> {
        Box::pin(async move {
            let asked = spends.iter().map(|spend| (spend.limit.to_owned(), spend.ahead));
            self.asked.lock().unwrap().extend(asked);
            let answer = self.answers.lock().unwrap().remove(0);
            if answer.is_err() {
                *self.nodes.lock().unwrap() = Nodes::Apart { nodes: NonZeroU32::new(2).unwrap() };
            }
            answer
        })
    }
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn ticks(&self) -> Ticks {
        Ticks(SECOND)
    }
}

fn together(rates: &Rates, rules: &RateRules, asked: Asked<'_>) -> Result<HeaderMap, (&'static str, Duration)> {
    let allowance = Cell::default();
    let shared = rates.together().unwrap();
    let mut counting = pin!(rates.count_together(&**shared, rules, asked, &Still, &allowance));
    let Poll::Ready(outcome) = counting.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("nothing here waits")
    };
    told(outcome, rules, &allowance)
}

#[test]
fn what_others_counted_counts_here_and_is_remembered() {
    let ahead = Duration::from_secs;
    let elsewhere = Elsewhere::answering(vec![
        Ok(vec![Spent::Passed(ahead(1))]),
        // Meanwhile the same address asked another node.
        Ok(vec![Spent::Refused(ahead(2))]),
    ]);
    let (rates, rules, headers) = (Rates::default(), rules(&[by_address(Vec::new())]), HeaderMap::new());
    rates.share(Arc::clone(&elsewhere) as Arc<dyn SharedRates>);
    let asked = asked(&headers, "/", 1);
    assert_eq!(together(&rates, &rules, asked).unwrap().get("ratelimit").unwrap(), "\"ip\";r=1;t=1");
    assert_eq!(together(&rates, &rules, asked), Err(("rate.ip", ahead(1))));
    // Nobody is asked again about somebody who is known to be over the limit: there is no third answer.
    assert_eq!(together(&rates, &rules, asked), Err(("rate.ip", ahead(1))));
    let heard = elsewhere.asked.lock().unwrap();
    assert_eq!(*heard, [(String::from("ip"), ahead(0)), (String::from("ip"), ahead(1))], "what is known is told");
}

#[test]
fn a_node_alone_counts_its_share() {
    let elsewhere = Elsewhere::answering(vec![Err(Lone)]);
    let limit = Control::RateIp(RateIp { rate: Rate::per_minute(60), burst: 3, routes: Vec::new() });
    let (rates, rules, headers) = (Rates::default(), rules(&[limit]), HeaderMap::new());
    rates.share(Arc::clone(&elsewhere) as Arc<dyn SharedRates>);
    let asked = asked(&headers, "/", 1);
    assert!(together(&rates, &rules, asked).is_ok(), "the request that found out is served");
    assert!(rates.together().is_none());
    assert!(count(&rates, &rules, asked).is_ok(), "two of four are this node's share of two");
    assert_eq!(count(&rates, &rules, asked), Err(("rate.ip", Duration::from_secs(2))));
}
