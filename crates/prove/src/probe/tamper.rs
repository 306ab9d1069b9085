//! ledger.tamper, log.retention and log.purge: what the ledger's own files show.

use std::fs;
use std::path::Path;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use reeve_base::{Cause, Period, Timestamp};
use reeve_policy::catalogue::{LedgerTamper, LogPurge, LogRetention};

use super::trail::{copy_of, recorded, text};
use super::{Kept, Notes, Probe, Running, Sends, Twin};
use crate::Target;
use crate::tlog::{self, Key};
use crate::wire::Site;
use crate::wire::desk::Status;
use crate::wire::hypertext::Ask;

impl Probe for LedgerTamper {
    fn plan(&self, _: &Target) -> Sends {
        Sends::requests(1, "a question to the control socket, and a reading of the ledger's files")
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let status = site.status().await?;
            let (key, copy) = match copy_of(&status) {
                Ok(read) => read,
                // Files of the ledger that are gone or cut are what this probe is there to find.
                Err(Cause::Unexpected(why)) => {
                    notes.fault(why.clone());
                    return Err(Cause::Unexpected(why));
                }
                Err(cause) => return Err(cause),
            };
            if copy.leaves.is_empty() {
                return Err(Cause::EmptyPopulation(String::from("the ledger holds nothing yet")));
            }
            let twin = match copy.verify(&key) {
                Ok(head) => Twin::seen(notes, format!("all {} entries add up to the signed root", head.size)),
                Err(why) => {
                    notes.fault(why.clone());
                    return Err(Cause::Unexpected(why));
                }
            };
            if let Some(disagreement) = &status.ledger.disagreement {
                notes.fault(disagreement.clone());
            }
            let wanted = usize::from(self.witnesses);
            let named = status.ledger.witnesses.len();
            if wanted == 0 {
                return Ok(Kept::with(twin, "every entry adds up to the signed root; no witness is promised"));
            }
            if named < wanted {
                return Err(Cause::EmptyPopulation(format!("{named} witnesses are named and {wanted} are promised")));
            }
            let cosigned = cosigned(site, &status, &key, &copy, notes).await?;
            if cosigned.len() < wanted {
                let text = format!("{} of {wanted} witnesses have cosigned what the ledger holds", cosigned.len());
                return Err(Cause::Unreachable(text));
            }
            Ok(Kept::with(twin, format!("every entry adds up to the signed root; cosigned by {}", cosigned.join(", "))))
        })
    }
}

/// The witnesses that have cosigned this copy, or what it has grown to meanwhile. They are asked once a second, so the
/// newest entries may have to wait for them.
async fn cosigned(
    site: &Site,
    status: &Status,
    key: &Key,
    copy: &tlog::Copy,
    notes: &mut Notes,
) -> Result<Vec<String>, Cause> {
    let since = site.ticks();
    loop {
        let note = folder(status).map(|folder| fs::read_to_string(folder.join("checkpoint.cosigned")))?;
        let head = note.as_ref().ok().map(|note| tlog::checkpoint(note, key));
        if let (Ok(note), Some(Ok(head))) = (&note, head) {
            let covers = head.size >= copy.leaves.len() as u64;
            if !covers && !copy.continues(&head) {
                notes.fault(format!("the ledger does not continue what witnesses cosigned at {} entries", head.size));
            }
            if covers || site.ticks().since(since) > COSIGNED_WITHIN {
                let keys = status.ledger.witnesses.iter().filter_map(|key| Key::read(key));
                let names = keys.filter(|key| covers && tlog::is_cosigned(note, key)).map(|key| key.name().to_owned());
                let names: Vec<_> = names.collect();
                notes.saw(format!("{} witnesses cosigned {} entries", names.len(), head.size));
                return Ok(names);
            }
        } else if site.ticks().since(since) > COSIGNED_WITHIN {
            return Ok(Vec::new());
        }
        tokio::time::sleep(AGAIN).await;
    }
}

