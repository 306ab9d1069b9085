//! edge.slow_and_flood: a head and a body that never end, and one address that wants all connections.

use std::time::Duration;

use reeve_base::{Cause, Period};
use reeve_policy::catalogue::EdgeSlowAndFlood;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{Kept, Notes, Probe, Running, Sends, Turn};
use crate::Target;
use crate::wire::hypertext::Ask;
use crate::wire::tls::Protocol;
use crate::wire::{Site, WireError, transcript};

impl Probe for EdgeSlowAndFlood {
    fn plan(&self, _target: &Target) -> Sends {
        let (deadline, connections) = (self.header_deadline, self.connections);
        let flood = if connections > FLOOD_MAX {
            String::from("no flood, for the cap is too high to try")
        } else {
            format!("{} connections at once from one address", connections + PAST)
        };
        let held = if connections > FLOOD_MAX { 0 } else { connections + PAST };
        Sends {
            what: format!("a head that is trickled for {deadline} and longer, a body for {}, then {flood}", self.grace),
            requests: PAST + 5,
            connections: held,
        }
    }

    fn turn(&self) -> Turn {
        Turn::Alone
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let twin = site.serves(notes).await?;
            let (head, body) = (opening(site, "GET", "X-Slow: "), opening(site, "POST", UNENDING));
            let (head_site, body_site) = (site.elsewhere()?, site.elsewhere()?);
            let cuts = tokio::join!(
                trickle(&head_site, head, self.header_deadline.duration() + GRACE),
                trickle(&body_site, body, self.grace.duration() + GRACE),
            );
            let slow = [said(notes, "head", self.header_deadline, cuts.0?), said(notes, "body", self.grace, cuts.1?)]
                .join("; ");
            let flood = if self.connections > FLOOD_MAX {
                let text = format!("no flood: {} connections are more than a probe may open", self.connections);
                notes.saw(text.clone());
                text
            } else if !site.target().is_loopback() && site.remaining() < self.connections + PAST {
                let text = format!("no flood: the run may still send {}", site.remaining());
                notes.saw(text.clone());
                text
            } else {
                flood(site, notes, self.connections).await?
            };
            Ok(Kept::with(twin, format!("{slow}; {flood}")))
        })
    }
}

/// When a slow client was cut off.
enum Cut {
    After(Duration, String),
    Never,
}

/// The beginning of a request, up to where it is to be trickled.
fn opening(site: &Site, method: &str, field: &str) -> String {
    let (authority, user_agent) = (site.target().authority(), site.user_agent());
    format!("{method} / HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {user_agent}\r\n{field}")
}

/// Writes down when a trickle ended, or that it did not.
fn said(notes: &mut Notes, what: &str, patience: Period, cut: Cut) -> String {
    match cut {
        Cut::After(time, how) => {
            let text = format!("a trickled {what} is cut off after {:.1} s ({how})", time.as_secs_f64());
            notes.saw(text.clone());
            text
        }
        Cut::Never => {
            let text = format!("a trickled {what} is still waited for after {patience} and {GRACE:?} more");
            notes.fault(text.clone());
            text
        }
    }
}

/// Sends the beginning of a request and then a byte at a time.
async fn trickle(site: &Site, opening: String, wait: Duration) -> Result<Cut, Cause> {
    let stream = site.tls(Protocol::H1).await?;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let started = site.ticks();
    if writer.write_all(opening.as_bytes()).await.is_err() {
        return Err(Cause::Unexpected(String::from("the connection ends before half a request is sent")));
    }
    let mut heard = Vec::new();
    let listen = async {
        let mut chunk = [0; 4096];
        loop {
            match reader.read(&mut chunk).await {
                Ok(0) | Err(_) => break,
                Ok(count) if heard.len() < HEARD_BYTES_MAX => {
                    heard.extend_from_slice(chunk.get(..count).unwrap_or_default());
                }
                Ok(_) => {}
            }
        }
    };
    let talk = async {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            if writer.write_all(b"a").await.is_err() || writer.flush().await.is_err() {
                // What was said before the end is still to be read.
                std::future::pending::<()>().await;
            }
        }
    };
    let cut = timeout(wait, async {
        tokio::select! {
            () = listen => {}
            () = talk => {}
        }
    })
    .await;
    if cut.is_err() {
        return Ok(Cut::Never);
    }
    let status = transcript::answers(&heard).first().map(|answer| answer.status);
    let how = status.map_or_else(|| String::from("closed"), |status| format!("{status}, closed"));
    Ok(Cut::After(site.ticks().since(started), how))
}

