//! Learns what requests look like, where the settings of an upstream ask for it, and proposes an OpenAPI document.
//!
//! A worker hands over a copy of a request that the application has answered well, if there is room for it, and goes on:
//! it waits for nobody and holds no lock. One thread takes the copies down as shapes (`contract::learn`) and forgets them.
//! Where no upstream learns there is neither the thread nor a copy.

mod lesson;
mod notebook;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reeve_base::{Clock, Entropy};
use reeve_contract::learn::NotesError;
use serde_json::Value;

use crate::gateway::StartError;
use crate::settings::Settings;

pub(crate) use lesson::{Lesson, Transcript};
pub use notebook::Progress;

use lesson::Taken;
use notebook::Notebook;

/// Everything that is learned. It outlives a reload, and what is no longer learned stays until it is forgotten.
pub(crate) struct Lessons {
    /// By upstream. Held for a moment, and never by a worker that serves.
    notebooks: Mutex<BTreeMap<String, Arc<Notebook>>>,
    /// The way to the thread, once something is learned.
    post: Mutex<Option<SyncSender<Errand>>>,
    /// Bytes of copies that are in memory.
    held: Arc<AtomicUsize>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// Where a worker hands in what it saw of the requests to one upstream.
#[derive(Clone)]
pub(crate) struct Desk {
    notebook: Arc<Notebook>,
    post: SyncSender<Errand>,
    held: Arc<AtomicUsize>,
}

/// What the thread is sent.
enum Errand {
    Take(Arc<Notebook>, Box<Taken>),
    /// Everything before this is taken down.
    Tell(SyncSender<()>),
}

impl Lessons {
    pub(crate) fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { notebooks: Mutex::default(), post: Mutex::default(), held: Arc::default(), clock, entropy }
    }

    /// The desks of the upstreams that are to be learned, in their order.
    ///
    /// # Errors
    /// When the system gives no thread or no randomness.
    pub(crate) fn follow(&self, settings: &Settings) -> Result<Vec<Option<Desk>>, StartError> {
        let upstreams = std::iter::once(&settings.upstream).chain(&settings.routing.upstreams);
        let wanted: Vec<_> = upstreams.map(|upstream| upstream.learn.then_some(upstream.name.as_str())).collect();
        for (name, notebook) in &*lock(&self.notebooks) {
            notebook.set_learning(wanted.contains(&Some(name)));
        }
        let desk = |name: &str| {
            let notebook = self.notebook(name)?;
            notebook.set_learning(true);
            Ok(Desk { notebook, post: self.post()?, held: Arc::clone(&self.held) })
        };
        wanted.into_iter().map(|name| name.map(desk).transpose()).collect()
    }

    fn notebook(&self, name: &str) -> Result<Arc<Notebook>, StartError> {
        let mut notebooks = lock(&self.notebooks);
        if let Some(notebook) = notebooks.get(name) {
            return Ok(Arc::clone(notebook));
        }
        let notebook = Arc::new(Notebook::new(self.key()?));
        notebooks.insert(name.to_owned(), Arc::clone(&notebook));
        Ok(notebook)
    }

    fn key(&self) -> Result<[u8; 16], StartError> {
        let mut key = [0; 16];
        self.entropy.fill(&mut key).map_err(|error| StartError::Entropy(error.to_string()))?;
        Ok(key)
    }

    fn post(&self) -> Result<SyncSender<Errand>, StartError> {
        let mut post = lock(&self.post);
        if let Some(post) = &*post {
            return Ok(post.clone());
        }
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let clock = Arc::clone(&self.clock);
        let thread = std::thread::Builder::new().name(String::from("learn"));
        // It ends when nobody can send it anything any more.
        thread.spawn(move || learn(&receiver, &*clock)).map_err(StartError::Thread)?;
        *post = Some(sender.clone());
        Ok(sender)
    }

    /// Waits until what was handed in is taken down, for a while.
    fn settle(&self) {
        let Some(post) = lock(&self.post).clone() else { return };
        let (done, told) = sync_channel(1);
        if post.send(Errand::Tell(done)).is_ok() {
            let _ = told.recv_timeout(SETTLE_MAX);
        }
    }
}

