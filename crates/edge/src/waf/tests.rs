//! Tests.

use reeve_base::SystemClock;
use reeve_policy::catalogue::Control;

use super::*;

fn waf(detect_only: Vec<DetectOnly>) -> Arc<Waf> {
    let mut controls = Controls::default();
    controls.demand(&Control::WafAttackSet(WafAttackSet::default()));
    Waf::new(&WafSettings { detect_only, ..WafSettings::default() }, &controls, &SystemClock::new()).unwrap().unwrap()
}

#[test]
fn without_the_control_there_is_none() {
    assert!(Waf::new(&WafSettings::default(), &Controls::default(), &SystemClock::new()).unwrap().is_none());
    assert!(waf(Vec::new()).engine.rules() > 3);
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
    for path in ["/", "/legacyx", "/legacy/../admin", "/legacy/%2e%2e/admin", "/legacy;a/b", "//legacy"] {
        assert!(!waf.only_detects(path, before), "{path}");
    }
}
