//! What each transformation makes of a value, and what holds for all of them.

use proptest::prelude::*;

use super::{NAMES, Transformation};
use crate::byte_set::ByteSet;

fn transformed(name: &str, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let changed = Transformation::named(name).unwrap().apply(value, &mut out);
    if changed { out } else { value.to_vec() }
}

#[track_caller]
fn check(name: &str, rows: &[(&str, &str)]) {
    for (value, expected) in rows {
        check_bytes(name, value.as_bytes(), expected.as_bytes());
    }
}

#[track_caller]
fn check_bytes(name: &str, value: &[u8], expected: &[u8]) {
    let found = transformed(name, value);
    assert_eq!(
        found,
        expected,
        "{name} {:?}: {:?}",
        value.escape_ascii().to_string(),
        found.escape_ascii().to_string()
    );
}

#[test]
fn percent_signs() {
    check("urlDecode", &[("a%20b+c", "a b c"), ("%", "%"), ("%4", "%4"), ("%zz%41", "%zzA"), ("%u0041", "%u0041")]);
    check(
        "urlDecodeUni",
        &[
            ("%u0041%U0061", "Aa"),
            ("%uff1cscript%uFF1E", "<script>"),
            ("foo%uFF01", "foo!"),
            ("%uff1f", "?"),
            ("%u2039%u0130%u00c0", "<IA"),
            ("%u1f60", "`"),
            ("%u12", "%u12"),
            ("%u12g4%41", "%u12g4A"),
            ("%%u003c", "%<"),
        ],
    );
    check("urlEncode", &[(" !*-._~aZ09", "+%21*%2d%2e%5f%7eaZ09")]);
}

#[test]
fn html_entities() {
    check(
        "htmlEntityDecode",
        &[
            ("&lt;b&GT;&quot&amp;lt;", "<b>\"&lt;"),
            ("&#60;&#0000000000000000000060&#x3c&#X000000000000000000003C;", "<<<<"),
            ("&", "&"),
            ("&#", "&#"),
            ("&#x", "&#x"),
            ("&#xg;&#;&bogus;&ltd;", "&#xg;&#;&bogus;&ltd;"),
            ("&&lt;&#&lt;", "&<&#<"),
        ],
    );
    check_bytes("htmlEntityDecode", b"&nbsp;&#xa0", b"\xa0\xa0");
    check_bytes("htmlEntityDecode", b"&#99999999999999999999999;", b"\xff");
}

