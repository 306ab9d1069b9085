//! What is known of the requests to one upstream, and what was left out.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use jiff::Unit;
use reeve_base::Timestamp;
use reeve_contract::Contract;
use reeve_contract::learn::{Carried, Discretion, Left, NODES_MAX, Notes, NotesError, Sample};
use serde::{Deserialize, Serialize};

use super::lesson::{Taken, TakenBody};
use super::{Draft, ProposeError, lock};
use crate::redact;

/// What is known of the requests to one upstream.
pub(super) struct Notebook {
    /// Held by the thread that takes down and by whoever asks.
    pages: Mutex<Pages>,
    pub(super) left: LeftOut,
    learning: AtomicBool,
}

struct Pages {
    notes: Notes,
    key: [u8; 16],
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    unkept: bool,
}

/// Requests that were not learned from, by cause.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    unsuccessful: AtomicU64,
    unfit: AtomicU64,
    unfinished: AtomicU64,
    busy: AtomicU64,
    full: AtomicU64,
}

/// How far it has come with an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Progress {
    /// The upstream.
    pub upstream: String,
    /// Whether its requests are learned from now.
    pub learning: bool,
    /// How many were.
    pub requests: u64,
    /// When the first of them was.
    pub from: Option<Timestamp>,
    /// When the last of them was.
    pub to: Option<Timestamp>,
    /// How many the application did not answer with success.
    pub unsuccessful: u64,
    /// How many no document can describe, so that validation will refuse them.
    pub unfit: u64,
    /// How many were answered before they were all here.
    pub unfinished: u64,
    /// How many came when there was no room for another copy.
    pub busy: u64,
    /// How many were to an operation that there was no room for.
    pub full: u64,
    /// Names and segments that are known.
    pub known: usize,
    /// The most that may be.
    pub known_max: usize,
}

/// What is kept beside the notes.
#[derive(Serialize, Deserialize)]
struct Cover {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    left: [u64; 5],
}

impl Notebook {
    pub(super) fn new(key: [u8; 16]) -> Self {
        let pages = Pages { notes: Notes::new(key), key, from: None, to: None, unkept: false };
        Self { pages: Mutex::new(pages), left: LeftOut::default(), learning: AtomicBool::new(false) }
    }

    pub(super) fn set_learning(&self, learning: bool) {
        self.learning.store(learning, Ordering::Relaxed);
    }

    /// Takes a request down.
    pub(super) fn take(&self, taken: &Taken) {
        let bytes;
        let body = match &taken.body {
            TakenBody::Nothing => Carried::Nothing,
            TakenBody::Unread => Carried::Unseen,
            TakenBody::Whole(held) => {
                bytes = held.bytes();
                Carried::Whole(&bytes)
            }
        };
        let sample = Sample {
            method: &taken.method,
            path: &taken.path,
            query: taken.query.as_deref(),
            content_type: taken.kind.as_deref(),
            body,
            status: taken.status,
            client: taken.client,
        };
        let mut pages = lock(&self.pages);
        match pages.notes.take(&sample, &DISCRETION) {
            Ok(()) => {
                pages.from = Some(pages.from.map_or(taken.time, |from| from.min(taken.time)));
                pages.to = Some(pages.to.map_or(taken.time, |to| to.max(taken.time)));
                pages.unkept = true;
            }
            Err(Left::Unfit) => self.left.unfit(),
            Err(Left::Full) => self.left.full(),
        }
    }

    pub(super) fn progress(&self, name: &str) -> Progress {
        let pages = lock(&self.pages);
        let [unsuccessful, unfit, unfinished, busy, full] = self.left.counts();
        Progress {
            upstream: name.to_owned(),
            learning: self.learning.load(Ordering::Relaxed),
            requests: pages.notes.requests(),
            from: pages.from,
            to: pages.to,
            unsuccessful,
            unfit,
            unfinished,
            busy,
            full,
            known: pages.notes.nodes(),
            known_max: NODES_MAX,
        }
    }

    pub(super) fn propose(&self, name: &str) -> Result<Draft, ProposeError> {
        let heading = heading(&self.progress(name));
        let notes = lock(&self.pages).notes.clone();
        let title = format!("Requests to {name}");
        let proposal = notes.propose(&title, &heading).ok_or_else(|| ProposeError::Empty(name.to_owned()))?;
        let yaml = proposal.yaml();
        Contract::compile(yaml.as_bytes(), None).map_err(|error| ProposeError::Unusable(error.to_string()))?;
        let (operations, uncertain) = (proposal.operations(), proposal.uncertain());
        Ok(Draft { yaml, json: proposal.json(), operations, uncertain })
    }

