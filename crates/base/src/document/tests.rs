use super::*;
use crate::Period;

#[track_caller]
fn faults_of(text: &str, read: impl FnOnce(&mut Fields<'_, '_>)) -> Vec<String> {
    let document = parse("test.toml", text.as_bytes()).unwrap();
    let mut faults = Faults::default();
    let mut fields = Fields::new(&document.root, "the file", &mut faults);
    read(&mut fields);
    fields.finish();
    faults
        .into_sorted()
        .into_iter()
        .map(|fault| format!("{} | {}", fault.message, fault.help.unwrap_or_default()))
        .collect()
}

#[test]
fn a_key_nobody_asked_for_is_a_fault_with_a_suggestion() {
    let faults = faults_of("windw = '15m'", |fields| {
        fields.optional::<Period>("window");
    });
    assert_eq!(faults, ["the file knows no `windw` | did you mean `window`?"]);
}

#[test]
fn every_fault_of_a_table_is_reported_in_one_run() {
    let faults = faults_of("window = 15\nlock = 'fortnight'\n", |fields| {
        fields.required::<Period>("window");
        fields.required::<Period>("lock");
        fields.required::<u8>("failures");
    });
    assert_eq!(faults.len(), 3);
    assert!(faults.iter().any(|fault| fault.contains("`window` is an integer")));
    assert!(faults.iter().any(|fault| fault.contains("the file has no `failures`")));
}

#[test]
fn foreign_bytes_are_refused_with_their_place() {
    let (source, faults) = parse("x", b"a = 1\nb = '\xff'").unwrap_err();
    assert_eq!(faults[0].message, "byte 11 (0xff) is not UTF-8");
    assert_eq!(source.position(faults[0].labels[0].span.start), (2, 6));
}

#[test]
fn a_file_past_the_limit_is_refused_and_one_at_the_limit_is_read() {
    let mut text = String::from("# ");
    text.extend(std::iter::repeat_n('x', limit::DOCUMENT_BYTES_MAX - 2));
    assert!(parse("x", text.as_bytes()).is_ok());
    text.push('x');
    assert_eq!(parse("x", text.as_bytes()).unwrap_err().1[0].code, "document::too-large");
}

#[test]
fn deep_nesting_is_refused_not_overflowed() {
    let text = format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(parse("x", text.as_bytes()).is_err());
}

#[test]
fn several_syntax_faults_are_reported_together() {
    let (_, faults) = parse("x", b"a = \nb = 1\nc = ]\n").unwrap_err();
    assert!(faults.len() >= 2, "{faults:?}");
}

#[test]
fn one_mistake_is_one_fault() {
    let (_, faults) = parse("x", b"key: value\nother: value\n").unwrap_err();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults.iter().all(|fault| fault.help.is_some()), "{faults:?}");
    let (source, faults) = parse("x", b"[a]\nx = 1\ny = 2\n[a]\nx = 1\ny = 2\n[b]\nz = 1\nz = 2\n").unwrap_err();
    let places: Vec<_> = faults
        .iter()
        .map(|fault| fault.labels.iter().map(|label| source.position(label.span.start)).collect::<Vec<_>>())
        .collect();
    assert_eq!(places, [[(4, 2), (1, 1)], [(9, 1), (8, 1)]]);
}

#[test]
fn entries_keep_the_order_they_were_written_in() {
    let document = parse("x", b"zebra = 1\napple = 2\n").unwrap();
    let keys: Vec<_> = document.root.entries.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys, ["zebra", "apple"]);
}
