//! cache.cipher: canaries in a request and in an answer, and everywhere that something is held for a while.

use std::fs;
use std::path::{Path, PathBuf};

use reeve_base::Cause;
use reeve_policy::catalogue::{CacheCipher, Swap};

use super::at_rest::{in_ledger, leaves_no_core, search_in};
use super::{Kept, Notes, Probe, Running, Sends};
use crate::Target;
use crate::wire::Site;
use crate::wire::exchange::Until;

impl Probe for CacheCipher {
    fn plan(&self, _: &Target) -> Sends {
        Sends::requests(
            10,
            "a POST with canaries in its body and in a cookie, a GET of an invented path, and a search of caches, data and \
             temporary folders",
        )
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let status = site.status().await?;
            let path = site.invented_path()?;
            let sent = site.invented_path()?.trim_start_matches('/').to_owned();
            let body = format!("card={sent}");
            let head = format!(
                "Host: {}\r\nUser-Agent: {}\r\nCookie: reeve-canary={sent}\r\nConnection: close\r\n",
                site.target().authority(),
                site.user_agent()
            );
            let request = format!(
                "POST {path} HTTP/1.1\r\n{head}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let posted = site.send_raw(request.as_bytes(), Until::Answers(1)).await?;
            notes.saw(format!("POST {path}: {}", posted.summary()));
            let got = site.send_raw(format!("GET / HTTP/1.1\r\n{head}\r\n").as_bytes(), Until::Answers(1)).await?;
            for (what, transcript) in [("POST of a canary", &posted), ("GET / with a cookie", &got)] {
                let none = || Cause::Unexpected(format!("{what} is not answered"));
                let answer = transcript.answers.first().ok_or_else(none)?;
                let cached = answer.value("cache-control").unwrap_or_default().to_ascii_lowercase();
                let says = |word: &str| cached.split(',').any(|directive| directive.trim() == word);
                let sets = answer.value("set-cookie").is_some();
                notes.either(if says("no-store") || (says("public") && !sets) {
                    Ok(format!("{what}: Cache-Control is `{cached}`"))
                } else {
                    Err(format!("a cache may keep the answer to {what}: Cache-Control is `{cached}`"))
                });
            }
            let twin = in_ledger(site, notes, &status, &path).await?;
            // The answer to a path that nobody has tells its event, which stands in no other answer.
            let returned = returned_canary(site).await?;
            let (places, caches) = places(site)?;
            let mut searched = search_in(&places, &sent, notes)?;
            match &returned {
                Some(canary) => {
                    notes.saw("an answer repeats a canary, which is looked for too");
                    searched = search_in(&places, canary, notes)?;
                }
                None => {
                    notes
                        .saw("no answer repeats what it was asked for: the canary of an answer is that of the request");
                }
            }
            for cache in &caches {
                notes.saw(medium(cache));
            }
            notes.either(leaves_no_core(status.pid));
            notes.either(swap(&fs::read_to_string("/proc/swaps").unwrap_or_default(), status.pid, self.swap));
            Ok(Kept::with(twin, format!("canaries of a request and its answer are in clear in none of {searched}")))
        })
    }
}

/// Something random that an answer says: what was asked for, in the redirect of the plaintext port or in a page.
async fn returned_canary(site: &Site) -> Result<Option<String>, Cause> {
    let word = site.invented_path()?.trim_start_matches('/').to_owned();
    // In the value of a query, which no log of the gateway's shows: in a path it would be found in each of them.
    let request = format!(
        "GET /?canary={word} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {}\r\nConnection: close\r\n\r\n",
        site.target().authority(),
        site.user_agent()
    );
    let said = match site.target().http {
        Some(port) => site.send_plain(port, request.as_bytes(), Until::Answers(1)).await?,
        None => site.send_raw(request.as_bytes(), Until::Answers(1)).await?,
    };
    let Some(answer) = said.answers.first() else { return Ok(None) };
    let location = answer.value("location").unwrap_or_default();
    Ok((location.contains(&word) || answer.text().contains(&word)).then_some(word))
}

