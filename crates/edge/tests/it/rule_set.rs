//! Rules before they get traffic: pinned, tried, with a canary each; and exchanged while the gateway serves.

use std::collections::BTreeMap;
use std::sync::Arc;

use reeve_base::SystemClock;
use reeve_edge::{
    Canary, CustomRules, RuleFiles, RuleSet, RuleShelf, SelfTest, StartError, TestShelf, WafError, WafSettings,
};
use reeve_policy::catalogue::{Control, Controls, WafAttackSet, WafCustom};
use reeve_waf::{OWN_RULES, Source, SourceError};

use crate::application::Application;
use crate::house::{House, upstream};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nok";

#[derive(Debug)]
struct Texts(BTreeMap<&'static str, String>);

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
        let rules = self.0.keys().filter(|name| name.ends_with(".conf")).map(|name| (*name).to_owned()).collect();
        Ok(RuleFiles { set_up: Vec::new(), rules })
    }
}

impl TestShelf for Texts {
    fn files(&self) -> Result<Vec<(String, Vec<u8>)>, String> {
        Ok(self.0.iter().map(|(name, text)| ((*name).to_owned(), text.clone().into_bytes())).collect())
    }
}

fn texts(files: &[(&'static str, &str)]) -> Arc<Texts> {
    Arc::new(Texts(files.iter().map(|(name, text)| (*name, (*text).to_owned())).collect()))
}

fn named(rules: &str) -> WafSettings {
    WafSettings { rules: Some(texts(&[("our.conf", rules)])), ..WafSettings::default() }
}

/// Rules too few for the self-test.
fn untried(rules: &str) -> WafSettings {
    WafSettings { self_test: SelfTest::LeftOut, ..named(rules) }
}

fn canary(rule: u32, attack: &str, twin: &str) -> Canary {
    Canary { app: String::from("default"), rule, attack: attack.to_owned(), twin: twin.to_owned() }
}

fn with_custom(rules: &str, canaries: Vec<Canary>) -> WafSettings {
    WafSettings {
        custom: vec![CustomRules { shelf: texts(&[("own.conf", rules)]), canaries }],
        ..WafSettings::default()
    }
}

fn attacks() -> Controls {
    let mut controls = Controls::default();
    controls.demand(&Control::WafAttackSet(WafAttackSet::default()));
    controls
}

fn attacks_and_custom() -> Controls {
    let mut controls = attacks();
    controls.demand(&Control::WafCustom(WafCustom::default()));
    controls
}

fn prepared(settings: &WafSettings, controls: &Controls) -> Result<Arc<RuleSet>, WafError> {
    RuleSet::prepare(settings, controls, &SystemClock::new()).map(Option::unwrap)
}

#[track_caller]
fn refused(settings: &WafSettings, controls: &Controls, expected: &str) {
    let error = prepared(settings, controls).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[track_caller]
fn status(house: &House, target: &str, expected: u16) {
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let answer = house.exchange(&request);
    assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{target}\n{answer}");
}

const ORDERS: &str = "SecRule ARGS:id \"!@rx ^[0-9]+$\" \"id:1000,phase:2,deny,status:403,t:none,log\"\n";

#[test]
fn a_digest_is_of_every_file_that_is_read() {
    let files = |rule: &str, words: &str| WafSettings {
        rules: Some(texts(&[("a.conf", rule), ("words.data", words)])),
        self_test: SelfTest::LeftOut,
        ..WafSettings::default()
    };
    let rule = "SecRule ARGS \"@pmFromFile words.data\" \"id:1,phase:2,deny,t:none\"\n";
    let facts = |settings: &WafSettings| prepared(settings, &attacks()).unwrap().facts().clone();
    let first = facts(&files(rule, "one\n"));
    let names: Vec<_> = first.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["a.conf", "words.data"]);
    assert_eq!(first, facts(&files(rule, "one\n")));
    assert_ne!(first.digest, facts(&files(rule, "two\n")).digest);
    assert_ne!(first.digest, facts(&files(&format!("{rule}# more\n"), "one\n")).digest);
    let own = facts(&WafSettings::default());
    assert_eq!((own.files.len(), own.origin.name()), (1, "built-in"));
    assert!(own.made.is_some());
}

#[test]
fn other_rules_than_those_that_are_pinned_do_not_run() {
    let digest = prepared(&untried(ORDERS), &attacks()).unwrap().facts().digest.clone();
    let pinned = |rules| WafSettings { digest: Some(digest.clone()), ..untried(rules) };
    prepared(&pinned(ORDERS), &attacks()).unwrap();
    let changed = format!("{ORDERS}SecRuleRemoveById 1000\n");
    refused(&pinned(&changed), &attacks(), &format!("pinned is {digest}"));

    let application = Application::answering(OK);
    let mut house = House::with(upstream(application.address), &attacks());
    house.settings.waf = pinned(ORDERS);
    house.gateway().reload(&house.settings, &attacks()).unwrap();
    status(&house, "/?id=x", 403);
    house.settings.waf = pinned(&changed);
    let error = house.gateway().reload(&house.settings, &attacks()).unwrap_err();
    assert!(matches!(error, StartError::Waf(WafError::Digest { .. })), "{error}");
    status(&house, "/?id=x", 403);
    status(&house, "/?id=1", 200);
}

#[test]
fn rules_that_let_attacks_pass_do_not_run() {
    refused(&named(ORDERS), &attacks(), "SQL injection in the query is not refused");
    prepared(&named(OWN_RULES), &attacks()).unwrap();
    let disarmed = format!("{OWN_RULES}\nSecRuleRemoveById 9709000-9709999\n");
    refused(&named(&disarmed), &attacks(), "decides by what others have found");
    let blind = format!("{OWN_RULES}\nSecRuleRemoveById 9701000-9701299\n");
    refused(&named(&blind), &attacks(), "do not stand their self-test");
    refused(&named("SecAction \"id:1,phase:1,deny\"\n"), &attacks(), "is refused by rule 1");
    let mut high = Controls::default();
    high.demand(&Control::WafAttackSet(WafAttackSet { threshold: 500, ..WafAttackSet::default() }));
    refused(&WafSettings::default(), &high, "is not refused");
}

#[test]
fn rules_that_fail_their_own_tests_do_not_run() {
    let test = |id: u32| {
        format!(
            "rule_id: 1000\ntests:\n  - test_id: 1\n    stages:\n      - input: {{uri: '/?id=x', headers: {{Host: localhost}}}}\n        output: {{log: {{expect_ids: [{id}]}}}}\n"
        )
    };
    let with = |text: &str| WafSettings { tests: Some(texts(&[("t.yaml", text)])), ..untried(ORDERS) };
    prepared(&with(&test(1000)), &attacks()).unwrap();
    refused(&with(&test(1001)), &attacks(), "1000-1 of t.yaml");
    refused(&with("rule_id: [\n"), &attacks(), "t.yaml: ");
    refused(&with(&test(1000).replace("expect_ids", "expect_id")), &attacks(), "is it misspelt");
}

#[test]
fn each_rule_of_an_application_has_a_canary_that_sings() {
    let controls = attacks_and_custom();
    let good = || canary(1000, "/orders?id=x", "/orders?id=1");
    prepared(&with_custom(ORDERS, vec![good()]), &controls).unwrap();
    refused(&with_custom(ORDERS, Vec::new()), &controls, "rule 1000 of `own.conf` line 1 has no canary");
    refused(&with_custom(ORDERS, vec![canary(1000, "/orders?id=7", "/orders?id=1")]), &controls, "nothing does");
    refused(
        &with_custom(ORDERS, vec![canary(1000, "/orders?id=x", "/orders?id=y")]),
        &controls,
        "the twin `/orders?id=y`",
    );
    // Refused, but by others.
    let sql = canary(1000, "/?q=1'%20UNION%20SELECT%20a,b%20FROM%20users--%20", "/orders?id=1");
    refused(&with_custom(ORDERS, vec![sql]), &controls, "does not refuse its canary");
    // What only counts needs none.
    let counts = "SecRule ARGS:id \"@streq a\" \"id:1001,phase:2,pass,setvar:tx.inbound_anomaly_score_pl1=+3\"\n";
    prepared(&with_custom(&format!("{ORDERS}{counts}"), vec![good()]), &controls).unwrap();
}

#[test]
fn rules_of_applications_run_after_the_others_where_they_are_promised() {
    let application = Application::answering(OK);
    let waf = with_custom(ORDERS, vec![canary(1000, "/orders?id=x", "/orders?id=1")]);
    let mut house = House::with(upstream(application.address), &attacks());
    house.settings.waf = waf;
    house.gateway().reload(&house.settings, &attacks()).unwrap();
    status(&house, "/orders?id=x", 200);
    house.gateway().reload(&house.settings, &attacks_and_custom()).unwrap();
    status(&house, "/orders?id=x", 403);
    status(&house, "/orders?id=1", 200);
    status(&house, "/?q=%3Cscript%3Ealert(1)%3C/script%3E", 403);
    // And where nothing else is promised.
    let mut alone = Controls::default();
    alone.demand(&Control::WafCustom(WafCustom::default()));
    house.gateway().reload(&house.settings, &alone).unwrap();
    status(&house, "/orders?id=x", 403);
    status(&house, "/?q=%3Cscript%3Ealert(1)%3C/script%3E", 200);
}

#[test]
fn rules_are_exchanged_while_the_gateway_serves() {
    let application = Application::answering(OK);
    let mut house = House::with(upstream(application.address), &attacks());
    house.settings.waf = untried(ORDERS);
    house.gateway().reload(&house.settings, &attacks()).unwrap();
    let firewall = house.gateway().firewall();
    let before = firewall.facts().unwrap();
    status(&house, "/?id=x", 403);
    let newer = prepared(&untried(&ORDERS.replace("ARGS:id", "ARGS:number")), &attacks()).unwrap();
    assert!(firewall.exchange(&newer));
    status(&house, "/?id=x", 200);
    status(&house, "/?number=x", 403);
    assert_ne!(firewall.facts().unwrap().digest, before.digest);
    // Made for another promise than the one that holds by now.
    let other = prepared(&with_custom("", Vec::new()), &attacks_and_custom()).unwrap();
    assert!(!firewall.exchange(&other));
    status(&house, "/?number=x", 403);
    // Rules that were tried already are not read again.
    house.settings.waf = WafSettings { prepared: Some(newer), ..untried("SecNonsense\n") };
    house.gateway().reload(&house.settings, &attacks()).unwrap();
    status(&house, "/?number=x", 403);
}
