//! Forgetting in time, not before, and provably.

use std::time::Duration;

use jiff::civil::date;
use reeve_ledger::{Class, Content, HoldError, Ledger, PurgeRecord, verify};

use crate::house::{MARKER, Machine, body, entry, fill};
use crate::log::for_each_file;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What is purged now. Keys that were made ahead and never used go too, and nothing is told of them.
fn purged(ledger: &Ledger) -> Vec<String> {
    let purged = ledger.purge().unwrap().purged.into_iter();
    purged.filter(|(_, recorded)| recorded.is_some()).map(|(due, _)| due.of.to_string()).collect()
}

/// Time passes as it does for a process that runs and looks every day.
fn live(machine: &Machine, ledger: &Ledger, days: u32) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..days {
        machine.clock.pass(DAY);
        all.extend(purged(ledger));
    }
    all
}

#[test]
fn a_purged_day_is_gone_from_the_disk_and_still_proved() {
    let machine = Machine::new();
    let ledger = machine.open();
    fill(&ledger, 30);
    let key = std::fs::read(machine.folder().join("keys/request/2026-03-01.wrapped")).unwrap();
    let reader = machine.reader();
    let sealed = reader.checkpoint().unwrap();
    assert_eq!(live(&machine, &ledger, 30), [""; 0], "30 whole days after the 1st are not over");
    fill(&ledger, 3);
    assert_eq!(live(&machine, &ledger, 1), ["request/2026-03-01"]);
    let report = ledger.purge().unwrap();
    assert_eq!(report.plan.due, []);
    fill(&ledger, 3);

    let records: Vec<_> = ledger.reader().entries(0..u64::MAX).unwrap().map(|record| record.unwrap()).collect();
    for record in &records[..30] {
        let kept = record.leaf.class == "security";
        assert_eq!(record.content.body().is_some(), kept, "entry {}", record.seq);
    }
    let told = records.iter().find(|record| record.leaf.kind == "ledger.purge").unwrap();
    let told: PurgeRecord = serde_json::from_slice(told.content.body().unwrap()).unwrap();
    assert_eq!((told.class.as_str(), told.day, told.first_seq, told.last_seq), ("request", date(2026, 3, 1), 1, 29));
    assert!(told.key_sha256.is_some());

    let report = verify::run(&machine.reader(), Some(&sealed), |_| ()).unwrap();
    assert!(report.holds(), "{:?}", report.faults);
    assert_eq!(report.purged, 20);
    let proof = machine.reader().proof(1).unwrap();
    assert_eq!(proof.contents, None);
    proof.verify(std::slice::from_ref(ledger.verifier_key()), &[], 0).unwrap();
    ledger.close().unwrap();
    for_each_file(&machine.folder(), &mut |path, bytes| {
        let found = bytes.windows(key.len()).any(|window| window == key);
        assert!(!found, "the wrapped key is in {}", path.display());
    });
    assert!(!machine.folder().join("body/request/2026-03-01").exists());
}

#[test]
fn the_security_trail_is_kept_for_a_year_and_the_ledgers_own_acts_for_ever() {
    let machine = Machine::new();
    let ledger = machine.open();
    fill(&ledger, 30);
    let all = live(&machine, &ledger, 367);
    assert_eq!(all, ["request/2026-03-01", "security/2026-03-01"]);
    let left: Vec<_> = ledger.reader().entries(0..u64::MAX).unwrap().map(|record| record.unwrap()).collect();
    assert!(left[..30].iter().all(|record| record.content == Content::Purged));
    assert!(left[30..].iter().all(|record| record.leaf.class == "ledger" && record.content.body().is_some()));
    assert!(verify::run(&ledger.reader(), None, |_| ()).unwrap().holds());
}

#[test]
fn a_hold_keeps_its_days_until_it_is_lifted() {
    let machine = Machine::new();
    let ledger = machine.open();
    fill(&ledger, 3);
    ledger.hold("case 7", Some(Class::Request), date(2026, 2, 1), date(2026, 3, 1)).unwrap();
    let again = ledger.hold("case 7", None, date(2026, 2, 1), date(2026, 3, 1)).unwrap_err();
    assert!(matches!(again, HoldError::Exists(_)), "{again}");
    machine.clock.pass(DAY);
    fill(&ledger, 3);
    assert_eq!(live(&machine, &ledger, 40), ["request/2026-03-02"]);
    let held = ledger.due_purges().unwrap().held;
    assert_eq!(
        held.iter().map(|(of, label)| format!("{of} {label}")).collect::<Vec<_>>(),
        ["request/2026-03-01 case 7"]
    );
    ledger.close().unwrap();

    let ledger = machine.open();
    assert_eq!(ledger.holds().unwrap().len(), 1);
    assert!(matches!(ledger.lift("case 8"), Err(HoldError::Unknown(_))));
    ledger.lift("case 7").unwrap();
    assert_eq!(purged(&ledger), ["request/2026-03-01"]);
    let durable = ledger.health().durable;
    drop(ledger);
    let ledger = machine.open();
    fill(&ledger, 1);
    let kinds: Vec<String> =
        ledger.reader().entries(0..durable).unwrap().map(|record| record.unwrap().leaf.kind).collect();
    for kind in ["ledger.hold", "ledger.lift", "ledger.purge"] {
        assert!(kinds.iter().any(|told| told == kind), "{kind} in {kinds:?}");
    }
}

