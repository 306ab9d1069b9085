//! Requests that two parsers could read in two ways, sent through the gateway to three different parsers.
//!
//! What counts is what the applications say they got: each case arrives as exactly the requests it is, or not at all,
//! and the requests before and after it are not touched. The corpus is in [`corpus`].

mod applications;
mod corpus;

use std::collections::BTreeMap;

use crate::frames::{GOAWAY, PREFACE, frame, settings};
use crate::house::{House, demo_controls, upstream};

use applications::{Arrived, Recording};
use corpus::{Case, Outcome};

/// Sends each case, a request behind it on the same connection and one on another, and returns what went wrong.
fn through(application: &impl Recording, strict: bool) -> Vec<String> {
    let mut controls = demo_controls();
    // The corpus asks about framing; what else the demo limits would only hide the answer.
    controls.edge_slow_and_flood = None;
    if !strict {
        controls.edge_smuggling = None;
    }
    let house = House::with(upstream(application.address()), &controls);
    let (mut expected, mut faults) = (BTreeMap::new(), Vec::new());
    let mut expect = |request| *expected.entry(request).or_default() += 1;
    for (number, case) in corpus::all().into_iter().enumerate() {
        faults.extend(send(&house, number, &case).map(|fault| format!("{}: {fault}", case.name)));
        let after = house.get(&format!("/after/{number:03}"));
        if !after.starts_with("HTTP/1.1 200 ") || !after.ends_with(&format!("/after/{number:03}")) {
            faults.push(format!("{}: the next visitor gets {after}", case.name));
        }
        expect(Arrived::new("GET", &format!("/after/{number:03}")));
        if let Outcome::Arrives(requests) = &case.outcome {
            requests.iter().for_each(|(method, target)| expect(Arrived::new(method, &numbered(target, number))));
            if case.leaves_open {
                expect(Arrived::new("GET", &format!("/behind/{number:03}")));
            }
        }
    }
    drop(house.close());
    faults.extend(differences(&expected, application.arrived()));
    faults
}

fn differences(expected: &BTreeMap<Arrived, usize>, requests: Vec<Arrived>) -> Vec<String> {
    let mut arrived: BTreeMap<Arrived, usize> = BTreeMap::new();
    for request in requests {
        *arrived.entry(request).or_default() += 1;
    }
    let more = arrived.iter().filter(|(request, count)| expected.get(request) != Some(count));
    let more = more.map(|(request, count)| format!("{request:?} arrives {count} times"));
    let less = expected.keys().filter(|request| !arrived.contains_key(request));
    more.chain(less.map(|request| format!("{request:?} never arrives"))).collect()
}

/// Sends a case; what is wrong with the answer, if anything is.
fn send(house: &House, number: usize, case: &Case) -> Option<String> {
    let bytes = numbered(&case.bytes, number);
    if case.h2 {
        let mut client = house.h2_client();
        let frames: Vec<u8> = bytes.chars().map(|byte| u8::try_from(u32::from(byte)).unwrap()).collect();
        let _ = client.try_send(&[PREFACE, &settings(&[]), &frames, &frame(GOAWAY, 0, 0, &[0; 8])].concat());
        client.read_all();
        return None;
    }
    let behind = format!("GET /behind/{number:03} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let answer = house.exchange_bytes(&[bytes.as_bytes(), behind.as_bytes()].concat());
    let right = match &case.outcome {
        Outcome::Refused => answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 5"),
        Outcome::Arrives(requests) => {
            answer.matches("HTTP/1.1 200 ").count() == requests.len() + usize::from(case.leaves_open)
        }
    };
    (!right).then_some(answer)
}

/// The text of a case with its own number, so that it is known whose request it was.
fn numbered(text: &str, number: usize) -> String {
    // As wide as what it replaces: the lengths of frames are made with it.
    text.replace("{n}", &format!("{number:03}"))
}

#[test]
fn the_corpus_is_large_enough_to_mean_something() {
    let all = corpus::all();
    let refused = all.iter().filter(|case| matches!(case.outcome, Outcome::Refused)).count();
    assert!(refused >= 40 && all.len() > refused + 10, "{refused} of {}", all.len());
}

#[test]
fn nothing_is_split_joined_or_doubled_on_its_way_to_hyper() {
    assert_eq!(through(&applications::Hyper::start(), true), Vec::<String>::new());
}

#[test]
fn nothing_is_split_joined_or_doubled_on_its_way_to_nginx() {
    assert_eq!(through(&applications::NginxLog::start(), true), Vec::<String>::new());
}

#[test]
fn nothing_is_split_joined_or_doubled_on_its_way_to_python() {
    assert_eq!(through(&applications::Python::start(), true), Vec::<String>::new());
}

#[test]
fn without_the_control_the_corpus_gets_through() {
    let faults = through(&applications::Hyper::start(), false);
    assert!(faults.iter().any(|fault| fault.contains("/case/") && fault.ends_with("arrives 1 times")), "{faults:?}");
}
