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
