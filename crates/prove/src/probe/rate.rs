//! rate.ip, rate.user and rate.header: more at once than is allowed, until somebody says so.
//!
//! A limit on addresses must refuse the one that asks and no other. A limit on users or keys must refuse the one that
//! asks from wherever it asks: the flood changes its address after each refusal, and only what is refused to an address
//! that never asked before is taken for it; another user, from such an address, must be served meanwhile.

mod flood;

use reeve_base::Cause;
use reeve_policy::catalogue::{RateHeader, RateIp, RateUser, RouteRate};

use super::{Kept, Notes, Probe, Running, Sends, Turn, Twin};
use crate::Target;
use crate::wire::Site;
use crate::wire::desk::SharedStatus;
use crate::wire::hypertext::{Answer, Ask};

use flood::{Flood, Origin, Promise, Stop};

impl Probe for RateIp {
    fn plan(&self, target: &Target) -> Sends {
        let what = format!(
            "GETs of / at full speed from one address until it is refused, promised {} + {}{}",
            self.rate,
            self.burst,
            also(&self.routes)
        );
        Sends::requests(needed(self.promise(), &self.routes, target), what)
    }

    /// It leaves its address refused; where that is also everybody else's, nothing can follow.
    fn turn(&self) -> Turn {
        Turn::Last
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let mut seen = Vec::new();
            // First the routes, whose limits are the lower ones: a client's one address is still served then.
            for route in &self.routes {
                let (path, promise) = (route.path.as_str(), Promise { rate: route.rate, burst: route.burst });
                seen.push(format!("{path}: {}", of_address(&site.elsewhere()?, notes, promise, path).await?.1));
            }
            let (twin, whole) = of_address(site, notes, self.promise(), "/").await?;
            seen.push(whole);
            counted_together(site, notes).await?;
            Ok(Kept::with(twin, seen.join("; ")))
        })
    }
}

impl Probe for RateUser {
    fn plan(&self, target: &Target) -> Sends {
        let what = format!(
            "GETs of / at full speed in one invented session from changing addresses until it is refused, promised {} + {}{}",
            self.rate,
            self.burst,
            also(&self.routes)
        );
        Sends::requests(needed(self.promise(), &self.routes, target), what)
    }

    /// Where all probes share an address, it may leave that one refused.
    fn turn(&self) -> Turn {
        Turn::Last
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let session = site.status().await?.rates.unwrap_or_default().session;
            let subject = match (session.cookie, session.bearer) {
                (Some(cookie), _) => Subject { kind: "session", field: "cookie", before: format!("{cookie}=") },
                (None, true) => Subject { kind: "session", field: "authorization", before: String::from("Bearer ") },
                (None, false) => {
                    let _twin = site.serves(notes).await?;
                    notes.fault("nothing says what identifies a signed-in user: the settings have no `[session]`");
                    return Err(Cause::EmptyPopulation(String::from("nobody is a user here")));
                }
            };
            of_subject_and_routes(site, notes, &subject, self.promise(), &self.routes).await
        })
    }
}

impl Probe for RateHeader {
    fn plan(&self, target: &Target) -> Sends {
        let what = format!(
            "GETs of / at full speed with one invented {} from changing addresses until it is refused, promised {} + {}{}",
            self.header.as_str(),
            self.rate,
            self.burst,
            also(&self.routes)
        );
        Sends::requests(needed(self.promise(), &self.routes, target), what)
    }

    /// Where all probes share an address, it may leave that one refused.
    fn turn(&self) -> Turn {
        Turn::Last
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let subject = Subject { kind: "key", field: self.header.as_str(), before: String::new() };
            of_subject_and_routes(site, notes, &subject, self.promise(), &self.routes).await
        })
    }
}

/// The limit on the whole site.
trait Whole {
    fn promise(&self) -> Promise;
}

impl Whole for RateIp {
    fn promise(&self) -> Promise {
        Promise { rate: self.rate, burst: self.burst }
    }
}

