//! log.cipher, body.no_persist and store.cipher_header: canaries that must be found where they may be, and nowhere else.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use reeve_base::Cause;
use reeve_policy::catalogue::{BodyNoPersist, LogCipher, StoreCipherHeader};
use serde_json::{Value, json};

use super::trail::recorded;
use super::{Kept, Notes, Probe, Running, Sends, Twin};
use crate::Target;
use crate::wire::Site;
use crate::wire::desk::Status;
use crate::wire::exchange::Until;
use crate::wire::hypertext::Ask;

impl Probe for LogCipher {
    fn plan(&self, _: &Target) -> Sends {
        Sends::requests(8, "a request with a canary in its path, and a search of every file that logs are kept in")
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let status = site.status().await?;
            let path = site.invented_path()?;
            site.ask(&Ask::get(path.clone())).await?;
            let twin = in_ledger(site, notes, &status, &path).await?;
            let searched = search(site, path.trim_start_matches('/'), notes)?;
            let frames = frames(&status)?;
            for (file, magic) in &frames {
                if magic != SEGMENT_MAGIC {
                    notes.fault(format!("`{}` does not state AES-256-GCM", file.display()));
                }
            }
            if frames.is_empty() {
                return Err(Cause::EmptyPopulation(String::from("there is no file of log contents")));
            }
            let seen =
                format!("a canary in the log is in clear in none of {searched}; {} state their cipher", frames.len());
            Ok(Kept::with(twin, seen))
        })
    }
}

impl Probe for BodyNoPersist {
    fn plan(&self, _: &Target) -> Sends {
        Sends::requests(8, "a POST with a canary in its body, and a search of every file that things are kept in")
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let status = site.status().await?;
            let path = site.invented_path()?;
            let canary = site.invented_path()?.trim_start_matches('/').to_owned();
            let body = format!("password={canary}");
            let request = format!(
                "POST {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                 Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                site.target().authority(),
                site.user_agent(),
                body.len()
            );
            let sent = site.send_raw(request.as_bytes(), Until::Answers(1)).await?;
            notes.saw(format!("POST {path}: {}", sent.summary()));
            let twin = in_ledger(site, notes, &status, &path).await?;
            let searched = search(site, &canary, notes)?;
            notes.either(leaves_no_core(status.pid));
            Ok(Kept::with(
                twin,
                format!("a request is recorded and its body is in none of {searched}; no core can be left"),
            ))
        })
    }
}

impl Probe for StoreCipherHeader {
    fn plan(&self, _: &Target) -> Sends {
        Sends::requests(3, "a canary verdict over the control socket, and a search of the store's files")
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let status = site.status().await?;
            let canary = site.invented_path()?.trim_start_matches('/').to_owned();
            let row = json!({ "clause": CANARY_CLAUSE, "control": self_name(), "verdict": "kept", "seen": canary });
            site.tell(&json!({ "evidence": { "rows": [row] } })).await?;
            let back = site.tell(&json!({ "verdict": { "clause": CANARY_CLAUSE } })).await?;
            if back.get("seen").and_then(Value::as_str) != Some(canary.as_str()) {
                return Err(Cause::Unexpected(String::from("a canary that was stored cannot be read back")));
            }
            let twin = Twin::seen(notes, "a canary was stored and read back");
            if status.store_files.is_empty() {
                return Err(Cause::Denied(String::from("the store is in a database server, whose files are not here")));
            }
            let mut sealed = 0;
            for file in status.store_files.iter().filter(|file| file.exists()) {
                match contains(file, canary.as_bytes()) {
                    Ok(true) => notes.fault(format!("`{}` holds the canary in clear", file.display())),
                    Ok(false) => notes.saw(format!("`{}` does not hold the canary in clear", file.display())),
                    Err(error) => return Err(Cause::Denied(format!("`{}` cannot be read: {error}", file.display()))),
                }
                sealed += usize::from(contains(file, RECORD_MAGIC).unwrap_or(false));
            }
            if sealed == 0 {
                notes.fault("no file of the store holds a sealed record");
            }
            Ok(Kept::with(twin, "a canary that is stored is in clear in no file of the store"))
        })
    }
}

fn self_name() -> &'static str {
    "store.cipher_header"
}

