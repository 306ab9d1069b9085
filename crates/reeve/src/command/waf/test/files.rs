//! Finds and reads the files of tests.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use reeve_waf::trial::{self, Trial, Unreadable};

use crate::failure::Advise;
use crate::rule_files::{entries, fits};

/// All tests that are to run.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Tests with the files that they are from, in order.
    pub(super) trials: Vec<(PathBuf, Trial)>,
    /// Files that could not be read, and why.
    pub(super) unreadable: Vec<(PathBuf, String)>,
    /// How many files hold tests.
    pub(super) files: usize,
    /// How many hold none.
    pub(super) empty: usize,
}

/// Reads the named files, and those of the named folders.
pub(super) fn read(named: &[PathBuf], only: &[String]) -> anyhow::Result<Found> {
    let mut found = Found::default();
    for path in named {
        let mut paths = Vec::new();
        collect(path, 0, &mut paths).map_err(|(path, error)| anyhow!("cannot read `{}`: {error}", path.display()))?;
        for file in paths {
            let given = file == *path;
            found.take(file, given);
        }
    }
    let all = found.trials.len();
    if !only.is_empty() {
        found.trials.retain(|(_, trial)| only.iter().any(|pattern| fits(pattern, &trial.id)));
    }
    if found.trials.is_empty() && found.unreadable.is_empty() {
        let (error, hint) = if all == 0 {
            ("there are no tests", "tests are YAML files with `rule_id` and `tests`, in the format of FTW (schema 2)")
        } else {
            ("no test has an id of the pattern", "ids are of the form 942100-3: `--only '9421*'` for a family's part")
        };
        return Err(anyhow!(error)).hint(hint);
    }
    Ok(found)
}

impl Found {
    fn take(&mut self, path: PathBuf, named: bool) {
        let read = fs::read(&path).map_err(|error| error.to_string());
        match read.and_then(|text| trial::read(&text).map_err(|error: Unreadable| error.to_string())) {
            Err(error) => self.unreadable.push((path, error)),
            Ok(file) if file.overrides && named => {
                self.unreadable.push((path, String::from("it holds no tests but overrides: `--overrides` takes it")));
            }
            // Engines keep their overrides beside the tests.
            Ok(file) if file.overrides => {}
            Ok(file) if file.trials.is_empty() => self.empty += 1,
            Ok(file) => {
                self.files += 1;
                self.trials.extend(file.trials.into_iter().map(|trial| (path.clone(), trial)));
            }
        }
    }
}

/// A file, or the YAML files of a folder and of those in it, by name.
fn collect(path: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> Result<(), (PathBuf, String)> {
    if !path.is_dir() {
        paths.push(path.to_owned());
        return Ok(());
    }
    if depth > DEPTH_MAX {
        return Err((path.to_owned(), format!("folders in each other, more than {DEPTH_MAX} deep")));
    }
    for name in entries(path).map_err(|error| (path.to_owned(), error.to_string()))? {
        let below = path.join(&name);
        let yaml = name.ends_with(".yaml") || name.ends_with(".yml");
        if !name.starts_with('.') && (yaml || below.is_dir()) {
            collect(&below, depth + 1, paths)?;
        }
    }
    Ok(())
}

/// Also what ends a circle of links.
const DEPTH_MAX: usize = 16;
