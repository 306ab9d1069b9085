//! `reeve waf test` on rules and tests of a few lines.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::transcript::{Run, root, run, transcript};

const RULES: &str = r#"
SecRule REQUEST_URI "@contains attack" "id:1001,phase:1,deny,status:403,log,msg:'An attack',logdata:'%{MATCHED_VAR}',t:none,t:lowercase"
SecRule REQUEST_HEADERS:User-Agent "@rx ^bad" "id:1002,phase:1,pass,log,msg:'A bad one',t:none"
SecRule RESPONSE_BODY "@contains secret" "id:2001,phase:4,deny,status:500,log,msg:'A leak',t:none"
"#;

const TESTS: &str = r"
rule_id: 1001
tests:
  - test_id: 1
    stages:
      - input: {uri: /ATTACK, headers: {Host: localhost}}
        output: {status: 200, log: {expect_ids: [1001], no_expect_ids: [1002]}}
  - test_id: 2
    stages:
      - input: {uri: /, headers: {Host: localhost, User-Agent: bad}}
        output: {log: {match_regex: 'id .1002.+msg .A bad one', no_expect_ids: [1001]}}
      - input: {uri: /attack, headers: {Host: localhost}}
        output: {isolated: true, log: {expect_ids: [1001]}}
  - test_id: 3
    stages:
      - input: {uri: /, version: HTTP/7.x}
        output: {status: 400}
";

const LEAKS: &str = r#"
rule_id: 2001
tests:
  - test_id: 1
    stages:
      - input:
          method: POST
          uri: /reflect
          headers: {Host: localhost, Content-Type: application/json}
          data: '{"body": "a secret"}'
        output: {status: 200, log: {expect_ids: [2001]}}
"#;

