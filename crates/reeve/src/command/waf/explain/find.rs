//! Finds an event by its id: in the ledger, or in the access log where that is a file.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::anyhow;
use reeve_base::{EventId, Findings, Timestamp};
use reeve_ledger::{Content, ReadError, Reader, Record};
use serde::Deserialize;
use serde_json::Value;

use super::Asked;
use crate::command::ledger;
use crate::deployment::Deployment;
use crate::failure::Advise;
use crate::settings::Access;

/// An event of the firewall.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) asked: Asked,
    /// None where it was no rule that refused.
    pub(super) findings: Option<Findings>,
}

/// What is read of an event.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Recorded {
    id: String,
    time: Option<String>,
    actor: Option<String>,
    action: String,
    object: String,
    outcome: String,
    control: Option<String>,
    part: Option<String>,
    cause: Option<String>,
    status: Option<u16>,
    /// Read when it is the one that is looked for.
    findings: Option<Value>,
}

impl Recorded {
    fn is(&self, id: EventId) -> bool {
        self.id.parse() == Ok(id)
    }

    fn is_of_firewall(&self) -> bool {
        self.control.as_deref() == Some("waf.attack_set")
    }
}

/// The event of this id.
///
/// # Errors
/// When there is none, when it is not the firewall's, and when what holds it cannot be read.
pub(super) fn event(config: &Path, deployment: &Deployment, text: &str) -> anyhow::Result<Found> {
    let id: EventId = text.trim().parse().map_err(|error| anyhow!("`{text}` is no event: {error}")).hint(
        "it stands on the page of the refusal, in `instance` of problem details, and in `id` of the access log's lines",
    )?;
    let ledger = ledger::reader(config).map(|(_, reader)| reader);
    let recorded = match &ledger {
        Ok(reader) => in_ledger(reader, id)?,
        Err(_) => None,
    };
    let event = match (recorded, log_file(deployment)) {
        (Some(found), _) => Some(found),
        (None, Some(path)) => in_log(path, id)?.map(|event| (None, event)),
        (None, None) => None,
    };
    match (event, ledger) {
        (Some((entry, event)), _) => of_firewall(id, entry, event),
        // Where the keys cannot be opened, what is missing is not the event.
        (None, Err(error)) => {
            Err(error.context(format!("event {id} is in no access log, and the ledger cannot be read")))
        }
        (None, Ok(reader)) => Err(unknown(id, &reader)),
    }
}

/// The file of the access log, if it is one.
fn log_file(deployment: &Deployment) -> Option<&Path> {
    match &deployment.loaded.settings.access {
        Access::File(path) => Some(&path.value),
        Access::Stdout | Access::Off => None,
    }
}

