//! When a control bans, and for how long.

use std::time::Duration;

use reeve_base::Period;
use reeve_policy::catalogue::{BanAuto, BanHttp, BanSsh, Controls};

use super::tally::Tallies;

/// So much within a window is a ban.
#[derive(Debug, Clone, PartialEq)]
pub struct JailRule {
    /// What bans are said to be made by: a control (`ban.ssh`), or a log source with a rule of its own.
    pub name: String,
    /// The sum of points that is enough, at least 1.
    pub points: u32,
    /// The window that they are counted in.
    pub window: Duration,
    /// How long the first ban is.
    pub ban: Duration,
    /// How long one is at most.
    pub longest: Duration,
    /// What counts how much.
    pub(crate) weights: Weights,
}

/// What counts how much against an address.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Weights {
    /// A request for a path that only scanners ask for, and that is not served.
    pub(crate) scan: u16,
    /// A refusal by a control.
    pub(crate) refusal: u16,
    /// A refusal for pace: of the rate or for slowness, which anybody may run into.
    pub(crate) pace: u16,
    /// An answer 401 or 403 of the application.
    pub(crate) sign_in: u16,
    /// An answer 404 or 410.
    pub(crate) missing: u16,
    /// The paths that only scanners ask for, in lower case.
    pub(crate) paths: Vec<String>,
}

impl JailRule {
    /// A rule for offences that a log source tells of.
    #[must_use]
    pub fn of_source(name: impl Into<String>, failures: u16, window: Period, ban: Period, longest: Period) -> Self {
        Self {
            name: name.into(),
            points: failures.into(),
            window: window.duration(),
            ban: ban.duration(),
            longest: longest.duration(),
            weights: Weights::default(),
        }
    }

    /// How long the ban is that is made for the `times`-th time: twice as long each time, up to the longest.
    pub(super) fn length(&self, times: u32) -> Duration {
        let doublings = times.saturating_sub(1).min(DOUBLINGS_MAX);
        self.ban.saturating_mul(1 << doublings).min(self.longest.max(self.ban))
    }
}

/// A rule with what has been counted under it.
pub(super) struct Jail {
    pub(super) rule: JailRule,
    pub(super) tallies: Tallies,
}

impl Jail {
    pub(super) fn new(rule: JailRule) -> Self {
        let tallies = Tallies::new(rule.window);
        Self { rule, tallies }
    }
}

/// The rules of a policy.
pub(super) fn of(controls: &Controls) -> Vec<JailRule> {
    let http = controls.ban_http.as_ref().map(of_http);
    let auto = controls.ban_auto.as_ref().map(|auto| of_auto(auto, controls.ban_http.as_ref()));
    let ssh = controls.ban_ssh.as_ref().map(of_ssh);
    [http, auto, ssh].into_iter().flatten().collect()
}

fn of_http(control: &BanHttp) -> JailRule {
    let BanHttp { hits, window, ban, longest, .. } = control;
    let rule = JailRule::of_source("ban.http", *hits, *window, *ban, *longest);
    JailRule { weights: Weights { scan: 1, paths: paths(control), ..Weights::default() }, ..rule }
}

fn of_auto(control: &BanAuto, http: Option<&BanHttp>) -> JailRule {
    let BanAuto { score, window, ban, longest, refusal, scan, sign_in, missing } = control;
    let rule = JailRule::of_source("ban.auto", *score, *window, *ban, *longest);
    let weights = Weights {
        scan: *scan,
        refusal: *refusal,
        pace: 1.min(*refusal),
        sign_in: *sign_in,
        missing: *missing,
        paths: http.map_or_else(|| paths(&BanHttp::default()), paths),
    };
    JailRule { weights, ..rule }
}

fn of_ssh(control: &BanSsh) -> JailRule {
    let BanSsh { failures, window, ban, longest } = control;
    JailRule::of_source("ban.ssh", *failures, *window, *ban, *longest)
}

fn paths(control: &BanHttp) -> Vec<String> {
    control.paths.iter().map(|path| path.as_str().to_ascii_lowercase()).collect()
}

/// Enough for any ban to reach any cap.
const DOUBLINGS_MAX: u32 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ban_doubles_with_each_repeat_up_to_the_cap() {
        let rule = JailRule::of_source("x", 5, Period::minutes(10), Period::minutes(60), Period::days(1));
        let hours = |times| rule.length(times).as_secs() / 3_600;
        assert_eq!([1, 2, 3, 5, 6, 1_000].map(hours), [1, 2, 4, 16, 24, 24]);
        // A cap below the first ban shortens nothing that is promised.
        let rule = JailRule::of_source("x", 5, Period::minutes(10), Period::days(2), Period::days(1));
        assert_eq!(rule.length(3).as_secs(), 2 * 86_400);
    }
}
