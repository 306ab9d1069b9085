//! Rules from a folder of the Core Rule Set.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use reeve_waf::{Engine, Fault, Options, Source, SourceError, trial};

/// Files of the disk, and texts that are none.
#[derive(Default)]
pub(crate) struct Files {
    texts: HashMap<String, Vec<u8>>,
}

impl Source for Files {
    fn read(&self, name: &str, beside: Option<&str>) -> Result<Vec<u8>, SourceError> {
        if let Some(text) = self.texts.get(name) {
            return Ok(text.clone());
        }
        let folder = beside.and_then(|beside| Path::new(beside).parent()).unwrap_or(Path::new(""));
        fs::read(folder.join(name)).map_err(|error| SourceError { name: name.into(), cause: error.to_string() })
    }

    fn list(&self, pattern: &str, _beside: Option<&str>) -> Result<Vec<String>, SourceError> {
        Ok(vec![pattern.into()])
    }
}

/// The folder with `rules` and `tests` that the environment names.
pub(crate) fn core_rule_set() -> PathBuf {
    std::env::var_os("REEVE_CRS").map(PathBuf::from).expect("REEVE_CRS names the folder of the Core Rule Set")
}

/// The rule set as its regression tests want it.
pub(crate) fn load(folder: &Path, paranoia: u8, options: Options) -> Result<Engine, Vec<Fault>> {
    let rules = folder.join("rules");
    let mut names: Vec<_> = fs::read_dir(&rules).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
    names.sort();
    let mut files = Files::default();
    files.texts.insert(String::from("base"), trial::BASE.into());
    files.texts.insert(String::from("setup"), trial::setup(paranoia).into());
    let setup = rules.join("crs-setup.conf.example");
    let mut order = vec![String::from("base"), setup.display().to_string(), String::from("setup")];
    order.extend(names.iter().map(|path| path.display().to_string()));
    let order: Vec<_> = order.iter().map(String::as_str).collect();
    Engine::load(&order, &files, options)
}
