//! The self-test of rules that do their work, and of rules that do not.

use super::*;
use crate::engine::Options;
use crate::rule::EngineMode;
use crate::seclang::{Source, SourceError};
use crate::{BASE_RULES, OWN_RULES};

/// Texts by name.
struct Texts<'t>(&'t [(&'t str, &'t str)]);

impl Source for Texts<'_> {
    fn read(&self, name: &str, _: Option<&str>) -> Result<Vec<u8>, SourceError> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found
            .map(|(_, text)| text.as_bytes().to_vec())
            .ok_or_else(|| SourceError { name: name.to_owned(), cause: String::from("no such file") })
    }

    fn list(&self, pattern: &str, _: Option<&str>) -> Result<Vec<String>, SourceError> {
        Ok(vec![pattern.to_owned()])
    }
}

fn engine(set_up: &str, rules: &str) -> Engine {
    let source = Texts(&[("set-up", set_up), ("rules", rules)]);
    let options = Options { mode: Some(EngineMode::On), ..Options::default() };
    Engine::load(&["set-up", "rules"], &source, options).unwrap()
}

fn with_threshold(threshold: u32) -> String {
    format!("SecAction \"id:1,phase:1,pass,nolog,setvar:tx.inbound_anomaly_score_threshold={threshold}\"")
}

#[test]
fn the_rules_that_are_built_in_stand_it_at_both_levels() {
    for level in [1, 2] {
        let set_up = format!("SecAction \"id:1,phase:1,pass,nolog,setvar:tx.blocking_paranoia_level={level}\"");
        let stood = run(&engine(&set_up, OWN_RULES), 0, &mut || true);
        assert_eq!(stood, Ok(Stood { families: 11, requests: 56 }), "level {level}");
    }
}

#[test]
fn rules_that_refuse_nothing_do_not() {
    let lapses = run(&engine(BASE_RULES, ""), 0, &mut || true).unwrap_err();
    assert_eq!(lapses.len(), LAPSES_MAX);
    assert_eq!(lapses[0].to_string(), "SQL injection in the query is not refused");
}

#[test]
fn nor_do_rules_whose_threshold_is_never_reached() {
    let lapses = run(&engine(&with_threshold(500), OWN_RULES), 0, &mut || true).unwrap_err();
    assert!(lapses.iter().all(|lapse| matches!(lapse, Lapse::Passed { .. })), "{lapses:?}");
}

#[test]
fn nor_those_that_lack_one_family() {
    let without = format!("{OWN_RULES}\nSecRuleRemoveByTag \"attack-sqli\"\nSecRuleRemoveById 9701000-9701099\n");
    let lapses = run(&engine("", &without), 0, &mut || true).unwrap_err();
    let sql = |lapse: &Lapse| matches!(lapse, Lapse::Passed { family: "SQL injection", .. });
    assert!(lapses.iter().all(sql), "{lapses:?}");
}

#[test]
fn nor_those_that_refuse_everybody() {
    let everybody = "SecAction \"id:5,phase:1,deny,status:403\"";
    let lapses = run(&engine("", everybody), 0, &mut || true).unwrap_err();
    assert!(lapses.iter().all(|lapse| matches!(lapse, Lapse::Refused { rule: 5, .. })), "{lapses:?}");
}

#[test]
fn it_ends_when_its_time_is_over() {
    let mut left = 3;
    let mut go_on = || {
        left -= 1;
        left >= 0
    };
    let lapses = run(&engine("", OWN_RULES), 0, &mut go_on).unwrap_err();
    assert_eq!(lapses, [Lapse::OutOfTime { tried: 6, all: 56 }]);
}

#[test]
fn what_rules_say_of_one_request_is_told() {
    let rules = "SecRule ARGS:id \"@streq __canary__\" \"id:1000,phase:1,deny,status:403,nolog\"\n\
                 SecRule ARGS:id \"@streq seen\" \"id:1001,phase:1,pass,log\"";
    let engine = engine("", rules);
    let refused = asked(&engine, "/orders?id=__canary__", 0, 0);
    assert_eq!((refused.refused_by, refused.by(1000), refused.by(1001)), (Some(1000), true, false));
    let seen = asked(&engine, "/orders?id=seen", 0, 1);
    assert_eq!((seen.refused_by, seen.by(1001)), (None, true));
    assert_eq!(engine.refusing().map(|(id, place)| (id, place.line)).collect::<Vec<_>>(), [(1000, 1)]);
}
