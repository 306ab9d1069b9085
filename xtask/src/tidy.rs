//! `cargo xtask tidy`: what the house asks of its own text and the compiler does not check.
//!
//! Each module holds one subject, as functions of text; only this one reads files.

mod floors;
mod links;
mod manifests;
mod shape;

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context;

use crate::workspace::Workspace;

/// Something to mend, and where.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fault {
    path: String,
    line: usize,
    text: String,
}

/// All faults of the workspace, in the order of paths and lines.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<Vec<Fault>> {
    let mut faults = Vec::new();
    let files = workspace.files()?;
    for path in files.iter().filter(|path| !shape::exempt(path)) {
        // A file that is not UTF-8 is no text, and has no lines to speak of.
        if let Some(text) = read_text(&workspace.root.join(path))? {
            faults.extend(shape::check(path, &text));
        }
    }
    for path in files.iter().filter(|path| links::covers(path)) {
        let text = read(&workspace.root.join(path))?;
        faults.extend(links::check(path, &text, |target| inside(&workspace.root, target)));
    }

    let mut members = Vec::new();
    for package in &workspace.packages {
        let path = workspace.relative(&package.manifest_path);
        let manifest = manifests::Member::parse(&path, &read(&package.manifest_path)?)?;
        faults.extend(floors::check(package, &manifest));
        members.push(manifest);
    }
    let root = manifests::Root::parse(&read(&workspace.root.join("Cargo.toml"))?)?;
    let reasons = read_text(&workspace.root.join(manifests::REASONS))?.unwrap_or_default();
    faults.extend(manifests::check(&root, &members, &reasons));

    faults.sort_unstable();
    Ok(faults)
}

impl Fault {
    fn new(path: impl Into<String>, line: usize, text: impl Into<String>) -> Self {
        Self { path: path.into(), line, text: text.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.text)
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}

/// The text of a file; nothing if there is no such file or it is not UTF-8.
fn read_text(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::NotFound) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read `{}`", path.display())),
    }
}

/// Whether `target`, a path from the root, exists and does not lead out of the repository.
fn inside(root: &Path, target: &Path) -> bool {
    let (Ok(root), Ok(target)) = (root.canonicalize(), root.join(target).canonicalize()) else { return false };
    target.starts_with(root)
}
