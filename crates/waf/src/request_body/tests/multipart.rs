//! Multipart bodies: what they hold, and every flag.

use super::super::{Flags, multipart};
use super::{Arena, LIMITS, Limits, shown};

const TYPE: &str = "multipart/form-data; boundary=XyZ";

struct Read {
    fields: Vec<String>,
    files: Vec<String>,
    sizes: Vec<u64>,
    headers: Vec<String>,
    flags: Flags,
    fault: String,
}

fn read_as(content_type: &str, body: &str, limits: &Limits) -> Read {
    let mut arena = Arena::default();
    let (found, end) = multipart(body.as_bytes(), content_type.as_bytes(), limits, &mut arena);
    Read {
        fields: shown(&arena, &found.fields),
        files: shown(&arena, &found.files),
        sizes: found.sizes,
        headers: shown(&arena, &found.part_headers),
        flags: found.flags,
        fault: end.err().map_or_else(String::new, |fault| fault.to_string()),
    }
}

/// Line feeds become CRLF.
fn read(body: &str) -> Read {
    read_as(TYPE, &body.replace('\n', "\r\n"), &LIMITS)
}

const TWO: &str = "--XyZ
Content-Disposition: form-data; name=\"a\"

one
two
--XyZ
Content-Disposition: form-data; name=\"f\"; filename=\"x \\\"y\\\".php\"
Content-Type: text/plain

content
--XyZ--
";

/// One part with this header and the content `v`.
fn part(header: &str) -> Read {
    read(&format!("--XyZ\n{header}\n\nv\n--XyZ--\n"))
}

#[test]
fn fields_files_and_headers() {
    let read = read(TWO);
    assert_eq!(read.fields, [r"a=one\r\ntwo"]);
    assert_eq!(read.files, ["f=x \\\"y\\\".php"]);
    assert_eq!(read.sizes, [7]);
    assert_eq!(
        read.headers,
        [
            "a=Content-Disposition: form-data; name=\\\"a\\\"",
            "f=Content-Disposition: form-data; name=\\\"f\\\"; filename=\\\"x \\\\\\\"y\\\\\\\".php\\\"",
            "f=Content-Type: text/plain",
        ]
    );
    assert_eq!((read.flags, read.fault.as_str()), (Flags::default(), ""));
}

#[test]
fn what_ends_a_body() {
    let without_line_end = read_as(TYPE, TWO.trim_end().replace('\n', "\r\n").as_str(), &LIMITS);
    assert_eq!((without_line_end.flags, without_line_end.fault.as_str()), (Flags::default(), ""));
    let empty = read("--XyZ--\n");
    assert_eq!((empty.flags, empty.fault.as_str(), empty.fields.len()), (Flags::default(), "", 0));
    let none = read_as(TYPE, "", &LIMITS);
    assert_eq!((none.flags, none.fault.as_str()), (Flags::default(), ""));
    let cut = read("--XyZ\nContent-Disposition: form-data; name=a\n\nvalue");
    assert_eq!(cut.fields, ["a=value"]);
    assert!(cut.flags.unmatched_boundary && cut.fault.contains("the last boundary is missing"));
    let headers_only = read("--XyZ\nContent-Disposition: form-data; name=a\n--XyZ--\n");
    assert!(headers_only.flags.invalid_part && headers_only.fault.contains("within its headers"));
    assert_eq!((headers_only.headers.len(), headers_only.fields), (1, vec!["a=".to_owned()]));
    assert!(read("hello").fault.contains("no boundary"));
}

#[test]
fn contents_are_kept_byte_for_byte() {
    let content = "--\r\n-\r\n--Xy\r\n\n\r\n";
    let body = format!("--XyZ\r\nContent-Disposition: form-data; name=a\r\n\r\n{content}\r\n--XyZ--\r\n");
    let read = read_as(TYPE, &body, &LIMITS);
    assert_eq!(read.fields, [format!("a={}", content.escape_default())]);
    assert!(!read.flags.unmatched_boundary, "lines of hyphens are common in texts and keys");
}

#[track_caller]
fn check_flag(read: &Read, flag: impl Fn(&mut Flags) -> &mut bool) {
    let mut flags = Flags::default();
    *flag(&mut flags) = true;
    assert_eq!(read.flags, flags, "{}", read.fault);
}

