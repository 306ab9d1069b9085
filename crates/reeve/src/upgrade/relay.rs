//! What stands between the gateway's workers and the ledger, and holds events while the ledger changes hands.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use reeve_base::{Recorder, Trail};

/// A recorder whose ledger can be taken away for a while.
pub(crate) struct Relay {
    /// Nothing while events are held.
    to: ArcSwapOption<Way>,
    held: Mutex<Held>,
    /// Told when there is something in `held`, or there will be nothing more.
    news: Condvar,
    /// More than fits was to be held. `Relaxed`: it stands for itself.
    full: AtomicBool,
    /// Whether a request that could not be recorded is refused. `Relaxed`, too.
    refuse: AtomicBool,
}

/// Sized, for the pointer that is exchanged.
struct Way(Arc<dyn Recorder>);

#[derive(Default)]
struct Held {
    batches: VecDeque<(Trail, Vec<u8>)>,
    bytes: usize,
    /// Nothing more comes.
    ended: bool,
}

impl Relay {
    /// Hands on to `recorder`.
    pub(crate) fn new(recorder: Arc<dyn Recorder>) -> Self {
        Self {
            to: ArcSwapOption::from_pointee(Way(recorder)),
            held: Mutex::default(),
            news: Condvar::new(),
            full: AtomicBool::new(false),
            refuse: AtomicBool::new(false),
        }
    }

    /// Holds everything from now on. If `refuse`, requests are refused once no more can be held.
    pub(crate) fn hold(&self, refuse: bool) {
        self.refuse.store(refuse, Ordering::Relaxed);
        self.to.store(None);
    }

    /// Hands on again, what was held first.
    pub(crate) fn resume(&self, recorder: Arc<dyn Recorder>) {
        let mut held = self.lock();
        while let Some((trail, lines)) = held.batches.pop_front() {
            held.bytes = held.bytes.saturating_sub(lines.len());
            if recorder.take(trail, lines).is_err() {
                tracing::error!("events that waited for the ledger cannot be recorded and are dropped");
            }
        }
        self.full.store(false, Ordering::Relaxed);
        self.to.store(Some(Arc::new(Way(recorder))));
    }

    /// Waits for the next batch that is held; nothing when there will be none.
    pub(crate) fn next(&self) -> Option<(Trail, Vec<u8>)> {
        let mut held = self.lock();
        loop {
            if let Some((trail, lines)) = held.batches.pop_front() {
                held.bytes = held.bytes.saturating_sub(lines.len());
                return Some((trail, lines));
            }
            if held.ended {
                return None;
            }
            held = self.news.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nothing more comes: whoever waits for it is told.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.news.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorder for Relay {
    fn takes(&self, trail: Trail) -> bool {
        self.to.load().as_ref().is_none_or(|way| way.0.takes(trail))
    }

    fn take(&self, trail: Trail, lines: Vec<u8>) -> Result<(), Vec<u8>> {
        if let Some(way) = &*self.to.load() {
            return way.0.take(trail, lines);
        }
        let mut held = self.lock();
        // Between the two looks it may have been resumed.
        if let Some(way) = &*self.to.load() {
            return way.0.take(trail, lines);
        }
        if held.bytes + lines.len() > HELD_BYTES_MAX {
            self.full.store(true, Ordering::Relaxed);
            return Err(lines);
        }
        held.bytes += lines.len();
        held.batches.push_back((trail, lines));
        drop(held);
        self.news.notify_one();
        Ok(())
    }

    fn must_refuse(&self) -> bool {
        match &*self.to.load() {
            Some(way) => way.0.must_refuse(),
            None => self.full.load(Ordering::Relaxed) && self.refuse.load(Ordering::Relaxed),
        }
    }
}

/// What waits for the ledger while it changes hands: some 250,000 requests. Beside it each worker keeps 4 MiB.
pub(crate) const HELD_BYTES_MAX: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Book(Mutex<Vec<u8>>);

    impl Recorder for Book {
        fn takes(&self, _: Trail) -> bool {
            true
        }

        fn take(&self, _: Trail, lines: Vec<u8>) -> Result<(), Vec<u8>> {
            self.0.lock().unwrap().extend(lines);
            Ok(())
        }

        fn must_refuse(&self) -> bool {
            false
        }
    }

    #[test]
    fn what_was_held_comes_first_and_nothing_is_lost() {
        let (before, after) = (Arc::new(Book::default()), Arc::new(Book::default()));
        let relay = Relay::new(Arc::clone(&before) as Arc<dyn Recorder>);
        relay.take(Trail::Requests, b"1\n".to_vec()).unwrap();
        relay.hold(true);
        relay.take(Trail::Requests, b"2\n".to_vec()).unwrap();
        relay.take(Trail::Security, b"3\n".to_vec()).unwrap();
        relay.resume(Arc::clone(&after) as Arc<dyn Recorder>);
        relay.take(Trail::Requests, b"4\n".to_vec()).unwrap();
        assert_eq!((&**before.0.lock().unwrap(), &**after.0.lock().unwrap()), (&b"1\n"[..], &b"2\n3\n4\n"[..]));
    }

    #[test]
    fn past_the_limit_batches_are_given_back_and_requests_refused_if_the_policy_says_so() {
        for refuse in [true, false] {
            let relay = Relay::new(Arc::new(Book::default()));
            relay.hold(refuse);
            relay.take(Trail::Requests, vec![b'x'; HELD_BYTES_MAX]).unwrap();
            assert!(!relay.must_refuse());
            assert_eq!(relay.take(Trail::Requests, vec![b'y']), Err(vec![b'y']));
            assert_eq!(relay.must_refuse(), refuse);
        }
    }

    #[test]
    fn whoever_drains_it_gets_everything_and_then_the_end() {
        let relay = Relay::new(Arc::new(Book::default()));
        relay.hold(false);
        relay.take(Trail::Security, b"a\n".to_vec()).unwrap();
        relay.end();
        assert_eq!(relay.next(), Some((Trail::Security, b"a\n".to_vec())));
        assert_eq!(relay.next(), None);
    }
}
