//! `reeve init`, and that what it writes is sound.

use std::fs;

use crate::transcript::{run, transcript};

#[test]
fn what_is_written_is_checked_without_a_fault() {
    for reference in ["demo", "services", "saas", "seller", "public-api", "enterprise"] {
        let folder = tempfile::tempdir().unwrap();
        let written = run(folder.path(), &["--quiet", "init", "--from", reference], b"");
        assert_eq!((written.code, written.stdout + &written.stderr), (0, String::new()));
        let checked = run(folder.path(), &["check", "reeve.toml", "policy.toml"], b"");
        assert_eq!(checked.code, 0, "{}", checked.stdout);
        assert!(checked.stdout.contains(", 0 faults"), "{}", checked.stdout);
    }
}

#[test]
fn the_lines_that_show_a_default_are_sound_too() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["init", "--upstream", "https://app.example:9000"], b"");
    let text = fs::read_to_string(folder.path().join("reeve.toml")).unwrap();
    // Indented is what stands instead of something else, and the authority's file is not there; all other comments that
    // look like a setting become one.
    let setting = |line: &str| {
        let written = line
            .strip_prefix("# ")
            .filter(|rest| rest.contains(" = ") && !rest.starts_with(' ') && !rest.contains(".pem"));
        written.unwrap_or(line).to_owned()
    };
    let active: Vec<_> = text.lines().map(setting).collect();
    assert!(active.iter().any(|line| line == "drain = \"10s\""));
    fs::write(folder.path().join("reeve.toml"), active.join("\n")).unwrap();
    let checked = run(folder.path(), &["check"], b"");
    assert_eq!(checked.code, 0, "{}", checked.stdout);
}

#[test]
fn options_end_up_in_the_settings() {
    let folder = tempfile::tempdir().unwrap();
    let args =
        ["init", "--dir", "new/site", "--upstream", "h2c://app:8080", "--name", "www.example.com", "--name", "::1"];
    insta::assert_snapshot!("init-options", transcript(folder.path(), &args));
    let settings = fs::read_to_string(folder.path().join("new/site/reeve.toml")).unwrap();
    insta::assert_snapshot!("init-settings", settings);
}

#[test]
fn nothing_is_overwritten_unless_forced() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("reeve.toml"), "mine").unwrap();
    insta::assert_snapshot!("init-refused", transcript(folder.path(), &["init"]));
    assert!(!folder.path().join("policy.toml").exists(), "no half of a pair is written");
    assert_eq!(fs::read_to_string(folder.path().join("reeve.toml")).unwrap(), "mine");
    assert_eq!(run(folder.path(), &["init", "--force"], b"").code, 0);
    assert_ne!(fs::read_to_string(folder.path().join("reeve.toml")).unwrap(), "mine");
}

#[test]
fn an_option_that_makes_no_sense_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    insta::assert_snapshot!("init-upstream", transcript(folder.path(), &["init", "--upstream", "localhost:3000"]));
    insta::assert_snapshot!("init-name", transcript(folder.path(), &["init", "--name", "my site"]));
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
}