#[test]
fn flags_of_the_boundary() {
    let body = TWO.replace('\n', "\r\n");
    let with = |content_type: &str| read_as(content_type, &body, &LIMITS);
    check_flag(&with("multipart/form-data; boundary=\"XyZ\""), |flags| &mut flags.boundary_quoted);
    check_flag(&with("Multipart/Form-Data; boundary =XyZ"), |flags| &mut flags.boundary_whitespace);
    check_flag(&with("multipart/form-data boundary=XyZ"), |flags| &mut flags.missing_semicolon);
    assert!(with("multipart/form-data; boundary= XyZ").flags.boundary_whitespace);
    for (content_type, fault) in [
        ("multipart/mixed; boundary=XyZ", "not multipart/form-data"),
        ("multipart/form-data", "no boundary"),
        ("multipart/form-data; Boundary=XyZ", "no boundary"),
        ("multipart/form-data; boundary=XyZ; boundary=abc", "more than one"),
        ("multipart/form-data; BOUNDARY=abc; boundary=XyZ", "more than one"),
        ("multipart/form-data; charset=utf-8; boundary=XyZ", "before the boundary"),
        ("multipart/form-data; boundary=XyZ; charset=utf-8", "bytes that may not be"),
        ("multipart/form-data; boundary=\"XyZ", "half a pair"),
        ("multipart/form-data; boundary=XyZ\"", "half a pair"),
        ("multipart/form-data; boundary=", "empty"),
        ("multipart/form-data; boundary", "without a value"),
        ("multipart/form-data; boundary*=XyZ", "between the name"),
        ("multipart/form-data; boundary=Xy{Z", "bytes that may not be"),
        ("multipart/form-data; boundary=\"XyZ \"", "bytes that may not be"),
    ] {
        let read = with(content_type);
        assert!(read.fault.contains(fault), "{content_type}: {}", read.fault);
        assert!(read.fields.is_empty());
    }
    assert!(with(&format!("multipart/form-data; boundary={}", "x".repeat(1_024))).fault.contains("too long"));
}

#[test]
fn flags_of_lines() {
    check_flag(&read(&format!("preamble\n{TWO}")), |flags| &mut flags.data_before);
    check_flag(&read(&format!("{TWO}epilogue\n")), |flags| &mut flags.data_after);
    assert_eq!(read(&format!("{TWO}\n")).flags, Flags::default());
    check_flag(&read_as(TYPE, TWO, &LIMITS), |flags| &mut flags.lf_line);
    let mixed = read_as(TYPE, &TWO.replacen('\n', "\r\n", 1), &LIMITS);
    assert!(mixed.flags.lf_line && mixed.flags.crlf_lf_lines);
    assert!(read(&format!("{TWO}{TWO}")).fault.contains("after the last one"));
}

#[test]
fn boundaries_that_are_none() {
    let field = |line: &str| read(&format!("--XyZ\nContent-Disposition: form-data; name=a\n\n{line}\n--XyZ--\n"));
    assert!(field("x--XyZ").flags.unmatched_boundary);
    assert!(field("--XyZa").fault.contains("more after it"));
    assert_eq!(field("--XyZa").fields, ["a=--XyZa"]);
    assert!(field("-- XyZ").fault.contains("space in front"));
    let padded = read("--XyZ \nContent-Disposition: form-data; name=a\n\nv\n--XyZ--\n");
    assert!(padded.fault.contains("space after a boundary"));
    assert_eq!(padded.fields, ["a=v"], "a lenient server sees this field");
    let quoted = read_as("multipart/form-data; boundary=\"XyZ\"", "--\"XyZ\"\r\n\r\n", &LIMITS);
    assert!(quoted.fault.contains("quotes around"));
    assert!(read(&format!("--other\n{}", TWO.replace("--XyZ\n", ""))).flags.unmatched_boundary);
}

