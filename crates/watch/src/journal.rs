//! One journal of systemd, followed through a program that reads it.
//!
//! The journal's files are not read here: that is `journalctl`'s work, which knows all their forms. Whoever can start
//! programs gives a [`JournalReader`]; here its output is cut into entries, in the memory of one of them, and what does
//! not come from the service in question is left out ([`entry`]). A reader that ends is started again, sooner or later.
//!
//! [`JournalPlace`] says how far the reading has come and can be kept: the next reader goes on behind that entry.

mod entry;

use std::io;
use std::time::Duration;

use jiff::Timestamp;
use memchr::memchr;
use reeve_base::Ticks;
use serde::{Deserialize, Serialize};

use crate::filter::Kind;
use crate::tail::{Counts, LINE_BYTES_MAX};
use entry::{Entry, Read};

/// What reads a journal, and can be started again and again.
pub trait JournalReader: Send {
    /// Begins to read at this place, its own entry included; what was begun before is ended.
    ///
    /// # Errors
    /// When nothing can be started: the message says why, for people.
    fn begin(&mut self, place: &JournalPlace) -> Result<(), String>;

    /// Takes output, without waiting. Nothing at the end of it.
    ///
    /// # Errors
    /// `WouldBlock` while there is none.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// What it complains of while it reads, and nothing if it is content.
    ///
    /// # Errors
    /// When it cannot be asked any more.
    fn complaint(&mut self) -> Result<Option<String>, String>;

    /// Ends it and says why it came to its end.
    fn end(&mut self) -> String;
}

/// Which entries of a journal are meant: those that these units wrote, as the system itself says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Units(Vec<String>);

impl Units {
    /// Units by their full names (`ssh.service`); a template (`ssh@.service`) stands for each of its instances.
    #[must_use]
    pub const fn new(names: Vec<String>) -> Self {
        Self(names)
    }

    /// Their names.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// Whether this is one of them.
    #[must_use]
    pub fn hold(&self, unit: &str) -> bool {
        self.0.iter().any(|name| match name.split_once("@.") {
            None => name == unit,
            Some((before, kind)) => {
                let instance = unit.strip_prefix(before).and_then(|rest| rest.strip_prefix('@'));
                let instance = instance.and_then(|rest| rest.strip_suffix(kind)?.strip_suffix('.'));
                instance.is_some_and(|instance| !instance.is_empty())
            }
        })
    }

    /// Matches for the reader, so that it leaves out what would be left out here. A template has none.
    fn matches(&self) -> Vec<String> {
        if self.0.iter().any(|name| name.contains("@.")) {
            return Vec::new();
        }
        self.0.iter().map(|name| format!("_SYSTEMD_UNIT={name}")).collect()
    }
}

/// What `journalctl` is to be told so that it shows what is read here, beside where and from when.
#[must_use]
pub fn journalctl_arguments(kind: Kind, units: &Units) -> Vec<String> {
    let fields = format!("--output-fields={}", entry::FIELDS.join(","));
    // Without `--all`, long fields would be left out; with it, they are limited by what is taken here.
    let output = ["--follow", "--no-tail", "--all", "--no-pager", "--output=json"].map(String::from);
    let programs = entry::programs(kind).iter().map(|name| format!("_COMM={name}"));
    output.into_iter().chain([fields]).chain(units.matches()).chain(programs).collect()
}

/// How far a journal was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalPlace {
    /// When it was first read: what is older counts for nothing.
    pub since: Timestamp,
    /// The last entry that was read; none yet at the beginning.
    pub cursor: Option<String>,
}

impl JournalPlace {
    /// Whether it can be handed to a program: a cursor is a list of hexadecimal numbers with names of a letter.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let plain = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase() || matches!(byte, b'=' | b';');
        self.cursor.as_ref().is_none_or(|cursor| cursor.len() <= CURSOR_BYTES_MAX && cursor.bytes().all(plain))
    }
}

