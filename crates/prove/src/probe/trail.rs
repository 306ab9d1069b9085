//! log.access, log.security_event, ledger.append_only and log.system_change: whether what happens is in the ledger, by
//! making it happen and looking for it there.

use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reeve_base::Cause;
use reeve_policy::catalogue::{
    AccessOutcome, LedgerAppendOnly, LogAccess, LogSecurityEvent, LogSystemChange, SystemChange,
};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Kept, Notes, Probe, Running, Sends, Twin};
use crate::Target;
use crate::tlog::{self, Copy, Hash, Key};
use crate::wire::Site;
use crate::wire::desk::{Found, Status};
use crate::wire::exchange::Until;
use crate::wire::hypertext::Ask;

impl Probe for LogAccess {
    fn plan(&self, _: &Target) -> Sends {
        Sends::requests(20, "a request for an invented path, one without Host, and questions to the control socket")
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let status = site.status().await?;
            let twin = site.serves(notes).await?;
            for outcome in &self.outcomes {
                let (what, key, value, expected) = match outcome {
                    AccessOutcome::Allow => {
                        let path = site.invented_path()?;
                        let answer = site.ask(&Ask::get(path.clone())).await?;
                        // Let through is also what the application answered with an error.
                        (
                            format!("GET {path}, answered with {}", answer.status),
                            "object",
                            path,
                            &["allowed", "failed"][..],
                        )
                    }
                    AccessOutcome::Deny => {
                        let id = provoke(site).await?;
                        (format!("a request without Host, refused as {id}"), "id", id, &["refused"][..])
                    }
                };
                let found = site.find(key, &value).await?;
                notes.either(recorded(&what, &found, &status, |event| {
                    expected.contains(&text(event, "outcome").as_str())
                }));
            }
            Ok(Kept::with(twin, "a request that was let through and one that was refused are both in the ledger"))
        })
    }
}

impl Probe for LogSecurityEvent {
    fn plan(&self, _: &Target) -> Sends {
        Sends::requests(10, "a request without Host, and questions to the control socket")
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let status = site.status().await?;
            let twin = site.serves(notes).await?;
            let id = provoke(site).await?;
            let found = site.find("id", &id).await?;
            let what = format!("the refusal {id}");
            notes.either(recorded(&what, &found, &status, |event| !text(event, "control").is_empty()));
            if let Some(found) = found.iter().find(|found| found.class != "security") {
                notes.fault(format!("{what} is kept with the {} log, which is purged sooner", found.class));
            }
            Ok(Kept::with(twin, format!("{what} is in the security trail with its control")))
        })
    }
}

impl Probe for LedgerAppendOnly {
    fn plan(&self, _: &Target) -> Sends {
        Sends::requests(12, "a legal hold on a day without entries, its lifting, and a reading of the ledger's files")
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let status = site.status().await?;
            // A hold on a day long before there was a ledger: a real administrative act that holds nothing back.
            let label = site.invented_path()?.trim_start_matches('/').to_owned();
            let hold = json!({ "label": label, "class": "request", "from": "1970-01-01", "to": "1970-01-01" });
            site.tell(&json!({ "hold": hold })).await?;
            let found = site.find("object", &label).await?;
            site.tell(&json!({ "lift": { "label": label } })).await?;
            let what = format!("the legal hold {label}");
            notes.either(recorded(&what, &found, &status, |event| text(event, "activity") == "ledger.hold"));
            let (key, copy) = copy_of(&status)?;
            let head = copy.verify(&key).map_err(Cause::Unexpected)?;
            let twin = Twin::seen(notes, format!("the ledger's own {} entries verify", head.size));
            for (change, altered) in alterations(&copy) {
                notes.either(match altered.verify(&key) {
                    Err(why) => Ok(format!("a copy that is {change} is refused: {why}")),
                    Ok(_) => Err(format!("a copy that is {change} verifies")),
                });
            }
            Ok(Kept::with(twin, "a canary act is in the ledger; altered, cut and reordered copies do not verify"))
        })
    }
}

impl Probe for LogSystemChange {
    fn plan(&self, _: &Target) -> Sends {
        Sends::requests(8, "questions to the control socket, and a reading of the program and of /proc")
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let status = site.status().await?;
            let twin = site.serves(notes).await?;
            for change in &self.changes {
                let (activity, expected) = match change {
                    SystemChange::Config => ("system.config", site.house()?.policy_digest.clone()),
                    SystemChange::Deploy => ("system.deploy", program(&status)?),
                    SystemChange::Host => ("system.host", host()?),
                };
                let says = |event: &Value| text(event, "object").contains(&expected);
                let newest = newest(site, activity, says).await?;
                notes.either(recorded(&format!("{activity} {expected}"), &newest, &status, says));
            }
            Ok(Kept::with(twin, "what runs, by which policy and on which host is what the ledger recorded last"))
        })
    }
}

/// The newest entry of this activity. One that says something else is looked at again for a while: what was recorded a
/// moment ago, by a reload, may not be sealed yet.
async fn newest(site: &Site, activity: &str, says: impl Fn(&Value) -> bool) -> Result<Vec<Found>, Cause> {
    let since = site.ticks();
    loop {
        let mut found = site.find_at_once("activity", activity).await?;
        found.truncate(1);
        if found.iter().any(|entry| says(&entry.event)) || site.ticks().since(since) > SEALED_SOON {
            return Ok(found);
        }
        sleep(AGAIN).await;
    }
}

/// What identifies the host and its boot.
fn host() -> Result<String, Cause> {
    let read = |path: &str| {
        fs::read_to_string(path).map_err(|error| Cause::Denied(format!("`{path}` cannot be read: {error}")))
    };
    let (kernel, boot) = (read("/proc/sys/kernel/osrelease")?, read("/proc/sys/kernel/random/boot_id")?);
    Ok(format!("{} boot {}", kernel.trim(), boot.trim()))
}

