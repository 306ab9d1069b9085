//! Tests.

use crate::{Engine, EngineMode, Evidence, Facts, Options, Reason, RequestHead, Scratch, Source, SourceError};

struct Text<'t>(&'t str);

impl Source for Text<'_> {
    fn read(&self, _: &str, _: Option<&str>) -> Result<Vec<u8>, SourceError> {
        Ok(self.0.into())
    }

    fn list(&self, name: &str, _: Option<&str>) -> Result<Vec<String>, SourceError> {
        Ok(vec![name.into()])
    }
}

/// What rule 1 of `rules` found in a request for `target`, each place in a line.
fn told(rules: &str, target: &str) -> Vec<String> {
    let engine =
        Engine::load(&["rules"], &Text(rules), Options { mode: Some(EngineMode::On), ..Options::default() }).unwrap();
    let facts = Facts {
        remote_address: [192, 0, 2, 7].into(),
        remote_port: 1,
        server_address: [192, 0, 2, 1].into(),
        server_port: 443,
        unique_id: "1",
        seconds: 0,
    };
    let mut transaction = engine.begin(&facts, Scratch::default());
    let target = target.as_bytes();
    let headers = [(&b"Host"[..], &b"localhost"[..])];
    let head = RequestHead { line: target, method: b"GET", target, protocol: b"HTTP/1.1", headers: &headers };
    let _ = transaction.request_head(&head);
    let found = transaction.report().matches.iter().filter(|found| found.rule == 1);
    found
        .flat_map(|found| {
            let score = found.score;
            transaction.evidence(found).iter().map(|evidence| line(evidence, score)).collect::<Vec<_>>()
        })
        .collect()
}

fn line(evidence: &Evidence<'_>, score: i64) -> String {
    let Evidence { link, variable, value, steps, span, reason } = evidence;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let steps: Vec<_> = steps.iter().map(|(how, after)| format!("{how}={}", text(after))).collect();
    let part = span.clone().map(|span| text(&evidence.tested()[span])).unwrap_or_default();
    let reason = match reason {
        Some(Reason::Phrase(text) | Reason::Form(text)) => text.clone(),
        Some(Reason::Script(what)) => (*what).to_owned(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    };
    format!("{link} {variable}={} [{}] {part}|{reason}|{score}", text(value), steps.join(" "))
}

#[track_caller]
fn check(rules: &str, target: &str, expected: &[&str]) {
    assert_eq!(told(rules, target), expected);
}

#[test]
fn the_way_from_the_value_that_came_to_what_was_tested() {
    let rule = r#"SecRule ARGS "@rx union +select" "id:1,phase:1,pass,log,t:none,t:urlDecodeUni,t:lowercase,t:removeNulls,setvar:tx.inbound_anomaly_score_pl1=+5""#;
    check(
        rule,
        "/?q=a%2520UNION%2520SELECT",
        &["0 ARGS:q=a%20UNION%20SELECT [urlDecodeUni=a UNION SELECT lowercase=a union select] union select||5"],
    );
    // What changes nothing is no step.
    check(rule, "/?q=union%20select", &["0 ARGS:q=union select [] union select||5"]);
    check(rule, "/?q=harmless", &[]);
    // The members of one name are told apart.
    check(rule, "/?q=no&q=UNION+SELECT&q=never", &["0 ARGS:q=UNION SELECT [lowercase=union select] union select||5"]);
}

#[test]
fn of_several_places_each_adds_and_a_few_are_told() {
    let rule = r#"SecRule ARGS "@contains x" "id:1,phase:1,pass,log,t:none,setvar:tx.inbound_anomaly_score_pl1=+2""#;
    let found = told(rule, "/?a=x&b=x&c=y&d=x&e=x&f=x&g=x");
    assert_eq!(found.len(), 4, "{found:?}");
    assert_eq!(found[0], "0 ARGS:a=x [] x||12");
}

#[test]
fn what_is_tested_on_the_way_is_the_end_of_it() {
    let rule =
        r#"SecRule ARGS "@contains %41" "id:1,phase:1,pass,log,multiMatch,t:none,t:urlDecodeUni,t:urlDecodeUni""#;
    check(rule, "/?q=%252541", &["0 ARGS:q=%2541 [urlDecodeUni=%41] %41||0"]);
}

#[test]
fn every_link_of_a_chain_is_told() {
    let rule = r#"
SecRule REQUEST_METHOD "@streq GET" "id:1,phase:1,pass,log,t:none,chain"
    SecRule ARGS "@pm select insert" "t:none,chain"
    SecRule MATCHED_VARS "@rx ;" "t:none,setvar:tx.inbound_anomaly_score_pl1=+5""#;
    check(
        rule,
        "/?q=SELECT;&r=insert",
        &[
            "0 REQUEST_METHOD=GET [] GET||5",
            "1 ARGS:q=SELECT; [] SELECT|select|5",
            "1 ARGS:r=insert [] insert|insert|5",
            "2 ARGS:q=SELECT; [] ;||5",
        ],
    );
}

#[test]
fn what_decided_is_told_in_words() {
    let rule = |operator: &str| format!("SecRule ARGS \"{operator}\" \"id:1,phase:1,pass,log,t:none\"");
    check(&rule("@detectSQLi"), "/?q=1'+OR+'1'='1", &["0 ARGS:q=1' OR '1'='1 [] |s&sos|0"]);
    check(&rule("@detectXSS"), "/?q=<script>", &["0 ARGS:q=<script> [] |a tag that runs script|0"]);
    check(&rule("@detectXSS"), "/?q=x+onload%3Dy", &["0 ARGS:q=x onload=y [] |an attribute that runs script|0"]);
    check(&rule("@validateByteRange 32-126"), "/?q=a%00b", &["0 ARGS:q=a\0b [] \0|Byte(0)|0"]);
    check("SecRule &ARGS \"@gt 1\" \"id:1,phase:1,pass,log,t:none\"", "/?a=1&b=2", &["0 &ARGS=2 [] ||0"]);
    check(&rule("!@rx ^a"), "/?q=b", &["0 ARGS:q=b [] ||0"]);
}

#[test]
fn what_a_rule_writes_itself_is_told_as_it_was_tested() {
    let rule = r#"
SecAction "id:2,phase:1,pass,nolog,t:none,setvar:tx.score=7"
SecRule TX:score "@ge 5" "id:1,phase:1,deny,log,t:none""#;
    check(rule, "/", &["0 TX:score=7 [] ||0"]);
}