/// Everywhere that is searched, and the caches among them.
fn places(site: &Site) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Cause> {
    let house = site.house()?;
    let temporary = [Path::new("/tmp"), Path::new("/var/tmp"), Path::new("/dev/shm")];
    let mut all = house.places.clone();
    all.extend(house.caches.iter().cloned());
    // Whole temporary folders are other people's too; what was changed since the probe began is looked at.
    all.extend(temporary.into_iter().filter(|folder| folder.is_dir()).flat_map(recent));
    Ok((all, house.caches.clone()))
}

/// Files directly in a folder, or in a folder there, that have just been written.
fn recent(folder: &Path) -> Vec<PathBuf> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.take(RECENT_MAX).map(|entry| entry.path()).collect()
    };
    let is_file = |path: &PathBuf| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
    let just_now = |path: &PathBuf| {
        let written = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        written.and_then(|written| written.elapsed().ok()).is_some_and(|age| age.as_secs() < RECENT_SECONDS)
    };
    let readable = |path: &PathBuf| fs::File::open(path).is_ok();
    let (files, folders): (Vec<_>, Vec<_>) = list(folder).into_iter().partition(is_file);
    let below = folders.iter().filter(|folder| folder.is_dir() && !folder.is_symlink()).flat_map(|folder| list(folder));
    files.into_iter().chain(below.filter(is_file)).filter(just_now).filter(readable).take(RECENT_MAX).collect()
}

/// What a folder lies on, as far as the system tells.
fn medium(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let best = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let (device, at, kind) = (fields.next()?, fields.next()?, fields.next()?);
            folder.starts_with(at).then(|| (at.len(), device.to_owned(), kind.to_owned()))
        })
        .max();
    match best {
        Some((_, device, kind)) => format!("cache `{}` lies on {kind} ({device})", folder.display()),
        None => format!("it is not known what cache `{}` lies on", folder.display()),
    }
}

/// Whether what is in memory may reach a disk in clear, by /proc/swaps and by what of the process may be swapped.
fn swap(swaps: &str, pid: u32, promised: Swap) -> Result<String, String> {
    let areas: Vec<&str> = swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    if areas.is_empty() {
        return Ok(String::from("there is no swap area"));
    }
    if unswappable(pid) {
        return Ok(String::from("the gateway's group of processes is not swapped"));
    }
    if promised == Swap::Off {
        return Err(format!("swap is on: {}", areas.join(", ")));
    }
    let clear: Vec<&str> = areas.into_iter().filter(|area| !is_encrypted(area)).collect();
    if clear.is_empty() {
        Ok(String::from("every swap area is memory or encrypted"))
    } else {
        Err(format!("swap is on and in clear: {}", clear.join(", ")))
    }
}

/// Whether the process belongs to a control group that may not swap (cgroup v2, memory.swap.max).
fn unswappable(pid: u32) -> bool {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let group = groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
    let file = format!("/sys/fs/cgroup{group}/memory.swap.max");
    fs::read_to_string(file).is_ok_and(|most| most.trim() == "0")
}

/// Whether a swap area is compressed memory or a device of dm-crypt.
fn is_encrypted(area: &str) -> bool {
    let device = fs::canonicalize(area).ok();
    let name =
        device.as_deref().unwrap_or(Path::new(area)).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let uuid = fs::read_to_string(format!("/sys/class/block/{name}/dm/uuid")).unwrap_or_default();
    name.starts_with("zram") || uuid.starts_with("CRYPT-")
}

const RECENT_SECONDS: u64 = 120;
const RECENT_MAX: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Filename Type Size Used Priority\n";

    #[test]
    fn swap_that_is_off_or_memory_is_well() {
        assert!(swap(HEAD, 0, Swap::Off).is_ok());
        assert!(swap(&format!("{HEAD}/dev/zram0 partition 1 0 100\n"), 0, Swap::Encrypted).is_ok());
    }

    #[test]
    fn swap_in_clear_is_named() {
        let swaps = format!("{HEAD}/swapfile file 1 0 -2\n");
        assert_eq!(swap(&swaps, 0, Swap::Encrypted), Err(String::from("swap is on and in clear: /swapfile")));
        assert_eq!(swap(&swaps, 0, Swap::Off), Err(String::from("swap is on: /swapfile")));
    }
}
