//! What leaves the gateway: the policy's headers in, the application's talk about itself out.

use crate::application::Application;
use crate::house::House;

fn count(answer: &str, header: &str) -> usize {
    answer.lines().filter(|line| line.to_ascii_lowercase().starts_with(&format!("{header}:"))).count()
}

#[test]
fn headers_of_the_policy_are_there_once_and_those_of_the_software_are_gone() {
    let application = Application::answering(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: Werkzeug/1.0\r\nX-Powered-By: PHP/5\r\nX-Frame-Options: ALLOWALL\r\n\
         X-Frame-Options: SAMEORIGIN\r\nStrict-Transport-Security: max-age=0\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d; Secure\r\n\r\nok",
    );
    let house = House::before(application.address);
    let answer = house.get("/");
    for header in ["x-frame-options", "strict-transport-security", "content-security-policy", "x-content-type-options"]
    {
        assert_eq!(count(&answer, header), 1, "{header}: {answer}");
    }
    for header in ["server", "x-powered-by"] {
        assert_eq!(count(&answer, header), 0, "{header}: {answer}");
    }
    for cookie in ["a=b", "c=d"] {
        assert!(answer.contains(&format!("{cookie}; Secure; HttpOnly; SameSite=Lax\r\n")), "{answer}");
    }
}

#[test]
fn a_stack_trace_becomes_a_page_with_an_event_that_the_operator_can_find() {
    let application = Application::answering(
        "HTTP/1.1 500 Oops\r\nContent-Length: 33\r\nX-Secret: leaked\r\n\r\nTraceback: /srv/app/db.py line 12",
    );
    let house = House::before(application.address);
    let answer = house.get("/");
    assert!(answer.starts_with("HTTP/1.1 500 Internal Server Error"), "{answer}");
    assert!(!answer.contains("Traceback") && !answer.contains("leaked"), "{answer}");
    assert_eq!(count(&answer, "content-security-policy"), 1);
    let events = house.close();
    assert_eq!((&events[0]["outcome"], &events[0]["part"]), (&"failed".into(), &"error.page".into()), "{events:?}");
    assert!(answer.contains(events[0]["id"].as_str().unwrap()));
}

#[test]
fn programs_get_their_errors_as_problem_details() {
    let application = Application::answering("HTTP/1.1 503 No\r\nContent-Length: 0\r\nRetry-After: 120\r\n\r\n");
    let house = House::before(application.address);
    let answer =
        house.exchange("GET / HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nConnection: close\r\n\r\n");
    assert!(answer.contains("content-type: application/problem+json"), "{answer}");
    assert!(answer.contains("\"status\":503"), "{answer}");
    assert!(answer.contains("retry-after: 120\r\n"), "what the application says of its return is passed on: {answer}");
}

#[test]
fn hidden_paths_and_security_txt_are_answered_without_the_application() {
    let application = Application::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let house = House::before(application.address);
    assert!(house.get("/.env").starts_with("HTTP/1.1 404 "));
    let text = house.get("/.well-known/security.txt");
    assert!(text.contains("content-type: text/plain") && text.contains("\nContact: mailto:"), "{text}");
    assert_eq!(application.heads(), Vec::<String>::new());
}

#[test]
fn the_application_sees_who_asks_and_nothing_that_the_client_made_up() {
    let application = Application::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let house = House::before(application.address);
    house.exchange(
        "GET /a?token=s3cret HTTP/1.1\r\nHost: example.com\r\nX-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n\
         Connection: close, X-Private\r\nX-Private: 1\r\nTE: trailers\r\n\r\n",
    );
    let head = application.heads()[0].to_ascii_lowercase();
    assert!(head.starts_with("get /a?token=s3cret http/1.1\r\n"), "{head}");
    assert!(head.contains("host: example.com\r\n") && head.contains("x-forwarded-for: 127.0.0.1\r\n"), "{head}");
    assert!(head.contains("x-forwarded-proto: https\r\n"), "{head}");
    assert!(!head.contains("6.6.6.6") && !head.contains("x-private") && !head.contains("te: "), "{head}");
    let events = house.close();
    assert_eq!(events[0]["object"], "/a?token", "{events:?}");
}
