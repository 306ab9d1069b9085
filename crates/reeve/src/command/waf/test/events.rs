//! Reads the events of a gateway while it writes them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use serde::Deserialize;

/// A file of events, followed from where it ended when it was opened.
#[derive(Debug)]
pub(super) struct Events {
    // Held while a new part of the file is read, and never across a wait.
    followed: Mutex<Followed>,
}

#[derive(Debug)]
struct Followed {
    file: File,
    /// The beginning of a line whose end is not written yet.
    rest: Vec<u8>,
    /// By address; of findings, what came before the request's own event.
    open: HashMap<String, Said>,
    done: HashMap<String, Said>,
}

/// What events say of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Rules that spoke.
    pub(super) ids: Vec<u32>,
    /// The words of the event about rules.
    pub(super) findings: Option<String>,
    /// Why it was refused, where something other than rules did.
    pub(super) refused: Option<String>,
    /// The number of the event about rules.
    id: String,
}

/// The members of an event that count here.
#[derive(Debug, Deserialize)]
struct Line {
    #[serde(default)]
    id: String,
    activity: String,
    #[serde(default)]
    actor: String,
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    control: String,
    #[serde(default)]
    cause: String,
}

impl Events {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let opened = File::open(path).and_then(|mut file| file.seek(SeekFrom::End(0)).map(|_| file));
        let file = opened.with_context(|| format!("cannot read the events in `{}`", path.display()))?;
        let followed = Followed { file, rest: Vec::new(), open: HashMap::new(), done: HashMap::new() };
        Ok(Self { followed: Mutex::new(followed) })
    }

    /// What was said of the first request from this address, once it is over.
    pub(super) fn take(&self, from: Ipv4Addr) -> Result<Option<Said>, String> {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        followed.read().map_err(|error| format!("events cannot be read: {error}"))?;
        Ok(followed.done.remove(&from.to_string()))
    }
}

impl Followed {
    fn read(&mut self) -> std::io::Result<()> {
        let mut new = std::mem::take(&mut self.rest);
        Read::by_ref(&mut self.file).take(READ_BYTES_MAX).read_to_end(&mut new)?;
        let whole = memchr::memrchr(b'\n', &new).map_or(0, |at| at + 1);
        self.rest = new.split_off(whole);
        new.split(|byte| *byte == b'\n').for_each(|line| self.line(line));
        Ok(())
    }

    fn line(&mut self, line: &[u8]) {
        // What is no event of a request may be anything.
        let Ok(line) = serde_json::from_slice::<Line>(line) else { return };
        match line.activity.as_str() {
            "waf.findings" => {
                let said = Said { ids: ids(&line.cause), findings: Some(line.cause), refused: None, id: line.id };
                self.open.insert(line.actor, said);
            }
            "http.request" | "http.connection" => {
                // A second event of one connection is about what was left of the bytes.
                let said = self.open.remove(&line.actor).filter(|said| said.id == line.id).unwrap_or_default();
                let by_rules = line.control == "waf.attack_set" && said.findings.is_some();
                let refused =
                    (line.outcome == "refused" && !by_rules).then(|| format!("{}: {}", line.control, line.cause));
                self.done.entry(line.actor).or_insert(Said { refused, ..said });
            }
            _ => {}
        }
    }
}

/// The numbers in `rules 942100, 949110 at ARGS:q`.
fn ids(cause: &str) -> Vec<u32> {
    let numbers = cause.strip_prefix("rules ").or_else(|| cause.strip_prefix("rule ")).unwrap_or_default();
    let numbers = numbers.split(" at ").next().unwrap_or_default();
    numbers.split(", ").filter_map(|number| number.parse().ok()).collect()
}

/// Of one look; the rest waits for the next.
const READ_BYTES_MAX: u64 = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_rules_said_belongs_to_the_first_request_of_its_address() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, r#"{{"activity":"http.request","id":"0","actor":"127.1.0.1","outcome":"allowed"}}"#).unwrap();
        let events = Events::open(file.path()).unwrap();
        let [one, two, three] = [1, 2, 3].map(|end| Ipv4Addr::new(127, 1, 0, end));
        for line in [
            r#"{"activity":"waf.findings","id":"a","actor":"127.1.0.1","outcome":"detected","control":"waf.attack_set","cause":"rules 1, 22 at ARGS:q"}"#,
            r#"{"activity":"http.request","id":"b","actor":"127.1.0.2","outcome":"refused","control":"input.head","cause":"no host"}"#,
            "no event",
            r#"{"activity":"http.request","id":"a","actor":"127.1.0.1","outcome":"refused","control":"waf.attack_set","cause":"rules 1"}"#,
            r#"{"activity":"http.request","id":"c","actor":"127.1.0.1","outcome":"refused","control":"input.head","cause":"a line"}"#,
        ] {
            writeln!(file, "{line}").unwrap();
        }
        write!(file, r#"{{"activity":"http.request","id":"d","actor":"127.1.0.3""#).unwrap();
        let first = events.take(one).unwrap().unwrap();
        assert_eq!((first.ids, first.refused), (vec![1, 22], None));
        assert_eq!(events.take(one).unwrap(), None);
        assert_eq!(events.take(two).unwrap().unwrap().refused.unwrap(), "input.head: no host");
        assert_eq!(events.take(three).unwrap(), None);
        writeln!(file, r#","outcome":"allowed"}}"#).unwrap();
        assert_eq!(events.take(three).unwrap(), Some(Said::default()));
    }
}
