//! `reeve waf explain` on events in an access log, and on requests that are brought.

use std::fs;

use tempfile::TempDir;

use crate::transcript::{Run, root, run, transcript};

/// Three rules: one that adds up, one that is a chain, one that decides.
const RULES: &str = r#"
SecRule ARGS|REQUEST_COOKIES "@rx (?i:union\s+(?:all\s+)?select)" "id:1001,phase:2,pass,log,t:none,t:urlDecodeUni,t:lowercase,msg:'Query of another table',severity:'CRITICAL',tag:'attack-sqli',tag:'paranoia-level/1',setvar:tx.inbound_anomaly_score_pl1=+5"
SecRule REQUEST_METHOD "@streq POST" "id:1002,phase:2,pass,log,t:none,msg:'A form with a tool in it',severity:'WARNING',tag:'paranoia-level/2',chain"
    SecRule ARGS "@pm curl wget" "t:none,setvar:tx.inbound_anomaly_score_pl1=+3"
SecRule TX:inbound_anomaly_score_pl1 "@ge %{tx.inbound_anomaly_score_threshold}" "id:1009,phase:2,deny,status:403,t:none,log,msg:'Too much of it'"
SecRule ARGS:canary "@streq sings" "id:1010,phase:2,deny,status:406,t:none,log,msg:'canary'"
"#;

const REFUSED: &str = r#"{"time":"2026-11-22T10:11:12.345678Z","id":"01M807ENJGATBQ3BM400000001","activity":"http.request","actor":"192.0.2.7","action":"POST","object":"/search?q","outcome":"refused","control":"waf.attack_set","cause":"rules 1001, 1002, 1009 at ARGS:q, score 8","status":403,"duration_us":310,"findings":{"rules":"0123456789abcdef","rule":1009,"score":8,"threshold":5,"found":[{"rule":1001,"score":5,"hits":[{"at":"ARGS:q","slice":"x%27 UNION%20SELECT xxxx FROM …","steps":[{"how":"urlDecodeUni","slice":"x' UNION SELECT xxxx FROM …"},{"how":"lowercase","slice":"x' union select xxxx from …"}]},{"at":"REQUEST_COOKIES:session","slice":"…"}]},{"rule":1002,"score":3,"hits":[{"at":"REQUEST_METHOD","slice":"POST","by":"phrase `post`"},{"link":1,"at":"ARGS:q","slice":"xx; curl xxxxx","by":"phrase `curl`"}]},{"rule":4711,"hits":[{"at":"ARGS:…","slice":""}]},{"rule":1009,"hits":[{"at":"TX:inbound_anomaly_score_pl1","slice":"8"}]}],"more":2}}"#;
const DETECTED: &str = r#"{"time":"2026-11-22T10:11:13Z","id":"01M807ENJGATBQ3BM400000002","activity":"http.request","actor":"192.0.2.7","action":"GET","object":"/trial?canary","outcome":"detected","control":"waf.attack_set","cause":"rule 1010 at ARGS:canary","status":200,"duration_us":310,"findings":{"rules":"0123456789abcdef","rule":1010,"score":0,"threshold":5,"found":[{"rule":1010,"hits":[{"at":"ARGS:canary","slice":"sings"}]}]}}"#;
const TOO_LARGE: &str = r#"{"time":"2026-11-22T10:11:14Z","id":"01M807ENJGATBQ3BM400000003","activity":"http.request","actor":"192.0.2.7","action":"POST","object":"/","outcome":"refused","control":"waf.attack_set","cause":"a body of more than 1024 bytes is not looked into","status":413}"#;
const RATE: &str = r#"{"time":"2026-11-22T10:11:15Z","id":"01M807ENJGATBQ3BM400000004","activity":"http.request","actor":"192.0.2.7","action":"GET","object":"/","outcome":"refused","control":"rate.ip","cause":"rate used up, next request in 3 s","status":429}"#;
const STEERING: &str = r#"{"time":"x","id":"01M807ENJGATBQ3BM400000005","action":"GET","object":"/","actor":"a","outcome":"refused","control":"waf.attack_set","status":403,"findings":{"rules":"0","rule":1,"found":[{"rule":1,"hits":[{"at":"ARGS:\u001b[2J","slice":"\u001b]0;x","steps":[{"how":"\u001b","slice":"\u001b"}],"by":"\u001b"}]}]}}"#;
const GARBLED: &str =
    r#"{"id":"01M807ENJGATBQ3BM400000006","outcome":"refused","control":"waf.attack_set","findings":{"found":7}}"#;

/// A deployment with these rules whose access log holds these events. No gateway has run, so there is no ledger.
fn deployment() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(folder.path(), &["init", "--upstream", "http://127.0.0.1:9"], b"").code, 0);
    let settings = folder.path().join("reeve.toml");
    let text = fs::read_to_string(&settings).unwrap();
    let text = text.replace("# access = \"stdout\"", "access = \"access.log\"") + "\n[waf]\nrules = \"rules.conf\"\n";
    assert!(text.contains("access.log"), "{text}");
    fs::write(&settings, text).unwrap();
    fs::write(folder.path().join("rules.conf"), RULES).unwrap();
    let events =
        ["{\"activity\":\"log.lost\",\"lines\":3}", "no json", REFUSED, DETECTED, TOO_LARGE, RATE, STEERING, GARBLED];
    fs::write(folder.path().join("access.log"), events.join("\n") + "\n").unwrap();
    folder
}

