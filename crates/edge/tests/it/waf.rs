//! Rules look into requests before any of them goes on, and into answers before they are seen.

mod bounds;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use reeve_base::{Clock, Size, SystemClock};
use reeve_edge::{DetectOnly, Exclude, RuleFiles, RuleShelf, SelfTest, StartError, WafError, WafSettings};
use reeve_policy::catalogue::{Control, Controls, ErrorNoDebug, InputSchema, WafAttackSet};
use reeve_waf::{Source, SourceError};

use crate::application::{After, Application};
use crate::frames;
use crate::house::{House, upstream};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nok";

/// Rules with words in place of attacks: what is tried here is what they are shown, and what becomes of their word.
const RULES: &str = r#"
SecRule REQUEST_HEADERS:User-Agent "@contains badbot" "id:1,phase:1,deny,status:403,t:none,t:lowercase,log"
SecRule REQUEST_LINE "@rx ^GET /line\?now HTTP/(1\.1|2\.0)$" "id:2,phase:1,deny,status:406,t:none,log"
SecRule REQUEST_COOKIES:both "@streq ab" "id:3,phase:1,deny,t:none,log,chain"
    SecRule REQUEST_HEADERS:Host "@beginsWith localhost" "t:none"
SecRule REQUEST_URI "@beginsWith /moved" "id:4,phase:1,redirect:https://elsewhere.example/,t:none,log"
SecRule ARGS|FILES|XML:/* "@contains evil" "id:100,phase:2,pass,log,t:none,t:lowercase,msg:'evil',severity:'CRITICAL',setvar:tx.inbound_anomaly_score_pl1=+5"
SecRule TX:inbound_anomaly_score_pl1 "@ge %{tx.inbound_anomaly_score_threshold}" "id:199,phase:2,deny,status:403,t:none,log"
SecRule RESPONSE_HEADERS:X-Leak "@rx ." "id:300,phase:3,deny,status:403,t:none,log"
SecRule RESPONSE_BODY "@contains topsecret" "id:400,phase:4,deny,status:403,t:none,log"
"#;

#[derive(Debug)]
struct Texts(BTreeMap<&'static str, &'static str>);

impl Source for Texts {
    fn read(&self, name: &str, _: Option<&str>) -> Result<Vec<u8>, SourceError> {
        let cause = String::from("no such file");
        self.0.get(name).map(|text| text.as_bytes().to_vec()).ok_or(SourceError { name: name.to_owned(), cause })
    }

    fn list(&self, pattern: &str, _: Option<&str>) -> Result<Vec<String>, SourceError> {
        Ok(vec![pattern.to_owned()])
    }
}

impl RuleShelf for Texts {
    fn files(&self) -> Result<RuleFiles, String> {
        let rules = self.0.keys().map(|name| (*name).to_owned()).collect();
        Ok(RuleFiles { set_up: Vec::new(), rules })
    }
}

fn settings(text: &'static str) -> WafSettings {
    let rules: Arc<dyn RuleShelf> = Arc::new(Texts(BTreeMap::from([("our.conf", text)])));
    // What is tried here has words in place of attacks.
    WafSettings { rules: Some(rules), self_test: SelfTest::LeftOut, ..WafSettings::default() }
}

fn promised(control: WafAttackSet) -> Controls {
    let mut controls = Controls::default();
    controls.demand(&Control::WafAttackSet(control));
    controls
}

/// A house with these rules, which are taken up by a reload.
fn ruled(application: &Application, control: WafAttackSet, detect_only: Vec<DetectOnly>) -> House {
    let controls = promised(control);
    // The rules that are built in would not stand every promise.
    let mut house = House::with(upstream(application.address), &Controls::default());
    house.settings.waf = WafSettings { detect_only, ..settings(RULES) };
    house.gateway().reload(&house.settings, &controls).unwrap();
    house
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

fn post(kind: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /orders HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

#[track_caller]
fn status(house: &House, request: &str, expected: u16) -> String {
    let answer = house.exchange(request);
    assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{request}\n{answer}");
    answer
}

const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data; boundary=XX";

fn parts(text: &str) -> String {
    format!("--XX\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\n{text}\r\n--XX--\r\n")
}

#[test]
fn what_rules_find_in_a_request_never_reaches_the_application() {
    let application = Application::answering(OK);
    let house = ruled(&application, WafAttackSet::default(), Vec::new());
    status(&house, &get("/").replace("Connection", "User-Agent: a BadBot\r\nConnection"), 403);
    status(&house, &get("/line?now"), 406);
    let moved = status(&house, &get("/moved/here"), 302);
    assert!(moved.to_ascii_lowercase().contains("location: https://elsewhere.example/"), "{moved}");
    status(&house, &get("/?q=an+evil+secretvalue"), 403);
    status(&house, &post(FORM, "a=1&note=an+e%76il+secretvalue"), 403);
    status(&house, &post("application/json", r#"{"deep":{"note":"an e\u0076il secretvalue"}}"#), 403);
    status(&house, &post(MULTIPART, &parts("an evil secretvalue")), 403);
    let chunked = post(FORM, "").replace("Content-Length: 0", "Transfer-Encoding: chunked");
    status(&house, &(chunked + "7\r\nnote=ev\r\n2\r\nil\r\n0\r\n\r\n"), 403);
    assert_eq!(application.heads(), Vec::<String>::new());
    let events = house.close();
    let refused: Vec<_> = events.iter().filter(|event| event["outcome"] == "refused").collect();
    assert_eq!(refused.len(), 8, "{events:?}");
    assert!(refused.iter().all(|event| event["control"] == "waf.attack_set"), "{events:?}");
    let causes: Vec<_> = refused.iter().filter_map(|event| event["cause"].as_str()).collect();
    for expected in [
        "rule 1 at REQUEST_HEADERS:User-Agent",
        "rules 100, 199 at ARGS:q, score 5",
        "rules 100, 199 at ARGS:note, score 5",
        "rules 100, 199 at ARGS:json.deep.note, score 5",
    ] {
        assert!(causes.iter().any(|cause| cause.eq_ignore_ascii_case(expected)), "{expected}: {causes:?}");
    }
    let text = serde_json::to_string(&events).unwrap();
    assert!(!text.contains("secretvalue"), "{text}");
}

#[test]
fn what_is_harmless_goes_on_as_it_came() {
    let application = Application::answering(OK);
    let house = ruled(&application, WafAttackSet::default(), Vec::new());
    status(&house, &get("/?q=good"), 200);
    status(&house, &post(FORM, "note=good"), 200);
    status(&house, &post("application/json", r#"{"note":"good"}"#), 200);
    status(&house, &post(MULTIPART, &parts("good")), 200);
    status(&house, &post("text/plain", ""), 200);
    let chunked = post(FORM, "").replace("Content-Length: 0", "Transfer-Encoding: chunked");
    status(&house, &(chunked.clone() + "9\r\nnote=good\r\n0\r\n\r\n"), 200);
    status(&house, &(chunked + "0\r\n\r\n"), 200);
    // Large enough to be looked into beside the worker.
    status(&house, &post(FORM, &format!("note={}", "good".repeat(50_000))), 200);
    status(&house, &post(FORM, &format!("note={}evil", "good".repeat(50_000))), 403);
    assert_eq!(application.heads().len(), 8);
}

#[test]
fn a_body_is_looked_into_whole_or_refused() {
    let application = Application::answering(OK);
    let control = WafAttackSet { body: Size::from_bytes(1 << 10), ..WafAttackSet::default() };
    let house = ruled(&application, control, Vec::new());
    status(&house, &post(FORM, &format!("a={}", "x".repeat(1_022))), 200);
    status(&house, &post(FORM, &format!("a={}", "x".repeat(1_023))), 413);
    let packed = post(FORM, "a=b").replace("Content-Type", "Content-Encoding: gzip\r\nContent-Type");
    status(&house, &packed, 415);
    // A multipart body that can be read in two ways.
    status(&house, &post(MULTIPART, "--XX\r\nnothing that is a part"), 400);
    assert_eq!(application.heads().len(), 1);
}

#[test]
fn a_body_that_others_have_gathered_is_looked_into_all_the_same() {
    let application = Application::answering(OK);
    let mut house = ruled(&application, WafAttackSet::default(), Vec::new());
    let mut controls = promised(WafAttackSet::default());
    controls.demand(&Control::InputSchema(InputSchema::default()));
    house.settings.waf = settings(RULES);
    house.gateway().reload(&house.settings, &controls).unwrap();
    status(&house, &post("application/json", r#"{"note":"evil"}"#), 403);
    status(&house, &post("application/json", r#"{"note":"good"}"#), 200);
    let empty = post(FORM, "").replace("Content-Length: 0", "Transfer-Encoding: chunked");
    status(&house, &(empty.replace("/orders", "/orders?q=evil") + "0\r\n\r\n"), 403);
    assert_eq!(application.heads().len(), 1);
}

#[test]
fn what_rules_find_in_an_answer_is_not_shown() {
    let application = Application::behaving(Arc::new(|head, stream| {
        let (more, body) = match head.split(' ').nth(1) {
            Some("/leak" | "/docs/leak" | "/docsleak") => ("", "a topsecret thing".to_owned()),
            Some("/head") => ("X-Leak: yes\r\n", String::new()),
            Some("/picture") => ("", "topsecret".to_owned()),
            Some("/long") => ("", "x".repeat(600_000) + "topsecret"),
            _ => ("", "nothing".to_owned()),
        };
        let kind = if head.contains("/picture") { "image/png" } else { "text/html" };
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{more}Content-Length: {length}\r\n\r\n{body}");
        let _ = stream.write_all(answer.as_bytes());
        After::KeepAlive
    }));
    let house = ruled(&application, WafAttackSet::default(), Vec::new());
    let leak = status(&house, &get("/leak"), 403);
    assert!(!leak.contains("topsecret"), "{leak}");
    status(&house, &get("/head"), 403);
    status(&house, &get("/picture"), 200);
    status(&house, &get("/other"), 200);
    // Past what is looked into, and whole.
    assert!(status(&house, &get("/long"), 200).ends_with("xtopsecret"));
    // A page that explains what goes wrong may show it.
    let mut explaining = promised(WafAttackSet::default());
    let control = ErrorNoDebug { documentation: vec!["/docs".into()], ..ErrorNoDebug::default() };
    explaining.demand(&Control::ErrorNoDebug(control));
    house.gateway().reload(&house.settings, &explaining).unwrap();
    for (page, expected) in [("/docs/leak", 200), ("/docsleak", 403), ("/leak", 403)] {
        status(&house, &get(page), expected);
    }
    let looking_away = promised(WafAttackSet { responses: false, ..WafAttackSet::default() });
    house.gateway().reload(&house.settings, &looking_away).unwrap();
    status(&house, &get("/leak"), 200);
    let events = house.close();
    assert!(events.iter().any(|event| event["cause"].as_str().is_some_and(|cause| cause.starts_with("rule 400 at"))));
}

#[test]
fn over_http_2_rules_see_what_http_1_would_have_said() {
    let application = Application::answering(OK);
    let house = ruled(&application, WafAttackSet::default(), Vec::new());
    let fields = |path: &'static str, cookies: &[&'static str]| {
        let mut fields = vec![(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", path)];
        fields.extend(cookies.iter().map(|cookie| ("cookie", *cookie)));
        fields
    };
    let mut client = house.h2_client();
    client.send_bytes(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    client.send_bytes(&frames::settings(&[]));
    client.send_bytes(&frames::request(1, 0x5, &fields("/line?now", &[])));
    client.send_bytes(&frames::request(3, 0x5, &fields("/cookies", &["one=1", "both=ab"])));
    client.send_bytes(&frames::request(5, 0x5, &fields("/fine", &["one=1", "both=a"])));
    house.logs("/line");
    house.logs("/cookies");
    house.logs("/fine");
    drop(client);
    let events = house.close();
    let status = |path: &str| events.iter().find(|event| event["object"].as_str().unwrap().starts_with(path)).unwrap();
    assert_eq!(status("/line")["status"], 406);
    assert_eq!(status("/cookies")["status"], 403, "{events:?}");
    assert_eq!(status("/fine")["status"], 200);
}

#[test]
fn where_rules_only_find_nothing_is_refused_and_the_event_says_what_would_have_been() {
    let application = Application::answering(OK);
    let now = SystemClock::new().now();
    let (later, before) = (now + jiff::SignedDuration::from_hours(1), now - jiff::SignedDuration::from_hours(1));
    let routes = vec![
        DetectOnly { path: String::from("/learning"), until: later },
        DetectOnly { path: String::from("/learnt"), until: before },
    ];
    let house = ruled(&application, WafAttackSet::default(), routes);
    status(&house, &get("/learning/a?q=evil"), 200);
    status(&house, &get("/learnt?q=evil"), 403);
    status(&house, &get("/other/../learning?q=evil"), 403);
    let events = house.close();
    let detected: Vec<_> = events.iter().filter(|event| event["outcome"] == "detected").collect();
    assert_eq!(detected.len(), 1, "{events:?}");
    assert_eq!(detected[0]["control"], "waf.attack_set");
    let cause = detected[0]["cause"].as_str().unwrap();
    assert!(cause.eq_ignore_ascii_case("rules 100, 199 at ARGS:q, score 5"), "{cause}");
}

#[test]
fn an_exclusion_lets_one_thing_by_and_nothing_beside_it() {
    let application = Application::answering(OK);
    let controls = promised(WafAttackSet::default());
    let mut house = House::with(upstream(application.address), &controls);
    let now = SystemClock::new().now();
    let (later, before) = (now + jiff::SignedDuration::from_hours(1), now - jiff::SignedDuration::from_hours(1));
    let note = Exclude {
        rules: vec![100],
        path: String::from("/notes"),
        method: None,
        variable: Some(String::from("ARGS:note")),
        whole: false,
        until: later,
    };
    let ended = Exclude { path: String::from("/ended"), until: before, ..note.clone() };
    let gone = Exclude { rules: vec![77], until: before, ..note.clone() };
    let whole =
        Exclude { path: String::from("/whole"), method: Some(String::from("POST")), variable: None, ..note.clone() };
    house.settings.waf = WafSettings { exclude: vec![note.clone(), ended, gone, whole], ..settings(RULES) };
    house.gateway().reload(&house.settings, &controls).unwrap();
    status(&house, &get("/notes/1?note=evil"), 200);
    status(&house, &post(FORM, "note=evil").replace("/orders", "/notes"), 200);
    status(&house, &post(FORM, "note=fine&more=evil").replace("/orders", "/notes"), 403);
    status(&house, &get("/notes?other=evil"), 403);
    status(&house, &get("/notes?note=evil").replace("Connection", "User-Agent: badbot\r\nConnection"), 403);
    status(&house, &get("/other?note=evil"), 403);
    status(&house, &get("/x/../notes?note=evil"), 403);
    status(&house, &get("/ended?note=evil"), 403);
    status(&house, &get("/whole?note=evil"), 403);
    status(&house, &post(MULTIPART, &parts("evil")).replace("/orders", "/whole"), 200);
    house.settings.waf.exclude = vec![Exclude { rules: vec![199], ..note }];
    let Err(StartError::Waf(error)) = house.gateway().reload(&house.settings, &controls) else { panic!() };
    assert!(error.to_string().contains("rule 199 decides by what others have found"), "{error}");
    status(&house, &get("/notes/1?note=evil"), 200);
}

#[test]
fn rules_that_never_refuse_are_not_taken() {
    let application = Application::answering(OK);
    let mut house = ruled(&application, WafAttackSet::default(), Vec::new());
    for more in ["SecRuleRemoveById 199", "SecAction \"id:9,phase:1,pass,nolog,ctl:ruleEngine=Off\""] {
        let text: &'static str = Box::leak(format!("{RULES}\n{more}\n").into_boxed_str());
        house.settings.waf = settings(text);
        let wrong = house.gateway().reload(&house.settings, &promised(WafAttackSet::default()));
        assert!(matches!(&wrong, Err(StartError::Waf(WafError::Faults(faults))) if faults.len() == 1), "{wrong:?}");
    }
    status(&house, &get("/?q=evil"), 403);
}

#[test]
fn the_policy_says_from_which_score_and_without_it_nothing_is_looked_into() {
    let application = Application::answering(OK);
    let patient = WafAttackSet { threshold: 10, ..WafAttackSet::default() };
    let house = ruled(&application, patient, Vec::new());
    status(&house, &get("/?q=evil"), 200);
    house.gateway().reload(&house.settings, &Controls::default()).unwrap();
    status(&house, &get("/line?now"), 200);
}

#[test]
fn rules_that_are_wrong_leave_the_old_ones_in_place_and_are_named() {
    let application = Application::answering(OK);
    let mut house = ruled(&application, WafAttackSet::default(), Vec::new());
    house.settings.waf = settings("SecRuleEngine On\nSecRule ARGS \"@nonsense x\" \"id:7,phase:2,deny\"\n");
    let wrong = house.gateway().reload(&house.settings, &promised(WafAttackSet::default()));
    let error = match wrong {
        Err(StartError::Waf(error)) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(error.contains("our.conf:2: "), "{error}");
    status(&house, &get("/line?now"), 406);
}

#[test]
fn rules_of_its_own_need_no_file() {
    let application = Application::answering(OK);
    let house = House::with(upstream(application.address), &promised(WafAttackSet::default()));
    status(&house, &get("/?q=union+station"), 200);
    status(&house, &get("/?q=1%27+UNION+SELECT+name+FROM+users+--+"), 403);
    status(&house, &get("/?q=%3Cscript%3Ealert(1)%3C/script%3E"), 403);
}
