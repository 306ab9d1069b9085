//! Controls about being there.

use reeve_base::Period;
use reeve_base::document::{FromValue, Mismatch, Value};
use serde_json::json;

use super::value::{ParameterValue, higher, lower};

control! {
    /// The site answers, as measured from outside, and the figure of each month is known.
    UptimeSlo = "uptime.slo";
    enforced "the gateway's process asks for the home page over the public address, records what came of it in the ledger, and keeps for each minute whether the site answered";
    proved "looks whether the newest measurement is recorded and no older than promised, and counts the minutes of this calendar month and the last (UTC) again: announced windows left out, those without a measurement counted as neither; too many bad ones break it, and with too few measured ones it is unknown";
    serves ["SOC 2 A1.1", "ISO 27001:2022 A.8.14", "NIST SP 800-53r5 CP-2", "NIST SP 800-53r5 SC-5(3)"];
    /// The share of a month's minutes in which the site answers.
    target: Share = Share::thousandths(99_900), higher;
    /// The time between two measurements.
    probe_every: Period = Period::minutes(1), lower, from Period::seconds(1), to Period::minutes(5);
}

control! {
    /// Only interruptions that were announced in time stay outside the figure.
    UptimeExclusions = "uptime.exclusions";
    enforced "windows of maintenance that were announced later than this stay inside the figure; when a window was announced is recorded and cannot be changed";
    proved "announces two windows, one in time and one too late, of which only the first may be left out, checks the notice of each window that is left out, and takes both back; none may be announced for a time that has begun";
    serves ["SOC 2 A1.1", "SOC 2 CC2.3", "ISO 27001:2022 A.5.37"];
    /// How long beforehand a window is announced.
    notice: Period = Period::days(2), higher, from Period::minutes(1), to Period::days(90);
}

/// A share in percent, to a thousandth: `99.95 %`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// So many thousandths of a percent, at most 100,000.
    #[must_use]
    pub const fn thousandths(thousandths: u32) -> Self {
        Self(if thousandths > WHOLE { WHOLE } else { thousandths })
    }

    /// What is left to the whole, of `whole`, rounded down: how much may be missing.
    #[must_use]
    pub fn missing_of(self, whole: u64) -> u64 {
        whole.saturating_mul(u64::from(WHOLE - self.0)) / u64::from(WHOLE)
    }

    fn text(self) -> String {
        let (percent, rest) = (self.0 / 1_000, self.0 % 1_000);
        if rest == 0 { percent.to_string() } else { format!("{percent}.{rest:03}").trim_end_matches('0').to_owned() }
    }
}

/// A hundred percent in thousandths of one.
const WHOLE: u32 = 100_000;

impl FromValue for Share {
    const EXPECTED: &'static str = "a share such as \"99.9 %\"";

    fn from_value(value: &Value) -> Result<Self, Mismatch> {
        let text = String::from_value(value)?;
        let share = text.strip_suffix('%').and_then(|number| read(number.trim_end()));
        share.ok_or_else(|| Mismatch::content(value, Self::EXPECTED, format!("`{text}` is no share up to 100 %")))
    }
}

fn read(number: &str) -> Option<Share> {
    let (percent, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(percent) || !digits(decimals) {
        return None;
    }
    let thousandths = format!("{decimals:0<3}").parse::<u32>().ok()?;
    let all = percent.parse::<u32>().ok()? * 1_000 + thousandths;
    (all <= WHOLE).then_some(Share(all))
}

impl ParameterValue for Share {
    fn english(&self) -> String {
        format!("{} %", self.text())
    }

    fn written(&self) -> String {
        format!("\"{} %\"", self.text())
    }

    fn schema() -> serde_json::Value {
        json!({ "type": "string", "pattern": "^[0-9]{1,3}(\\.[0-9]{1,3})? ?%$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let share = text.strip_suffix('%').and_then(|number| read(number.trim_end()));
        assert_eq!(share.map(|share| share.english()).as_deref(), expected, "{text}");
    }

    #[test]
    fn a_share_is_read_as_it_is_written() {
        check("99.99 %", Some("99.99 %"));
        check("99.999%", Some("99.999 %"));
        check("100 %", Some("100 %"));
        check("0.5 %", Some("0.5 %"));
        for wrong in ["100.001 %", "99,9 %", "99.9", "99.9999 %", "-1 %", ".5 %", "1. %", "%"] {
            check(wrong, None);
        }
    }

    #[test]
    fn what_may_be_missing_is_rounded_down() {
        let month = 30 * 24 * 60;
        assert_eq!(Share::thousandths(99_990).missing_of(month), 4);
        assert_eq!(Share::thousandths(99_900).missing_of(month), 43);
        assert_eq!(Share::thousandths(100_000).missing_of(month), 0);
    }
}
