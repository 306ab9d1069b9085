//! Runs tests on all processors.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use indicatif::ProgressBar;
use reeve_waf::Scratch;
use reeve_waf::trial::{self, Bench, Outcome, Trial};

use crate::screen::Screen;

/// What came of each test, in their order.
pub(super) fn run(bench: &Bench<'_>, trials: &[(PathBuf, Trial)], screen: &Screen) -> Vec<Outcome> {
    let workers = thread::available_parallelism().map_or(1, std::num::NonZero::get).min(trials.len().max(1));
    let bar = screen.progress(trials.len() as u64, "tests");
    let next = AtomicUsize::new(0);
    let mut outcomes: Vec<(usize, Outcome)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(|| work(bench, trials, &next, &bar))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    });
    bar.finish_and_clear();
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Takes the next test until there is none.
fn work(
    bench: &Bench<'_>,
    trials: &[(PathBuf, Trial)],
    next: &AtomicUsize,
    bar: &ProgressBar,
) -> Vec<(usize, Outcome)> {
    let mut outcomes = Vec::new();
    let mut scratch = Scratch::default();
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let Some((_, trial)) = trials.get(index) else { return outcomes };
        // A fault of the engine costs its test and not the others.
        let outcome = catch_unwind(AssertUnwindSafe(|| trial::run(bench, trial, &mut scratch)));
        let outcome = outcome.unwrap_or_else(|_| {
            scratch = Scratch::default();
            Outcome::Unjudged { cause: String::from("the engine failed on it: please report this") }
        });
        outcomes.push((index, outcome));
        bar.inc(1);
    }
}
