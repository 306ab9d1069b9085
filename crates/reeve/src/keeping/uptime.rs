//! Whether the site answers, measured as a visitor would: by asking for its home page, minute by minute.
//!
//! Each minute is kept as measured or not, and as good or not: one bad answer makes a minute bad, and a minute without a
//! measurement is neither. The ledger gets the first measurement, each change, and every ten minutes what there was since.
//! What stays outside the figure is what was announced in time; the figure itself is the judge's to make.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::Context;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan};
use reeve_base::{SystemEntropy, Timestamp};
use reeve_ledger::{Class, Entry};
use reeve_policy::catalogue::Controls;
use reeve_prove::{Options, Target};
use reeve_store::{Expect, Record};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Keeping, Window, digest};
use crate::deployment::Reply;

/// The minutes of a day as one gateway measured them, 64 to a word, the first in the lowest bit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UptimeDay {
    day: Date,
    /// Which of the gateways that share the store: each changes records of its own only.
    node: String,
    measured: Vec<u64>,
    up: Vec<u64>,
}

impl Record for UptimeDay {
    const COLLECTION: &'static str = "uptime";
    const SCHEMA: u16 = 1;
}

impl UptimeDay {
    fn new(day: Date, node: &str) -> Self {
        Self { day, node: node.to_owned(), measured: vec![0; WORDS], up: vec![0; WORDS] }
    }

    fn id(&self) -> String {
        format!("{} {}", self.day, self.node)
    }

    /// Adds what another gateway measured: a minute is good if nobody found it bad.
    fn merge(&mut self, other: &Self) {
        let words = self.measured.iter_mut().zip(&mut self.up).zip(other.measured.iter().zip(&other.up));
        for ((measured, up), (theirs, good)) in words {
            let bad = (*measured & !*up) | (theirs & !good);
            *measured |= theirs;
            *up = *measured & !bad;
        }
    }

    fn note(&mut self, minute: usize, up: bool) {
        let (word, bit) = (minute / 64, 1_u64 << (minute % 64));
        let (Some(measured), Some(good)) = (self.measured.get_mut(word), self.up.get_mut(word)) else { return };
        let first = *measured & bit == 0;
        *measured |= bit;
        if !up {
            *good &= !bit;
        } else if first {
            *good |= bit;
        }
    }

    fn first_minute(&self) -> Option<usize> {
        let (word, bits) = self.measured.iter().enumerate().find(|(_, bits)| **bits != 0)?;
        Some(word * 64 + usize::try_from(bits.trailing_zeros()).ok()?)
    }
}

/// What is measured, and how often.
#[derive(Debug, Clone)]
pub(crate) struct UptimePlan {
    /// The site, as visitors reach it.
    pub(crate) target: Target,
    /// Whether its name is looked up each time, as visitors do; else its address is that of the target.
    pub(crate) by_name: bool,
}

/// Everything that is known of it.
#[derive(Debug, Default)]
pub(super) struct Uptime {
    plan: Option<(UptimePlan, Duration)>,
    /// How long beforehand a window must be announced to stay outside the figure.
    notice: Duration,
    days: BTreeMap<(Date, String), UptimeDay>,
    /// The newest measurement, and the newest that is in the ledger.
    last: Option<(Timestamp, String)>,
    /// What was not yet recorded.
    run: Option<Run>,
}

/// Measurements with the same result.
#[derive(Debug, Clone)]
struct Run {
    up: bool,
    from: Timestamp,
    count: u64,
}

impl Keeping {
    /// Follows the policy: what is measured, if anything, and what may stay outside.
    pub(crate) fn promise_uptime(&self, controls: &Controls, plan: Option<UptimePlan>) {
        let every = controls.uptime_slo.as_ref().map(|control| control.probe_every.duration());
        let notice = controls.uptime_exclusions.as_ref().map(|control| control.notice.duration());
        self.with_uptime(|uptime| {
            uptime.plan = plan.zip(every);
            uptime.notice = notice.unwrap_or_default();
        });
    }

