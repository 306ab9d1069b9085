//! `reeve explain`.

use crate::transcript::{root, run, transcript};

#[test]
fn a_control_is_explained_with_bounds_and_an_example() {
    insta::assert_snapshot!("explain", transcript(&root(), &["explain"]));
    insta::assert_snapshot!("explain-tls.floor", transcript(&root(), &["explain", "tls.floor"]));
    insta::assert_snapshot!("explain-input.size", transcript(&root(), &["explain", "input.size"]));
    insta::assert_snapshot!("explain-without-parameters", transcript(&root(), &["explain", "tls.pfs"]));
    insta::assert_snapshot!("explain-json", transcript(&root(), &["explain", "rate.ip", "--json"]));
}

#[test]
fn a_planned_control_says_so_and_an_unknown_one_is_an_error() {
    insta::assert_snapshot!("explain-planned", transcript(&root(), &["explain", "backup.age"]));
    insta::assert_snapshot!("explain-unknown", transcript(&root(), &["explain", "tls.flor"]));
    insta::assert_snapshot!("explain-far-off", transcript(&root(), &["explain", "quantum"]));
}

#[test]
fn all_lists_the_planned_ones_too() {
    let all = run(&root(), &["explain", "--all"], b"").stdout;
    assert!(all.contains("tls.floor") && all.contains("planned, in `backup`"));
}