#[test]
fn escapes_of_languages() {
    check(
        "jsDecode",
        &[
            (r"\x3cscript\u003e\uff1c\74\074\477", "<script><<<'7"),
            (r"\a\n\q\'\\", "\u{7}\nq'\\"),
            (r"\x3\u00z0\", "x3u00z0\\"),
            ("\\0", "\0"),
        ],
    );
    check(
        "cssDecode",
        &[
            (r"\6a avascript", "javascript"),
            (r"\00006aavas\c\ ript", "javas\u{c} ript"),
            (r"\ff1c\00FF1E\0ff41", "<>a"),
            ("a\\\nb\\", "ab"),
            (r"\zx\-", "zx-"),
        ],
    );
    check(
        "escapeSeqDecode",
        &[(r"\x41\101\e\/\?\'\q\7", "AAe/?'q\u{7}"), (r"\x4\", r"x4\"), (r"\n\t\\\1012", "\n\t\\A2")],
    );
    check_bytes("escapeSeqDecode", br"\777", b"\xff");
}

#[test]
fn utf8_as_numbers() {
    check(
        "utf8toUnicode",
        &[("aä€", "a%u00e4%u20ac"), ("\u{1f600}\u{10ffff}", "%u1f600%u10ffff"), ("＜", "%uff1c"), ("plain", "plain")],
    );
    check_bytes("utf8toUnicode", b"\xc0\xbc\xe0\x80\xbc", b"%u003c%u003c");
    check_bytes("utf8toUnicode", b"\xff\x80a\xc3", b"\xff\x80a\xc3");
    check_bytes("utf8toUnicode", b"\xc3(\xe2\x82\xf5\x80", b"\xc3(\xe2\x82\xf5\x80");
}

#[test]
fn command_lines() {
    check(
        "cmdLine",
        &[
            (r#"C^OMMAND /C DI"R""#, "command/c dir"),
            ("a,b;;\t c", "a b c"),
            ("cat  /etc/passwd (x", "cat/etc/passwd(x"),
            (r"\w\h'o'a^m^i", "whoami"),
            ("' /", "/"),
        ],
    );
}

#[test]
fn spaces_and_comments() {
    check("compressWhitespace", &[("a \t\r\n b", "a b"), (" ", " "), ("\t", " ")]);
    check_bytes("removeWhitespace", b"a \x0b\xa0b", b"ab");
    check("trim", &[(" \ta b\n", "a b"), ("   ", "")]);
    check("trimLeft", &[(" a ", "a ")]);
    check("trimRight", &[(" a ", " a")]);
    check("replaceComments", &[("a/* x */b/**/c", "a b c"), ("a/* x", "a "), ("a*/b", "a*/b"), ("/*/", " ")]);
    check(
        "removeComments",
        &[("a/* x */b<!-- y -->c", "abc"), ("a/* x", "a "), ("a -- b", "a "), ("a # b", "a "), ("a-b/c", "a-b/c")],
    );
    check("removeCommentsChar", &[("/*!40000 a*/b<!--c-->d--e#f", "!40000 abcdef"), ("a-b*c/d", "a-b*c/d")]);
    check("removeNulls", &[("a\0b\0", "ab")]);
    check("replaceNulls", &[("a\0b", "a b")]);
}

#[test]
fn paths() {
    check(
        "normalizePath",
        &[
            ("/foo/bar/baz", "/foo/bar/baz"),
            (".", ""),
            ("./", ""),
            ("./..", ".."),
            ("./../", "../"),
            ("../.", ".."),
            ("../../", "../../"),
            ("/dir/foo//bar", "/dir/foo/bar"),
            ("dir/../../foo", "../foo"),
            ("dir/./.././../../foo/bar/..", "../../foo"),
            ("dir//.//..//.//..//..//foo//bar//", "../../foo/bar/"),
            ("/dir/./subdir/../subsubdir/../subsubsubdir/../", "/dir/"),
            ("/./.././../../\0/../etc/./passwd", "/etc/passwd"),
            ("/", "/"),
            ("a..b/.c", "a..b/.c"),
        ],
    );
    check("normalizePathWin", &[(r"\a\..\b/./c", "/b/c"), (r"..\..\x", "../../x")]);
    check("normalisePath", &[("/a/../b", "/b")]);
}

#[test]
fn numbers_and_digests() {
    check("base64Decode", &[("VGVzdA==", "Test"), ("VGVz\r\ndA", "Test"), ("VGVz!dA==", "Tes"), ("V", ""), ("", "")]);
    check("base64DecodeExt", &[("P.H.N.j=cmlwdD4", "<script>"), ("!!", "")]);
    check("base64Encode", &[("Test", "VGVzdA=="), ("Tes", "VGVz"), ("Te", "VGU="), ("", "")]);
    check("hexEncode", &[("A\u{7f}", "417f")]);
    check("hexDecode", &[("417f4", "A\u{7f}"), ("4a4A", "JJ")]);
    check(
        "sqlHexDecode",
        &[("0x414243", "ABC"), ("x=0X4142 0x4 0x 00x41", "x=AB 0x4 0x 0A"), ("0", "0"), ("0x4142g", "ABg")],
    );
    check("length", &[("abc", "3"), ("", "0")]);
    check("lowercase", &[("AbCÄ", "abcÄ")]);
    check("uppercase", &[("AbCä", "ABCä")]);
    check_bytes("parityEven7bit", b"abc\0", b"\xe1\xe2c\0");
    check_bytes("parityOdd7bit", b"abc\0", b"ab\xe3\x80");
    check_bytes("parityZero7bit", b"\xe1\xe2c", b"abc");
    let hex = |name: &str| String::from_utf8(transformed("hexEncode", &transformed(name, b"abc"))).unwrap();
    assert_eq!(hex("sha1"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_eq!(hex("md5"), "900150983cd24fb0d6963f7d28e17f72");
}

#[test]
fn every_name_has_one_transformation() {
    assert_eq!(Transformation::named("URLDECODEUNI"), Some(Transformation::UrlDecodeUni));
    assert_eq!(Transformation::named("none"), None);
    assert!(NAMES.iter().all(|(name, transformation)| Transformation::named(name) == Some(*transformation)));
}

/// Grows with the value and not faster: what takes quadratic time would take minutes here.
#[test]
fn hostile_values_take_linear_time() {
    let units: &[&[u8]] = &[
        b"%u",
        b"%",
        b"\\",
        b"&#",
        b"&#x0",
        b"&a",
        b"../",
        b"a/../",
        b"/*",
        b"<!--",
        b"-",
        b"0x",
        b"0x4",
        b"\xf0\x80",
        b"\xe0",
        b" ",
        b"a/",
        b"//",
        b"&#0",
        b"\\u",
        b"\\0",
        b"*/",
        b"\0",
    ];
    for unit in units {
        let value = unit.repeat(1 << 16);
        for (_, transformation) in NAMES {
            let mut out = Vec::new();
            transformation.apply(&value, &mut out);
        }
    }
}

fn values() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        "[%+&#xXuU0-9a-fA-F;\\\\./*<!>\"'^,( \t\r\n-]{1,6}".prop_map(String::into_bytes),
        "(&(lt|gt|amp|quot|nbsp);?)|(\\\\u[0-9a-f]{4})|(%u[0-9a-f]{4})|0x[0-9a-f]{2,4}|\\PC"
            .prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn values_without_triggers_stay(value in values()) {
        for (name, transformation) in NAMES {
            let Some(triggers) = transformation.triggers() else { continue };
            let kept: Vec<u8> = value.iter().copied().filter(|byte| !triggers.contains(*byte)).collect();
            let mut out = Vec::new();
            prop_assert!(!transformation.apply(&kept, &mut out), "{}", name);
            prop_assert!(out.is_empty());
            let changed = transformation.apply(&value, &mut out);
            prop_assert!(!changed || ByteSet::of(&value).intersects(triggers));
        }
    }

    #[test]
    fn says_whether_it_changed_and_keeps_its_bound(value in values()) {
        for (name, transformation) in NAMES {
            let mut out = Vec::new();
            let changed = transformation.apply(&value, &mut out);
            prop_assert!(out.len() <= 3 * value.len() + 20, "{}", name);
            prop_assert!(changed && out != value || !changed && out.is_empty(), "{}", name);
        }
    }

    #[test]
    fn what_is_in_order_stays_in_order(value in values()) {
        for name in [
            "cmdLine", "compressWhitespace", "lowercase", "normalizePath", "normalizePathWin", "parityEven7bit",
            "parityOdd7bit", "parityZero7bit", "removeNulls", "removeWhitespace", "replaceNulls", "trim", "trimLeft",
            "trimRight", "uppercase",
        ] {
            let once = transformed(name, &value);
            prop_assert_eq!(transformed(name, &once), once, "{}", name);
        }
    }

    #[test]
    fn what_is_encoded_is_decoded_again(value in prop::collection::vec(any::<u8>(), 0..200)) {
        for (there, back) in [
            ("base64Encode", "base64Decode"), ("base64Encode", "base64DecodeExt"), ("hexEncode", "hexDecode"),
            ("urlEncode", "urlDecode"), ("urlEncode", "urlDecodeUni"),
        ] {
            prop_assert_eq!(&transformed(back, &transformed(there, &value)), &value, "{}", there);
        }
    }
}