fn bench(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let written = [("rules.conf", RULES), ("tests/uri/1001.yaml", TESTS), ("tests/leak/2001.yml", LEAKS)];
    for (name, text) in written.iter().chain(files) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn test(folder: &Path, more: &[&str]) -> Run {
    run(folder, &[&["waf", "test", "--rules", "rules.conf", "tests"], more].concat(), b"")
}

#[test]
fn all_that_is_expected_is_found() {
    let folder = bench(&[]);
    insta::assert_snapshot!("waf-passed", test(folder.path(), &[]).transcript());
    let all = test(folder.path(), &["--json"]);
    let off = test(folder.path(), &["--json", "--prefilter", "off"]);
    assert_eq!((all.code, &all.stdout), (off.code, &off.stdout));
    let tests: serde_json::Value = serde_json::from_str(&all.stdout).unwrap();
    let tests = tests.as_array().unwrap();
    assert_eq!(tests.len(), 4);
    assert_eq!((&tests[0]["id"], &tests[0]["passed"]), (&"2001-1".into(), &true.into()));
    assert_eq!(tests[1]["expected"]["ids"][0], 1001);
    assert_eq!(tests[1]["found"]["ids"][0], 1001);
}

#[test]
fn what_is_not_found_is_named() {
    let folder = bench(&[(
        "tests/uri/1002.yaml",
        "rule_id: 1002\ntests:\n- stages:\n  - input: {headers: {Host: h}}\n    output: {log: {expect_ids: [1002]}}\n\
        - stages:\n  - input: {uri: /attack, headers: {Host: h, User-Agent: bad}}\n    output: {log: {no_expect_ids: [1001]}}\n",
    )]);
    insta::assert_snapshot!("waf-failed", test(folder.path(), &[]).transcript());
    insta::assert_snapshot!("waf-failed-json", test(folder.path(), &["--json", "--only", "1002-?"]).transcript());
    // With reasons they may stay.
    fs::write(
        folder.path().join("tests/own-overrides.yaml"),
        "test_overrides:\n- {rule_id: 1002, test_ids: [1], reason: 'not yet'}\n\
        - {rule_id: 1002, test_ids: [2], reason: both, output: {log: {expect_ids: [1001, 1002]}}}\n",
    )
    .unwrap();
    let overridden = test(folder.path(), &["--overrides", "tests/own-overrides.yaml"]);
    insta::assert_snapshot!("waf-overridden", overridden.transcript());
}

#[test]
fn rules_that_refuse_answer_for_the_application() {
    let folder = bench(&[]);
    let blocking = test(folder.path(), &["--mode", "blocking", "--json"]);
    let tests: serde_json::Value = serde_json::from_str(&blocking.stdout).unwrap();
    let status: Vec<_> = tests.as_array().unwrap().iter().map(|test| test["found"]["status"].clone()).collect();
    assert_eq!((status, blocking.code), (vec![500.into(), 403.into(), 403.into(), 400.into()], 1));
}

#[test]
fn what_cannot_be_judged_ends_with_two_and_the_rest_is_judged() {
    let folder = bench(&[
        ("tests/uri/broken.yaml", "rule_id: 1\ntests:\n  - test_id: x\n"),
        (
            "tests/uri/odd.yaml",
            "rule_id: 3\ntests:\n- stages: [{input: {}, output: {log: {expect_id: [1]}}}]\n\
            - stages: [{input: {data: '{{ nothing }}'}, output: {status: 200}}]\n\
            - stages: [{input: {headers: {Host: h}}, output: {}}]\n",
        ),
        ("tests/uri/empty.yaml", "# none\n"),
    ]);
    insta::assert_snapshot!("waf-unjudged", test(folder.path(), &[]).transcript());
}

#[test]
fn wrong_rules_and_missing_tests_are_said() {
    let folder = bench(&[("wrong.conf", "SecRule ARGS \"@rx x\" \"id:1,phase:1,pass\"\nSecNothing On\n")]);
    let wrong = run(folder.path(), &["waf", "test", "--rules", "wrong.conf", "tests"], b"");
    assert_eq!((wrong.code, wrong.stdout.as_str()), (2, ""));
    assert!(wrong.stderr.contains("wrong.conf:2: "), "{}", wrong.stderr);
    for (args, words) in [
        (&["--rules", "none", "tests"][..], "cannot read `none`"),
        (&["--rules", "rules.conf", "none"], "cannot read `none`"),
        (&["--rules", "tests", "tests"], "no rules in `tests`"),
        (&["--rules", "rules.conf", "rules.conf"], "rules.conf: line 2: "),
        (&["--rules", "rules.conf", "tests", "--only", "9*"], "no test has an id of the pattern"),
    ] {
        let refused = run(folder.path(), &[&["waf", "test"], args].concat(), b"");
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{args:?}");
        assert!(refused.stderr.contains(words), "{args:?}: {}", refused.stderr);
    }
}

#[test]
fn without_rules_those_run_that_are_built_in() {
    let test = "rule_id: 9701002\ntests:\n  - test_id: 1\n    stages:\n      - input: { uri: \"/?q=1%27%20union%20select%20password%20from%20users--\", headers: { Host: localhost } }\n        output: { status: 403 }\n";
    let folder = bench(&[("own.yaml", test)]);
    let own = run(folder.path(), &["waf", "test", "--mode", "blocking", "--paranoia", "1", "own.yaml"], b"");
    assert_eq!(own.code, 0, "{}{}", own.stdout, own.stderr);
    assert!(own.stderr.contains("rules from 1 file"), "{}", own.stderr);
}

#[test]
fn help() {
    insta::assert_snapshot!("help-waf-test", transcript(&root(), &["waf", "test", "--help"]));
    insta::assert_snapshot!("help-waf-suggest", transcript(&root(), &["waf", "suggest", "--help"]));
}

/// A deployment whose policy asks for the firewall, with rules of a few lines, too few for a self-test, and this at the end
/// of its settings.
fn guarded(more: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["init", "--quiet", "--from", "demo"], b"");
    fs::write(folder.path().join("tuned.conf"), TUNED).unwrap();
    let path = folder.path().join("reeve.toml");
    let settings = fs::read_to_string(&path).unwrap();
    let settings = format!("{settings}\n[waf]\nrules = \"tuned.conf\"\nself_test = false\n{more}");
    fs::write(&path, settings).unwrap();
    folder
}

const TUNED: &str = r#"
SecRule REQUEST_HEADERS:Content-Type "@contains json" "id:10,phase:1,pass,nolog,t:lowercase,ctl:requestBodyProcessor=JSON"
SecRule REQBODY_ERROR "!@eq 0" "id:20,phase:2,deny,status:400,log,t:none"
SecRule ARGS|REQUEST_COOKIES "@rx (?i)\bunion\s+select\b" "id:100,phase:2,pass,log,msg:'UNION SELECT',t:none,setvar:tx.score=+5"
SecRule ARGS "@detectSQLi" "id:101,phase:2,pass,log,msg:'SQL by its form',t:none,setvar:tx.score=+5"
SecRule ARGS|ARGS_NAMES "@contains <script" "id:102,phase:2,pass,log,msg:'Script',t:none,t:lowercase,setvar:tx.score=+5"
SecRule ARGS "@rx (\w+) or (\w+)" "id:103,phase:2,pass,log,msg:'Two words',capture,t:none,chain"
    SecRule TX:1 "@streq %{tx.2}" "t:none,setvar:tx.score=+5"
