//! The helper's side: runs `journalctl` for the journals that it was told of at its start, and for no others.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use reeve_watch::{JournalPlace, Kind, journalctl_arguments};

use super::{Done, Order, Source};
use crate::upgrade::line::Line;

/// Carries out orders until there are no more; then all readers end.
///
/// # Errors
/// When the gateway's end breaks.
pub(crate) fn serve(sources: &[Source]) -> anyhow::Result<()> {
    // A group of its own: Ctrl-C goes to the gateway's, and the helper's sign is the end of its input.
    match rustix::process::setsid() {
        Ok(_) | Err(rustix::io::Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    let input = std::io::stdin().as_fd().try_clone_to_owned()?;
    let mut line = Line::new(UnixStream::from(input));
    let mut running: Vec<Option<Running>> = sources.iter().map(|_| None).collect();
    while let Some((order, mut files)) = line.receive_with::<Order>()? {
        let outcome = carry_out(order, files.pop(), sources, &mut running);
        let done = match outcome {
            Ok(said) => Done { failed: None, said },
            Err(error) => Done { failed: Some(format!("{error:#}")), said: None },
        };
        line.send(&done)?;
    }
    Ok(())
}

fn carry_out(
    order: Order,
    output: Option<OwnedFd>,
    sources: &[Source],
    running: &mut [Option<Running>],
) -> anyhow::Result<Option<String>> {
    let (Order::Begin { source: number, .. } | Order::Listen { source: number } | Order::End { source: number }) =
        order;
    let place = running.get_mut(number).zip(sources.get(number));
    let (running, source) = place.context("there is no such journal")?;
    match order {
        Order::Begin { place, .. } => {
            *running = None;
            let output = output.context("the order to begin came without a socket")?;
            *running = Some(Running::start(source, &place, output)?);
            Ok(None)
        }
        Order::Listen { .. } => Ok(running.as_ref().and_then(Running::said)),
        Order::End { .. } => Ok(running.take().map(Running::end)),
    }
}

/// A `journalctl`. It ends when this is dropped.
struct Running {
    child: Child,
    /// What it says on its standard error, the first of it.
    said: Arc<Mutex<Vec<u8>>>,
}

impl Running {
    fn start(source: &Source, place: &JournalPlace, output: OwnedFd) -> anyhow::Result<Self> {
        let kind = Kind::from_name(&source.kind).with_context(|| format!("`{}` is no kind of log", source.kind))?;
        anyhow::ensure!(place.is_sound(), "that is no place in a journal");
        let mut child = Command::new("journalctl")
            .args(location(source))
            .args(begin(place))
            .args(journalctl_arguments(kind, &source.units))
            // Colours, pagers, another journal: what decides over the output is not to come from outside.
            .env_clear()
            .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run `journalctl`; is systemd installed?")?;
        let said = Arc::new(Mutex::new(Vec::new()));
        if let Some(stderr) = child.stderr.take() {
            let said = Arc::clone(&said);
            std::thread::spawn(move || listen(stderr, &said));
        }
        Ok(Self { child, said })
    }

    fn said(&self) -> Option<String> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&said).split_whitespace().collect::<Vec<_>>().join(" ");
        (!text.is_empty()).then_some(text)
    }

    /// Ends it; how it ended, and what it said.
    fn end(mut self) -> String {
        let status = self.stop();
        match (self.said(), status) {
            (Some(said), Ok(status)) => format!("{status}: {said}"),
            (None, Ok(status)) => status.to_string(),
            (_, Err(error)) => error.to_string(),
        }
    }

    fn stop(&mut self) -> std::io::Result<std::process::ExitStatus> {
        // One that has ended keeps the status that it ended with.
        let _ = self.child.kill();
        self.child.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// Which journal. Following this machine's own stands for the entries since its start, and for no others that were sent
/// here from elsewhere; in a directory all of them are meant.
fn location(source: &Source) -> Vec<String> {
    let directory = source.directory.as_ref().map(|directory| format!("--directory={}", directory.display()));
    directory.map(|directory| vec![directory, String::from("--merge")]).unwrap_or_default()
}

/// From its last entry on, and not behind it: where that is gone, `--after-cursor` would pass over the next one.
fn begin(place: &JournalPlace) -> [String; 1] {
    [place.cursor.as_ref().map_or_else(
        || {
            let micros = place.since.as_microsecond();
            format!("--since=@{}.{:06}", micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000))
        },
        |cursor| format!("--cursor={cursor}"),
    )]
}

/// Keeps the first of what it says, and takes the rest so that it does not wait.
fn listen(mut stderr: impl Read, said: &Mutex<Vec<u8>>) {
    let mut chunk = [0; 1_024];
    while let Ok(count @ 1..) = stderr.read(&mut chunk) {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        let left = SAID_BYTES_MAX.saturating_sub(said.len());
        said.extend(chunk.iter().take(count.min(left)));
    }
}

const SAID_BYTES_MAX: usize = 2_000;
