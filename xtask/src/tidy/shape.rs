//! The shape of a text file: white space, length, a first line that says what the file is for.

use crate::tidy::Fault;

/// Whether a file keeps whatever shape it has: bytes that are test data, pictures, and texts that are not ours.
pub(super) fn exempt(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let corpus = path.split('/').any(|folder| folder == "fuzz") && path.split('/').any(|folder| folder == "corpus");
    corpus || name == "LICENSE" || name.ends_with(".snap") || name.ends_with(".png")
}

/// The faults of the file at `path`, given from the root.
pub(super) fn check(path: &str, text: &str) -> Vec<Fault> {
    let rust = path.ends_with(".rs");
    let mut faults = Vec::new();
    let mut line_count = 0;
    for line in text.split_terminator('\n') {
        line_count += 1;
        if line.ends_with(char::is_whitespace) {
            faults.push(Fault::new(path, line_count, "white space at the end of the line"));
        }
        if rust && line.contains('\t') {
            faults.push(Fault::new(path, line_count, "a tab: indent with spaces, write `\\t` in a string"));
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        faults.push(Fault::new(path, line_count, "the last line does not end"));
    }
    if text == "\n" || text.ends_with("\n\n") {
        faults.push(Fault::new(path, line_count, "an empty line at the end of the file"));
    }
    if rust && line_count > RUST_LINES_MAX {
        let text = format!("{line_count} lines; past {RUST_LINES_MAX} look for the seam");
        faults.push(Fault::new(path, RUST_LINES_MAX + 1, text));
    }
    if wants_module_docs(path) && !text.starts_with("//!") {
        faults.push(Fault::new(path, 1, "the file does not start with `//!` and what it is for"));
    }
    faults
}

/// Sources of a crate say what they are for; a file of tests is named after what it tests.
fn wants_module_docs(path: &str) -> bool {
    let mut parts = path.split('/');
    let source = match parts.next() {
        Some("crates") => parts.nth(1) == Some("src"),
        Some("xtask") => parts.next() == Some("src"),
        _ => false,
    };
    source && path.ends_with(".rs") && !path.ends_with("/tests.rs") && !path.contains("/tests/")
}

/// A Rust file that is longer holds two subjects.
const RUST_LINES_MAX: usize = 800;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, text: &str, expected: &[&str]) {
        let faults: Vec<_> = super::check(path, text).iter().map(|f| format!("{}: {}", f.line, f.text)).collect();
        assert_eq!(faults, expected);
    }

    #[test]
    fn lines_end_without_white_space() {
        check("a.md", "one\ntwo\n", &[]);
        check(
            "a.md",
            "one \ntwo\t\n",
            &["1: white space at the end of the line", "2: white space at the end of the line"],
        );
        check("a.md", "one\r\n", &["1: white space at the end of the line"]);
    }

    #[test]
    fn a_file_ends_with_one_newline() {
        check("a.md", "", &[]);
        check("a.md", "one", &["1: the last line does not end"]);
        check("a.md", "one\n\n", &["2: an empty line at the end of the file"]);
        check("a.md", "\n", &["1: an empty line at the end of the file"]);
    }

    #[test]
    fn only_rust_is_without_tabs() {
        check("a.rs", "\tx\n", &["1: a tab: indent with spaces, write `\\t` in a string"]);
        check("Makefile", "\tx\n", &[]);
    }

    #[test]
    fn a_rust_file_ends_at_its_limit() {
        check("a.rs", &"x\n".repeat(RUST_LINES_MAX), &[]);
        check("a.rs", &"x\n".repeat(RUST_LINES_MAX + 1), &["801: 801 lines; past 800 look for the seam"]);
        check("a.md", &"x\n".repeat(RUST_LINES_MAX + 1), &[]);
    }

    #[test]
    fn a_source_says_what_it_is_for() {
        let missing: &[&str] = &["1: the file does not start with `//!` and what it is for"];
        check("crates/x/src/lib.rs", "//! What.\n", &[]);
        check("crates/x/src/lib.rs", "mod a;\n", missing);
        check("crates/x/src/a/b.rs", "", missing);
        check("xtask/src/main.rs", "fn main() {}\n", missing);
        check("crates/x/src/a/tests.rs", "use super::*;\n", &[]);
        check("crates/x/src/tests/a.rs", "use super::*;\n", &[]);
        check("crates/x/tests/it/main.rs", "mod a;\n", &[]);
        check("crates/x/build.rs", "fn main() {}\n", &[]);
    }

    #[test]
    fn data_and_foreign_texts_keep_their_shape() {
        assert!(exempt("LICENSE"));
        assert!(exempt("crates/x/tests/it/snapshots/a.snap"));
        assert!(exempt("docs/a.png"));
        assert!(exempt("fuzz/corpus/head/01"));
        assert!(exempt("crates/waf/fuzz/corpus/rules/01"));
        assert!(!exempt("fuzz/fuzz_targets/head.rs"));
        assert!(!exempt("docs/corpus/a.md"));
    }
}
