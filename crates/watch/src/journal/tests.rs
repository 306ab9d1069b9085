use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::*;

/// A reader that gives what it was given beforehand, a piece at each reading; it ends where there is an empty piece.
#[derive(Clone, Default)]
struct Given(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    pieces: VecDeque<Vec<u8>>,
    begun: Vec<JournalPlace>,
    refuses: Option<String>,
    complains: Option<String>,
}

impl Given {
    fn give(&self, pieces: &[&[u8]]) {
        self.0.lock().unwrap().pieces.extend(pieces.iter().map(|piece| piece.to_vec()));
    }

    fn begun(&self) -> Vec<Option<String>> {
        self.0.lock().unwrap().begun.iter().map(|place| place.cursor.clone()).collect()
    }
}

impl JournalReader for Given {
    fn begin(&mut self, place: &JournalPlace) -> Result<(), String> {
        let mut inside = self.0.lock().unwrap();
        inside.begun.push(place.clone());
        inside.refuses.clone().map_or(Ok(()), Err)
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut inside = self.0.lock().unwrap();
        let Some(mut piece) = inside.pieces.pop_front() else { return Err(io::ErrorKind::WouldBlock.into()) };
        let count = piece.len().min(buffer.len());
        buffer[..count].copy_from_slice(&piece[..count]);
        let rest = piece.split_off(count);
        if !rest.is_empty() {
            inside.pieces.push_front(rest);
        }
        Ok(count)
    }

    fn complaint(&mut self) -> Result<Option<String>, String> {
        Ok(self.0.lock().unwrap().complains.clone())
    }

    fn end(&mut self) -> String {
        String::from("exit status: 1")
    }
}

const MESSAGE: &str = "Failed password for root from 192.0.2.7 port 40022 ssh2";

/// An entry with these fields in the place of the usual ones; `null` takes one away.
fn entry(number: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut entry = serde_json::json!({
        "__CURSOR": format!("s=5287d5bb;i={number};b=aa;m=1;t=2;x=3"),
        "__REALTIME_TIMESTAMP": "1795347626745942",
        "__MONOTONIC_TIMESTAMP": "1",
        "_BOOT_ID": "aa",
        "_SYSTEMD_UNIT": "ssh.service",
        "_COMM": "sshd",
        "_UID": "0",
        "_PID": "812",
        "_HOSTNAME": "web",
        "MESSAGE": MESSAGE,
    });
    for (name, value) in fields {
        entry[*name] = serde_json::from_str(value).unwrap();
    }
    let mut text = entry.to_string().into_bytes();
    text.push(b'\n');
    text
}

fn journal(given: &Given, kind: Kind, units: &[&str], left_off: Option<JournalPlace>) -> Journal {
    let units = Units::new(units.iter().map(|name| (*name).to_owned()).collect());
    Journal::new(kind, units, Box::new(given.clone()), left_off, "2026-11-22T11:00:00Z".parse().unwrap())
}

fn sshd(given: &Given) -> Journal {
    journal(given, Kind::Sshd, &["ssh.service"], None)
}

const fn second(number: u64) -> Ticks {
    Ticks(number * 1_000_000_000)
}

/// All lines until there are no more.
fn lines(journal: &mut Journal, now: Ticks) -> (Vec<String>, Option<JournalError>) {
    let mut lines = Vec::new();
    loop {
        let mut sink = |line: &[u8], _: Timestamp| lines.push(String::from_utf8_lossy(line).into_owned());
        match journal.look(1 << 20, now, &mut sink) {
            Ok(true) => {}
            Ok(false) => return (lines, None),
            Err(error) => return (lines, Some(error)),
        }
    }
}

/// Whether an entry with these fields becomes a line.
#[track_caller]
fn check(kind: Kind, fields: &[(&str, &str)], expected: Option<&str>) {
    let given = Given::default();
    given.give(&[&entry(1, fields)]);
    let mut journal = journal(&given, kind, &["ssh.service", "other@.service"], None);
    let (lines, error) = lines(&mut journal, second(1));
    assert_eq!((lines.first().map(String::as_str), error), (expected, None), "{fields:?}");
    assert_eq!(journal.counts().odd, u64::from(expected.is_none()), "{fields:?}");
}

const LINE: &str = "2026-11-22T11:40:26.745942Z web sshd[812]: Failed password for root from 192.0.2.7 port 40022 ssh2";

