//! What `cargo metadata` and `git` say about this workspace.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde::Deserialize;

/// The workspace as Cargo sees it.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    /// The folder of the root manifest.
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    /// Where Cargo builds to.
    pub(crate) target_directory: PathBuf,
    /// The members; no other package is listed.
    pub(crate) packages: Vec<Package>,
}

/// One member.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    /// Its name, `reeve-edge`.
    pub(crate) name: String,
    /// Its manifest, an absolute path.
    pub(crate) manifest_path: PathBuf,
    /// What it declares to need, of every kind and for every platform.
    pub(crate) dependencies: Vec<Dependency>,
}

/// One declared dependency.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    /// The package it names.
    pub(crate) name: String,
    /// The key it stands under, where that is not the name of the package.
    pub(crate) rename: Option<String>,
    /// What it is needed for.
    #[serde(default, deserialize_with = "kind")]
    pub(crate) kind: Kind,
}

/// What a dependency is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Kind {
    /// The code itself.
    #[default]
    Normal,
    /// The build script.
    Build,
    /// Tests, examples and benches.
    Development,
}

impl Workspace {
    /// The workspace around the current folder.
    pub(crate) fn load() -> anyhow::Result<Self> {
        let json = stdout_of(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
        serde_json::from_slice(&json).context("cannot read the answer of `cargo metadata`")
    }

    /// `path` as people write it: from the root, with `/`.
    pub(crate) fn relative(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().replace('\\', "/")
    }

    /// Every file that is tracked or would be: sorted, relative to the root, without those deleted but not yet staged.
    pub(crate) fn files(&self) -> anyhow::Result<Vec<String>> {
        let list = stdout_of(Command::new("git").current_dir(&self.root).args([
            "ls-files",
            "-co",
            "--exclude-standard",
            "-z",
        ]))?;
        let list = String::from_utf8(list).context("a path is not UTF-8")?;
        let mut files: Vec<_> =
            list.split('\0').filter(|path| self.root.join(path).is_file()).map(String::from).collect();
        files.sort_unstable();
        files.dedup();
        Ok(files)
    }
}

/// The Cargo that runs this task, so that both use the same toolchain.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").as_deref().unwrap_or(OsStr::new("cargo")))
}

/// Runs a command to its end and takes what it prints; its talk goes to our own stderr.
pub(crate) fn stdout_of(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stderr(std::process::Stdio::inherit()).output().with_context(|| format!("cannot run `{program}`"))?;
    if !output.status.success() {
        bail!("`{program}` failed: {}", output.status);
    }
    Ok(output.stdout)
}

fn kind<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Kind, D::Error> {
    match Option::<&str>::deserialize(deserializer)? {
        None => Ok(Kind::Normal),
        Some("build") => Ok(Kind::Build),
        Some("dev") => Ok(Kind::Development),
        Some(other) => Err(serde::de::Error::unknown_variant(other, &["build", "dev"])),
    }
}
