//! Rule files of the web application firewall, on this machine's disk: reads them for the engine, and says which files
//! of a folder belong together and in which order.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use jiff::Timestamp;
use reeve_waf::{Source, SourceError};

use crate::failure::Advise;

/// Files on disk, and texts that are on none.
#[derive(Debug, Default)]
pub(crate) struct RuleFiles {
    texts: BTreeMap<String, String>,
}

impl RuleFiles {
    /// A text that is read where a file of this name is asked for.
    pub(crate) fn put(&mut self, name: &str, text: String) {
        self.texts.insert(name.to_owned(), text);
    }
}

impl Source for RuleFiles {
    fn read(&self, name: &str, beside: Option<&str>) -> Result<Vec<u8>, SourceError> {
        if let Some(text) = self.texts.get(name) {
            return Ok(text.clone().into_bytes());
        }
        read(&resolved(name, beside)).map_err(|cause| SourceError { name: name.to_owned(), cause })
    }

    fn list(&self, pattern: &str, beside: Option<&str>) -> Result<Vec<String>, SourceError> {
        if self.texts.contains_key(pattern) {
            return Ok(vec![pattern.to_owned()]);
        }
        let found = matching(&resolved(pattern, beside));
        found.map_err(|error| SourceError { name: pattern.to_owned(), cause: error.to_string() })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("it has more than {FILE_BYTES_MAX} bytes"));
    }
    Ok(bytes)
}

/// What a file is called within a rule set of these folders and files, the same wherever they lie.
pub(crate) fn label(named: &[PathBuf], name: &str, beside: Option<&str>) -> String {
    let path = resolved(name, beside);
    let root = |named: &PathBuf| if named.is_dir() { Some(named.clone()) } else { named.parent().map(Path::to_owned) };
    let roots: Vec<PathBuf> = named.iter().filter_map(root).collect();
    let within = roots.iter().find_map(|root| path.strip_prefix(root).ok().map(|rest| rest.display().to_string()));
    // A set-up may lie beside its folder of rules.
    let beside = || {
        let parents = roots.iter().filter_map(|root| root.parent());
        parents.filter_map(|parent| path.strip_prefix(parent).ok()).map(|rest| format!("../{}", rest.display())).next()
    };
    within.or_else(beside).unwrap_or_else(|| path.display().to_string())
}

/// When a file was last written; none if nobody can tell.
pub(crate) fn written(name: &str, beside: Option<&str>) -> Option<Timestamp> {
    fs::metadata(resolved(name, beside)).ok()?.modified().ok()?.try_into().ok()
}

/// Names and contents of the tests in a folder, with all folders in it, or of one file.
///
/// # Errors
/// When something cannot be read, or there are too many.
pub(crate) fn tests(path: &Path) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut found = Vec::new();
    let mut folders = vec![path.to_owned()];
    if path.is_file() {
        folders.clear();
        found.push((path.display().to_string(), read(path).map_err(|error| format!("{}: {error}", path.display()))?));
    }
    while let Some(folder) = folders.pop() {
        let names = entries(&folder).map_err(|error| format!("cannot read `{}`: {error}", folder.display()))?;
        for inner in names.iter().map(|name| folder.join(name)) {
            let is_test = inner.extension().is_some_and(|end| end == "yaml" || end == "yml");
            if inner.is_dir() {
                folders.push(inner);
            } else if is_test && !inner.to_string_lossy().ends_with("-overrides.yaml") {
                let bytes = read(&inner).map_err(|error| format!("{}: {error}", inner.display()))?;
                found.push((inner.display().to_string(), bytes));
            }
            if found.len() + folders.len() > FILES_MAX {
                return Err(format!("more than {FILES_MAX} files of tests in `{}`", path.display()));
            }
        }
    }
    if found.is_empty() { Err(format!("no tests (`*.yaml`) in `{}`", path.display())) } else { Ok(found) }
}

/// A name in a rule file is meant from the folder of that file.
fn resolved(name: &str, beside: Option<&str>) -> PathBuf {
    let folder = beside.and_then(|beside| Path::new(beside).parent());
    folder.map_or_else(|| PathBuf::from(name), |folder| folder.join(name))
}

/// The files that a path with `*` and `?` in it names, sorted; the path itself if it has none.
fn matching(path: &Path) -> io::Result<Vec<String>> {
    let mut found = vec![PathBuf::new()];
    for part in path.components() {
        let part = Path::new(part.as_os_str());
        let text = part.to_string_lossy();
        if !text.contains(['*', '?']) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let mut next = Vec::new();
        for folder in found {
            let names = entries(if folder.as_os_str().is_empty() { Path::new(".") } else { &folder })?;
            // A star does not stand for a hidden file.
            let names = names.into_iter().filter(|name| !name.starts_with('.') && fits(&text, name));
            next.extend(names.map(|name| folder.join(name)));
        }
        found = next;
        found.truncate(FILES_MAX);
    }
    Ok(found.into_iter().map(|path| path.display().to_string()).collect())
}

