//! The helper that starts the new process: it was started before the gateway was shut in, because inside nothing can be
//! run. Whoever has taken over the gateway may ask it for anything, so it starts only what nobody inside can have made.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::UpgradeError;
use super::line::Line;
use crate::environment;

/// What the helper is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Order {
    /// Start this program, or the one that was started before. Its end of a conversation comes along.
    Start {
        /// Which.
        program: Option<PathBuf>,
    },
    /// End what was started.
    End,
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Done {
    /// Why it was not done.
    failed: Option<String>,
}

/// The helper, as the gateway has it. It ends when this is dropped, and leaves running what it has started.
pub(crate) struct Helper {
    child: Child,
    line: Line,
}

impl Helper {
    /// Starts it, for a gateway with these settings that may change what is in these folders.
    ///
    /// # Errors
    /// When this program cannot be started a second time.
    pub(crate) fn start(config: &Path, changeable: &[PathBuf]) -> anyhow::Result<Self> {
        // Found out now: once its file was replaced, the running program has no path any more.
        let own = std::env::current_exe().context("cannot tell where this program is")?;
        let config = std::path::absolute(config).context("cannot tell where the settings are")?;
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new("/proc/self/exe");
        command.arg("successor").arg("--program").arg(own).arg("--config").arg(config);
        for folder in changeable {
            command.arg("--not-from").arg(folder);
        }
        let child = command.stdin(OwnedFd::from(theirs)).spawn().context("cannot start the helper for upgrades")?;
        Ok(Self { child, line: Line::new(ours) })
    }

    /// Starts the program, or the one that was started before, and gives our end of the conversation with it.
    pub(super) fn begin(&mut self, program: Option<PathBuf>) -> Result<UnixStream, UpgradeError> {
        let (ours, theirs) = UnixStream::pair()?;
        self.line.send_with(&Order::Start { program }, &[theirs.as_fd()])?;
        drop(theirs);
        self.answer()?;
        Ok(ours)
    }

    /// Ends what was started, and waits until it has let go of everything.
    pub(super) fn end(&mut self) -> Result<(), UpgradeError> {
        self.line.send(&Order::End)?;
        self.answer()
    }

    fn answer(&mut self) -> Result<(), UpgradeError> {
        let gone = || UpgradeError::Helper(String::from("the helper for upgrades is gone; restart the gateway"));
        let done: Done = self.line.receive()?.ok_or_else(gone)?;
        done.failed.map_or(Ok(()), |why| Err(UpgradeError::Helper(why)))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.line.patience(Some(Duration::from_millis(1)));
        // The end of its input is the sign; whoever ends now does not wait for it.
        let _ = self.child.try_wait();
    }
}

/// What the helper may start, and how.
#[derive(Debug)]
pub(crate) struct Allowed {
    /// What is started if nothing else is named.
    pub(crate) program: PathBuf,
    /// With which settings.
    pub(crate) config: PathBuf,
    /// Folders that the gateway may write to.
    pub(crate) not_from: Vec<PathBuf>,
}

/// The helper's side: carries out orders until there are no more.
///
/// # Errors
/// When the gateway's end breaks.
pub(crate) fn serve(allowed: &Allowed) -> anyhow::Result<()> {
    // A group of its own, which is also the new process's: Ctrl-C and a terminal that closes are for the old one.
    match rustix::process::setsid() {
        Ok(_) | Err(rustix::io::Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    let input = std::io::stdin().as_fd().try_clone_to_owned()?;
    let mut line = Line::new(UnixStream::from(input));
    let mut started: Option<Child> = None;
    while let Some((order, mut files)) = line.receive_with::<Order>()? {
        let outcome = match order {
            Order::Start { program } => {
                end(&mut started);
                let talk = files.pop().context("the order to start came without a socket");
                talk.and_then(|talk| start(allowed, program, talk)).map(|child| started = Some(child))
            }
            Order::End => {
                end(&mut started);
                Ok(())
            }
        };
        line.send(&Done { failed: outcome.err().map(|error| format!("{error:#}")) })?;
    }
    Ok(())
}

fn end(started: &mut Option<Child>) {
    let Some(mut child) = started.take() else { return };
    // It may have ended by itself, which is as good.
    let _ = child.kill();
    let _ = child.wait();
}

fn start(allowed: &Allowed, program: Option<PathBuf>, talk: OwnedFd) -> anyhow::Result<Child> {
    let program = admit(allowed, program.as_deref().unwrap_or(&allowed.program))?;
    let mut command = Command::new(&program);
    command.arg("up").arg("--config").arg(&allowed.config).arg("--take-over").stdin(talk);
    // They were for the process that was started first.
    for variable in environment::SOCKETS {
        command.env_remove(variable);
    }
    command.spawn().with_context(|| format!("cannot start `{}`", program.display()))
}

/// The program's real place, if it is a Reeve that was not written by the gateway itself.
fn admit(allowed: &Allowed, program: &Path) -> anyhow::Result<PathBuf> {
    anyhow::ensure!(program.is_absolute(), "`{}` is no absolute path", program.display());
    let real = program.canonicalize().with_context(|| format!("there is no `{}`", program.display()))?;
    for folder in &allowed.not_from {
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.clone());
        anyhow::ensure!(
            !real.starts_with(&folder),
            "`{}` lies in `{}`, which the gateway may write to: a program from there is not started",
            real.display(),
            folder.display()
        );
    }
    let said = version(&real)?;
    anyhow::ensure!(said.starts_with("reeve "), "`{}` is no Reeve: it says `{said}`", real.display());
    Ok(real)
}

/// The first line that a program answers to `--version`.
fn version(program: &Path) -> anyhow::Result<String> {
    let mut child = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot run `{}`", program.display()))?;
    let output = child.stdout.take();
    let (said, heard) = channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        if let Some(output) = output {
            // What is no text is no version.
            let _ = output.take(VERSION_BYTES_MAX).read_to_string(&mut text);
        }
        // Nobody listens any more once it took too long.
        let _ = said.send(text);
    });
    let text = heard.recv_timeout(VERSION_MAX);
    // One that has answered is at its end; one that has not is not waited for.
    let _ = child.kill();
    let _ = child.wait();
    let text = text.with_context(|| format!("`{}` does not say its version", program.display()))?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

const VERSION_MAX: Duration = Duration::from_secs(5);
const VERSION_BYTES_MAX: u64 = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(program: &Path, not_from: &Path) -> String {
        let allowed = Allowed { program: PathBuf::new(), config: PathBuf::new(), not_from: vec![not_from.to_owned()] };
        format!("{:#}", admit(&allowed, program).unwrap_err())
    }

    #[test]
    fn nothing_is_started_from_where_the_gateway_may_write() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("reeve");
        std::fs::write(&inside, "#!/bin/sh\necho reeve 1\n").unwrap();
        assert!(refusal(&inside, folder.path()).contains("may write to"));
        // Nor through a link that lies elsewhere.
        let elsewhere = tempfile::tempdir().unwrap();
        let link = elsewhere.path().join("reeve");
        std::os::unix::fs::symlink(&inside, &link).unwrap();
        assert!(refusal(&link, folder.path()).contains("may write to"));
    }

    #[test]
    fn only_a_reeve_is_started() {
        let none = Path::new("/nowhere");
        assert!(refusal(Path::new("/bin/true"), none).contains("is no Reeve"));
        assert!(refusal(Path::new("/bin/no-such-program"), none).contains("there is no"));
        assert!(refusal(Path::new("reeve"), none).contains("no absolute path"));
    }
}