impl Whole for RateUser {
    fn promise(&self) -> Promise {
        Promise { rate: self.rate, burst: self.burst }
    }
}

impl Whole for RateHeader {
    fn promise(&self) -> Promise {
        Promise { rate: self.rate, burst: self.burst }
    }
}

fn also(routes: &[RouteRate]) -> String {
    let paths: Vec<_> = routes.iter().map(|route| route.path.as_str()).collect();
    if paths.is_empty() { String::new() } else { format!("; the same of {}", paths.join(", ")) }
}

fn needed(whole: Promise, routes: &[RouteRate], target: &Target) -> u32 {
    let routes = routes.iter().map(|route| Promise { rate: route.rate, burst: route.burst });
    let each = std::iter::once(whole).chain(routes).map(|one| one.needed(target).unwrap_or(u32::MAX));
    each.fold(0, u32::saturating_add)
}

/// Floods a path from one address.
async fn of_address(site: &Site, notes: &mut Notes, promise: Promise, path: &str) -> Result<(Twin, String), Cause> {
    promise.affordable(site)?;
    // Other probes may have used up the allowance of a shared address: wait for it, as long as patience lasts.
    let first = site.ask(&Ask::get(path)).await?;
    let twin = first_of(&first, notes, path)?;
    let flooded = Flood::run(promise, Ask::get(path), Origin::One, site).await;
    if let Some(retry_after) = refusal(flooded.stop, flooded.cause, &flooded.what, notes)? {
        says_when_to_come_back(notes, retry_after.as_deref());
        if site.has_own_sources() {
            let other = site.elsewhere()?.ask_once(&Ask::get(path)).await?;
            notes.either(match other.status {
                429 | 503 => Err(format!("another address is refused too ({})", other.status)),
                status => Ok(format!("another address is answered with {status} meanwhile")),
            });
        } else {
            notes.saw("whether another address is served meanwhile cannot be seen from one address");
        }
    }
    Ok((twin, format!("429 with Retry-After after {}", flooded.what)))
}

/// What makes a request one of a user's or a key's.
struct Subject<'s> {
    kind: &'static str,
    field: &'s str,
    /// What stands in the field before the part that tells one from another.
    before: String,
}

impl Subject<'_> {
    /// A GET in the name of somebody who was never there before.
    fn ask(&self, site: &Site, path: &str) -> Result<Ask, Cause> {
        let chance: [u8; 16] = site.random()?;
        let word: String = chance.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Ask::get(path).with(self.field, &format!("{}{word}", self.before)))
    }
}

async fn of_subject_and_routes(
    site: &Site,
    notes: &mut Notes,
    subject: &Subject<'_>,
    whole: Promise,
    routes: &[RouteRate],
) -> Result<Kept, Cause> {
    let mut seen = Vec::new();
    for route in routes {
        let (path, promise) = (route.path.as_str(), Promise { rate: route.rate, burst: route.burst });
        seen.push(format!("{path}: {}", of_subject(site, notes, subject, promise, path).await?.1));
    }
    let (twin, whole) = of_subject(site, notes, subject, whole, "/").await?;
    seen.push(whole);
    counted_together(site, notes).await?;
    Ok(Kept::with(twin, seen.join("; ")))
}

