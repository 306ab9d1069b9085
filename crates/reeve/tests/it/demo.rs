//! The demo and the mutation run, whole: real gateways, real probes.

use crate::transcript::{root, run};

#[test]
fn the_demo_shows_refusals_and_proves_every_clause_of_its_policy() {
    let folder = tempfile::tempdir().unwrap();
    let demo = run(folder.path(), &["demo", "--once", "--html", "proof.html"], b"");
    assert_eq!(demo.code, 0, "{}{}", demo.stdout, demo.stderr);
    assert!(demo.stdout.contains("kept 31, broken 0, unknown 0 of 31"), "{}", demo.stdout);
    for control in ["edge.smuggling", "error.no_debug", "input.methods", "input.size", "error.page", "rate.ip"] {
        assert!(demo.stderr.contains(&format!("       {control}: ")), "{control}: {}", demo.stderr);
    }
    let html = std::fs::read_to_string(folder.path().join("proof.html")).unwrap();
    assert!(html.contains("31") && !html.contains("<script"), "the report is a page without scripts");
}

#[test]
fn every_probe_notices_that_its_control_is_off() {
    let outcome = run(&root(), &["--quiet", "prove", "--mutate", "--json"], b"");
    let report: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!((outcome.code, &report["missed"]), (0, &0.into()), "{report:#}");
    let explained = run(&root(), &["explain", "--json"], b"");
    let controls: serde_json::Value = serde_json::from_str(&explained.stdout).unwrap();
    let typed = controls.as_array().unwrap().iter().filter(|control| control["status"] == "typed").count();
    assert_eq!(report["controls"].as_array().unwrap().len(), typed, "every control was tried");
}
