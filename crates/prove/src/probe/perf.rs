//! log.perf: whether the gateway's own figures are in the ledger, by sending requests that must be among them.

use std::time::Duration;

use jiff::Timestamp;
use reeve_base::Cause;
use reeve_policy::catalogue::LogPerf;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::sleep;

use super::trail::{provoke, recorded};
use super::{Kept, Notes, Probe, Running, Sends, Twin};
use crate::Target;
use crate::wire::Site;
use crate::wire::desk::{Found, Status};

impl Probe for LogPerf {
    fn plan(&self, _: &Target) -> Sends {
        let what = "some requests, one of them without Host, and questions to the control socket until the next record";
        Sends::requests(SENT + QUESTIONS, what)
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let every = self.every.duration();
            if every > WAITED_MAX {
                let why = format!("the next record comes within {}, which is longer than a probe waits", self.every);
                return Err(Cause::OverBudget(why));
            }
            let status = site.status().await?;
            let before = newest(site).await?.first().map_or(0, |found| found.seq + 1);
            let twin = site.serves(notes).await?;
            for _ in 0..SENT - 2 {
                site.serves(&mut Notes::default()).await?;
            }
            let refused = provoke(site).await?;
            Twin::seen(notes, format!("{} requests were answered and one was refused as {refused}", SENT - 1));
            match counted(site, before, every).await? {
                Some(found) => judge(notes, &found, &status),
                None => notes.fault(format!(
                    "no record of the last {} seconds has counted the {SENT} requests that were sent meanwhile",
                    (every + LATE).as_secs()
                )),
            }
            Ok(Kept::with(
                twin,
                format!("the last figures are younger than {} and count the probe's requests", self.every),
            ))
        })
    }
}

/// What a record holds. All of it has to be there.
#[derive(Debug, Deserialize)]
struct Figures {
    /// One that has taken over begins anew.
    process: u32,
    from: Timestamp,
    to: Timestamp,
    requests: u64,
    refused: u64,
    failed: u64,
    p50_us: Option<u64>,
    p95_us: Option<u64>,
    p99_us: Option<u64>,
    cpu_ms: u64,
    memory_bytes: u64,
    ledger_unsealed: u64,
}

/// The newest records, the last first.
async fn newest(site: &Site) -> Result<Vec<Found>, Cause> {
    site.find_at_once("activity", "perf.summary").await
}

/// Waits for records that are no older than `before` and have counted what was sent; they may have cut it in two.
async fn counted(site: &Site, before: u64, every: Duration) -> Result<Option<Vec<Found>>, Cause> {
    let since = site.ticks();
    let look = (every / LOOKS).clamp(LOOK_MIN, LOOK_MAX);
    loop {
        let mut found = newest(site).await?;
        found.retain(|found| found.seq >= before);
        let sums = found.iter().filter_map(|found| figures(&found.event).ok());
        let (requests, refused) =
            sums.fold((0, 0), |sums, figures| (sums.0 + figures.requests, sums.1 + figures.refused));
        if requests >= u64::from(SENT) && refused > 0 {
            return Ok(Some(found));
        }
        // Two ends of a period: what was sent may have been cut in two.
        if site.ticks().since(since) > every + LATE {
            return Ok(None);
        }
        sleep(look).await;
    }
}

fn figures(event: &Value) -> Result<Figures, String> {
    Figures::deserialize(event).map_err(|error| error.to_string())
}

fn judge(notes: &mut Notes, found: &[Found], status: &Status) {
    let mut later: Option<(u32, Timestamp)> = None;
    for entry in found {
        let figures = match figures(&entry.event) {
            Ok(figures) => figures,
            Err(why) => return notes.fault(format!("the record in entry {} is not whole: {why}", entry.seq)),
        };
        let what = format!(
            "{} requests, {} refused and {} failed from {} to {}",
            figures.requests, figures.refused, figures.failed, figures.from, figures.to
        );
        notes.either(recorded(&what, std::slice::from_ref(entry), status, |_| true));
        let quantiles = [figures.p50_us, figures.p95_us, figures.p99_us];
        if figures.requests > 0 && !(quantiles.iter().all(Option::is_some) && quantiles.is_sorted()) {
            notes.fault(format!("the times of its requests make no sense: {quantiles:?} µs"));
        }
        if figures.memory_bytes == 0 {
            notes.fault("it is said to use no memory");
        }
        if later.is_some_and(|(process, from)| process == figures.process && from != figures.to) {
            notes.fault(format!("there is a gap after {}", figures.to));
        }
        later = Some((figures.process, figures.from));
        notes.saw(format!("{} ms of processor time, {} entries unsealed", figures.cpu_ms, figures.ledger_unsealed));
    }
}

/// Requests that are sent, the refused one among them.
const SENT: u32 = 10;
const QUESTIONS: u32 = 45;

/// A judge waits no longer than this for the end of a period.
const WAITED_MAX: Duration = Duration::from_mins(2);

/// A record may be sealed this much later.
const LATE: Duration = Duration::from_secs(3);
const LOOKS: u32 = 30;
const LOOK_MIN: Duration = Duration::from_millis(200);
const LOOK_MAX: Duration = Duration::from_secs(5);