/// Puts bytes into a file in one piece: whoever reads it meanwhile gets what was there, or all that is new.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let written = fs::write(&fresh, bytes).and_then(|()| fs::rename(&fresh, path));
    written.map_err(|error| anyhow!("cannot write `{}`: {error}", path.display()))
}

/// The names in a folder, sorted.
pub(crate) fn entries(folder: &Path) -> io::Result<Vec<String>> {
    let names: io::Result<Vec<_>> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect();
    let mut names = names?;
    names.sort();
    Ok(names)
}

/// Whether a name is of this pattern, in which `*` stands for any letters and `?` for one.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // Where the last star stands, and how much of the name it covers: only the last one ever needs to grow.
    let (mut at, mut of, mut star) = (0, 0, None);
    while let Some(letter) = name.get(of) {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, of));
                at += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == letter => {
                at += 1;
                of += 1;
            }
            _ => {
                let Some((place, covered)) = star else { return false };
                star = Some((place, covered + 1));
                at = place + 1;
                of = covered + 1;
            }
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|letter| *letter == '*')
}

/// Rule files in the order in which they are loaded.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Arranged {
    /// All of them.
    pub(crate) files: Vec<String>,
    /// How many of them, from the first, come before what sets the rules up anew: up to the last `crs-setup.conf`.
    pub(crate) set_up: usize,
}

/// The files that were named, and those of the folders that were.
///
/// # Errors
/// When something is not there, or a folder holds no rules.
pub(crate) fn arrange(named: &[PathBuf]) -> anyhow::Result<Arranged> {
    let has_setup = named.iter().any(|path| path.file_name().is_some_and(|name| is_setup(&name.to_string_lossy())));
    let mut arranged = Arranged::default();
    for path in named {
        let files = if path.is_dir() { folder(path, has_setup)? } else { vec![path.clone()] };
        for file in files {
            arranged.files.push(file.display().to_string());
            if file.file_name().is_some_and(|name| is_setup(&name.to_string_lossy())) {
                arranged.set_up = arranged.files.len();
            }
        }
    }
    Ok(arranged)
}

/// The files of one rule folder: the set-up, plugins' settings and first rules, the rules, plugins' last rules.
fn folder(folder: &Path, has_setup: bool) -> anyhow::Result<Vec<PathBuf>> {
    let inner = folder.join("rules");
    let rules = if inner.is_dir() { inner } else { folder.to_owned() };
    let plugins = folder.join("plugins");
    let mut files = Vec::new();
    if !has_setup {
        files.extend(setup_of(folder, &rules));
    }
    let mut add = |folder: &Path, wanted: &dyn Fn(&str) -> bool| -> anyhow::Result<usize> {
        let names = entries(folder).map_err(|error| anyhow!("cannot read `{}`: {error}", folder.display()))?;
        let before = files.len();
        files.extend(names.iter().filter(|name| wanted(name)).map(|name| folder.join(name)));
        Ok(files.len() - before)
    };
    let has_plugins = plugins.is_dir();
    if has_plugins {
        add(&plugins, &|name| name.ends_with("-config.conf"))?;
        add(&plugins, &|name| name.ends_with("-before.conf"))?;
    }
    let count = add(&rules, &|name| name.ends_with(".conf") && !is_setup(name))?;
    if has_plugins {
        add(&plugins, &|name| name.ends_with("-after.conf"))?;
    }
    if count == 0 {
        return Err(anyhow!("no rules in `{}`", rules.display()))
            .hint("a folder of rules holds files that end in `.conf`, or has a folder `rules` that does");
    }
    Ok(files)
}

/// The set-up of a rule folder: its own, the example's, or the one beside the rules.
fn setup_of(folder: &Path, rules: &Path) -> Option<PathBuf> {
    let ours = [folder, rules];
    // Only a Core Rule Set looks outside of its folder: other rules have no such file.
    let above = rules.parent().filter(|_| rules.join("REQUEST-901-INITIALIZATION.conf").is_file());
    let folders = ours.into_iter().chain(above);
    folders.flat_map(|folder| SETUPS.map(|name| folder.join(name))).find(|path| path.is_file())
}

fn is_setup(name: &str) -> bool {
    SETUPS.contains(&name)
}

/// Refuses a path that is not there, with its name.
///
/// # Errors
/// When it is not there.
pub(crate) fn present(paths: &[PathBuf]) -> anyhow::Result<()> {
    match paths.iter().find(|path| !path.exists()) {
        Some(path) => bail!("cannot read `{}`: there is no such file or folder", path.display()),
        None => Ok(()),
    }
}

/// Names of a Core Rule Set's set-up, the better first.
const SETUPS: [&str; 2] = ["crs-setup.conf", "crs-setup.conf.example"];
/// The largest rule or phrase file in use has about 1 MiB.
const FILE_BYTES_MAX: u64 = 32 << 20;
/// Files that one pattern may name.
const FILES_MAX: usize = 10_000;

#[cfg(test)]
mod tests;