SecRule TX:score "@ge %{tx.inbound_anomaly_score_threshold}" "id:199,phase:2,deny,status:403,log"
"#;

const EVENTS: &str = r#"
{"time":"2026-11-20T10:00:00Z","id":"one","action":"POST","object":"/notes?draft=…","outcome":"refused","control":"waf.attack_set","cause":"rules 100, 101, 199 at ARGS:text, score 10"}
{"time":"2026-11-20T11:00:00Z","id":"two","action":"POST","object":"/notes","outcome":"detected","control":"waf.attack_set","cause":"rules 100, 199 at ARGS:text, score 5"}
{"time":"2026-11-20T12:00:00Z","id":"three","action":"POST","object":"/api","outcome":"refused","control":"waf.attack_set","cause":"x","findings":{"rules":"0","found":[{"rule":102,"score":5,"hits":[{"at":"ARGS:json.list.array_3.html"}]},{"rule":199,"hits":[]}]}}
{"time":"2026-11-20T13:00:00Z","id":"four","action":"GET","object":"/","outcome":"refused","control":"waf.attack_set","cause":"rules 103, 199, score 5"}
{"time":"2026-11-20T14:00:00Z","id":"five","action":"GET","object":"/old","outcome":"refused","control":"waf.attack_set","cause":"rules 77, 199 at ARGS:q, score 5"}
{"time":"2026-11-20T15:00:00Z","id":"six","action":"GET","object":"/","outcome":"refused","control":"rate.ip","cause":"60 in a minute"}
"#;

/// Days that move with the day on which this runs.
fn undated(transcript: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in transcript.lines() {
        lines.push(if line.starts_with("until ") {
            String::from("until    = \"[IN 90 DAYS]\"")
        } else {
            line.to_owned()
        });
    }
    lines.join("\n")
}

#[test]
fn exclusions_are_proposed_from_events() {
    let folder = guarded("");
    let found = run(folder.path(), &["waf", "suggest", "--from", "-"], EVENTS.as_bytes());
    insta::assert_snapshot!("waf-suggest-events", undated(&found.transcript()));
    let one = run(folder.path(), &["waf", "suggest", "three", "--from", "-", "--json"], EVENTS.as_bytes());
    let value: serde_json::Value = serde_json::from_str(&one.stdout).unwrap();
    let proposals = value["proposals"].as_array().unwrap();
    assert_eq!((one.code, proposals.len()), (0, 1));
    assert_eq!(proposals[0]["variable"], r"ARGS:/^json\.list\.array_\d+\.html$/");
    let none = run(folder.path(), &["waf", "suggest", "seven", "--from", "-"], EVENTS.as_bytes());
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("no event `seven`"), "{}", none.stderr);
}

#[test]
fn an_exclusion_for_a_request_is_as_narrow_as_it_can_be_and_fixes_it() {
    let folder = guarded("");
    let request = "POST /notes HTTP/1.1\nHost: shop.example\nContent-Type: application/x-www-form-urlencoded\n\ntitle=a+or+a&text=the+union+select+committee&other=union+select\n";
    fs::write(folder.path().join("refused.http"), request).unwrap();
    let found = run(folder.path(), &["waf", "suggest", "--request", "refused.http"], b"");
    insta::assert_snapshot!("waf-suggest-request", undated(&found.transcript()));
    // What was printed is sound as it is, and what it was proposed for passes with it.
    let path = folder.path().join("reeve.toml");
    let settings = fs::read_to_string(&path).unwrap();
    fs::write(&path, settings + &found.stdout).unwrap();
    assert_eq!(run(folder.path(), &["check"], b"").code, 0);
    let again = run(folder.path(), &["waf", "suggest", "--request", "refused.http"], b"");
    assert_eq!(again.code, 1);
    assert!(again.stdout.contains("is not refused by these rules"), "{}", again.stdout);
}

