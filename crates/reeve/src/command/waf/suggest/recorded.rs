//! What was recorded of requests that rules refused, or would have.

use std::path::Path;

use anyhow::bail;
use reeve_base::Timestamp;
use reeve_ledger::{Content, Record};
use serde_json::Value;

use super::SuggestArgs;
use crate::command::ledger;
use crate::failure::Advise;
use crate::input;

/// A request, as its event has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) id: String,
    pub(super) time: String,
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
    pub(super) found: Vec<Found>,
}

/// A rule that spoke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) rule: u32,
    /// Where. A name that is more than a name is `ARGS:…`; where an event only lists them, these are all that it lists.
    pub(super) variables: Vec<String>,
}

/// Reads the events that were asked for.
///
/// # Errors
/// When they cannot be read, or one of them is not there.
pub(super) fn read(args: &SuggestArgs, now: Timestamp) -> anyhow::Result<Vec<Recorded>> {
    let since = args.since.map(|since| now.saturating_sub(since.duration()).unwrap_or(Timestamp::MIN));
    if args.events.is_empty() && since.is_none() && args.from.is_none() {
        return Err(anyhow::anyhow!("it is not said which requests are meant"))
            .hint("name events, a time (`--since 7d`), or a request in a file (`--request FILE`)");
    }
    let wanted = Wanted { events: &args.events, since };
    let (mut found, seen) = match &args.from {
        Some(path) => of_file(path, &wanted)?,
        None => of_ledger(&args.config.config, &wanted)?,
    };
    if let Some(missing) = args.events.iter().find(|event| !seen.contains(event)) {
        bail!("no event `{missing}` that the firewall's rules were about");
    }
    found.reverse();
    Ok(found)
}

struct Wanted<'w> {
    events: &'w [String],
    since: Option<Timestamp>,
}

impl Wanted<'_> {
    fn takes(&self, event: &Value, seq: Option<u64>, seen: &mut Vec<String>) -> bool {
        if self.events.is_empty() {
            let time = event.get("time").and_then(Value::as_str).and_then(|time| time.parse::<Timestamp>().ok());
            return self.since.is_none_or(|since| time.is_some_and(|time| time >= since));
        }
        let id = event.get("id").and_then(Value::as_str);
        let seq = seq.map(|seq| seq.to_string());
        let named = self.events.iter().find(|event| Some(event.as_str()) == id || Some(*event) == seq.as_ref());
        named.is_some_and(|named| {
            seen.push(named.clone());
            true
        })
    }

    fn has_all(&self, seen: &[String]) -> bool {
        !self.events.is_empty() && self.events.iter().all(|event| seen.contains(event))
    }
}

type Read = (Vec<Recorded>, Vec<String>);

fn of_file(path: &Path, wanted: &Wanted<'_>) -> anyhow::Result<Read> {
    let text = input::read(path)?;
    if text.bytes.len() > reeve_base::limit::DOCUMENT_BYTES_MAX {
        bail!(
            "{}: more than {} bytes; take the lines that are meant",
            text.name,
            reeve_base::limit::DOCUMENT_BYTES_MAX
        );
    }
    let (mut found, mut seen) = (Vec::new(), Vec::new());
    for line in text.bytes.split(|byte| *byte == b'\n').rev() {
        let Ok(event) = serde_json::from_slice::<Value>(line) else { continue };
        if let Some(recorded) = recorded(&event)
            && wanted.takes(&event, None, &mut seen)
        {
            found.push(recorded);
        }
    }
    Ok((found, seen))
}

fn of_ledger(config: &Path, wanted: &Wanted<'_>) -> anyhow::Result<Read> {
    let (_, reader) = ledger::reader(config)?;
    let (mut found, mut seen) = (Vec::new(), Vec::new());
    let mut end = reader.checkpoint()?.head().size;
    while end > 0 && found.len() < EVENTS_MAX && !wanted.has_all(&seen) {
        let start = end.saturating_sub(STEP);
        let records: Vec<Record> = reader.entries(start..end)?.collect::<Result<_, _>>()?;
        for record in records.iter().rev() {
            let Content::Kept(contents) = &record.content else { continue };
            for line in contents.body.split(|byte| *byte == b'\n').rev() {
                let Ok(event) = serde_json::from_slice::<Value>(line) else { continue };
                if let Some(recorded) = recorded(&event)
                    && wanted.takes(&event, Some(record.seq), &mut seen)
                {
                    found.push(recorded);
                }
            }
        }
        if let (Some(since), Some(first)) = (wanted.since, records.first())
            && first.leaf.ts < since
        {
            break;
        }
        end = start;
    }
    Ok((found, seen))
}

/// What an event says of rules; none if it is about something else.
pub(super) fn recorded(event: &Value) -> Option<Recorded> {
    let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
    if text("control") != "waf.attack_set" || !["refused", "detected"].contains(&text("outcome")) {
        return None;
    }
    let found = found(event);
    if found.is_empty() {
        return None;
    }
    let path = text("object").split('?').next().unwrap_or_default().to_owned();
    Some(Recorded {
        id: text("id").to_owned(),
        time: text("time").to_owned(),
        method: text("action").to_owned(),
        path,
        found,
    })
}

/// The rules that spoke, and where: from what an event lists of each rule, or else from the words of its cause.
fn found(event: &Value) -> Vec<Found> {
    let listed = event.get("findings").and_then(|findings| findings.get("found")?.as_array());
    let listed: Vec<Found> = listed.into_iter().flatten().filter_map(listed_one).collect();
    if listed.is_empty() { event.get("cause").and_then(Value::as_str).map(said).unwrap_or_default() } else { listed }
}

fn listed_one(finding: &Value) -> Option<Found> {
    let rule = finding.get("rule")?.as_u64().and_then(|rule| u32::try_from(rule).ok())?;
    let hits = finding.get("hits").and_then(Value::as_array);
    let at = hits.into_iter().flatten().filter_map(|hit| Some(hit.get("at")?.as_str()?.to_owned()));
    Some(Found { rule, variables: at.collect() })
}

/// `rules 942100, 949110 at ARGS:q, score 5`.
fn said(cause: &str) -> Vec<Found> {
    let Some(rest) = cause.strip_prefix("rules ").or_else(|| cause.strip_prefix("rule ")) else { return Vec::new() };
    let rest = rest.split(", score ").next().unwrap_or_default();
    let (rules, variables) = rest.split_once(" at ").unwrap_or((rest, ""));
    let items = |list: &str| -> Vec<String> {
        let list = list.split(" and ").next().unwrap_or_default();
        list.split(", ").filter(|item| !item.is_empty()).map(str::to_owned).collect()
    };
    let variables = items(variables);
    let rules = items(rules).into_iter().filter_map(|rule| rule.parse().ok());
    rules.map(|rule| Found { rule, variables: variables.clone() }).collect()
}

/// Events that are looked at; the newest.
const EVENTS_MAX: usize = 10_000;
const STEP: u64 = 256;