/// Takes down what is sent. It rests between, so that it takes a third of a processor at most from those who serve.
fn learn(post: &Receiver<Errand>, clock: &dyn Clock) {
    let (mut taken, mut busy, mut began) = (0_u32, Duration::ZERO, clock.ticks());
    while let Ok(errand) = post.recv() {
        match errand {
            Errand::Take(notebook, sample) => {
                let from = clock.ticks();
                // A fault in here must cost the sample and nothing else.
                if catch_unwind(AssertUnwindSafe(|| notebook.take(&sample))).is_err() {
                    tracing::error!("a request could not be learned from");
                }
                taken += 1;
                busy += clock.ticks().since(from);
            }
            Errand::Tell(done) => drop(done.send(())),
        }
        if taken == BATCH {
            let whole = BATCH_TIME.max(busy * 3);
            if let Some(rest) = whole.checked_sub(clock.ticks().since(began)) {
                std::thread::park_timeout(rest);
            }
            (taken, busy, began) = (0, Duration::ZERO, clock.ticks());
        }
    }
}

/// A document that was learned.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Draft {
    /// The document as YAML, with comments.
    pub yaml: String,
    /// The same as JSON.
    pub json: Value,
    /// How many operations are in it.
    pub operations: usize,
    /// How many of them were seen too seldom to be sure.
    pub uncertain: usize,
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProposeError {
    /// Nothing was learned of an upstream of this name.
    #[error("nothing was learned of an upstream `{0}`")]
    Unknown(String),
    /// There was no request yet.
    #[error("no request to `{0}` was learned from yet")]
    Empty(String),
    /// What was written cannot be read again.
    #[error("the document is not usable, which is a fault of this program: {0}")]
    Unusable(String),
}

/// What a gateway learns, for whoever keeps it and asks for it.
#[derive(Clone)]
pub struct Learning {
    lessons: Arc<Lessons>,
}

impl Learning {
    pub(crate) fn new(lessons: &Arc<Lessons>) -> Self {
        Self { lessons: Arc::clone(lessons) }
    }

    /// How far it has come, by upstream. Waits for what is on its way, so not for a worker to call.
    #[must_use]
    pub fn progress(&self) -> Vec<Progress> {
        self.lessons.settle();
        lock(&self.lessons.notebooks).iter().map(|(name, notebook)| notebook.progress(name)).collect()
    }

    /// The document that the requests to an upstream add up to. As [`Learning::progress`], it waits.
    ///
    /// # Errors
    /// See [`ProposeError`].
    pub fn propose(&self, upstream: &str) -> Result<Draft, ProposeError> {
        self.lessons.settle();
        let notebook = self.find(upstream).ok_or_else(|| ProposeError::Unknown(upstream.to_owned()))?;
        notebook.propose(upstream)
    }

    /// Forgets what was learned of an upstream. Says whether there was anything.
    #[must_use]
    pub fn forget(&self, upstream: &str) -> bool {
        self.lessons.settle();
        self.find(upstream).is_some_and(|notebook| notebook.clear())
    }

    /// What has changed since this was last asked for, by upstream, as [`Learning::restore`] takes it. Nothing in place of
    /// what was forgotten.
    #[must_use]
    pub fn take_unkept(&self) -> Vec<(String, Option<Vec<u8>>)> {
        self.lessons.settle();
        let notebooks = lock(&self.lessons.notebooks).clone();
        notebooks.into_iter().filter_map(|(name, notebook)| notebook.unkept().map(|kept| (name, kept))).collect()
    }

    /// Says that something could not be kept, so that it is given out again.
    pub fn keep_again(&self, upstream: &str) {
        if let Some(notebook) = self.find(upstream) {
            notebook.keep_again();
        }
    }

    /// Takes up what was kept, beside what has been learned meanwhile.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn restore(&self, upstream: &str, kept: &[u8]) -> Result<(), NotesError> {
        // A key that is not by chance only means that numbers of segments could be guessed by who reads the memory.
        let key = self.lessons.key().unwrap_or_default();
        match self.lessons.notebook(upstream) {
            Ok(notebook) => notebook.restore(kept, key),
            Err(_) => Ok(()),
        }
    }

    fn find(&self, upstream: &str) -> Option<Arc<Notebook>> {
        lock(&self.lessons.notebooks).get(upstream).cloned()
    }
}

/// A thread that died while it held one left it in order: each change is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Copies that wait to be taken down. More are left out.
const WAITING_MAX: usize = 4_096;
/// 2,000 a second at most, fewer where their bodies are long.
const BATCH: u32 = 64;
const BATCH_TIME: Duration = Duration::from_millis(32);
const SETTLE_MAX: Duration = Duration::from_secs(10);
