//! waf.custom and waf.rule_age: the rules of applications' own, by their canaries; and how old the rules are that run, by
//! the ledger.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reeve_base::Cause;
use reeve_policy::catalogue::{WafCustom, WafRuleAge};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::sleep;

use super::trail::recorded;
use super::{Kept, Notes, Probe, Running, Sends, Twin};
use crate::Target;
use crate::wire::Site;
use crate::wire::desk::{CanaryStatus, Found};
use crate::wire::exchange::Until;

impl Probe for WafCustom {
    fn plan(&self, _: &Target) -> Sends {
        Sends::requests(2 * CANARIES_GUESSED, "the canary of each rule of an application's own, and its harmless twin")
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let status = site.status().await?.waf;
            let mut stood: BTreeMap<&str, u16> = status.apps.iter().map(|app| (app.as_str(), 0)).collect();
            let mut twin = None;
            for canary in &status.custom {
                if let Some(seen) = sung(site, notes, canary).await? {
                    let count = stood.entry(canary.app.as_str()).or_default();
                    *count = count.saturating_add(1);
                    twin = Some(seen);
                }
            }
            if stood.is_empty() {
                return Err(Cause::EmptyPopulation(String::from("the gateway tells of no application")));
            }
            for (app, count) in stood.iter().filter(|(_, count)| **count < self.per_app) {
                notes.fault(format!(
                    "`{app}` has {count} rules of its own that refuse their canary, of {}",
                    self.per_app
                ));
            }
            let twin = match twin {
                Some(twin) => twin,
                None => site.serves(notes).await?,
            };
            let (rules, apps) = (status.custom.len(), stood.len());
            Ok(Kept::with(
                twin,
                format!("{rules} rules of {apps} applications refuse their canaries and serve the twins"),
            ))
        })
    }
}

/// Sends a canary and its twin. The twin that was served, if the rule refused the canary.
async fn sung(site: &Site, notes: &mut Notes, canary: &CanaryStatus) -> Result<Option<Twin>, Cause> {
    let CanaryStatus { rule, app, canary: attack, twin } = canary;
    let (harmless, _) = sent(site, twin).await?;
    if REFUSED.contains(&harmless) {
        notes.fault(format!("the harmless twin of rule {rule} of `{app}` is refused with {harmless}"));
        return Ok(None);
    }
    let (status, page) = sent(site, attack).await?;
    let Some(id) = event_id(&page) else {
        notes.fault(format!("the canary of rule {rule} of `{app}` is not refused ({status})"));
        return Ok(None);
    };
    let found = site.find("id", id).await?;
    let text = |event: &Value, key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let by_it = found.iter().any(|entry| {
        let cause = text(&entry.event, "cause");
        // What comes after names variables, which may hold numbers as well.
        let rules = cause.split(" at ").next().unwrap_or_default();
        let mut words = rules.split(|letter: char| !letter.is_ascii_digit());
        text(&entry.event, "outcome") == "refused"
            && text(&entry.event, "control").starts_with("waf.")
            && words.any(|word| word == rule.to_string())
    });
    if !by_it {
        notes.fault(format!("the canary of rule {rule} of `{app}` is answered with {status}, and not by that rule"));
        return Ok(None);
    }
    Ok(Some(Twin::seen(notes, format!("rule {rule} of `{app}`: canary {status}, its harmless twin {harmless}"))))
}

