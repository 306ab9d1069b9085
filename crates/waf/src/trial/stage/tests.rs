//! Whole tests, through an engine with a few rules.

use super::*;
use crate::engine::Options;
use crate::rule::EngineMode;
use crate::seclang::{Source, SourceError};
use crate::trial::{BASE, own_rules, read, setup};

const RULES: &str = r#"
SecRule REQUEST_URI "@contains attack" "id:1,phase:1,deny,status:403,log,t:none"
SecRule REQUEST_URI "@contains away" "id:2,phase:1,redirect:/there,status:302,log,t:none"
SecRule REQUEST_URI "@contains drop" "id:3,phase:1,drop,log,t:none"
SecRule REQUEST_URI "@streq /there" "id:4,phase:1,pass,log,t:none"
SecRule REQUEST_HEADERS:Cookie "@streq a=1; b=2" "id:5,phase:1,pass,log,t:none"
SecRule RESPONSE_STATUS "@eq 418" "id:6,phase:3,pass,log,t:none"
SecRule RESPONSE_BODY "@contains teapot" "id:7,phase:4,pass,log,t:none"
SecRule TX:blocking_paranoia_level "@eq 2" "id:8,phase:5,pass,log,t:none"
"#;

struct Texts;

impl Source for Texts {
    fn read(&self, name: &str, _: Option<&str>) -> Result<Vec<u8>, SourceError> {
        let text = match name {
            "base" => BASE.to_owned(),
            "setup" => setup(2),
            _ => RULES.to_owned(),
        };
        Ok(text.into_bytes())
    }

    fn list(&self, pattern: &str, _: Option<&str>) -> Result<Vec<String>, SourceError> {
        Ok(vec![pattern.to_owned()])
    }
}

/// What comes of the one test with these stages.
#[track_caller]
fn outcome(mode: EngineMode, stages: &str) -> Outcome {
    let options = Options { mode: Some(mode), ..Options::default() };
    let engine = Engine::load(&["base", "setup", "rules"], &Texts, options).unwrap();
    assert_eq!(engine.rules(), own_rules() + 8);
    let file = read(format!("rule_id: 9\ntests:\n- stages:\n{stages}").as_bytes()).unwrap();
    let bench = Bench { engine: &engine, seconds: 1_700_000_000, overrides: None };
    let mut scratch = Scratch::default();
    let first = run(&bench, &file.trials[0], &mut scratch);
    // What a transaction leaves behind changes nothing.
    assert_eq!(run(&bench, &file.trials[0], &mut scratch), first);
    first
}

#[track_caller]
fn passes(mode: EngineMode, stages: &str) {
    let outcome = outcome(mode, stages);
    assert!(matches!(outcome, Outcome::Passed(_)), "{outcome:?}");
}

#[test]
fn what_is_found_and_not_refused() {
    passes(
        EngineMode::DetectionOnly,
        "  - input: {uri: /attack, headers: {Host: h}}\n    output: {status: 200, log: {expect_ids: [1, 8], no_expect_ids: [2]}}\n",
    );
}

#[test]
fn what_is_refused_has_the_rules_status() {
    passes(
        EngineMode::On,
        "  - input: {uri: /attack, headers: {Host: h}}\n    output: {status: 403}\n\
        \x20 - input: {uri: /drop, headers: {Host: h}}\n    output: {expect_error: true}\n",
    );
}

#[test]
fn a_request_that_the_server_refuses_is_seen_by_no_rule() {
    let outcome =
        outcome(EngineMode::On, "  - input: {uri: /attack}\n    output: {status: 400, log: {expect_ids: [1]}}\n");
    let Outcome::Failed(staged) = outcome else { panic!("{outcome:?}") };
    assert_eq!((staged.unmet, staged.found.status), (vec![Unmet::Silent(vec![1])], Some(400)));
    assert!(staged.found.refused.unwrap().contains("Host"));
}

#[test]
fn a_stage_follows_the_one_before() {
    passes(
        EngineMode::On,
        "  - input: {uri: /away, headers: {Host: h}}\n    output: {status: 302}\n\
        \x20 - input: {uri: /no, follow_redirect: true, headers: {Host: h}}\n    output: {log: {expect_ids: [4]}}\n",
    );
    passes(
        EngineMode::DetectionOnly,
        "  - input: {headers: {Host: h}, response: {headers: {Set-Cookie: a=1; Path=/, set-cookie: b=2}}}\n\
        \x20   output: {status: 200}\n\
        \x20 - input: {save_cookie: true, headers: {Host: h}}\n    output: {log: {expect_ids: [5]}}\n",
    );
    let lost = outcome(
        EngineMode::On,
        "  - input: {headers: {Host: h}}\n    output: {}\n  - input: {follow_redirect: true}\n    output: {}\n",
    );
    assert!(matches!(lost, Outcome::Unjudged { .. }), "{lost:?}");
}

#[test]
fn answers_are_seen_by_rules() {
    passes(
        EngineMode::DetectionOnly,
        "  - input:\n      uri: /reflect\n      method: POST\n      headers: {Host: h}\n      autocomplete_headers: false\n\
        \x20     encoded_request: ''\n    output: {status: 400}\n\
        \x20 - input: {headers: {Host: h}, response: {status: 418, body: a teapot}}\n\
        \x20   output: {status: 418, response_contains: 'tea.ot', log: {expect_ids: [6, 7]}}\n",
    );
}

#[test]
fn what_cannot_be_judged_says_why() {
    for (stage, word) in [
        ("{input: {data: '{{ x }}'}, output: {status: 200}}", "template"),
        ("{input: {}, output: {log: {match_regex: '('}, status: 400}}", "pattern"),
        ("{input: {}, output: {isolated: true}}", "isolated"),
        ("{input: {}, output: {statuss: 200}}", "`statuss`"),
    ] {
        let outcome = outcome(EngineMode::On, &format!("  - {stage}\n"));
        assert!(matches!(&outcome, Outcome::Unjudged { cause } if cause.contains(word)), "{outcome:?}");
    }
}