/// Floods a path in one name, from changing addresses where there are several.
async fn of_subject(
    site: &Site,
    notes: &mut Notes,
    subject: &Subject<'_>,
    promise: Promise,
    path: &str,
) -> Result<(Twin, String), Cause> {
    promise.affordable(site)?;
    let (own, other) = (subject.ask(site, path)?, subject.ask(site, path)?);
    let first = site.ask(&own).await?;
    let twin = first_of(&first, notes, path)?;
    let origin = if site.has_own_sources() { Origin::Changing } else { Origin::One };
    let flooded = Flood::run(promise, own, origin, site).await;
    if let Some(retry_after) = refusal(flooded.stop, flooded.cause, &flooded.what, notes)? {
        says_when_to_come_back(notes, retry_after.as_deref());
        let kind = subject.kind;
        match (origin, site.elsewhere()?.ask_once(&other).await?.status) {
            (Origin::Changing, status @ (429 | 503)) => {
                notes.fault(format!("another {kind} is refused too ({status})"));
            }
            (Origin::One, status @ (429 | 503)) => {
                let text = format!("the limit on this address is reached before that on a {kind} ({status})");
                return Err(Cause::Denied(text));
            }
            (Origin::Changing, status) => {
                notes.saw(format!(
                    "refused from an address that never asked before; another {kind} gets {status} there"
                ));
            }
            (Origin::One, status) => {
                notes.saw(format!("another {kind} is answered with {status} meanwhile, from the same address"));
                notes.saw("whether it is refused from another address too cannot be seen from one address");
            }
        }
    }
    Ok((twin, format!("429 with Retry-After after {}", flooded.what)))
}

fn first_of(first: &Answer, notes: &mut Notes, path: &str) -> Result<Twin, Cause> {
    if first.status == 503 {
        return Err(Cause::Denied(String::from("the very first request is answered with 503")));
    }
    Ok(Twin::seen(notes, format!("the first request of {path} is answered with {}", first.status)))
}

/// What the end of a flood means. If it was a refusal in the right words: when to come back, as it says.
fn refusal(
    stop: Option<Stop>,
    cause: Option<Cause>,
    what: &str,
    notes: &mut Notes,
) -> Result<Option<Option<String>>, Cause> {
    notes.saw(what);
    match (stop, cause) {
        (Some(Stop::Limited { status: 429, retry_after }), _) => return Ok(Some(retry_after)),
        (Some(Stop::Limited { status, .. }), _) => {
            notes.fault(format!("past the limit it answers {status}, which does not say that it is a limit (429)"));
        }
        (Some(Stop::Unlimited), _) => notes.fault(format!("there is no limit: {what}")),
        (None, Some(cause)) => return Err(cause),
        (None, None) => return Err(Cause::OverBudget(format!("the limit was not reached: {what}"))),
    }
    Ok(None)
}

fn says_when_to_come_back(notes: &mut Notes, retry_after: Option<&str>) {
    notes.either(match retry_after {
        Some(value) if says_when(value) => Ok(format!("429 with Retry-After: {value}")),
        Some(value) => Err(format!("429 with a Retry-After that is neither seconds nor a date: `{value}`")),
        None => Err(String::from("429 without Retry-After")),
    });
}

/// RFC 9110 section 10.2.3: seconds or a date.
fn says_when(value: &str) -> bool {
    let value = value.trim();
    let seconds = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    seconds || jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).is_ok()
}

/// Where several nodes serve a site, one of them shows only what it counts itself: whether a limit holds for all of them
/// together hangs on what they count in, and the deployment says how that stands.
async fn counted_together(site: &Site, notes: &mut Notes) -> Result<(), Cause> {
    if site.target().house.is_none() {
        return Ok(());
    }
    let Some(SharedStatus { place, state, nodes, cause }) = site.status().await?.rates.and_then(|rates| rates.shared)
    else {
        return Ok(());
    };
    match cause {
        None if state == "together" => {
            notes.saw(format!("{nodes} nodes count together at {place}"));
            Ok(())
        }
        cause => {
            let cause = cause.unwrap_or_else(|| String::from("no cause is told"));
            let text = format!("the nodes' common count at {place} is not exact ({state}, {nodes} nodes): {cause}");
            Err(Cause::Unreachable(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_when_in_seconds_or_as_a_date() {
        assert!(says_when("30") && says_when(" 0 ") && says_when("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert!(!says_when("") && !says_when("-1") && !says_when("soon") && !says_when("1.5"));
    }
}
