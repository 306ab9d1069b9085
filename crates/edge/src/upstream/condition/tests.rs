use super::ServerState::{Sick, Up};
use super::*;

const SECOND: u64 = 1_000_000_000;

fn rule() -> CircuitRule {
    CircuitRule { failures: 3, window: Duration::from_secs(10), open: Duration::from_secs(5), errors_percent: None }
}

fn check_rule() -> HealthCheck {
    HealthCheck {
        path: String::from("/"),
        host: None,
        every: Duration::from_secs(5),
        timeout: Duration::from_secs(1),
        healthy: 2,
        unhealthy: 3,
    }
}

fn at(seconds: u64) -> Ticks {
    Ticks(seconds * SECOND)
}

fn fail(condition: &Arc<Condition>, failure: Failure, others: bool, now: Ticks) {
    condition.enter().failed(failure, Some(&rule()), now, || others);
}

#[test]
fn the_circuit_opens_at_the_last_failure_within_the_window() {
    let condition = Arc::new(Condition::default());
    fail(&condition, Failure::Unreachable, true, at(1));
    fail(&condition, Failure::Unreachable, true, at(2));
    assert_eq!(condition.readiness(at(2)), Readiness::Ready(0));
    // The first is out of the window by now.
    fail(&condition, Failure::Unreachable, true, at(12));
    assert_eq!(condition.readiness(at(12)), Readiness::Ready(0));
    fail(&condition, Failure::Unreachable, true, at(12));
    assert_eq!(condition.readiness(at(12)), Readiness::Shut(Duration::from_secs(5)));
    assert_eq!(condition.readiness(at(17)), Readiness::Due);
}

#[test]
fn one_at_a_time_may_try_and_each_failed_trial_doubles_the_wait_up_to_its_limit() {
    let condition = Arc::new(Condition::default());
    for _ in 0..3 {
        fail(&condition, Failure::Unreachable, true, at(1));
    }
    let mut now = at(6);
    for wait in [10, 20, 40, 60, 60] {
        let mut trial = condition.enter_trial().unwrap();
        assert!(condition.enter_trial().is_none(), "only one");
        trial.failed(Failure::Unreachable, Some(&rule()), now, || true);
        drop(trial);
        assert_eq!(condition.readiness(now), Readiness::Shut(Duration::from_secs(wait)));
        now = Ticks(now.0 + wait * SECOND);
        assert_eq!(condition.readiness(now), Readiness::Due);
    }
    condition.enter_trial().unwrap().answered(false, Some(&rule()), now, || true);
    assert_eq!(condition.readiness(now), Readiness::Ready(0));
}

#[test]
fn a_trial_that_nobody_waited_for_leaves_the_next_one_free() {
    let condition = Arc::new(Condition::default());
    for _ in 0..3 {
        fail(&condition, Failure::Unreachable, true, at(1));
    }
    drop(condition.enter_trial().unwrap());
    assert_eq!(condition.readiness(at(6)), Readiness::Due);
}

#[test]
fn what_a_request_can_bring_about_never_shuts_the_last_server() {
    let condition = Arc::new(Condition::default());
    for _ in 0..50 {
        fail(&condition, Failure::Bad, false, at(1));
    }
    assert_eq!(condition.readiness(at(1)), Readiness::Ready(0));
    fail(&condition, Failure::Bad, true, at(1));
    assert_eq!(condition.readiness(at(1)), Readiness::Shut(Duration::from_secs(5)));
}

#[test]
fn a_share_of_errors_opens_it_only_among_enough_answers_and_beside_others() {
    let rule = CircuitRule { errors_percent: Some(50), ..rule() };
    let condition = Arc::new(Condition::default());
    let answer = |error, others: bool| condition.enter().answered(error, Some(&rule), at(1), || others);
    for _ in 0..10 {
        answer(false, true);
    }
    for _ in 0..9 {
        answer(true, true);
    }
    assert_eq!(condition.readiness(at(1)), Readiness::Ready(0));
    answer(true, false);
    assert_eq!(condition.readiness(at(1)), Readiness::Ready(0));
    answer(true, true);
    assert_eq!(condition.readiness(at(1)), Readiness::Shut(Duration::from_secs(5)));
}

#[test]
fn checks_take_a_server_out_and_bring_it_back_after_so_many_in_a_row() {
    let rule = check_rule();
    let condition = Arc::new(Condition::default());
    let check = |good| {
        condition.end_check(good, &rule);
        condition.state()
    };
    let seen: Vec<_> =
        [false, false, true, false, false, false, true, false, true, true].into_iter().map(check).collect();
    assert_eq!(seen, [Up, Up, Up, Up, Up, Sick, Sick, Sick, Sick, Up]);
}

#[test]
fn a_check_begins_when_it_is_due_and_never_beside_another() {
    let condition = Condition::default();
    let rule = check_rule();
    assert!(condition.begin_check(rule.every, at(1)));
    assert!(!condition.begin_check(rule.every, at(9)), "one is under way");
    condition.end_check(true, &rule);
    assert!(!condition.begin_check(rule.every, at(5)));
    assert!(condition.begin_check(rule.every, at(6)));
}
