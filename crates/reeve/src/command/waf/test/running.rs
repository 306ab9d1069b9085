//! Runs tests, several at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use indicatif::ProgressBar;
use reeve_waf::Scratch;
use reeve_waf::trial::{self, Bench, Outcome, Overrides, Trial};

use super::wire::Gateway;
use crate::screen::Screen;

/// What came of each test in this process, on all processors, in their order.
pub(super) fn run(bench: &Bench<'_>, trials: &[(PathBuf, Trial)], screen: &Screen) -> Vec<Outcome> {
    let workers = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let tests = Tests::new(trials, screen);
    let makers = (0..workers).map(|_| {
        let mut scratch = Scratch::default();
        move |trial: &Trial| {
            // A fault of the engine costs its test and not the others.
            let outcome = catch_unwind(AssertUnwindSafe(|| trial::run(bench, trial, &mut scratch)));
            outcome.unwrap_or_else(|_| {
                scratch = Scratch::default();
                Outcome::Unjudged { cause: String::from("the engine failed on it: please report this") }
            })
        }
    });
    tests.all(makers.collect())
}

/// The same through a gateway that runs.
pub(super) fn over(
    gateway: &Gateway,
    overrides: Option<&Overrides>,
    trials: &[(PathBuf, Trial)],
    screen: &Screen,
) -> anyhow::Result<Vec<Outcome>> {
    let tests = Tests::new(trials, screen);
    let workers = (0..LINES_AT_ONCE).map(|_| {
        let mut line = gateway.line()?;
        Ok(move |trial: &Trial| trial::run_over(&mut line, overrides, trial))
    });
    Ok(tests.all(workers.collect::<anyhow::Result<_>>()?))
}

/// Tests that are still to run.
struct Tests<'t> {
    trials: &'t [(PathBuf, Trial)],
    next: AtomicUsize,
    bar: ProgressBar,
}

impl<'t> Tests<'t> {
    fn new(trials: &'t [(PathBuf, Trial)], screen: &Screen) -> Self {
        Self { trials, next: AtomicUsize::new(0), bar: screen.progress(trials.len() as u64, "tests") }
    }

    /// Each worker takes the next until there is none.
    fn all(&self, workers: Vec<impl FnMut(&Trial) -> Outcome + Send>) -> Vec<Outcome> {
        let mut outcomes: Vec<(usize, Outcome)> = thread::scope(|scope| {
            let threads: Vec<_> = workers.into_iter().map(|worker| scope.spawn(|| self.work(worker))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
        });
        self.bar.finish_and_clear();
        outcomes.sort_by_key(|(index, _)| *index);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    fn work(&self, mut worker: impl FnMut(&Trial) -> Outcome) -> Vec<(usize, Outcome)> {
        let mut outcomes = Vec::new();
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some((_, trial)) = self.trials.get(index) else { return outcomes };
            outcomes.push((index, worker(trial)));
            self.bar.inc(1);
        }
    }
}

/// Each waits most of its time: events are written a few times in a second.
const LINES_AT_ONCE: usize = 48;
