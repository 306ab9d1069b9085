//! Runs a test: its stages, one after the other, each through a transaction of its own.

use std::net::{IpAddr, Ipv4Addr};

use serde::Serialize;

use super::application::{Answered, answer};
use super::judge::{Expected, Found, Seen, Unmet, line};
use super::overrides::{Changed, Overrides};
use super::request::{Carried, RequestError, build};
use super::text::{Input, Stage, Trial};
use super::wire::{Received, take_apart};
use crate::engine::Engine;
use crate::transaction::{Action, Facts, Refusal, Report, ResponseHead, Scratch};

/// What tests run on.
#[derive(Debug, Clone, Copy)]
pub struct Bench<'b> {
    /// The rules.
    pub engine: &'b Engine,
    /// Seconds since 1970, for all transactions.
    pub seconds: i64,
    /// What is expected otherwise.
    pub overrides: Option<&'b Overrides>,
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All is as expected; the last stage.
    Passed(Staged),
    /// The first stage that is not.
    Failed(Staged),
    /// Left out, for this reason.
    Ignored {
        /// As the overrides give it.
        reason: String,
    },
    /// It could not be judged.
    Unjudged {
        /// Why not, and what to do.
        cause: String,
    },
}

/// One stage, judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Staged {
    /// From 1.
    pub stage: usize,
    /// What should have been.
    pub expected: Expected,
    /// What was.
    pub found: Found,
    /// What of it does not hold.
    #[serde(skip)]
    pub unmet: Vec<Unmet>,
}

impl Trial {
    /// How many requests it makes.
    #[must_use]
    pub const fn stages(&self) -> usize {
        self.stages.len()
    }
}

/// Runs a test.
#[must_use]
pub fn run(bench: &Bench<'_>, trial: &Trial, scratch: &mut Scratch) -> Outcome {
    stages(trial, bench.overrides, &mut |id, input, raw| Ok(transact(bench, id, input, raw, scratch)))
}

/// What brings the bytes of a stage's request to the rules, by the name of the stage.
pub(super) type Way<'w> = dyn FnMut(&str, &Input, &[u8]) -> Result<(Seen, Answered), String> + 'w;

/// Runs the stages of a test, each this way.
pub(super) fn stages(trial: &Trial, overrides: Option<&Overrides>, way: &mut Way<'_>) -> Outcome {
    if let [word, ..] = trial.unknown.as_slice() {
        return unjudged(format!("`{word}` means nothing in a test: is it misspelt?"));
    }
    let mut carried = Carried::default();
    let mut last = None;
    let mut ignored = None;
    for (index, stage) in trial.stages.iter().enumerate() {
        let number = index + 1;
        let changed = overrides.and_then(|overrides| overrides.of(trial.rule, trial.number, number));
        let output = match changed {
            Some(Changed::Ignored(reason)) => {
                ignored = Some(reason.to_owned());
                continue;
            }
            Some(Changed::Expects(output)) => output,
            Some(Changed::Retried) | None => &stage.output,
        };
        let expected = Expected::of(output);
        if expected.isolated && expected.ids.len() != 1 {
            return unjudged(String::from("`isolated` needs exactly one id in `expect_ids`"));
        }
        let again = output.retry_once == Some(true) || matches!(changed, Some(Changed::Retried));
        let mut staged = judged(trial, stage, number, &expected, &mut carried, way);
        if again && staged.as_ref().is_ok_and(|staged| !staged.unmet.is_empty()) {
            staged = judged(trial, stage, number, &expected, &mut carried, way);
        }
        match staged {
            Err(cause) => return unjudged(cause),
            Ok(staged) if !staged.unmet.is_empty() => return Outcome::Failed(staged),
            Ok(staged) => last = Some(staged),
        }
    }
    match (last, ignored) {
        (Some(staged), _) => Outcome::Passed(staged),
        (None, Some(reason)) => Outcome::Ignored { reason },
        (None, None) => unjudged(String::from("the test has no stages")),
    }
}

fn unjudged(cause: String) -> Outcome {
    Outcome::Unjudged { cause }
}

