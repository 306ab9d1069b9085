//! Tests through a firewall that runs elsewhere: somebody carries the bytes there, and brings back what was said.

use super::application::Answered;
use super::judge::{Found, Seen};
use super::overrides::Overrides;
use super::stage::{Outcome, stages};
use super::text::{Input, Trial};
use super::wire::read_answer;

/// Carries requests to a firewall.
pub trait Carrier {
    /// Sends these bytes, whatever they are, over a connection of their own, and waits for what comes of them.
    ///
    /// # Errors
    /// Why nothing can be said of it: no connection, no word of the firewall.
    fn carry(&mut self, request: &[u8]) -> Result<Heard, String>;
}

/// What came of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "made by whoever carries")]
pub struct Heard {
    /// Rules that spoke.
    pub ids: Vec<u32>,
    /// What a log says of it, a line for each thing said.
    pub lines: Vec<String>,
    /// Why no rule saw the request, where that is so.
    pub refused: Option<String>,
    /// The answer, byte for byte; empty if the connection ended without one.
    pub answer: Vec<u8>,
}

/// Runs a test through a firewall elsewhere.
#[must_use]
pub fn run_over(carrier: &mut dyn Carrier, overrides: Option<&Overrides>, trial: &Trial) -> Outcome {
    stages(trial, overrides, &mut |_, input, raw| {
        if let Some(unfit) = only_in_process(input) {
            return Err(unfit);
        }
        Ok(seen(carrier.carry(raw)?))
    })
}

/// An application that runs elsewhere answers what it answers.
fn only_in_process(input: &Input) -> Option<String> {
    let cause =
        "`response` in `input` is answered in this process only: ask the application for it, with `POST /reflect`";
    input.response.as_ref().map(|_| String::from(cause))
}

fn seen(heard: Heard) -> (Seen, Answered) {
    let Heard { ids, lines, refused, answer } = heard;
    let (answered, error) = match read_answer(&answer) {
        Some(answered) => (answered, None),
        None if answer.is_empty() => {
            (Answered::default(), Some(String::from("the connection ended without an answer")))
        }
        None => (Answered::default(), Some(String::from("the answer has no status line"))),
    };
    let status = error.is_none().then_some(answered.status);
    let found = Found { error, status, ids, refused };
    (Seen { found, lines, body: answered.body.clone() }, answered)
}
