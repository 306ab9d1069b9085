//! Tests.

use crate::seclang::{Source, SourceError};
use crate::{Engine, OWN_RULES, Options};

struct Texts<'t>(&'t str);

impl Source for Texts<'_> {
    fn read(&self, name: &str, _: Option<&str>) -> Result<Vec<u8>, SourceError> {
        Ok(if name == "own" { OWN_RULES } else { self.0 }.as_bytes().to_vec())
    }

    fn list(&self, pattern: &str, _: Option<&str>) -> Result<Vec<String>, SourceError> {
        Ok(vec![pattern.to_owned()])
    }
}

/// What is said of rules that stand behind the built-in ones: whether nothing is refused any more, or sometimes.
#[track_caller]
fn check(text: &str, always: &[&str], sometimes: &[&str]) {
    let engine = Engine::load(&["own", "more.conf"], &Texts(text), Options::default()).unwrap();
    let told = |faults: &[crate::Fault]| {
        faults.iter().map(|fault| format!("{}: {}", fault.place.line, fault.message)).collect::<Vec<_>>()
    };
    assert_eq!(told(engine.disarmed()), always, "{text}");
    assert_eq!(told(engine.disarmed_sometimes()), sometimes, "{text}");
}

#[test]
fn rules_that_are_armed_say_nothing() {
    check("", &[], &[]);
    check("SecRuleRemoveById 9701000-9701007\nSecRuleUpdateTargetById 9701100 \"!ARGS:q\"", &[], &[]);
    check("SecRule REQUEST_URI \"@beginsWith /x\" \"id:1,phase:1,pass,nolog,ctl:ruleRemoveById=9701000\"", &[], &[]);
    check("SecRule ARGS \"@rx x\" \"id:1,phase:2,deny\"\nSecRuleRemoveById 1", &[], &[]);
}

#[test]
fn a_decision_that_is_taken_away_is_told() {
    let gone = "1: rule 9709019 decides by what others have found: without it nothing is refused";
    check("SecRuleRemoveById 9709019", &[gone], &[]);
    check("SecRuleUpdateActionById 9709019 \"pass\"", &[gone], &[]);
    check(
        "SecRuleRemoveByTag \"reeve/decision\"",
        &[&gone.replace("9709019", "9709009"), gone],
        &[&gone.replace("9709019", "9709029")],
    );
    // What refuses instead is armed.
    let own = "SecRule TX:blocking_inbound_anomaly_score \"@ge 5\" \"id:1,phase:2,deny\"\nSecRuleRemoveById 9709019";
    check(own, &[], &[&gone.replace("1:", "2:")]);
    // The answer's is one for itself.
    check("SecRuleRemoveById 9709029", &[], &[&gone.replace("9709019", "9709029")]);
}

#[test]
fn an_engine_that_is_switched_off_is_told() {
    let off = "`ctl:ruleEngine` switches the rules off";
    let always = format!("1: {off}, for every request");
    let sometimes = format!("1: {off}, where this rule matches");
    check("SecAction \"id:1,phase:1,pass,nolog,ctl:ruleEngine=Off\"", &[&always], &[]);
    check("SecAction \"id:1,phase:1,pass,nolog,ctl:ruleEngine=DetectionOnly\"", &[&always], &[]);
    check("SecRule ARGS \"@unconditionalMatch\" \"id:1,phase:1,pass,nolog,ctl:ruleEngine=Off\"", &[&always], &[]);
    check("SecRule REQUEST_URI \"@beginsWith /x\" \"id:1,phase:1,pass,nolog,ctl:ruleEngine=Off\"", &[], &[&sometimes]);
    check("SecAction \"id:1,phase:5,pass,nolog,ctl:ruleEngine=Off\"", &[], &[]);
    let taken = "1: `ctl` takes rule 9709019 away, which decides by what others have found: without it nothing is refused, where this rule matches";
    check(
        "SecRule REQUEST_URI \"@beginsWith /x\" \"id:1,phase:1,pass,nolog,ctl:ruleRemoveById=9709019\"",
        &[],
        &[taken],
    );
    let taken = taken.replace(", where this rule matches", ", for every request");
    check("SecAction \"id:1,phase:1,pass,nolog,ctl:ruleRemoveById=9709019\"", &[&taken], &[]);
}
