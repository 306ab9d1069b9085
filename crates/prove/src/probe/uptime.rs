//! uptime.slo and uptime.exclusions: whether availability is measured, what the figure of the month is, and what may stay
//! outside it.
//!
//! The deployment tells its measurements minute by minute; the figure is made here, from them and from the windows.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use reeve_base::Cause;
use reeve_policy::catalogue::{UptimeExclusions, UptimeSlo};
use serde::Deserialize;
use serde_json::{Value, json};

use super::trail::{recorded, text};
use super::{Kept, Notes, Probe, Running, Sends};
use crate::Target;
use crate::wire::Site;

/// What the deployment tells of its availability.
#[derive(Debug, Deserialize)]
struct Told {
    /// The newest measurement; none if there was none.
    last: Option<Last>,
    /// Since when it is measured.
    since: Option<Timestamp>,
    days: Vec<Day>,
    /// What is left out.
    excluded: Vec<Window>,
}

#[derive(Debug, Deserialize)]
struct Last {
    at: Timestamp,
    id: String,
}

/// A day's minutes, 64 to a word, the first in the lowest bit.
#[derive(Debug, Deserialize)]
struct Day {
    day: Date,
    measured: Vec<u64>,
    up: Vec<u64>,
}

#[derive(Debug, Deserialize)]
struct Window {
    id: String,
    from: Timestamp,
    to: Timestamp,
    announced: Timestamp,
}

async fn told(site: &Site) -> Result<Told, Cause> {
    let data = site.tell(&json!("uptime")).await?;
    serde_json::from_value(data).map_err(|error| Cause::Unexpected(format!("the measurements cannot be read: {error}")))
}

impl Probe for UptimeSlo {
    fn plan(&self, _: &Target) -> Sends {
        Sends::requests(10, "a request for the home page, and questions to the control socket")
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let status = site.status().await?;
            let twin = site.serves(notes).await?;
            let told = told(site).await?;
            let now = site.now();
            let Some(last) = &told.last else {
                notes.fault("nobody measures whether the site answers");
                return Ok(Kept::with(twin, ""));
            };
            let age = now.duration_since(last.at);
            let promised = self.probe_every.duration();
            let late = SignedDuration::try_from(promised * 2 + GRACE).unwrap_or(SignedDuration::MAX);
            notes.either(if age > late {
                Err(format!("the newest measurement is of {}, promised one every {}", last.at, self.probe_every))
            } else {
                Ok(format!("the newest measurement is of {}", last.at))
            });
            let found = site.find("id", &last.id).await?;
            notes.either(recorded("the newest measurement", &found, &status, |event| {
                text(event, "activity") == "uptime.sample"
            }));
            let mut doubts = Vec::new();
            let mut said = Vec::new();
            for month in months(now) {
                let Some(figure) = Figure::of(&told, &month) else { continue };
                let allowed = self.target.missing_of(month.minutes().saturating_sub(figure.excluded));
                notes.saw(format!("{}: {figure}, {allowed} may be bad", month.name));
                if figure.up + figure.down == 0 {
                    doubts.push(format!("{}: no minute has been measured yet", month.name));
                } else if figure.down > allowed {
                    notes.fault(format!("{}: {} bad minutes, {allowed} at most", month.name, figure.down));
                } else if figure.down + figure.missing > allowed {
                    doubts.push(format!("{}: {figure}, too few to tell", month.name));
                }
                said.push(format!("{}: {figure}", month.name));
            }
            match doubts.is_empty() {
                true => Ok(Kept::with(twin, said.join("; "))),
                false => Err(Cause::Unexpected(doubts.join("; "))),
            }
        })
    }
}

/// A calendar month, as far as it has gone.
struct Month {
    name: String,
    from: Timestamp,
    /// Its whole end.
    end: Timestamp,
    /// How far it is judged.
    until: Timestamp,
}

impl Month {
    fn minutes(&self) -> u64 {
        u64::try_from(self.end.duration_since(self.from).as_mins()).unwrap_or_default()
    }
}

