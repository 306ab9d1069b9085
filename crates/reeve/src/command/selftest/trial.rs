//! The outer half of the self-test: sets the stage, starts the process that goes inside, hears its story.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, anyhow};
use reeve_base::{Entropy, SystemEntropy};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::application::{Application, Manners};
use crate::failure::Advise;
use crate::reference::Reference;
use crate::sandbox::{Piece, Status};

/// What the inner process is told. It finds the rest in the settings, as the gateway does.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Trial {
    /// The settings of the deployment.
    pub(super) config: PathBuf,
    /// Whether the deployment's gateway may be started: only that of a scratch one.
    pub(super) gateway: bool,
    /// A file that anybody may read, in a folder that is none of the deployment's.
    pub(super) planted: PathBuf,
    /// Listens.
    pub(super) listener: SocketAddr,
    /// The name of an abstract Unix socket that listens.
    pub(super) abstract_name: String,
    /// A TCP port that is free and in nobody's settings.
    pub(super) spare_port: u16,
}

/// What the inner process says, a line each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// It has entered.
    Entered(Box<Status>),
    /// It has tried something.
    Tried(Row),
    /// It has tried everything.
    Done,
}

/// One thing that was tried.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Row {
    /// What, for a person.
    pub(super) what: String,
    /// What should come of it.
    pub(super) wanted: Wanted,
    /// What came of it.
    pub(super) came: Came,
    /// In which words the system said so.
    pub(super) seen: String,
}

/// What should come of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "wanted", content = "by", rename_all = "snake_case")]
pub(super) enum Wanted {
    /// Refused, by this piece of the sandbox.
    Refused(Piece),
    /// Done.
    Done,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Came {
    /// Refused: not permitted, or no such call.
    Refused,
    /// Done, or refused for a reason that has nothing to do with permission.
    Done,
    /// Impossible to try here.
    Untried,
}

/// The whole story.
#[derive(Debug)]
pub(super) struct Outcome {
    /// None if the process never got so far.
    pub(super) status: Option<Status>,
    pub(super) rows: Vec<Row>,
    /// Whether it told its story to the end.
    pub(super) whole: bool,
    /// How it ended.
    pub(super) ended: String,
}

/// Holds the trial for the deployment at `config`, or for a scratch one.
///
/// # Errors
/// When the stage cannot be set, or the inner process not started.
pub(super) fn hold(config: Option<PathBuf>) -> anyhow::Result<Outcome> {
    let stage = Stage::set(config)?;
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let mut child = Command::new(program)
        .args(["selftest", "inside"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .context("cannot start a second process")?;
    let told = serde_json::to_vec(&stage.trial)?;
    let mut stdin = child.stdin.take().context("the second process has no standard input")?;
    // Whoever does not listen tells no story either, and that is reported below.
    let _ = stdin.write_all(&told);
    drop(stdin);
    let output = child.wait_with_output().context("the second process is lost")?;
    let mut outcome = hear(&output.stdout);
    outcome.ended = output.status.to_string();
    if outcome.status.is_none() {
        return Err(anyhow!("the second process ended before it was inside: {}", outcome.ended))
            .hint("its own message stands above; `reeve check` finds faults of settings and policy");
    }
    Ok(outcome)
}

fn hear(story: &[u8]) -> Outcome {
    let mut outcome = Outcome { status: None, rows: Vec::new(), whole: false, ended: String::new() };
    for line in story.split(|byte| *byte == b'\n') {
        match serde_json::from_slice(line) {
            Ok(Line::Entered(status)) => outcome.status = Some(*status),
            Ok(Line::Tried(row)) => outcome.rows.push(row),
            Ok(Line::Done) => outcome.whole = true,
            // Nothing else is written there but the end of a line that was cut off.
            Err(_) => {}
        }
    }
    outcome
}

/// Everything that the inner process meets, for as long as it runs.
struct Stage {
    trial: Trial,
    _listener: TcpListener,
    _abstract: UnixListener,
    _application: Option<Application>,
    _folders: Vec<TempDir>,
}

impl Stage {
    fn set(config: Option<PathBuf>) -> anyhow::Result<Self> {
        let outside = tempfile::tempdir().context("cannot make a folder")?;
        let planted = outside.path().join("planted");
        fs::write(&planted, "anybody may read this").context("cannot write a file")?;
        let mut folders = vec![outside];
        let gateway = config.is_none();
        let (config, application) = match config {
            Some(config) => (std::path::absolute(config)?, None),
            None => {
                let (folder, application) = scratch()?;
                let config = folder.path().join("reeve.toml");
                folders.push(folder);
                (config, Some(application))
            }
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("cannot listen")?;
        let spare_port = TcpListener::bind(("127.0.0.1", 0)).and_then(|socket| socket.local_addr())?.port();
        let (abstract_name, socket) = abstract_socket()?;
        let trial = Trial { config, gateway, planted, listener: listener.local_addr()?, abstract_name, spare_port };
        Ok(Self { trial, _listener: listener, _abstract: socket, _application: application, _folders: folders })
    }
}

fn abstract_socket() -> anyhow::Result<(String, UnixListener)> {
    let mut chance = [0; 8];
    SystemEntropy.fill(&mut chance)?;
    let name = format!("reeve-selftest-{:016x}", u64::from_ne_bytes(chance));
    let socket = UnixListener::bind_addr(&UnixAddr::from_abstract_name(&name)?).context("cannot open a Unix socket")?;
    Ok((name, socket))
}

/// A deployment before the demo's application, by a policy that lets an access log lie in a file: to be written, it has
/// to be opened inside.
fn scratch() -> anyhow::Result<(TempDir, Application)> {
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let application = Application::start(Manners::Careless).context("cannot start the sample application")?;
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).context("cannot write a file");
    write("policy.toml", Reference::Services.text())?;
    write("reeve.toml", &SETTINGS.replace("{upstream}", &application.address.to_string()))?;
    Ok((folder, application))
}

/// Where the scratch deployment writes its access log, beside its settings.
pub(super) fn access_log(config: &Path) -> PathBuf {
    config.with_file_name("access.log")
}

const SETTINGS: &str = r#"
schema = "reeve.settings/1"
policy = "policy.toml"
data = "data"
[listen]
https = ["127.0.0.1:0"]
[tls]
local = ["localhost", "127.0.0.1"]
[upstream]
url = "http://{upstream}"
[log]
access = "access.log"
[server]
workers = 1
drain = "1s"
"#;
