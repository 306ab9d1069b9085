//! Events as JSON, one to a line, written by a thread of their own so that a slow disk or reader stops no request.
//!
//! Workers gather lines and hand them over in batches. The queue between them is bounded; when it is full, lines are
//! counted instead of kept, and the count is written as soon as there is room.
//!
//! Beside the log there may be a [`Recorder`], which is given the same lines and may refuse them for a while: what it
//! does not take is kept up to a limit, and while it says so, requests are refused.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use reeve_base::{Event, Outcome, RECORD_BYTES_MAX, Recorder, Trail};

/// Where events go. Clones share one writer.
#[derive(Clone)]
pub struct AccessLog {
    queue: Option<SyncSender<Vec<u8>>>,
    lost: Arc<AtomicU64>,
    /// The members that are written; all of them if nothing is said. The recorder is given all.
    fields: Option<Arc<[String]>>,
    recorder: Option<Arc<dyn Recorder>>,
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog").field("writes", &self.queue.is_some()).finish_non_exhaustive()
    }
}

impl AccessLog {
    /// Nothing is written.
    #[must_use]
    pub fn off() -> Self {
        Self { queue: None, lost: Arc::default(), fields: None, recorder: None }
    }

    /// Writes to `sink` from a thread of its own. The thread ends, everything written and flushed, when the last clone
    /// of the log is dropped; join it to wait for that.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn to(sink: Box<dyn Write + Send>) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (queue, batches) = sync_channel(BATCHES_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        let writer = std::thread::Builder::new()
            .name(String::from("access-log"))
            .spawn(move || write_batches(&batches, sink, &counted))?;
        Ok((Self { queue: Some(queue), lost, fields: None, recorder: None }, writer))
    }

    /// The same log with these members of events alone; see [`AccessLog::FIELDS`].
    #[must_use]
    pub fn only(self, fields: &[String]) -> Self {
        Self { fields: Some(fields.into()), ..self }
    }

    /// Whether this member of events may be written down.
    pub(crate) fn writes(&self, member: &str) -> bool {
        self.fields.as_ref().is_none_or(|fields| fields.iter().any(|field| field == member))
    }

    /// Everything that an event may have.
    pub const FIELDS: [&'static str; 13] = [
        "time",
        "id",
        "activity",
        "actor",
        "action",
        "object",
        "outcome",
        "control",
        "part",
        "cause",
        "status",
        "duration_us",
        "findings",
    ];

    /// The same log, with everything also handed to `recorder`.
    #[must_use]
    pub fn recorded_by(self, recorder: Arc<dyn Recorder>) -> Self {
        Self { recorder: Some(recorder), ..self }
    }

    /// One worker's end of it.
    pub(crate) fn local(&self) -> LocalLog {
        LocalLog {
            log: self.clone(),
            line: RefCell::default(),
            written: Batch::default(),
            requests: Batch::default(),
            security: Batch::default(),
        }
    }
}

/// Lines that wait to be handed over.
#[derive(Debug, Default)]
struct Batch {
    lines: RefCell<Vec<u8>>,
    count: Cell<u64>,
}

impl Batch {
    /// Adds a line and says how long the batch is now.
    fn add(&self, line: &[u8]) -> usize {
        let mut lines = self.lines.borrow_mut();
        lines.extend_from_slice(line);
        self.count.set(self.count.get() + 1);
        lines.len()
    }

    fn take(&self) -> (Vec<u8>, u64) {
        (self.lines.take(), self.count.take())
    }
}

/// The lines that one worker has gathered.
pub(crate) struct LocalLog {
    log: AccessLog,
    /// The line under construction; kept, because each request makes one.
    line: RefCell<Vec<u8>>,
    written: Batch,
    requests: Batch,
    security: Batch,
}

