//! `cargo xtask dist`: the release binary and its checksum, in `dist/`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use crate::workspace::{Workspace, cargo, stdout_of};

/// Builds the binary from the locked dependencies and answers where it now stands.
pub(crate) fn build(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    stdout_of(cargo().current_dir(&workspace.root).args(["build", "--release", "--locked", "--package", BINARY]))?;

    let folder = workspace.root.join("dist");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let built = workspace.target_directory.join("release").join(BINARY);
    let binary = folder.join(BINARY);
    fs::copy(&built, &binary).with_context(|| format!("cannot copy `{}`", built.display()))?;

    // Run inside the folder, so that the file names the binary without a path and `sha256sum --check` works anywhere.
    let sum = stdout_of(Command::new("sha256sum").current_dir(&folder).arg(BINARY))?;
    let sum_file = folder.join(format!("{BINARY}.sha256"));
    fs::write(&sum_file, sum).with_context(|| format!("cannot write `{}`", sum_file.display()))?;
    Ok(binary)
}

const BINARY: &str = "reeve";