    /// Takes up what was measured.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn restore_uptime(&self) -> anyhow::Result<()> {
        let (mut after, own): (Option<String>, String) = (None, self.measuring_node());
        loop {
            let page = self.scope().list::<UptimeDay>(after.as_deref(), PAGE).await;
            let page = page.context("cannot read the measurements of availability")?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id.clone());
            self.with_uptime(|uptime| {
                for record in page {
                    // Of its own, this gateway knows more than the store.
                    let key = (record.value.day, record.value.node.clone());
                    if key.1 != own || !uptime.days.contains_key(&key) {
                        uptime.days.insert(key, record.value);
                    }
                }
            });
        }
    }

    fn with_uptime<T>(&self, change: impl FnOnce(&mut Uptime) -> T) -> T {
        // No caller can leave it half changed.
        change(&mut self.uptime.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Measures as often as is promised, for as long as this is polled.
    pub(crate) async fn measure(&self) {
        loop {
            let Some((plan, every)) = self.with_uptime(|uptime| uptime.plan.clone()) else {
                tokio::time::sleep(PLAN_LOOK).await;
                continue;
            };
            let next = tokio::time::Instant::now() + every;
            if let Err(error) = self.sample(plan).await {
                tracing::error!(%error, "whether the site answers cannot be kept");
            }
            tokio::time::sleep_until(next).await;
        }
    }

    /// Measures once, if anything is to be measured.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub(crate) async fn measure_now(&self) -> anyhow::Result<()> {
        match self.with_uptime(|uptime| uptime.plan.clone()) {
            Some((plan, _)) => self.sample(plan).await,
            None => Ok(()),
        }
    }

    async fn sample(&self, plan: UptimePlan) -> anyhow::Result<()> {
        let at = self.clock.now();
        let UptimePlan { mut target, by_name } = plan;
        if by_name {
            // A name that cannot be looked up here says nothing of the site: the minute stays unmeasured.
            target.https = Target::resolve(target.url.as_str(), None).await?.https;
        }
        let options = Options::new(&target, Arc::clone(&self.clock), Arc::new(SystemEntropy));
        let seen = reeve_prove::look(&target, &options).await;
        let up = matches!(seen, Ok(status) if status < 500);
        let said = seen.map_or_else(|cause| cause, |status| status.to_string());
        let day = self.note(at, up);
        self.scope().put(&day.id(), Expect::Any, &day).await.context("cannot keep a measurement")?;
        self.record_uptime(at, up, &said).await
    }

    /// A short name for this gateway, without what it is made of.
    fn measuring_node(&self) -> String {
        digest(self.node().as_bytes()).chars().take(16).collect()
    }

    fn note(&self, at: Timestamp, up: bool) -> UptimeDay {
        let zoned = at.to_zoned(TimeZone::UTC);
        let date = zoned.date();
        let minute = usize::try_from(at.as_second().rem_euclid(DAY_SECONDS) / 60).unwrap_or_default();
        let node = self.measuring_node();
        self.with_uptime(|uptime| {
            let day = uptime.days.entry((date, node.clone())).or_insert_with(|| UptimeDay::new(date, &node));
            day.note(minute, up);
            day.clone()
        })
    }

    async fn record_uptime(&self, at: Timestamp, up: bool, said: &str) -> anyhow::Result<()> {
        let due = self.with_uptime(|uptime| {
            let run = uptime.run.get_or_insert(Run { up, from: at, count: 0 });
            let changed = run.up != up;
            run.count += 1;
            let due = uptime.last.is_none() || changed || at.duration_since(run.from) >= RECORD_EVERY;
            let done = run.clone();
            if let Some((newest, _)) = &mut uptime.last {
                *newest = at;
            }
            due.then(|| {
                uptime.run = Some(Run { up, from: at, count: 0 });
                done
            })
        });
        let Some(run) = due else { return Ok(()) };
        let id = self.ids.next(at).to_string();
        let body = json!({
            "time": at, "id": id, "activity": "uptime.sample", "actor": "reeve", "action": "look", "object": said,
            "outcome": if up { "allowed" } else { "failed" }, "since": run.from, "count": run.count, "before": run.up,
        });
        let entry = Entry {
            class: Class::Security,
            activity: String::from("uptime.sample"),
            clause: None,
            actor: Some(String::from("reeve")),
            body: serde_json::to_vec(&body)?,
        };
        self.ledger.append(entry)?.durable().await?;
        self.with_uptime(|uptime| uptime.last = Some((at, id)));
        Ok(())
    }

    /// Everything that a judge needs for the figures of this month and the last.
    ///
    /// # Errors
    /// When what other gateways measured cannot be read.
    pub(super) async fn uptime_answer(&self) -> anyhow::Result<Reply> {
        self.restore_uptime().await?;
        let now = self.clock.now();
        let today = now.to_zoned(TimeZone::UTC).date();
        let first = today.first_of_month().saturating_sub(1.month());
        let notice = self.with_uptime(|uptime| uptime.notice);
        let excluded: Vec<_> = self.windows().iter().filter_map(|window| outside(window, notice)).collect();
        let data = self.with_uptime(|uptime| {
            let mut merged: BTreeMap<Date, UptimeDay> = BTreeMap::new();
            for day in uptime.days.values() {
                merged.entry(day.day).and_modify(|known| known.merge(day)).or_insert_with(|| day.clone());
            }
            let since = merged.values().find_map(|day| {
                let minute = i64::try_from(day.first_minute()?).ok()?;
                let midnight = day.day.to_zoned(TimeZone::UTC).ok()?.timestamp();
                midnight.checked_add(SignedDuration::from_mins(minute)).ok()
            });
            let last = uptime.last.as_ref().map(|(at, id)| json!({ "at": at, "id": id }));
            let days: Vec<_> = merged.range(first..).map(|(_, day)| day).collect();
            json!({ "last": last, "since": since, "days": days, "excluded": excluded })
        });
        Ok(Reply::done("measurements of this month and the last", data))
    }
}

