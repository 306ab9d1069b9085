//! The writer: numbers entries, seals their contents, writes them ahead, acknowledges them.
//!
//! It does not wait for a batch to fill. While one `fdatasync` runs the next batch gathers, so batches grow with the
//! load by themselves and a lone entry waits for nobody.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::Duration;

use jiff::civil::Date;
use reeve_base::Timestamp;

use super::queue::{Pending, Taken};
use super::reserve::Reserve;
use super::{AppendError, Class, ClassDay, Entry, Shared, Signal};
use crate::content::{Cipher, DayKey, Run};
use crate::proof::leaf::{SALT_BYTES, VERSION};
use crate::proof::{Leaf, commitment};
use crate::wal::{Frame, Wal};

/// The writer's own state; nobody else has any of it.
pub(super) struct Writer {
    shared: Arc<Shared>,
    signals: Sender<Signal>,
    wal: Wal,
    reserve: Reserve,
    run: Run,
    /// The keys of the day that is being written.
    ciphers: BTreeMap<ClassDay, (Arc<DayKey>, Cipher)>,
    next: u64,
    trouble: Option<Trouble>,
}

/// Why nothing is written now.
struct Trouble {
    cause: String,
    /// Whether the write-ahead log has to be begun anew, and what was unsealed with it.
    rescue: bool,
}

impl Writer {
    pub(super) const fn new(
        shared: Arc<Shared>,
        signals: Sender<Signal>,
        wal: Wal,
        reserve: Reserve,
        run: Run,
        next: u64,
    ) -> Self {
        Self { shared, signals, wal, reserve, run, ciphers: BTreeMap::new(), next, trouble: None }
    }

    /// Works until the queue is closed and empty, and gives the write-ahead log back.
    pub(super) fn work(mut self) -> Wal {
        let pace = self.shared.settings.pace;
        loop {
            let taken = self.shared.queue.take(pace.batch_entries_max, pace.retry_every);
            if self.shared.abandoned.load(Ordering::Relaxed) {
                return self.wal;
            }
            match taken {
                Taken::Batch(batch) => self.batch(batch),
                Taken::Nothing => self.recover(),
                Taken::Closed => return self.wal,
            }
            self.release();
        }
    }

    fn batch(&mut self, batch: Vec<Pending>) {
        let room = self.trouble.is_none() && self.wait_for_room();
        if let Some(trouble) = &self.trouble {
            return refuse(batch, &trouble.cause);
        }
        if !room {
            return; // Only when everything is abandoned; the receipts learn it by the dropped answers.
        }
        match self.prepare(&batch) {
            Ok(frames) => self.write(batch, frames),
            // No key for the day, or no randomness: the next batch may fare better, so nothing is closed for good.
            Err(cause) => {
                self.fail(cause.clone(), false);
                refuse(batch, &cause);
            }
        }
    }

    fn write(&mut self, batch: Vec<Pending>, frames: Vec<Arc<Frame>>) {
        if let Err(error) = self.wal.append(&frames) {
            let cause = error.to_string();
            self.fail(cause.clone(), true);
            refuse(batch, &cause);
            return self.record_failure();
        }
        let first = self.next;
        self.next += frames.len() as u64;
        self.shared.backlog.extend(frames);
        self.shared.pulse.set_durable(self.next);
        for (seq, pending) in (first..).zip(batch) {
            // Who no longer wants to know has dropped the receipt.
            drop(pending.answer.send(Ok(seq)));
        }
        drop(self.signals.send(Signal::Durable));
    }

    /// Turns entries into frames with the numbers that come next. Nothing is changed if one fails.
    fn prepare(&mut self, batch: &[Pending]) -> Result<Vec<Arc<Frame>>, String> {
        let (now, day) = self.shared.time.stamp().map_err(|error| error.to_string())?;
        let mut salts = vec![[0; SALT_BYTES]; batch.len()];
        self.shared.tools.entropy.fill(salts.as_flattened_mut()).map_err(|error| error.to_string())?;
        (self.next..)
            .zip(batch.iter().zip(&salts))
            .map(|(seq, (pending, salt))| self.frame(&pending.entry, seq, now, day, salt).map(Arc::new))
            .collect()
    }

