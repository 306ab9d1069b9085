use super::*;

#[track_caller]
fn check(pattern: &[u8], yes: &[&[u8]], no: &[&[u8]]) {
    let compiled = compile(pattern).unwrap();
    for text in yes {
        assert!(compiled.is_match(text), "{} should match {}", pattern.escape_ascii(), text.escape_ascii());
    }
    for text in no {
        assert!(!compiled.is_match(text), "{} should not match {}", pattern.escape_ascii(), text.escape_ascii());
    }
}

#[test]
fn bytes_and_not_characters() {
    check(br"^\x{bc}$", &[b"\xbc"], &["¼".as_bytes(), b"bc"]);
    check(b"^\xbc.$", &[b"\xbc\xff", b"\xbc\n"], &[b"\xbc", b"\xbc\xff\xff"]);
    check(br"^[\x{c2}\x80-\x{8f}]+$", &[b"\xc2\x80\x8f"], &[b"\x90", b"{"]);
    check(br"^\w\s\d$", &[b"a\x0b1", b"_ 0"], &["é 1".as_bytes(), b"a\xa01"]);
    check(br"(?i)^\xe9k$", &[b"\xe9K"], &[b"\xc9k", "\u{212a}".as_bytes()]);
}

#[test]
fn the_end_is_the_very_end() {
    check(b"^a$", &[b"a"], &[b"a\n", b"b\na"]);
    check(br"a\z", &[b"a"], &[b"a\n"]);
    check(br"a\Z", &[b"a", b"a\n"], &[b"a\n\n"]);
    check(br"(?m)^a$", &[b"b\na\nc"], &[b"ab"]);
    check(br"\Aa", &[b"ab"], &[b"ba"]);
}

#[test]
fn braces_that_count_and_braces_that_do_not() {
    check(br"^a{2}$", &[b"aa"], &[b"a", b"a{2}"]);
    check(br"^a{2,}b{1,2}?$", &[b"aaabb"], &[b"ab", b"aabbb"]);
    check(br"^a{,2}$", &[b"a{,2}"], &[b"aa"]);
    check(br"^{x}}$", &[b"{x}}"], &[b"x"]);
    check(br"^\$\{[^}]*}$", &[b"${a}"], &[b"$a"]);
}

#[test]
fn classes() {
    check(br"^[+--]$", &[b"+", b",", b"-"], &[b"."]);
    check(br"^[a&&b]$", &[b"a", b"&", b"b"], &[b"c"]);
    check(br"^[a~~b[c]$", &[b"~", b"[", b"c"], &[b"d"]);
    check(br"^[]a]$", &[b"]", b"a"], &[b"b"]);
    check(br"^[^]a]$", &[b"b"], &[b"]", b"a"]);
    check(br"^[a\-z-]$", &[b"a", b"-", b"z"], &[b"b"]);
    check(br"^[\d-x]$", &[b"1", b"-", b"x"], &[b"e"]);
    check(br"^[a-\d]$", &[b"1", b"-", b"a"], &[b"b"]);
    check(br"^[[:alpha:]_[:^space:]]$", &[b"a", b"_", b"9"], &[b" "]);
    check(br"^[[:x]$", &[b"[", b":", b"x"], &[b"a"]);
    check(br"^[\b\e\x41\x{42}\103\n]$", &[b"\x08", b"\x1b", b"A", b"B", b"C", b"\n"], &[b"b", b"e"]);
    check(br"(?i)^[^a]$", &[b"b"], &[b"a", b"A"]);
    check(br"(?i)^[[:^upper:]]$", &[b"1"], &[b"a", b"A"]);
    check(br"^[\s\S]$", &[b"\n", b"\xff"], &[b""]);
    check(br"^[^\s\S]$", &[], &[b"a", b"\xff"]);
    check(br"^[\Q^-]\E]$", &[b"^", b"-", b"]"], &[b"Q"]);
}

