//! Tells spans to their collector, from a thread of its own. Workers hand over batches and never wait: what finds no room
//! in the queue is counted and dropped, and so is what a collector does not take after some tries.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use reeve_base::{Clock, Entropy};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::collector::{Line, TellError};
use super::span::Span;
use super::{Tracer, wire};

type Batch = (Arc<Tracer>, Vec<Span>);

/// The way to the thread that tells spans. The thread starts when there is something to tell for the first time, and
/// ends with the gateway.
pub(crate) struct Exporter {
    queue: mpsc::Sender<Batch>,
    counts: Arc<SpanCounts>,
    end: watch::Sender<Option<Instant>>,
    /// The other end of the queue, until the thread has it.
    idle: Mutex<Option<mpsc::Receiver<Batch>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What became of spans, since the start.
#[derive(Debug, Default)]
pub(crate) struct SpanCounts {
    told: AtomicU64,
    dropped: AtomicU64,
    /// The last that was said of it is that they do not arrive.
    failing: AtomicBool,
}

impl SpanCounts {
    /// Those that a collector has taken.
    pub(crate) fn told(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }

    /// Those that nobody has.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn tell(&self, spans: u64) {
        self.told.fetch_add(spans, Ordering::Relaxed);
        if self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("spans arrive again");
        }
    }

    fn lose(&self, spans: u64, cause: &str) {
        self.dropped.fetch_add(spans, Ordering::Relaxed);
        if spans > 0 {
            self.fail(cause);
        }
    }

    /// Said once, until they arrive again.
    fn fail(&self, cause: &str) {
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                cause,
                "spans do not reach their collector; those that find no room are counted and dropped"
            );
        }
    }
}

impl Exporter {
    pub(crate) fn new(counts: Arc<SpanCounts>) -> Self {
        let (queue, batches) = mpsc::channel(BATCHES_MAX);
        let (end, _) = watch::channel(None);
        Self { queue, counts, end, idle: Mutex::new(Some(batches)), thread: Mutex::default() }
    }

    /// Starts the thread, unless it runs.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(&self, clock: &Arc<dyn Clock>, entropy: &Arc<dyn Entropy>) -> std::io::Result<()> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(batches) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take() else { return Ok(()) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (clock, entropy, counts) = (Arc::clone(clock), Arc::clone(entropy), Arc::clone(&self.counts));
        let end = self.end.subscribe();
        let teller = Teller { batches, ahead: None, line: Line::default(), of: None, end, clock, entropy, counts };
        let started = std::thread::Builder::new().name(String::from("traces"));
        *thread = Some(started.spawn(move || runtime.block_on(teller.run()))?);
        Ok(())
    }

    /// Takes the spans of one worker; never waits.
    pub(super) fn hand_over(&self, tracer: Arc<Tracer>, spans: Vec<Span>) {
        if let Err(mpsc::error::TrySendError::Full((_, spans)) | mpsc::error::TrySendError::Closed((_, spans))) =
            self.queue.try_send((tracer, spans))
        {
            self.counts.lose(spans.len() as u64, "the queue is full");
        }
    }

    /// Tells what there is within this time, and waits for the thread to end.
    pub(crate) fn close(&self, within: Duration) {
        self.end.send_replace(Some(Instant::now() + within));
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Its only fault would be a panic, and then there is nothing left to tell.
            let _ = thread.join();
        }
    }

    /// Tells it to end, without waiting for it.
    pub(crate) fn abandon(&self) {
        self.end.send_replace(Some(Instant::now()));
    }
}

/// What runs in the thread.
struct Teller {
    batches: mpsc::Receiver<Batch>,
    /// A batch for another collector than those before it.
    ahead: Option<Batch>,
    line: Line,
    /// Whose connection the line is.
    of: Option<Arc<Tracer>>,
    end: watch::Receiver<Option<Instant>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    counts: Arc<SpanCounts>,
}

impl Teller {
    async fn run(mut self) {
        while let Some((tracer, spans)) = self.gather().await {
            self.deliver(&tracer, spans).await;
        }
        let (mut left, mut batches) = (0, self.ahead.take());
        while let Some((_, spans)) = batches {
            left += spans.len() as u64;
            batches = self.batches.try_recv().ok();
        }
        self.counts.lose(left, "the gateway has ended");
    }

