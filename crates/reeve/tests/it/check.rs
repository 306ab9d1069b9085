//! `reeve check` of policies.

use std::fs;

use crate::transcript::{broken, root, run, transcript};

/// The day on which all tests take place.
const TODAY: &str = "--today=2026-11-21";

#[test]
fn the_reference_policies_have_385_clauses_and_no_fault() {
    let names = ["services", "saas", "seller", "public-api", "enterprise"].map(|name| format!("policies/{name}.toml"));
    let args: Vec<_> = ["check", TODAY].into_iter().chain(names.iter().map(String::as_str)).collect();
    insta::assert_snapshot!("reference", transcript(&root(), &args));
}

#[test]
fn every_policy_that_ships_is_without_a_fault() {
    let entries = fs::read_dir(root().join("policies")).unwrap().map(|entry| entry.unwrap().path());
    let policies: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    let args = ["check", TODAY].into_iter().chain(policies.iter().map(|path| path.to_str().unwrap()));
    let checked = run(&root(), &args.collect::<Vec<_>>(), b"");
    assert_eq!(checked.code, 0, "{}", checked.stdout);
    assert!(checked.stdout.ends_with(" clauses, 0 faults\n"), "{}", checked.stdout);
}

#[test]
fn every_broken_policy_is_shown_with_its_remedy() {
    let mut names: Vec<_> = fs::read_dir(broken())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("settings-"))
        .collect();
    names.sort_unstable();
    assert!(names.len() >= 15, "{names:?}");
    for name in names {
        let transcript = transcript(&broken(), &["check", TODAY, &name]);
        // A file that is no text could not be judged; all others were, and found wanting.
        let code = if name == "latin-1.toml" { 2 } else { 1 };
        assert!(transcript.starts_with(&format!("exit code: {code}\n")), "{name}");
        insta::assert_snapshot!(format!("broken-{}", name.trim_end_matches(".toml")), transcript);
    }
}

#[test]
fn programs_get_json_and_sarif() {
    let args = ["check", TODAY, "unknown-control.toml", "contradiction.toml", "missing.toml"];
    insta::assert_snapshot!("check-json", transcript(&broken(), &[&args[..], &["--json"]].concat()));
    insta::assert_snapshot!("check-sarif", transcript(&broken(), &[&args[..], &["--sarif"]].concat()));
}

#[test]
fn a_file_that_cannot_be_read_does_not_keep_the_others_from_being_checked() {
    let args = ["check", TODAY, "missing.toml", ".", "unknown-key.toml"];
    insta::assert_snapshot!("check-unreadable", transcript(&broken(), &args));
}

#[test]
fn standard_input_is_a_file_like_any_other() {
    let sound = fs::read(root().join("policies/demo.toml")).unwrap();
    let checked = run(&root(), &["check", TODAY, "-"], &sound);
    assert_eq!(checked.code, 0);
    assert!(checked.stdout.starts_with("<stdin>  "), "{}", checked.stdout);
}

#[test]
fn ten_megabytes_are_refused_without_being_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("huge.toml"), vec![b'#'; 10 * 1024 * 1024]).unwrap();
    insta::assert_snapshot!("check-huge", transcript(folder.path(), &["check", "huge.toml"]));
}

#[test]
fn quiet_leaves_only_the_faults() {
    let sound = run(&root(), &["-q", "check", TODAY, "policies/demo.toml"], b"");
    assert_eq!((sound.code, sound.stdout + &sound.stderr), (0, String::new()));
    let wrong = run(&broken(), &["-q", "check", TODAY, "unknown-parameter.toml"], b"");
    assert!(wrong.stdout.contains("policy::") || wrong.stdout.contains("document::"));
    assert!(!wrong.stdout.contains("1 file"), "{}", wrong.stdout);
}

#[test]
fn colour_is_for_those_who_ask_for_it() {
    let args = ["check", TODAY, "unknown-key.toml"];
    let plain = run(&broken(), &args, b"").stdout;
    let painted = run(&broken(), &[&["--color", "always"], &args[..]].concat(), b"").stdout;
    assert!(!plain.contains('\u{1b}') && painted.contains('\u{1b}'));
}

#[test]
fn a_terminal_obeys_nothing_in_a_policy() {
    let foreign = "a = \"\\u001b]0;owned\\u0007\"\nb\u{1b}[2J = 1\n";
    let checked = run(&root(), &["check", "-"], foreign.as_bytes());
    assert_eq!(checked.code, 1);
    assert!(!checked.stdout.contains('\u{1b}'), "{:?}", checked.stdout);
}

#[test]
fn a_change_of_policy_is_told_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let old = fs::read_to_string(root().join("policies/demo.toml")).unwrap();
    let without =
        old.split("\n\n").filter(|block| !block.starts_with("[clause.no-debug]")).collect::<Vec<_>>().join("\n\n");
    let new = without
        .replace("with     = { min = \"1.2\" }", "with     = { min = \"1.3\" }")
        .replace("rate = \"120/min\", burst = 40", "rate = \"600/min\", burst = 20")
        .replace("referrer = \"strict-origin-when-cross-origin\"", "referrer = \"no-referrer\"")
        .replace("No other site can show", "Nobody else can show")
        .replace(
            "[clause.legal-pages]",
            "[clause.cipher-length]\nsection = \"transport\"\ntext = \"Keys have {bits} bits at least.\"\n\
             control = \"tls.cipher_bits\"\nwith = { bits = 128 }\nseverity = \"low\"\n\n[clause.legal-pages]",
        );
    let exception = "\n[[exception]]\nclause = \"hsts\"\nreason = \"The old shop moves in January.\"\n\
                     approved_by = [\"ciso@example.com\"]\nexpires = 2026-12-31\n";
    fs::write(folder.path().join("old.toml"), &old).unwrap();
    fs::write(folder.path().join("new.toml"), new + exception).unwrap();
    let args = ["check", TODAY, "--diff", "old.toml", "new.toml"];
    insta::assert_snapshot!("diff", transcript(folder.path(), &args));
    insta::assert_snapshot!("diff-json", transcript(folder.path(), &[&args[..], &["--json"]].concat()));
    insta::assert_snapshot!("diff-same", transcript(folder.path(), &["check", "--diff", "old.toml", "old.toml"]));
}

#[test]
fn policies_with_faults_are_not_compared() {
    let args = ["check", TODAY, "--diff", "unknown-parameter.toml", "missing.toml"];
    insta::assert_snapshot!("diff-refused", transcript(&broken(), &args));
}
