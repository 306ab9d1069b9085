//! Runs the built program and writes down what came of it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One run.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The folder of policies and settings with one realistic mistake each.
pub(crate) fn broken() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken")
}

/// Runs `reeve` in `folder` with these arguments and this standard input.
pub(crate) fn run(folder: &Path, args: &[&str], stdin: &[u8]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reeve"));
    command.args(args).current_dir(folder);
    // Whoever runs the tests may have set these.
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "REEVE_CONFIG"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that does not read its input may have ended already.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Run {
    /// Exit code, standard output and standard error, as a snapshot keeps them.
    pub(crate) fn transcript(&self) -> String {
        format!("exit code: {}\n----- stdout -----\n{}----- stderr -----\n{}", self.code, self.stdout, self.stderr)
    }
}

/// The transcript of `reeve` with these arguments, run in `folder`, with the folder's path taken out.
pub(crate) fn transcript(folder: &Path, args: &[&str]) -> String {
    let path = folder.display().to_string();
    run(folder, args, b"").transcript().replace(&path, "[FOLDER]").replace(env!("CARGO_PKG_VERSION"), "[VERSION]")
}