#[test]
fn exclusions_that_cannot_be_are_refused_with_place_and_remedy() {
    let entry = |rule: &str, more: &str| {
        format!("[[waf.exclude]]\nrule = {rule}\npath = \"/notes\"\n{more}reason = \"x\"\nuntil = \"2099-12-31\"\n")
    };
    let cases = [
        ("decides", entry("199", "")),
        (
            "several",
            entry("[10, 105]", "")
                + &entry("100", "variable = \"ARGS_NAMES:q\"\n")
                + &entry("100", "variable = \"ARGS\"\n"),
        ),
        (
            "sound",
            entry("[100, 101]", "variable = \"ARGS:q\"\n") + &entry("9", "").replace("2099", "2020") + &entry("20", ""),
        ),
    ];
    for (name, settings) in cases {
        let folder = guarded(&settings);
        insta::assert_snapshot!(format!("waf-exclude-{name}"), run(folder.path(), &["check"], b"").transcript());
    }
}

#[test]
fn rule_files_that_disarm_the_rules_are_refused_or_told_of() {
    for (name, line) in [
        ("removed", "SecRuleRemoveById 199"),
        ("off", "SecAction \"id:1,phase:1,pass,nolog,ctl:ruleEngine=Off\""),
        ("sometimes", "SecRule REQUEST_URI \"@beginsWith /quiet\" \"id:1,phase:1,pass,nolog,ctl:ruleRemoveById=199\""),
    ] {
        let folder = guarded("");
        fs::write(folder.path().join("tuned.conf"), format!("{TUNED}{line}\n")).unwrap();
        let path = folder.path().display().to_string();
        let transcript = run(folder.path(), &["check"], b"").transcript().replace(&path, "[FOLDER]");
        insta::assert_snapshot!(format!("waf-disarmed-{name}"), transcript);
    }
}

/// Pairs of a rule folder.
fn rule_folder() -> TempDir {
    bench(&[
        ("crs/crs-setup.conf", "SecComponentSignature \"EXAMPLE/1.2\"\n"),
        ("crs/rules/a.conf", "SecRule ARGS \"@pmFromFile words.data\" \"id:1,phase:2,deny,t:none\"\n"),
        ("crs/rules/words.data", "attack\n"),
        ("crs/README.md", "not read\n"),
    ])
}

#[test]
fn a_digest_is_of_what_is_read_wherever_it_lies() {
    let folder = rule_folder();
    let pin = |args: &[&str]| run(folder.path(), &[&["waf", "pin"], args].concat(), b"");
    insta::assert_snapshot!("waf-pin", pin(&["--rules", "crs"]).transcript());
    insta::assert_snapshot!("waf-pin-files", pin(&["--rules", "crs", "--files"]).transcript());
    let first = pin(&["--rules", "crs"]).stdout;
    fs::rename(folder.path().join("crs"), folder.path().join("elsewhere")).unwrap();
    assert_eq!(pin(&["--rules", "elsewhere"]).stdout, first);
    fs::write(folder.path().join("elsewhere/README.md"), "still not read").unwrap();
    assert_eq!(pin(&["--rules", "elsewhere"]).stdout, first);
    fs::write(folder.path().join("elsewhere/rules/words.data"), "attack\nanother\n").unwrap();
    assert_ne!(pin(&["--rules", "elsewhere"]).stdout, first);
}

#[test]
fn a_feed_is_signed_by_its_key_and_grows() {
    let folder = rule_folder();
    let feed = |args: &[&str]| run(folder.path(), &[&["waf", "feed"], args].concat(), b"");
    let key = feed(&["key", "--name", "rules.example.com/waf", "feed.key"]);
    assert!(key.code == 0 && key.stdout.starts_with("rules.example.com/waf+"), "{}", key.transcript());
    assert_ne!(feed(&["key", "--name", "x", "feed.key"]).code, 0, "a key is not written over");
    let sign = |key: &str| feed(&["sign", "crs", "--key", key, "--version", "1.2", "--out", "out"]);
    assert_eq!(sign("feed.key").code, 0);
    let first = fs::read_to_string(folder.path().join("out/feed.note")).unwrap();
    assert!(
        first.contains("\"serial\": 1") && first.contains("rules/words.data") && !first.contains("README"),
        "{first}"
    );
    assert_eq!(sign("feed.key").code, 0);
    assert!(fs::read_to_string(folder.path().join("out/feed.note")).unwrap().contains("\"serial\": 2"));
    assert_eq!(feed(&["key", "--name", "rules.example.com/waf", "other.key"]).code, 0);
    let stranger = sign("other.key");
    assert!(
        stranger.code != 0 && stranger.stderr.contains("sign with the key of the feed"),
        "{}",
        stranger.transcript()
    );
    insta::assert_snapshot!("waf-feed-no-key", sign("crs/README.md").transcript());
}