    /// As many spans as go into one request, or as many as came within a while. Nothing once it is over.
    async fn gather(&mut self) -> Option<Batch> {
        let (tracer, mut spans) = match self.ahead.take() {
            Some(batch) => batch,
            None => self.next(None).await?,
        };
        let until = Instant::now() + LINGER;
        while spans.len() < REQUEST_SPANS
            && let Some(batch) = self.next(Some(until)).await
        {
            if !Arc::ptr_eq(&tracer, &batch.0) || spans.len() + batch.1.len() > REQUEST_SPANS {
                self.ahead = Some(batch);
                break;
            }
            spans.extend(batch.1);
        }
        Some((tracer, spans))
    }

    /// The next batch: waited for until then, or until the gateway ends; after that, what there is.
    async fn next(&mut self, until: Option<Instant>) -> Option<Batch> {
        let deadline = *self.end.borrow();
        if let Some(deadline) = deadline {
            return if Instant::now() < deadline { self.batches.try_recv().ok() } else { None };
        }
        let waited = async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            batch = self.batches.recv() => batch,
            _ = self.end.changed() => self.batches.try_recv().ok(),
            () = waited => None,
        }
    }

    async fn deliver(&mut self, tracer: &Arc<Tracer>, spans: Vec<Span>) {
        let count = spans.len() as u64;
        let body = Bytes::from(wire::body(&tracer.service, spans));
        if self.of.as_ref().is_none_or(|of| !Arc::ptr_eq(of, tracer)) {
            (self.line, self.of) = (Line::default(), Some(Arc::clone(tracer)));
        }
        let mut wait = WAIT_MIN;
        for tries_left in (0..TRIES_MAX).rev() {
            let error = match self.tell(tracer, body.clone()).await {
                Some(Ok(None)) => return self.counts.tell(count),
                Some(Ok(Some((rejected, cause)))) => {
                    let rejected = rejected.min(count);
                    self.counts.tell(count - rejected);
                    return self.counts.lose(rejected, &cause);
                }
                Some(Err(error)) => error,
                None => return self.counts.lose(count, "the gateway has ended"),
            };
            self.counts.fail(&error.to_string());
            if !error.is_passing() || tries_left == 0 || self.end.borrow().is_some() {
                return self.counts.lose(count, &error.to_string());
            }
            let pause = error.retry_after().map_or_else(|| self.jittered(wait), |asked| asked.min(RETRY_AFTER_MAX));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = self.end.changed() => {}
            }
            wait = (wait * 2).min(WAIT_MAX);
        }
    }

    /// Tells it once; nothing if the time for the end of the gateway is over meanwhile.
    async fn tell(&mut self, tracer: &Arc<Tracer>, body: Bytes) -> Option<Result<Option<(u64, String)>, TellError>> {
        let mut end = self.end.clone();
        let over = async move {
            let deadline = end.wait_for(Option::is_some).await.ok().and_then(|end| *end);
            if let Some(deadline) = deadline {
                tokio::time::sleep_until(deadline).await;
            }
        };
        tokio::select! {
            biased;
            outcome = tracer.collector.tell(&mut self.line, body, self.clock.now()) => Some(outcome),
            () = over => None,
        }
    }

    /// Up to half as long again, so that many gateways do not come back at once.
    fn jittered(&self, wait: Duration) -> Duration {
        let mut byte = [0];
        // Without chance it is the plain time.
        let _ = self.entropy.fill(&mut byte);
        let [byte] = byte;
        wait + wait * u32::from(byte) / 512
    }
}

/// Spans that a worker gathers before it hands them over; it does so ten times a second in any case.
pub(super) const BATCH_SPANS: usize = 64;

/// 128 batches of about 64 spans wait at most: some 8 MiB with texts of usual length, 40 MiB with the longest.
const BATCHES_MAX: usize = 128;

/// Spans in one request to a collector.
const REQUEST_SPANS: usize = 512;

/// How long spans wait for others to go with them.
const LINGER: Duration = Duration::from_secs(1);

/// How often spans are tried to be told, with pauses that grow.
const TRIES_MAX: u32 = 4;
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(8);

/// A collector that wants to be left alone for longer is asked again after this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