fn explain(folder: &TempDir, args: &[&str]) -> Run {
    run(folder.path(), &[&["waf", "explain"], args].concat(), b"")
}

fn shown(folder: &TempDir, args: &[&str]) -> String {
    let path = folder.path().display().to_string();
    explain(folder, args).transcript().replace(&path, "[FOLDER]")
}

#[test]
fn a_refusal_is_explained_from_its_event() {
    let folder = deployment();
    insta::assert_snapshot!("waf-explain-refused", shown(&folder, &["01M807ENJGATBQ3BM400000001"]));
    insta::assert_snapshot!("waf-explain-refused-json", shown(&folder, &["--json", "01M807ENJGATBQ3BM400000001"]));
    // As problem details and small letters have it.
    let again = explain(&folder, &["urn:ulid:01m807enjgatbq3bm400000001"]);
    assert_eq!(again.stdout, explain(&folder, &["01M807ENJGATBQ3BM400000001"]).stdout);
}

#[test]
fn what_was_found_on_a_trial_route_and_what_no_rule_refused_is_explained() {
    let folder = deployment();
    insta::assert_snapshot!("waf-explain-detected", shown(&folder, &["01M807ENJGATBQ3BM400000002"]));
    insta::assert_snapshot!("waf-explain-too-large", shown(&folder, &["01M807ENJGATBQ3BM400000003"]));
}

#[test]
fn an_event_that_cannot_be_explained_is_refused_with_the_way_on() {
    let folder = deployment();
    let all = [
        shown(&folder, &["01M807ENJGATBQ3BM400000004"]),
        shown(&folder, &["01M807ENJGATBQ3BM400000006"]),
        shown(&folder, &["01M807ENJGATBQ3BM400000009"]),
        shown(&folder, &["812"]),
        shown(&folder, &[]),
        shown(&folder, &["--request", "nothing", "01M807ENJGATBQ3BM400000001"]),
    ];
    insta::assert_snapshot!("waf-explain-wrong", all.join("\n\n"));
}

#[test]
fn nothing_in_an_event_steers_the_terminal() {
    let folder = deployment();
    let outcome = explain(&folder, &["01M807ENJGATBQ3BM400000005"]);
    assert!(outcome.stdout.contains("ARGS:\u{fffd}[2J") && !outcome.stdout.contains("\u{1b}["), "{}", outcome.stdout);
}

#[test]
fn without_its_rules_an_event_is_explained_as_far_as_it_goes() {
    let folder = deployment();
    fs::write(folder.path().join("rules.conf"), "SecRule ARGS \"@nonsense\" \"id:1,phase:2,deny\"\n").unwrap();
    insta::assert_snapshot!("waf-explain-no-rules", shown(&folder, &["01M807ENJGATBQ3BM400000002"]));
}

/// A request as somebody writes it down, with one line end too many and no length.
const FORM: &str = "POST /search?page=2 HTTP/1.1\nHost: localhost\nContent-Type: application/x-www-form-urlencoded\n\nq=my+%2555NION+ALL+SELECT+card;wget\n";

fn replay(folder: &TempDir, request: &str, more: &[&str]) -> Run {
    run(folder.path(), &[&["waf", "explain", "--request", "-"], more].concat(), request.as_bytes())
}

#[test]
fn a_request_that_is_brought_is_explained_in_clear() {
    let folder = deployment();
    let path = folder.path().display().to_string();
    insta::assert_snapshot!("waf-explain-request", replay(&folder, FORM, &[]).transcript().replace(&path, "[FOLDER]"));
    let harmless = "GET /?q=union+station HTTP/1.1\r\nHost: localhost\r\n\r\n";
    insta::assert_snapshot!("waf-explain-harmless", replay(&folder, harmless, &[]).transcript());
    let json = replay(&folder, FORM, &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&json["decided"], &json["score"], &json["rules_changed"]), (&1009.into(), &8.into(), &false.into()));
    assert_eq!(json["rules"][0]["places"][0]["steps"][0]["how"], "urlDecodeUni");
    assert_eq!(json["rules"][1]["places"][1]["by"], "phrase `wget`");
}

#[test]
fn other_rules_need_no_deployment() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rules.conf"), RULES).unwrap();
    let canary = "GET /?canary=sings HTTP/1.1\nHost: localhost\n\n";
    let outcome = replay(&folder, canary, &["--rules", "rules.conf", "--paranoia", "2"]);
    assert!(
        outcome.stdout.contains("refused with 406")
            && outcome.stdout.contains("rules.conf:6\n")
            && outcome.stdout.contains("whatever the score"),
        "{}",
        outcome.stdout
    );
    let wrong = [
        replay(&folder, canary, &[]).transcript(),
        replay(&folder, canary, &["--rules", "nowhere"]).transcript(),
        replay(&folder, "hello\n", &["--rules", "rules.conf"]).transcript(),
        replay(&folder, "GET / HTTP/1.1\n\n", &["--rules", "rules.conf"]).transcript(),
    ];
    insta::assert_snapshot!("waf-explain-request-wrong", wrong.join("\n\n"));
}

#[test]
fn help_of_explain() {
    insta::assert_snapshot!("help-waf-explain", transcript(&root(), &["waf", "explain", "--help"]));
}
