//! The regression tests of the Core Rule Set, where the environment variable `REEVE_CRS` names its folder.

use std::fs;
use std::path::{Path, PathBuf};

use reeve_waf::trial::{self, Bench, Outcome};
use reeve_waf::{EngineMode, Options, Scratch};

use crate::folder::{core_rule_set, load};

/// As the tests want it: rules find, and refuse nothing.
fn detecting(prefilter: bool) -> Options {
    Options { mode: Some(EngineMode::DetectionOnly), prefilter, ..Options::default() }
}

pub(crate) fn test_files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(test_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml")
            && !path.to_string_lossy().ends_with("-overrides.yaml")
        {
            all.push(path);
        }
    }
    all.sort();
    all
}

#[test]
#[ignore = "needs the folder of the Core Rule Set, named by REEVE_CRS"]
fn looking_before_patterns_run_changes_nothing() {
    let folder = core_rule_set();
    let engines = [true, false].map(|prefilter| load(&folder, 4, detecting(prefilter)).unwrap());
    let mut scratch = Scratch::default();
    for path in test_files(&folder.join("tests")) {
        let file = trial::read(&fs::read(&path).unwrap()).unwrap();
        for trial in &file.trials {
            let [one, other] = engines.each_ref().map(|engine| {
                trial::run(&Bench { engine, seconds: 1_750_000_000, overrides: None }, trial, &mut scratch)
            });
            assert_eq!(one, other, "{}", trial.id);
        }
    }
}

#[test]
#[ignore = "needs the folder of the Core Rule Set, named by REEVE_CRS"]
fn the_regression_tests_pass() {
    let folder = core_rule_set();
    let engine = load(&folder, 4, detecting(true)).unwrap_or_else(|faults| {
        panic!("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    });
    let bench = Bench { engine: &engine, seconds: 1_750_000_000, overrides: None };
    let mut scratch = Scratch::default();
    let (mut count, mut failed) = (0, Vec::new());
    for path in test_files(&folder.join("tests")) {
        let text = fs::read(&path).unwrap();
        let file = trial::read(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for trial in &file.trials {
            count += 1;
            match trial::run(&bench, trial, &mut scratch) {
                Outcome::Passed(_) | Outcome::Ignored { .. } => {}
                Outcome::Failed(staged) => {
                    failed.push(format!("{}: {:?}, found {:?}", trial.id, staged.unmet, staged.found));
                }
                Outcome::Unjudged { cause } => failed.push(format!("{}: not judged: {cause}", trial.id)),
            }
        }
    }
    assert!(count > 0, "no tests");
    for failure in &failed {
        println!("{failure}");
    }
    let share = f64::from(u32::try_from(count - failed.len()).unwrap()) / f64::from(u32::try_from(count).unwrap());
    assert!(share >= 0.998, "{} of {count} passed", count - failed.len());
}

#[test]
#[ignore = "needs the folder of the Core Rule Set, named by REEVE_CRS"]
fn the_core_rule_set_stands_the_self_test_at_every_level() {
    let folder = core_rule_set();
    for level in 1..=4 {
        let engine = load(&folder, level, Options { mode: Some(EngineMode::On), ..Options::default() }).unwrap();
        assert!(reeve_waf::selftest::run(&engine, 1_750_000_000, &mut || true).is_ok(), "level {level}");
    }
}