#[test]
fn flags_of_headers() {
    let disposition = "Content-Disposition: form-data;";
    check_flag(&part(&format!("{disposition}\n\tname=a")), |flags| &mut flags.header_folding);
    assert_eq!(part(&format!("{disposition}\n  name=a")).headers, ["a=Content-Disposition: form-data; name=a"]);
    let odd = part(&format!("{disposition}\n\u{b}name=a"));
    assert!(odd.flags.header_folding && odd.flags.invalid_header_folding);
    assert!(part(" x").fault.contains("a folded line"));
    check_flag(&part(&format!("{disposition} name='a'")), |flags| &mut flags.invalid_quoting);
    // Between double quotes it is a letter like any other: that is how browsers send the name of a file.
    assert!(!part(&format!("{disposition} name=\"o'b\"")).flags.invalid_quoting);
    assert!(part(&format!("{disposition} name=\"a\"b")).flags.invalid_quoting);
    assert!(part(&format!("{disposition} name=\"a")).flags.invalid_quoting);
    let nameless = part("Content-Disposition: form-data");
    assert!(nameless.flags.invalid_part && nameless.fault.contains("without a name"));
    assert_eq!(nameless.fields, ["=v"], "rules see its content");
    let bare = part("Content-Type: text/plain");
    assert!(bare.flags.invalid_part && bare.fault.contains("without Content-Disposition"));
}

#[test]
fn header_faults() {
    let disposition = "Content-Disposition: form-data; name=\"a\"";
    for (header, fault) in [
        (format!("{disposition}\nnonsense"), "without a colon"),
        (format!("{disposition}\n: x"), "without a name"),
        (format!("{disposition}\n{disposition}"), "header twice"),
        (format!("{disposition}\nX: \0"), "zero byte"),
        (format!("{disposition}\nX: {}", "x".repeat(4_096)), "4096 bytes in a header line"),
        ((0..40).fold(disposition.to_owned(), |all, n| format!("{all}\nX{n}: y")), "32 header lines"),
        ("Content-Disposition: attachment; name=\"a\"".to_owned(), "not form-data"),
        (format!("{disposition}; name=\"b\""), "two names"),
        (format!("{disposition}; filename=b; filename=c"), "two file names"),
        (format!("{disposition}; filename*=UTF-8''x"), "encoded file name"),
        (format!("{disposition}; x=y"), "unknown parameter"),
        (format!("{disposition} filename=x"), "not separated by semicolons"),
        (format!("{disposition}; filename"), "without a value"),
        (format!("{disposition}; filename="), "without a value"),
    ] {
        let read = part(&header);
        assert!(read.fault.contains(fault), "{header}: {}", read.fault);
    }
    assert_eq!(part(&format!("{disposition}; filename*=UTF-8''x")).files.len(), 1);
}

#[test]
fn names_as_browsers_write_them() {
    let disposition = "Content-Disposition: form-data; name=\"a\"";
    assert_eq!(part(&format!("{disposition}; filename=\"C:\\temp\\x.php\"")).files, [r"a=C:\\temp\\x.php"]);
    assert_eq!(part(&format!("{disposition}; filename=\"\"")).fields, ["a=v"], "without a file's name it is a field");
    assert_eq!(part("content-disposition:form-data ; name = a").fields, ["a=v"]);
    assert_eq!(part("Content-Disposition: form-data; name=\"_charset_\"").headers.len(), 1);
}

#[test]
fn duplicates_are_kept() {
    let one = "--XyZ\nContent-Disposition: form-data; name=a\nContent-Type: text/plain; charset=";
    let read = read(&format!("{one}utf-7\n\n1\n{one}utf-8\n\n2\n--XyZ--\n"));
    assert_eq!(read.fields, ["a=1", "a=2"]);
    assert_eq!(read.headers.iter().filter(|line| line.contains("charset=utf-")).count(), 2);
}

#[test]
fn multipart_limits() {
    let field = "--XyZ\r\nContent-Disposition: form-data; name=a\r\n\r\nv\r\n";
    let run = |parts: usize, limits: &Limits| read_as(TYPE, &format!("{}--XyZ--\r\n", field.repeat(parts)), limits);
    let limits = Limits { parts_max: 2, ..LIMITS };
    assert_eq!(run(2, &limits).fault, "");
    let over = run(3, &limits);
    assert_eq!((over.fault.as_str(), over.fields.len()), ("more than 2 parts", 2));
    assert!(over.flags.file_limit_exceeded);
    let limits = Limits { arguments_max: 2, ..LIMITS };
    assert_eq!(run(2, &limits).fault, "");
    assert_eq!((run(3, &limits).fault.as_str(), run(3, &limits).fields.len()), ("more than 2 arguments", 2));
}
