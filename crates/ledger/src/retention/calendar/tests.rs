use super::*;

const START: &str = "2026-03-01T12:00:00Z";

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

/// A calendar and the steady time that has passed since the start of its process.
struct Running {
    calendar: Calendar,
    ticks: u64,
}

impl Running {
    fn from(believed: Option<&str>, now: &str) -> Self {
        let kept = believed.map(|believed| Kept::since(at(believed)));
        Self { calendar: Calendar::begin(kept, at(now), Ticks(0)), ticks: 0 }
    }

    /// Steady time passes; then the wall clock says `now`.
    fn pass(&mut self, time: Duration, now: &str) {
        self.ticks += u64::try_from(time.as_nanos()).unwrap();
        self.calendar.observe(at(now), Ticks(self.ticks));
    }

    fn believes(&self) -> bool {
        self.calendar.doubt(Ticks(self.ticks)).is_none()
    }
}

#[track_caller]
fn check_start(believed: Option<&str>, now: &str, expected: bool) {
    assert_eq!(Running::from(believed, now).believes(), expected, "{believed:?} then {now}");
}

#[test]
fn at_a_start_a_clock_is_believed_up_to_a_day_ahead_and_an_hour_behind() {
    check_start(Some(START), START, true);
    check_start(Some(START), "2026-03-02T12:00:00Z", true);
    check_start(Some(START), "2026-03-02T12:00:01Z", false);
    check_start(Some(START), "2026-03-01T11:00:00Z", true);
    check_start(Some(START), "2026-03-01T10:59:59Z", false);
    check_start(None, START, false);
}

#[test]
fn a_running_clock_may_part_from_the_steady_one_by_an_hour() {
    let mut running = Running::from(Some(START), START);
    running.pass(DAY, "2026-03-02T13:00:00Z");
    assert!(running.believes());
    running.pass(Duration::ZERO, "2026-03-02T13:00:01Z");
    assert!(!running.believes());
}

#[test]
fn a_clock_that_jumped_is_believed_after_a_day_of_running_evenly() {
    for target in ["2029-03-01", "2025-03-01"] {
        let mut running = Running::from(Some(START), START);
        running.pass(Duration::ZERO, &format!("{target}T00:00:00Z"));
        assert!(!running.believes());
        assert_eq!(running.calendar.kept.believed, at(START), "a jump moves nothing");
        running.pass(DAY - Duration::from_secs(1), &format!("{target}T23:59:59Z"));
        assert!(!running.believes());
        running.pass(Duration::from_secs(1), &target.replace("-03-01", "-03-02T00:00:00Z"));
        assert!(running.believes(), "{target}");
    }
}

#[test]
fn a_second_jump_begins_the_day_anew() {
    let mut running = Running::from(Some(START), START);
    running.pass(Duration::ZERO, "2029-03-01T00:00:00Z");
    running.pass(DAY / 2, "2030-03-01T00:00:00Z");
    running.pass(DAY / 2, "2030-03-01T12:00:00Z");
    assert!(!running.believes());
    running.pass(DAY / 2, "2030-03-02T00:00:00Z");
    assert!(running.believes());
}

#[test]
fn a_day_is_past_when_all_its_days_are_over_and_not_a_second_before() {
    let running = Running::from(Some(START), START);
    let day = jiff::civil::date(2026, 3, 1);
    let past = |kept, now| running.calendar.is_past(day, kept, at(now));
    assert!(!past(30, "2026-03-31T23:59:59Z"));
    assert!(past(30, "2026-04-01T00:00:00Z"));
    assert!(!past(0, "2026-03-01T23:59:59Z"));
    assert!(past(0, "2026-03-02T00:00:00Z"));
    assert!(!running.calendar.is_past(Date::MAX, 0, Timestamp::MAX), "the last day of the calendar has no end");
}

#[test]
fn entries_of_a_clock_that_is_behind_go_under_the_last_believed_day_and_count_from_when_it_caught_up() {
    let mut running = Running::from(Some(START), "1970-01-01T00:00:00Z");
    let day = jiff::civil::date(2026, 3, 1);
    assert_eq!(running.calendar.day(at("1970-01-01T00:00:00Z"), Ticks(0)), day);
    assert!(!running.calendar.is_past(day, 1, at("2036-01-01T00:00:00Z")), "nobody knows when it was written");
    running.pass(Duration::from_secs(60), "2026-04-10T12:00:00Z");
    assert!(!running.calendar.is_past(day, 1, at("2026-04-11T11:59:59Z")));
    assert!(running.calendar.is_past(day, 1, at("2026-04-11T12:00:00Z")));
    assert_eq!(running.calendar.day(at("2026-04-10T12:00:00Z"), Ticks(running.ticks)), jiff::civil::date(2026, 4, 10));
}

#[test]
fn what_is_kept_comes_back() {
    let mut kept = Kept::since(at(START));
    kept.late.insert(jiff::civil::date(2026, 1, 2), None);
    kept.late.insert(jiff::civil::date(2026, 1, 3), Some(at(START)));
    assert_eq!(parse(&serde_json::to_vec(&kept).unwrap()), Some(kept));
    assert_eq!(parse(b"{}"), None);
}