fn judged(
    trial: &Trial,
    stage: &Stage,
    number: usize,
    expected: &Expected,
    carried: &mut Carried,
    way: &mut Way<'_>,
) -> Result<Staged, String> {
    let follows = stage.input.follow_redirect == Some(true);
    if follows && carried.target.is_none() {
        return Err(format!("stage {number} follows a redirect, and the one before was not redirected"));
    }
    let before =
        Carried { target: carried.target.take().filter(|_| follows), cookies: std::mem::take(&mut carried.cookies) };
    let raw = build(&stage.input, &before).map_err(|error: RequestError| error.to_string())?;
    let id = format!("{}-{number}", trial.id);
    let (seen, answered) = way(&id, &stage.input, &raw)?;
    *carried = carry(&answered, before.cookies);
    let unmet = expected.unmet(&seen).map_err(|error| format!("a pattern cannot be read: {error}"))?;
    Ok(Staged { stage: number, expected: expected.clone(), found: seen.found, unmet })
}

/// The request, the rules, the application.
fn transact(bench: &Bench<'_>, id: &str, input: &Input, raw: &[u8], scratch: &mut Scratch) -> (Seen, Answered) {
    let request = match take_apart(raw) {
        Ok(request) => request,
        Err(refused) => {
            let found = Found { status: Some(400), refused: Some(refused.to_string()), ..Found::default() };
            return (Seen { found, ..Seen::default() }, Answered { status: 400, ..Answered::default() });
        }
    };
    let facts = facts(input, id, bench.seconds);
    let (report, refusal, answered) = judge(bench.engine, &facts, input, &request, scratch);
    let mut found = Found { ids: ids(&report), ..Found::default() };
    match refusal.map(|refusal| refusal.action) {
        Some(Action::Drop) => found.error = Some(String::from("a rule dropped the connection")),
        Some(Action::Deny(status) | Action::Redirect(status, _)) => found.status = Some(status),
        None if request.protocol.is_empty() => {
            found.error = Some(String::from("the request is HTTP/0.9, whose answers have no status line"));
        }
        None => found.status = Some(answered.status),
    }
    let lines = report.matches.iter().map(line).collect();
    (Seen { found, lines, body: answered.body.clone() }, answered)
}

fn judge(
    engine: &Engine,
    facts: &Facts<'_>,
    input: &Input,
    request: &Received,
    scratch: &mut Scratch,
) -> (Report, Option<Refusal>, Answered) {
    let fields = request.borrowed();
    let mut transaction = engine.begin(facts, std::mem::take(scratch));
    let mut refusal = transaction.request_head(&request.head(&fields));
    if refusal.is_none() {
        refusal = transaction.request_body(&request.body);
    }
    let mut answered = Answered::default();
    if refusal.is_none() {
        answered = answer(request, input.response.as_ref());
        let headers: Vec<_> = answered.fields.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect();
        let head = ResponseHead { protocol: b"HTTP/1.1", status: answered.status, headers: &headers };
        refusal = transaction.response_head(&head);
    }
    if refusal.is_none() {
        // Rules of this phase run also where the body is not wanted: they sum up.
        let wanted = transaction.wants_response_body().unwrap_or(0);
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        refusal = transaction.response_body(answered.body.get(..wanted).unwrap_or(&answered.body));
    }
    if let Some(Action::Redirect(status, target)) = refusal.as_ref().map(|refusal| &refusal.action) {
        let location = (b"Location".to_vec(), target.clone().into_bytes());
        answered = Answered { status: *status, fields: vec![location], body: Vec::new() };
    }
    let (report, kept) = transaction.end();
    *scratch = kept;
    (report, refusal, answered)
}

fn facts<'f>(input: &Input, id: &'f str, seconds: i64) -> Facts<'f> {
    let server = input.dest_addr.as_deref().and_then(|address| address.parse().ok());
    Facts {
        // From outside (RFC 5737): rule sets let the machine itself do what others may not.
        remote_address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)),
        remote_port: 40_000,
        server_address: server.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        server_port: input.port.unwrap_or(80),
        unique_id: id,
        seconds,
    }
}

fn ids(report: &Report) -> Vec<u32> {
    let mut ids = Vec::new();
    for found in &report.matches {
        if !ids.contains(&found.rule) {
            ids.push(found.rule);
        }
    }
    ids
}

/// What the next stage may follow or send back.
fn carry(answered: &Answered, mut cookies: String) -> Carried {
    let mut target = None;
    for (name, value) in &answered.fields {
        let value = String::from_utf8_lossy(value);
        if name.eq_ignore_ascii_case(b"location") && (300..400).contains(&answered.status) {
            target = Some(value.into_owned());
        } else if name.eq_ignore_ascii_case(b"set-cookie") {
            let pair = value.split(';').next().unwrap_or_default().trim();
            if !cookies.is_empty() {
                cookies.push_str("; ");
            }
            cookies.push_str(pair);
        }
    }
    Carried { target, cookies }
}

#[cfg(test)]
mod tests;
