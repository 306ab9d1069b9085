use super::*;

fn texts(pattern: &str) -> Vec<String> {
    let need = Need::of(pattern);
    need.texts.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect()
}

#[test]
fn texts_are_found_inside_of_patterns() {
    assert_eq!(texts(r"(?i)union\s+select"), ["select"]);
    assert_eq!(texts(r"^(?:get|post)$"), ["get", "post"]);
    assert_eq!(texts(r"a?bc*def"), ["def"]);
    assert_eq!(texts(r"x(?:foo|ba[rz])y"), ["xfooy", "xbary", "xbazy"]);
    assert_eq!(texts(r"\d+[a-z]*"), Vec::<String>::new());
    assert_eq!(texts(r"(?:foo)?"), Vec::<String>::new());
    assert_eq!(texts(r"foo|"), Vec::<String>::new());
}

#[test]
fn sets_are_found_where_there_are_no_texts() {
    let need = Need::of(r"[<>]\w*");
    assert_eq!(need.sets, [ByteSet::of(b"<>")]);
    assert!(Need::of(r"\w*").sets.is_empty());
    let need = Need::of(r"\(.*;");
    assert!(need.sets.contains(&ByteSet::of(b"(")) && need.sets.contains(&ByteSet::of(b";")));
    assert_eq!(Need::of(r"(?:;|\|.*x)").sets.len(), 1);
}