/// The status and the page that a target is answered with.
async fn sent(site: &Site, target: &str) -> Result<(u16, String), Cause> {
    let (host, agent) = (site.target().authority(), site.user_agent());
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nAccept: text/html,*/*;q=0.8\r\nConnection: close\r\n\r\n"
    );
    // From elsewhere: whoever is refused often enough is banned, and this is not what is tried here.
    let met = site.elsewhere()?.send_raw(request.as_bytes(), Until::Answers(1)).await?;
    let page = String::from_utf8_lossy(&met.bytes).into_owned();
    let status = met.status().ok_or_else(|| Cause::Unreachable(format!("GET {target} is not answered")))?;
    Ok((status, page))
}

/// The id that the page of a refusal quotes.
fn event_id(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once("<code>")?;
    let (id, _) = rest.split_once("</code>")?;
    (id.len() == ULID_LETTERS).then_some(id)
}

impl Probe for WafRuleAge {
    fn plan(&self, _: &Target) -> Sends {
        Sends::requests(3, "an ordinary request, and questions to the control socket")
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let status = site.status().await?;
            let twin = site.serves(notes).await?;
            let Some(runs) = &status.waf.rules else {
                notes.fault("no rules look into requests");
                return Ok(Kept::with(twin, "no rules run"));
            };
            let made = runs.made.map(|made| made.to_string());
            let text = |event: &Value, key| event.get(key).and_then(Value::as_str).map(str::to_owned);
            let same =
                |event: &Value| text(event, "digest").as_ref() == Some(&runs.digest) && text(event, "made") == made;
            let found = newest(site, &same).await?;
            notes.either(recorded(
                "the loading of the rules that run",
                found.get(..1).unwrap_or_default(),
                &status,
                same,
            ));
            let Some(entry) = found.first().filter(|entry| same(&entry.event)) else {
                return Ok(Kept::with(twin, "nothing is known of the rules"));
            };
            let loaded: Loaded = serde_json::from_value(entry.event.clone()).map_err(|error| {
                Cause::Unexpected(format!("what the ledger says of the rules cannot be read: {error}"))
            })?;
            let aged = loaded.age(site.now());
            let age = aged.map_err(Cause::Unexpected)?;
            let limit = SignedDuration::try_from(self.max_age.duration()).unwrap_or(SignedDuration::MAX);
            let (version, told) = (loaded.version.as_deref().unwrap_or("without a version"), days(age));
            if age < -SKEW_MAX {
                notes.fault(format!("the rules {version} say that they were made in the future"));
            } else if age > limit {
                notes.fault(format!("the rules {version} are {told} old, and may be {}", self.max_age));
            }
            Ok(Kept::with(twin, format!("the rules {version} ({}) are {told} old", loaded.origin)))
        })
    }
}

/// The newest records of rules that were loaded. One that was written a moment ago is waited for.
async fn newest(site: &Site, wanted: &(dyn Fn(&Value) -> bool + Sync)) -> Result<Vec<Found>, Cause> {
    let since = site.ticks();
    loop {
        let found = site.find("activity", LOADED).await?;
        if found.first().is_some_and(|entry| wanted(&entry.event)) || site.ticks().since(since) >= SEALED_WITHIN {
            return Ok(found);
        }
        sleep(AGAIN).await;
    }
}

/// What the ledger says of the rules that were loaded last.
#[derive(Debug, Deserialize)]
struct Loaded {
    version: Option<String>,
    /// `built-in`, `files` or `feed`.
    origin: String,
    made: Option<Timestamp>,
    /// When rules with this digest were loaded here first.
    since: Option<Timestamp>,
}

impl Loaded {
    /// What a feed says is signed. Times of files say when somebody wrote them, which may have been for nothing: the same
    /// rules that ran here before are as old as that.
    fn age(&self, now: Timestamp) -> Result<SignedDuration, String> {
        let made = self.made.ok_or("nobody can tell when the rules were made")?;
        let made = match self.since {
            Some(since) if self.origin != "feed" => made.min(since),
            _ => made,
        };
        Ok(now.duration_since(made))
    }
}

fn days(age: SignedDuration) -> String {
    match age.as_hours() {
        hours @ ..48 => format!("{} hours", hours.max(0)),
        hours => format!("{} days", hours / 24),
    }
}

/// For the count of what would be sent: how many there are is known only inside.
const CANARIES_GUESSED: u32 = 4;

/// What a refusal by rules is answered with.
const REFUSED: [u16; 2] = [403, 406];
const ULID_LETTERS: usize = 26;
const LOADED: &str = "waf.rules";

/// The ledger seals four times a second.
const SEALED_WITHIN: Duration = Duration::from_secs(4);
const AGAIN: Duration = Duration::from_millis(200);

/// Clocks of two machines may differ by so much.
const SKEW_MAX: SignedDuration = SignedDuration::from_mins(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[track_caller]
    fn check(origin: &str, made: &str, since: &str, expected: &str) {
        let loaded = Loaded { version: None, origin: origin.to_owned(), made: Some(at(made)), since: Some(at(since)) };
        assert_eq!(days(loaded.age(at("2026-11-22T12:00:00Z")).unwrap()), expected);
    }

    #[test]
    fn rules_are_as_old_as_what_is_known_of_them() {
        check("feed", "2026-11-22T06:00:00Z", "2026-01-01T00:00:00Z", "6 hours");
        check("files", "2026-11-20T11:00:00Z", "2026-11-21T00:00:00Z", "2 days");
        // Touched yesterday, and known since the spring.
        check("files", "2026-11-21T12:00:00Z", "2026-04-22T12:00:00Z", "214 days");
    }

    #[test]
    fn a_time_that_nobody_knows_is_no_age() {
        let loaded = Loaded { version: None, origin: String::from("files"), made: None, since: None };
        assert!(loaded.age(at("2026-11-22T12:00:00Z")).is_err());
    }

    #[test]
    fn an_event_id_is_read_out_of_a_page() {
        assert_eq!(event_id("<p><code>01JCY8ZZZZZZZZZZZZZZZZZZZZ</code>"), Some("01JCY8ZZZZZZZZZZZZZZZZZZZZ"));
        assert_eq!(event_id("<code>cat</code>"), None);
        assert_eq!(event_id("served"), None);
    }
}