impl Probe for LogRetention {
    fn plan(&self, _: &Target) -> Sends {
        Sends::requests(8, "a request for an invented path, and a reading of the ledger's folder of day keys")
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let status = site.status().await?;
            let folder = folder(&status)?;
            let twin = readable_now(site, notes, &status).await?;
            let days = days(&folder.join("keys/request"))?;
            if days.is_empty() {
                return Err(Cause::EmptyPopulation(String::from("there are no day keys of request logs")));
            }
            let now = site.now();
            for day in &days {
                notes.saw(format!("the request log of {day} is readable"));
                if expired(*day, self.keep_at_most, now).is_some_and(|past| past > GRACE) {
                    notes.fault(format!("the request log of {day} is still readable"));
                }
            }
            let oldest = days.iter().min().map_or_else(String::new, Date::to_string);
            Ok(Kept::with(twin, format!("the oldest readable request log is that of {oldest}")))
        })
    }
}

impl Probe for LogPurge {
    fn plan(&self, _: &Target) -> Sends {
        Sends::requests(10, "a request for an invented path, and a reading of the ledger's files")
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let status = site.status().await?;
            let folder = folder(&status)?;
            let twin = readable_now(site, notes, &status).await?;
            let (key, copy) = copy_of(&status)?;
            let leaves: Vec<serde_json::Value> =
                copy.leaves.iter().filter_map(|leaf| serde_json::from_slice(leaf).ok()).collect();
            let kept_for = Period::days(u64::from(status.ledger.request_days));
            let now = site.now();
            let mut past: Vec<Date> = leaves
                .iter()
                .filter(|leaf| text(leaf, "class") == "request")
                .filter_map(|leaf| text(leaf, "day").parse().ok())
                .filter(|day| expired(*day, kept_for, now).is_some_and(|past| past > self.within.duration()))
                .collect();
            past.dedup();
            let keys = days(&folder.join("keys/request"))?;
            for day in &past {
                if keys.contains(day) {
                    notes.fault(format!("the request log of {day} has expired and its key is still there"));
                }
                if folder.join("body/request").join(day.to_string()).exists() {
                    notes.fault(format!("the request log of {day} has expired and its segments are still there"));
                }
            }
            if past.is_empty() {
                return Err(Cause::EmptyPopulation(String::from("no day of request logs has expired yet")));
            }
            let purges = site.find_at_once("activity", "ledger.purge").await?;
            notes.either(recorded("the newest purge", &purges, &status, |event| !text(event, "object").is_empty()));
            if let Err(why) = copy.verify(&key) {
                notes.fault(format!("after purges the ledger does not verify: {why}"));
            }
            Ok(Kept::with(twin, format!("{} expired days are gone, and the ledger still verifies", past.len())))
        })
    }
}

/// The twin of a probe for what must be gone: what was asked just now can be read.
async fn readable_now(site: &Site, notes: &mut Notes, status: &Status) -> Result<Twin, Cause> {
    let path = site.invented_path()?;
    site.ask(&Ask::get(path.clone())).await?;
    let found = site.find("object", &path).await?;
    let seen = recorded(&format!("GET {path}"), &found, status, |_| true);
    seen.map(|seen| Twin::seen(notes, seen)).map_err(Cause::EmptyPopulation)
}

fn folder(status: &Status) -> Result<&Path, Cause> {
    let folder = status.ledger.folder.as_deref();
    folder.ok_or_else(|| Cause::Denied(String::from("the ledger is in a bucket, which this probe does not read")))
}

/// The days that have a key in this folder.
fn days(folder: &Path) -> Result<Vec<Date>, Cause> {
    let denied = |error| Cause::Denied(format!("`{}` cannot be read: {error}", folder.display()));
    let mut days = Vec::new();
    for entry in fs::read_dir(folder).map_err(denied)? {
        let name = entry.map_err(denied)?.file_name().to_string_lossy().into_owned();
        days.extend(name.get(..10).and_then(|day| day.parse::<Date>().ok()));
    }
    Ok(days)
}

/// How long ago the first entry of that day reached its age; `None` if it has not yet.
fn expired(day: Date, kept_for: Period, now: Timestamp) -> Option<Duration> {
    let start = day.to_zoned(TimeZone::UTC).ok()?.timestamp();
    let age = Duration::try_from(now.duration_since(start)).ok()?;
    age.checked_sub(kept_for.duration())
}

/// Witnesses are asked every second, and may take a few to answer.
const COSIGNED_WITHIN: Duration = Duration::from_secs(6);
const AGAIN: Duration = Duration::from_millis(200);

/// How much later than the promise a purge may come: it runs by the hour, and a day is purged whole.
const GRACE: Duration = Duration::from_hours(24);
