//! Journals of systemd, read by `journalctl`, which is run by a helper: a process of the same program that was started
//! before this one was shut in, because inside nothing can be run, and journals are out of reach.
//!
//! The helper is told at its start which journals there are and runs nothing else ([`helper`]). What it may be asked is
//! to begin one of them at a place, and whether all is well. The output of `journalctl` does not pass through it: the
//! gateway sends it one end of a pair of sockets, which becomes that program's standard output.

pub(crate) mod helper;

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use reeve_watch::{JournalPlace, JournalReader, Kind, Units};
use serde::{Deserialize, Serialize};

use crate::settings::{Settings, WatchedLog};
use crate::upgrade::line::Line;

/// A journal that the helper may read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    /// What is looked for in it, by its name.
    pub(crate) kind: String,
    /// Whose entries.
    pub(crate) units: Units,
    /// Where it is, if it is not this machine's own.
    pub(crate) directory: Option<PathBuf>,
}

impl Source {
    /// The journal of a watch.
    pub(crate) fn new(kind: Kind, units: &Units, directory: Option<&PathBuf>) -> Self {
        Self { kind: kind.name().to_owned(), units: units.clone(), directory: directory.cloned() }
    }

    /// All journals that the settings name.
    pub(crate) fn all(settings: &Settings) -> Vec<Self> {
        let journals = settings.watch.iter().filter_map(|watch| match &watch.log {
            WatchedLog::Journal(journal) => Some(Self::new(watch.kind, &journal.units, journal.directory.as_ref())),
            WatchedLog::File(_) => None,
        });
        journals.collect()
    }
}

/// What the helper is asked about the journal of this number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Order {
    /// Read it from this place on; the socket for the output comes along.
    Begin { source: usize, place: JournalPlace },
    /// Tell what its reader complains of.
    Listen { source: usize },
    /// End its reader, and tell how it ended.
    End { source: usize },
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Done {
    /// Why it was not done.
    failed: Option<String>,
    /// What the reader said.
    said: Option<String>,
}

/// The helper, as the gateway has it. It ends when this is dropped.
pub(crate) struct Helper {
    sources: Vec<Source>,
    line: Mutex<Option<Line>>,
    child: Mutex<Child>,
}

impl Helper {
    /// Starts it for these journals.
    ///
    /// # Errors
    /// When this program cannot be started a second time.
    pub(crate) fn start(sources: Vec<Source>) -> anyhow::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        // What runs, even if its file was replaced since.
        let mut command = Command::new("/proc/self/exe");
        command.arg("journals");
        for source in &sources {
            command.arg("--source").arg(serde_json::to_string(source)?);
        }
        let theirs = std::os::fd::OwnedFd::from(theirs);
        let child = command.stdin(theirs).spawn().context("cannot start the helper for journals")?;
        let line = Line::new(ours);
        line.patience(Some(ANSWER_MAX))?;
        Ok(Self { sources, line: Mutex::new(Some(line)), child: Mutex::new(child) })
    }

    /// What reads this journal, as far as the helper may.
    pub(crate) fn reader(self: &Arc<Self>, source: &Source) -> Box<dyn JournalReader> {
        let number = self.sources.iter().position(|known| known == source);
        Box::new(Reader { helper: Arc::clone(self), number, output: None })
    }

    fn ask(&self, order: &Order, output: Option<&UnixStream>) -> Result<Option<String>, String> {
        let mut held = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = || String::from("the helper for journals is gone; restart the gateway");
        let line = held.as_mut().ok_or_else(gone)?;
        let files: Vec<_> = output.iter().map(AsFd::as_fd).collect();
        let answer = line.send_with(order, &files).and_then(|()| line.receive::<Done>());
        match answer {
            Ok(Some(Done { failed: None, said })) => Ok(said),
            Ok(Some(Done { failed: Some(why), .. })) => Err(why),
            Ok(None) | Err(_) => {
                // An answer that comes late would be taken for that to the next question.
                *held = None;
                Err(gone())
            }
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        *self.line.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
        // It ends with its input, and its readers before it.
        let _ = self.child.get_mut().unwrap_or_else(PoisonError::into_inner).wait();
    }
}

/// The reader of one journal. Its program ends when this is dropped.
struct Reader {
    helper: Arc<Helper>,
    /// Nothing for a journal that was not in the settings when the helper was started.
    number: Option<usize>,
    output: Option<UnixStream>,
}

impl JournalReader for Reader {
    fn begin(&mut self, place: &JournalPlace) -> Result<(), String> {
        let source = self.number.ok_or("it was not in the settings at the start; restart the gateway")?;
        let failed = |error: io::Error| error.to_string();
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        ours.set_nonblocking(true).map_err(failed)?;
        self.output = None;
        self.helper.ask(&Order::Begin { source, place: place.clone() }, Some(&theirs))?;
        self.output = Some(ours);
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.output.as_mut().map_or(Ok(0), |output| output.read(buffer))
    }

    fn complaint(&mut self) -> Result<Option<String>, String> {
        let Some(source) = self.number else { return Ok(None) };
        self.helper.ask(&Order::Listen { source }, None)
    }

    fn end(&mut self) -> String {
        self.output = None;
        let Some(source) = self.number else { return String::new() };
        match self.helper.ask(&Order::End { source }, None) {
            Ok(said) => said.unwrap_or_default(),
            Err(why) => why,
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.output.is_some() {
            // Whatever is said of the end: nobody listens any more.
            let _ = self.end();
        }
    }
}

/// The helper answers at once; past this it is taken for gone.
const ANSWER_MAX: Duration = Duration::from_secs(10);
