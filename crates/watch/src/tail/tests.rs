use std::fs;
use std::io::Write;

use super::*;

struct Log {
    folder: tempfile::TempDir,
    tail: Tail,
}

impl Log {
    /// A log that holds `text` when it is first looked at.
    fn with(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("log"), text).unwrap();
        let tail = Tail::new(folder.path().join("log"), None);
        let mut log = Self { folder, tail };
        log.check(&[]);
        log
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn append(&self, bytes: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path()).unwrap();
        file.write_all(bytes.as_ref()).unwrap();
    }

    fn look(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while self.tail.look(1 << 30, &mut |line| lines.push(String::from_utf8_lossy(line).into_owned())).unwrap() {}
        lines
    }

    #[track_caller]
    fn check(&mut self, expected: &[&str]) {
        assert_eq!(self.look(), expected);
    }

    /// Another process takes over.
    fn restart(&mut self) {
        self.tail = Tail::new(self.path(), self.tail.place());
    }
}

#[test]
fn what_was_there_is_left_and_what_comes_is_read() {
    let mut log = Log::with("old\n");
    log.append("one\ntwo\r\n");
    log.check(&["one", "two"]);
    log.check(&[]);
}

#[test]
fn a_line_counts_when_its_end_is_there() {
    let mut log = Log::with("old\nbeg");
    log.append("un");
    log.check(&[]);
    log.append("\nnext");
    log.check(&["begun"]);
    log.restart();
    log.append(" one\n");
    log.check(&["next one"]);
}

#[test]
fn renaming_loses_nothing_of_the_old_file() {
    let mut log = Log::with("");
    log.append("one\n");
    log.check(&["one"]);
    log.append("two\n");
    fs::rename(log.path(), log.folder.path().join("log.1")).unwrap();
    log.append("three\n");
    log.check(&["two", "three"]);
    assert_eq!(log.tail.counts().rotated, 1);
}

#[test]
fn a_file_that_is_gone_for_a_while_is_read_from_its_beginning() {
    let mut log = Log::with("old\n");
    fs::rename(log.path(), log.folder.path().join("log.1")).unwrap();
    log.check(&[]);
    let mut late = OpenOptions::new().append(true).open(log.folder.path().join("log.1")).unwrap();
    late.write_all(b"late\n").unwrap();
    log.check(&["late"]);
    log.append("new\n");
    log.check(&["new"]);

    let folder = tempfile::tempdir().unwrap();
    let mut tail = Tail::new(folder.path().join("log"), None);
    assert!(matches!(tail.look(1 << 20, &mut |_| {}), Err(TailError::Missing(_))));
    fs::write(folder.path().join("log"), "first\n").unwrap();
    let mut seen = 0;
    tail.look(1 << 20, &mut |_| seen += 1).unwrap();
    assert_eq!(seen, 1);
}

#[test]
fn copying_and_cutting_begins_anew() {
    let mut log = Log::with("");
    log.append("one\ntwo\nhalf a l");
    log.check(&["one", "two"]);
    fs::copy(log.path(), log.folder.path().join("log.1")).unwrap();
    OpenOptions::new().write(true).truncate(true).open(log.path()).unwrap();
    log.append("three\n");
    log.check(&["three"]);
    assert_eq!(log.tail.counts().cut, 1);
}

#[test]
fn another_process_goes_on_where_the_last_one_left_off() {
    let mut log = Log::with("old\n");
    log.append("one\n");
    log.check(&["one"]);
    log.append("two\n");
    log.restart();
    log.check(&["two"]);
    // Rotated while nobody looked.
    log.append("three\n");
    let place = log.tail.place();
    fs::rename(log.path(), log.folder.path().join("log.1")).unwrap();
    log.append("four\n");
    log.tail = Tail::new(log.path(), place);
    log.check(&["three", "four"]);
}

#[test]
fn a_file_that_was_written_anew_meanwhile_is_another_though_it_has_the_same_number() {
    let mut log = Log::with("");
    log.append("Nov 20 one\n");
    log.check(&["Nov 20 one"]);
    let place = log.tail.place();
    OpenOptions::new().write(true).truncate(true).open(log.path()).unwrap();
    log.append("Nov 21 another line that is longer\n");
    log.tail = Tail::new(log.path(), place);
    log.check(&["Nov 21 another line that is longer"]);
}

#[test]
fn a_hundred_megabytes_without_a_line_end_cost_one_buffer() {
    let mut log = Log::with("");
    let megabyte = vec![b'a'; 1 << 20];
    for _ in 0..100 {
        log.append(&megabyte);
    }
    log.check(&[]);
    assert!(log.tail.open.as_ref().unwrap().line.capacity() <= 2 * LINE_BYTES_MAX);
    log.append("\nafter\n");
    log.check(&["after"]);
    assert_eq!(log.tail.counts().overlong, 1);
    log.append(&megabyte);
    log.check(&[]);
    log.restart();
    log.append("still the long one\nafter\n");
    assert!(log.look().contains(&String::from("after")));
}

#[test]
fn the_longest_line_passes_and_one_byte_more_does_not() {
    let mut log = Log::with("");
    log.append(
        [vec![b'a'; LINE_BYTES_MAX], b"\n".to_vec(), vec![b'b'; LINE_BYTES_MAX + 1], b"\nc\n".to_vec()].concat(),
    );
    let lines = log.look();
    assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [LINE_BYTES_MAX, 1]);
}

#[test]
fn bytes_that_are_no_text_are_handed_on_as_they_are() {
    let mut log = Log::with("");
    log.append(b"\xff\xfe\0\n");
    let mut lines = Vec::new();
    log.tail.look(1 << 20, &mut |line| lines.push(line.to_vec())).unwrap();
    assert_eq!(lines, [b"\xff\xfe\0"]);
}

#[test]
fn a_bound_divides_the_work_and_loses_nothing() {
    let mut log = Log::with("");
    log.append((0..100_000).map(|number| format!("line {number}\n")).collect::<String>());
    let (mut seen, mut looks) = (0, 0);
    while log.tail.look(100_000, &mut |_| seen += 1).unwrap() {
        looks += 1;
    }
    assert_eq!(seen, 100_000);
    assert!(looks > 5);
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut tail = Tail::new(folder.path().to_owned(), None);
    assert!(matches!(tail.look(1, &mut |_| {}), Err(TailError::NotAFile(_))));
}
