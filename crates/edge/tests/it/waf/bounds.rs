//! An engine that breaks, and requests that take too much: refused, recorded, and the next one is served.

use super::*;

const BREAKS: &str = r#"
SecRule REQUEST_HEADERS:X-Break "@fault" "id:1,phase:1,pass,t:none"
SecRule ARGS:break "@fault" "id:2,phase:2,pass,t:none"
SecRule RESPONSE_HEADERS:X-Break "@fault" "id:3,phase:3,pass,t:none"
SecRule RESPONSE_BODY "@contains break" "id:4,phase:4,pass,t:none,chain"
    SecRule RESPONSE_BODY "@fault" "t:none"
"#;

fn house(application: &Application, waf: WafSettings) -> House {
    let controls = promised(WafAttackSet::default());
    let mut house = House::with(upstream(application.address), &controls);
    house.settings.waf = waf;
    house.gateway().reload(&house.settings, &controls).unwrap();
    house
}

/// A form that is looked into beside the worker.
fn heavy(name: &str) -> String {
    post(FORM, &format!("{name}=1&filling={}", "x".repeat(100_000)))
}

#[test]
fn a_fault_while_a_request_is_judged_refuses_it_and_the_worker_goes_on() {
    let application = Application::answering(OK);
    let house = house(&application, settings(BREAKS));
    // More often than bodies are looked into at once: a place that is not given back would be missed.
    for _ in 0..5 {
        status(&house, &get("/").replace("Connection", "X-Break: 1\r\nConnection"), 500);
        status(&house, &post(FORM, "break=1"), 500);
        status(&house, &heavy("break"), 500);
    }
    assert_eq!(application.heads(), Vec::<String>::new());
    status(&house, &get("/"), 200);
    status(&house, &heavy("fine"), 200);
    let events = house.close();
    let refused: Vec<_> = events.iter().filter(|event| event["status"] == 500).collect();
    assert_eq!(refused.len(), 15, "{events:?}");
    let caused = |cause: &str| refused.iter().filter(|event| event["cause"].as_str().unwrap().ends_with(cause)).count();
    assert_eq!((caused("a stage panicked"), caused("looking into a body broke off")), (10, 5), "{refused:?}");
}

#[test]
fn a_fault_while_an_answer_is_judged_shows_nothing_of_it() {
    for (head, body) in
        [("X-Break: 1", String::from("secret")), ("X-Fine: 1", format!("break secret {}", "x".repeat(100_000)))]
    {
        let text = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let application = Application::answering(Box::leak(text.into_boxed_str()));
        let house = house(&application, settings(BREAKS));
        for _ in 0..3 {
            let answer = status(&house, &get("/"), 500);
            assert!(!answer.contains("secret") && !answer.contains("X-Break"), "{answer}");
        }
        assert!(house.close().iter().filter(|event| event["status"] == 500).count() == 3);
    }
}

#[test]
fn what_takes_more_than_the_budget_is_refused_and_its_event_says_so() {
    let application = Application::answering(OK);
    let until = SystemClock::new().now() + jiff::SignedDuration::from_hours(1);
    let detect_only = vec![DetectOnly { path: String::from("/orders"), until }];
    for detect_only in [Vec::new(), detect_only] {
        let waf = WafSettings { budget: Some(Size::from_bytes(64 << 10)), detect_only, ..settings(RULES) };
        let house = house(&application, waf);
        let before = application.heads().len();
        status(&house, &post(FORM, &format!("note={}", "A".repeat(40_000))), 413);
        // Each on its own is nearly nothing; what is around it counts, too.
        status(&house, &post(FORM, &(0..6_000).map(|at| format!("a{at}=B&")).collect::<String>()), 413);
        assert_eq!(application.heads().len(), before);
        status(&house, &post(FORM, "note=good"), 200);
        let events = house.close();
        let refused: Vec<_> = events.iter().filter(|event| event["outcome"] == "refused").collect();
        assert_eq!(refused.len(), 2, "{events:?}");
        for event in refused {
            assert_eq!(event["control"], "waf.attack_set");
            assert_eq!(event["cause"], "looking into it takes more than the budget of 64 KiB (`[waf] budget`)");
        }
    }
}

#[test]
fn an_answer_that_takes_more_than_the_budget_is_not_shown() {
    let body = "A".repeat(60_000);
    let text = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 60000\r\n\r\n{body}");
    let application = Application::answering(Box::leak(text.into_boxed_str()));
    let rules = "SecRule RESPONSE_BODY \"@rx (?:x|y)z\" \"id:4,phase:4,deny,t:none,t:lowercase,log\"\n";
    let budget = |bytes| Some(Size::from_bytes(bytes));
    let small = house(&application, WafSettings { budget: budget(64 << 10), ..settings(rules) });
    let answer = status(&small, &get("/"), 502);
    assert!(!answer.contains("AAAA"), "{answer}");
    let large = house(&application, WafSettings { budget: budget(1 << 20), ..settings(rules) });
    status(&large, &get("/"), 200);
}
