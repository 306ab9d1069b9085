//! Tests.

use reeve_base::{SystemClock, Ticks};
use reeve_policy::catalogue::Control;

use super::*;

struct At(Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }

    fn ticks(&self) -> Ticks {
        Ticks::default()
    }
}

fn waf(detect_only: Vec<DetectOnly>) -> Arc<Waf> {
    let mut controls = Controls::default();
    controls.demand(&Control::WafAttackSet(WafAttackSet::default()));
    Waf::new(&WafSettings { detect_only, ..WafSettings::default() }, &controls, &SystemClock::new()).unwrap().unwrap()
}

#[test]
fn without_the_control_there_is_none() {
    assert!(Waf::new(&WafSettings::default(), &Controls::default(), &SystemClock::new()).unwrap().is_none());
    assert!(waf(Vec::new()).engine().rules() > 3);
}

#[test]
fn detection_is_for_a_path_as_it_is_spelled_and_until_a_day() {
    let until: Timestamp = "2027-02-01T00:00:00Z".parse().unwrap();
    let waf = waf(vec![DetectOnly { path: String::from("/legacy"), until }]);
    let before: Timestamp = "2027-01-31T23:59:59Z".parse().unwrap();
    for path in ["/legacy", "/legacy/", "/legacy/a"] {
        assert!(waf.only_detects(path, before), "{path}");
        assert!(!waf.only_detects(path, until), "{path}");
    }
    let whole = self::waf(vec![DetectOnly { path: String::from("/"), until }]);
    for path in ["/", "/legacy/../admin", "/legacy/%2e%2e/admin", "*"] {
        assert!(whole.only_detects(path, before), "{path}");
        assert!(!whole.only_detects(path, until), "{path}");
    }
    for path in ["/", "/legacyx", "/legacy/../admin", "/legacy/%2e%2e/admin", "/legacy;a/b", "//legacy"] {
        assert!(!waf.only_detects(path, before), "{path}");
    }
}

fn exclude(path: &str, method: Option<&str>, until: Timestamp) -> Exclude {
    Exclude {
        rules: vec![9_701_000],
        path: String::from(path),
        method: method.map(str::to_owned),
        variable: Some(String::from("ARGS:q")),
        whole: false,
        until,
    }
}

#[test]
fn an_exclusion_is_for_a_path_a_method_and_until_a_day() {
    let until: Timestamp = "2027-02-01T00:00:00Z".parse().unwrap();
    let before: Timestamp = "2027-01-31T23:59:59Z".parse().unwrap();
    let search = exclude("/search", None, until);
    for path in ["/search", "/search/", "/search/a"] {
        assert!(search.covers("GET", path, before), "{path}");
        assert!(!search.covers("GET", path, until), "{path}");
    }
    for path in ["/", "/searchx", "/search/../admin", "/search/%2e%2e/admin", "/search;a/b", "//search", "/Search"] {
        assert!(!search.covers("GET", path, before), "{path}");
    }
    let post = exclude("/search", Some("POST"), until);
    assert!(post.covers("POST", "/search", before) && !post.covers("GET", "/search", before));
    assert_eq!(post.to_string(), "9701000 at ARGS:q under /search, only POST");
}

#[test]
fn exclusions_are_checked_and_those_that_have_ended_are_passed_by() {
    let mut controls = Controls::default();
    controls.demand(&Control::WafAttackSet(WafAttackSet::default()));
    let until: Timestamp = "2027-02-01T00:00:00Z".parse().unwrap();
    let decides = Exclude { rules: vec![9_709_019, 12], variable: None, ..exclude("/x", None, until) };
    let settings = WafSettings { exclude: vec![exclude("/search", None, until), decides], ..WafSettings::default() };
    let error = Waf::new(&settings, &controls, &At(Timestamp::UNIX_EPOCH)).unwrap_err();
    let WafError::Exclusions(errors) = &error else { panic!("{error}") };
    assert_eq!(errors.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1, 1]);
    assert!(error.to_string().contains("rule 9709019 decides"), "{error}");
    assert!(Waf::verify(&settings, &controls, &At(Timestamp::UNIX_EPOCH)).is_err());
    let waf = Waf::new(&settings, &controls, &At(until)).unwrap().unwrap();
    assert_eq!(waf.excluding(until).count(), 0);
    let settings = WafSettings { exclude: vec![exclude("/search", None, until)], ..WafSettings::default() };
    let waf = Waf::new(&settings, &controls, &At(Timestamp::UNIX_EPOCH)).unwrap().unwrap();
    assert_eq!((waf.excluding(Timestamp::UNIX_EPOCH).count(), waf.excluding(until).count()), (1, 0));
}
