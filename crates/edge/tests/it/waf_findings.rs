//! What the firewall found is told in the event, and no secret is in it.

use std::sync::{Arc, Mutex};

use reeve_base::{Recorder, Trail};
use reeve_edge::{DetectOnly, WafSettings};
use reeve_policy::catalogue::{Control, Controls, WafAttackSet};
use serde_json::Value;

use crate::application::Application;
use crate::house::{House, upstream};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nok";

/// Keeps the lines that go to the ledger.
#[derive(Default)]
struct Kept(Mutex<Vec<u8>>);

impl Recorder for Kept {
    fn takes(&self, _: Trail) -> bool {
        true
    }

    fn take(&self, _: Trail, lines: Vec<u8>) -> Result<(), Vec<u8>> {
        self.0.lock().unwrap().extend(lines);
        Ok(())
    }

    fn must_refuse(&self) -> bool {
        false
    }
}

/// A house with the rules that are built in, at this paranoia level.
fn house(application: &Application, paranoia: u16) -> (House, Arc<Kept>) {
    let mut controls = Controls::default();
    controls.demand(&Control::WafAttackSet(WafAttackSet { paranoia, ..WafAttackSet::default() }));
    let kept = Arc::new(Kept::default());
    let recorder = Arc::clone(&kept) as Arc<dyn Recorder>;
    (House::recorded(upstream(application.address), &controls, Some(recorder)), kept)
}

fn get(target: &str, more: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n")
}

