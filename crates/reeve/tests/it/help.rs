//! Help, version, completions and the schema.

use crate::transcript::{root, run, transcript};

const VERBS: [&str; 19] = [
    "demo",
    "init",
    "check",
    "explain",
    "up",
    "reload",
    "pay",
    "learn",
    "upgrade",
    "top",
    "prove",
    "ledger",
    "key",
    "store",
    "witness",
    "selftest",
    "waf",
    "schema",
    "completions",
];

#[test]
fn help_of_the_program_and_of_every_verb() {
    insta::assert_snapshot!("help", transcript(&root(), &["--help"]));
    for verb in VERBS {
        insta::assert_snapshot!(format!("help-{verb}"), transcript(&root(), &[verb, "--help"]));
    }
}

#[test]
fn version_is_one_line_on_standard_output() {
    assert_eq!(
        transcript(&root(), &["--version"]),
        "exit code: 0\n----- stdout -----\nreeve [VERSION]\n----- stderr -----\n"
    );
}

#[test]
fn wrong_usage_ends_with_two_and_says_what_is_meant() {
    insta::assert_snapshot!("usage-unknown-verb", transcript(&root(), &["chekc"]));
    insta::assert_snapshot!("usage-both-formats", transcript(&root(), &["check", "--json", "--sarif", "x.toml"]));
    insta::assert_snapshot!("usage-bad-date", transcript(&root(), &["check", "--today", "tomorrow", "x.toml"]));
}

#[test]
fn completions_name_every_verb() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&root(), &["completions", shell], b"");
        assert_eq!((script.code, script.stderr.as_str()), (0, ""), "{shell}");
        for verb in VERBS {
            assert!(script.stdout.contains(verb), "{shell} does not know {verb}");
        }
    }
}

#[test]
fn the_checked_in_schema_is_the_one_that_is_printed() {
    let printed = run(&root(), &["schema"], b"").stdout;
    let kept = std::fs::read_to_string(root().join("docs/reference/policy.schema.json")).unwrap_or_default();
    // Compared by meaning: the order of keys depends on the features that other crates ask of `serde_json`.
    let [printed, kept] = [printed, kept].map(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    // `assert_eq!` would print both of them.
    assert!(printed.is_some(), "`reeve schema` prints no JSON");
    assert!(
        printed == kept,
        "the schema has changed: run `cargo run -q -- schema > docs/reference/policy.schema.json`"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_reader_that_has_gone_is_no_failure_and_a_full_disk_is_one() {
    use std::process::{Command, Stdio};
    let mut child = Command::new(env!("CARGO_BIN_EXE_reeve"))
        .args(["--quiet", "explain", "--all", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));

    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_reeve")).arg("explain").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("error: cannot write to standard output\n"));
}