impl LocalLog {
    /// Adds an event.
    pub(crate) fn record(&self, event: &Event<'_>) {
        let trail = trail(&event.outcome);
        let recorder = self.log.recorder.as_ref().filter(|recorder| recorder.takes(trail));
        if self.log.queue.is_none() && recorder.is_none() {
            return;
        }
        let mut line = self.line.borrow_mut();
        line.clear();
        // Nothing in an event can fail to serialise.
        if serde_json::to_writer(&mut *line, event).is_err() {
            self.log.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        line.push(b'\n');
        if self.log.queue.is_some() {
            let chosen = self.log.fields.as_deref().map(|fields| chosen(&line, fields));
            if self.written.add(chosen.as_deref().unwrap_or(&line)) >= BATCH_BYTES {
                self.write();
            }
        }
        if let Some(recorder) = recorder
            && self.batch(trail).add(&line) >= RECORD_BYTES_MAX - LINE_BYTES
        {
            self.hand_over(&**recorder, trail);
        }
    }

    /// Whether requests must be refused because they could not be recorded.
    pub(crate) fn must_refuse(&self) -> bool {
        self.log.recorder.as_ref().is_some_and(|recorder| recorder.must_refuse())
    }

    /// Hands over what there is.
    pub(crate) fn flush(&self) {
        self.write();
        if let Some(recorder) = &self.log.recorder {
            self.hand_over(&**recorder, Trail::Requests);
            self.hand_over(&**recorder, Trail::Security);
        }
    }

    fn batch(&self, trail: Trail) -> &Batch {
        match trail {
            Trail::Requests => &self.requests,
            Trail::Security => &self.security,
        }
    }

    fn write(&self) {
        let Some(queue) = &self.log.queue else { return };
        let (lines, count) = self.written.take();
        if lines.is_empty() {
            return;
        }
        match queue.try_send(lines) {
            Ok(()) => self.written.lines.borrow_mut().reserve(BATCH_BYTES + LINE_BYTES),
            Err(TrySendError::Full(mut lines) | TrySendError::Disconnected(mut lines)) => {
                self.log.lost.fetch_add(count, Ordering::Relaxed);
                lines.clear();
                self.written.lines.replace(lines);
            }
        }
    }

    /// Gives the recorder what has gathered, in pieces of whole lines. What it does not take stays, up to a limit.
    fn hand_over(&self, recorder: &dyn Recorder, trail: Trail) {
        let batch = self.batch(trail);
        let (mut lines, count) = batch.take();
        while !lines.is_empty() {
            let rest = lines.split_off(whole_lines(&lines));
            if let Err(refused) = recorder.take(trail, lines) {
                lines = [refused, rest].concat();
                break;
            }
            lines = rest;
        }
        if lines.len() > WAITING_BYTES_MAX {
            tracing::error!(events = count, "events could not be recorded and are dropped");
            lines.clear();
        }
        if !lines.is_empty() {
            batch.count.set(count);
            batch.lines.replace(lines);
        }
    }
}

impl Drop for LocalLog {
    fn drop(&mut self) {
        self.flush();
    }
}

/// The same event with these members alone.
fn chosen(line: &[u8], fields: &[String]) -> Vec<u8> {
    let event: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line).unwrap_or_default();
    let event: serde_json::Map<_, _> = event.into_iter().filter(|(name, _)| fields.contains(name)).collect();
    let mut line = serde_json::to_vec(&event).unwrap_or_default();
    line.push(b'\n');
    line
}

/// What was refused belongs to the security trail; what was let through, whatever became of it, to the requests.
const fn trail(outcome: &Outcome<'_>) -> Trail {
    match outcome {
        Outcome::Allowed | Outcome::Failed { .. } => Trail::Requests,
        Outcome::Refused { .. } | Outcome::Detected { .. } => Trail::Security,
    }
}

/// The length of the first piece: as many whole lines as go into one hand-over.
fn whole_lines(lines: &[u8]) -> usize {
    if lines.len() <= RECORD_BYTES_MAX {
        return lines.len();
    }
    let window = lines.get(..RECORD_BYTES_MAX).unwrap_or(lines);
    memchr::memrchr(b'\n', window).map_or(lines.len(), |at| at + 1)
}

fn write_batches(batches: &Receiver<Vec<u8>>, mut sink: Box<dyn Write + Send>, lost: &AtomicU64) {
    let mut failed = false;
    for batch in batches {
        let count = lost.swap(0, Ordering::Relaxed);
        let notice =
            if count > 0 { format!("{{\"activity\":\"log.lost\",\"lines\":{count}}}\n") } else { String::new() };
        let written =
            sink.write_all(notice.as_bytes()).and_then(|()| sink.write_all(&batch)).and_then(|()| sink.flush());
        match written {
            Ok(()) => failed = false,
            Err(error) => {
                lost.fetch_add(count + batch.iter().filter(|byte| **byte == b'\n').count() as u64, Ordering::Relaxed);
                if !std::mem::replace(&mut failed, true) {
                    tracing::error!(%error, "access log cannot be written; lines are being counted instead");
                }
            }
        }
    }
}

/// Handed over at this size, or when the worker's clock ticks.
const BATCH_BYTES: usize = 32 * 1024;
const LINE_BYTES: usize = 1024;

/// 2,048 batches of 32 KiB: at most 64 MiB wait for a slow writer.
const BATCHES_MAX: usize = 2_048;

/// What one worker keeps for a recorder that takes nothing: about 10,000 requests.
const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;