/// A window as far as it stays outside the figure; nothing if it was announced too late or did not begin.
fn outside(window: &Window, notice: Duration) -> Option<Value> {
    let notice = SignedDuration::try_from(notice).ok()?;
    let to = window.over()?;
    let in_time = window.from.duration_since(window.announced) >= notice;
    let announced = window.from > window.announced;
    let begins = to > window.from;
    (in_time && announced && begins)
        .then(|| json!({ "id": window.id, "from": window.from, "to": to, "announced": window.announced }))
}

const WORDS: usize = (24 * 60_usize).div_ceil(64);
const DAY_SECONDS: i64 = 24 * 3_600;
const PAGE: usize = 1_000;

/// How soon a policy that begins to promise availability is followed.
const PLAN_LOOK: Duration = Duration::from_secs(1);

/// How long measurements with the same result are put together.
const RECORD_EVERY: SignedDuration = SignedDuration::from_mins(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_answer_makes_a_minute_bad() {
        let mut day = UptimeDay::new("2026-11-01".parse().unwrap(), "one");
        assert_eq!(day.first_minute(), None);
        for (minute, up) in [(70, true), (70, true), (71, true), (71, false), (72, false), (72, true), (1_439, true)] {
            day.note(minute, up);
        }
        assert_eq!(day.first_minute(), Some(70));
        assert_eq!((day.measured[1], day.up[1]), (0b111 << 6, 0b001 << 6));
        assert_eq!((day.measured[22], day.up[22]), (1 << 31, 1 << 31));
    }

    #[test]
    fn what_one_gateway_found_bad_is_bad() {
        let day = |node, minutes: &[(usize, bool)]| {
            let mut day = UptimeDay::new("2026-11-01".parse().unwrap(), node);
            minutes.iter().for_each(|(minute, up)| day.note(*minute, *up));
            day
        };
        let mut one = day("one", &[(0, true), (1, true), (2, false)]);
        one.merge(&day("two", &[(1, false), (2, true), (3, true)]));
        assert_eq!((one.measured[0], one.up[0]), (0b1111, 0b1001));
    }

    #[test]
    fn a_window_stays_outside_if_it_was_announced_in_time_and_began() {
        let at = |hour: i64| Timestamp::from_second(hour * 3_600).unwrap();
        let window = |announced, from, ended: Option<i64>| Window {
            id: String::new(),
            from: at(from),
            to: Some(at(from + 2)),
            announced: at(announced),
            reason: String::new(),
            by: String::new(),
            shut: false,
            allow: Vec::new(),
            ended: ended.map(at),
        };
        let notice = Duration::from_hours(48);
        assert!(outside(&window(0, 48, None), notice).is_some());
        assert!(outside(&window(1, 48, None), notice).is_none());
        assert!(outside(&window(0, 48, Some(47)), notice).is_none(), "taken back");
        assert_eq!(outside(&window(0, 48, Some(49)), notice).unwrap()["to"], json!(at(49)));
        assert!(outside(&window(5, 5, None), Duration::ZERO).is_none(), "closed at once is not announced");
    }
}
