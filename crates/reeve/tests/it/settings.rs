//! Wrong settings are refused with the same care as a wrong policy.

use std::fs;

use crate::transcript::{broken, run, transcript};

#[test]
fn every_fault_of_settings_is_shown_with_its_remedy() {
    for name in [
        "typo",
        "certificates",
        "no-key",
        "loop",
        "values",
        "bare",
        "acme",
        "session",
        "waf",
        "exclude",
        "waf-rules",
        "waf-pins",
        "upstreams",
        "callers",
        "no-proxies",
        "answers",
        "openapi",
        "operate",
        "learn",
        "tracing",
        "journal",
    ] {
        let transcript = transcript(&broken(), &["check", &format!("settings-{name}.toml")]);
        insta::assert_snapshot!(format!("settings-{name}"), transcript);
        assert!(transcript.starts_with("exit code: 1"), "{name}");
    }
}

#[test]
fn a_warning_is_shown_and_is_no_error() {
    insta::assert_snapshot!("settings-warnings", transcript(&broken(), &["check", "settings-warnings.toml"]));
}

#[test]
fn without_a_file_the_deployment_of_the_folder_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    insta::assert_snapshot!("deployment-missing", transcript(folder.path(), &["check"]));
    run(folder.path(), &["init"], b"");
    insta::assert_snapshot!("deployment", transcript(folder.path(), &["check"]));
    fs::create_dir(folder.path().join("elsewhere")).unwrap();
    let args = ["check", "--config", "../reeve.toml"];
    insta::assert_snapshot!("deployment-elsewhere", transcript(&folder.path().join("elsewhere"), &args));
    fs::remove_file(folder.path().join("policy.toml")).unwrap();
    insta::assert_snapshot!("deployment-without-policy", transcript(folder.path(), &["check"]));
}
