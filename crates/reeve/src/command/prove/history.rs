//! `reeve prove --history CLAUSE`: what the ledger holds of a clause's verdicts.

use std::path::Path;

use reeve_ledger::Content;
use serde::Serialize;
use serde_json::{Value, json};

use crate::command::ledger;
use crate::exit::ExitCode;
use crate::screen::{BAD, CAREFUL, FAINT, GOOD, Screen, paint};

/// A stretch of time in which a clause was judged alike, by the same parameters.
#[derive(Debug, Serialize)]
struct Stretch {
    verdict: String,
    /// Seen so first.
    from: String,
    /// Seen so last.
    to: String,
    /// How often.
    times: u64,
    /// The digest of the clause's parameters: another one means that the promise itself was changed.
    parameters: String,
    /// What was seen last.
    seen: String,
    /// The entry that holds the last evidence.
    seq: u64,
}

pub(super) fn run(clause: &str, config: &Path, json: bool, screen: &Screen) -> anyhow::Result<ExitCode> {
    let (_, reader) = ledger::reader(config)?;
    let mut stretches: Vec<Stretch> = Vec::new();
    for record in reader.entries(0..u64::MAX)? {
        let record = record?;
        if record.leaf.clause.as_deref() != Some(clause) {
            continue;
        }
        let event: Value = match &record.content {
            Content::Kept(contents) => serde_json::from_slice(&contents.body)?,
            Content::Purged => json!({ "outcome": "purged", "seen": "the evidence was purged with its time" }),
        };
        add(&mut stretches, &event, &record.leaf.ts.to_string(), record.seq);
    }
    if stretches.is_empty() {
        screen.complain(format_args!("the ledger holds no evidence of `{clause}`; `reeve prove` records some"));
        return Ok(ExitCode::CouldNotJudge);
    }
    if json {
        let value = json!({ "schema": "reeve.history/1", "clause": clause, "stretches": stretches });
        screen.data(format_args!("{value:#}"))?;
        return Ok(ExitCode::Holds);
    }
    let header = ["verdict", "from", "to", "times", "entry", "what was seen last"].map(str::to_owned);
    screen.data(screen.table(Some(header), stretches.iter().map(cells)))?;
    Ok(ExitCode::Holds)
}

/// Lengthens the last stretch, or begins another.
fn add(stretches: &mut Vec<Stretch>, event: &Value, time: &str, seq: u64) {
    let text = |member: &str| event.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (verdict, parameters, seen) = (text("outcome"), text("parameters_digest"), text("seen"));
    match stretches.last_mut() {
        Some(last) if last.verdict == verdict && last.parameters == parameters => {
            time.clone_into(&mut last.to);
            last.times += 1;
            (last.seen, last.seq) = (seen, seq);
        }
        _ => {
            let (from, to) = (time.to_owned(), time.to_owned());
            stretches.push(Stretch { verdict, from, to, times: 1, parameters, seen, seq });
        }
    }
}

fn cells(stretch: &Stretch) -> [String; 6] {
    let style = match stretch.verdict.as_str() {
        "kept" => GOOD,
        "broken" | "overdue" => BAD,
        "purged" => FAINT,
        _ => CAREFUL,
    };
    let short = |time: &str| time.get(..19).unwrap_or(time).replace('T', " ");
    [
        paint(style, &stretch.verdict),
        short(&stretch.from),
        short(&stretch.to),
        stretch.times.to_string(),
        stretch.seq.to_string(),
        stretch.seen.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_verdicts_make_one_stretch_and_a_changed_promise_begins_another() {
        let mut stretches = Vec::new();
        let judged = |verdict, parameters| json!({ "outcome": verdict, "parameters_digest": parameters });
        for (seq, (verdict, parameters)) in
            [("kept", "a"), ("kept", "a"), ("broken", "a"), ("kept", "a"), ("kept", "b")].into_iter().enumerate()
        {
            add(&mut stretches, &judged(verdict, parameters), "2026-11-22T01:00:00Z", seq as u64);
        }
        let seen: Vec<_> = stretches.iter().map(|one| (one.verdict.as_str(), one.times, one.seq)).collect();
        assert_eq!(seen, [("kept", 2, 1), ("broken", 1, 2), ("kept", 1, 3), ("kept", 1, 4)]);
    }
}