#[test]
fn damaged_holds_stop_every_purge() {
    let machine = Machine::new();
    let ledger = machine.open();
    fill(&ledger, 3);
    ledger.hold("case", None, date(2026, 3, 1), date(2026, 3, 1)).unwrap();
    std::fs::write(machine.folder().join("holds"), "[{}]").unwrap();
    machine.clock.pass(40 * DAY);
    let refused = ledger.purge().unwrap_err().to_string();
    assert!(refused.contains("`holds`") && refused.contains("nothing is purged until then"), "{refused}");
}

#[test]
fn a_clock_that_jumps_ahead_purges_nothing_before_its_time() {
    let machine = Machine::new();
    let ledger = machine.open();
    fill(&ledger, 3);
    machine.clock.pass(DAY);
    assert_eq!(purged(&ledger), [""; 0]);
    machine.clock.jump("2029-01-01T00:00:00Z");
    assert_eq!(purged(&ledger), [""; 0]);
    assert!(ledger.due_purges().unwrap().doubt.unwrap().contains("the clock jumped"));
    // Entries go on, and so may restarts: neither makes a wrong time right.
    fill(&ledger, 3);
    machine.clock.pass(Duration::from_secs(60));
    assert_eq!(purged(&ledger), [""; 0]);
    drop(ledger);
    for _ in 0..5 {
        let ledger = machine.open();
        assert_eq!(purged(&ledger), [""; 0]);
        fill(&ledger, 1);
        ledger.close().unwrap();
    }
    machine.clock.jump("2026-03-02T13:00:00Z");
    let ledger = machine.open();
    assert_eq!(ledger.due_purges().unwrap().doubt, None, "it is where it should be");
    assert_eq!(live(&machine, &ledger, 31), ["request/2026-03-01"]);
}

#[test]
fn after_a_long_stop_the_first_purge_comes_a_day_late() {
    let machine = Machine::new();
    let ledger = machine.open();
    fill(&ledger, 3);
    ledger.close().unwrap();
    machine.clock.pass(60 * DAY);
    let ledger = machine.open();
    assert_eq!(purged(&ledger), [""; 0]);
    assert_eq!(live(&machine, &ledger, 1), ["request/2026-03-01"]);
}

#[test]
fn entries_written_by_a_clock_that_is_behind_are_kept_from_when_it_caught_up() {
    let machine = Machine::new();
    let ledger = machine.open();
    fill(&ledger, 3);
    ledger.close().unwrap();
    // Forty days later the machine starts with a dead battery: its clock says 1970.
    machine.clock.pass(40 * DAY);
    machine.clock.jump("1970-01-01T00:00:10Z");
    let ledger = machine.open();
    fill(&ledger, 3);
    let record = ledger.reader().record(4).unwrap();
    assert_eq!((record.leaf.day, record.leaf.ts.to_string().as_str()), (date(2026, 3, 1), "1970-01-01T00:00:10Z"));
    assert_eq!(record.content.body(), Some(&body(4)[..]));
    // Then it learns the time.
    machine.clock.jump("2026-04-10T12:00:00Z");
    fill(&ledger, 3);
    assert_eq!(live(&machine, &ledger, 29), [""; 0], "the 1st has entries of 10 April");
    assert_eq!(live(&machine, &ledger, 1), ["request/2026-03-01"]);
    assert_eq!(live(&machine, &ledger, 1), ["request/2026-04-10"]);
}

#[test]
fn nothing_that_was_planted_is_left_after_the_purge_of_everything() {
    let machine = Machine::new();
    let ledger = machine.open();
    ledger.append(entry(Class::Request, MARKER)).unwrap().wait_sealed().unwrap();
    live(&machine, &ledger, 32);
    ledger.close().unwrap();
    for_each_file(machine.home.path(), &mut |path, bytes| {
        let found = bytes.windows(MARKER.len()).any(|window| window == MARKER.as_bytes());
        assert!(!found, "{}", path.display());
    });
}