/// A journal that is followed.
pub struct Journal {
    kind: Kind,
    units: Units,
    reader: Box<dyn JournalReader>,
    place: JournalPlace,
    state: State,
    /// How long is waited before the next start.
    pause: Duration,
    /// The entry that has no end yet.
    pending: Vec<u8>,
    /// Whether it is too long, and is passed over.
    overlong: bool,
    /// The entry that the reader begins with, which was judged before.
    judged: Option<String>,
    line: Vec<u8>,
    counts: Counts,
}

/// Whether a reader runs.
#[derive(Debug)]
enum State {
    /// Since then and for so long.
    Resting { since: Ticks, pause: Duration, why: Option<JournalError> },
    /// Since then; `asked` is when it was last asked whether it is content.
    Reading { since: Ticks, asked: Ticks, heard: bool, complaint: Option<JournalError> },
}

/// Why a journal is not followed at the moment. It is tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// No reader can be started.
    #[error("the journal cannot be read: {0}")]
    Begin(String),
    /// The reader has ended.
    #[error("the journal's reader has ended: {0}")]
    Ended(String),
    /// The reader runs and complains; what it was asked for may be out of its sight.
    #[error("the journal's reader says: {0}")]
    Complains(String),
}

impl Journal {
    /// Follows what these units write: from where an earlier process left off, or else from `now` on.
    #[must_use]
    pub fn new(
        kind: Kind,
        units: Units,
        reader: Box<dyn JournalReader>,
        left_off: Option<JournalPlace>,
        now: Timestamp,
    ) -> Self {
        let place = left_off.filter(JournalPlace::is_sound).unwrap_or(JournalPlace { since: now, cursor: None });
        let state = State::Resting { since: Ticks(0), pause: Duration::ZERO, why: None };
        let (pending, line, counts) = (Vec::new(), Vec::new(), Counts::default());
        let (pause, overlong, judged) = (PAUSE_MIN, false, None);
        Self { kind, units, reader, place, state, pause, pending, overlong, judged, line, counts }
    }

    /// Whose entries are read.
    #[must_use]
    pub const fn units(&self) -> &Units {
        &self.units
    }

    /// How far the reading has come.
    #[must_use]
    pub const fn place(&self) -> &JournalPlace {
        &self.place
    }

