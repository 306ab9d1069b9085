//! edge.smuggling: heads that two parsers could read in two ways, each behind it a request that nobody may answer.

use std::sync::Arc;
use std::time::Duration;

use reeve_base::Cause;
use reeve_policy::catalogue::EdgeSmuggling;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Kept, Notes, Probe, Running, Sends, Twin};
use crate::Target;
use crate::wire::Site;
use crate::wire::exchange::{End, Transcript, Until};

mod cases;

use cases::{CASES, Case, Kind, WELL_FORMED};

impl Probe for EdgeSmuggling {
    fn plan(&self, _target: &Target) -> Sends {
        let count = CASES.len();
        let requests = u32::try_from(count + WELL_FORMED.len()).unwrap_or(u32::MAX);
        Sends::requests(requests, format!("{count} ambiguous or malformed requests, each on a connection of its own"))
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let twin = well_formed(site, notes).await?;
            let at_once = if site.has_own_sources() { AT_ONCE } else { 1 };
            let room = Arc::new(Semaphore::new(at_once));
            let mut running = JoinSet::new();
            for (index, case) in CASES.iter().enumerate() {
                let (site, room) = (site.elsewhere()?, Arc::clone(&room));
                running.spawn(async move {
                    let _permit = room.acquire().await;
                    (index, send(&site, case).await)
                });
            }
            let mut met = Vec::new();
            while let Some(done) = running.join_next().await {
                let (index, transcript) = done.map_err(|error| Cause::Unexpected(error.to_string()))?;
                met.push((index, transcript));
            }
            met.sort_by_key(|(index, _)| *index);
            let mut unseen = None;
            for ((_, transcript), case) in met.into_iter().zip(CASES) {
                match transcript {
                    Ok(transcript) => notes.either(judge(case, &transcript)),
                    Err(cause) => unseen = Some(cause),
                }
            }
            if let Some(cause) = unseen {
                return Err(cause);
            }
            // Behind so many refusals an ordinary request still passes: they were no ban.
            site.elsewhere()?.serves(notes).await?;
            Ok(Kept::with(
                twin,
                format!("{} ambiguous requests refused, {} ordinary ones served", CASES.len(), WELL_FORMED.len()),
            ))
        })
    }
}

/// Each ordinary request is served, and two on one connection are both answered.
async fn well_formed(site: &Site, notes: &mut Notes) -> Result<Twin, Cause> {
    let mut seen = Vec::new();
    for (name, text, answers) in WELL_FORMED {
        let bytes = fill(text, site);
        let met = site.elsewhere()?.send_raw(&bytes, Until::Answers(*answers)).await?;
        let served = met.answers.iter().filter(|answer| !REFUSALS.contains(&answer.status)).count();
        if served != *answers {
            return Err(Cause::Unexpected(format!("{name} is not served: {}", met.summary())));
        }
        seen.push(format!("{name}: {}", met.summary()));
    }
    Ok(Twin::seen(notes, seen.join("; ")))
}

async fn send(site: &Site, case: &Case) -> Result<Transcript, Cause> {
    let canary = format!("GET {}", site.invented_path()?);
    let mut bytes = fill(case.request, site);
    bytes.extend(fill(&format!("{canary} HTTP/1.1\r\nHost: {{host}}\r\nUser-Agent: {{agent}}\r\n\r\n"), site));
    Ok(site.send_raw(&bytes, Until::Closed(CLOSE_WAIT.min(site.deadline()))).await?)
}

fn fill(text: &str, site: &Site) -> Vec<u8> {
    text.replace("{host}", &site.target().authority()).replace("{agent}", site.user_agent()).into_bytes()
}

/// Whether the case was refused: with a status that says so, or by closing; and nothing behind it was read.
fn judge(case: &Case, met: &Transcript) -> Result<String, String> {
    let seen = format!("{}: {}", case.name, met.summary());
    let first = match met.answers.as_slice() {
        [] if met.end != End::Open => return Ok(seen),
        [] => return Err(format!("{}: neither refused nor closed", case.name)),
        [only] => only.status,
        [_, ..] => return Err(format!("{}: the request behind it is answered too ({})", case.name, met.summary())),
    };
    let refused = REFUSALS.contains(&first)
        // An application may answer before it has read the body that is wrong. It has not accepted it then, and what
        // counts is that nothing behind it is read.
        || (case.kind == Kind::Body && first >= 400);
    if !refused {
        return Err(format!("{}: answered with {first}", case.name));
    }
    if met.end == End::Open {
        return Err(format!("{}: refused with {first}, but the connection stays open", case.name));
    }
    Ok(seen)
}

/// Statuses that say "this is no request". 404 or 405 do not: they answer one.
const REFUSALS: [u16; 9] = [400, 408, 411, 413, 414, 421, 431, 501, 505];

/// How long the server may take to close after a refusal.
const CLOSE_WAIT: Duration = Duration::from_secs(3);

/// How many cases are under way at once, where each has an address of its own.
const AT_ONCE: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::transcript;

    #[track_caller]
    fn check(kind: Kind, bytes: &str, end: End, right: bool) {
        let met = Transcript { answers: transcript::answers(bytes.as_bytes()), bytes: bytes.into(), end };
        let case = Case { name: "a case", kind, request: "" };
        assert_eq!(judge(&case, &met).is_ok(), right, "{:?}", judge(&case, &met));
    }

    #[test]
    fn only_a_refusal_that_ends_the_connection_is_one() {
        let one = "HTTP/1.1 400 B\r\nContent-Length: 0\r\n\r\n";
        let two = format!("{one}{one}");
        check(Kind::Head, one, End::Closed, true);
        check(Kind::Head, "", End::Reset, true);
        check(Kind::Head, "", End::Open, false);
        check(Kind::Head, one, End::Open, false);
        check(Kind::Head, &two, End::Closed, false);
        check(Kind::Head, "HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n", End::Closed, false);
        check(Kind::Head, "HTTP/1.1 200 O\r\nContent-Length: 0\r\n\r\n", End::Closed, false);
        check(Kind::Body, "HTTP/1.1 405 N\r\nContent-Length: 0\r\n\r\n", End::Closed, true);
        check(Kind::Body, "HTTP/1.1 405 N\r\nContent-Length: 0\r\n\r\n", End::Open, false);
        check(Kind::Body, "HTTP/1.1 200 O\r\nContent-Length: 0\r\n\r\n", End::Closed, false);
    }
}