    /// Forgets everything. Says whether there was anything.
    pub(super) fn clear(&self) -> bool {
        let mut pages = lock(&self.pages);
        let anything = pages.notes.requests() > 0 || self.left.counts().iter().any(|count| *count > 0);
        let key = pages.key;
        *pages = Pages { notes: Notes::new(key), key, from: None, to: None, unkept: true };
        self.left.set([0; 5]);
        anything
    }

    /// What is to be kept, if it has changed since this was last asked for; inside, nothing if there is nothing.
    pub(super) fn unkept(&self) -> Option<Option<Vec<u8>>> {
        let mut pages = lock(&self.pages);
        if !std::mem::take(&mut pages.unkept) {
            return None;
        }
        if pages.notes.requests() == 0 {
            return Some(None);
        }
        let cover = Cover { from: pages.from, to: pages.to, left: self.left.counts() };
        let notes = pages.notes.clone();
        drop(pages);
        let mut kept = serde_json::to_vec(&cover).unwrap_or_default();
        kept.push(b'\n');
        kept.extend(notes.kept());
        Some(Some(kept))
    }

    pub(super) fn keep_again(&self) {
        lock(&self.pages).unkept = true;
    }

    /// Takes up what was kept, beside what there is.
    pub(super) fn restore(&self, kept: &[u8], key: [u8; 16]) -> Result<(), NotesError> {
        let end = kept.iter().position(|byte| *byte == b'\n').unwrap_or(kept.len());
        let (cover, notes) = kept.split_at_checked(end).unwrap_or((kept, &[]));
        let notes = Notes::taken_up(notes, key)?;
        let cover: Cover = serde_json::from_slice(cover).unwrap_or(Cover { from: None, to: None, left: [0; 5] });
        let mut pages = lock(&self.pages);
        pages.notes.merge(notes);
        pages.from = [pages.from, cover.from].into_iter().flatten().min();
        pages.to = [pages.to, cover.to].into_iter().flatten().max();
        let mut left = self.left.counts();
        left.iter_mut().zip(cover.left).for_each(|(count, before)| *count += before);
        self.left.set(left);
        Ok(())
    }
}

impl LeftOut {
    pub(super) fn unsuccessful(&self) {
        self.unsuccessful.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn unfit(&self) {
        self.unfit.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn unfinished(&self) {
        self.unfinished.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn busy(&self) {
        self.busy.fetch_add(1, Ordering::Relaxed);
    }

    fn full(&self) {
        self.full.fetch_add(1, Ordering::Relaxed);
    }

    fn all(&self) -> [&AtomicU64; 5] {
        [&self.unsuccessful, &self.unfit, &self.unfinished, &self.busy, &self.full]
    }

    fn counts(&self) -> [u64; 5] {
        self.all().map(|count| count.load(Ordering::Relaxed))
    }

    fn set(&self, counts: [u64; 5]) {
        for (count, new) in self.all().into_iter().zip(counts) {
            count.store(new, Ordering::Relaxed);
        }
    }
}

/// What stands at the top of a document.
fn heading(progress: &Progress) -> Vec<String> {
    let Progress { upstream, requests, unfit, unfinished, busy, full, .. } = progress;
    let whole = |time: Option<Timestamp>| {
        time.map_or_else(|| String::from("?"), |time| time.round(Unit::Second).unwrap_or(time).to_string())
    };
    let (from, to) = (whole(progress.from), whole(progress.to));
    let mut lines = vec![
        format!("Learned by reeve from {requests} requests that the upstream `{upstream}` answered well,"),
        format!("{from} to {to}. It holds shapes and no values. Read it before you use it:"),
        String::from(
            "what was not asked for in this time is refused, and what should not have been asked for is allowed.",
        ),
    ];
    let left = [
        (*unfit, "no document can describe: validation will refuse them"),
        (*unfinished, "were answered before they were all here"),
        (busy + full, "there was no room for"),
    ];
    let told = left.iter().filter(|(count, _)| *count > 0);
    lines.extend(told.map(|(count, cause)| format!("Left out: {count} requests that {cause}.")));
    lines
}

const DISCRETION: Discretion = Discretion { is_secret: redact::is_secret, announces: redact::announces };