    /// What was seen so far.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Hands on lines that have come since the last look, as the program writes them to a file, each with the time at
    /// which the journal took it, from at most `bytes_max` bytes. Whether there may be more at once.
    ///
    /// # Errors
    /// See [`JournalError`]. What was read before it was handed on.
    pub fn look(
        &mut self,
        bytes_max: u64,
        now: Ticks,
        sink: &mut dyn FnMut(&[u8], Timestamp),
    ) -> Result<bool, JournalError> {
        if let State::Resting { since, pause, why } = &self.state {
            if now.since(*since) < *pause {
                return why.clone().map_or(Ok(false), Err);
            }
            self.begin(now)?;
        }
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut left = bytes_max;
        while left > 0 {
            match self.reader.read(&mut chunk) {
                Ok(0) => return Err(self.rest(now, None)),
                Ok(count) => {
                    left = left.saturating_sub(count as u64);
                    self.take(chunk.get(..count).unwrap_or_default(), sink);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(self.rest(now, Some(error.to_string()))),
            }
        }
        if left < bytes_max { Ok(true) } else { self.listen(now).map(|()| false) }
    }

    fn begin(&mut self, now: Ticks) -> Result<(), JournalError> {
        self.pending.clear();
        self.overlong = false;
        self.judged.clone_from(&self.place.cursor);
        match self.reader.begin(&self.place) {
            Ok(()) => {
                self.state = State::Reading { since: now, asked: now, heard: false, complaint: None };
                Ok(())
            }
            Err(why) => Err(self.fail(now, JournalError::Begin(why))),
        }
    }

    /// Takes note of the reader's end.
    fn rest(&mut self, now: Ticks, error: Option<String>) -> JournalError {
        let said = self.reader.end();
        if let State::Reading { since, heard, .. } = &self.state
            && (*heard || now.since(*since) >= PAUSE_MAX)
        {
            self.pause = PAUSE_MIN;
        }
        self.fail(now, JournalError::Ended(error.unwrap_or(said)))
    }

    fn fail(&mut self, now: Ticks, why: JournalError) -> JournalError {
        self.state = State::Resting { since: now, pause: self.pause, why: Some(why.clone()) };
        self.pause = self.pause.saturating_mul(2).min(PAUSE_MAX);
        why
    }

    /// Hears now and then what the reader complains of. An entry that comes shows that it need not be listened to.
    fn listen(&mut self, now: Ticks) -> Result<(), JournalError> {
        let State::Reading { asked, heard, complaint, .. } = &mut self.state else { return Ok(()) };
        if *heard {
            *complaint = None;
            return Ok(());
        }
        if now.since(*asked) >= LISTEN_EVERY {
            *asked = now;
            *complaint = match self.reader.complaint() {
                Ok(said) => said.map(JournalError::Complains),
                Err(gone) => Some(JournalError::Complains(gone)),
            };
        }
        complaint.clone().map_or(Ok(()), Err)
    }

    fn take(&mut self, mut read: &[u8], sink: &mut dyn FnMut(&[u8], Timestamp)) {
        while let Some((piece, rest)) = memchr(b'\n', read).and_then(|at| Some((read.get(..at)?, read.get(at + 1..)?)))
        {
            read = rest;
            if self.overlong || self.pending.len() + piece.len() > ENTRY_BYTES_MAX {
                self.counts.overlong += 1;
            } else if self.pending.is_empty() {
                self.entry(piece, sink);
            } else {
                let mut whole = std::mem::take(&mut self.pending);
                whole.extend_from_slice(piece);
                self.entry(&whole, sink);
                self.pending = whole;
            }
            self.overlong = false;
            self.pending.clear();
        }
        if self.overlong || self.pending.len() + read.len() > ENTRY_BYTES_MAX {
            self.overlong = true;
            self.pending = Vec::new();
        } else {
            self.pending.extend_from_slice(read);
        }
    }

    fn entry(&mut self, text: &[u8], sink: &mut dyn FnMut(&[u8], Timestamp)) {
        let Ok(entry) = serde_json::from_slice::<Entry<'_>>(text) else {
            self.counts.odd += 1;
            return;
        };
        if let State::Reading { heard, .. } = &mut self.state {
            *heard = true;
        }
        let Some(cursor) = entry.cursor() else {
            self.counts.odd += 1;
            return;
        };
        // Only the first one can be it.
        if self.judged.take().is_some_and(|judged| judged == cursor) {
            return;
        }
        match &mut self.place.cursor {
            Some(held) => {
                held.clear();
                held.push_str(cursor);
            }
            none => *none = Some(cursor.to_owned()),
        }
        match entry.line(self.kind, &self.units, &mut self.line) {
            Read::Line(time) if self.line.len() <= LINE_BYTES_MAX => {
                self.counts.lines += 1;
                sink(&self.line, time);
            }
            Read::Line(_) => self.counts.overlong += 1,
            Read::Odd => self.counts.odd += 1,
        }
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("units", &self.units).field("state", &self.state).finish_non_exhaustive()
    }
}

/// The longest entry that is read: the longest line whose bytes are each written as a number, and the other fields.
pub const ENTRY_BYTES_MAX: usize = 512 * 1024;

const CHUNK_BYTES: usize = 64 * 1024;

/// Six numbers of at most 32 digits with their names.
const CURSOR_BYTES_MAX: usize = 256;

/// A journal that is restarted is back in a moment.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// A reader that sees nothing complains right at its start.
const LISTEN_EVERY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