/// The twin of a search for what must not be there: the request itself was recorded.
pub(super) async fn in_ledger(site: &Site, notes: &mut Notes, status: &Status, path: &str) -> Result<Twin, Cause> {
    let found = site.find("object", path).await?;
    let seen = recorded(&format!("the request for {path}"), &found, status, |_| true);
    seen.map(|seen| Twin::seen(notes, seen)).map_err(Cause::EmptyPopulation)
}

/// Looks for the canary in every file of the deployment, and says in how many.
fn search(site: &Site, canary: &str, notes: &mut Notes) -> Result<String, Cause> {
    search_in(&site.house()?.places, canary, notes)
}

/// The same in these places.
pub(super) fn search_in(places: &[PathBuf], canary: &str, notes: &mut Notes) -> Result<String, Cause> {
    let mut files = Vec::new();
    for place in places {
        list(place, 0, &mut files).map_err(|error| Cause::Denied(format!("`{}`: {error}", place.display())))?;
    }
    for file in &files {
        match contains(file, canary.as_bytes()) {
            Ok(true) => notes.fault(format!("`{}` holds the canary in clear", file.display())),
            Ok(false) => {}
            // Files come and go while the gateway runs.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Cause::Denied(format!("`{}` cannot be read: {error}", file.display()))),
        }
    }
    Ok(format!("{} files", files.len()))
}

/// The ordinary files at and under `place`.
fn list(place: &Path, depth: u32, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let kind = match fs::symlink_metadata(place) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if kind.is_file() {
        files.push(place.to_owned());
    } else if kind.is_dir() && depth < DEPTH_MAX && files.len() < FILES_MAX {
        for entry in fs::read_dir(place)? {
            list(&entry?.path(), depth + 1, files)?;
        }
    }
    Ok(())
}

/// Whether a file holds these bytes, read in pieces that overlap.
fn contains(path: &Path, wanted: &[u8]) -> std::io::Result<bool> {
    let mut file = File::open(path)?;
    let mut piece = vec![0; PIECE_BYTES + wanted.len()];
    let mut kept = 0;
    loop {
        let Some(room) = piece.get_mut(kept..) else { return Ok(false) };
        let read = file.read(room)?;
        let filled = kept + read;
        if piece.get(..filled).is_some_and(|bytes| memchr::memmem::find(bytes, wanted).is_some()) {
            return Ok(true);
        }
        if read == 0 {
            return Ok(false);
        }
        let tail = filled.min(wanted.len().saturating_sub(1));
        piece.copy_within(filled - tail..filled, 0);
        kept = tail;
    }
}

/// The files with log contents, and the first bytes of each.
fn frames(status: &Status) -> Result<Vec<(PathBuf, Vec<u8>)>, Cause> {
    let Some(folder) = &status.ledger.folder else {
        return Err(Cause::Denied(String::from("the ledger is in a bucket, which this probe does not read")));
    };
    let mut files = Vec::new();
    list(&folder.join("body"), 0, &mut files).map_err(|error| Cause::Denied(error.to_string()))?;
    let read = files.into_iter().filter_map(|path| {
        let mut magic = vec![0; SEGMENT_MAGIC.len()];
        File::open(&path).and_then(|mut file| file.read_exact(&mut magic)).ok().map(|()| (path, magic))
    });
    Ok(read.collect())
}

/// Whether the process is barred from writing its memory to disk when it dies.
pub(super) fn leaves_no_core(pid: u32) -> Result<String, String> {
    let path = format!("/proc/{pid}/limits");
    let limits = fs::read_to_string(&path).map_err(|error| format!("`{path}` cannot be read: {error}"))?;
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default();
    let soft = line.split_whitespace().nth(4).unwrap_or_default();
    if soft == "0" {
        Ok(String::from("the gateway's core file size is limited to 0"))
    } else {
        Err(format!("the gateway may leave a core file (limit: {soft})"))
    }
}

const CANARY_CLAUSE: &str = "reeve-probe";
/// Segments of AES-256-GCM frames begin so.
const SEGMENT_MAGIC: &[u8] = b"RVSEGMT1";
const RECORD_MAGIC: &[u8] = b"RVW1\x02";
const DEPTH_MAX: u32 = 12;
const FILES_MAX: usize = 200_000;
const PIECE_BYTES: usize = 1024 * 1024;