/// The last month and this one. The newest minutes are left out: they may be under way.
fn months(now: Timestamp) -> Vec<Month> {
    let first = now.to_zoned(TimeZone::UTC).date().first_of_month();
    let at = |date: Date| date.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp());
    let until = now.checked_sub(SETTLED).unwrap_or(now);
    let one = |months: i32| {
        let day = first.checked_add(months.months()).ok()?;
        let (from, end) = (at(day).ok()?, at(day.checked_add(1.month()).ok()?).ok()?);
        Some(Month { name: day.strftime("%Y-%m").to_string(), from, end, until: until.min(end) })
    };
    [-1, 0].into_iter().filter_map(one).collect()
}

/// What came of a month's minutes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Figure {
    up: u64,
    down: u64,
    missing: u64,
    excluded: u64,
}

impl Figure {
    /// Nothing if nothing was measured in it.
    fn of(told: &Told, month: &Month) -> Option<Self> {
        let begins = told.since?.max(month.from).as_second().div_euclid(60);
        let ends = month.until.as_second().div_euclid(60);
        // The newest minutes count as far as they are measured, and are no gaps yet.
        let newest = if month.until < month.end { SETTLED.as_secs().div_euclid(60) + 1 } else { 0 };
        let counts = |minute: &i64| *minute < ends || measured(told, *minute).is_some();
        let mut figure = Self::default();
        for minute in (begins..ends + newest).filter(counts) {
            let at = |time: Timestamp| time.as_second().div_euclid(60);
            if told.excluded.iter().any(|window| at(window.from) <= minute && minute < at(window.to)) {
                figure.excluded += 1;
                continue;
            }
            match measured(told, minute) {
                Some(true) => figure.up += 1,
                Some(false) => figure.down += 1,
                None => figure.missing += 1,
            }
        }
        (told.since? < month.end).then_some(figure)
    }
}

fn measured(told: &Told, minute: i64) -> Option<bool> {
    let date = Timestamp::from_second(minute * 60).ok()?.to_zoned(TimeZone::UTC).date();
    let day = told.days.iter().find(|day| day.day == date)?;
    let of_day = usize::try_from(minute.rem_euclid(24 * 60)).ok()?;
    let bit = |words: &[u64]| words.get(of_day / 64).is_some_and(|word| word >> (of_day % 64) & 1 == 1);
    bit(&day.measured).then(|| bit(&day.up))
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { up, down, missing, excluded } = self;
        let (measured, whole) = (up + down, up + down + missing);
        write!(f, "up in {up} of {measured} measured minutes, {measured} of {whole} measured")?;
        if *excluded > 0 { write!(f, ", {excluded} announced") } else { Ok(()) }
    }
}

impl Probe for UptimeExclusions {
    fn plan(&self, _: &Target) -> Sends {
        Sends::requests(
            14,
            "a request for the home page, two announcements that are taken back, and one that is refused",
        )
    }

    fn run<'p>(&'p self, site: &'p Site, notes: &'p mut Notes) -> Running<'p> {
        Box::pin(async move {
            let twin = site.serves(notes).await?;
            let now = site.now();
            let notice = SignedDuration::try_from(self.notice.duration()).unwrap_or(SignedDuration::MAX);
            let after = |wait: SignedDuration| now.checked_add(wait).unwrap_or(Timestamp::MAX);
            let in_time = announce(site, after(notice + MARGIN)).await?;
            let late = announce(site, after(notice / 2)).await;
            let seen = match &late {
                Ok(_) => told(site).await,
                Err(cause) => Err(cause.clone()),
            };
            // Whatever was seen, both are taken back.
            for id in [Some(&in_time), late.as_ref().ok()].into_iter().flatten() {
                site.tell(&json!({ "maintenance": { "off": { "id": id } } })).await?;
            }
            let (seen, late) = (seen?, late?);
            let excluded = |id: &str| seen.excluded.iter().any(|window| window.id == id);
            notes.either(match excluded(&in_time) {
                true => Ok(String::from("a window that is announced in time stays outside the figure")),
                false => Err(String::from("a window that is announced in time stays inside the figure")),
            });
            notes.either(match excluded(&late) {
                false => Ok(String::from("one that is announced later stays inside")),
                true => Err(format!("a window stays outside although it is announced later than {}", self.notice)),
            });
            for window in &seen.excluded {
                if window.from.duration_since(window.announced) < notice {
                    notes.fault(format!("window {} was announced only at {}", window.id, window.announced));
                }
            }
            let begun = site.tell(&announcement(after(-MARGIN))).await;
            notes.either(match begun {
                Err(Cause::Denied(_) | Cause::Unexpected(_)) => {
                    Ok(String::from("none can be announced for a time that has begun"))
                }
                Err(other) => return Err(other),
                Ok(_) => Err(String::from("a window was announced for a time that had begun")),
            });
            let text = format!("{} windows outside the figure, each announced in time", seen.excluded.len());
            Ok(Kept::with(twin, text))
        })
    }
}

