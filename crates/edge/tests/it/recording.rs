//! What the gateway hands to a recorder, and what it does while that takes nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use reeve_base::{Recorder, Trail};
use serde_json::Value;

use crate::application::Application;
use crate::house::{House, demo_controls, upstream};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Keeps what it is given, or nothing, as a test tells it.
#[derive(Default)]
struct Kept {
    lines: Mutex<Vec<(Trail, Value)>>,
    full: AtomicBool,
    failing: AtomicBool,
}

impl Recorder for Kept {
    fn takes(&self, _: Trail) -> bool {
        true
    }

    fn take(&self, trail: Trail, lines: Vec<u8>) -> Result<(), Vec<u8>> {
        if self.full.load(Ordering::SeqCst) {
            return Err(lines);
        }
        let events = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let events = events.map(|line| (trail, serde_json::from_slice(line).unwrap()));
        self.lines.lock().unwrap().extend(events);
        Ok(())
    }

    fn must_refuse(&self) -> bool {
        self.failing.load(Ordering::SeqCst)
    }
}

impl Kept {
    fn of(&self, trail: Trail) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        let outcomes = lines.iter().filter(|(of, _)| *of == trail);
        outcomes.map(|(_, event)| event["outcome"].as_str().unwrap().to_owned()).collect()
    }
}

fn house() -> (House, Arc<Kept>, Application) {
    let kept = Arc::new(Kept::default());
    let application = Application::answering(OK);
    let recorder = Arc::clone(&kept) as Arc<dyn Recorder>;
    (House::recorded(upstream(application.address), &demo_controls(), Some(recorder)), kept, application)
}

#[test]
fn what_is_let_through_and_what_is_refused_go_to_trails_of_their_own() {
    let (house, kept, _application) = house();
    house.get("/");
    house.exchange("GET / HTTP/1.1\r\n\r\n");
    house.close();
    assert_eq!((kept.of(Trail::Requests), kept.of(Trail::Security)), (vec!["allowed".into()], vec!["refused".into()]));
}

#[test]
fn what_is_not_taken_at_once_is_handed_over_later() {
    let (house, kept, _application) = house();
    kept.full.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        house.get("/");
    }
    kept.full.store(false, Ordering::SeqCst);
    house.close();
    assert_eq!(kept.of(Trail::Requests).len(), 3);
}

#[test]
fn while_nothing_can_be_recorded_requests_are_refused_and_never_reach_the_application() {
    let (house, kept, _application) = house();
    kept.failing.store(true, Ordering::SeqCst);
    assert!(house.get("/").starts_with("HTTP/1.1 503 "));
    kept.failing.store(false, Ordering::SeqCst);
    assert!(house.get("/").starts_with("HTTP/1.1 200 "));
    // Two workers write, in the order in which they come to it.
    let events = house.close();
    assert!(events.iter().any(|event| event["control"] == "log.access"), "{events:?}");
}
