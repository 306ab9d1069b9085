//! Events as JSON, one to a line, written by a thread of their own so that a slow disk or reader stops no request.
//!
//! Workers gather lines and hand them over in batches. The queue between them is bounded; when it is full, lines are
//! counted instead of kept, and the count is written as soon as there is room.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use reeve_base::Event;

/// Where events go. Clones share one writer.
#[derive(Debug, Clone)]
pub struct AccessLog {
    queue: Option<SyncSender<Vec<u8>>>,
    lost: Arc<AtomicU64>,
}

impl AccessLog {
    /// Nothing is written.
    #[must_use]
    pub fn off() -> Self {
        Self { queue: None, lost: Arc::default() }
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
        Ok((Self { queue: Some(queue), lost }, writer))
    }

    /// One worker's end of it.
    pub(crate) fn local(&self) -> LocalLog {
        LocalLog { log: self.clone(), batch: RefCell::default(), lines: Cell::new(0) }
    }
}

/// The lines that one worker has gathered.
pub(crate) struct LocalLog {
    log: AccessLog,
    batch: RefCell<Vec<u8>>,
    lines: Cell<u64>,
}

impl LocalLog {
    /// Adds an event.
    pub(crate) fn record(&self, event: &Event<'_>) {
        if self.log.queue.is_none() {
            return;
        }
        let mut batch = self.batch.borrow_mut();
        let length = batch.len();
        // Nothing in an event can fail to serialise; a half-written line would still be cut off.
        if serde_json::to_writer(&mut *batch, event).is_err() {
            batch.truncate(length);
            self.log.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        batch.push(b'\n');
        self.lines.set(self.lines.get() + 1);
        if batch.len() >= BATCH_BYTES {
            drop(batch);
            self.flush();
        }
    }

    /// Hands over what there is.
    pub(crate) fn flush(&self) {
        let Some(queue) = &self.log.queue else { return };
        let batch = self.batch.take();
        if batch.is_empty() {
            return;
        }
        let lines = self.lines.take();
        match queue.try_send(batch) {
            Ok(()) => self.batch.borrow_mut().reserve(BATCH_BYTES + LINE_BYTES),
            Err(TrySendError::Full(mut batch) | TrySendError::Disconnected(mut batch)) => {
                self.log.lost.fetch_add(lines, Ordering::Relaxed);
                batch.clear();
                self.batch.replace(batch);
            }
        }
    }
}

impl Drop for LocalLog {
    fn drop(&mut self) {
        self.flush();
    }
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