    fn frame(
        &mut self,
        entry: &Entry,
        seq: u64,
        now: Timestamp,
        day: Date,
        salt: &[u8; SALT_BYTES],
    ) -> Result<Frame, String> {
        let of = ClassDay { class: entry.class, day };
        if !self.ciphers.contains_key(&of) {
            self.ciphers.retain(|held, _| held.day == day);
            let key =
                self.shared.keyring.find_or_make(of, &*self.shared.tools.entropy).map_err(|error| error.to_string())?;
            let cipher = key.cipher(self.run.id()).ok_or("no key can be derived for the contents")?;
            self.ciphers.insert(of, (key, cipher));
        }
        let (key, cipher) = self.ciphers.get(&of).ok_or("no key is at hand for the contents")?;
        let leaf = Leaf {
            v: VERSION,
            seq,
            ts: now,
            class: entry.class.to_string(),
            kind: entry.activity.clone(),
            clause: entry.clause.clone(),
            day,
            actor_tag: entry.actor.as_deref().map(|actor| key.actor_tag(actor)),
            commit: commitment(salt, &entry.body),
        };
        let leaf = leaf.print().map_err(|error| error.to_string())?;
        let content = cipher.seal(&self.run, seq, salt, &entry.body).ok_or("the contents cannot be sealed")?;
        Ok(Frame { seq, class: entry.class, day, leaf, content })
    }

    /// Waits while too much is unsealed. Says whether there is room; if sealing is in trouble, so is writing.
    fn wait_for_room(&mut self) -> bool {
        let pace = self.shared.settings.pace;
        while !self.shared.backlog.wait_below(pace.unsealed_bytes_max, PATIENCE) {
            if self.shared.abandoned.load(Ordering::Relaxed) {
                return false;
            }
            let trouble = self.shared.pulse.troubles().sealing.clone();
            if let Some(cause) = trouble {
                self.fail(format!("too much is waiting to be sealed, and sealing fails: {cause}"), false);
                return false;
            }
        }
        true
    }

    /// Tries to get out of trouble.
    fn recover(&mut self) {
        let Some(trouble) = &self.trouble else { return };
        if trouble.rescue && self.rescue().is_err() {
            return;
        }
        if !self.shared.backlog.wait_below(self.shared.settings.pace.unsealed_bytes_max, Duration::ZERO) {
            return;
        }
        // With the reserve there is room for the next time; without it, the disk is still full.
        if let Err(error) = self.reserve.make() {
            return self.fail(error.to_string(), false);
        }
        let cause = self.trouble.take().map(|trouble| trouble.cause);
        self.shared.pulse.set_writing(None);
        self.note("ledger.resumed", &cause.unwrap_or_default());
    }

    /// A full disk has kept a reserve for this: to write down that it is full.
    fn record_failure(&mut self) {
        self.reserve.free();
        if self.rescue().is_ok() {
            let cause = self.trouble.as_ref().map(|trouble| trouble.cause.clone()).unwrap_or_default();
            self.note("ledger.failed", &cause);
        }
    }

    fn rescue(&mut self) -> Result<(), String> {
        let rescued = self.wal.rescue(self.next, &self.shared.backlog.all()).map_err(|error| error.to_string());
        match &rescued {
            Ok(()) => self.trouble.iter_mut().for_each(|trouble| trouble.rescue = false),
            Err(cause) => self.fail(cause.clone(), true),
        }
        rescued
    }

    /// Writes an entry of the ledger's own. That it cannot be written is known already.
    fn note(&mut self, activity: &str, cause: &str) {
        let body = serde_json::json!({ "cause": cause }).to_string().into_bytes();
        let (answer, _) = tokio::sync::oneshot::channel();
        let entry = Entry { class: Class::Ledger, activity: activity.to_owned(), clause: None, actor: None, body };
        let batch = vec![Pending { entry, answer }];
        let Ok(frames) = self.prepare(&batch) else { return };
        if let Err(error) = self.wal.append(&frames) {
            return self.fail(error.to_string(), true);
        }
        self.next += 1;
        self.shared.backlog.extend(frames);
        self.shared.pulse.set_durable(self.next);
        drop(self.signals.send(Signal::Durable));
    }

    fn fail(&mut self, cause: String, rescue: bool) {
        tracing::error!(cause, "the ledger cannot write");
        let rescue = rescue || self.trouble.as_ref().is_some_and(|trouble| trouble.rescue);
        self.shared.pulse.set_writing(Some(cause.clone()));
        self.trouble = Some(Trouble { cause, rescue });
    }

    /// Lets go of files that hold only what is sealed.
    fn release(&mut self) {
        if let Err(error) = self.wal.release(self.shared.pulse.sealed()) {
            tracing::warn!(cause = %error, "a file of the write-ahead log that is no longer needed stays");
        }
    }
}

fn refuse(batch: Vec<Pending>, cause: &str) {
    for pending in batch {
        drop(pending.answer.send(Err(AppendError::Failed { cause: cause.to_owned() })));
    }
}

/// How often the writer looks up while it waits for room.
const PATIENCE: Duration = Duration::from_millis(100);
