//! `reeve ledger tail` and `show`: entries, one event to a line.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use reeve_ledger::{Content, Reader, Record};
use serde_json::{Value, json};

use crate::exit::ExitCode;
use crate::screen::{BAD, FAINT, GOOD, Screen, paint};

/// Show the newest events
#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// How many events to begin with
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    lines: usize,

    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,

    /// Only events whose member is this value (`=`) or holds this text (`~`); given twice, both
    #[arg(short, long = "where", value_name = "KEY=VALUE")]
    conditions: Vec<Condition>,

    /// Print each event as one line of JSON, with its number in the ledger
    #[arg(long)]
    json: bool,
}

/// Show one entry whole
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Its number, from 0
    #[arg(value_name = "SEQ")]
    seq: u64,

    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// What an event must say to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    key: String,
    value: String,
    whole: bool,
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let at = text.find(['=', '~']).ok_or("write KEY=VALUE or KEY~TEXT, such as outcome=refused")?;
        let (key, rest) = text.split_at(at);
        let mut rest = rest.chars();
        let whole = rest.next() == Some('=');
        Ok(Self { key: key.trim().to_owned(), value: rest.as_str().to_owned(), whole })
    }
}

impl Condition {
    fn holds(&self, event: &Shown) -> bool {
        let Some(value) = event.member(&self.key) else { return false };
        if self.whole { value == self.value } else { value.contains(&self.value) }
    }
}

/// One event with the entry it is in.
struct Shown {
    seq: u64,
    class: String,
    clause: Option<String>,
    event: Value,
}

impl Shown {
    /// A member as text. Beside those of the event there are `class` and `clause`, which are the entry's.
    fn member(&self, key: &str) -> Option<String> {
        match key {
            "class" => Some(self.class.clone()),
            "clause" => self.clause.clone(),
            _ => match self.event.get(key)? {
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            },
        }
    }

    fn line(&self) -> String {
        let text = |key| self.member(key).unwrap_or_default();
        let outcome = match text("outcome").as_str() {
            outcome @ ("allowed" | "kept") => paint(GOOD, outcome),
            outcome => paint(BAD, outcome),
        };
        let control = [text("control"), text("part"), text("cause")];
        let cause = control.iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join(": ");
        format!(
            "{} {} {:14} {} {} {} {outcome} {}",
            paint(FAINT, format_args!("{:>8}", self.seq)),
            moment(&text("time")),
            text("activity"),
            printable(&text("actor")),
            printable(&text("action")),
            printable(&text("object")),
            printable(&cause)
        )
    }

    fn json(&self) -> Value {
        json!({ "seq": self.seq, "class": self.class, "clause": self.clause, "event": self.event })
    }
}

/// A time to the millisecond, so that the columns stand under each other.
fn moment(text: &str) -> String {
    text.parse::<reeve_base::Timestamp>().map_or_else(|_| printable(text), |time| format!("{time:.3}"))
}

/// What a client sent must not steer the terminal that it is shown on.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char }).collect()
}

pub(super) fn run(args: &TailArgs, config: &Path, screen: &Screen) -> anyhow::Result<ExitCode> {
    let (_, reader) = super::reader(config)?;
    let mut size = reader.checkpoint()?.head().size;
    for event in newest(&reader, size, args)?.iter().rev() {
        show_line(event, args.json, screen)?;
    }
    if !args.follow {
        return Ok(ExitCode::Holds);
    }
    // Until it is interrupted, or whoever reads it has gone.
    loop {
        std::thread::park_timeout(FOLLOW);
        let now = reader.checkpoint()?.head().size;
        for record in reader.entries(size..now)? {
            for event in events(&record?).iter().filter(|event| args.conditions.iter().all(|one| one.holds(event))) {
                show_line(event, args.json, screen)?;
            }
        }
        size = now;
    }
}

/// The newest events that fulfil the conditions, last first.
fn newest(reader: &Reader, size: u64, args: &TailArgs) -> anyhow::Result<Vec<Shown>> {
    let mut found = Vec::new();
    let mut end = size;
    while end > 0 && found.len() < args.lines {
        let start = end.saturating_sub(STEP);
        let records: Vec<_> = reader.entries(start..end)?.collect::<Result<_, _>>()?;
        let events = records.iter().rev().flat_map(|record| events(record).into_iter().rev());
        found.extend(events.filter(|event| args.conditions.iter().all(|one| one.holds(event))));
        end = start;
    }
    found.truncate(args.lines);
    Ok(found)
}

/// The events of an entry: a batch of requests holds one to a line. Of purged contents there is what the leaf says.
fn events(record: &Record) -> Vec<Shown> {
    let shown =
        |event| Shown { seq: record.seq, class: record.leaf.class.clone(), clause: record.leaf.clause.clone(), event };
    match &record.content {
        Content::Purged => {
            let time = record.leaf.ts.to_string();
            vec![shown(json!({ "time": time, "activity": record.leaf.kind, "outcome": "purged" }))]
        }
        Content::Kept(contents) => contents
            .body
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .map(shown)
            .collect(),
    }
}

fn show_line(event: &Shown, json: bool, screen: &Screen) -> anyhow::Result<()> {
    if json {
        screen.data(event.json())?;
    } else {
        screen.data(event.line())?;
    }
    Ok(())
}

pub(super) fn show(args: &ShowArgs, config: &Path, screen: &Screen) -> anyhow::Result<ExitCode> {
    let (_, reader) = super::reader(config)?;
    let record = reader.record(args.seq)?;
    let leaf: Value = serde_json::from_slice(&record.leaf_bytes).context("the leaf is no JSON")?;
    let events: Vec<Value> = events(&record).into_iter().map(|shown| shown.event).collect();
    let purged = matches!(record.content, Content::Purged);
    if args.json {
        screen.data(format_args!("{:#}", json!({ "leaf": leaf, "purged": purged, "events": events })))?;
        return Ok(ExitCode::Holds);
    }
    let rows = leaf.as_object().into_iter().flatten().map(|(key, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        [paint(FAINT, key), printable(&value)]
    });
    screen.data(screen.table(None::<[String; 2]>, rows))?;
    if purged {
        screen.data("its contents were destroyed when their time was over; what stands above stays proved")?;
    }
    for event in events.iter().filter(|_| !purged) {
        screen.data(printable(&event.to_string()))?;
    }
    Ok(ExitCode::Holds)
}

/// A new checkpoint comes at most four times a second.
const FOLLOW: Duration = Duration::from_millis(250);
const STEP: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal() -> Shown {
        let event = json!({ "object": "/a?b", "outcome": "refused", "status": 413 });
        Shown { seq: 1, class: "security".into(), clause: None, event }
    }

    #[track_caller]
    fn check(condition: &str, expected: bool) {
        assert_eq!(condition.parse::<Condition>().unwrap().holds(&refusal()), expected, "{condition}");
    }

    #[test]
    fn a_condition_compares_whole_values_or_looks_for_a_part() {
        check("outcome=refused", true);
        check("outcome=refuse", false);
        check("object~?b", true);
        check("object=/a?b", true);
        check("status=413", true);
        check("class=security", true);
        check("clause=x", false);
        check("nothing=", false);
    }

    #[test]
    fn a_condition_without_a_sign_is_refused() {
        assert!("outcome".parse::<Condition>().is_err());
    }

    #[test]
    fn nothing_that_a_client_sent_steers_the_terminal() {
        assert_eq!(printable("/\u{1b}[2J"), "/\u{fffd}[2J");
    }
}