fn announcement(from: Timestamp) -> Value {
    let to = from.checked_add(MARGIN).unwrap_or(Timestamp::MAX);
    let body = json!({ "from": from, "to": to, "reason": "reeve-probe", "shut": false, "allow": [] });
    json!({ "maintenance": { "announce": body } })
}

async fn announce(site: &Site, from: Timestamp) -> Result<String, Cause> {
    let window = site.tell(&announcement(from)).await?;
    let id = window.get("id").and_then(Value::as_str);
    id.map(str::to_owned).ok_or_else(|| Cause::Unexpected(String::from("the announced window has no name")))
}

/// What a measurement may take.
const GRACE: Duration = Duration::from_secs(30);

/// So much of the past is not judged yet.
const SETTLED: SignedDuration = SignedDuration::from_mins(2);

/// How far from the border, and how long, a canary's window is.
const MARGIN: SignedDuration = SignedDuration::from_mins(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The first hour of the month measured, but for its minutes 10 and 11; bad in 20 and 21.
    fn first_hour(excluded: Vec<Window>) -> Told {
        let measured = ((1_u64 << 60) - 1) & !(0b11 << 10);
        let day =
            Day { day: "2026-11-01".parse().unwrap(), measured: vec![measured], up: vec![measured & !(0b11 << 20)] };
        Told { last: None, since: Some(at("2026-11-01T00:00:00Z")), days: vec![day], excluded }
    }

    fn november(until: &str) -> Month {
        let mut month = months(at("2026-11-15T00:00:00Z")).pop().unwrap();
        month.until = at(until);
        month
    }

    #[test]
    fn minutes_are_good_bad_unknown_or_left_out() {
        let month = november("2026-11-01T01:00:00Z");
        assert_eq!((month.name.as_str(), month.minutes()), ("2026-11", 30 * 24 * 60));
        let figure = Figure::of(&first_hour(Vec::new()), &month).unwrap();
        assert_eq!(figure, Figure { up: 56, down: 2, missing: 2, excluded: 0 });
        let window = |from: &str, to: &str| Window {
            id: String::new(),
            from: at(from),
            to: at(to),
            announced: at("2026-10-01T00:00:00Z"),
        };
        let told = first_hour(vec![window("2026-11-01T00:20:00Z", "2026-11-01T00:30:00Z")]);
        let figure = Figure::of(&told, &month).unwrap();
        assert_eq!(figure, Figure { up: 48, down: 0, missing: 2, excluded: 10 });
        assert_eq!(figure.to_string(), "up in 48 of 48 measured minutes, 48 of 50 measured, 10 announced");
    }

    #[test]
    fn what_was_before_the_first_measurement_is_no_gap() {
        let told = Told { since: Some(at("2026-11-01T00:30:00Z")), ..first_hour(Vec::new()) };
        let figure = Figure::of(&told, &november("2026-11-01T01:00:00Z")).unwrap();
        assert_eq!(figure, Figure { up: 30, down: 0, missing: 0, excluded: 0 });
        let before = months(at("2026-11-15T00:00:00Z")).remove(0);
        assert_eq!(before.name, "2026-10");
        assert_eq!(Figure::of(&told, &before), None);
    }
}
