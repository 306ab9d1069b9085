//! The sandbox, tried by the program itself.

use std::path::Path;

use serde_json::Value;

use crate::transcript::{Run, root, run, transcript};

/// A row of the result: what was tried, what it is called, and the verdict.
fn verdicts(run: &Run) -> Vec<(String, String)> {
    let report = serde_json::from_str::<Value>(&run.stdout);
    assert!(report.is_ok(), "{}{}", run.stdout, run.stderr);
    let report = report.unwrap();
    let rows = report["rows"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    rows.iter().map(|row| (text(&row["what"]), text(&row["verdict"]["word"]))).collect()
}

fn with(verdicts: &[(String, String)], word: &str) -> Vec<String> {
    verdicts.iter().filter(|(_, verdict)| verdict == word).map(|(what, _)| what.clone()).collect()
}

fn deployment(server: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(folder.path(), &["init"], b"").code, 0);
    let path = folder.path().join("reeve.toml");
    let settings = std::fs::read_to_string(&path).unwrap();
    assert!(settings.contains("[server]\n"));
    std::fs::write(&path, settings.replace("[server]\n", &format!("[server]\n{server}\n"))).unwrap();
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn what_is_forbidden_is_refused_and_the_gateway_works_inside() {
    let folder = tempfile::tempdir().unwrap();
    let selftest = run(folder.path(), &["selftest", "sandbox", "--json"], b"");
    let verdicts = verdicts(&selftest);
    assert_eq!(with(&verdicts, "broken"), Vec::<String>::new());
    // A kernel without Landlock leaves rows open, and then the run as a whole may not hold.
    let whole = with(&verdicts, "unknown").is_empty();
    assert_eq!(selftest.code, if whole { 0 } else { 2 }, "{}", selftest.stdout);
    let kept = with(&verdicts, "kept");
    for what in ["run a shell", "become a shell", "set the clock", "serve a request over TLS", "write the access log"] {
        assert!(kept.contains(&what.to_owned()), "{what}: {}", selftest.stdout);
    }
    assert_eq!(names(folder.path()), Vec::<String>::new());
}

#[test]
fn without_the_sandbox_the_same_attempts_succeed_and_are_found() {
    let folder = deployment("sandbox = \"off\"");
    let selftest = run(folder.path(), &["selftest", "sandbox", "--json"], b"");
    assert_eq!(selftest.code, 1, "{}", selftest.stderr);
    let broken = with(&verdicts(&selftest), "broken");
    // Those that an ordinary user may do where nothing forbids them.
    for what in [
        "read a file of somebody else that is open to all",
        "list the root folder",
        "change the settings",
        "change the policy",
        "make a file in the temporary folder",
        "plant a link in the data folder",
        "talk to another program's abstract socket",
        "listen on a port that is not in the settings",
        "run a shell",
        "become a shell",
        "make memory that is written and run",
        "become another user",
        "open its memory to others",
        "signal another process",
    ] {
        assert!(broken.contains(&what.to_owned()), "{what} was not done: {}", selftest.stdout);
    }
}

#[test]
fn a_deployment_is_tried_and_left_as_it_was() {
    let folder = deployment("");
    let before = std::fs::read(folder.path().join("policy.toml")).unwrap();
    let selftest = run(folder.path(), &["selftest", "sandbox"], b"");
    assert!([0, 2].contains(&selftest.code), "{}{}", selftest.stdout, selftest.stderr);
    assert!(selftest.stdout.contains("0 not refused") && selftest.stdout.contains("0 needed and not working"));
    // Its gateway is not started: it may be running.
    assert!(!selftest.stdout.contains("start the gateway"), "{}", selftest.stdout);
    assert_eq!(std::fs::read(folder.path().join("policy.toml")).unwrap(), before);
    assert_eq!(names(&folder.path().join("reeve-data")), Vec::<String>::new());
}

#[test]
fn settings_that_cannot_be_read_cannot_be_tried() {
    let folder = tempfile::tempdir().unwrap();
    let selftest = run(folder.path(), &["selftest", "sandbox", "--config", "nowhere.toml"], b"");
    assert_eq!((selftest.code, selftest.stdout.as_str()), (2, ""), "{}", selftest.stderr);
    assert!(selftest.stderr.contains("nowhere.toml") && selftest.stderr.contains("hint:"), "{}", selftest.stderr);
}

#[test]
fn help() {
    insta::assert_snapshot!("help-selftest-sandbox", transcript(&root(), &["selftest", "sandbox", "--help"]));
}