/// Looks through the entries from the time on at which the id was made: it is recorded when the request is over.
fn in_ledger(reader: &Reader, id: EventId) -> anyhow::Result<Option<(Option<u64>, Recorded)>> {
    let size = match reader.checkpoint() {
        Ok(checkpoint) => checkpoint.head().size,
        Err(ReadError::NoCheckpoint(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let made = i64::try_from(id.milliseconds()).unwrap_or(i64::MAX);
    let from = first_since(reader, size, made.saturating_sub(SLACK_MS))?;
    for record in reader.entries(from..size)? {
        let record = record?;
        if record.leaf.ts.as_millisecond() > made.saturating_add(RECORDED_WITHIN_MS) {
            break;
        }
        if let Some(event) = events(&record).into_iter().find(|event| event.is(id)) {
            return Ok(Some((Some(record.seq), event)));
        }
    }
    Ok(None)
}

/// The first entry that was written at a time or later: entries are in their order.
fn first_since(reader: &Reader, size: u64, milliseconds: i64) -> anyhow::Result<u64> {
    let (mut low, mut high) = (0, size);
    while low < high {
        let middle = low + (high - low) / 2;
        if reader.record(middle)?.leaf.ts.as_millisecond() < milliseconds {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

fn events(record: &Record) -> Vec<Recorded> {
    match &record.content {
        Content::Purged => Vec::new(),
        Content::Kept(contents) => {
            let lines = contents.body.split(|byte| *byte == b'\n');
            lines.filter_map(|line| serde_json::from_slice(line).ok()).collect()
        }
    }
}

/// Looks through the access log, a line at a time.
fn in_log(path: &Path, id: EventId) -> anyhow::Result<Option<Recorded>> {
    let file = File::open(path).map_err(|error| anyhow!("cannot read the access log `{}`: {error}", path.display()))?;
    let (mut reader, mut line, text) = (BufReader::new(file), Vec::new(), id.to_string());
    loop {
        line.clear();
        let read = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        let read = read.map_err(|error| anyhow!("cannot read the access log `{}`: {error}", path.display()))?;
        if read == 0 {
            return Ok(None);
        }
        // Nearly no line names it, so few are read as JSON.
        let names = memchr::memmem::find(&line, text.as_bytes()).is_some();
        let event: Option<Recorded> = names.then(|| serde_json::from_slice(&line).ok()).flatten();
        if let Some(event) = event.filter(|event| event.is(id)) {
            return Ok(Some(event));
        }
    }
}

/// The event, if it is one of the firewall's.
fn of_firewall(id: EventId, entry: Option<u64>, event: Recorded) -> anyhow::Result<Found> {
    if !event.is_of_firewall() {
        return Err(of_another(id, event));
    }
    let findings = event.findings.map(serde_json::from_value).transpose();
    let findings = findings.map_err(|error| anyhow!("what event {id} says of its findings cannot be read: {error}"))?;
    let asked = Asked {
        event: Some(id.to_string()),
        entry,
        time: event.time,
        client: event.actor,
        method: event.action,
        path: event.object,
        outcome: event.outcome,
        status: event.status,
        cause: event.cause,
    };
    Ok(Found { asked, findings })
}

/// That something else is behind it, and where to read of that.
fn of_another(id: EventId, event: Recorded) -> anyhow::Error {
    let Recorded { outcome, control, part, cause, .. } = event;
    let refused = outcome == "refused";
    let by = control.or(part);
    let what = match (&by, cause) {
        (Some(by), Some(cause)) => format!("{outcome} by `{by}`: {cause}"),
        _ => outcome,
    };
    let hint = match by {
        Some(control) if refused => format!("`reeve explain {control}` says what that control asks for"),
        _ => format!("`reeve ledger tail --where id={id}` shows the event"),
    };
    advised(anyhow!("event {id} is not the firewall's: {}", ledger::printable(&what)), hint)
}

fn advised(error: anyhow::Error, hint: String) -> anyhow::Error {
    let advised: anyhow::Result<()> = Err(error).hint(hint);
    advised.err().unwrap_or_else(|| anyhow!("it cannot be explained"))
}

/// That there is no such event, with those that are most likely meant.
fn unknown(id: EventId, reader: &Reader) -> anyhow::Error {
    let last = last(reader).unwrap_or_default();
    let text = id.to_string();
    // All begin alike: what is meant differs in a sign or two.
    let near = last.iter().map(|(id, _)| (differing(id, &text), id)).min().filter(|(signs, _)| *signs <= NEAR_SIGNS);
    let hint = match (near, last.is_empty()) {
        (Some((_, near)), _) => format!("did you mean {near}?"),
        (None, true) => {
            String::from("the ledger holds no event of the firewall; records of their class may be past their time")
        }
        (None, false) => {
            let lines: Vec<_> = last.iter().take(LAST_SHOWN).map(|(id, what)| format!("  {id}  {what}")).collect();
            format!("the firewall's last events are\n{}", lines.join("\n"))
        }
    };
    advised(anyhow!("no event {id} is recorded"), hint)
}

fn differing(one: &str, other: &str) -> usize {
    one.bytes().zip(other.bytes()).filter(|(one, other)| one != other).count()
}

/// The firewall's newest events among the last entries, newest first, with a few words on each.
fn last(reader: &Reader) -> anyhow::Result<Vec<(String, String)>> {
    let size = reader.checkpoint()?.head().size;
    let records: Vec<_> = reader.entries(size.saturating_sub(LAST_ENTRIES)..size)?.collect::<Result<_, _>>()?;
    let events = records.iter().rev().flat_map(|record| events(record).into_iter().rev());
    let ours = events.filter(Recorded::is_of_firewall).take(LAST_COMPARED);
    let told = ours.map(|event| {
        let time = event.time.and_then(|time| time.parse::<Timestamp>().ok());
        let time = time.map(|time| format!("{time:.0}")).unwrap_or_default();
        (event.id, ledger::printable(&format!("{time} {} {}", event.action, event.object)))
    });
    Ok(told.collect())
}

/// Clocks of a process and of its ledger are the same; a step of it may lie between.
const SLACK_MS: i64 = 60_000;

/// A request that took longer has been cut off.
const RECORDED_WITHIN_MS: i64 = 24 * 3_600_000;

/// Longer than any line that is written.
const LINE_BYTES_MAX: u64 = 1 << 20;
const LAST_ENTRIES: u64 = 256;
const LAST_COMPARED: usize = 1_000;
const LAST_SHOWN: usize = 5;
const NEAR_SIGNS: usize = 2;
