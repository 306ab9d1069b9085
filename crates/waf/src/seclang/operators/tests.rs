use super::*;
use crate::seclang::SourceError;

struct Files;

impl Source for Files {
    fn read(&self, name: &str, beside: Option<&str>) -> Result<Vec<u8>, SourceError> {
        assert_eq!(beside, Some("rules/a.conf"));
        match name {
            "words.data" => Ok(b"# none\nFoo bar\r\n\n  baz \nint|float\n|2f 2F|etc\n\xff\n".to_vec()),
            "nets" => Ok(b"10.0.0.0/8\n# x\n::1\n".to_vec()),
            "empty" => Ok(b"# nothing\n".to_vec()),
            _ => Err(SourceError { name: name.to_owned(), cause: "no such file".to_owned() }),
        }
    }

    fn list(&self, _: &str, _: Option<&str>) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }
}

fn parse(text: &[u8]) -> (Result<(Operator, bool), Wrong>, Vec<Wrong>) {
    let (mut phrases, mut warnings) = (PhraseFiles::new(), Vec::new());
    let mut surroundings =
        Surroundings { source: &Files, file: "rules/a.conf", phrases: &mut phrases, warnings: &mut warnings };
    (read(text, &mut surroundings), warnings)
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let (operator, negated) = parse(text.as_bytes()).0.unwrap();
    let shown = format!("{}{operator:?}", if negated { "!" } else { "" });
    assert_eq!(shown, expected);
}

fn argument(name: &str, text: &str) -> String {
    format!("{name}(Text([Plain({:?})]))", text.as_bytes())
}

#[test]
fn operators_with_a_text() {
    check("@rx ^a b", &argument("Rx", "^a b"));
    check("^a", &argument("Rx", "^a"));
    check("!^a", &format!("!{}", argument("Rx", "^a")));
    check("!@streq a", &format!("!{}", argument("Is", "a")));
    check("@CONTAINS a", &argument("Contains", "a"));
    check("@strmatch a", &argument("Contains", "a"));
    check("@containsWord a", &argument("ContainsWord", "a"));
    check("@beginsWith a", &argument("BeginsWith", "a"));
    check("@endsWith a", &argument("EndsWith", "a"));
    check("@within a b", &argument("Within", "a b"));
    check("@within %{tx.a}", "Within(Text([Value(Tx, Some([97]))]))");
    check("@rx %{tx.a}(", "Rx(Text([Value(Tx, Some([97])), Plain([40])]))");
}

#[test]
fn operators_with_a_number() {
    check("@eq 0", &argument("Equal", "0"));
    check("@ge  5 ", &argument("GreaterOrEqual", "5"));
    check("@gt -5", &argument("Greater", "-5"));
    check("@le 5", &argument("LessOrEqual", "5"));
    check("!@lt 5", &format!("!{}", argument("Less", "5")));
    check("@ge %{tx.a}", "GreaterOrEqual(Text([Value(Tx, Some([97]))]))");
}

#[test]
fn operators_without_an_argument() {
    check("@detectSQLi", "DetectSqli");
    check("@detectXSS", "DetectXss");
    check("@validateUrlEncoding", "ValidateUrlEncoding");
    check("@validateUtf8Encoding", "ValidateUtf8Encoding");
    check("@unconditionalMatch", "Always");
    check("@noMatch", "Never");
    check(r"@verifyCC \d{13,16}", r#"VerifyCreditCard("\\d{13,16}")"#);
}

#[test]
fn lists_of_phrases() {
    let phrases = |text: &[u8]| match parse(text).0 {
        Ok((Operator::Phrases(phrases), false)) => phrases.iter().map(|phrase| phrase.to_vec()).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(phrases(b"@pm a  b \xff"), [b"a".as_slice(), b"b", b"\xff"]);
    assert_eq!(phrases(b"@pm |41 42|c a|x y| |0a|"), [b"ABc".as_slice(), b"a|x", b"y|", b"\n"]);
    let expected = [b"Foo bar".as_slice(), b"baz", b"int|float", b"//etc", b"\xff"];
    assert_eq!(phrases(b"@pmFromFile words.data"), expected);
    assert_eq!(phrases(b"@pmf words.data words.data").len(), 10);
}

#[test]
fn addresses_and_bytes() {
    check("@ipMatch 127.0.0.1, ::1,10.1.2.3/8", "IpMatch([127.0.0.1/32, ::1/128, 10.0.0.0/8])");
    check("@ipMatchFromFile nets", "IpMatch([10.0.0.0/8, ::1/128])");
    match parse(b"@validateByteRange 9,10, 32-126,128-255").0.unwrap().0 {
        Operator::ValidateByteRange(set) => {
            assert!(set.contains(9) && set.contains(b' ') && set.contains(255) && !set.contains(127));
            assert_eq!(set.iter().count(), 2 + 95 + 128);
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn wrong(text: &str, message: &str) {
    assert_eq!(parse(text.as_bytes()).0.unwrap_err().message, message);
}

#[test]
fn what_is_no_operator() {
    wrong("@rxx a", "unknown operator `rxx`");
    wrong("@rx a(", "the pattern `a(`: a `(` is never closed");
    wrong("@rx (?=a)", "the pattern `(?=a)`: look-ahead takes more than linear time, at byte 3 of the pattern");
    wrong("@eq one", "`one` is no whole number");
    wrong("@pm ", "not one phrase is listed");
    wrong("@pmFromFile empty", "not one phrase is listed");
    wrong("@pmFromFile gone.data", "cannot read `gone.data`: no such file");
    wrong("@pmFromFile", "no file is named");
    wrong("@ipMatch 1.2.3.400", "`1.2.3.400` is neither an address nor a network");
    wrong("@validateByteRange 1-256", "`1-256` is no range of bytes");
    wrong("@validateByteRange 9-1", "`9-1` is no range of bytes");
    wrong("@inspectFile /x", "the operator `@inspectFile` is not supported");
    wrong("@rsub s/a/b/", "the operator `@rsub` is not supported");
    wrong("@fuzzyHash a 1", "the operator `@fuzzyHash` is not supported");
    wrong("@within %{nothing.a}", "unknown variable `nothing`");
}

#[test]
fn lookups_load_and_never_match() {
    for text in ["@geoLookup", "@rbl dnsbl.example.org"] {
        let (operator, warnings) = parse(text.as_bytes());
        assert!(matches!(operator, Ok((Operator::Never, false))) && warnings.len() == 1);
    }
}