/// Takes all connections that one address may hold and asks for a few more.
async fn flood(site: &Site, notes: &mut Notes, cap: u32) -> Result<String, Cause> {
    let crowd = site.elsewhere()?;
    let mut held = Vec::new();
    // Two short of the cap, one that is used and must be served, and then up to the cap. Most are held and not used:
    // what is limited is holding them.
    hold(&crowd, &mut held, cap.saturating_sub(2)).await?;
    match crowd.ask_once(&Ask::get("/")).await {
        Ok(answer) if !matches!(answer.status, 429 | 503) => {
            notes.saw(format!("beside {} connections held: {}", held.len(), answer.status));
        }
        Ok(answer) => return Err(stricter(held.len(), &format!("with {}", answer.status))),
        Err(error) => return Err(stricter(held.len(), &format!("({error})"))),
    }
    hold(&crowd, &mut held, 2).await?;
    let mut extra = JoinSet::new();
    for _ in 0..PAST {
        let crowd = crowd.clone();
        extra.spawn(async move { crowd.ask_once(&Ask::get("/")).await });
    }
    let (mut served, mut refused) = (0_u32, 0_u32);
    while let Some(done) = extra.join_next().await {
        match done {
            Ok(Ok(answer)) if !matches!(answer.status, 429 | 503) => served += 1,
            // Silence is no refusal: the connection may wait in a queue, taken as far as the client can tell.
            Ok(Err(error @ (WireError::Silent(_) | WireError::NoConnection(..)))) => notes.saw(error.to_string()),
            Ok(Err(error @ (WireError::OverBudget(_) | WireError::Chance(_)))) => return Err(error.into()),
            Ok(Ok(_) | Err(_)) => refused += 1,
            Err(error) => return Err(Cause::Unexpected(error.to_string())),
        }
    }
    let open = held.iter().filter(|stream| is_open(stream)).count();
    notes.saw(format!("{open} of {cap} connections held; of {PAST} more, {served} served and {refused} refused"));
    if site.has_own_sources() {
        let canary = site.elsewhere()?.ask_once(&Ask::get("/")).await;
        notes.either(match canary {
            Ok(answer) if !matches!(answer.status, 429 | 503) => {
                Ok(format!("another address is answered with {} meanwhile", answer.status))
            }
            Ok(answer) => Err(format!("another address is refused meanwhile ({})", answer.status)),
            Err(error) => Err(format!("another address is not served meanwhile: {error}")),
        });
    }
    drop(held);
    let open = u32::try_from(open).unwrap_or(u32::MAX);
    if served > 0 && open.saturating_add(served) > cap {
        notes.fault(format!("one address holds {open} connections and is served {served} more, promised {cap}"));
    } else if refused == 0 {
        let text = format!(
            "the server let go of {} of the held connections, so the cap was not met",
            cap.saturating_sub(open)
        );
        return Err(Cause::Unexpected(text));
    }
    site.serves(notes).await?;
    Ok(format!("past {cap} connections from one address the next are refused"))
}

async fn hold(crowd: &Site, held: &mut Vec<TcpStream>, count: u32) -> Result<(), WireError> {
    for _ in 0..count {
        held.push(crowd.connect(crowd.target().https).await?);
    }
    Ok(())
}

fn stricter(held: usize, how: &str) -> Cause {
    Cause::Unexpected(format!("beside only {held} connections the next is refused {how}: stricter than promised"))
}

/// Whether the other side has not closed it.
fn is_open(stream: &TcpStream) -> bool {
    let mut byte = [0; 1];
    match stream.try_read(&mut byte) {
        Ok(0) => false,
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    }
}

/// A body of which two bytes a second come: less than any promise. A server that answers early and closes is not held.
const UNENDING: &str = "Content-Type: application/octet-stream\r\nContent-Length: 1000\r\n\r\n";

/// What a server may take on top of its deadline to notice and to close.
const GRACE: Duration = Duration::from_secs(3);

/// How often a byte is sent.
const BEAT: Duration = Duration::from_millis(500);

/// How many connections past the cap are tried.
const PAST: u32 = 8;

/// The highest cap that is tried by holding so many connections.
const FLOOD_MAX: u32 = 512;

const HEARD_BYTES_MAX: usize = 16 * 1024;