#[test]
fn escapes() {
    check(br#"^\'\"\<\>\/\@\-\#\ $"#, &[b"'\"<>/@-# "], &[b"'\"<>/@-#"]);
    check(br"^\e\a\cA\0\07\x9\x$", &[b"\x1b\x07\x01\0\x07\x09\0"], &[]);
    check(br"^\h\H\v\V\N$", &[b"\xa0a\x85ab", b"\t\n\nab"], &[b"\n\n\n\n\n"]);
    check(br"^\R$", &[b"\r\n", b"\n", b"\r", b"\x85"], &[b"\n\r"]);
    check(br"^\Qa.b\E.$", &[b"a.bc"], &[b"axbc"]);
    check(br"^\101\o{102}$", &[b"AB"], &[]);
    check(br"\bfoo\B", &[b"a foox"], &[b"xfoox", b"foo"]);
}

#[test]
fn groups_and_flags() {
    check(br"^(?i)ab(?-i)c$", &[b"ABc"], &[b"abC"]);
    check(br"^(?i:a)b$", &[b"Ab"], &[b"AB"]);
    check(br"^(?:(?i)a)b$", &[b"Ab"], &[b"aB"]);
    check(br"a(?i)b|c", &[b"C", b"aB"], &[b"AB"]);
    check(br"(?-s)^.$", &[b"a"], &[b"\n"]);
    check(b"^(?x) a b # c\n [ #] (?-x) $", &[b"ab# ", b"ab  "], &[b"ab#"]);
    check(b"(?x: a)^ ", &[], &[b"a"]);
    check(br"^(?<a>x)(?P<b>y)(?'c'z)(?#w)$", &[b"xyz"], &[b"xyzw"]);
    check(br"^(?>a+)b++c*+d?+e{1,2}+$", &[b"aabbde"], &[b"b"]);
    assert_eq!(compile(br"(?<a>x)(?:y)(z)").unwrap().captures_len(), 3);
}

#[test]
fn what_takes_more_than_linear_time_is_named() {
    let unsupported = |pattern: &[u8]| match translate(pattern) {
        Err(PatternError::Unsupported(message)) => message,
        other => panic!("{}: {other:?}", pattern.escape_ascii()),
    };
    assert_eq!(unsupported(br"a(?=b)"), "look-ahead takes more than linear time, at byte 4 of the pattern");
    assert_eq!(unsupported(br"(?<!b)"), "look-behind takes more than linear time, at byte 4 of the pattern");
    assert_eq!(unsupported(br"(a)\1"), "a back-reference takes more than linear time, at byte 5 of the pattern");
    let others: &[&[u8]] = &[
        br"(?!a)",
        br"(?<=a)",
        br"\k<a>",
        br"\g{1}",
        br"(?R)",
        br"(?1)",
        br"(?&a)",
        br"(?P>a)",
        br"(?P=a)",
        br"(?|a|b)",
        br"(?(1)a|b)",
        br"(*FAIL)",
        br"\K",
        br"\G",
        br"\p{L}",
        br"[\p{L}]",
        br"\X",
    ];
    for pattern in others {
        unsupported(pattern);
    }
}

#[test]
fn what_is_no_pattern() {
    let patterns: &[&[u8]] = &[
        b"(",
        b")",
        b"[",
        b"[]",
        b"[a",
        b"*",
        b"+a",
        br"\",
        br"[z-a]",
        br"\y",
        br"[\y]",
        br"\x{100}",
        br"\x{zz}",
        br"\777",
        b"(?",
        b"(?i",
        b"(?<>a)",
        b"(?<a b>c)",
        b"[[:foo:]]",
        b"a{2,1}",
        b"a{1001}{1001}{1001}",
        br"\c",
    ];
    for pattern in patterns {
        assert!(compile(pattern).is_err(), "{}", pattern.escape_ascii());
    }
}

#[test]
fn hostile_patterns_end() {
    for unit in ["(", "[", "(?i", "\\", "a{", "(?:", "[[:", "\\Q", "(?#", "a|", "x*"] {
        let _ = check_only(&unit.repeat(20_000));
    }
}

fn check_only(pattern: &str) -> Result<(), PatternError> {
    super::check(pattern.as_bytes())
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read(pattern: Vec<u8>) {
        let _ = super::check(&pattern);
    }

    #[test]
    fn what_is_literal_matches_itself(text: Vec<u8>) {
        let escaped: Vec<u8> = text.iter().flat_map(|byte| format!("\\x{byte:02x}").into_bytes()).collect();
        proptest::prop_assert!(compile(&[b"^".as_slice(), &escaped, b"$"].concat()).unwrap().is_match(&text));
    }

    #[test]
    fn classes_hold_their_members(members: Vec<u8>, byte: u8) {
        proptest::prop_assume!(!members.is_empty());
        let class: Vec<u8> = members.iter().flat_map(|byte| format!("\\x{byte:02x}").into_bytes()).collect();
        let pattern = [b"^[".as_slice(), &class, b"]$"].concat();
        proptest::prop_assert_eq!(compile(&pattern).unwrap().is_match(&[byte]), members.contains(&byte));
    }
}

/// A folder with `patterns`, `texts` (each a list, an item being its length in decimal, a line end and its bytes) and
/// `expected`: a line for each pattern with a `0` or `1` for each text, as PCRE2 answers.
#[test]
#[ignore = "needs PCRE2's answers: REEVE_PCRE is the folder that holds them"]
fn agrees_with_pcre() {
    let Ok(folder) = std::env::var("REEVE_PCRE") else { return };
    let read = |name: &str| std::fs::read(format!("{folder}/{name}")).unwrap();
    let (patterns, texts) = (read("patterns"), read("texts"));
    let (patterns, texts) = (items(&patterns), items(&texts));
    let expected = String::from_utf8(read("expected")).unwrap();
    let (mut compared, mut different) = (0, 0);
    for (pattern, line) in patterns.iter().zip(expected.lines()) {
        let compiled = match compile(pattern) {
            Ok(compiled) => compiled,
            Err(error) => {
                println!("{}: {error}", pattern.escape_ascii());
                continue;
            }
        };
        for (text, answer) in texts.iter().zip(line.bytes()) {
            compared += 1;
            if compiled.is_match(text) != (answer == b'1') {
                different += 1;
                if different < 20 {
                    println!("{} on {}: PCRE says {}", pattern.escape_ascii(), text.escape_ascii(), char::from(answer));
                }
            }
        }
    }
    println!("{} patterns, {} texts, {compared} comparisons, {different} different", patterns.len(), texts.len());
    assert_eq!(different, 0);
}

fn items(mut list: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some(end) = memchr::memchr(b'\n', list) {
        let length: usize = str::from_utf8(&list[..end]).unwrap().parse().unwrap();
        found.push(&list[end + 1..end + 1 + length]);
        list = &list[end + 1 + length..];
    }
    found
}