/// The digest of what runs. A process that lets nobody look into it, as it should, hides that from a judge who is not
/// root; then it is the file that it says it was started from, and one that was replaced since counts as a change.
fn program(status: &Status) -> Result<String, Cause> {
    let running = Path::new("/proc").join(status.pid.to_string()).join("exe");
    let files = [Some(running), status.program.clone()];
    let read = files.into_iter().flatten().find_map(|path| fs::read(path).ok());
    let bytes = read.ok_or_else(|| Cause::Denied(String::from("the program that runs cannot be read")))?;
    Ok(tlog::hexadecimal(&bytes))
}

/// Sends what no policy lets through, a request without Host (RFC 9112 section 3.2), and returns the event id that the
/// page shows.
pub(super) async fn provoke(site: &Site) -> Result<String, Cause> {
    let path = site.invented_path()?;
    let sent = site.send_raw(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes(), Until::Answers(1)).await?;
    let page = String::from_utf8_lossy(&sent.bytes).into_owned();
    let quoted = page.split_once("<code>").and_then(|(_, rest)| rest.split_once("</code>"));
    match quoted {
        Some((id, _)) => Ok(id.to_owned()),
        None => Err(Cause::Unexpected(format!(
            "a request without Host is answered with {}, and no event id is shown",
            sent.summary()
        ))),
    }
}

/// Whether an entry was found that says what it should, and is proved to be in the ledger.
pub(super) fn recorded(
    what: &str,
    found: &[Found],
    status: &Status,
    says: impl Fn(&Value) -> bool,
) -> Result<String, String> {
    let Some(entry) = found.iter().find(|entry| says(&entry.event)) else {
        return Err(match found.first() {
            None => format!("{what} is not in the ledger"),
            Some(entry) => format!("{what} is not what entry {} tells", entry.seq),
        });
    };
    match proved(entry, status) {
        Ok(size) => Ok(format!("{what} is entry {} of {size}, with its inclusion proof", entry.seq)),
        Err(why) => Err(format!("{what} is said to be entry {}, and {why}", entry.seq)),
    }
}

/// Checks the proof of an entry by the log's key. The size of the tree on success.
fn proved(entry: &Found, status: &Status) -> Result<u64, String> {
    let proof = &entry.proof;
    let bytes = |text: &str| STANDARD.decode(text).map_err(|_| String::from("its proof cannot be read"));
    let key = Key::read(&status.ledger.key).ok_or("the ledger's key cannot be read")?;
    let head = tlog::checkpoint(&proof.checkpoint, &key)?;
    let hashes = proof
        .hashes
        .iter()
        .map(|hash| bytes(hash).and_then(|hash| Hash::try_from(hash).map_err(|_| String::from("its proof is cut"))));
    let hashes: Vec<Hash> = hashes.collect::<Result<_, _>>()?;
    if proof.index != entry.seq || !tlog::includes(&tlog::leaf_hash(proof.leaf.as_bytes()), proof.index, &hashes, &head)
    {
        return Err(String::from("its inclusion proof does not hold"));
    }
    let leaf: Value = serde_json::from_str(&proof.leaf).map_err(|_| "its leaf cannot be read")?;
    let (salt, body) = (bytes(&proof.salt)?, bytes(&proof.body)?);
    let commitment = tlog::commitment(&salt, &body);
    let stated = text(&leaf, "commit");
    let spelled = [STANDARD.encode(commitment), commitment.iter().map(|byte| format!("{byte:02x}")).collect()];
    if !spelled.contains(&stated) {
        return Err(String::from("its leaf commits to other contents"));
    }
    // A batch of requests is one entry with an event to a line.
    let holds = body
        .split(|byte| *byte == b'\n')
        .any(|line| serde_json::from_slice::<Value>(line).is_ok_and(|event| event == entry.event));
    if holds { Ok(head.size) } else { Err(String::from("its contents are others than were shown")) }
}

/// A member of an event as text; empty where there is none.
pub(super) fn text(event: &Value, member: &str) -> String {
    event.get(member).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The ledger's files with the key that signs them.
pub(super) fn copy_of(status: &Status) -> Result<(Key, Copy), Cause> {
    let key = Key::read(&status.ledger.key);
    let key = key.ok_or_else(|| Cause::Unexpected(String::from("the ledger's key cannot be read")))?;
    let Some(folder) = &status.ledger.folder else {
        return Err(Cause::Denied(String::from("the ledger is in a bucket, which this probe does not read")));
    };
    let mut last = String::new();
    // The gateway goes on writing: tiles of the next size may take the place of those just read.
    for _ in 0..READ_TRIES {
        match Copy::read(folder, &key) {
            Ok(copy) => return Ok((key, copy)),
            Err(why) => last = why,
        }
    }
    Err(Cause::Unexpected(last))
}

/// Copies that must not verify: an entry altered, the last one cut off, two exchanged.
fn alterations(copy: &Copy) -> Vec<(&'static str, Copy)> {
    let change = |what, edit: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut copy = copy.clone();
        edit(&mut copy.leaves);
        (what, copy)
    };
    let mut changed = vec![
        change("altered", &|leaves| {
            if let Some(byte) = leaves.first_mut().and_then(|leaf| leaf.last_mut()) {
                *byte ^= 1;
            }
        }),
        change("cut", &|leaves| drop(leaves.pop())),
    ];
    if copy.leaves.len() > 1 {
        changed.push(change("reordered", &|leaves| leaves.swap(0, 1)));
    }
    changed
}

const READ_TRIES: u32 = 5;

/// The ledger seals four times a second.
const SEALED_SOON: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(100);
