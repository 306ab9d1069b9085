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

/// Which journal. Of this machine's own, the system's: somebody who may read no more than his own entries is told so
/// then, and does not follow those in silence. Following it stands for the entries since the machine was started, and
/// for none that were sent here from elsewhere; in a directory all of them are meant.
fn location(source: &Source) -> Vec<String> {
    match &source.directory {
        None => vec![String::from("--system")],
        Some(directory) => vec![format!("--directory={}", directory.display()), String::from("--merge")],
    }
}

/// From its last entry on, and not behind it: where that is gone, `--after-cursor` would pass over the next one.
fn begin(place: &JournalPlace) -> [String; 1] {
    [place.cursor.as_ref().map_or_else(
        || {
            let micros = place.since.as_microsecond().max(0);
            format!("--since=@{}.{:06}", micros / 1_000_000, micros % 1_000_000)
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

#[cfg(test)]
mod tests {
    use reeve_base::Timestamp;
    use reeve_watch::Units;

    use super::*;

    fn source() -> Source {
        Source::new(Kind::Sshd, &Units::new(vec![String::from("ssh.service")]), None)
    }

    fn place(cursor: Option<&str>) -> JournalPlace {
        JournalPlace { since: "2026-11-22T11:00:00.000007Z".parse().unwrap(), cursor: cursor.map(str::to_owned) }
    }

    fn refusal(number: usize, place: JournalPlace) -> String {
        let (_ours, theirs) = UnixStream::pair().unwrap();
        let order = Order::Begin { source: number, place };
        let refused = carry_out(order, Some(theirs.into()), &[source()], &mut [None]);
        format!("{:#}", refused.unwrap_err())
    }

    #[test]
    fn only_what_was_named_at_the_start_is_read_and_only_from_a_place_in_it() {
        assert_eq!(refusal(1, place(None)), "there is no such journal");
        for cursor in ["--file=/etc/shadow", "s=1 --root=/", "s=1\n", &"s=1;".repeat(65)] {
            assert_eq!(refusal(0, place(Some(cursor))), "that is no place in a journal", "{cursor}");
        }
        let order = Order::Begin { source: 0, place: place(None) };
        let refused = carry_out(order, None, &[source()], &mut [None]).unwrap_err();
        assert_eq!(refused.to_string(), "the order to begin came without a socket");
    }

    #[test]
    fn it_begins_with_the_last_entry_itself_or_at_the_moment_of_the_first_look() {
        assert_eq!(begin(&place(Some("s=1;i=2"))), ["--cursor=s=1;i=2"]);
        assert_eq!(begin(&place(None)), ["--since=@1795345200.000007"]);
        // No journal is older than 1970, and a clock that is must not make a negative number.
        let early = JournalPlace { since: Timestamp::from_microsecond(-1).unwrap(), cursor: None };
        assert_eq!(begin(&early), ["--since=@0.000000"]);
    }

    #[test]
    fn a_journal_elsewhere_is_read_whole_and_this_machines_without_what_others_sent() {
        assert_eq!(location(&source()), ["--system"]);
        let elsewhere = Source { directory: Some("/mnt/journal".into()), ..source() };
        assert_eq!(location(&elsewhere), ["--directory=/mnt/journal", "--merge"]);
    }
}