#[test]
fn an_entry_becomes_the_line_that_syslog_would_have_written() {
    check(Kind::Sshd, &[], Some(LINE));
    check(Kind::Sshd, &[("_HOSTNAME", "null")], Some(&LINE.replace("web", "-")));
    check(Kind::Sshd, &[("_HOSTNAME", r#""a b""#)], Some(&LINE.replace("web", "-")));
    check(Kind::Sshd, &[("_COMM", r#""sshd-session""#)], Some(&LINE.replace("sshd[", "sshd-session[")));
    check(Kind::Sshd, &[("MESSAGE", "[120,255,121]")], Some("2026-11-22T11:40:26.745942Z web sshd[812]: x\u{fffd}y"));
    check(Kind::NginxBotsearch, &[("_COMM", r#""nginx""#), ("_UID", r#""33""#)], Some(MESSAGE));
}

#[test]
fn what_the_system_does_not_say_to_be_of_the_service_is_left_out() {
    for fields in [
        ("_SYSTEMD_UNIT", r#""session-3.scope""#),
        ("_SYSTEMD_UNIT", "null"),
        ("_SYSTEMD_UNIT", r#"["ssh.service","ssh.service"]"#),
        ("_SYSTEMD_UNIT", r#""other@.service""#),
        ("_COMM", r#""logger""#),
        ("_COMM", "null"),
        ("_UID", r#""1000""#),
        ("_UID", "null"),
        ("_PID", r#""8]12""#),
        ("__REALTIME_TIMESTAMP", r#""yesterday""#),
        ("__REALTIME_TIMESTAMP", "17"),
    ] {
        check(Kind::Sshd, &[fields], None);
    }
    // A client may say of itself what it likes.
    let said = [("_COMM", r#""logger""#), ("SYSLOG_IDENTIFIER", r#""sshd""#), ("COMM", r#""sshd""#)];
    check(Kind::Sshd, &said, None);
    check(Kind::Sshd, &[("_SYSTEMD_UNIT", r#""other@7.service""#)], Some(LINE));
}

#[test]
fn a_message_of_several_lines_or_several_messages_are_left_out() {
    for message in [
        r#""one\nFailed password for root from 203.0.113.1 port 1 ssh2""#,
        r#"["one","Failed password for root from 203.0.113.1 port 1 ssh2"]"#,
        "[[1,2],[3]]",
        r#"["x",[255]]"#,
        "[1,256]",
        "[1,null]",
        "null",
        "7",
    ] {
        check(Kind::Sshd, &[("MESSAGE", message)], None);
    }
}

#[test]
fn what_is_no_entry_is_passed_over() {
    let given = Given::default();
    let whole = entry(2, &[]);
    let (one, other) = whole.split_at(70);
    given.give(&[b"\n-- No entries --\n{}\n[1]\n{\"__CURSOR\":7}\n", b"{\"MESSAGE\":\"\xff\"}\n", one, other]);
    let mut journal = sshd(&given);
    assert_eq!(lines(&mut journal, second(1)).0, [LINE]);
    assert_eq!(journal.counts().odd, 6);
}

#[test]
fn an_entry_may_be_as_long_as_the_longest_line_in_numbers_and_no_longer() {
    let given = Given::default();
    let longest = format!("\"{}\"", "a".repeat(LINE_BYTES_MAX - 43));
    let longer = format!("\"{}\"", "a".repeat(LINE_BYTES_MAX - 42));
    let numbers = format!("[{}255]", "255,".repeat(LINE_BYTES_MAX - 44));
    let endless = vec![b'x'; 3 * ENTRY_BYTES_MAX];
    let message = |text: &str| entry(1, &[("MESSAGE", text)]);
    given.give(&[&message(&longest), &message(&longer), &message(&numbers), &endless, b"\n", &entry(5, &[])]);
    let mut journal = sshd(&given);
    let read: Vec<usize> = lines(&mut journal, second(1)).0.iter().map(String::len).collect();
    assert_eq!(read.len(), 3);
    assert_eq!(read[0], LINE_BYTES_MAX);
    assert_eq!(journal.counts().overlong, 2);
    assert!(journal.pending.capacity() <= 2 * ENTRY_BYTES_MAX);
}

#[test]
fn the_next_reader_goes_on_behind_the_last_entry() {
    let given = Given::default();
    given.give(&[&entry(1, &[]), &entry(2, &[]), b"{\"__CURSOR\":\"s=1", b""]);
    let mut journal = sshd(&given);
    let (read, error) = lines(&mut journal, second(1));
    assert_eq!((read.len(), error), (2, Some(JournalError::Ended(String::from("exit status: 1")))));
    // The journal begins with what was read last, and that is not read again; a second one like it would be.
    given.give(&[&entry(2, &[]), &entry(3, &[])]);
    assert_eq!(lines(&mut journal, second(1)).0.len(), 0, "not at once");
    assert_eq!(lines(&mut journal, second(2)), (vec![LINE.to_owned()], None));
    assert_eq!(given.begun(), [None, Some(String::from("s=5287d5bb;i=2;b=aa;m=1;t=2;x=3"))]);
    // The same in another process.
    let left_off = journal.place().clone();
    let given = Given::default();
    given.give(&[&entry(3, &[]), &entry(4, &[])]);
    let mut journal = self::journal(&given, Kind::Sshd, &["ssh.service"], Some(left_off));
    assert_eq!(lines(&mut journal, second(1)).0.len(), 1);
    // Where that entry is gone, the journal begins with the next.
    let left_off = journal.place().clone();
    let given = Given::default();
    given.give(&[&entry(9, &[])]);
    assert_eq!(lines(&mut self::journal(&given, Kind::Sshd, &["ssh.service"], Some(left_off)), second(1)).0.len(), 1);
}

#[test]
fn a_place_that_no_journal_gave_is_not_handed_on() {
    let given = Given::default();
    let left_off = JournalPlace { since: Timestamp::UNIX_EPOCH, cursor: Some(String::from("--file=/etc/shadow")) };
    let journal = journal(&given, Kind::Sshd, &["ssh.service"], Some(left_off));
    assert_eq!((journal.place().since.to_string().as_str(), &journal.place().cursor), ("2026-11-22T11:00:00Z", &None));
}

#[test]
fn it_is_tried_again_less_and_less_often() {
    let given = Given::default();
    given.0.lock().unwrap().refuses = Some(String::from("no `journalctl`"));
    let mut journal = sshd(&given);
    for tick in 0..1_000 {
        let (_, error) = lines(&mut journal, second(tick));
        assert_eq!(error, Some(JournalError::Begin(String::from("no `journalctl`"))), "{tick}");
    }
    // 1, 2, 4, … 32 seconds, and then each minute.
    assert_eq!(given.begun().len(), 7 + (999 - 63) / 60);
    given.0.lock().unwrap().refuses = None;
    given.give(&[&entry(1, &[])]);
    assert_eq!(lines(&mut journal, second(2_000)), (vec![LINE.to_owned()], None));
    // One that has given something is started again soon.
    given.give(&[b""]);
    assert!(lines(&mut journal, second(2_001)).1.is_some());
    assert!(lines(&mut journal, second(2_001)).1.is_some());
    assert_eq!(lines(&mut journal, second(2_002)).1, None);
}

#[test]
fn a_reader_that_complains_is_heard_until_an_entry_comes() {
    let given = Given::default();
    given.0.lock().unwrap().complains = Some(String::from("you see nothing"));
    let mut journal = sshd(&given);
    assert_eq!(lines(&mut journal, second(1)).1, None);
    let complaint = Some(JournalError::Complains(String::from("you see nothing")));
    assert_eq!(lines(&mut journal, second(3)).1, complaint);
    assert_eq!(lines(&mut journal, second(4)).1, complaint);
    given.give(&[&entry(1, &[])]);
    assert_eq!(lines(&mut journal, second(5)), (vec![LINE.to_owned()], None));
    assert_eq!(lines(&mut journal, second(60)).1, None);
}

#[test]
fn the_program_is_asked_for_the_units_and_programs_alone() {
    let arguments = |kind, units: &[&str]| {
        let units = Units::new(units.iter().map(|name| (*name).to_owned()).collect());
        let all = journalctl_arguments(kind, &units);
        all.into_iter().filter(|argument| !argument.starts_with("--")).collect::<Vec<_>>()
    };
    assert_eq!(
        arguments(Kind::Sshd, &["ssh.service"]),
        ["_SYSTEMD_UNIT=ssh.service", "_COMM=sshd", "_COMM=sshd-session", "_COMM=sshd-auth"]
    );
    assert_eq!(arguments(Kind::Sshd, &["ssh@.service"]), ["_COMM=sshd", "_COMM=sshd-session", "_COMM=sshd-auth"]);
    assert_eq!(
        arguments(Kind::ApacheAuth, &["a.service", "b.service"]),
        ["_SYSTEMD_UNIT=a.service", "_SYSTEMD_UNIT=b.service"]
    );
}