fn post(kind: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /orders HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

#[track_caller]
fn refused(house: &House, request: &str) {
    let answer = house.exchange(request);
    assert!(answer.starts_with("HTTP/1.1 403 "), "{request}\n{answer}");
}

fn event(events: &[Value], at: usize) -> &Value {
    let refused: Vec<_> = events.iter().filter(|event| event["findings"].is_object()).collect();
    refused[at]
}

#[test]
fn an_event_says_which_rule_found_what_where() {
    let application = Application::answering(OK);
    let (house, kept) = house(&application, 1);
    let answer =
        house.exchange(&get("/?q=1%2527%20UNION%20SELECT%20name%20FROM%20users--%20", "Accept: application/json\r\n"));
    let events = house.close();
    let event = event(&events, 0);
    // What the client is shown is what the event is found by.
    let id = event["id"].as_str().unwrap();
    assert!(answer.contains(&format!("\"urn:ulid:{id}\"")), "{answer}\n{event}");
    let findings = &event["findings"];
    assert_eq!(findings["rules"].as_str().unwrap().len(), 16, "{findings}");
    assert_eq!(findings["threshold"], 5);
    assert!(findings["score"].as_i64().unwrap() >= 5, "{findings}");
    let decided = findings["rule"].as_u64().unwrap();
    assert!(event["cause"].as_str().unwrap().contains(&decided.to_string()), "{event}");
    let found = findings["found"].as_array().unwrap();
    let first = &found[0];
    assert_eq!((&first["score"], &first["hits"][0]["at"]), (&5.into(), &"ARGS:q".into()), "{findings}");
    assert!(first["hits"][0]["slice"].as_str().unwrap().contains("UNION SELECT xxxx FROM xxxxx--"), "{findings}");
    // The same goes to the ledger.
    let recorded: Value = serde_json::from_slice(&kept.0.lock().unwrap()).unwrap();
    assert_eq!(recorded["findings"], *findings);
}

#[test]
fn where_rules_only_find_the_event_says_the_same() {
    let application = Application::answering(OK);
    let mut controls = Controls::default();
    controls.demand(&Control::WafAttackSet(WafAttackSet::default()));
    let mut house = House::with(upstream(application.address), &controls);
    let until = "2099-01-01T00:00:00Z".parse().unwrap();
    let detect_only = vec![DetectOnly { path: String::from("/trial"), until }];
    house.settings.waf = WafSettings { detect_only, ..WafSettings::default() };
    house.gateway().reload(&house.settings, &controls).unwrap();
    let attack = "q=%3Cscript%3Ealert(1)%3C/script%3E";
    assert!(house.get(&format!("/trial?{attack}")).starts_with("HTTP/1.1 200 "));
    refused(&house, &get(&format!("/?{attack}"), ""));
    let events = house.close();
    // Each connection may be another worker's, and workers write by themselves.
    let by = |outcome| events.iter().find(|event| event["outcome"] == outcome).unwrap();
    let (detected, refused) = (by("detected"), by("refused"));
    assert_eq!(detected["findings"]["found"][0], refused["findings"]["found"][0]);
    assert!(refused["findings"]["found"].to_string().contains("<script>alert("), "{refused}");
}

#[test]
fn an_event_without_findings_has_no_word_of_them() {
    let application = Application::answering(OK);
    let (house, _) = house(&application, 1);
    assert!(house.get("/?q=union+station").starts_with("HTTP/1.1 200 "));
    let events = house.close();
    assert!(events.iter().all(|event| event.get("findings").is_none()), "{events:?}");
}

/// Secrets of many kinds, each in a request that is refused, and what of each may be found nowhere.
fn planted() -> Vec<(&'static str, String)> {
    let script = "%3Cscript%3Ealert(1)%3C/script%3E";
    let sql = "'+UNION+SELECT+1,2,3+FROM+t--+";
    let multipart = "multipart/form-data; boundary=XX";
    let part = |name: &str, text: &str| {
        format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n--XX--\r\n")
    };
    vec![
        ("hunter2correct", post(FORM, &format!("password=hunter2correct{sql}"))),
        ("Tr0ub4dor&3", get(&format!("/?q=Tr0ub4dor%263{sql}"), "")),
        ("drop-the-table-union-select", post(FORM, &format!("passphrase=drop-the-table-union-select{sql}"))),
        ("4111111111111111", post(FORM, &format!("note=4111111111111111{sql}"))),
        ("4242 4242 4242 4242", post(JSON, r#"{"cardNumber":"4242 4242 4242 4242","q":"<script>alert(1)</script>"}"#)),
        ("eyJhbGciOiJIUzI1NiJ9", get(&format!("/?t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3In0.c2lnbmF0dXJl{script}"), "")),
        ("AKIAIOSFODNN7EXAMPLE", get(&format!("/?q=AKIAIOSFODNN7EXAMPLE{script}"), "")),
        (
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            get("/?q=ghp_16C7e42F292c6912E7710c838347Ae178B4a;cat+/etc/passwd", ""),
        ),
        (
            "xoxb-263594206564-FGqddMF8t08v8N7Oq4i57vs1",
            post(FORM, &format!("hook=xoxb-263594206564-FGqddMF8t08v8N7Oq4i57vs1{script}")),
        ),
        (
            "MIIEpAIBAAKCAQEA",
            post(
                JSON,
                r#"{"pem":"-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA1c7+9z5Pad7OejecsQ0bu3aumWbw\n<script>alert(1)</script>"}"#,
            ),
        ),
        ("dXNlcjpodW50ZXIy", get(&format!("/?q={script}"), "Authorization: Basic dXNlcjpodW50ZXIy\r\n")),
        ("s3cr3tapikey", get("/", "X-Api-Key: s3cr3tapikey' UNION SELECT 1,2,3 FROM t--\r\n")),
        (
            "9f86d081884c7d65",
            get("/", &format!("Cookie: session=9f86d081884c7d659a2feaa0c55ad015{sql}\r\n").replace('+', " ")),
        ),
        ("postgres://app:pgpass99", post(JSON, r#"{"url":"postgres://app:pgpass99@db/x; cat /etc/passwd"}"#)),
        ("+491701234567", post(FORM, &format!("phone=%2B491701234567{script}"))),
        ("ada.lovelace@example.org", post(FORM, &format!("mail=ada.lovelace@example.org{sql}"))),
        ("078-05-1120", post(FORM, &format!("q=078-05-1120{script}"))),
        ("DE89370400440532013000", post(multipart, &part("q", "DE89370400440532013000 <script>alert(1)</script>"))),
        ("multipartpassw0rd", post(multipart, &part("password", "multipartpassw0rd' UNION SELECT 1,2,3 FROM t-- "))),
        (
            "xmlsecretvalue",
            post("application/xml", "<a><password>xmlsecretvalue</password><b>' UNION SELECT 1,2,3 FROM t-- </b></a>"),
        ),
        ("4f1c9b0e7d2a4c6b8f0e1d3c", get(&format!("/?4f1c9b0e7d2a4c6b8f0e1d3c={script}"), "")),
        ("plaintextsecret", post("text/plain", "token=plaintextsecret&x=<script>alert(1)</script>")),
        ("591337", get(&format!("/?otp=591337{sql}"), "")),
        ("pathpassword1", get(&format!("/reset/pathpassword1?q={script}"), "")),
    ]
}

#[test]
fn no_secret_is_in_any_event() {
    let application = Application::answering(OK);
    for paranoia in [1, 2] {
        let (house, kept) = house(&application, paranoia);
        let planted = planted();
        assert!(planted.len() >= 20);
        for (_, request) in &planted {
            refused(&house, request);
        }
        let events = house.close();
        assert_eq!(events.iter().filter(|event| event["findings"].is_object()).count(), planted.len(), "{events:#?}");
        let (log, ledger) = (serde_json::to_string(&events).unwrap(), kept.0.lock().unwrap());
        let ledger = String::from_utf8_lossy(&ledger);
        for (secret, _) in planted {
            // Not whole, and none of its longer words either.
            let words = secret.split(|letter: char| !letter.is_ascii_alphanumeric());
            let words = words.filter(|word| word.len() >= 4 && !["table", "union", "select", "example"].contains(word));
            for word in words.chain([secret]) {
                assert!(
                    !log.contains(word) && !ledger.contains(word),
                    "{word} of {secret} is in an event:\n{events:#?}"
                );
            }
        }
        // Of the one that is made of words of attacks, nothing either.
        assert!(!log.contains("drop-") && !ledger.contains("drop-"), "{events:#?}");
    }
}

#[test]
fn an_event_stays_small_whatever_is_found() {
    let application = Application::answering(OK);
    let (house, kept) = house(&application, 2);
    let attack = "%00%01%02'+UNION+SELECT+1;cat+/etc/passwd|<script>alert(1)</script>${jndi:ldap://x}";
    let pairs: Vec<_> = (0..400).map(|number| format!("a{number}={attack}{number}")).collect();
    let answer = house.exchange(&post(FORM, &pairs.join("&")));
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    house.close();
    let length = kept.0.lock().unwrap().len();
    assert!(length < 16 * 1024, "{length}");
}
