//! Whether the client of an HTTP/2 connection takes the answers that it asked for.
//!
//! Each stream has a window of its own, which its client opens as it likes (RFC 9113 section 5.2). One that never does
//! holds the answer, and the connection to the application behind it, for as long as it wants, while the connection as
//! a whole looks alive. So each answer that could go on is counted in the turn in which something of it was last
//! taken, and one that is still counted there after a whole turn has been left lying.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

/// The answers of one connection.
#[derive(Debug, Default)]
pub(crate) struct Taking {
    turn: Cell<u32>,
    /// How many answers were last taken from in a turn, for this turn and the one before.
    counts: [Cell<u32>; 2],
}

/// One answer. Counts while it is the client's to take, and not while it is the application's to give.
#[derive(Debug)]
pub(crate) struct Share {
    taking: Rc<Taking>,
    counted: Option<u32>,
}

impl Taking {
    /// An answer that begins to be sent.
    pub(crate) fn share(self: &Rc<Self>) -> Share {
        let mut share = Share { taking: Rc::clone(self), counted: None };
        share.offered();
        share
    }

    /// Ready when an answer was left lying for a whole turn of this length.
    pub(crate) async fn left_lying<S: Future<Output = ()>>(&self, turn: Duration, sleep: impl Fn(Duration) -> S) {
        loop {
            sleep(turn).await;
            if self.next_turn() {
                return;
            }
        }
    }

    /// Begins a turn; whether anything was left lying in the whole of the last one.
    fn next_turn(&self) -> bool {
        let next = self.turn.get().wrapping_add(1);
        self.turn.set(next);
        // This slot was that of the turn before the last.
        self.count(next).get() > 0
    }

    fn count(&self, turn: u32) -> &Cell<u32> {
        let [even, odd] = &self.counts;
        if turn.is_multiple_of(2) { even } else { odd }
    }
}

impl Share {
    /// More of the answer is there for the client to take, and whatever there was before it has taken.
    pub(crate) fn offered(&mut self) {
        let turn = self.taking.turn.get();
        if self.counted != Some(turn) {
            self.awaited();
            let count = self.taking.count(turn);
            count.set(count.get().saturating_add(1));
            self.counted = Some(turn);
        }
    }

    /// The client has taken what there was, and the application has not given more.
    pub(crate) fn awaited(&mut self) {
        if let Some(turn) = self.counted.take() {
            let count = self.taking.count(turn);
            count.set(count.get().saturating_sub(1));
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.awaited();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_moves_or_waits_for_its_application_is_never_left_lying() {
        let taking = Rc::new(Taking::default());
        let (mut moving, mut waiting) = (taking.share(), taking.share());
        waiting.awaited();
        for _ in 0..10 {
            moving.offered();
            assert!(!taking.next_turn());
        }
        drop((moving, waiting));
        assert!(!taking.next_turn());
        assert!(!taking.next_turn());
    }

    #[test]
    fn one_that_lies_for_a_whole_turn_is_found_beside_others_that_move() {
        let taking = Rc::new(Taking::default());
        let mut moving = taking.share();
        assert!(!taking.next_turn());
        moving.offered();
        let lying = taking.share();
        for turn in 0..2 {
            assert_eq!(taking.next_turn(), turn == 1, "turn {turn}");
            moving.offered();
        }
        drop(lying);
    }
}
